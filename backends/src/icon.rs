//! Why an icon could not be had.

use crate::BackendError;

/// An icon was not fetched, or is none that may be shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IconError {
    /// It was not asked for: it is not at the origin (scheme, host and port) of the server's own URL.
    #[error("it is not at the server's own origin")]
    Elsewhere,
    /// What came has a media type that icons may not have.
    #[error("it has no media type that icons may have")]
    Media,
    /// The server did not give it, or gave too much.
    #[error("the server {0}")]
    Server(#[from] BackendError),
}
