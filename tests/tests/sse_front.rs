//! HTTP+SSE of 2024-11-05 at the front: a stream down, messages up, the stream is the session.

use serde_json::{Value, json};
use weir_tests::driver::{self, SDKS, Sdk};
use weir_tests::weir::config;
use weir_tests::{Legacy, Paired, Request, Speak, Weir, peers, process, wait};

fn echo() -> Weir {
    Weir::over(json!({"echo": peers::fixture("echo.py", &["legacy", "modern"])}))
}

fn slow(directory: &std::path::Path) -> Weir {
    let directory = directory.to_str().expect("the path is UTF-8");
    Weir::over(json!({"slow": peers::fixture("slow.py", &[directory, "legacy"])}))
}

#[test]
fn real_clients_use_it() {
    let weir = Weir::over(json!({"everything": peers::everything_stdio()}));
    let steps = [
        driver::tools(),
        driver::call("echo", json!({"message": "grüße\nzwei"})),
        driver::call_with_progress("trigger-long-running-operation", json!({"duration": 0.03, "steps": 3})),
        driver::prompt("args-prompt", json!({"city": "Rome"})),
        driver::read("demo://resource/dynamic/text/1"),
    ];
    for sdk in SDKS {
        for mode in ["legacy", "auto"] {
            let report = driver::session(sdk, mode, &format!("sse:{}/sse", weir.url()), &steps);
            assert!(report.ok(0)["tools"].as_array().is_some_and(|tools| tools.len() > 5));
            assert_eq!(report.text(1), "Echo: grüße\nzwei", "{sdk:?} {mode}");
            let progress = report.progress(2);
            // The TypeScript client loses notices that it reads together with the answer behind them.
            assert!([1.0, 2.0, 3.0].starts_with(&progress), "{sdk:?} {mode}: {progress:?}");
            assert!(progress.len() == 3 || sdk == Sdk::TypeScript, "{mode}: {progress:?}");
            assert!(report.ok(3)["messages"].is_array() && report.ok(4)["contents"].is_array());
        }
    }
    let call = ["--method", "tools/call", "--tool-name", "get-sum", "--tool-arg", "a=2", "b=3"];
    let sum = driver::inspector_sse("legacy", &format!("{}/sse", weir.url()), &call);
    assert_eq!(sum["content"][0]["text"], "The sum of 2 and 3 is 5.");
}

#[test]
fn every_legacy_revision_is_spoken() {
    let weir = echo();
    for version in ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"] {
        let mut client = Paired::new(&weir.endpoint(), version);
        assert_eq!(client.ask("tools/list", json!({}))["result"]["tools"].as_array().map(Vec::len), Some(5));
        assert_eq!(client.ask("ping", json!({}))["result"], json!({}));
        let again = client.ask("initialize", json!({"protocolVersion": version}));
        assert_eq!(again["error"]["code"], -32600, "a stream is initialized once");
    }
}

#[test]
fn a_session_belongs_to_its_stream() {
    let weir = echo();
    let ping = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
    let client = Paired::new(&weir.endpoint(), "2024-11-05");
    let post = |query: &str| {
        let request = Request::new("POST").header("content-type", "application/json").body(ping);
        request.send(&weir.endpoint().at(&format!("/mcp/messages{query}"))).status
    };
    let id = client.messages.path.split_once("sessionId=").expect("an id").1.to_owned();
    assert_eq!(post(&format!("?sessionId={id}")), 202);
    let legacy = Legacy::new(weir.endpoint());
    for query in [
        String::new(),
        "?sessionId=".to_owned(),
        "?sessionId=00000000000000000000000000000000".to_owned(),
        format!("?sessionId={id}&sessionId={id}"),
        format!("?session={id}"),
        format!("?sessionId={}", legacy.session()),
    ] {
        assert_eq!(post(&query), 404, "{query}");
    }
    // Nor is the stream's session one of streamable HTTP.
    let borrowed = Request::post(ping).header("mcp-session-id", &id);
    assert_eq!(borrowed.send(&weir.endpoint()).status, 404);
    drop(client);
    wait::until_true("the session ends with its stream", || post(&format!("?sessionId={id}")) == 404);
}

#[test]
fn what_cannot_be_taken_is_refused_at_once() {
    let weir = echo();
    let mut client = Paired::open(&weir.endpoint());
    let early = client.ask("tools/list", json!({}));
    assert_eq!(early["error"]["code"], -32000, "no session yet");
    for (body, code) in [("nonsense", -32700), ("[]", -32600), ("7", -32600)] {
        let refused = client.post(body);
        assert_eq!((refused.status, refused.error_code()), (400, Some(code)), "{body}");
    }
    let plain = Request::new("POST").header("content-type", "text/plain").body("{}");
    assert_eq!(plain.send(&client.messages).status, 415);
    let stream = weir.endpoint().at("/mcp/sse");
    let get = Request::new("GET").header("accept", "text/event-stream");
    assert_eq!(get.clone().header("origin", "http://evil.example.com").send(&stream).status, 403);
    assert_eq!(get.clone().header("host", "evil.example.com").send(&stream).status, 403);
    assert_eq!(Request::new("GET").header("accept", "application/json").send(&stream).status, 406);
    // A client that tries streamable HTTP first learns that this is not it.
    let posted = Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#).send(&stream);
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET")));
    assert_eq!(Request::new("GET").send(&weir.endpoint().at("/mcp/messages")).status, 405);
    assert_eq!(get.send(&weir.endpoint().at("/sse")).status, 404);
}

#[test]
fn an_endpoint_may_do_without_it() {
    let backends = json!({"echo": peers::fixture("echo.py", &["legacy"])});
    let weir = Weir::serve(config(backends, json!({"sse": false})));
    let get = Request::new("GET").header("accept", "text/event-stream");
    assert_eq!(get.send(&weir.endpoint().at("/mcp/sse")).status, 404);
    assert_eq!(Request::post("{}").send(&weir.endpoint().at("/mcp/messages")).status, 404);
}

#[test]
fn the_path_of_an_endpoint_may_look_like_a_stream() {
    let backends = json!({"echo": peers::fixture("echo.py", &["legacy"])});
    let mut config = config(backends, json!({}));
    config["endpoints"]["main"]["path"] = json!("/sse/sse");
    let weir = Weir::serve(config);
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    assert!(client.messages.path.starts_with("/sse/sse/messages?"), "{}", client.messages.path);
    assert_eq!(client.ask("ping", json!({}))["result"], json!({}));
}

#[test]
fn sessions_are_bounded() {
    let backends = json!({"echo": peers::fixture("echo.py", &["legacy"])});
    let mut config = config(backends, json!({}));
    config["limits"]["sessions"] = json!(1);
    let weir = Weir::serve(config);
    let first = Paired::open(&weir.endpoint());
    let get = Request::new("GET").header("accept", "text/event-stream");
    let stream = weir.endpoint().at("/mcp/sse");
    assert_eq!(get.send(&stream).status, 503);
    drop(first);
    wait::until_true("the place is free again", || get.open(&stream).status == 200);
}

#[test]
fn a_silent_stream_is_kept_open() {
    let backends = json!({"echo": peers::fixture("echo.py", &["legacy"])});
    let mut config = config(backends, json!({}));
    config["timeouts"]["keep_alive"] = json!("50ms");
    let weir = Weir::serve(config);
    let mut socket =
        Request::new("GET").header("accept", "text/event-stream").begin(&weir.endpoint().at("/mcp/sse"));
    let mut seen = String::new();
    wait::until_true("two comments come", || {
        let mut chunk = [0; 1024];
        let count = std::io::Read::read(&mut socket, &mut chunk).expect("the stream is open");
        seen.push_str(&String::from_utf8_lossy(&chunk[..count]));
        seen.matches(": keep-alive").count() >= 2
    });
}

#[test]
fn calls_run_side_by_side_and_are_cancelled_by_their_id() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let weir = slow(directory.path());
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    let params = json!({"name": "wait", "arguments": {"steps": 2}, "_meta": {"progressToken": 5}});
    let waiting = client.request("tools/call", params);
    for step in [1, 2] {
        let progress = client.stream.message();
        assert_eq!(
            (&progress["params"]["progressToken"], &progress["params"]["progress"]),
            (&json!(5), &json!(step))
        );
    }
    let quick = client.request("tools/call", json!({"name": "quick", "arguments": {}}));
    assert_eq!(client.stream.message()["id"], quick);
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": waiting}});
    assert_eq!(client.post(&cancel.to_string()).status, 202);
    wait::until_true("the call is cancelled", || directory.path().join("cancelled").exists());
    let ping = client.request("ping", json!({}));
    assert_eq!(client.stream.message()["id"], ping, "nothing more is said of the cancelled call");
}

#[test]
fn cancelling_needs_no_place() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().to_str().expect("the path is UTF-8");
    let mut config = config(json!({"slow": peers::fixture("slow.py", &[path, "legacy"])}), json!({}));
    config["endpoints"]["main"]["conflicts"] = json!("none");
    // One of them is the stream.
    config["limits"]["requests"] = json!(2);
    let weir = Weir::serve(config);
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    let waiting = client.request("tools/call", json!({"name": "wait", "arguments": {}}));
    wait::until_true("the call has begun", || directory.path().join("started").exists());
    let refused = client.post(r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#);
    assert_eq!((refused.status, refused.error_code()), (503, Some(-32000)), "weir is full");
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": waiting}});
    assert_eq!(client.post(&cancel.to_string()).status, 202);
    wait::until_true("the call is cancelled", || directory.path().join("cancelled").exists());
}

#[test]
fn a_closed_stream_takes_its_calls_along() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let weir = slow(directory.path());
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    client.request("tools/call", json!({"name": "wait", "arguments": {}}));
    wait::until_true("the call has begun", || directory.path().join("started").exists());
    drop(client);
    wait::until_true("the call is cancelled", || directory.path().join("cancelled").exists());
}

#[test]
fn a_closed_stream_ends_upstream_sessions() {
    let mut backend = peers::fixture("echo.py", &["legacy"]);
    backend["session"] = json!("client");
    let weir = Weir::over(json!({"echo": backend}));
    let before = process::children(weir.pid());
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    client.ask("tools/call", json!({"name": "folder", "arguments": {}}));
    let own: Vec<i32> =
        process::children(weir.pid()).into_iter().filter(|child| !before.contains(child)).collect();
    assert!(!own.is_empty(), "the session has a process of its own");
    drop(client);
    for child in own {
        wait::until_true("it ends with the session", || !process::is_running(child));
    }
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let backends = json!({"echo": peers::fixture("echo.py", &["legacy"])});
    let mut config = config(backends, json!({"conflicts": "none"}));
    config["timeouts"]["write"] = json!("200ms");
    let weir = Weir::serve(config);
    let client = Paired::new(&weir.endpoint(), "2024-11-05");
    let raw = json!({"content": [{"type": "text", "text": "x".repeat(3 << 20)}]}).to_string();
    let call = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "reply", "arguments": {"raw": raw}}});
    let large = Request::post(call.to_string());
    wait::until_true("the session ends", || {
        // The answer may come, and the connection go, before the whole request was written.
        drop(large.begin(&client.messages));
        client.post(r#"{"jsonrpc":"2.0","id":10,"method":"ping"}"#).status == 404
    });
}

#[test]
fn changes_are_announced_on_the_stream() {
    let weir = Weir::over(json!({"changing": peers::fixture("changing.py", &["legacy"])}));
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    let other = Legacy::new(weir.endpoint());
    other.call("add_tool", json!({"name": "later"}));
    assert_eq!(
        client.stream.message(),
        json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
    );
}

#[test]
fn a_stream_ends_once_its_calls_have() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let weir = slow(directory.path());
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    let mut idle = Paired::new(&weir.endpoint(), "2024-11-05");
    let waiting = client.request("tools/call", json!({"name": "wait", "arguments": {}}));
    wait::until_true("the call has begun", || directory.path().join("started").exists());
    weir.terminate();
    assert_eq!(idle.stream.next(), None, "a stream without a call ends at once");
    std::fs::write(directory.path().join("release"), "").expect("the call can be released");
    let answer = client.stream.message_where(|message| message["id"] == waiting);
    assert_eq!(answer["result"]["content"][0]["text"], "released");
    assert_eq!(client.stream.next(), None);
    assert!(weir.finish().status.success());
}

#[test]
fn large_answers_arrive_whole() {
    let weir = echo();
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    let parts: Vec<Value> = (0..3)
        .map(|_| {
            let raw = json!({"content": [{"type": "text", "text": "x".repeat(3 << 20)}]}).to_string();
            client.request("tools/call", json!({"name": "reply", "arguments": {"raw": raw}}))
        })
        .collect();
    let mut seen: Vec<Value> = Vec::new();
    while seen.len() < parts.len() {
        let answer = client.stream.message();
        assert_eq!(answer["result"]["content"][0]["text"].as_str().map(str::len), Some(3 << 20));
        seen.push(answer["id"].clone());
    }
    seen.sort_by_key(Value::as_u64);
    assert_eq!(seen, parts);
}

#[test]
fn logs_and_updates_come_on_the_stream() {
    let weir = Weir::over(json!({"watched": peers::fixture("watched.py", &["legacy"])}));
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    assert_eq!(client.ask("resources/subscribe", json!({"uri": "doc:///a"}))["result"], json!({}));
    client.request("tools/call", json!({"name": "touch", "arguments": {"uri": "doc:///a"}}));
    client.stream.message_where(|message| message["method"] == "notifications/resources/updated");
    assert_eq!(client.ask("logging/setLevel", json!({"level": "debug"}))["result"], json!({}));
    client.request("tools/call", json!({"name": "log", "arguments": {"levels": ["debug"]}}));
    client.stream.message_where(|message| message["method"] == "notifications/message");
}
