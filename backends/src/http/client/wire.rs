//! Plain HTTP/1.1 to backends: one write for a request, one read for a short answer, nothing in between.
//!
//! S: RFC 9112.

mod chunked;
mod head;
mod pool;

use super::{ACCEPT, ACCEPT_IMAGES, Body, HttpClient, Incoming, Outgoing, USER_AGENT, Verb};
use crate::{BackendError, Cause, dial};
use ::http::Uri;
use ::http::header::{self, HeaderMap};
use bytes::{Bytes, BytesMut};
use head::{Framing, Head};
use pool::Pool;
use std::io::{self, Write};
use std::pin::pin;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A body up to this size is written together with its head.
const JOINED: usize = 32 << 10;
/// How much is read at once.
const READ: usize = 8 << 10;

/// A client for one backend at an `http` URL.
#[derive(Debug)]
pub(crate) struct WireClient {
    host: String,
    port: u16,
    connect: Duration,
    /// The beginning of a request for each verb: request line and the headers that never change.
    post: Vec<u8>,
    get: Vec<u8>,
    delete: Vec<u8>,
    get_image: Vec<u8>,
    pool: Pool,
}

/// One connection, between requests or within one.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// What was read and not yet used.
    read: BytesMut,
    /// What is to be written; kept for its memory.
    write: Vec<u8>,
}

impl WireClient {
    pub(super) fn new(uri: &Uri, headers: &HeaderMap, connect: Duration) -> Result<Self, BackendError> {
        let authority = uri.authority().ok_or_else(|| BackendError::unreachable("the URL has no host"))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let begin = |verb: &str, accept: &str, content: &str, headers: &HeaderMap| {
            let mut begin =
                format!("{verb} {path} HTTP/1.1\r\nhost: {authority}\r\naccept: {accept}\r\n{content}")
                    .into_bytes();
            if !headers.contains_key(header::USER_AGENT) {
                write_header(&mut begin, "user-agent", USER_AGENT.as_bytes());
            }
            for (name, value) in headers {
                write_header(&mut begin, name.as_str(), value.as_bytes());
            }
            begin
        };
        Ok(Self {
            // The resolver wants an IPv6 address without its brackets.
            host: authority.host().trim_start_matches('[').trim_end_matches(']').to_owned(),
            port: authority.port_u16().unwrap_or(80),
            connect,
            post: begin("POST", ACCEPT, "content-type: application/json\r\n", headers),
            get: begin("GET", ACCEPT, "", headers),
            delete: begin("DELETE", ACCEPT, "", headers),
            get_image: begin("GET", ACCEPT_IMAGES, "", &HeaderMap::new()),
            pool: Pool::new(),
        })
    }

    async fn open(&self) -> Result<Connection, BackendError> {
        let unreachable = |error: io::Error| {
            BackendError::Unreachable(Cause::private("no connection could be opened", error))
        };
        let opening = async {
            let addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
            dial::any(addresses.collect()).await
        };
        match tokio::time::timeout(self.connect, opening).await {
            Ok(opened) => {
                let stream = opened.map_err(unreachable)?;
                Ok(Connection { stream, read: BytesMut::new(), write: Vec::new() })
            }
            Err(_) => Err(BackendError::unreachable(format!(
                "no connection within {} s",
                self.connect.as_secs_f32()
            ))),
        }
    }

    /// Closes the unused connections of this thread.
    pub(super) fn forget_unused(&self) {
        self.pool.clear();
    }

    fn begin(&self, verb: Verb) -> &[u8] {
        match verb {
            Verb::Post => &self.post,
            Verb::Get => &self.get,
            Verb::Delete => &self.delete,
            Verb::GetImage => &self.get_image,
        }
    }
}

/// Writes the beginning of a request with another path.
fn write_begin(out: &mut Vec<u8>, begin: &[u8], path: &str) {
    let line = memchr::memchr(b'\n', begin).unwrap_or_default();
    let verb = memchr::memchr(b' ', begin).unwrap_or_default();
    out.extend_from_slice(begin.get(..=verb).unwrap_or_default());
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r");
    out.extend_from_slice(begin.get(line..).unwrap_or_default());
}

fn write_header(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

impl HttpClient for WireClient {
    async fn send(&self, request: &Outgoing) -> Result<Incoming, BackendError> {
        let mut connection = match self.pool.take() {
            Some(connection) => connection,
            None => self.open().await?,
        };
        let head = connection.exchange(self.begin(request.verb), request).await?;
        let mut body = WireBody {
            connection: Some(connection),
            framing: head.framing,
            reusable: head.reusable,
            pool: self.pool,
        };
        if body.framing == Framing::Length(0) {
            body.finish();
        }
        let Head { status, media, session, challenges, .. } = head;
        Ok(Incoming { status, media, session, challenges, body: Body::Wire(body) })
    }
}

fn gone(error: io::Error) -> BackendError {
    BackendError::Gone(Cause::private("the connection broke", error))
}

impl Connection {
    /// Writes a request and reads the head of its answer, which may come early: a server that refuses a large request
    /// need not read it to its end.
    async fn exchange(&mut self, begin: &[u8], request: &Outgoing) -> Result<Head, BackendError> {
        let out = &mut self.write;
        out.clear();
        match &request.path {
            None => out.extend_from_slice(begin),
            Some(path) => write_begin(out, begin, path),
        }
        for (name, value) in &request.headers {
            write_header(out, name, value.as_bytes());
        }
        for (name, value) in &request.mirrored {
            write_header(out, name, value.as_bytes());
        }
        if request.verb == Verb::Post {
            write!(out, "content-length: {}\r\n", request.body.len()).map_err(gone)?;
        }
        out.extend_from_slice(b"\r\n");
        let joined = request.body.len() <= JOINED;
        if joined {
            out.extend_from_slice(&request.body);
        }
        let (mut reader, mut writer) = self.stream.split();
        let writing = async {
            writer.write_all(out).await?;
            if !joined {
                writer.write_all(&request.body).await?;
            }
            Ok(())
        };
        let reading = read_head(&mut reader, &mut self.read);
        let (mut writing, mut reading) = (pin!(writing), pin!(reading));
        let early = tokio::select! {
            biased;
            written = &mut writing => match written {
                Ok(()) => return reading.await,
                // What the server said before it broke off is still there to be read.
                Err(error) => reading.await.map_err(|_| gone(error)),
            },
            head = &mut reading => head,
        };
        early.map(|head| Head { reusable: false, ..head })
    }
}

/// Reads more; an end of the stream is an error.
async fn fill(stream: &mut (impl AsyncRead + Unpin), read: &mut BytesMut) -> Result<(), BackendError> {
    read.reserve(READ);
    match stream.read_buf(read).await.map_err(gone)? {
        0 => Err(BackendError::gone("it closed the connection")),
        _ => Ok(()),
    }
}

/// Reads the head of the final answer; interim ones (1xx) are passed over.
async fn read_head(stream: &mut (impl AsyncRead + Unpin), read: &mut BytesMut) -> Result<Head, BackendError> {
    for _ in 0..head::INTERIM {
        let head = loop {
            if !read.is_empty()
                && let Some(head) = Head::parse(read)?
            {
                break head;
            }
            fill(stream, read).await?;
        };
        if head.status >= 200 {
            return Ok(head);
        }
    }
    Err(BackendError::Protocol("its answers are all interim ones".to_owned()))
}

/// The body of an answer. Read to its end, its connection serves the next request.
#[derive(Debug)]
pub(crate) struct WireBody {
    /// `None` once the body has been read to its end.
    connection: Option<Connection>,
    framing: Framing,
    reusable: bool,
    pool: Pool,
}

impl WireBody {
    /// The next piece; `None` at the end. Cancel-safe: what was read stays in the connection.
    pub(super) async fn chunk(&mut self) -> Result<Option<Bytes>, BackendError> {
        loop {
            let Some(connection) = &mut self.connection else {
                return Ok(None);
            };
            let piece = match &mut self.framing {
                Framing::Length(left) => {
                    let length = usize::try_from(*left).unwrap_or(usize::MAX).min(connection.read.len());
                    *left -= length as u64;
                    (length > 0).then(|| connection.read.split_to(length).freeze())
                }
                Framing::Chunked(chunked) => chunked.next(&mut connection.read)?,
                Framing::Close => (!connection.read.is_empty()).then(|| connection.read.split().freeze()),
            };
            let ended = match &self.framing {
                Framing::Length(left) => *left == 0,
                Framing::Chunked(chunked) => chunked.has_ended(),
                Framing::Close => false,
            };
            if piece.is_none() && !ended {
                match fill(&mut connection.stream, &mut connection.read).await {
                    // Without a length the end of the connection is the end of the body.
                    Err(BackendError::Gone(_)) if self.framing == Framing::Close => {
                        self.connection = None;
                        return Ok(None);
                    }
                    filled => filled?,
                }
                continue;
            }
            if ended {
                self.finish();
            }
            return Ok(piece);
        }
    }

    /// How many bytes are still to come, where that is known.
    pub(super) fn left(&self) -> Option<u64> {
        match self.framing {
            Framing::Length(left) => Some(left),
            Framing::Chunked(_) | Framing::Close => None,
        }
    }

    fn finish(&mut self) {
        if let Some(connection) = self.connection.take()
            && self.reusable
            && connection.read.is_empty()
        {
            self.pool.put(connection);
        }
    }
}

#[cfg(test)]
mod tests;
