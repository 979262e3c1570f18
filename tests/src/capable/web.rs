//! Streamable HTTP: every request has a connection and a thread of its own, and all that they read comes together.

use super::wire::{Source, Wire, accepted};
use crate::http::{Endpoint, Exchange, Request};
use crate::{Legacy, modern, wait};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

/// What is said beside the message.
#[derive(Debug)]
pub(super) enum Dialect {
    /// The headers of a session.
    Legacy(Box<Legacy>),
    /// Headers that mirror the message.
    Modern,
}

/// A client of one endpoint.
#[derive(Debug)]
pub(super) struct Web {
    endpoint: Endpoint,
    dialect: Dialect,
    sender: Sender<(Source, Value)>,
    receiver: Receiver<(Source, Value)>,
    /// The connections of requests, to be closed.
    open: HashMap<u64, TcpStream>,
}

impl Web {
    pub(super) fn new(endpoint: Endpoint, dialect: Dialect) -> Self {
        let (sender, receiver) = channel();
        Self { endpoint, dialect, sender, receiver, open: HashMap::new() }
    }

    /// Opens the GET stream of a session.
    pub(super) fn listen(&self) {
        if let Dialect::Legacy(session) = &self.dialect {
            let mut events = session.listen();
            let sender = self.sender.clone();
            std::thread::spawn(move || {
                while let Some(event) = events.find(|event| !event.data.is_empty()) {
                    if sender.send((Source::Get, event.json())).is_err() {
                        break;
                    }
                }
            });
        }
    }

    fn request(&self, message: &Value) -> Request {
        let body = message.to_string();
        match &self.dialect {
            Dialect::Legacy(session) => session.within(Request::post(body)),
            Dialect::Modern => {
                let method = message["method"].as_str().unwrap_or_default();
                modern::post(&body, method, modern::name_of(method, &message["params"]))
            }
        }
    }
}

impl Wire for Web {
    fn send(&mut self, message: &Value) -> Result<(), String> {
        let request = self.request(message);
        let id = message["id"].as_u64().filter(|_| message.get("method").is_some());
        let Some(id) = id else {
            let response = request.send(&self.endpoint);
            return accepted(response.status, &response.text(), message);
        };
        let stream = request.begin(&self.endpoint);
        self.open.insert(id, stream.try_clone().map_err(|error| error.to_string())?);
        let sender = self.sender.clone();
        std::thread::spawn(move || read(stream, id, &sender));
        Ok(())
    }

    fn receive(&mut self) -> Result<(Source, Value), String> {
        let got = self.receiver.recv_timeout(wait::DEADLINE);
        let (source, message) = got.map_err(|_| "no more messages come".to_owned())?;
        if let Source::Post(id) = source
            && message.get("method").is_none()
        {
            self.open.remove(&id);
        }
        Ok((source, message))
    }

    fn leave(&mut self, id: u64) -> bool {
        self.open.remove(&id).is_some_and(|stream| stream.shutdown(Shutdown::Both).is_ok())
    }
}

/// Reads the answer to a request. Where none comes, an error says so under the request's id.
fn read(stream: TcpStream, id: u64, sender: &Sender<(Source, Value)>) {
    let exchange = Exchange::of(stream);
    let streams = exchange.header("content-type").is_some_and(|media| media.starts_with("text/event-stream"));
    let put = |message: Value| sender.send((Source::Post(id), message));
    let lost = |what: String| json!({"jsonrpc": "2.0", "id": id, "error": {"code": 0, "message": what}});
    if streams && exchange.status == 200 {
        let mut answered = false;
        for event in exchange.events().filter(|event| !event.data.is_empty()) {
            let message = event.json();
            answered |= message["id"] == id && message.get("method").is_none();
            if put(message).is_err() {
                return;
            }
        }
        if !answered {
            let _ = put(lost("the stream ended before the answer".to_owned()));
        }
        return;
    }
    let response = exchange.finish();
    let message: Option<Value> = serde_json::from_slice(&response.body).ok();
    let answer = message.filter(|message| message["id"] == id);
    let _ = put(answer.unwrap_or_else(|| lost(format!("{} {}", response.status, response.text()))));
}
