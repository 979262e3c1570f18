//! A value that never shows itself.

use secrecy::{ExposeSecret, SecretString};

/// A configured value that may be secret: `Debug` is redacted, comparison is by content.
#[derive(Clone)]
pub struct Secret(SecretString);

impl Secret {
    /// Wraps a resolved value.
    pub fn new(value: String) -> Self {
        Self(SecretString::from(value))
    }

    /// The value itself; call it only where the value is put on the wire or into a child's environment.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}
