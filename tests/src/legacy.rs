//! A raw client of the revisions up to 2025-11-25: `initialize`, a session, a GET stream.

use crate::http::Body;
use crate::http::{Endpoint, Events, Request, Response};
use crate::message::{Answer, Speak};
use serde_json::{Value, json};
use std::io::BufReader;
use std::sync::atomic::{AtomicU64, Ordering};

/// The newest legacy revision.
pub const REVISION: &str = "2025-11-25";

/// A client with an initialized session.
#[derive(Debug)]
pub struct Legacy {
    endpoint: Endpoint,
    session: String,
    version: String,
    /// What `initialize` answered.
    pub welcome: Value,
    last_id: AtomicU64,
}

impl Legacy {
    /// Opens a session of the newest legacy revision, without capabilities.
    pub fn new(endpoint: Endpoint) -> Self {
        Self::open(endpoint, REVISION, json!({}))
    }

    /// Opens a session: `initialize`, then `notifications/initialized`.
    pub fn open(endpoint: Endpoint, version: &str, capabilities: Value) -> Self {
        let response = initialize(version, capabilities).send(&endpoint);
        assert_eq!(response.status, 200, "initialize is answered: {}", response.text());
        let session = response.header("mcp-session-id").expect("a session is given").to_owned();
        let welcome = Answer::of(&response, &json!(0)).result().clone();
        let version = welcome["protocolVersion"].as_str().expect("a version is answered").to_owned();
        let client = Self { endpoint, session, version, welcome, last_id: AtomicU64::new(0) };
        client.tell("notifications/initialized", json!({}));
        client
    }

    /// The session's id.
    pub fn session(&self) -> &str {
        &self.session
    }

    /// The endpoint it speaks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Sends a notification and checks that it is accepted.
    pub fn tell(&self, method: &str, params: Value) {
        let response = self.post(&json!({"jsonrpc": "2.0", "method": method, "params": params}).to_string());
        assert_eq!(response.status, 202, "{method} is accepted: {}", response.text());
    }

    /// Answers a request of the server.
    pub fn reply(&self, id: &Value, result: Value) {
        let response = self.post(&json!({"jsonrpc": "2.0", "id": id, "result": result}).to_string());
        assert_eq!(response.status, 202, "the answer is accepted: {}", response.text());
    }

    /// Posts a text within the session.
    pub fn post(&self, body: &str) -> Response {
        self.within(Request::post(body)).send(&self.endpoint)
    }

    /// Opens the session's GET stream.
    pub fn listen(&self) -> Events<BufReader<Body>> {
        self.within(Request::new("GET").header("accept", "text/event-stream")).open(&self.endpoint).events()
    }

    /// Ends the session.
    pub fn delete(&self) -> Response {
        self.within(Request::new("DELETE")).send(&self.endpoint)
    }

    /// Adds the session's headers to a request.
    pub fn within(&self, request: Request) -> Request {
        let request = request.header("mcp-session-id", &self.session);
        // The header came with 2025-06-18.
        if self.version.as_str() < "2025-06-18" {
            return request;
        }
        request.header("mcp-protocol-version", &self.version)
    }
}

impl Speak for Legacy {
    fn ask(&self, method: &str, params: Value) -> Answer {
        let (request, id) = self.prepare(method, params);
        Answer::of(&request.send(&self.endpoint), &id)
    }

    fn prepare(&self, method: &str, params: Value) -> (Request, Value) {
        let id = json!(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        (self.within(Request::post(message.to_string())), id)
    }
}

/// An `initialize` request with id 0.
pub fn initialize(version: &str, capabilities: Value) -> Request {
    let params = json!({
        "protocolVersion": version,
        "capabilities": capabilities,
        "clientInfo": {"name": "weir-tests", "version": "1"},
    });
    Request::post(json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}).to_string())
}
