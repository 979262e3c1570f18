//! One HTTP exchange: reading it, answering it, noticing that the client is gone.
//!
//! An answer is JSON with its length, unless notices came before it or the client wants no JSON: then it is the last event of
//! a stream. Messages become events in [`Http::push`] and [`Http::answer`] and nowhere else.

use super::memory::{Memory, RETRY};
use super::{Accepts, Gone};
use crate::cors;
use crate::listener::Peer;
use crate::replay::Replay;
use crate::session::Session;
use bytes::{Bytes, BytesMut};
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, RETRY_AFTER, TRANSFER_ENCODING,
    WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;
use std::net::IpAddr;
use std::sync::Arc;
use weir_protocol::{headers, sse};

/// How much is written to an HTTP/2 stream at once.
const SLICE: usize = 64 << 10;

/// Why a body could not be read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BodyError {
    TooLarge,
    Late,
    Broken,
}

impl BodyError {
    /// What an error of pingora's means; it has a time of its own for each piece of a body.
    fn of(error: &pingora_core::Error) -> Self {
        if *error.etype() == pingora_core::ErrorType::ReadTimedout { Self::Late } else { Self::Broken }
    }
}

/// One HTTP exchange with a client.
pub(crate) struct Http<'a> {
    session: &'a mut ServerSession,
    /// Where the client connects from.
    address: Option<IpAddr>,
    /// The client, by the certificate that it showed.
    peer: Option<&'a Arc<Peer>>,
    /// The allowed origin, where a browser named one.
    origin: Option<HeaderValue>,
    accepts: Accepts,
    /// What a client is told that has to log in.
    challenge: Option<HeaderValue>,
    /// The head of an event stream has been sent.
    streaming: bool,
    /// Events that wait to be sent.
    events: Vec<u8>,
    /// What a legacy client may take up again.
    memory: Option<Memory>,
}

impl<'a> Http<'a> {
    pub(crate) fn new(
        session: &'a mut ServerSession,
        address: Option<IpAddr>,
        peer: Option<&'a Arc<Peer>>,
    ) -> Self {
        let accepts = Accepts { json: true, stream: true };
        let (events, origin) = (Vec::new(), None);
        let (challenge, streaming, memory) = (None, false, None);
        Self { session, address, peer, origin, accepts, challenge, streaming, events, memory }
    }

    /// The client, by the certificate that it showed.
    pub(crate) fn peer(&self) -> Option<&'a Arc<Peer>> {
        self.peer
    }

    /// Where the client connects from.
    pub(crate) fn address(&self) -> Option<IpAddr> {
        self.address
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

    /// The answer tells the client how to log in.
    pub(crate) fn challenge(&mut self, challenge: &str) {
        self.challenge = HeaderValue::try_from(challenge).ok();
    }

    /// Whether the answer is an event stream that has begun.
    pub(super) fn is_streaming(&self) -> bool {
        self.streaming
    }

    /// What the client takes as an answer.
    pub(crate) fn accepts(&self) -> Accepts {
        self.accepts
    }

    /// Reads what the client takes; no `Accept` means anything (RFC 9110 section 12.5.1).
    pub(crate) fn read_accepts(&mut self) -> Accepts {
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
        if any {
            self.accepts = accepts;
        }
        self.accepts
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
        while let Some(chunk) =
            self.session.read_request_body().await.map_err(|error| BodyError::of(&error))?
        {
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

    /// Waits until the client is gone, or has taken up the stream on another connection. Cancel-safe. Only for use once the
    /// body has been read.
    pub(crate) async fn gone(&mut self) {
        let (session, memory) = (&mut self.session, &self.memory);
        let gone = async { while let Ok(Some(_)) = session.read_body_or_idle(true).await {} };
        match memory {
            None => gone.await,
            Some(memory) => tokio::select! {
                () = gone => {}
                () = memory.ousted() => {}
            },
        }
    }

    /// The stream that answers this request, should there be one, may be taken up again.
    pub(super) fn remember(&mut self, session: &Arc<Session>) {
        self.memory = Some(Memory::new(session.clone()));
    }

    /// What the client may take up again.
    pub(super) fn replay(&self) -> Option<Arc<Replay>> {
        self.memory.as_ref()?.replay()
    }

    /// Adds the event without data from which on the client may take up the stream.
    pub(super) fn prime(&mut self, id: &str) {
        sse::write_priming(&mut self.events, id, RETRY);
    }

    /// Adds messages that are remembered already, the first of which has the number `first`.
    pub(super) fn repeat(&mut self, replay: &Replay, first: u64, messages: &[Bytes]) {
        for (number, message) in (first..).zip(messages) {
            sse::write_message_with_id(&mut self.events, &replay.id(number), message);
        }
    }

    fn head(&self, status: u16, content_type: Option<&'static str>) -> Result<ResponseHeader, Gone> {
        let mut head = ResponseHeader::build_no_case(status, Some(8)).map_err(|_| Gone)?;
        if let Some(content_type) = content_type {
            insert(&mut head, CONTENT_TYPE, HeaderValue::from_static(content_type))?;
        }
        if let Some(challenge) = &self.challenge {
            insert(&mut head, WWW_AUTHENTICATE, challenge.clone())?;
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

    /// Answers with a document that may be kept for so many seconds, whoever asked for it.
    pub(crate) async fn document(&mut self, document: Bytes, seconds: u32) -> Result<(), Gone> {
        let mut head = self.head(200, Some("application/json"))?;
        let kept = HeaderValue::try_from(format!("public, max-age={seconds}")).map_err(|_| Gone)?;
        insert(&mut head, CACHE_CONTROL, kept)?;
        self.send(head, &[document]).await
    }

    /// Answers a browser with a page, and with these headers.
    pub(crate) async fn page(
        &mut self,
        status: u16,
        headers: Vec<(HeaderName, HeaderValue)>,
        html: Bytes,
    ) -> Result<(), Gone> {
        let mut head = self.head(status, Some("text/html; charset=utf-8"))?;
        for (name, value) in headers {
            insert(&mut head, name, value)?;
        }
        self.send(head, &[html]).await
    }

    /// Answers the handshake of a new session.
    pub(super) async fn welcome(&mut self, session: &str, answer: Bytes) -> Result<(), Gone> {
        let mut head = self.head(200, Some("application/json"))?;
        let id = HeaderValue::try_from(session).map_err(|_| Gone)?;
        insert(&mut head, HeaderName::from_static(headers::SESSION_ID), id)?;
        self.send(head, &[answer]).await
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
        cors::stamp_preflight(&mut head, self.headers())?;
        self.send(head, &[]).await
    }

    /// Sends the answer: alone, or as the last event of a stream.
    pub(super) async fn answer(&mut self, status: u16, parts: &[Bytes]) -> Result<(), Gone> {
        if !self.streaming && self.events.is_empty() && self.accepts.json {
            return self.json(status, parts).await;
        }
        match parts {
            [one] => self.write_event(one),
            many => self.write_event(&many.concat()),
        }
        self.end_memory();
        self.send_events(true).await
    }

    fn write_event(&mut self, message: &[u8]) {
        match &mut self.memory {
            None => sse::write_message(&mut self.events, message),
            Some(memory) => memory.write(&mut self.events, message),
        }
    }

    fn end_memory(&self) {
        if let Some(memory) = &self.memory {
            memory.end();
        }
    }

    /// Ends the exchange without an answer.
    pub(super) async fn close(&mut self) -> Result<(), Gone> {
        self.end_memory();
        if self.streaming { self.send_events(true).await } else { self.empty(202).await }
    }

    /// Begins an event stream, unless it has begun.
    pub(super) async fn begin(&mut self) -> Result<(), Gone> {
        if self.streaming {
            return Ok(());
        }
        let mut head = self.head(200, Some("text/event-stream"))?;
        insert(&mut head, CACHE_CONTROL, HeaderValue::from_static("no-store"))?;
        insert(&mut head, TRANSFER_ENCODING, HeaderValue::from_static("chunked"))?;
        // Proxies in front must not hold events back (2026-07-28 `basic/transports/streamable-http`).
        insert(&mut head, HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"))?;
        self.session.write_response_header(Box::new(head)).await.map_err(|_| Gone)?;
        self.streaming = true;
        if let Some(memory) = &mut self.memory {
            memory.begin(&mut self.events);
        }
        Ok(())
    }

    /// Adds a message as an event, where the client takes events.
    pub(super) fn push(&mut self, message: &[u8]) {
        if self.accepts.stream {
            self.write_event(message);
        }
    }

    /// Adds an event that is no message.
    pub(crate) fn push_event(&mut self, name: &str, data: &str) {
        self.events.extend_from_slice(format!("event: {name}\ndata: {data}\n\n").as_bytes());
    }

    pub(super) fn pushed(&self) -> usize {
        self.events.len()
    }

    /// Sends the events that wait: one write for all of them.
    pub(super) async fn flush(&mut self) -> Result<(), Gone> {
        if self.events.is_empty() { Ok(()) } else { self.send_events(false).await }
    }

    /// Sends a comment, where the client takes events.
    pub(super) async fn keep_alive(&mut self) -> Result<(), Gone> {
        if !self.accepts.stream {
            return Ok(());
        }
        self.events.extend_from_slice(sse::KEEP_ALIVE);
        self.send_events(false).await
    }

    async fn send_events(&mut self, end: bool) -> Result<(), Gone> {
        self.begin().await?;
        let events = std::mem::take(&mut self.events);
        self.write(events.into(), end).await
    }

    /// Writes to the answer; `end` closes it.
    async fn write(&mut self, mut bytes: Bytes, end: bool) -> Result<(), Gone> {
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
