//! The HTTP client to backends: one small trait, and the two real things behind it.

mod body;
mod hyper;
mod wire;

pub(crate) use body::Body;

use crate::BackendError;
use crate::Challenge;
use crate::credentials::Party;
use ::http::header::{CONTENT_TYPE, HeaderMap, WWW_AUTHENTICATE};
use ::http::{HeaderValue, Uri};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::headers;

/// What every request to a backend accepts.
const ACCEPT: &str = "application/json, text/event-stream";
/// The media types of icons, and what the request for one accepts.
const IMAGES: [&str; 5] = ["image/png", "image/jpeg", "image/svg+xml", "image/webp", "image/gif"];
const ACCEPT_IMAGES: &str = "image/png, image/jpeg, image/svg+xml, image/webp, image/gif";
/// What weir calls itself.
pub(crate) const USER_AGENT: &str = concat!("weir/", env!("CARGO_PKG_VERSION"));
/// An unused connection is kept this long.
const IDLE: Duration = Duration::from_secs(30);
/// Unused connections that one thread keeps to one backend.
const IDLE_CONNECTIONS: usize = 256;

/// The methods that MCP needs, and what icons need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Post,
    Get,
    Delete,
    /// A GET for an image, without the configured headers: they are meant for MCP, and may be secrets.
    GetImage,
}

/// One request to a backend.
#[derive(Debug)]
pub(crate) struct Outgoing {
    pub(crate) verb: Verb,
    /// Headers beside those that every request to the backend has.
    pub(crate) headers: Vec<(&'static str, HeaderValue)>,
    /// Headers that mirror arguments, and those of the caller that are passed on, names in lower case.
    pub(crate) mirrored: Vec<(String, HeaderValue)>,
    /// With whose credential it goes.
    pub(crate) party: Party,
    /// Path and query in place of those of the backend's URL.
    pub(crate) path: Option<Arc<str>>,
    pub(crate) body: Bytes,
}

impl Outgoing {
    /// A request to the backend's URL.
    pub(crate) fn new(verb: Verb, headers: Vec<(&'static str, HeaderValue)>, body: Bytes) -> Self {
        Self { verb, headers, mirrored: Vec::new(), party: Party::Weir, path: None, body }
    }

    /// The same, on behalf of `party`.
    pub(crate) fn of(self, party: Party) -> Self {
        Self { party, ..self }
    }
}

/// What an answer's body is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Media {
    Json,
    EventStream,
    /// An image of this media type.
    Image(&'static str),
    Other,
}

/// The head of an answer, and its body still to be read.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) status: u16,
    pub(crate) media: Media,
    /// `Mcp-Session-Id`.
    pub(crate) session: Option<HeaderValue>,
    /// `WWW-Authenticate`, as often as it is there, where it refuses who asks.
    pub(crate) challenges: Vec<HeaderValue>,
    pub(crate) body: Body,
}

impl Incoming {
    /// What the server wants to be shown, where it says so.
    pub(crate) fn challenge(&self) -> Option<Challenge> {
        Challenge::of(self.challenges.iter().map(HeaderValue::as_bytes))
    }

    /// Whether the status is one of success.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

/// What the rest of the crate asks of an HTTP client: one request, one answer, no redirects. Dropping the future or the
/// body before its end closes the connection, or resets its stream.
pub(crate) trait HttpClient {
    fn send(&self, request: &Outgoing) -> impl Future<Output = Result<Incoming, BackendError>> + Send;
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

    /// Closes the unused connections of this thread: one of them may be out of step, so that each answer on it would be
    /// taken for the one to the next request.
    pub(crate) fn forget_unused(&self) {
        match self {
            Self::Wire(client) => client.forget_unused(),
            Self::Hyper(client) => client.forget_unused(),
        }
    }
}

impl HttpClient for Client {
    async fn send(&self, request: &Outgoing) -> Result<Incoming, BackendError> {
        match self {
            Self::Wire(client) => client.send(request).await,
            Self::Hyper(client) => client.send(request).await,
        }
    }
}

/// Whether a status refuses who asks, so that the answer says what would be accepted.
fn is_challenge(status: u16) -> bool {
    matches!(status, 401 | 403)
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
        let image = IMAGES.into_iter().find(|known| media.eq_ignore_ascii_case(known.as_bytes()));
        image.map_or(Media::Other, Media::Image)
    }
}

/// The parts of a head that MCP reads, from a whole header map.
fn of_map(status: u16, map: &HeaderMap, body: Body) -> Incoming {
    let media = media(map.get(CONTENT_TYPE).map(HeaderValue::as_bytes));
    let challenges = match is_challenge(status) {
        true => map.get_all(WWW_AUTHENTICATE).iter().cloned().collect(),
        false => Vec::new(),
    };
    Incoming { status, media, session: map.get(headers::SESSION_ID).cloned(), challenges, body }
}

/// The innermost cause: the outer layers only say that something failed.
fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}
