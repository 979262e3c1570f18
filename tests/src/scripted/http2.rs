//! The scripted server over HTTP/2 with prior knowledge.

use super::offer;
use crate::http2::{self, Frame};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A running modern server over HTTP/2, which lists its tools well.
#[derive(Debug)]
pub struct Http2 {
    address: SocketAddr,
    stopped: Arc<AtomicBool>,
}

/// The stream that an answer goes to.
#[derive(Debug)]
pub struct Stream<'a> {
    connection: &'a TcpStream,
    /// Its number.
    pub number: u32,
    /// The request.
    pub request: Value,
}

impl Stream<'_> {
    /// Sends a frame. Returns whether the other side still takes it.
    pub fn frame(&self, kind: u8, flags: u8, payload: impl AsRef<[u8]>) -> bool {
        self.raw(Frame::new(kind, flags, self.number, payload).bytes())
    }

    /// Sends a frame of the connection's. Returns whether the other side still takes it.
    pub fn control(&self, kind: u8, flags: u8, payload: impl AsRef<[u8]>) -> bool {
        self.raw(Frame::new(kind, flags, 0, payload).bytes())
    }

    /// Writes bytes as they are. Returns whether the other side still takes them.
    pub fn raw(&self, bytes: impl AsRef<[u8]>) -> bool {
        let mut connection = self.connection;
        connection.write_all(bytes.as_ref()).is_ok()
    }

    /// Sends the head of an answer of this media type.
    pub fn head(&self, status: &str, media: &str) {
        let fields = [(":status", status), ("content-type", media)];
        self.raw(Frame::headers(self.number, &fields, 0).bytes());
    }

    /// Sends the head of an answer in JSON.
    pub fn head_of_json(&self) {
        self.head("200", "application/json");
    }

    /// The answer to the request.
    pub fn answer(&self, result: &Value) -> String {
        json!({"jsonrpc": "2.0", "id": self.request["id"], "result": result}).to_string()
    }

    /// Answers the request well.
    pub fn result(&self, result: &Value) {
        self.head_of_json();
        self.frame(http2::DATA, http2::END_STREAM, self.answer(result));
    }

    /// Closes the connection.
    pub fn close(&self) {
        let _ = self.connection.shutdown(Shutdown::Both);
    }
}

impl Http2 {
    /// Starts a server with `tools` that answers every call with `answer`.
    pub fn start(tools: Value, answer: impl Fn(&Stream<'_>) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be bound");
        let address = listener.local_addr().expect("a listener has an address");
        let stopped = Arc::new(AtomicBool::new(false));
        let (stop, answer) = (Arc::clone(&stopped), Arc::new(answer));
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let (answer, tools) = (Arc::clone(&answer), tools.clone());
                std::thread::spawn(move || serve(&connection, &tools, &*answer));
            }
        });
        Self { address, stopped }
    }

    /// It as a backend.
    pub fn backend(&self) -> Value {
        json!({"url": format!("http://{}/mcp", self.address), "http2": true, "era": "modern"})
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
    }
}

fn serve(connection: &TcpStream, tools: &Value, answer: &dyn Fn(&Stream<'_>)) -> Option<()> {
    let mut reader = BufReader::new(connection);
    reader.read_exact(&mut [0; http2::PREFACE.len()]).ok()?;
    let open = Stream { connection, number: 0, request: Value::Null };
    open.control(http2::SETTINGS, 0, []);
    let mut bodies = HashMap::<u32, Vec<u8>>::new();
    loop {
        let frame = Frame::read(&mut reader)?;
        match frame.kind {
            http2::SETTINGS if !frame.has(http2::ACK) => {
                open.control(http2::SETTINGS, http2::ACK, []);
            }
            http2::PING if !frame.has(http2::ACK) => {
                open.control(http2::PING, http2::ACK, &frame.payload);
            }
            http2::DATA => {
                if let Ok(length @ 1..) = u32::try_from(frame.payload.len()) {
                    open.control(http2::WINDOW_UPDATE, 0, length.to_be_bytes());
                }
                bodies.entry(frame.stream).or_default().extend_from_slice(&frame.payload);
            }
            _ => {}
        }
        let ends = matches!(frame.kind, http2::DATA | http2::HEADERS) && frame.has(http2::END_STREAM);
        if !ends {
            continue;
        }
        let body = bodies.remove(&frame.stream).unwrap_or_default();
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let stream = Stream { connection, number: frame.stream, request };
        let method = stream.request["method"].as_str().unwrap_or_default();
        match offer(method, tools) {
            Some(result) => stream.result(&result),
            None if method == "tools/call" => answer(&stream),
            None => {
                stream.raw(Frame::headers(frame.stream, &[(":status", "404")], http2::END_STREAM).bytes());
            }
        }
    }
}
