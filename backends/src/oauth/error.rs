//! Why a user could not connect a backend.

use std::fmt::Write;
use weir_policies::FetchError;

/// Words of others are cut to so many characters.
const LONGEST: usize = 200;

/// A backend could not be connected, or a grant not be renewed. The text is for the user: it shows no secret, and of what
/// others say only printable text of bounded length.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OauthError {
    /// How the server is protected could not be found out.
    #[error("how the server is protected cannot be found out: {0}")]
    Discovery(String),
    /// There is no way to be a client of the authorization server.
    #[error("weir is not known to the authorization server: {0}")]
    Registration(String),
    /// The server names an authorization server that the operator did not.
    #[error(
        "the server names the authorization server {0}, which the operator did not configure; the operator can add weir's client there to `clients`"
    )]
    Elsewhere(String),
    /// The authorization server does not offer what weir needs.
    #[error("the authorization server cannot be used: {0}")]
    Unusable(&'static str),
    /// The answer of the authorization endpoint is not what it must be.
    #[error("the answer of the authorization server is not taken: {0}")]
    Answer(&'static str),
    /// The authorization server refuses weir as its client.
    #[error("the authorization server does not take weir as its client: {0}")]
    Client(String),
    /// The authorization server refused.
    #[error("the authorization server refused: {0}")]
    Refused(String),
    /// The grant is good no more: its user has to connect again.
    #[error("the authorization server does not renew the grant")]
    Dead,
    /// The authorization server could not be asked.
    #[error("the authorization server cannot be asked: {0}")]
    Unavailable(String),
    /// The grant could not be kept.
    #[error("the grant cannot be kept: {0}")]
    Store(String),
}

impl OauthError {
    pub(crate) fn discovery(why: impl Into<String>) -> Self {
        Self::Discovery(why.into())
    }

    pub(crate) fn of_fetch(error: FetchError) -> Self {
        Self::Unavailable(error.to_string())
    }
}

/// Words of somebody else, fit to be shown: bounded, and without what is not printable.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(LONGEST) {
        match letter {
            ' '..='~' => shown.push(letter),
            _ if letter.is_alphanumeric() => shown.push(letter),
            _ => {
                let _ = write!(shown, "{}", letter.escape_unicode());
            }
        }
    }
    shown
}
