//! A raw client of revision 2026-07-28: every request stands alone.

use crate::http::{Endpoint, Request};
use crate::message::{Answer, Speak};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};

/// The modern revision.
pub const REVISION: &str = "2026-07-28";

const META: &str = "io.modelcontextprotocol/";

/// A client of one endpoint that holds nothing but its capabilities.
#[derive(Debug)]
pub struct Modern {
    endpoint: Endpoint,
    capabilities: Value,
    last_id: AtomicU64,
}

impl Modern {
    /// A client without capabilities.
    pub fn new(endpoint: Endpoint) -> Self {
        Self::with_capabilities(endpoint, json!({}))
    }

    /// A client that declares these capabilities in every request.
    pub fn with_capabilities(endpoint: Endpoint, capabilities: Value) -> Self {
        Self { endpoint, capabilities, last_id: AtomicU64::new(0) }
    }

    /// The endpoint it speaks to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The parameters with the `_meta` members that the revision requires; members that are there stay.
    pub fn with_meta(&self, params: Value) -> Value {
        with_meta(params, &self.capabilities)
    }
}

impl Speak for Modern {
    fn ask(&self, method: &str, params: Value) -> Answer {
        let (request, id) = self.prepare(method, params);
        Answer::of(&request.send(&self.endpoint), &id)
    }

    fn prepare(&self, method: &str, params: Value) -> (Request, Value) {
        let id = json!(self.last_id.fetch_add(1, Ordering::Relaxed) + 1);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": self.with_meta(params)});
        (post(&message.to_string(), method, name_of(method, &message["params"])), id)
    }
}

/// The parameters with the `_meta` members that the revision requires of a client with these capabilities; members that are
/// there stay.
pub fn with_meta(mut params: Value, capabilities: &Value) -> Value {
    let required = [
        ("protocolVersion", json!(REVISION)),
        ("clientCapabilities", capabilities.clone()),
        ("clientInfo", json!({"name": "weir-tests", "version": "1"})),
    ];
    for (name, value) in required {
        let member = &mut params["_meta"][format!("{META}{name}")];
        if member.is_null() {
            *member = value;
        }
    }
    params
}

/// A POST of `body` with the headers of the revision: `Mcp-Method`, and `Mcp-Name` where there is a name.
pub fn post(body: &str, method: &str, name: Option<&str>) -> Request {
    let request = Request::post(body).header("mcp-protocol-version", REVISION).header("mcp-method", method);
    match name {
        Some(name) => request.header("mcp-name", name),
        None => request,
    }
}

/// What `Mcp-Name` says for a request, if its method has one.
pub(crate) fn name_of<'a>(method: &str, params: &'a Value) -> Option<&'a str> {
    match method {
        "tools/call" | "prompts/get" => params["name"].as_str(),
        "resources/read" => params["uri"].as_str(),
        "tasks/get" | "tasks/update" | "tasks/cancel" => params["taskId"].as_str(),
        _ => None,
    }
}
