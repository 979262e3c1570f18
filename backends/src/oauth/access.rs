//! The tokens that servers are shown.

use http::HeaderValue;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// What stands before a token in its header (RFC 6750 section 2.1).
const BEARER: &str = "Bearer ";

/// An access token as the header that it is shown in, written once for all calls. `Debug` does not show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access(HeaderValue);

impl Access {
    /// This token; `None` where it cannot stand in a header.
    pub(crate) fn new(token: &str) -> Option<Self> {
        let mut header = HeaderValue::try_from(format!("{BEARER}{token}")).ok()?;
        header.to_str().ok()?;
        header.set_sensitive(true);
        Some(Self(header))
    }

    /// The header.
    pub(crate) fn header(&self) -> &HeaderValue {
        &self.0
    }

    /// The token.
    pub(crate) fn expose_secret(&self) -> &str {
        self.0.to_str().ok().and_then(|header| header.strip_prefix(BEARER)).unwrap_or_default()
    }
}

/// As it is kept, which is never but sealed.
impl Serialize for Access {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.expose_secret().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Access {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let token = String::deserialize(deserializer)?;
        Self::new(&token).ok_or_else(|| de::Error::custom("a token cannot be sent"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl From<&str> for Access {
        fn from(token: &str) -> Self {
            Self::new(token).unwrap()
        }
    }

    #[test]
    fn a_token_is_written_once_and_never_shown() {
        let access = Access::from("hunter2");
        assert_eq!(
            (access.header().to_str().unwrap(), access.expose_secret()),
            ("Bearer hunter2", "hunter2")
        );
        let bytes = |access: &Access| access.header().clone().as_bytes().as_ptr();
        assert_eq!(bytes(&access), bytes(&access.clone()), "the same bytes for every call");
        assert!(!format!("{access:?}").contains("hunter2"));
        let kept = serde_json::to_string(&access).unwrap();
        assert_eq!((&*kept, serde_json::from_str::<Access>(&kept).unwrap()), (r#""hunter2""#, access));
        for token in ["a\nb", "\u{e9}"] {
            assert!(Access::new(token).is_none(), "{token:?}");
        }
    }
}
