//! Progress reaches the caller and nobody else; cancelling reaches the server, in the way of each era.

use serde_json::{Value, json};
use std::path::Path;
use tempfile::TempDir;
use weir_tests::{Legacy, Modern, Speak, Weir, peers, wait};

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
