//! A server whose answers a test writes, for what no real server does: garbage, silence, endless events.

mod http2;
mod script;

pub use http2::{Http2, Stream};
pub use script::{GOOD, RESULT, Step, json, play, send};

use crate::modern::REVISION;
use crate::{legacy, wait};
use parking_lot::Mutex;
use serde_json::{Value, json};
use socket2::SockRef;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// A request as the scripted server got it.
#[derive(Debug, Clone)]
pub struct Received {
    /// The number of the connection that it came on, from 0.
    pub connection: usize,
    /// The HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// The headers, names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Received {
    /// The first header of this name, in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; `null` when it is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The JSON-RPC method; empty when there is none.
    pub fn rpc_method(&self) -> String {
        self.json()["method"].as_str().unwrap_or_default().to_owned()
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// The connection that an answer goes to.
#[derive(Debug)]
pub struct Reply<'a> {
    stream: &'a TcpStream,
    received: &'a Mutex<Vec<Received>>,
}

impl Reply<'_> {
    /// Writes bytes as they are. Returns whether the other side still takes them.
    pub fn raw(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).is_ok()
    }

    /// Answers with a status and a body of a media type.
    pub fn body(&mut self, status: u16, media: &str, body: impl AsRef<[u8]>) {
        let body = body.as_ref();
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status} X\r\ncontent-type: {media}\r\ncontent-length: {length}\r\n\r\n");
        self.raw([head.as_bytes(), body].concat());
    }

    /// Answers 200 with JSON text.
    pub fn json(&mut self, text: impl AsRef<[u8]>) {
        self.body(200, "application/json", text);
    }

    /// Answers with a result for the request.
    pub fn result(&mut self, request: &Received, result: Value) {
        self.json(json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result}).to_string());
    }

    /// Answers `initialize` as a legacy server with tools, and gives a session.
    pub fn welcome(&mut self, request: &Received, session: &str) {
        let result = json!({
            "protocolVersion": legacy::REVISION,
            "capabilities": {"tools": {}},
            "serverInfo": {"name": "scripted", "version": "1"},
        });
        let body = json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result}).to_string();
        let length = body.len();
        self.raw(format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nmcp-session-id: {session}\r\ncontent-length: {length}\r\n\r\n{body}"
        ));
    }

    /// Answers 200 and opens an event stream that lasts until the connection closes.
    pub fn open_events(&mut self) {
        self.raw("HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n");
    }

    /// Writes one event to an open stream. Returns whether the other side still takes it.
    pub fn event(&mut self, data: impl std::fmt::Display) -> bool {
        self.raw(format!("data: {data}\n\n"))
    }

    /// Writes until the other side takes no more.
    pub fn flood(&mut self, bytes: &[u8]) {
        while self.raw(bytes) {}
    }

    /// Waits until a request came, on whichever connection, whose body holds `text`.
    pub fn wait_for(&mut self, text: &str) {
        wait::until_true(text, || self.received.lock().iter().any(|request| request.text().contains(text)));
    }

    /// Says that nothing more is written; the other direction stays open.
    pub fn end_writing(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Breaks the connection off: the other side sees a reset.
    pub fn reset(&mut self) {
        let _ = SockRef::from(self.stream).set_linger(Some(Duration::ZERO));
        // Ends the reading of requests, and with it the connection.
        let _ = self.stream.shutdown(Shutdown::Read);
    }

    /// Waits until the other side closes the connection.
    pub fn wait_for_close(&mut self) {
        // Whatever is read here comes after the request; only the end of it matters.
        while self.stream.read(&mut [0; 1024]).is_ok_and(|count| count > 0) {}
    }

    /// Closes the connection.
    pub fn close(&mut self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

/// A running scripted server.
#[derive(Debug)]
pub struct Scripted {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
    stopped: Arc<AtomicBool>,
}

impl Scripted {
    /// Starts a server that answers every request with `answer`.
    pub fn start(answer: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be bound");
        let address = listener.local_addr().expect("a listener has an address");
        let received = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let (log, stop, answer) = (Arc::clone(&received), Arc::clone(&stopped), Arc::new(answer));
        std::thread::spawn(move || {
            for (connection, stream) in listener.incoming().flatten().enumerate() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || {
                    let mut reader = BufReader::new(&stream);
                    // What is written in pieces is to arrive in pieces.
                    let _ = stream.set_nodelay(true);
                    while let Some(mut request) = receive(&mut reader) {
                        request.connection = connection;
                        log.lock().push(request.clone());
                        answer(&request, &mut Reply { stream: &stream, received: &log });
                    }
                });
            }
        });
        Self { address, received, stopped }
    }

    /// Starts a server that answers as [`modern`] does.
    pub fn modern(tools: Value, answer: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static) -> Self {
        Self::start(modern(tools, answer))
    }

    /// Starts a server that answers as [`legacy`](fn@legacy) does.
    pub fn legacy(tools: Value, answer: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static) -> Self {
        Self::start(legacy(tools, answer))
    }

    /// The URL of its MCP endpoint.
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    /// It as a backend.
    pub fn backend(&self) -> Value {
        json!({"url": self.url()})
    }

    /// The requests so far.
    pub fn received(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    /// The requests so far of one JSON-RPC method.
    pub fn received_of(&self, method: &str) -> Vec<Received> {
        self.received().into_iter().filter(|request| request.rpc_method() == method).collect()
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

/// The script of a modern server that lists `tools` well and answers every other request with `answer`.
pub fn modern(
    tools: Value,
    answer: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static,
) -> impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static {
    move |request, reply| {
        if let Some(result) = offer(&request.rpc_method(), &tools) {
            return reply.result(request, result);
        }
        match request.rpc_method().as_str() {
            _ if request.method != "POST" => reply.body(405, "text/plain", ""),
            "subscriptions/listen" => {
                let id = request.json()["id"].clone();
                reply.open_events();
                reply.event(acknowledgement(&id));
                reply.wait_for_close();
            }
            _ => answer(request, reply),
        }
    }
}

/// The script of a legacy server that gives `session-1`, `session-2` and so on, lists `tools` well, knows every session,
/// and answers every other request with `answer`.
pub fn legacy(
    tools: Value,
    answer: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static,
) -> impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static {
    let opened = AtomicUsize::new(0);
    move |request, reply| match request.rpc_method().as_str() {
        "" if request.method == "DELETE" => reply.body(200, "text/plain", ""),
        "" => reply.body(405, "text/plain", ""),
        "initialize" => {
            let session = opened.fetch_add(1, Ordering::Relaxed) + 1;
            reply.welcome(request, &format!("session-{session}"));
        }
        "server/discover" => reply.body(400, "text/plain", "initialize first"),
        "tools/list" => reply.result(request, json!({"tools": tools})),
        notified if notified.starts_with("notifications/") => reply.body(202, "text/plain", ""),
        _ => answer(request, reply),
    }
}

/// A tool definition that takes any object.
pub fn tool(name: &str) -> Value {
    json!({"name": name, "description": format!("The tool {name}."), "inputSchema": {"type": "object"}})
}

/// What a modern server with `tools` says of itself and of what it has.
fn offer(method: &str, tools: &Value) -> Option<Value> {
    let (member, items) = match method {
        "server/discover" => return Some(discovery()),
        "tools/list" => ("tools", tools.clone()),
        "prompts/list" => ("prompts", json!([])),
        "resources/list" => ("resources", json!([])),
        "resources/templates/list" => ("resourceTemplates", json!([])),
        _ => return None,
    };
    Some(json!({"resultType": "complete", "ttlMs": 60_000, "cacheScope": "public", member: items}))
}

fn discovery() -> Value {
    json!({
        "resultType": "complete", "ttlMs": 60_000, "cacheScope": "public",
        "supportedVersions": [REVISION],
        "capabilities": {"tools": {"listChanged": true}},
        "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "scripted", "version": "1"}},
    })
}

fn acknowledgement(id: &Value) -> Value {
    let params = json!({
        "notifications": {"toolsListChanged": true},
        "_meta": {"io.modelcontextprotocol/subscriptionId": id},
    });
    json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": params})
}

/// Reads one request, or `None` at the end of the connection.
fn receive(reader: &mut impl BufRead) -> Option<Received> {
    let first = line(reader)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut headers = Vec::new();
    loop {
        let line = line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':')?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Received { connection: 0, method, path, headers, body: Vec::new() };
    if let Some(length) = request.header("content-length").and_then(|text| text.parse().ok()) {
        request.body = vec![0; length];
        reader.read_exact(&mut request.body).ok()?;
    } else if request.header("transfer-encoding").is_some() {
        request.body = chunks(reader)?;
    }
    Some(request)
}

fn chunks(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let size = usize::from_str_radix(line(reader)?.split(';').next()?, 16).ok()?;
        let mut chunk = vec![0; size];
        reader.read_exact(&mut chunk).ok()?;
        line(reader)?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk);
    }
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let count = reader.read_line(&mut line).ok()?;
    (count > 0).then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
