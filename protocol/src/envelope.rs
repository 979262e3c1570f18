//! One JSON-RPC message, read in one borrowed pass: the whole document is validated, duplicate keys are refused where
//! weir reads, as are keys that differ from such a one in case alone, and what weir needs is kept as byte spans.

use crate::result::{ResultHead, ResultSeed};
use crate::scan::{KeySeed, fill, object_start, pass, plain, take};
use crate::{Meta, Method, Span, code, json};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, Visitor};
use std::borrow::Cow;
use std::fmt;

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A method with an id.
    Request,
    /// A method without an id.
    Notification,
    /// A result or an error.
    Response,
}

/// The head of one message: spans into the bytes it was read from.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// What it is.
    pub kind: Kind,
    /// The raw id: a JSON string or integer. Always there on a request; on a response absent where it was `null`.
    pub id: Option<Span>,
    /// The method, quotes included.
    pub method: Option<Span>,
    /// The parameters.
    pub params: Option<Params>,
    /// The result of a response.
    pub result: Option<Box<ResultHead>>,
    /// The error object of a response.
    pub error: Option<Span>,
}

/// The parameters that weir reads, as spans of raw JSON.
#[derive(Debug, Clone, Default)]
pub struct Params {
    /// Right behind the `{` of the parameters.
    pub start: usize,
    /// `name`: of a tool or prompt.
    pub name: Option<Span>,
    /// `uri`: of a resource.
    pub uri: Option<Span>,
    /// `arguments`.
    pub arguments: Option<Span>,
    /// `_meta`.
    pub meta: Option<Span>,
    /// `cursor`.
    pub cursor: Option<Span>,
    /// `ref`: what a completion is for.
    pub reference: Option<Span>,
    /// `requestId`: which request is cancelled.
    pub request_id: Option<Span>,
    /// `progressToken` of a progress notification.
    pub progress_token: Option<Span>,
    /// `protocolVersion` of `initialize`.
    pub protocol_version: Option<Span>,
    /// `clientInfo` of `initialize`.
    pub client_info: Option<Span>,
    /// `notifications`: the filter of `subscriptions/listen`.
    pub notifications: Option<Span>,
    /// `level`: of `logging/setLevel` and of a log message.
    pub level: Option<Span>,
    /// `capabilities` of `initialize`.
    pub capabilities: Option<Span>,
    /// `inputResponses`: what a client was asked for (2026-07-28 `basic/patterns/mrtr`).
    pub input_responses: Option<Span>,
    /// `requestState`, which goes back to the server that wrote it.
    pub request_state: Option<Span>,
    /// `task`: that a legacy server is to carry the call out as a task (2025-11-25 `basic/utilities/tasks`).
    pub task: Option<Span>,
    /// `taskId`.
    pub task_id: Option<Span>,
}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    /// They are not JSON.
    #[error("the message is not valid JSON: {0}")]
    Syntax(String),
    /// They are JSON, but no JSON-RPC message that weir accepts.
    #[error("the message is not a valid JSON-RPC message: {0}")]
    Shape(String),
}

impl EnvelopeError {
    /// The JSON-RPC error code that says so.
    pub fn code(&self) -> i32 {
        match self {
            Self::Syntax(_) => code::PARSE_ERROR,
            Self::Shape(_) => code::INVALID_REQUEST,
        }
    }
}

impl From<serde_json::Error> for EnvelopeError {
    fn from(error: serde_json::Error) -> Self {
        match error.classify() {
            serde_json::error::Category::Data => Self::Shape(error.to_string()),
            _ => Self::Syntax(error.to_string()),
        }
    }
}

impl Envelope {
    /// Reads one message. `body` may be pretty-printed; it must hold nothing behind the message but white space.
    pub fn parse(body: &[u8]) -> Result<Self, EnvelopeError> {
        let source = std::str::from_utf8(body).map_err(|error| EnvelopeError::Syntax(error.to_string()))?;
        if source.trim_start().starts_with('[') {
            // Validate it all the same: broken JSON is reported as such.
            serde_json::from_str::<serde::de::IgnoredAny>(source)?;
            return Err(EnvelopeError::Shape(
                "batches are not accepted, send one message per request".into(),
            ));
        }
        let mut deserializer = serde_json::Deserializer::from_str(source);
        let raw = EnvelopeSeed { source }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        raw.check(source)
    }

    /// The method; [`Method::Unknown`] for a response.
    pub fn method(&self, body: &[u8]) -> Method {
        self.method_name(body).map_or(Method::Unknown, |name| Method::parse(&name))
    }

    /// The method's text.
    pub fn method_name<'a>(&self, body: &'a [u8]) -> Option<Cow<'a, str>> {
        json::as_str(self.method?.of(body))
    }

    /// What weir reads of `params._meta`; `None` where there is none.
    pub fn meta(&self, body: &[u8]) -> Result<Option<Meta>, EnvelopeError> {
        match self.params.as_ref().and_then(|params| params.meta) {
            Some(span) => Meta::parse(body, span).map(Some),
            None => Ok(None),
        }
    }
}

#[derive(Default)]
struct RawEnvelope {
    jsonrpc: Option<Span>,
    id: Option<Span>,
    method: Option<Span>,
    /// `null`, which some servers write for what is absent, is present and nothing.
    params: Option<Option<Params>>,
    result: Option<Option<Box<ResultHead>>>,
    error: Option<Span>,
}

impl RawEnvelope {
    fn check(self, source: &str) -> Result<Envelope, EnvelopeError> {
        let body = source.as_bytes();
        let shape = |text: &str| Err(EnvelopeError::Shape(text.to_owned()));
        if self.jsonrpc.is_none_or(|span| span.of(body) != b"\"2.0\"") {
            return shape("`jsonrpc` must be \"2.0\"");
        }
        if self.method.is_some_and(|span| json::as_str(span.of(body)).is_none()) {
            return shape("`method` must be a string");
        }
        let is_null = |span: &Span| span.of(body) == b"null";
        let (params, result) = (self.params.flatten(), self.result.flatten());
        let error = self.error.filter(|span| !is_null(span));
        let null_id = self.id.as_ref().is_some_and(is_null);
        let kind = match (self.method, self.id, result.is_some(), error.is_some()) {
            (Some(_), Some(_), false, false) => Kind::Request,
            (Some(_), None, false, false) => Kind::Notification,
            (None, _, true, false) | (None, _, false, true) => Kind::Response,
            (None, _, true, true) => return shape("a response has either `result` or `error`, not both"),
            (Some(_), ..) => return shape("a message with `method` has neither `result` nor `error`"),
            (None, _, false, false) => return shape("a message has a `method`, a `result` or an `error`"),
        };
        if let Some(id) = self.id
            && !(null_id && kind == Kind::Response)
            && !is_id(id.of(body))
        {
            return shape("`id` must be a string or an integer of at most 1024 bytes");
        }
        let id = self.id.filter(|_| !null_id);
        Ok(Envelope { kind, id, method: self.method, params, result, error })
    }
}

/// Whether raw JSON is an id: a string or an integer (JSON-RPC 2.0 section 4, narrowed by MCP `basic/index`).
fn is_id(raw: &[u8]) -> bool {
    match raw.first() {
        _ if raw.len() > 1024 => false,
        Some(b'"') => json::as_str(raw).is_some(),
        Some(b'-' | b'0'..=b'9') => !raw.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')),
        _ => false,
    }
}

/// The keys that weir reads of a message.
const KEYS: [&str; 6] = ["jsonrpc", "id", "method", "params", "result", "error"];

/// The keys that weir reads of its parameters.
const PARAMS: [&str; 17] = [
    "name",
    "uri",
    "arguments",
    "_meta",
    "cursor",
    "ref",
    "requestId",
    "progressToken",
    "protocolVersion",
    "clientInfo",
    "notifications",
    "level",
    "capabilities",
    "inputResponses",
    "requestState",
    "task",
    "taskId",
];

struct EnvelopeSeed<'de> {
    source: &'de str,
}

impl<'de> DeserializeSeed<'de> for EnvelopeSeed<'de> {
    type Value = RawEnvelope;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for EnvelopeSeed<'de> {
    type Value = RawEnvelope;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON-RPC message, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut raw = RawEnvelope::default();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            match &*key.text {
                "jsonrpc" => take(&mut map, self.source, &mut raw.jsonrpc, "jsonrpc")?,
                "id" => take(&mut map, self.source, &mut raw.id, "id")?,
                "method" => take(&mut map, self.source, &mut raw.method, "method")?,
                "error" => take(&mut map, self.source, &mut raw.error, "error")?,
                "params" => {
                    let start = object_start(self.source, &key);
                    let params = map.next_value_seed(OrNull(ParamsSeed { source: self.source, start }))?;
                    fill(&mut raw.params, params, "params")?;
                }
                "result" => {
                    let start = object_start(self.source, &key);
                    let result = map.next_value_seed(OrNull(ResultSeed { source: self.source, start }))?;
                    fill(&mut raw.result, result.map(Box::new), "result")?;
                }
                _ => pass(&mut map, &key, &KEYS)?,
            }
        }
        Ok(raw)
    }
}

/// Reads what the seed reads, or `null`.
struct OrNull<S>(S);

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for OrNull<S> {
    type Value = Option<S::Value>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, S: DeserializeSeed<'de>> Visitor<'de> for OrNull<S> {
    type Value = Option<S::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or null")
    }

    fn visit_none<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        self.0.deserialize(deserializer).map(Some)
    }
}

struct ParamsSeed<'de> {
    source: &'de str,
    /// Right behind the `{`; `None` where the key is written with escapes.
    start: Option<usize>,
}

impl<'de> DeserializeSeed<'de> for ParamsSeed<'de> {
    type Value = Params;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for ParamsSeed<'de> {
    type Value = Params;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`params` as an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut params = Params { start: plain(self.start, "params")?, ..Params::default() };
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let slot = match &*key.text {
                "name" => &mut params.name,
                "uri" => &mut params.uri,
                "arguments" => &mut params.arguments,
                "_meta" => &mut params.meta,
                "cursor" => &mut params.cursor,
                "ref" => &mut params.reference,
                "requestId" => &mut params.request_id,
                "progressToken" => &mut params.progress_token,
                "protocolVersion" => &mut params.protocol_version,
                "clientInfo" => &mut params.client_info,
                "notifications" => &mut params.notifications,
                "level" => &mut params.level,
                "capabilities" => &mut params.capabilities,
                "inputResponses" => &mut params.input_responses,
                "requestState" => &mut params.request_state,
                "task" => &mut params.task,
                "taskId" => &mut params.task_id,
                _ => {
                    pass(&mut map, &key, &PARAMS)?;
                    continue;
                }
            };
            take(&mut map, self.source, slot, &key.text)?;
        }
        if params.meta.is_some_and(|meta| self.source.as_bytes().get(meta.start()) != Some(&b'{')) {
            return Err(A::Error::custom("`params._meta` must be an object"));
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests;
