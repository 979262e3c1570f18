//! `_meta`: what weir reads of it, and rebuilding it for the next hop.
//!
//! S: MCP 2026-07-28 `basic/index` "`_meta`"; 2025-11-25 `basic/utilities/progress`.

use crate::members::{self, Member};
use crate::object::Object;
use crate::scan::{KeySeed, fill};
use crate::{EnvelopeError, Span, Splice};
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// Key of the revision that a modern request is written in.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// Key of what a modern client can do.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// Key of who the modern client says it is.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// Key of the log level that a modern request asks for.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// Key of who the modern server says it is.
pub const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// Key of the `subscriptions/listen` request that a notification belongs to.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";

/// Key of the task that a legacy message belongs to (2025-11-25 `basic/utilities/tasks` "Related Task Metadata").
pub const RELATED_TASK: &str = "io.modelcontextprotocol/related-task";

/// The members of a `_meta` object that weir reads.
#[derive(Debug, Clone, Default)]
pub struct Meta {
    /// Right behind the `{`.
    pub start: usize,
    /// `progressToken`.
    pub progress_token: Option<Span>,
    /// [`PROTOCOL_VERSION`].
    pub protocol_version: Option<Span>,
    /// [`CLIENT_CAPABILITIES`].
    pub client_capabilities: Option<Span>,
    /// [`SERVER_INFO`].
    pub server_info: Option<Span>,
    /// [`LOG_LEVEL`].
    pub log_level: Option<Span>,
    subscription: Option<Member>,
    members: usize,
    hop: [Option<Member>; 5],
}

impl Meta {
    /// Reads the object at `span` of `body`.
    pub fn parse(body: &[u8], span: Span) -> Result<Self, EnvelopeError> {
        let source = span.text(body);
        let mut deserializer = serde_json::Deserializer::from_str(source);
        let mut meta = deserializer.deserialize_map(MetaVisitor { source, offset: span.start() })?;
        meta.start = span.start() + 1;
        Ok(meta)
    }

    /// Takes out the keys that describe the hop from the client: what a modern one says of itself, and the task, which the
    /// server knows by another id.
    pub fn strip_hop(&self, splice: &mut Splice<'_>, body: &[u8]) {
        let mut gone: Vec<Member> = self.hop.iter().flatten().copied().collect();
        members::delete(splice, body, self.start, &mut gone);
    }

    /// Takes out the id of the subscription that a notification belongs to.
    pub fn strip_subscription(&self, splice: &mut Splice<'_>, body: &[u8]) {
        let mut gone: Vec<Member> = self.subscription.into_iter().collect();
        members::delete(splice, body, self.start, &mut gone);
    }

    /// Writes `id`, raw JSON, as that of the subscription that a notification belongs to.
    pub fn stamp_subscription(&self, splice: &mut Splice<'_>, id: &[u8]) {
        match self.subscription {
            Some(member) => drop(splice.replace(member.value, id.to_vec())),
            None => {
                let separator = if self.is_empty() { "" } else { "," };
                let id = String::from_utf8_lossy(id);
                splice.insert(self.start, format!("\"{SUBSCRIPTION_ID}\":{id}{separator}").into_bytes());
            }
        }
    }

    /// Raw JSON of the id of the subscription that a notification belongs to.
    pub fn subscription(&self) -> Option<Span> {
        self.subscription.map(|member| member.value)
    }

    /// Takes out the task that a message belongs to.
    pub fn strip_related(&self, splice: &mut Splice<'_>, body: &[u8]) {
        let [.., related] = &self.hop;
        let mut gone: Vec<Member> = related.iter().copied().collect();
        members::delete(splice, body, self.start, &mut gone);
    }

    /// Where the id of the task stands that a message belongs to, as raw JSON.
    pub fn related_task(&self, body: &[u8]) -> Option<Span> {
        let [.., related] = &self.hop;
        let source = std::str::from_utf8(body).ok()?;
        let task = Object::read(source, related.as_ref()?.value).ok()?;
        task.get("taskId").map(|field| field.value())
    }

    /// Whether it names a task that the message belongs to, by whatever id.
    pub fn is_related(&self) -> bool {
        let [.., related] = &self.hop;
        related.is_some()
    }

    /// Whether the object has no members.
    pub fn is_empty(&self) -> bool {
        self.members == 0
    }

    /// Whether nothing remains once [`Meta::strip_hop`] has run.
    pub fn is_only_hop(&self) -> bool {
        self.members == self.hop.iter().flatten().count()
    }
}

struct MetaVisitor<'de> {
    source: &'de str,
    offset: usize,
}

impl<'de> Visitor<'de> for MetaVisitor<'de> {
    type Value = Meta;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`_meta` as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut meta = Meta::default();
        let mut after = self.offset + 1;
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let raw: &RawValue = map.next_value()?;
            let value = Span::within(self.source, raw.get()).shifted(self.offset);
            let member = Member::new(after, value);
            after = value.end();
            meta.members += 1;
            let [version, capabilities, info, level, related] = &mut meta.hop;
            match &*key.text {
                "progressToken" => fill(&mut meta.progress_token, value, "progressToken")?,
                SERVER_INFO => fill(&mut meta.server_info, value, SERVER_INFO)?,
                PROTOCOL_VERSION => {
                    fill(&mut meta.protocol_version, value, PROTOCOL_VERSION)?;
                    *version = Some(member);
                }
                CLIENT_CAPABILITIES => {
                    fill(&mut meta.client_capabilities, value, CLIENT_CAPABILITIES)?;
                    *capabilities = Some(member);
                }
                CLIENT_INFO => fill(info, member, CLIENT_INFO)?,
                LOG_LEVEL => {
                    fill(&mut meta.log_level, value, LOG_LEVEL)?;
                    *level = Some(member);
                }
                RELATED_TASK => fill(related, member, RELATED_TASK)?,
                SUBSCRIPTION_ID => fill(&mut meta.subscription, member, SUBSCRIPTION_ID)?,
                _ => {}
            }
        }
        Ok(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hop_keys_go_and_the_rest_stays() {
        let body = br#"{"a":1,"io.modelcontextprotocol/protocolVersion":"2026-07-28", "traceparent":"00-x",
            "io.modelcontextprotocol/clientCapabilities":{},"progressToken":"p"}"#;
        let meta = Meta::parse(body, Span::new(0, body.len())).unwrap();
        assert!(!meta.is_only_hop());
        let mut splice = Splice::new(body);
        meta.strip_hop(&mut splice, body);
        assert_eq!(
            std::str::from_utf8(&splice.finish()).unwrap(),
            r#"{"a":1, "traceparent":"00-x","progressToken":"p"}"#
        );
        let notice = br#"{"x":1,"io.modelcontextprotocol/subscriptionId":7}"#;
        let meta = Meta::parse(notice, Span::new(0, notice.len())).unwrap();
        let edit = |change: &dyn Fn(&mut Splice<'_>)| {
            let mut splice = Splice::new(notice);
            change(&mut splice);
            String::from_utf8(splice.finish().to_vec()).unwrap()
        };
        assert_eq!(edit(&|splice| meta.strip_subscription(splice, notice)), r#"{"x":1}"#);
        assert_eq!(
            edit(&|splice| meta.stamp_subscription(splice, b"\"s\"")),
            r#"{"x":1,"io.modelcontextprotocol/subscriptionId":"s"}"#
        );
        let related = br#"{"a":1,"io.modelcontextprotocol/related-task":{"x":{},"taskId":"t"},"b":2}"#;
        let meta = Meta::parse(related, Span::new(0, related.len())).unwrap();
        assert_eq!(meta.related_task(related).unwrap().of(related), b"\"t\"");
        for strip in [Meta::strip_related, Meta::strip_hop] {
            let mut splice = Splice::new(related);
            strip(&meta, &mut splice, related);
            assert_eq!(splice.finish(), r#"{"a":1,"b":2}"#);
        }
        let twice = br#"{"progressToken":1,"progressToken":2}"#;
        assert!(Meta::parse(twice, Span::new(0, twice.len())).is_err());
    }
}
