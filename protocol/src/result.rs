//! Results: what weir reads of them, and giving them the form that the other era wants.

use crate::members::{self, Member};
use crate::scan::{KeySeed, fill, plain};
use crate::{EnvelopeError, Meta, Span, Splice, json, meta};
use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The members of a result that weir reads.
#[derive(Debug, Clone, Default)]
pub struct ResultHead {
    /// Right behind the `{` of the result.
    pub start: usize,
    /// Whether the result has no members at all.
    pub is_empty: bool,
    /// `resultType` (2026-07-28).
    pub result_type: Option<Member>,
    /// `ttlMs` (2026-07-28).
    pub ttl_ms: Option<Member>,
    /// `cacheScope` (2026-07-28).
    pub cache_scope: Option<Member>,
    /// `_meta`.
    pub meta: Option<Member>,
    /// `nextCursor` of a list.
    pub next_cursor: Option<Member>,
    /// The items of a list: `tools`, `prompts`, `resources` or `resourceTemplates`.
    pub items: Option<Member>,
    /// `protocolVersion` of `initialize`.
    pub protocol_version: Option<Member>,
    /// `supportedVersions` of `server/discover`.
    pub supported_versions: Option<Member>,
    /// `capabilities` of both.
    pub capabilities: Option<Member>,
    /// `instructions` of both.
    pub instructions: Option<Member>,
}

/// What a result says of itself (2026-07-28 `basic/index` "Result types").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultType {
    /// The request is done.
    Complete,
    /// The server needs input before it can go on.
    InputRequired,
    /// A value that weir does not know; to be treated as invalid.
    Unknown,
}

impl ResultHead {
    /// What the result says of itself; absent means complete.
    pub fn result_type(&self, body: &[u8]) -> ResultType {
        match self.result_type.map(|member| member.value.of(body)) {
            None => ResultType::Complete,
            Some(raw) => match json::as_str(raw).as_deref() {
                Some("complete") => ResultType::Complete,
                Some("input_required") => ResultType::InputRequired,
                _ => ResultType::Unknown,
            },
        }
    }

    /// Takes out what only a modern client understands.
    pub fn make_legacy(&self, splice: &mut Splice<'_>, body: &[u8]) {
        let mut gone: Vec<Member> =
            [self.result_type, self.ttl_ms, self.cache_scope].into_iter().flatten().collect();
        members::delete(splice, body, self.start, &mut gone);
    }

    /// Puts in what a modern client must find: `resultType`; where `cacheable`, the caching hints with the values that
    /// forbid caching (2026-07-28 `server/utilities/caching`); and who answers, in place of what the backend says of
    /// itself. `server_info` is a raw JSON object.
    ///
    /// # Errors
    /// `_meta` is no object or repeats a key.
    pub fn make_modern<'a>(
        &self,
        splice: &mut Splice<'a>,
        body: &[u8],
        cacheable: bool,
        server_info: &'a str,
    ) -> Result<(), EnvelopeError> {
        let mut added = String::with_capacity(192);
        if self.result_type.is_none() {
            added.push_str("\"resultType\":\"complete\",");
        }
        if cacheable && self.ttl_ms.is_none() {
            added.push_str("\"ttlMs\":0,");
        }
        if cacheable && self.cache_scope.is_none() {
            added.push_str("\"cacheScope\":\"private\",");
        }
        match self.meta {
            None => {
                for part in ["\"_meta\":{\"", meta::SERVER_INFO, "\":", server_info, "},"] {
                    added.push_str(part);
                }
            }
            Some(member) => {
                let meta = Meta::parse(body, member.value)?;
                match meta.server_info {
                    Some(span) => splice.replace(span, server_info.as_bytes()),
                    None => {
                        let separator = if meta.is_empty() { "" } else { "," };
                        let member = format!("\"{}\":{server_info}{separator}", meta::SERVER_INFO);
                        splice.insert(meta.start, member.into_bytes())
                    }
                };
            }
        }
        if self.is_empty {
            added.pop();
        }
        if !added.is_empty() {
            splice.insert(self.start, added.into_bytes());
        }
        Ok(())
    }
}

pub(crate) struct ResultSeed<'de> {
    pub(crate) source: &'de str,
    /// Right behind the `{`; `None` where the key is written with escapes.
    pub(crate) start: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for ResultSeed<'de> {
    type Value = ResultHead;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ResultSeed<'de> {
    type Value = ResultHead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`result` as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let start = plain(self.start, "result")?;
        let mut head = ResultHead { start, is_empty: true, ..ResultHead::default() };
        let mut after = start;
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let raw: &RawValue = map.next_value()?;
            let value = Span::within(self.source, raw.get());
            let member = Member::new(after, value);
            head.is_empty = false;
            after = value.end();
            let slot = match &*key.text {
                "resultType" => &mut head.result_type,
                "ttlMs" => &mut head.ttl_ms,
                "cacheScope" => &mut head.cache_scope,
                "_meta" => &mut head.meta,
                "nextCursor" => &mut head.next_cursor,
                "tools" | "prompts" | "resources" | "resourceTemplates" => &mut head.items,
                "protocolVersion" => &mut head.protocol_version,
                "supportedVersions" => &mut head.supported_versions,
                "capabilities" => &mut head.capabilities,
                "instructions" => &mut head.instructions,
                _ => continue,
            };
            fill(slot, member, &key.text)?;
        }
        Ok(head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Envelope;

    fn legacy(body: &str) -> String {
        let head = Envelope::parse(body.as_bytes()).unwrap().result.unwrap();
        let mut splice = Splice::new(body.as_bytes());
        head.make_legacy(&mut splice, body.as_bytes());
        String::from_utf8(splice.finish().to_vec()).unwrap()
    }

    fn modern(body: &str, cacheable: bool) -> String {
        let head = Envelope::parse(body.as_bytes()).unwrap().result.unwrap();
        let mut splice = Splice::new(body.as_bytes());
        head.make_modern(&mut splice, body.as_bytes(), cacheable, "{}").unwrap();
        String::from_utf8(splice.finish().to_vec()).unwrap()
    }

    #[test]
    fn results_change_era() {
        let body = r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"complete","ttlMs":5,"content":[],"cacheScope":"public"}}"#;
        assert_eq!(legacy(body), r#"{"jsonrpc":"2.0","id":1,"result":{"content":[]}}"#);
        let body = r#"{"jsonrpc":"2.0","id":1,"result":{"content":[],"z":1}}"#;
        assert_eq!(legacy(body), body);
        let meta = r#""_meta":{"io.modelcontextprotocol/serverInfo":{}}"#;
        assert_eq!(
            modern(body, true),
            format!(
                r#"{{"jsonrpc":"2.0","id":1,"result":{{"resultType":"complete","ttlMs":0,"cacheScope":"private",{meta},"content":[],"z":1}}}}"#
            )
        );
        assert_eq!(
            modern(r#"{"jsonrpc":"2.0","id":1,"result": { }}"#, false),
            format!(r#"{{"jsonrpc":"2.0","id":1,"result": {{"resultType":"complete",{meta} }}}}"#)
        );
        let theirs = r#"{"result":{"_meta":{"a":1,"io.modelcontextprotocol/serverInfo":{"name":"x"}},"resultType":"complete"},"jsonrpc":"2.0","id":1}"#;
        assert_eq!(modern(theirs, false), theirs.replace(r#"{"name":"x"}"#, "{}"));
        let other = r#"{"result":{"_meta":{},"resultType":"complete"},"jsonrpc":"2.0","id":1}"#;
        assert_eq!(modern(other, false), other.replace(r#""_meta":{}"#, meta));
    }

    #[test]
    fn unknown_result_types_are_told_apart() {
        let answer = |body: &str| {
            Envelope::parse(body.as_bytes()).unwrap().result.unwrap().result_type(body.as_bytes())
        };
        assert_eq!(answer(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), ResultType::Complete);
        assert_eq!(
            answer(r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"input_required"}}"#),
            ResultType::InputRequired
        );
        assert_eq!(answer(r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":"task"}}"#), ResultType::Unknown);
        assert_eq!(answer(r#"{"jsonrpc":"2.0","id":1,"result":{"resultType":null}}"#), ResultType::Unknown);
    }
}
