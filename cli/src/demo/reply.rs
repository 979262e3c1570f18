//! The way back from a demo server to its client.

use serde_json::{Map, Value, json};
use std::sync::mpsc::SyncSender;

/// The key of a result's `_meta` that names the server.
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";

/// Where messages go, one line each. A client that reads no more is not told more.
#[derive(Debug, Clone)]
pub(super) struct Outlet(SyncSender<String>);

impl Outlet {
    pub(super) fn new(lines: SyncSender<String>) -> Self {
        Self(lines)
    }

    pub(super) fn send(&self, message: &Value) {
        // The other end goes only when standard output was closed, and then nobody is left to tell.
        let _ = self.0.send(message.to_string());
    }

    pub(super) fn notify(&self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }
}

/// A JSON-RPC error.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) code: i64,
    pub(super) message: String,
    pub(super) data: Option<Value>,
}

impl Failure {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// -32602: what is asked for is malformed or does not exist.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(-32602, message)
    }

    /// -32601: no such method.
    pub(super) fn no_method(method: &str) -> Self {
        Self::new(-32601, format!("there is no method `{method}` here"))
    }
}

/// How one request is answered.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) outlet: Outlet,
    pub(super) id: Value,
    /// What a modern result carries beside its content; absent in the legacy era.
    pub(super) extra: Option<Map<String, Value>>,
}

impl Reply {
    /// `info` is the server's `Implementation`.
    pub(super) fn new(outlet: Outlet, id: Value, method: &str, modern: bool, info: &Value) -> Self {
        let extra = modern.then(|| {
            let mut extra = Map::new();
            extra.insert("resultType".into(), "complete".into());
            extra.insert("_meta".into(), json!({ SERVER_INFO: info }));
            if let Some((ttl, scope)) = caching(method) {
                extra.insert("ttlMs".into(), ttl.into());
                extra.insert("cacheScope".into(), scope.into());
            }
            extra
        });
        Self { outlet, id, extra }
    }

    pub(super) fn send(&self, answer: Result<Value, Failure>) {
        let id = &self.id;
        self.outlet.send(&match answer {
            Ok(mut result) => {
                if let (Some(extra), Some(fields)) = (&self.extra, result.as_object_mut()) {
                    fields.extend(extra.clone());
                }
                json!({ "jsonrpc": "2.0", "id": id, "result": result })
            }
            Err(Failure { code, message, data: None }) => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
            }
            Err(Failure { code, message, data: Some(data) }) => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message, "data": data } })
            }
        });
    }
}

/// How long a result may be kept, in milliseconds, and for whom. What is built in does not change; notes do.
fn caching(method: &str) -> Option<(u64, &'static str)> {
    match method {
        "server/discover" | "tools/list" | "prompts/list" | "resources/templates/list" => {
            Some((3_600_000, "public"))
        }
        "resources/list" | "resources/read" => Some((0, "private")),
        _ => None,
    }
}

/// A tool's result: text for a reader and, where there is one, the same as data.
pub(super) fn tool_result(text: &str, data: Option<Value>) -> Value {
    let content = json!([{ "type": "text", "text": text }]);
    match data {
        Some(data) => json!({ "content": content, "structuredContent": data }),
        None => json!({ "content": content }),
    }
}

/// A tool's result that says what was wrong, so that the model can do better.
pub(super) fn tool_error(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }], "isError": true })
}
