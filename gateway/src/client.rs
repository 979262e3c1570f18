//! The client's side of one HTTP exchange: reading it, answering it, noticing that it is gone.

use crate::cors;
use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER, TRANSFER_ENCODING,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use weir_protocol::headers;

/// How much is written to an HTTP/2 stream at once.
const SLICE: usize = 64 << 10;

/// The client cannot be written to any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// What a client takes as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepts {
    pub(crate) json: bool,
    pub(crate) stream: bool,
}

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    Broken,
}

/// One HTTP exchange with a client.
pub(crate) struct Client<'a> {
    session: &'a mut ServerSession,
    /// The allowed origin, where a browser named one.
    origin: Option<HeaderValue>,
}

impl<'a> Client<'a> {
    pub(crate) fn new(session: &'a mut ServerSession) -> Self {
        Self { session, origin: None }
    }

    pub(crate) fn method(&self) -> &Method {
        &self.session.req_header().method
    }

    pub(crate) fn uri(&self) -> &http::Uri {
        &self.session.req_header().uri
    }

    pub(crate) fn headers(&self) -> &HeaderMap {
        &self.session.req_header().headers
    }

    /// The header's value as text; `None` where it is missing or no visible ASCII.
    pub(crate) fn header(&self, name: impl http::header::AsHeaderName) -> Option<&str> {
        self.headers().get(name)?.to_str().ok()
    }

    /// Answers from now on carry what the browser at this origin asks for.
    pub(crate) fn allow_origin(&mut self, origin: HeaderValue) {
        self.origin = Some(origin);
    }

    /// What the client takes; no `Accept` means anything (RFC 9110 section 12.5.1).
    pub(crate) fn accepts(&self) -> Accepts {
        let mut accepts = Accepts { json: false, stream: false };
        let mut any = false;
        for value in self.headers().get_all(ACCEPT) {
            any = true;
            for range in value.to_str().unwrap_or_default().split(',') {
                let mut parts = range.split(';').map(str::trim);
                let media = parts.next().unwrap_or_default();
                if parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")) {
                    continue;
                }
                let is = |wanted: &str| media.eq_ignore_ascii_case(wanted) || media == "*/*";
                accepts.json |= is("application/json") || media.eq_ignore_ascii_case("application/*");
                accepts.stream |= is("text/event-stream") || media.eq_ignore_ascii_case("text/*");
            }
        }
        if any { accepts } else { Accepts { json: true, stream: true } }
    }

    /// Reads a body of at most `limit` bytes.
    pub(crate) async fn body(&mut self, limit: usize) -> Result<Bytes, BodyError> {
        let told = self.header(CONTENT_LENGTH).and_then(|value| value.parse::<usize>().ok());
        if told.is_some_and(|length| length > limit) {
            return Err(BodyError::TooLarge);
        }
        // RFC 9110 section 10.1.1: a client that asks first waits for this before it sends a body.
        if self.header(EXPECT).is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.session.write_continue_response().await.map_err(|_| BodyError::Broken)?;
        }
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(chunk) = self.session.read_request_body().await.map_err(|_| BodyError::Broken)? {
            if first.len() + all.len() + chunk.len() > limit {
                return Err(BodyError::TooLarge);
            }
            if first.is_empty() && all.is_empty() {
                first = chunk;
            } else {
                if all.is_empty() {
                    all.reserve(told.unwrap_or(0).max(first.len() + chunk.len()));
                    all.extend_from_slice(&std::mem::take(&mut first));
                }
                all.extend_from_slice(&chunk);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }

    /// Waits until the client is gone. Cancel-safe. Only for use once the body has been read.
    pub(crate) async fn gone(&mut self) {
        while let Ok(Some(_)) = self.session.read_body_or_idle(true).await {}
    }

    fn head(&self, status: u16, content_type: Option<&'static str>) -> Result<ResponseHeader, Gone> {
        let mut head = ResponseHeader::build_no_case(status, Some(8)).map_err(|_| Gone)?;
        if let Some(content_type) = content_type {
            insert(&mut head, CONTENT_TYPE, HeaderValue::from_static(content_type))?;
        }
        if let Some(origin) = &self.origin {
            cors::stamp(&mut head, origin)?;
        }
        Ok(head)
    }

    async fn send(&mut self, mut head: ResponseHeader, parts: &[Bytes]) -> Result<(), Gone> {
        let length: usize = parts.iter().map(Bytes::len).sum();
        // RFC 9110 section 8.6: an answer that cannot have a body has no length either.
        if head.status != 204 {
            insert(&mut head, CONTENT_LENGTH, HeaderValue::from(length))?;
        }
        let bodiless = length == 0 || *self.method() == Method::HEAD;
        self.session.write_response_header(Box::new(head)).await.map_err(|_| Gone)?;
        if bodiless {
            return self.write(Bytes::new(), true).await;
        }
        let mut left = length;
        for part in parts.iter().filter(|part| !part.is_empty()) {
            left -= part.len();
            self.write(part.clone(), left == 0).await?;
        }
        Ok(())
    }

    /// Answers with JSON, given in parts that are sent one after the other.
    pub(crate) async fn json(&mut self, status: u16, parts: &[Bytes]) -> Result<(), Gone> {
        let mut head = self.head(status, Some("application/json"))?;
        if status == 503 {
            insert(&mut head, RETRY_AFTER, HeaderValue::from_static("1"))?;
        }
        self.send(head, parts).await
    }

    /// Answers the handshake of a new session.
    pub(crate) async fn json_with_session(&mut self, id: &str, body: Bytes) -> Result<(), Gone> {
        let mut head = self.head(200, Some("application/json"))?;
        let id = HeaderValue::try_from(id).map_err(|_| Gone)?;
        insert(&mut head, HeaderName::from_static(headers::SESSION_ID), id)?;
        self.send(head, &[body]).await
    }

    /// Answers without a body.
    pub(crate) async fn empty(&mut self, status: u16) -> Result<(), Gone> {
        let head = self.head(status, None)?;
        self.send(head, &[]).await
    }

    /// Answers that the method is not one of `allow`.
    pub(crate) async fn method_not_allowed(&mut self, allow: &'static str, body: Bytes) -> Result<(), Gone> {
        let mut head = self.head(405, Some("application/json"))?;
        insert(&mut head, ALLOW, HeaderValue::from_static(allow))?;
        self.send(head, &[body]).await
    }

    /// Answers a browser's question before its request.
    pub(crate) async fn preflight(&mut self) -> Result<(), Gone> {
        let mut head = self.head(204, None)?;
        cors::stamp_preflight(&mut head)?;
        self.send(head, &[]).await
    }

    /// Begins an event stream.
    pub(crate) async fn begin_stream(&mut self) -> Result<(), Gone> {
        let mut head = self.head(200, Some("text/event-stream"))?;
        insert(&mut head, CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
        insert(&mut head, TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
        // Proxies in front must not hold events back (2026-07-28 `basic/transports/streamable-http`).
        insert(&mut head, HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))?;
        self.session.write_response_header(Box::new(head)).await.map_err(|_| Gone)
    }

    /// Writes to the answer; `end` closes it.
    pub(crate) async fn write(&mut self, mut bytes: Bytes, end: bool) -> Result<(), Gone> {
        // On HTTP/2 each write has its own time; in slices, a slow client has to take something, not everything, in it.
        while self.session.is_http2() && bytes.len() > SLICE {
            let slice = bytes.split_to(SLICE);
            self.session.write_response_body(slice, false).await.map_err(|_| Gone)?;
        }
        self.session.write_response_body(bytes, end).await.map_err(|_| Gone)
    }
}

pub(crate) fn insert(head: &mut ResponseHeader, name: HeaderName, value: HeaderValue) -> Result<(), Gone> {
    head.insert_header(name, value).map_err(|_| Gone)
}
