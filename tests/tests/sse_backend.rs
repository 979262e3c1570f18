//! Real servers that speak the HTTP+SSE transport of 2024-11-05, as clients of both eras see them.

use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_tests::driver::{self, MODES, SDKS};
use weir_tests::{Legacy, Modern, Speak, Weir, peers, wait};

fn clients(weir: &Weir) -> [Box<dyn Speak>; 2] {
    [Box::new(Legacy::new(weir.endpoint())), Box::new(Modern::new(weir.endpoint()))]
}

fn until_exists(folder: &Path, name: &str) {
    wait::until_true(&format!("the server writes `{name}`"), || folder.join(name).exists());
}

#[test]
fn fastmcp_serves_every_client() {
    let server = peers::fastmcp_sse(Arc::default());
    for era in ["auto", "legacy"] {
        let weir = Weir::over(json!({"fast": {"url": server.url(), "era": era}}));
        for sdk in SDKS {
            for mode in MODES {
                let steps = [
                    driver::call("add", json!({"a": 1, "b": 2})),
                    driver::call_with_progress("count", json!({"to": 4})),
                    driver::call("fail", json!({"reason": "on purpose"})),
                    driver::prompt("review", json!({"subject": "a gateway"})),
                    driver::read("fast://square/12"),
                ];
                let report = driver::session(sdk, mode, &weir.url(), &steps);
                let who = format!("{sdk:?} {mode} over {era}");
                assert_eq!(report.ok(0)["structuredContent"], json!({"result": 3}), "{who}");
                assert_eq!(report.progress(1), [1.0, 2.0, 3.0, 4.0], "{who}");
                assert_eq!(report.ok(2)["isError"], true, "{who}");
                let prompt = &report.ok(3)["messages"][0]["content"]["text"];
                assert_eq!(prompt, "Review this: a gateway", "{who}");
                assert_eq!(report.ok(4)["contents"][0]["text"], "144", "{who}");
            }
        }
        assert!(weir.log().contains("transport=\"sse\""), "{}", weir.log());
    }
}

#[test]
fn progress_arrives_while_a_call_runs_and_large_results_come_whole() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = peers::python_sse(folder.path());
    let weir = Weir::over(json!({"python": {"url": server.url()}}));
    for client in clients(&weir) {
        let params = json!({"name": "wait", "arguments": {"steps": 3}, "_meta": {"progressToken": "mine"}});
        let (request, id) = client.prepare("tools/call", params);
        let mut events = request.open(&weir.endpoint()).events();
        for step in 1..=3 {
            let progress = events.message();
            assert_eq!(progress["params"]["progressToken"], "mine");
            assert_eq!(progress["params"]["progress"].as_f64(), Some(f64::from(step)));
        }
        // Another call is answered on the same stream meanwhile.
        let large = client.call("repeat", json!({"text": "grüße ", "times": 500_000}));
        assert_eq!(large.text().len(), 500_000 * "grüße ".len());
        std::fs::write(folder.path().join("release"), "").expect("a file can be written");
        let answer = events.message_where(|message| message["id"] == id);
        assert_eq!(answer["result"]["content"][0]["text"], "released");
        std::fs::remove_file(folder.path().join("release")).expect("the file is there");
    }
}

#[test]
fn a_cancelled_call_is_cancelled_at_the_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = peers::python_sse(folder.path());
    let weir = Weir::over(json!({"python": {"url": server.url()}}));
    let start = |client: &dyn Speak| {
        let (request, id) = client.prepare("tools/call", json!({"name": "wait", "arguments": {}}));
        let call = request.begin(&weir.endpoint());
        until_exists(folder.path(), "started");
        std::fs::remove_file(folder.path().join("started")).expect("the file is there");
        (call, id)
    };
    let until_cancelled = || {
        until_exists(folder.path(), "cancelled");
        std::fs::remove_file(folder.path().join("cancelled")).expect("the file is there");
    };
    let (call, _) = start(&Modern::new(weir.endpoint()));
    drop(call);
    until_cancelled();
    let legacy = Legacy::new(weir.endpoint());
    let (_call, id) = start(&legacy);
    legacy.tell("notifications/cancelled", json!({"requestId": id}));
    until_cancelled();
}

#[test]
fn a_server_that_ends_fails_its_calls_and_is_used_again_when_it_is_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = peers::python_sse(folder.path());
    let weir = Weir::over(json!({"python": {"url": server.url()}}));
    for client in clients(&weir) {
        let (request, id) = client.prepare("tools/call", json!({"name": "wait", "arguments": {}}));
        std::thread::scope(|scope| {
            let answer = scope.spawn(|| weir_tests::Answer::of(&request.send(&weir.endpoint()), &id));
            until_exists(folder.path(), "started");
            std::fs::remove_file(folder.path().join("started")).expect("the file is there");
            server.restart();
            let answer = answer.join().expect("the call is answered");
            assert_eq!(answer.error(), -32603, "{}", answer.message);
            let text = answer.message["error"]["message"].as_str().unwrap_or_default();
            assert!(text.contains("went away before it answered"), "{text}");
        });
        wait::until_true("it is called again", || {
            let answer = client.call("repeat", json!({"text": "a", "times": 2}));
            !answer.failed() && answer.text() == "aa"
        });
    }
}

#[test]
fn a_server_that_moves_on_to_streamable_http_is_followed() {
    let modern = Arc::new(AtomicBool::new(false));
    let mut server = peers::fastmcp_sse(modern.clone());
    let weir = Weir::over(json!({"fast": {"url": server.url()}}));
    let sum = |client: &dyn Speak| {
        let answer = client.call("add", json!({"a": 1, "b": 2}));
        answer.message["result"]["structuredContent"] == json!({"result": 3})
    };
    for client in clients(&weir) {
        assert!(sum(&*client));
    }
    modern.store(true, Ordering::SeqCst);
    server.restart();
    wait::until_true("it is recognised", || weir.log().contains("revision=\"2026-07-28\""));
    for client in clients(&weir) {
        assert!(sum(&*client));
        assert_ne!(client.ask("tools/list", json!({})).result()["tools"], Value::Null);
    }
}
