//! Results: what weir reads of them, and giving them the form that the other era wants.

use crate::members::{self, Member};
use crate::object::{self, Object};
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
    /// `content` of a tool's result.
    pub content: Option<Member>,
    /// `structuredContent` of a tool's result.
    pub structured: Option<Member>,
    /// `inputRequests`: what the server asks of the client (2026-07-28 `basic/patterns/mrtr`).
    pub input_requests: Option<Member>,
    /// `requestState`, which the client sends back with its answers.
    pub request_state: Option<Member>,
    /// `taskId` of a task (2026-07-28 `extensions/tasks`).
    pub task_id: Option<Member>,
    /// `task` of a legacy server (2025-11-25 `basic/utilities/tasks`).
    pub task: Option<Member>,
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

    /// Takes out what only a modern client understands. Before 2026-07-28 structured content is an object; any other goes
    /// as text, where the server did not send that text itself.
    pub fn make_legacy(&self, splice: &mut Splice<'_>, body: &[u8]) {
        let unknown = self.structured.filter(|member| member.value.of(body).first() != Some(&b'{'));
        let mut gone: Vec<Member> =
            [self.result_type, self.ttl_ms, self.cache_scope, unknown].into_iter().flatten().collect();
        if let Some(structured) = unknown.map(|member| member.value.text(body)).filter(|raw| *raw != "null") {
            self.tell_as_text(splice, std::str::from_utf8(body).unwrap_or_default(), structured, gone.len());
        }
        members::delete(splice, body, self.start, &mut gone);
    }

    /// Adds a text block with `structured`, raw JSON, unless there is one that says the same; `gone` members of the result
    /// will not be there any more.
    fn tell_as_text(&self, splice: &mut Splice<'_>, body: &str, structured: &str, gone: usize) {
        let mut block = b"{\"type\":\"text\",\"text\":".to_vec();
        json::write_string(&mut block, structured);
        block.push(b'}');
        let content =
            self.content.and_then(|member| Some((member, object::elements(body, member.value).ok()?)));
        match content {
            Some((_, blocks)) if blocks.iter().any(|at| is_told(body, *at, structured)) => {}
            Some((member, blocks)) => {
                if !blocks.is_empty() {
                    block.insert(0, b',');
                }
                splice.insert(member.value.end() - 1, block);
            }
            // A `content` that is no list is no result of a tool; what to do with it is the client's affair.
            None if self.content.is_some() => {}
            None => {
                let result = Object::read(body, Span::new(self.start.saturating_sub(1), body.len()));
                let alone = result.is_ok_and(|result| result.fields().len() == gone);
                let comma = if alone { &b""[..] } else { b"," };
                splice.insert(self.start, [b"\"content\":[", &block[..], b"]", comma].concat());
            }
        }
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

/// Whether the content block at `at` is text that says `structured`, be it as JSON or, for a string, as it is.
fn is_told(body: &str, at: Span, structured: &str) -> bool {
    let Ok(block) = Object::read(body, at) else {
        return false;
    };
    let string = |key: &str| json::as_str(block.get(key)?.value().of(body.as_bytes()));
    let Some(text) = string("text").filter(|_| string("type").as_deref() == Some("text")) else {
        return false;
    };
    let read = |raw: &str| serde_json::from_str::<serde_json::Value>(raw).ok();
    text == structured
        || json::as_str(structured.as_bytes()).is_some_and(|plain| plain == text)
        || read(&text).is_some_and(|value| Some(value) == read(structured))
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
                "content" => &mut head.content,
                "structuredContent" => &mut head.structured,
                "inputRequests" => &mut head.input_requests,
                "requestState" => &mut head.request_state,
                "taskId" => &mut head.task_id,
                "task" => &mut head.task,
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
    fn structured_content_of_any_kind_becomes_text() {
        let answer = |members: &str| format!(r#"{{"jsonrpc":"2.0","id":1,"result":{{{members}}}}}"#);
        let list = r#""resultType":"complete","structuredContent":[1, {"a":1e2}]"#;
        let told = r#"{"type":"text","text":"[1, {\"a\":1e2}]"}"#;
        for (before, after) in [
            (list.to_owned(), format!(r#""content":[{told}]"#)),
            (format!(r#"{list},"x":1"#), format!(r#""content":[{told}],"x":1"#)),
            (format!(r#"{list},"content":[]"#), format!(r#""content":[{told}]"#)),
            (
                format!(r#"{list},"content":[{{"type":"text","text":"2 items"}} ]"#),
                format!(r#""content":[{{"type":"text","text":"2 items"}} ,{told}]"#),
            ),
            (
                format!(r#""content":[{{"text":"[1,{{\"a\":100.0}}]","type":"text"}}],{list}"#),
                r#""content":[{"text":"[1,{\"a\":100.0}]","type":"text"}]"#.to_owned(),
            ),
            (
                r#""resultType":"complete","structuredContent":"s","content":[{"type":"text","text":"s"}]"#
                    .to_owned(),
                r#""content":[{"type":"text","text":"s"}]"#.to_owned(),
            ),
            (r#""structuredContent":null,"content":[]"#.to_owned(), r#""content":[]"#.to_owned()),
            (r#""structuredContent":{"a":[]}"#.to_owned(), r#""structuredContent":{"a":[]}"#.to_owned()),
            (r#""structuredContent":7,"content":7"#.to_owned(), r#""content":7"#.to_owned()),
        ] {
            assert_eq!(legacy(&answer(&before)), answer(&after));
        }
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
