//! Why there is no credential.

use crate::Cause;

/// A call cannot be made for want of a credential. The text is for the caller: it names no address and no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The credential is made of the caller's own token, and there is none.
    #[error(
        "needs a credential made of the caller's own token, and this caller brings none: log in with a token"
    )]
    NoToken,
    /// The authorization server did not answer as it should; it may later.
    #[error("cannot be called now: its authorization server {0}")]
    Unavailable(Cause),
    /// The authorization server gives none.
    #[error("cannot be called: its authorization server refused {0}")]
    Refused(Cause),
    /// The backend refuses what it was shown, a new one too.
    #[error("does not accept the credential that weir has for it")]
    Rejected,
    /// The backend wants a credential with other scopes.
    #[error("wants a credential with the scopes `{}`", .0.join(" "))]
    Scopes(Vec<String>),
}

impl CredentialError {
    /// What only the log may say.
    pub(crate) fn detail(&self) -> Option<&str> {
        match self {
            Self::Unavailable(cause) | Self::Refused(cause) => cause.detail(),
            Self::NoToken | Self::Rejected | Self::Scopes(_) => None,
        }
    }

    /// The authorization server did not answer as it should; `detail` is for the log.
    pub(crate) fn unavailable(text: &'static str, detail: impl std::fmt::Display) -> Self {
        Self::Unavailable(Cause::private(text, detail))
    }
}
