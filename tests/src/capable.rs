//! Clients of every revision, over every transport, that answer what servers ask them.
//!
//! A legacy client is sent requests while its call runs and posts the answers; a modern one is told what is needed and calls
//! again. Either is one type here, so that a test can be written once.

mod web;
mod wire;

use crate::http::Endpoint;
use crate::modern;
use crate::{Legacy, Paired, Stdio};
use serde_json::{Value, json};
use std::collections::{HashSet, VecDeque};
use web::{Dialect, Web};
use wire::{Source, Wire};

/// Rounds of questions that one call may take.
const ROUNDS: usize = 8;

/// What a client does with a request of the server: the result that it answers.
pub type Reply<'a> = &'a dyn Fn(&Value) -> Value;

/// What came of one request.
#[derive(Debug)]
pub struct Outcome {
    /// The answer, with `result` or `error`.
    pub message: Value,
    /// The notifications that came on the way.
    pub events: Vec<Value>,
    /// What the server asked on the way.
    pub asked: Vec<Value>,
}

/// A client with its connection or session open.
#[derive(Debug)]
pub struct Capable {
    wire: Box<dyn Wire>,
    /// What a modern client declares in every request; none makes it a legacy one.
    modern: Option<Value>,
    last_id: u64,
    /// Notifications that nobody waited for yet.
    heard: VecDeque<Value>,
    /// The ids of the server's requests so far.
    numbers: HashSet<String>,
}

impl Capable {
    /// A client over streamable HTTP of a legacy revision, with its GET stream open.
    pub fn legacy(endpoint: Endpoint, version: &str, capabilities: Value) -> Self {
        let session = Legacy::open(endpoint, version, capabilities);
        let web = Web::new(session.endpoint().clone(), Dialect::Legacy(Box::new(session)));
        web.listen();
        Self::over(Box::new(web), None)
    }

    /// A client over HTTP of 2026-07-28.
    pub fn modern(endpoint: Endpoint, capabilities: Value) -> Self {
        Self::over(Box::new(Web::new(endpoint, Dialect::Modern)), Some(capabilities))
    }

    /// A client over HTTP+SSE of 2024-11-05.
    pub fn paired(endpoint: &Endpoint, capabilities: Value) -> Self {
        let mut client = Self::over(Box::new(Paired::open(endpoint)), None);
        client.initialize("2024-11-05", capabilities);
        client
    }

    /// A legacy client that started `weir stdio`.
    pub fn stdio_legacy(weir: Stdio, version: &str, capabilities: Value) -> Self {
        let mut client = Self::over(Box::new(weir), None);
        client.initialize(version, capabilities);
        client
    }

    /// A modern client that started `weir stdio`.
    pub fn stdio_modern(weir: Stdio, capabilities: Value) -> Self {
        Self::over(Box::new(weir), Some(capabilities))
    }

    fn over(wire: Box<dyn Wire>, modern: Option<Value>) -> Self {
        Self { wire, modern, last_id: 0, heard: VecDeque::new(), numbers: HashSet::new() }
    }

    fn initialize(&mut self, version: &str, capabilities: Value) {
        let about = json!({"name": "weir-tests", "version": "1"});
        let params = json!({"protocolVersion": version, "capabilities": capabilities, "clientInfo": about});
        let welcome = self.ask("initialize", params).expect("the session opens");
        assert_eq!(welcome.message["result"]["protocolVersion"], version, "{welcome:?}");
        self.tell("notifications/initialized", json!({})).expect("the session opens");
    }

    /// Whether it speaks the modern era.
    pub fn is_modern(&self) -> bool {
        self.modern.is_some()
    }

    /// Sends a request and waits for its answer. What the server asks meanwhile is a mistake.
    pub fn ask(&mut self, method: &str, params: Value) -> Result<Outcome, String> {
        let outcome = self.converse(method, params, &|_| json!({}))?;
        match outcome.asked.first() {
            None => Ok(outcome),
            Some(request) => Err(format!("{method} is no reason to ask {request}")),
        }
    }

    /// Sends a request and waits for its answer, round after round; the server's own requests are answered by `reply`.
    pub fn converse(&mut self, method: &str, mut params: Value, reply: Reply<'_>) -> Result<Outcome, String> {
        let (mut events, mut asked) = (Vec::new(), Vec::new());
        for _ in 0..=ROUNDS {
            let id = self.begin(method, params.clone())?;
            let message = self.follow(id, reply, &mut events, &mut asked)?;
            let result = &message["result"];
            if self.modern.is_none() || result["resultType"] != "input_required" {
                return Ok(Outcome { message, events, asked });
            }
            let wanted = result["inputRequests"].as_object().cloned().unwrap_or_default();
            asked.extend(wanted.values().cloned());
            let responses = (!wanted.is_empty()).then(|| {
                wanted.iter().map(|(key, request)| (key.clone(), reply(request))).collect::<Value>()
            });
            set(&mut params, "inputResponses", responses);
            set(&mut params, "requestState", result.get("requestState").cloned());
        }
        Err(format!("{method} asks for ever: {asked:?}"))
    }

    /// Sends a request and yields its id.
    pub fn begin(&mut self, method: &str, params: Value) -> Result<u64, String> {
        self.last_id += 1;
        let params = match &self.modern {
            Some(capabilities) => modern::with_meta(params, capabilities),
            None => params,
        };
        let id = self.last_id;
        self.wire.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))?;
        Ok(id)
    }

    /// Sends a notification.
    pub fn tell(&mut self, method: &str, params: Value) -> Result<(), String> {
        self.wire.send(&json!({"jsonrpc": "2.0", "method": method, "params": params}))
    }

    /// Cancels a request, in the way of its revision and transport.
    pub fn cancel(&mut self, id: u64) -> Result<(), String> {
        if self.is_modern() && self.wire.leave(id) {
            return Ok(());
        }
        self.tell("notifications/cancelled", json!({"requestId": id, "reason": "changed its mind"}))
    }

    /// Asks to be told of changes of the tools, and of these resources; yields once that is promised.
    pub fn watch(&mut self, uris: &[&str]) -> Result<(), String> {
        if !self.is_modern() {
            for uri in uris {
                let subscribed = self.ask("resources/subscribe", json!({"uri": uri}))?;
                subscribed.result()?;
            }
            return Ok(());
        }
        let mut wanted = json!({"toolsListChanged": true});
        if !uris.is_empty() {
            wanted["resourceSubscriptions"] = json!(uris);
        }
        let id = self.begin("subscriptions/listen", json!({"notifications": wanted}))?;
        let acknowledged = self.hear(&|message| {
            message["method"] == "notifications/subscriptions/acknowledged"
                && message["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"] == id
        })?;
        let accepted = &acknowledged["params"]["notifications"];
        if *accepted == wanted { Ok(()) } else { Err(format!("expected {wanted}, got {accepted}")) }
    }

    /// Waits for a notification or request for which `wanted` holds, be it one that came while something else was waited for.
    /// Those before it are forgotten. The answer to the last request is a mistake.
    pub fn hear(&mut self, wanted: &dyn Fn(&Value) -> bool) -> Result<Value, String> {
        loop {
            let message = match self.heard.pop_front() {
                Some(message) => message,
                None => self.wire.receive()?.1,
            };
            match message.get("method") {
                Some(_) if wanted(&message) => return Ok(message),
                None if message["id"] == self.last_id => return Err(format!("an answer came: {message}")),
                _ => {}
            }
        }
    }

    /// Reads until the request is answered.
    fn follow(
        &mut self,
        id: u64,
        reply: Reply<'_>,
        events: &mut Vec<Value>,
        asked: &mut Vec<Value>,
    ) -> Result<Value, String> {
        loop {
            let (source, message) = self.wire.receive()?;
            match (message.get("method"), message.get("id")) {
                (None, Some(answered)) if *answered == id => return Ok(message),
                // The answer to a request that nobody waits for any more.
                (None, _) => {}
                (Some(method), None) if method == "notifications/progress" && source == Source::Get => {
                    return Err(format!("progress on the GET stream: {message}"));
                }
                (Some(_), None) => {
                    self.heard.push_back(message.clone());
                    events.push(message);
                }
                (Some(_), Some(_)) if self.is_modern() => {
                    return Err(format!("a modern client was sent a request: {message}"));
                }
                (Some(_), Some(number)) => {
                    if source != Source::Connection && source != Source::Post(id) {
                        return Err(format!("a request on the wrong stream, {source:?}: {message}"));
                    }
                    if !self.numbers.insert(number.to_string()) {
                        return Err(format!("a request with an id that was there before: {message}"));
                    }
                    let answer = json!({"jsonrpc": "2.0", "id": number, "result": reply(&message)});
                    asked.push(message);
                    self.wire.send(&answer)?;
                }
            }
        }
    }
}

/// Gives a member a value, or takes it away.
fn set(params: &mut Value, name: &str, value: Option<Value>) {
    let members = params.as_object_mut().expect("parameters are an object");
    match value {
        Some(value) => drop(members.insert(name.to_owned(), value)),
        None => drop(members.remove(name)),
    }
}

impl Outcome {
    /// The result, or what came instead.
    pub fn result(&self) -> Result<&Value, String> {
        self.message.get("result").ok_or_else(|| format!("expected a result, got {}", self.message))
    }

    /// The text of a result that went well, or what came instead.
    pub fn text(&self) -> Result<&str, String> {
        let result = self.result()?;
        let text = result["content"][0]["text"].as_str().filter(|_| result["isError"] != true);
        text.ok_or_else(|| format!("expected a text, got {}", self.message))
    }

    /// What a failed call says of its failure, or what came instead of a failure.
    pub fn failure(&self) -> Result<&str, String> {
        let result = &self.message["result"];
        let said = match &self.message["error"]["message"] {
            Value::String(message) => Some(message.as_str()),
            _ if result["isError"] == true => result["content"][0]["text"].as_str(),
            _ => None,
        };
        said.ok_or_else(|| format!("expected a failure, got {}", self.message))
    }
}
