//! One client's conversation with a demo server, in either era of the protocol, request by request.

use super::reply::{Failure, Outlet, Reply};
use super::server::{Request, Server, Step};
use serde_json::{Map, Value, json};

const MODERN: &str = "2026-07-28";
const LEGACY: [&str; 4] = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
const NEWEST_LEGACY: &str = "2025-11-25";
const VERSION_KEY: &str = "io.modelcontextprotocol/protocolVersion";
const CAPABILITIES_KEY: &str = "io.modelcontextprotocol/clientCapabilities";
const SUBSCRIPTION_KEY: &str = "io.modelcontextprotocol/subscriptionId";
/// Most `subscriptions/listen` requests open at once.
const MOST_LISTENERS: usize = 16;

/// The conversation. Both eras may be spoken side by side.
pub(super) struct Session<S> {
    server: S,
    outlet: Outlet,
    /// Whether a legacy client has shaken hands.
    initialized: bool,
    /// The open `subscriptions/listen` requests that want to hear of resources.
    listeners: Vec<Listener>,
}

struct Listener {
    reply: Reply,
    resources: bool,
}

impl<S: Server> Session<S> {
    pub(super) fn new(server: S, outlet: Outlet) -> Self {
        Self { server, outlet, initialized: false, listeners: Vec::new() }
    }

    /// Takes one message; `None` stands for one that was too long to read.
    pub(super) fn receive(&mut self, line: Option<&[u8]>) {
        let refuse = |session: &Self, failure| session.reply(&Value::Null, "", false).send(Err(failure));
        let Some(line) = line else {
            return refuse(self, Failure::new(-32700, "the message is too long"));
        };
        let Ok(message) = serde_json::from_slice::<Value>(line) else {
            return refuse(self, Failure::new(-32700, "the message is not valid JSON"));
        };
        let Value::Object(message) = message else {
            return refuse(self, Failure::new(-32600, "a message must be one JSON object"));
        };
        let id = message.get("id");
        let Some(method) = message.get("method").and_then(Value::as_str) else {
            // An answer: this server asks nothing, so it waits for none.
            if !message.contains_key("result") && !message.contains_key("error") {
                refuse(self, Failure::new(-32600, "`method` must be a string"));
            }
            return;
        };
        let params = match message.get("params") {
            None => Ok(Map::new()),
            Some(Value::Object(params)) => Ok(params.clone()),
            Some(_) => Err(Failure::invalid("`params` must be an object")),
        };
        match id {
            None => {
                if let ("notifications/cancelled", Ok(params)) = (method, params) {
                    self.cancel(params.get("requestId").unwrap_or(&Value::Null));
                }
            }
            Some(id) if id.is_string() || id.is_i64() || id.is_u64() => match params {
                Ok(params) => self.request(id, method, params),
                Err(failure) => self.reply(id, method, false).send(Err(failure)),
            },
            Some(_) => refuse(self, Failure::new(-32600, "`id` must be a string or a whole number")),
        }
    }

    /// Ends the open streams in good order; what is under way is given up.
    pub(super) fn close(self) {
        for Listener { reply, .. } in self.listeners {
            reply.send(Ok(json!({})));
        }
    }

    fn reply(&self, id: &Value, method: &str, modern: bool) -> Reply {
        Reply::new(self.outlet.clone(), id.clone(), method, modern, &self.info())
    }

    fn info(&self) -> Value {
        let name = format!("weir-demo-{}", S::NAME);
        json!({ "name": name, "title": S::TITLE, "version": env!("CARGO_PKG_VERSION") })
    }

    fn request(&mut self, id: &Value, method: &str, params: Map<String, Value>) {
        let modern = match era(&params) {
            Ok(modern) => modern,
            Err(failure) => return self.reply(id, method, true).send(Err(failure)),
        };
        let reply = self.reply(id, method, modern);
        let request = Request { method: method.into(), params, modern };
        let step = if modern { self.modern(&request, &reply) } else { self.legacy(&request, &reply) };
        match step {
            Step::Done(answer) => reply.send(answer),
            Step::Changed(result) => {
                // Whoever sees the answer knows already that the list is another one.
                self.announce();
                reply.send(Ok(result));
            }
            Step::Later => {}
        }
    }

    fn modern(&mut self, request: &Request, reply: &Reply) -> Step {
        match request.method.as_str() {
            "server/discover" => Step::Done(Ok(json!({
                "supportedVersions": [MODERN],
                "capabilities": self.server.capabilities(),
                "instructions": S::INSTRUCTIONS,
            }))),
            "subscriptions/listen" => self.listen(request, reply),
            _ => self.common(request, reply),
        }
    }

    fn legacy(&mut self, request: &Request, reply: &Reply) -> Step {
        match request.method.as_str() {
            "initialize" => {
                let asked = request.params.get("protocolVersion").and_then(Value::as_str);
                let version = LEGACY.into_iter().find(|known| asked == Some(known)).unwrap_or(NEWEST_LEGACY);
                self.initialized = true;
                Step::Done(Ok(json!({
                    "protocolVersion": version,
                    "capabilities": self.server.capabilities(),
                    "serverInfo": self.info(),
                    "instructions": S::INSTRUCTIONS,
                })))
            }
            "ping" => Step::Done(Ok(json!({}))),
            _ if !self.initialized => Step::Done(Err(Failure::invalid(format!(
                "neither `{VERSION_KEY}` in `params._meta` nor an `initialize` before this request"
            )))),
            _ => self.common(request, reply),
        }
    }

    fn common(&mut self, request: &Request, reply: &Reply) -> Step {
        match request.method.as_str() {
            "tools/list" => Step::Done(Ok(json!({ "tools": self.server.tools() }))),
            _ => self.server.answer(request, reply),
        }
    }

    fn listen(&mut self, request: &Request, reply: &Reply) -> Step {
        if self.listeners.len() >= MOST_LISTENERS {
            return Step::Done(Err(Failure::invalid(format!(
                "more than {MOST_LISTENERS} open subscriptions"
            ))));
        }
        let Some(Value::Object(wanted)) = request.params.get("notifications") else {
            return Step::Done(Err(Failure::invalid("`params.notifications` must be an object")));
        };
        let resources = S::ANNOUNCES && wanted.get("resourcesListChanged") == Some(&Value::Bool(true));
        let mut reply = reply.clone();
        if let Some(Value::Object(meta)) = reply.extra.as_mut().and_then(|extra| extra.get_mut("_meta")) {
            meta.insert(SUBSCRIPTION_KEY.into(), reply.id.clone());
        }
        let accepted = if resources { json!({ "resourcesListChanged": true }) } else { json!({}) };
        let params = json!({ "_meta": { SUBSCRIPTION_KEY: reply.id }, "notifications": accepted });
        reply.outlet.notify("notifications/subscriptions/acknowledged", params);
        self.listeners.push(Listener { reply, resources });
        Step::Later
    }

    fn announce(&self) {
        const METHOD: &str = "notifications/resources/list_changed";
        if self.initialized {
            self.outlet.send(&json!({ "jsonrpc": "2.0", "method": METHOD }));
        }
        for Listener { reply, .. } in self.listeners.iter().filter(|listener| listener.resources) {
            reply.outlet.notify(METHOD, json!({ "_meta": { SUBSCRIPTION_KEY: reply.id } }));
        }
    }

    fn cancel(&mut self, id: &Value) {
        self.listeners.retain(|listener| listener.reply.id != *id);
        self.server.cancel(id);
    }
}

/// Whether a request is modern; one that begins like it must have all that a modern request needs.
fn era(params: &Map<String, Value>) -> Result<bool, Failure> {
    let meta = params.get("_meta");
    let Some(version) = meta.and_then(|meta| meta.get(VERSION_KEY)) else {
        return Ok(false);
    };
    let Some(version) = version.as_str() else {
        return Err(Failure::invalid(format!("`{VERSION_KEY}` must be a string")));
    };
    if version != MODERN {
        let data = Some(json!({ "supported": [MODERN], "requested": version }));
        return Err(Failure { data, ..Failure::new(-32022, "unsupported protocol version") });
    }
    match meta.and_then(|meta| meta.get(CAPABILITIES_KEY)) {
        Some(Value::Object(_)) => Ok(true),
        _ => Err(Failure::invalid(format!("`{CAPABILITIES_KEY}` must be an object"))),
    }
}

#[cfg(test)]
pub(super) mod tests;
