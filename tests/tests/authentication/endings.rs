//! What lasts ends with the proof of who calls: when a token expires, or nobody vouches for its bearer any more.

use crate::{Bench, auth, config, echo};
use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use weir_tests::{Legacy, Modern, Paired, Provider, Request, Scripted, Speak, peers, wait};

/// How long the tokens of these tests hold, in seconds: long enough to begin, short enough to wait for.
const SHORT: u64 = 3;

fn slow(folder: &Path) -> Value {
    peers::fixture("slow.py", &[folder.to_str().expect("a path"), "legacy", "modern"])
}

fn with_slow() -> (Bench, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let bench = Bench::over(Provider::start(), json!({"slow": slow(folder.path())}), json!({}));
    (bench, folder)
}

/// A call that lasts, with progress, so that it is answered by a stream.
fn lasting() -> Value {
    json!({"name": "wait", "arguments": {"steps": 1}, "_meta": {"progressToken": "t"}})
}

#[test]
fn streams_end_when_their_token_does() {
    let bench = Bench::start();
    let to = bench.endpoint_for("alice", SHORT);
    let session = Legacy::new(to.clone());
    let stream = session.listen();
    let (request, id) = Modern::new(to.clone())
        .prepare("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let listening = request.open(&to).events();
    let connection = Paired::open(&to);
    // Each of them ends by itself, and well.
    assert_eq!(stream.filter(|event| !event.data.is_empty()).count(), 0);
    let told: Vec<Value> =
        listening.filter(|event| !event.data.is_empty()).map(|event| event.json()).collect();
    let last = told.last().expect("an end");
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&id, &json!("complete")), "{told:?}");
    assert_eq!(connection.stream.count(), 0);
    assert_eq!(connection.messages.path.matches("sessionId").count(), 1);
    assert_eq!(
        session.within(Request::new("GET").header("accept", "text/event-stream")).send(&to).status,
        401
    );
    // The session is still there for who comes with a newer token.
    let ping = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    assert_eq!(session.within(ping.clone()).send(&bench.endpoint("alice")).status, 200);
    // That of the connection went with it.
    let gone = ping.send(&bench.endpoint("alice").at(&connection.messages.path));
    assert_eq!(gone.status, 404);
}

#[test]
fn a_modern_call_ends_with_its_token() {
    let (bench, folder) = with_slow();
    let client = Modern::new(bench.endpoint_for("alice", SHORT));
    let (request, id) = client.prepare("tools/call", lasting());
    let answer = request.send(client.endpoint());
    let last = answer.messages().pop().expect("an answer");
    assert_eq!(last["id"], id);
    assert!(last["error"]["message"].as_str().unwrap_or_default().contains("expired"), "{last}");
    wait::until_true("the server hears of it", || folder.path().join("cancelled").exists());
}

#[test]
fn a_call_that_is_told_more_than_is_read_ends_with_its_token() {
    let server = Scripted::start(|request, reply| match request.rpc_method().as_str() {
        "initialize" => reply.welcome(request, "s"),
        "tools/list" => {
            reply.result(request, json!({"tools": [{"name": "talk", "inputSchema": {"type": "object"}}]}));
        }
        "tools/call" => {
            let token = request.json()["params"]["_meta"]["progressToken"].clone();
            let message = "x".repeat(64 << 10);
            reply.open_events();
            let progress = |step: u64| {
                let params = json!({"progressToken": token, "progress": step, "message": message});
                json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
            };
            for step in 1.. {
                if !reply.event(progress(step)) {
                    return;
                }
            }
        }
        _ => reply.body(202, "text/plain", ""),
    });
    let bench = Bench::over(Provider::start(), json!({"server": server.backend()}), json!({}));
    let client = Modern::new(bench.endpoint_for("alice", SHORT));
    let talk = json!({"name": "talk", "arguments": {}, "_meta": {"progressToken": "t"}});
    let (request, id) = client.prepare("tools/call", talk);
    let mut stream = request.open(client.endpoint()).events();
    let last = wait::until("the call ends", || {
        let message = stream.message();
        (message["id"] == id).then_some(message)
    });
    assert!(last["error"]["message"].as_str().unwrap_or_default().contains("expired"), "{last}");
}

#[test]
fn a_legacy_call_runs_on_for_who_comes_back() {
    let (bench, folder) = with_slow();
    let client = Legacy::new(bench.endpoint_for("alice", SHORT));
    let (request, id) = client.prepare("tools/call", lasting());
    let mut stream = request.open(client.endpoint()).events();
    let first = stream.next().expect("it begins").id.expect("it can be taken up");
    // The connection is closed without an end, as if it had broken.
    wait::until_true("the token is refused", || {
        client.post(r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#).status == 401
    });
    let take_up = client
        .within(Request::new("GET").header("accept", "text/event-stream").header("last-event-id", &first));
    assert_eq!(take_up.send(client.endpoint()).status, 401);
    let mut again = take_up.open(&bench.endpoint("alice")).events();
    std::fs::write(folder.path().join("release"), "").expect("a file can be written");
    let answer = again.message_where(|message| message["id"] == id);
    assert_eq!(answer["result"]["content"][0]["text"], "released");
    assert!(!folder.path().join("cancelled").exists());
}

#[test]
fn a_reload_ends_what_nobody_vouches_for_any_more() {
    let (first, second) = (Provider::start(), Provider::start());
    let mut both = auth(&first, json!({}));
    both["issuers"].as_array_mut().expect("issuers").push(auth(&second, json!({}))["issuers"][0].clone());
    let weir = weir_tests::Weir::serve(config(json!({"echo": echo()}), both));
    let of = |provider: &Provider| weir.endpoint().bearing(&provider.token("alice", crate::RESOURCE));
    let (stays, goes) = (Legacy::new(of(&first)), Legacy::new(of(&second)));
    let (mut kept, ended) = (stays.listen(), goes.listen());
    let connection = Paired::new(&of(&second), "2024-11-05");
    weir.reconfigure(config(json!({"echo": echo(), "more": echo()}), auth(&first, json!({}))));
    weir.hang_up();
    assert_eq!(ended.filter(|event| event.data.contains("\"result\"")).count(), 0, "it ends");
    connection.stream.for_each(drop);
    assert_eq!(goes.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 401);
    // What the first one vouches for goes on, and hears of what changed.
    assert_eq!(kept.message()["method"], "notifications/tools/list_changed");
    assert_eq!(stays.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 200);
}

#[test]
fn a_reload_that_asks_who_calls_ends_what_was_open_to_all() {
    let provider = Provider::start();
    let open = weir_tests::weir::config(json!({"echo": echo()}), json!({"conflicts": "none"}));
    let weir = weir_tests::Weir::serve(open.clone());
    let client = Legacy::new(weir.endpoint());
    let stream = client.listen();
    weir.reconfigure(config(json!({"echo": echo()}), auth(&provider, json!({}))));
    weir.hang_up();
    assert_eq!(stream.filter(|event| event.data.contains("\"id\"")).count(), 0, "it ends");
    assert_eq!(client.post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).status, 401);
    // Nor is the session that of somebody who is known now.
    let known = weir.endpoint().bearing(&provider.token("alice", crate::RESOURCE));
    let ping = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    assert_eq!(client.within(ping.clone()).send(&known).status, 404);
    let session = Legacy::new(known);
    weir.reconfigure(open);
    weir.hang_up();
    wait::until_true("nobody is asked any more", || {
        weir_tests::legacy::initialize("2025-11-25", json!({})).send(&weir.endpoint()).status == 200
    });
    assert_eq!(session.within(ping).send(&weir.endpoint()).status, 404, "nor is it everybody's then");
}
