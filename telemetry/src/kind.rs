//! What a request failed of, as a metric's label.

/// What a request failed of. A closed set, so that it can label a metric; an error belongs to exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The client sent what is malformed, unknown or not supported.
    Client,
    /// The caller is not authenticated, or may not do it.
    Denied,
    /// A limit of rate, size or concurrency was reached.
    Limited,
    /// The server behind weir failed, answered nonsense or was not reached.
    Backend,
    /// weir itself failed.
    Gateway,
    /// The client went away or took its request back.
    Cancelled,
}

impl Kind {
    /// Its name in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Denied => "denied",
            Self::Limited => "limited",
            Self::Backend => "backend",
            Self::Gateway => "gateway",
            Self::Cancelled => "cancelled",
        }
    }
}
