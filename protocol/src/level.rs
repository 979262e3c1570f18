//! Levels of log messages, and which of them somebody wants.
//!
//! S: MCP 2025-11-25 `server/utilities/logging`; 2026-07-28 `basic/index` "`_meta`".

use crate::json;

/// How grave a log message is: the levels of syslog (RFC 5424), the least grave first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// For whoever looks for a fault.
    Debug,
    /// What happens.
    Info,
    /// What happens and is worth noting.
    Notice,
    /// Something may go wrong.
    Warning,
    /// Something went wrong.
    Error,
    /// A part has failed.
    Critical,
    /// Somebody must act at once.
    Alert,
    /// Nothing works any more.
    Emergency,
}

impl Level {
    /// Every level, the least grave first.
    pub const ALL: [Self; 8] = [
        Self::Debug,
        Self::Info,
        Self::Notice,
        Self::Warning,
        Self::Error,
        Self::Critical,
        Self::Alert,
        Self::Emergency,
    ];

    /// The level of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == name)
    }

    /// The level that raw JSON names.
    pub fn of_raw(raw: &[u8]) -> Option<Self> {
        Self::parse(&json::as_str(raw)?)
    }

    /// The name that stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Notice => "notice",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
            Self::Alert => "alert",
            Self::Emergency => "emergency",
        }
    }
}

/// The log messages that a client wants to see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Logs {
    /// None: a modern request that names no level must not be sent any.
    #[default]
    Unwanted,
    /// A legacy client has not said: what a server sends of its own accord, from [`Logs::UNSAID`] on.
    Unsaid,
    /// This level and everything graver.
    From(Level),
}

impl Logs {
    /// The level that holds for a legacy client that has named none.
    pub const UNSAID: Level = Level::Info;

    /// The least grave level that is wanted.
    pub const fn level(self) -> Option<Level> {
        match self {
            Self::Unwanted => None,
            Self::Unsaid => Some(Self::UNSAID),
            Self::From(level) => Some(level),
        }
    }

    /// Whether a message whose `level` is this raw JSON is wanted. A level that does not exist is shown to whoever wants
    /// any messages, since nobody can say how grave it is.
    pub fn want(self, raw: Option<&[u8]>) -> bool {
        match (self.level(), raw.and_then(Level::of_raw)) {
            (None, _) => false,
            (Some(least), Some(level)) => level >= least,
            (Some(_), None) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_known_by_name() {
        assert!(Level::ALL.is_sorted());
        for level in Level::ALL {
            assert_eq!(Level::of_raw(format!("\"{}\"", level.as_str()).as_bytes()), Some(level));
        }
        for raw in [&b"\"Info\""[..], b"\"\"", b"1", b"null", b""] {
            assert_eq!(Level::of_raw(raw), None);
        }
    }

    #[test]
    fn who_wants_what() {
        let raw = |text: &'static str| Some(text.as_bytes());
        assert!(!Logs::Unwanted.want(raw("\"emergency\"")));
        assert!(!Logs::Unsaid.want(raw("\"debug\"")) && Logs::Unsaid.want(raw("\"info\"")));
        let grave = Logs::From(Level::Error);
        assert!(
            !grave.want(raw("\"warning\"")) && grave.want(raw("\"error\"")) && grave.want(raw("\"alert\""))
        );
        assert!(grave.want(raw("\"odd\"")) && grave.want(None) && !Logs::Unwanted.want(None));
    }
}
