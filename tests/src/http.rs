//! A raw HTTP/1.1 client: what it sends is what the test wrote, byte for byte, and what it reads is not interpreted.

mod body;
mod endpoint;
mod event;

pub use body::Body;
pub use endpoint::Endpoint;
pub use event::{Event, Events};

use crate::wait::DEADLINE;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request, built up header by header.
#[derive(Debug, Clone)]
pub struct Request {
    method: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    /// A request without headers other than `Host`, `Content-Length` and the endpoint's token, which are added on sending.
    pub fn new(method: &str) -> Self {
        Self { method: method.to_owned(), headers: Vec::new(), body: Vec::new() }
    }

    /// A POST of a JSON text with the `Content-Type` and `Accept` that MCP asks for.
    pub fn post(body: impl AsRef<[u8]>) -> Self {
        Self::new("POST")
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .body(body)
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces a header, or removes it for `None`.
    #[must_use]
    pub fn replace(mut self, name: &str, value: Option<&str>) -> Self {
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl AsRef<[u8]>) -> Self {
        self.body = body.as_ref().to_vec();
        self
    }

    /// Writes `to` in place of `from` wherever it stands in the body.
    #[must_use]
    pub fn rewrite(mut self, from: &str, to: &str) -> Self {
        self.body = String::from_utf8_lossy(&self.body).replace(from, to).into_bytes();
        self
    }

    /// Writes `to` in place of `from` wherever it stands in a header's value.
    #[must_use]
    pub fn reheader(mut self, from: &str, to: &str) -> Self {
        for (_, value) in &mut self.headers {
            *value = value.replace(from, to);
        }
        self
    }

    /// Sends it on a connection of its own and reads the whole answer.
    pub fn send(&self, to: &Endpoint) -> Response {
        self.open(to).finish()
    }

    /// Sends it on a connection of its own and reads the head of the answer.
    pub fn open(&self, to: &Endpoint) -> Exchange {
        let mut stream = connect(to);
        stream.write_all(&self.bytes(to)).expect("the request can be written");
        Exchange::read(BufReader::new(stream))
    }

    /// Sends it and leaves the answer unread.
    pub fn begin(&self, to: &Endpoint) -> TcpStream {
        let mut stream = connect(to);
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(&self.bytes(to));
        stream
    }

    /// The request as it goes over the wire.
    pub fn bytes(&self, to: &Endpoint) -> Vec<u8> {
        let mut head = format!("{} {} HTTP/1.1\r\n", self.method, to.path);
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.has("host") {
            head.push_str(&format!("host: {}\r\n", to.address));
        }
        if let Some(token) = to.bearer.as_ref().filter(|_| !self.has("authorization")) {
            head.push_str(&format!("authorization: Bearer {token}\r\n"));
        }
        if !self.has("content-length") && !self.has("transfer-encoding") && self.method != "GET" {
            head.push_str(&format!("content-length: {}\r\n", self.body.len()));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }

    fn has(&self, name: &str) -> bool {
        self.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name))
    }
}

/// Sends requests on one connection, each once the one before it is answered.
pub fn send_in_turn(requests: &[Request], to: &Endpoint) -> Vec<Response> {
    let mut reader = BufReader::new(connect(to));
    let mut responses = Vec::new();
    for request in requests {
        let mut stream = reader.get_ref();
        stream.write_all(&request.bytes(to)).expect("the request can be written");
        let mut exchange = Exchange::read(reader);
        let mut body = Vec::new();
        exchange.body.read_to_end(&mut body).expect("the body can be read");
        responses.push(Response { status: exchange.status, headers: exchange.headers, body });
        reader = exchange.body.into_inner().into_reader();
    }
    responses
}

/// Sends raw bytes on a connection of their own and reads the answer's head.
pub fn send_raw(to: &Endpoint, bytes: &[u8]) -> Exchange {
    let mut stream = connect(to);
    // The server may answer and close before it has read everything.
    let _ = stream.write_all(bytes);
    Exchange::read(BufReader::new(stream))
}

fn connect(to: &Endpoint) -> TcpStream {
    assert!(!to.tls, "the raw client speaks no TLS: {to:?}");
    let stream =
        TcpStream::connect(to.address).unwrap_or_else(|error| panic!("cannot connect to {to:?}: {error}"));
    stream.set_read_timeout(Some(DEADLINE)).expect("a timeout can be set");
    stream.set_nodelay(true).expect("nodelay can be set");
    stream
}

/// An answer whose head is read and whose body is still to come. Dropping it closes the connection.
#[derive(Debug)]
pub struct Exchange {
    /// The status code.
    pub status: u16,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    body: BufReader<Body>,
}

impl Exchange {
    /// Reads the head of the answer to a request that was [begun](Request::begin).
    pub fn of(stream: TcpStream) -> Self {
        Self::read(BufReader::new(stream))
    }

    fn read(mut reader: BufReader<TcpStream>) -> Self {
        loop {
            let (status, headers) = read_head(&mut reader);
            // An interim answer, such as 100 Continue, precedes the real one.
            if status >= 200 {
                let body = Body::of(reader, status, &headers);
                return Self { status, headers, body: BufReader::new(body) };
            }
        }
    }

    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// Reads the body to its end.
    pub fn finish(mut self) -> Response {
        let mut body = Vec::new();
        self.body.read_to_end(&mut body).expect("the body can be read");
        Response { status: self.status, headers: self.headers, body }
    }

    /// Reads the body as an event stream, event by event.
    pub fn events(self) -> Events<BufReader<Body>> {
        assert_eq!(self.status, 200, "an event stream has status 200");
        let media = find(&self.headers, "content-type").unwrap_or_default();
        assert!(media.starts_with("text/event-stream"), "an event stream, not {media:?}");
        Events::new(self.body)
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The headers, in order.
    pub headers: Vec<(String, String)>,
    /// The body, with its transfer coding taken off.
    pub body: Vec<u8>,
}

impl Response {
    /// The first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("the body is UTF-8")
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("no JSON ({error}) in {}: {}", self.status, self.text()))
    }

    /// The JSON-RPC messages of the body, be it JSON or an event stream.
    pub fn messages(&self) -> Vec<Value> {
        if self.body.is_empty() {
            return Vec::new();
        }
        if self.header("content-type").is_some_and(|media| media.starts_with("text/event-stream")) {
            let events = Events::new(self.body.as_slice());
            return events.filter(|event| !event.data.is_empty()).map(|event| event.json()).collect();
        }
        vec![self.json()]
    }

    /// The code of the JSON-RPC error in the body, if that is what it holds.
    pub fn error_code(&self) -> Option<i64> {
        self.messages().last().and_then(|message| message["error"]["code"].as_i64())
    }
}

fn read_head(reader: &mut impl BufRead) -> (u16, Vec<(String, String)>) {
    let line = read_line(reader);
    let status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
    let status = status.unwrap_or_else(|| panic!("no status line: {line:?}"));
    let mut headers = Vec::new();
    loop {
        let line = read_line(reader);
        if line.is_empty() {
            return (status, headers);
        }
        let (name, value) = line.split_once(':').unwrap_or_else(|| panic!("no header: {line:?}"));
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("the head can be read");
    assert!(line.ends_with('\n'), "the connection closed within the head, after {line:?}");
    line.trim_end_matches(['\r', '\n']).to_owned()
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}
