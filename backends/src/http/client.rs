//! The HTTP client to backends: one small trait, and the two real things behind it.

mod body;
mod hyper;
mod roots;
mod wire;

pub(crate) use body::Body;

use crate::BackendError;
use ::http::header::{CONTENT_TYPE, HeaderMap};
use ::http::{HeaderValue, Uri};
use bytes::Bytes;
use std::time::Duration;
use weir_protocol::headers;

/// What every request to a backend accepts.
const ACCEPT: &str = "application/json, text/event-stream";
/// What weir calls itself.
const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));
/// An unused connection is kept this long.
const IDLE: Duration = Duration::from_secs(30);
/// The other end of a silent connection is asked for a sign of life after so long, then as often as this, and is taken
/// for dead after so many questions. Nothing else shows that the server of a silent event stream is gone.
const KEEPALIVE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
/// Unused connections that one thread keeps to one backend.
const IDLE_CONNECTIONS: usize = 256;

/// The methods that MCP needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Post,
    Get,
    Delete,
}

/// One request to a backend.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) verb: Verb,
    /// Headers beside those that every request to the backend has.
    pub(crate) headers: Vec<(&'static str, HeaderValue)>,
    pub(crate) body: Bytes,
}

/// What an answer's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    EventStream,
    Other,
}

/// The head of an answer, and its body still to be read.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) media: Media,
    /// `Mcp-Session-Id`.
    pub(crate) session: Option<HeaderValue>,
    pub(crate) body: Body,
}

impl Incoming {
    /// Whether the status is one of success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What the rest of the crate asks of an HTTP client: one request, one answer, no redirects. Dropping the future or the
/// body before its end closes the connection, or resets its stream.
pub(crate) trait HttpClient {
    fn send(&self, request: Outgoing) -> impl Future<Output = Result<Incoming, BackendError>> + Send;
}

/// Plain HTTP/1.1 is written and read by weir itself, since its cost is a good part of a call's; TLS and HTTP/2 are left
/// to hyper.
#[derive(Debug)]
pub(crate) enum Client {
    Wire(wire::WireClient),
    Hyper(hyper::HyperClient),
}

impl Client {
    /// A client for one backend; `headers` are the configured ones. No connection is opened yet.
    pub(crate) fn new(
        http: &weir_config::HttpBackend,
        uri: &Uri,
        headers: &HeaderMap,
        connect: Duration,
    ) -> Result<Self, BackendError> {
        if http.url.scheme() == "http" && !http.http2 {
            return Ok(Self::Wire(wire::WireClient::new(uri, headers, connect)?));
        }
        Ok(Self::Hyper(hyper::HyperClient::new(http, uri, headers, connect)?))
    }
}

impl HttpClient for Client {
    async fn send(&self, request: Outgoing) -> Result<Incoming, BackendError> {
        match self {
            Self::Wire(client) => client.send(request).await,
            Self::Hyper(client) => client.send(request).await,
        }
    }
}

/// What a `Content-Type` names.
fn media(content_type: Option<&[u8]>) -> Media {
    let value = content_type.unwrap_or_default();
    let media = value.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    if media.eq_ignore_ascii_case(b"application/json") {
        Media::Json
    } else if media.eq_ignore_ascii_case(b"text/event-stream") {
        Media::EventStream
    } else {
        Media::Other
    }
}

/// The parts of a head that MCP reads, from a whole header map.
fn of_map(status: u16, map: &HeaderMap, body: Body) -> Incoming {
    let media = media(map.get(CONTENT_TYPE).map(HeaderValue::as_bytes));
    Incoming { status, media, session: map.get(headers::SESSION_ID).cloned(), body }
}

/// The innermost cause: the outer layers only say that something failed.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
