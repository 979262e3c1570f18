//! The bounds at the front: what is over one is refused at once, and what is within still works.

use serde_json::{Value, json};
use weir_tests::http::send_raw;
use weir_tests::{Legacy, Modern, Response, Speak, Weir, legacy, peers, wait, weir};

/// weir over the echo server with `limits` and `timeouts` of the front.
fn echo(limits: Value, timeouts: Value) -> Weir {
    let mut config =
        weir::config(json!({"echo": peers::fixture("echo.py", &["legacy"])}), json!({"conflicts": "none"}));
    config["limits"] = limits;
    config["timeouts"] = timeouts;
    Weir::serve(config)
}

fn expect_busy(response: &Response) {
    assert_eq!((response.status, response.error_code()), (503, Some(-32000)), "{}", response.text());
    assert_eq!(response.header("retry-after"), Some("1"));
}

#[test]
fn a_head_is_bounded() {
    let weir = echo(json!({"headers": "2KiB"}), json!({}));
    let (request, _) = Modern::new(weir.endpoint()).prepare("tools/list", json!({}));
    let filled = |size| request.clone().header("x-filler", &"x".repeat(size));
    assert_eq!(filled(1 << 10).send(&weir.endpoint()).status, 200);
    let refused = send_raw(&weir.endpoint(), &filled(2 << 10).bytes(&weir.endpoint())).finish();
    assert_eq!((refused.status, refused.error_code()), (431, Some(-32600)));
}

#[test]
fn nesting_is_bounded() {
    let weir = echo(json!({"depth": 16}), json!({}));
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Modern::new(weir.endpoint())), Box::new(Legacy::new(weir.endpoint()))];
    for client in clients {
        // The message, its `params` and the `arguments` are three levels.
        let nested = |depth: usize| {
            let arguments = (0..depth).fold(json!({}), |inner, _| json!([inner]));
            let params = json!({"name": "line", "arguments": {"a": arguments}});
            client.prepare("tools/call", params).0.send(&weir.endpoint())
        };
        assert_eq!(nested(12).status, 200);
        let refused = nested(13);
        assert_eq!((refused.status, refused.error_code()), (400, Some(-32600)), "{}", refused.text());
    }
}

#[test]
fn requests_under_way_are_bounded() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = peers::fixture("slow.py", &[folder.path().to_str().expect("a path"), "legacy"]);
    let mut config = weir::config(json!({"slow": backend}), json!({"conflicts": "none"}));
    config["limits"]["requests"] = json!(2);
    let weir = Weir::serve(config);
    let client = Modern::new(weir.endpoint());
    let (request, id) = client.prepare("tools/call", json!({"name": "wait", "arguments": {}}));
    let endpoint = weir.endpoint();
    let waiting = std::thread::spawn(move || request.send(&endpoint));
    wait::until_true("the call has started", || folder.path().join("started").exists());
    // A stream is a request under way too.
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let (request, _) = client.prepare("subscriptions/listen", listen);
    let mut stream = request.open(&weir.endpoint()).events();
    stream.message();

    let (list, _) = client.prepare("tools/list", json!({}));
    expect_busy(&list.send(&weir.endpoint()));
    drop(stream);
    wait::until_true("the stream's place is free", || list.send(&weir.endpoint()).status == 200);
    std::fs::write(folder.path().join("release"), "").expect("a file can be written");
    let answer = waiting.join().expect("the call is answered");
    assert_eq!(weir_tests::Answer::of(&answer, &id).text(), "released");
}

#[test]
fn cancelling_needs_no_place() {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = peers::fixture("slow.py", &[folder.path().to_str().expect("a path"), "legacy"]);
    let mut config = weir::config(json!({"slow": backend}), json!({"conflicts": "none"}));
    config["limits"]["requests"] = json!(2);
    let weir = Weir::serve(config);
    let client = Legacy::open(weir.endpoint(), "2025-03-26", json!({}));
    let (request, id) = client.prepare("tools/call", json!({"name": "wait", "arguments": {}}));
    let _waiting = request.begin(&weir.endpoint());
    wait::until_true("the call has started", || folder.path().join("started").exists());
    let _stream = client.listen();

    let ping = json!({"jsonrpc": "2.0", "id": "p", "method": "ping"});
    expect_busy(&client.post(&ping.to_string()));
    let told = |size: usize| {
        json!({"jsonrpc": "2.0", "method": "notifications/x", "params": {"a": "x".repeat(size)}}).to_string()
    };
    assert_eq!(client.post(&told(10)).status, 202);
    expect_busy(&client.post(&told(5000)));
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    let refused = client.post(&json!([ping, cancel]).to_string());
    assert_eq!((refused.status, &refused.json()[0]["error"]["code"]), (503, &json!(-32000)));
    wait::until_true("the call is cancelled", || folder.path().join("cancelled").exists());
}

#[test]
fn sessions_are_bounded() {
    let weir = echo(json!({"sessions": 2}), json!({}));
    let (first, second) = (Legacy::new(weir.endpoint()), Legacy::new(weir.endpoint()));
    let third = legacy::initialize(legacy::REVISION, json!({}));
    expect_busy(&third.send(&weir.endpoint()));
    assert_eq!((first.tool_names().len(), second.tool_names().len()), (5, 5));
    assert_eq!(Modern::new(weir.endpoint()).tool_names().len(), 5, "a modern client needs none");
    first.delete();
    assert_eq!(third.send(&weir.endpoint()).status, 200);
}

#[test]
fn an_idle_session_ends() {
    let weir = echo(json!({"sessions": 1}), json!({"session": "200ms"}));
    let idle = Legacy::new(weir.endpoint());
    // Another session is opened as soon as the first has ended. To ask the first would keep it.
    let another = wait::until("the idle session has ended", || {
        let opened = legacy::initialize(legacy::REVISION, json!({})).send(&weir.endpoint());
        (opened.status == 200).then_some(opened)
    });
    assert!(another.header("mcp-session-id").is_some());
    let (request, _) = idle.prepare("tools/list", json!({}));
    let gone = request.send(&weir.endpoint());
    assert_eq!((gone.status, gone.error_code()), (404, Some(-32001)), "{}", gone.text());
}

#[test]
fn a_body_that_does_not_arrive_is_given_up() {
    let weir = echo(json!({}), json!({"read": "200ms"}));
    let (request, _) = Modern::new(weir.endpoint()).prepare("tools/list", json!({}));
    let bytes = request.bytes(&weir.endpoint());
    let answer = send_raw(&weir.endpoint(), &bytes[..bytes.len() - 1]).finish();
    assert_eq!((answer.status, answer.error_code()), (408, Some(-32600)), "{}", answer.text());
}
