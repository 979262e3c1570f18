use super::Session;
use crate::demo::clock::Clock;
use crate::demo::notes::Notes;
use crate::demo::reply::Outlet;
use crate::demo::server::Server;
use serde_json::{Value, json};
use std::sync::mpsc::{Receiver, sync_channel};

/// A client of a demo server in the same process.
pub(in crate::demo) struct Client<S> {
    session: Session<S>,
    said: Receiver<String>,
}

impl<S: Server> Client<S> {
    /// A client that has said nothing yet.
    pub(in crate::demo) fn new(server: S) -> Self {
        let (lines, said) = sync_channel(1000);
        Self { session: Session::new(server, Outlet::new(lines)), said }
    }

    /// A client that has initialized.
    pub(in crate::demo) fn legacy(server: S) -> Self {
        let mut client = Self::new(server);
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {} });
        client.send(json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params }));
        client.next();
        client
    }

    pub(in crate::demo) fn send(&mut self, message: Value) {
        self.session.receive(Some(message.to_string().as_bytes()));
    }

    /// The next message.
    pub(in crate::demo) fn next(&self) -> Value {
        serde_json::from_str(&self.said.recv().unwrap()).unwrap()
    }

    /// Sends a legacy request and gives the next message.
    pub(in crate::demo) fn ask(&mut self, method: &str, params: Value) -> Value {
        self.send(json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }));
        self.next()
    }

    /// Sends a modern request and gives the next message.
    pub(in crate::demo) fn ask_modern(&mut self, id: Value, method: &str, mut params: Value) -> Value {
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        self.send(json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        self.next()
    }

    /// Ends the conversation and gives everything not read yet.
    pub(in crate::demo) fn close(self) -> Vec<Value> {
        self.session.close();
        self.said.iter().map(|line| serde_json::from_str(&line).unwrap()).collect()
    }
}

#[test]
fn a_legacy_client_gets_the_version_it_asks_for() {
    for (asked, answered) in [
        ("2024-11-05", "2024-11-05"),
        ("2025-03-26", "2025-03-26"),
        ("2025-06-18", "2025-06-18"),
        ("2025-11-25", "2025-11-25"),
        ("2026-07-28", "2025-11-25"),
        ("1999-01-01", "2025-11-25"),
    ] {
        let mut client = Client::new(Clock::new());
        let answer = client.ask("initialize", json!({ "protocolVersion": asked, "capabilities": {} }));
        assert_eq!(answer["result"]["protocolVersion"], answered);
        assert_eq!(answer["result"]["serverInfo"]["name"], "weir-demo-clock");
        assert_eq!(client.ask("ping", json!({}))["result"], json!({}));
        let tools = client.ask("tools/list", json!({}));
        assert!(tools["result"].get("resultType").is_none() && tools["result"].get("ttlMs").is_none());
    }
}

#[test]
fn a_modern_client_needs_no_handshake() {
    let mut client = Client::new(Notes::default());
    let found = client.ask_modern(json!("a"), "server/discover", json!({}));
    assert_eq!(found["id"], "a");
    let result = &found["result"];
    assert_eq!(result["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["cacheScope"], "public");
    assert!(result["ttlMs"].is_u64());
    assert_eq!(result["capabilities"]["resources"]["listChanged"], true);
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "weir-demo-notes");
    for method in ["tools/list", "resources/list", "resources/templates/list", "prompts/list"] {
        let result = client.ask_modern(json!(2), method, json!({}))["result"].clone();
        assert!(result["ttlMs"].is_u64() && result["cacheScope"].is_string(), "{method}: {result}");
    }
    for method in ["initialize", "ping", "logging/setLevel", "resources/subscribe"] {
        assert_eq!(client.ask_modern(json!(3), method, json!({}))["error"]["code"], -32601, "{method}");
    }
    // Having been asked in the modern way first does not keep the legacy way from working.
    assert!(client.ask("initialize", json!({}))["result"].is_object());
}

#[test]
fn envelopes_that_lack_something_are_refused() {
    let mut client = Client::new(Clock::new());
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    for (meta, code) in [
        (json!({}), -32602),
        (json!({ version: "2026-07-28" }), -32602),
        (json!({ version: "2026-07-28", capabilities: [] }), -32602),
        (json!({ version: 5, capabilities: {} }), -32602),
        (json!({ version: "2027-01-01", capabilities: {} }), -32022),
    ] {
        let answer = client.ask("tools/list", json!({ "_meta": meta }));
        assert_eq!(answer["error"]["code"], code, "{answer}");
    }
    let answer = client.ask("tools/list", json!({ "_meta": { version: "2027-01-01" } }));
    assert_eq!(answer["error"]["data"], json!({ "supported": ["2026-07-28"], "requested": "2027-01-01" }));
}

#[test]
fn malformed_messages_are_answered_and_survived() {
    let mut client = Client::legacy(Clock::new());
    for (line, code) in [
        ("{", -32700),
        ("\u{fffd}", -32700),
        ("[]", -32600),
        ("7", -32600),
        (r#"{"jsonrpc":"2.0","id":1}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, -32602),
        (r#"{"jsonrpc":"2.0","id":1,"method":"nonsense"}"#, -32601),
    ] {
        client.session.receive(Some(line.as_bytes()));
        assert_eq!(client.next()["error"]["code"], code, "{line}");
    }
    client.session.receive(None);
    assert_eq!(client.next()["error"]["code"], -32700);
    client.session.receive(Some("[".repeat(100_000).as_bytes()));
    assert_eq!(client.next()["error"]["code"], -32700);
    // Nobody asked for these.
    client.send(json!({ "jsonrpc": "2.0", "id": 9, "result": {} }));
    client.send(json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    client.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": [] }));
    assert_eq!(client.close(), [json!(null); 0]);
}
