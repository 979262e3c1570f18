//! A minimal HTTP/1.1 client connection: one request at a time, answers with a content length.

use crate::error::BenchError;
use crate::message::{Target, Template};
use memchr::memmem;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Largest answer head, in bytes.
const HEAD_LIMIT: usize = 64 * 1024;
/// Largest answer body, in bytes.
const BODY_LIMIT: usize = 64 * 1024 * 1024;
/// How far from either end of a body its id and `result` are looked for, so that a large list costs no long search.
const WINDOW: usize = 1024;

/// One kept-alive connection.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A whole answer.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The header lines.
    head: &'a str,
    /// The body.
    pub body: &'a [u8],
}

impl Connection {
    /// Connects to the target's port.
    ///
    /// # Errors
    /// When nothing listens there.
    pub async fn open(target: &Target) -> Result<Self, BenchError> {
        let action = || format!("connect to 127.0.0.1:{}", target.port);
        let stream =
            TcpStream::connect((Ipv4Addr::LOCALHOST, target.port)).await.map_err(BenchError::io(action()))?;
        stream.set_nodelay(true).map_err(BenchError::io("set TCP_NODELAY"))?;
        Ok(Self { stream, buffer: Vec::with_capacity(16 * 1024) })
    }

    /// Sends a request and reads its whole answer.
    ///
    /// # Errors
    /// When the connection breaks, the answer is too large, or it has no content length.
    pub async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>, BenchError> {
        self.stream.write_all(request).await.map_err(BenchError::io("send a request"))?;
        self.buffer.clear();
        let mut searched = 0;
        let head_end = loop {
            self.fill().await?;
            let start = usize::saturating_sub(searched, 3);
            let found = self.buffer.get(start..).and_then(|rest| memmem::find(rest, b"\r\n\r\n"));
            if let Some(found) = found {
                break start + found;
            }
            searched = self.buffer.len();
            if searched > HEAD_LIMIT {
                return Err(BenchError::Failed("the answer's head is too large".to_owned()));
            }
        };
        let body_start = head_end + 4;
        let length = content_length(head(&self.buffer, head_end)?)?;
        let end = body_start + length;
        self.buffer.reserve(end.saturating_sub(self.buffer.len()));
        while self.buffer.len() < end {
            self.fill().await?;
        }
        if self.buffer.len() > end {
            return Err(BenchError::Failed("bytes follow the answer that nobody asked for".to_owned()));
        }
        let head = head(&self.buffer, head_end)?;
        let status = head.get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0);
        Ok(Answer { status, head, body: self.buffer.get(body_start..).unwrap_or_default() })
    }

    /// Opens a legacy session on this connection, the second step included, and returns its id.
    ///
    /// # Errors
    /// When the server refuses, or names no session.
    pub async fn open_session(&mut self, target: &Target, id: u64) -> Result<String, BenchError> {
        let answer = self.exchange(Template::initialize(target).with_id(id)).await?;
        answer.check_result(id)?;
        let session = answer.header("mcp-session-id").map(str::to_owned);
        let session = session.ok_or_else(|| BenchError::Failed("initialize named no session".to_owned()))?;
        let answer = self.exchange(Template::initialized(target, &session).with_id(id)).await?;
        match answer.status {
            202 => Ok(session),
            _ => Err(answer.unexpected("notifications/initialized was not accepted")),
        }
    }

    async fn fill(&mut self) -> Result<(), BenchError> {
        match self.stream.read_buf(&mut self.buffer).await {
            Ok(0) => Err(BenchError::Failed("the connection was closed before its answer".to_owned())),
            Ok(_) => Ok(()),
            Err(source) => Err(BenchError::Io { action: "read an answer".to_owned(), source }),
        }
    }
}

impl<'a> Answer<'a> {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        header(self.head, name)
    }

    /// Checks that this is HTTP 200 with a `result` for the request of this id.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn check_result(&self, id: u64) -> Result<(), BenchError> {
        let id = format!("\"id\":{id}");
        let front = self.body.get(..WINDOW.min(self.body.len())).unwrap_or_default();
        let back = self.body.get(self.body.len().saturating_sub(WINDOW)..).unwrap_or_default();
        let holds = |text: &[u8]| memmem::find(front, text).is_some() || memmem::find(back, text).is_some();
        if self.status == 200 && holds(id.as_bytes()) && holds(b"\"result\":") {
            return Ok(());
        }
        Err(self.unexpected("an answer is no result for its request"))
    }

    /// An error that shows the answer's beginning.
    pub fn unexpected(&self, what: &str) -> BenchError {
        let body = self.body.get(..300.min(self.body.len())).unwrap_or_default();
        BenchError::Failed(format!("{what}: HTTP {}, {}", self.status, String::from_utf8_lossy(body)))
    }
}

/// Waits until something listens on the port.
///
/// # Errors
/// When nothing does within `limit`.
pub async fn wait_for_port(target: &Target, limit: Duration) -> Result<(), BenchError> {
    let deadline = Instant::now() + limit;
    loop {
        match Connection::open(target).await {
            Ok(_) => return Ok(()),
            Err(error) if Instant::now() > deadline => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
}

fn head(buffer: &[u8], end: usize) -> Result<&str, BenchError> {
    let head = buffer.get(..end).and_then(|head| std::str::from_utf8(head).ok());
    head.ok_or_else(|| BenchError::Failed("the answer's head is not text".to_owned()))
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n").skip(1).find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn content_length(head: &str) -> Result<usize, BenchError> {
    if let Some(encoding) = header(head, "transfer-encoding") {
        return Err(BenchError::Failed(format!("the answer has no content length but is {encoding}")));
    }
    let length = header(head, "content-length").and_then(|length| length.parse().ok());
    length
        .filter(|length| *length <= BODY_LIMIT)
        .ok_or_else(|| BenchError::Failed("the answer has no usable content length".to_owned()))
}
