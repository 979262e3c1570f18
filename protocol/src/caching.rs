//! Caching hints: how long a result may be taken for fresh, and by whom.
//!
//! S: MCP 2026-07-28 `server/utilities/caching`.

use crate::{ResultHead, json};

/// What a cacheable result says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hint {
    /// `ttlMs`: how many milliseconds it is fresh; 0 where it says nothing that can be understood.
    pub ttl_ms: u64,
    /// `cacheScope` is `public`: it is the same for every caller. Whatever else it says means one caller.
    pub public: bool,
}

impl Hint {
    /// The members of a result that say this, without braces.
    pub fn members(self) -> String {
        let scope = if self.public { "public" } else { "private" };
        format!(r#""ttlMs":{},"cacheScope":"{scope}""#, self.ttl_ms)
    }
}

impl ResultHead {
    /// The caching hints of the result in `body`.
    pub fn hint(&self, body: &[u8]) -> Hint {
        let digits = |raw: &str| raw.bytes().all(|byte| byte.is_ascii_digit());
        let ttl = self.ttl_ms.map(|member| member.value.text(body)).filter(|raw| digits(raw));
        Hint {
            // More than fits is as good as for ever.
            ttl_ms: ttl.map_or(0, |raw| raw.parse().unwrap_or(u64::MAX)),
            public: self
                .cache_scope
                .is_some_and(|member| json::as_str(member.value.of(body)).as_deref() == Some("public")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Envelope;

    #[test]
    fn hints_are_read_and_written() {
        let hint = |members: &str| {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{members}}}}}"#);
            Envelope::parse(body.as_bytes()).unwrap().result.unwrap().hint(body.as_bytes())
        };
        assert_eq!(hint(""), Hint::default());
        let public = Hint { ttl_ms: 5, public: true };
        assert_eq!(hint(&public.members()), public);
        assert_eq!(hint(&Hint::default().members()), Hint::default());
        for (raw, ttl_ms) in [
            ("-1", 0),
            ("1.5", 0),
            ("3e5", 0),
            ("\"5\"", 0),
            ("null", 0),
            ("99999999999999999999999999", u64::MAX),
        ] {
            assert_eq!(
                hint(&format!(r#""ttlMs":{raw},"cacheScope":"mine""#)),
                Hint { ttl_ms, public: false }
            );
        }
    }
}
