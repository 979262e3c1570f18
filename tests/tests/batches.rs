//! Batches of the revision 2025-03-26: arrays of messages, over every transport that has them.

use serde_json::{Value, json};
use weir_tests::weir::config;
use weir_tests::{Legacy, Paired, Request, Speak, Stdio, Weir, peers, wait};

const REVISION: &str = "2025-03-26";

fn backends() -> Value {
    json!({"echo": peers::fixture("echo.py", &["legacy", "modern"])})
}

fn request(id: Value, method: &str, params: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

fn reply(id: Value, text: &str) -> Value {
    let raw = json!({"content": [{"type": "text", "text": text}]}).to_string();
    request(id, "tools/call", json!({"name": "reply", "arguments": {"raw": raw}}))
}

/// The answer with this id.
fn with_id<'a>(answers: &'a Value, id: &Value) -> &'a Value {
    let answers = answers.as_array().unwrap_or_else(|| panic!("an array, not {answers}"));
    answers.iter().find(|answer| answer["id"] == *id).unwrap_or_else(|| panic!("no {id} in {answers:?}"))
}

/// One of everything that a batch may hold.
fn mixed() -> Value {
    json!([
        reply(json!("a"), "one"),
        {"jsonrpc": "2.0", "method": "notifications/unheard-of"},
        request(json!(1), "ping", json!({})),
        7,
        [request(json!(2), "ping", json!({}))],
        request(json!(3), "tools/list", json!({})),
        request(json!(4), "no/such", json!({})),
        {"jsonrpc": "2.0", "id": 99, "result": {}},
        request(json!(5), "initialize", json!({"protocolVersion": REVISION})),
        request(json!(6), "ping", json!({})),
        request(json!(6), "ping", json!({})),
        request(json!(7), "tools/list", json!({"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
        }})),
    ])
}

fn check_mixed(answers: &Value) {
    assert_eq!(answers.as_array().map(Vec::len), Some(10), "{answers}");
    assert_eq!(with_id(answers, &json!("a"))["result"]["content"][0]["text"], "one");
    assert_eq!(with_id(answers, &json!(1))["result"], json!({}));
    assert_eq!(with_id(answers, &json!(3))["result"]["tools"].as_array().map(Vec::len), Some(5));
    assert_eq!(with_id(answers, &json!(4))["error"]["code"], -32601);
    for id in [5, 6, 7] {
        assert_eq!(with_id(answers, &json!(id))["error"]["code"], -32600, "{id}");
    }
    let all = answers.as_array().expect("an array");
    assert_eq!(all.iter().filter(|answer| answer["id"] == 6).count(), 2, "neither of two equal ids ran");
    let nameless = all.iter().filter(|answer| answer["id"].is_null());
    assert!(nameless.clone().all(|answer| answer["error"]["code"] == -32600) && nameless.count() == 2);
}

#[test]
fn every_transport_answers_with_an_array() {
    let weir = Weir::over(backends());
    let client = Legacy::open(weir.endpoint(), REVISION, json!({}));
    let answer = client.post(&mixed().to_string());
    assert_eq!((answer.status, answer.header("content-type")), (200, Some("application/json")));
    check_mixed(&answer.json());

    let mut paired = Paired::new(&weir.endpoint(), REVISION);
    assert_eq!(paired.post(&mixed().to_string()).status, 202);
    check_mixed(&paired.stream.message());

    let mut stdio = Stdio::serve(config(backends(), json!({"conflicts": "none"})));
    stdio.initialize(REVISION);
    stdio.send(&mixed().to_string());
    check_mixed(&stdio.message().expect("an answer"));
}

#[test]
fn what_asks_nothing_has_no_answer() {
    let told =
        json!([{"jsonrpc": "2.0", "method": "notifications/x"}, {"jsonrpc": "2.0", "id": 1, "result": {}}]);
    let weir = Weir::over(backends());
    let client = Legacy::open(weir.endpoint(), REVISION, json!({}));
    let answer = client.post(&told.to_string());
    assert_eq!((answer.status, answer.text().as_str()), (202, ""));
    let mut stdio = Stdio::serve(config(backends(), json!({"conflicts": "none"})));
    stdio.initialize(REVISION);
    stdio.send(&told.to_string());
    let ping = stdio.request("ping", json!({}));
    assert_eq!(stdio.message().expect("an answer")["id"], ping);
}

#[test]
fn other_revisions_have_none() {
    let batch = json!([request(json!(1), "ping", json!({}))]).to_string();
    let weir = Weir::over(backends());
    for version in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let refused = Legacy::open(weir.endpoint(), version, json!({})).post(&batch);
        assert_eq!((refused.status, refused.error_code()), (400, Some(-32600)), "{version}");
        assert!(refused.text().contains(REVISION), "{}", refused.text());
        let mut paired = Paired::new(&weir.endpoint(), version);
        assert_eq!(paired.post(&batch).status, 400, "{version}");
        assert_eq!(paired.ask("ping", json!({}))["result"], json!({}), "the session goes on");
    }
    assert_eq!(Request::post(&batch).send(&weir.endpoint()).status, 400);
    let unknown = Request::post(&batch).header("mcp-session-id", "00000000000000000000000000000000");
    assert_eq!(unknown.send(&weir.endpoint()).status, 404);
    let mut stdio = Stdio::serve(config(backends(), json!({"conflicts": "none"})));
    stdio.send(&batch);
    assert_eq!(stdio.message().expect("an answer")["error"]["code"], -32600, "before any revision");
}

#[test]
fn batches_are_bounded() {
    let mut config = config(backends(), json!({"conflicts": "none"}));
    config["limits"]["batch"] = json!(3);
    let weir = Weir::serve(config);
    let client = Legacy::open(weir.endpoint(), REVISION, json!({}));
    let pings = |count: u64| {
        let pings: Vec<Value> = (0..count).map(|id| request(json!(id), "ping", json!({}))).collect();
        client.post(&json!(pings).to_string())
    };
    assert_eq!(pings(3).json().as_array().map(Vec::len), Some(3));
    let refused = pings(4);
    assert_eq!((refused.status, refused.error_code()), (400, Some(-32600)));
    for (body, code) in [("[]", -32600), ("[{}", -32700), ("[{},]", -32700)] {
        let refused = client.post(body);
        assert_eq!((refused.status, refused.error_code()), (400, Some(code)), "{body}");
    }
}

#[test]
fn requests_of_a_batch_count_as_requests() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().to_str().expect("the path is UTF-8");
    let slow = peers::fixture("slow.py", &[path, "legacy"]);
    let mut config = config(json!({"slow": slow}), json!({"conflicts": "none"}));
    config["limits"]["requests"] = json!(3);
    let weir = Weir::serve(config);
    let client = Legacy::open(weir.endpoint(), REVISION, json!({}));
    let call = |id| request(json!(id), "tools/call", json!({"name": "wait", "arguments": {}}));
    let calls: Vec<Value> = (0..4).map(call).collect();
    let post = client.within(Request::post(json!(calls).to_string()));
    let answers = std::thread::scope(|threads| {
        let posted = threads.spawn(|| post.send(client.endpoint()).json());
        wait::until_true("a call has begun", || directory.path().join("started").exists());
        std::fs::write(directory.path().join("release"), "").expect("calls can be released");
        posted.join().expect("the batch is answered")
    });
    let all = answers.as_array().expect("an array");
    let refused = all.iter().filter(|answer| answer["error"]["code"] == -32000).count();
    // The post itself is one of three; the request before it may still count for a moment.
    assert!(all.len() == 4 && (2..4).contains(&refused), "{answers}");
}

#[test]
fn messages_run_side_by_side_and_notices_come_first() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().to_str().expect("the path is UTF-8");
    let weir = Weir::over(json!({"slow": peers::fixture("slow.py", &[path, "legacy"])}));
    let client = Legacy::open(weir.endpoint(), REVISION, json!({}));
    let call = |id: u64, tool: &str| {
        let params = json!({"name": tool, "arguments": {"steps": 2}, "_meta": {"progressToken": id}});
        request(json!(id), "tools/call", params)
    };
    let batch = json!([call(1, "wait"), call(2, "quick")]);
    let mut events = client.within(Request::post(batch.to_string())).open(client.endpoint()).events();
    for step in [1, 2] {
        let progress = events.message();
        assert_eq!(
            (&progress["params"]["progressToken"], &progress["params"]["progress"]),
            (&json!(1), &json!(step))
        );
    }
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    let ping = request(json!(3), "ping", json!({}));
    let answers = client.post(&json!([cancel, ping]).to_string()).json();
    assert_eq!(answers, json!([{"jsonrpc": "2.0", "id": 3, "result": {}}]));
    wait::until_true("the call is cancelled", || directory.path().join("cancelled").exists());
    let answers = events.message();
    assert_eq!(answers.as_array().map(Vec::len), Some(1), "a cancelled request has no answer: {answers}");
    assert_eq!(answers[0]["id"], 2);
    assert_eq!(events.next(), None);
}

#[test]
fn a_client_that_takes_no_stream_gets_the_array_alone() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    std::fs::write(directory.path().join("release"), "").expect("calls can be released");
    let path = directory.path().to_str().expect("the path is UTF-8");
    let weir = Weir::over(json!({"slow": peers::fixture("slow.py", &[path, "legacy"])}));
    let client = Legacy::open(weir.endpoint(), REVISION, json!({}));
    let params = json!({"name": "wait", "arguments": {"steps": 2}, "_meta": {"progressToken": "t"}});
    let batch = json!([request(json!(1), "tools/call", params)]);
    let post = client.within(Request::post(batch.to_string())).replace("accept", Some("application/json"));
    let answer = post.send(client.endpoint());
    assert_eq!(answer.json()[0]["result"]["content"][0]["text"], "released");
}

#[test]
fn calls_of_a_batch_outlive_the_connection() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let path = directory.path().to_str().expect("the path is UTF-8");
    let weir = Weir::over(json!({"slow": peers::fixture("slow.py", &[path, "legacy"])}));
    let client = Legacy::open(weir.endpoint(), REVISION, json!({}));
    let params = json!({"name": "wait", "arguments": {}});
    let batch = json!([request(json!(1), "tools/call", params)]);
    let connection = client.within(Request::post(batch.to_string())).begin(client.endpoint());
    wait::until_true("the call has begun", || directory.path().join("started").exists());
    drop(connection);
    assert_eq!(client.ask("ping", json!({})).result(), &json!({}));
    assert!(!directory.path().join("cancelled").exists(), "a broken connection cancels nothing");
    client.tell("notifications/cancelled", json!({"requestId": 1}));
    wait::until_true("the call is cancelled", || directory.path().join("cancelled").exists());
}
