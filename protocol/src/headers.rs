//! Header names of MCP over HTTP, and the values of those that mirror the body.
//!
//! S: MCP 2026-07-28 `basic/transports/streamable-http` "Request Metadata"; SEP-2243.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::borrow::Cow;

/// The revision a request is written in.
pub const PROTOCOL_VERSION: &str = "mcp-protocol-version";
/// A legacy session.
pub const SESSION_ID: &str = "mcp-session-id";
/// Where a broken stream of a legacy session is taken up again.
pub const LAST_EVENT_ID: &str = "last-event-id";
/// Mirrors `method`.
pub const METHOD: &str = "mcp-method";
/// Mirrors `params.name` or `params.uri`.
pub const NAME: &str = "mcp-name";

const PREFIX: &str = "=?base64?";
const SUFFIX: &str = "?=";

/// Writes a value as a header: plain where it is visible ASCII and spaces inside, else as base64 between markers.
pub fn encode(value: &str) -> Cow<'_, str> {
    let visible = !value.is_empty() && value.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    let padded = value.starts_with(' ') || value.ends_with(' ');
    let marked = value.starts_with(PREFIX) && value.ends_with(SUFFIX);
    let plain = visible && !padded && !marked;
    if plain { value.into() } else { format!("{PREFIX}{}{SUFFIX}", STANDARD.encode(value)).into() }
}

/// Reads a header's value back; `None` where it is base64 that does not decode to UTF-8.
pub fn decode(value: &str) -> Option<Cow<'_, str>> {
    match value.strip_prefix(PREFIX).and_then(|rest| rest.strip_suffix(SUFFIX)) {
        None => Some(value.into()),
        Some(encoded) => String::from_utf8(STANDARD.decode(encoded).ok()?).ok().map(Cow::Owned),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive() {
        let table = [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("", "=?base64??="),
        ];
        for (value, header) in table {
            assert_eq!(encode(value), header);
            assert_eq!(decode(header).as_deref(), Some(value));
        }
        assert_eq!(decode("=?base64?***?="), None);
        assert_eq!(
            decode("=?BASE64?eA==?=").as_deref(),
            Some("=?BASE64?eA==?="),
            "the markers are case-sensitive"
        );
    }
}
