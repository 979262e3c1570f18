//! Batches: several messages in one JSON array, as the revision 2025-03-26 has them.
//!
//! S: JSON-RPC 2.0 section 6; MCP 2025-03-26 `basic/transports`.

use crate::{EnvelopeError, Span};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// Whether a body holds an array, and so cannot be a single message.
pub fn is_batch(body: &[u8]) -> bool {
    body.iter().find(|byte| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r')) == Some(&b'[')
}

/// The spans of a batch's elements, in one pass that validates the whole array. What an element is, be it a message or not,
/// shows when it is read.
///
/// # Errors
/// The body is no JSON array, the array is empty, or it has more than `limit` elements.
pub fn split(body: &[u8], limit: usize) -> Result<Vec<Span>, EnvelopeError> {
    let source = std::str::from_utf8(body).map_err(|error| EnvelopeError::Syntax(error.to_string()))?;
    let mut deserializer = serde_json::Deserializer::from_str(source);
    let spans = deserializer.deserialize_seq(Elements { source, limit })?;
    deserializer.end()?;
    if spans.is_empty() {
        return Err(EnvelopeError::Shape("a batch holds at least one message".to_owned()));
    }
    Ok(spans)
}

struct Elements<'de> {
    source: &'de str,
    limit: usize,
}

impl<'de> Visitor<'de> for Elements<'de> {
    type Value = Vec<Span>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a batch, which is an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut spans = Vec::new();
        while let Some(element) = elements.next_element::<Raw<'de>>()? {
            if spans.len() == self.limit {
                let limit = self.limit;
                return Err(A::Error::custom(format_args!("a batch holds at most {limit} messages")));
            }
            spans.push(Span::within(self.source, element.0.get()));
        }
        Ok(spans)
    }
}

#[derive(Deserialize)]
#[serde(transparent)]
struct Raw<'a>(#[serde(borrow)] &'a RawValue);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code;

    #[test]
    fn elements_are_found_as_they_stand() {
        let body = " [ {\"a\":[1,2]} ,\n[ ],\"],[\" , 12345678901234567890123]\t";
        assert!(is_batch(body.as_bytes()));
        let spans = split(body.as_bytes(), 4).unwrap();
        let elements: Vec<&str> = spans.iter().map(|span| span.text(body.as_bytes())).collect();
        assert_eq!(elements, ["{\"a\":[1,2]}", "[ ]", "\"],[\"", "12345678901234567890123"]);
    }

    #[test]
    fn what_is_no_batch_is_refused() {
        for (body, code) in [
            ("[1,2,3]", code::INVALID_REQUEST),
            ("[]", code::INVALID_REQUEST),
            (" [ ] ", code::INVALID_REQUEST),
            ("{}", code::INVALID_REQUEST),
            ("[1", code::PARSE_ERROR),
            ("[1,]", code::PARSE_ERROR),
            ("[1] 2", code::PARSE_ERROR),
            ("[{\"a\":}]", code::PARSE_ERROR),
            ("", code::PARSE_ERROR),
        ] {
            assert_eq!(split(body.as_bytes(), 2).unwrap_err().code(), code, "{body}");
        }
        assert_eq!(split(b"[\"\xff\"]", 2).unwrap_err().code(), code::PARSE_ERROR);
        assert!(!is_batch(b"{\"x\":[1]}") && !is_batch(b"  "));
    }

    #[test]
    fn depth_costs_no_stack() {
        let deep = format!("[{}{}]", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(split(deep.as_bytes(), 1).map(|spans| spans.len()).unwrap_or(1), 1);
    }
}
