//! A raw client of HTTP+SSE, the transport of 2024-11-05: one stream down, messages posted up.

use crate::http::{Body, Endpoint, Events, Request, Response};
use serde_json::{Value, json};
use std::io::BufReader;

/// A client with its stream open.
#[derive(Debug)]
pub struct Paired {
    /// The stream.
    pub stream: Events<BufReader<Body>>,
    /// Where messages are posted, as the stream told it.
    pub messages: Endpoint,
    last_id: u64,
}

impl Paired {
    /// Opens the stream beside an endpoint.
    pub fn open(endpoint: &Endpoint) -> Self {
        let path = endpoint.at(&format!("{}/sse", endpoint.path));
        let mut stream = Request::new("GET").header("accept", "text/event-stream").open(&path).events();
        let first = stream.next().expect("the stream begins with an event");
        assert_eq!(first.name, "endpoint");
        Self { stream, messages: endpoint.at(&first.data), last_id: 0 }
    }

    /// Opens the stream and the session.
    pub fn new(endpoint: &Endpoint, version: &str) -> Self {
        let mut client = Self::open(endpoint);
        let about = json!({"name": "weir-tests", "version": "1"});
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": about});
        let welcome = client.ask("initialize", params);
        assert_eq!(welcome["result"]["protocolVersion"], version);
        client
    }

    /// Posts a text.
    pub fn post(&self, body: &str) -> Response {
        Request::new("POST").header("content-type", "application/json").body(body).send(&self.messages)
    }

    /// Posts a request and answers its id.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = json!(self.last_id);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let response = self.post(&body.to_string());
        assert_eq!((response.status, response.text().as_str()), (202, ""), "{method} is accepted");
        id
    }

    /// Posts a request and waits for its answer; messages before it are skipped.
    pub fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params);
        self.stream.message_where(|message| message["id"] == id)
    }
}
