//! Progress reaches the caller and nobody else; cancelling reaches the server, in the way of each era.

use parking_lot::Mutex;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tempfile::TempDir;
use weir_tests::scripted::{Received, Reply, tool};
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir, peers, wait};

/// weir over the slow server of one era, with the folder that the server looks at.
fn slow(era: &str) -> (Weir, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = peers::fixture("slow.py", &[folder.path().to_str().expect("a path"), era]);
    (Weir::over(json!({"slow": backend})), folder)
}

fn until_exists(folder: &Path, name: &str) {
    wait::until_true(&format!("the server writes `{name}`"), || folder.join(name).exists());
}

fn release(folder: &Path) {
    std::fs::write(folder.join("release"), "").expect("a file can be written");
}

fn wait_with_progress(steps: u32, token: Value) -> Value {
    json!({"name": "wait", "arguments": {"steps": steps}, "_meta": {"progressToken": token}})
}

/// Checks that `events` are the progress of a call of `steps` steps under `token`, in order.
fn check_progress(events: &[Value], steps: u32, token: &Value) {
    let progress =
        events.iter().filter(|event| event["method"] == "notifications/progress").collect::<Vec<_>>();
    let numbers =
        progress.iter().filter_map(|event| event["params"]["progress"].as_u64()).collect::<Vec<_>>();
    assert_eq!(numbers, (1..=u64::from(steps)).collect::<Vec<_>>());
    assert!(progress.iter().all(|event| &event["params"]["progressToken"] == token), "{progress:?}");
}

#[test]
fn progress_comes_in_order_under_the_clients_token() {
    for era in ["legacy", "modern"] {
        let (weir, folder) = slow(era);
        release(folder.path());
        for token in [json!("mine"), json!(7)] {
            let modern =
                Modern::new(weir.endpoint()).ask("tools/call", wait_with_progress(200, token.clone()));
            check_progress(&modern.events, 200, &token);
            assert_eq!(modern.text(), "released", "{era}");
            let legacy =
                Legacy::new(weir.endpoint()).ask("tools/call", wait_with_progress(200, token.clone()));
            check_progress(&legacy.events, 200, &token);
            assert_eq!(legacy.text(), "released", "{era}");
        }
    }
}

#[test]
fn progress_arrives_while_the_call_runs() {
    let (weir, folder) = slow("legacy");
    let client = Modern::new(weir.endpoint());
    let (request, id) = client.prepare("tools/call", wait_with_progress(1, json!("mine")));
    let mut events = request.open(&weir.endpoint()).events();
    assert_eq!(events.message()["method"], "notifications/progress");
    // The call still waits: only now may it end.
    release(folder.path());
    assert_eq!(
        events.message_where(|message| message["id"] == id)["result"]["content"][0]["text"],
        "released"
    );
}

#[test]
fn one_token_of_two_clients_does_not_mix() {
    let (weir, folder) = slow("legacy");
    let ask = |steps| {
        let client = Modern::new(weir.endpoint());
        client.prepare("tools/call", wait_with_progress(steps, json!("same"))).0.open(&weir.endpoint())
    };
    let (first, second) = (ask(2), ask(3));
    release(folder.path());
    check_progress(&first.finish().messages(), 2, &json!("same"));
    check_progress(&second.finish().messages(), 3, &json!("same"));
}

#[test]
fn no_progress_comes_unasked() {
    let (weir, folder) = slow("legacy");
    release(folder.path());
    for client in [&Modern::new(weir.endpoint()) as &dyn Speak, &Legacy::new(weir.endpoint())] {
        let answer = client.call("wait", json!({"steps": 5}));
        assert_eq!((answer.text(), answer.events.len()), ("released", 0));
    }
}

#[test]
fn a_modern_client_cancels_by_leaving() {
    for era in ["legacy", "modern"] {
        let (weir, folder) = slow(era);
        let client = Modern::new(weir.endpoint());
        // With progress the answer is an event stream; without it, no byte has come yet.
        let (request, _) = client.prepare("tools/call", wait_with_progress(1, json!("mine")));
        let mut events = request.open(&weir.endpoint()).events();
        events.message();
        drop(events);
        until_exists(folder.path(), "cancelled");

        std::fs::remove_file(folder.path().join("cancelled")).expect("it is there");
        std::fs::remove_file(folder.path().join("started")).expect("it is there");
        let silent =
            client.prepare("tools/call", json!({"name": "wait", "arguments": {}})).0.begin(&weir.endpoint());
        until_exists(folder.path(), "started");
        drop(silent);
        until_exists(folder.path(), "cancelled");
    }
}

#[test]
fn a_legacy_client_cancels_by_saying_so() {
    for era in ["legacy", "modern"] {
        let (weir, folder) = slow(era);
        let client = Legacy::new(weir.endpoint());
        let (request, id) = client.prepare("tools/call", wait_with_progress(1, json!("mine")));
        let _stream = request.begin(&weir.endpoint());
        until_exists(folder.path(), "started");
        client.tell("notifications/cancelled", json!({"requestId": id, "reason": "changed my mind"}));
        until_exists(folder.path(), "cancelled");
        assert_eq!(client.call("quick", json!({})).text(), "done", "the session lives on");
    }
}

#[test]
fn a_client_cancels_only_its_own() {
    let (weir, folder) = slow("legacy");
    let caller = Legacy::new(weir.endpoint());
    let (request, id) = caller.prepare("tools/call", wait_with_progress(1, json!("mine")));
    let mut events = request.open(&weir.endpoint()).events();
    until_exists(folder.path(), "started");
    let stranger = Legacy::new(weir.endpoint());
    stranger.tell("notifications/cancelled", json!({"requestId": id}));
    // Whatever the stranger's message set off has happened before its next call is answered.
    assert_eq!(stranger.call("quick", json!({})).text(), "done");
    release(folder.path());
    assert_eq!(
        events.message_where(|message| message["id"] == id)["result"]["content"][0]["text"],
        "released"
    );
    assert!(!folder.path().join("cancelled").exists());
}

/// The HTTP server that a call waits at, how it was told that the call is not wanted any more, and weir before it.
struct Waiting {
    weir: Weir,
    server: Scripted,
    closed: Arc<AtomicBool>,
}

/// weir over an HTTP server of one era whose tool `wait` reports progress once and then waits until it is left.
fn waiting(era: &str) -> Waiting {
    let closed = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&closed);
    let answer = move |request: &Received, reply: &mut Reply<'_>| {
        let token = &request.json()["params"]["_meta"]["progressToken"];
        let params = json!({"progressToken": token, "progress": 1});
        reply.open_events();
        reply.event(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}));
        reply.wait_for_close();
        seen.store(true, Ordering::Relaxed);
    };
    let tools = json!([tool("wait")]);
    let server = match era {
        "legacy" => Scripted::legacy(tools, answer),
        _ => Scripted::modern(tools, answer),
    };
    Waiting { weir: Weir::over(json!({"waiting": server.backend()})), server, closed }
}

/// Waits until the server is told in the way of its era: a legacy one by a notification in the session of the call, a modern
/// one by the end of the connection.
fn until_told(waiting: &Waiting, era: &str) {
    if era == "modern" {
        wait::until_true("the connection is closed", || waiting.closed.load(Ordering::Relaxed));
        return;
    }
    let told =
        wait::until("the call is cancelled", || waiting.server.received_of("notifications/cancelled").pop());
    let call = waiting.server.received_of("tools/call").pop().expect("the call was received");
    assert_eq!(told.json()["params"]["requestId"], call.json()["id"]);
    assert_eq!(told.header("mcp-session-id"), call.header("mcp-session-id"));
    assert!(told.header("mcp-session-id").is_some());
}

#[test]
fn cancelling_reaches_a_server_of_either_era_over_http() {
    for era in ["legacy", "modern"] {
        let waits = waiting(era);
        let client = Modern::new(waits.weir.endpoint());
        let (request, _) = client.prepare("tools/call", wait_with_progress(1, json!("mine")));
        let mut events = request.open(&waits.weir.endpoint()).events();
        events.message();
        drop(events);
        until_told(&waits, era);

        let waits = waiting(era);
        let client = Legacy::new(waits.weir.endpoint());
        let (request, id) = client.prepare("tools/call", wait_with_progress(1, json!("mine")));
        let mut events = request.open(&waits.weir.endpoint()).events();
        events.message();
        client.tell("notifications/cancelled", json!({"requestId": id}));
        until_told(&waits, era);
        assert!(
            events.all(|event| event.data.is_empty() || event.json()["id"] != id),
            "a cancelled call is not answered"
        );
    }
}

#[test]
fn a_legacy_client_that_leaves_does_not_cancel() {
    // So much progress that it fills every buffer on its way to a client that does not read.
    const EVENTS: usize = 24;
    let taken = Arc::new(Mutex::new(None));
    let told = Arc::clone(&taken);
    let server = Scripted::legacy(json!([tool("talk"), tool("quick")]), move |request, reply| {
        let result = json!({"content": [{"type": "text", "text": "done"}]});
        if request.json()["params"]["name"] == "quick" {
            reply.result(request, result);
            return;
        }
        reply.open_events();
        let token = &request.json()["params"]["_meta"]["progressToken"];
        let all = (1..=EVENTS).all(|step| {
            let params = json!({"progressToken": token, "progress": step, "message": "x".repeat(1 << 20)});
            reply.event(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))
        });
        let last = reply.event(json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result}));
        *told.lock() = Some(all && last);
        reply.close();
    });
    let weir = Weir::over(json!({"talking": server.backend()}));
    let client = Legacy::new(weir.endpoint());
    let params = json!({"name": "talk", "arguments": {}, "_meta": {"progressToken": "mine"}});
    let mut events = client.prepare("tools/call", params).0.open(&weir.endpoint()).events();
    events.message();
    drop(events);
    let taken = wait::until("the call has ended", || *taken.lock());
    assert!(taken, "everything that the server said was read, to the end");
    assert_eq!(client.call("quick", json!({})).text(), "done");
    assert!(server.received_of("notifications/cancelled").is_empty());
}
