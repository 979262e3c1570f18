//! Why a caller is not known.

use std::fmt;

/// Longest reason, in bytes.
const LONGEST: usize = 300;

/// A request did not show who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// What the answer depends on.
    pub kind: RejectionKind,
    /// For the log alone: bounded, with control characters escaped, and without any part of a credential.
    pub reason: String,
}

/// What the answer to a rejected request depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RejectionKind {
    /// There is no credential, or none of a kind that the endpoint takes.
    Missing,
    /// Credentials stand where or how they must not.
    Malformed,
    /// The credential is not good, or no longer.
    Invalid,
    /// The credential is good and lacks some of these scopes, which are all that every call needs.
    Scopes(Vec<String>),
    /// Whether the credential is good cannot be found out now.
    Unavailable,
}

impl Rejection {
    /// A rejection whose reason may hold text from outside.
    pub fn new(kind: RejectionKind, reason: impl fmt::Display) -> Self {
        let mut text = String::new();
        for character in reason.to_string().chars() {
            if text.len() >= LONGEST {
                text.push('…');
                break;
            }
            // Beside control characters, those that reorder or hide text in a terminal.
            if character.is_control()
                || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
            {
                text.extend(character.escape_default());
            } else {
                text.push(character);
            }
        }
        Self { kind, reason: text }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Rejection {}
