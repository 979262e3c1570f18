//! What can go wrong with a backend.

use crate::{Cause, CredentialError};
use std::borrow::Cow;
use std::time::Duration;

/// A backend failed a call, a list or its handshake. The text is made for the caller: it names no address, directory or
/// secret. What else is known is the [detail](BackendError::detail).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BackendError {
    /// No connection, or no process: nothing was sent.
    #[error("cannot be reached: {0}")]
    Unreachable(Cause),
    /// The connection or the process ended while it owed an answer.
    #[error("went away before it answered: {0}")]
    Gone(Cause),
    /// It was silent too long.
    #[error("did not answer within {} s ({what})", after.as_secs_f32())]
    Timeout {
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// It has as much to do as its limit allows.
    #[error("is busy: {limit} {what}, try again later")]
    Busy {
        /// The limit.
        limit: usize,
        /// What there are so many of.
        what: &'static str,
    },
    /// It broke the protocol.
    #[error("broke the protocol: {0}")]
    Protocol(String),
    /// It sent a message over the size limit.
    #[error("sent a message larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// It refused the request on the level of HTTP.
    #[error("refused the request with HTTP status {status}")]
    Refused {
        /// The status.
        status: u16,
    },
    /// There is no credential that it accepts.
    #[error(transparent)]
    Credential(CredentialError),
    /// It answered a request of weir's own with a JSON-RPC error.
    #[error("answered {method} with error {code}: {message}")]
    Answered {
        /// What weir asked.
        method: &'static str,
        /// The JSON-RPC code.
        code: i64,
        /// The server's words, cut to 300 characters.
        message: String,
    },
    /// It does not offer what is asked of it.
    #[error("does not offer {0}")]
    Unsupported(&'static str),
    /// Its session is no longer known to it.
    #[error("lost its session")]
    SessionLost,
    /// What the call's client answered to its request did not reach it.
    #[error("did not take the client's answer to what it asked: {0}")]
    NotTaken(Box<BackendError>),
    /// The call brings what it was asked for, and there is a server by now that did not ask.
    #[error("is not the server any more that asked its client")]
    Replaced,
    /// The client session that the call belongs to has ended.
    #[error("was not asked: the client's session has ended")]
    SessionEnded,
    /// The call's user has not granted weir the use of it, or not enough of it.
    #[error("is not connected by its user")]
    Unconnected,
    /// weir is stopping or the backend was taken out of the configuration.
    #[error("is being stopped")]
    Stopping,
}

impl BackendError {
    /// What is known beyond the text: addresses, directories, the words of the operating system. For the operator's eyes
    /// only.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Unreachable(cause) | Self::Gone(cause) => cause.detail(),
            Self::NotTaken(cause) => cause.detail(),
            Self::Credential(error) => error.detail(),
            _ => None,
        }
    }

    /// The text and the detail together, for the operator.
    pub fn explained(&self) -> String {
        match self.detail() {
            Some(detail) => format!("{self} ({detail})"),
            None => self.to_string(),
        }
    }

    pub(crate) fn unreachable(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Unreachable(Cause::public(text))
    }

    pub(crate) fn gone(text: impl Into<Cow<'static, str>>) -> Self {
        Self::Gone(Cause::public(text))
    }

    /// Whether this may be the fault of one list, so that the others are fetched all the same.
    pub(crate) fn concerns_one_list(&self) -> bool {
        matches!(
            self,
            Self::Answered { .. }
                | Self::Protocol(_)
                | Self::TooLarge { .. }
                | Self::Refused { .. }
                | Self::Timeout { .. }
                | Self::Credential(CredentialError::Scopes(_))
        )
    }

    /// Whether the server did not begin what this was answered to: it never heard of it, or said itself that it will not.
    pub(crate) fn is_unheard(&self) -> bool {
        match self {
            Self::SessionLost | Self::Unreachable(_) | Self::Credential(_) | Self::Unconnected => true,
            // A proxy says so when its own patience ends.
            Self::Refused { status } => *status < 500,
            _ => false,
        }
    }

    /// Whether this speaks against what was found out about the server's era. Silence, a refused credential and a broken
    /// gateway in between do not.
    pub(crate) fn contradicts_era(&self) -> bool {
        match self {
            Self::Protocol(_) | Self::SessionLost => true,
            Self::Refused { status } => is_era_evidence(*status),
            _ => false,
        }
    }
}

/// Whether an HTTP status says that the server did not understand the request.
pub(crate) fn is_era_evidence(status: u16) -> bool {
    (400..500).contains(&status) && !matches!(status, 401 | 403 | 408 | 429)
}
