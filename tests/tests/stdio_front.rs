//! `weir stdio`: one endpoint on standard input and output, in both eras.

use serde_json::{Value, json};
use weir_tests::driver::{self, MODES, SDKS, Sdk};
use weir_tests::{Stdio, peers, process, stdio, wait, weir};

fn over(backends: Value) -> Value {
    weir::config(backends, json!({"conflicts": "none"}))
}

fn echo() -> Value {
    json!({"echo": peers::fixture("echo.py", &["legacy", "modern"])})
}

fn slow(directory: &std::path::Path) -> Value {
    let directory = directory.to_str().expect("the path is UTF-8");
    json!({"slow": peers::fixture("slow.py", &[directory, "legacy"])})
}

#[test]
fn real_clients_start_it_and_use_it() {
    let (_directory, words) = stdio::command_line(over(json!({"everything": peers::everything_stdio()})));
    let steps = [
        driver::tools(),
        driver::call("echo", json!({"message": "grüße\nzwei"})),
        driver::call_with_progress("trigger-long-running-operation", json!({"duration": 0.03, "steps": 3})),
        driver::prompt("args-prompt", json!({"city": "Rome"})),
        driver::read("demo://resource/dynamic/text/1"),
    ];
    for sdk in SDKS {
        for mode in MODES {
            let report = driver::session(sdk, mode, &json!(words).to_string(), &steps);
            let expected = if mode == "legacy" { "2025-11-25" } else { "2026-07-28" };
            assert_eq!(report.version, expected, "{sdk:?} {mode}");
            assert!(report.ok(0)["tools"].as_array().is_some_and(|tools| tools.len() > 5));
            assert_eq!(report.text(1), "Echo: grüße\nzwei", "{sdk:?} {mode}");
            let progress = report.progress(2);
            // The TypeScript client loses notices that it reads together with the answer behind them.
            assert!([1.0, 2.0, 3.0].starts_with(&progress), "{sdk:?} {mode}: {progress:?}");
            assert!(progress.len() == 3 || sdk == Sdk::TypeScript, "{mode}: {progress:?}");
            assert!(report.ok(3)["messages"].is_array() && report.ok(4)["contents"].is_array());
        }
    }
}

#[test]
fn inspector_starts_it_and_uses_it() {
    let (_directory, words) = stdio::command_line(over(json!({"everything": peers::everything_stdio()})));
    for era in ["legacy", "modern"] {
        let call = ["--method", "tools/call", "--tool-name", "get-sum", "--tool-arg", "a=2", "b=3"];
        let sum = driver::inspector_stdio(era, &words, &call);
        assert_eq!(sum["content"][0]["text"], "The sum of 2 and 3 is 5.", "{era}");
    }
}

#[test]
fn both_eras_are_spoken_side_by_side() {
    let mut weir = Stdio::serve(over(echo()));
    let early = weir.request("tools/list", json!({}));
    assert_eq!(weir.answer(&early)["error"]["code"], -32000, "no session yet");
    let discovered = weir.modern("server/discover", json!({}));
    assert_eq!(weir.answer(&discovered)["result"]["supportedVersions"], json!(["2026-07-28"]));
    assert_eq!(weir.initialize("2025-06-18")["protocolVersion"], "2025-06-18");
    let legacy = weir.request("tools/list", json!({}));
    let listed = weir.answer(&legacy);
    assert_eq!(listed["result"]["tools"].as_array().map(Vec::len), Some(5));
    assert!(listed["result"].get("resultType").is_none(), "a legacy answer");
    let modern = weir.modern("tools/list", json!({}));
    assert_eq!(weir.answer(&modern)["result"]["resultType"], "complete");
    let again = weir.request("initialize", json!({"protocolVersion": "2025-06-18"}));
    assert_eq!(weir.answer(&again)["error"]["code"], -32600, "a connection is initialized once");
    let removed = weir.modern("ping", json!({}));
    assert_eq!(weir.answer(&removed)["error"]["code"], -32601);
}

#[test]
fn a_broken_line_spoils_no_other() {
    let mut config = over(echo());
    config["limits"]["body"] = json!(2000);
    let mut weir = Stdio::serve(config);
    weir.initialize("2025-11-25");
    let huge = format!(r#"{{"jsonrpc":"2.0","id":9,"method":"{}"}}"#, "x".repeat(100_000));
    for (line, code) in [
        ("nonsense", -32700),
        (r#"{"jsonrpc":"2.0","id":1"#, -32700),
        ("\u{1}", -32700),
        ("42", -32600),
        (r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, -32600),
        (r#"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, -32600),
        ("[]", -32600),
        (huge.as_str(), -32600),
    ] {
        weir.send(line);
        let refused = weir.message().expect("an answer");
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&Value::Null, &json!(code)), "{line:.50}");
    }
    weir.send("");
    weir.send("   \t");
    // What is no request has no answer, whatever is wrong with it.
    weir.send(r#"{"jsonrpc":"2.0","method":"notifications/unheard-of"}"#);
    weir.send(r#"{"jsonrpc":"2.0","id":77,"result":{}}"#);
    let ping = weir.request("ping", json!({}));
    assert_eq!(weir.message().expect("an answer"), json!({"jsonrpc": "2.0", "id": ping, "result": {}}));
}

#[test]
fn calls_run_side_by_side_and_are_cancelled_by_their_id() {
    for modern in [false, true] {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let mut weir = Stdio::serve(over(slow(directory.path())));
        weir.initialize("2025-11-25");
        let ask = |weir: &mut Stdio, tool: &str| {
            let params = json!({"name": tool, "arguments": {"steps": 2}, "_meta": {"progressToken": "t"}});
            if modern { weir.modern("tools/call", params) } else { weir.request("tools/call", params) }
        };
        let waiting = ask(&mut weir, "wait");
        for step in [1, 2] {
            let progress = weir.message().expect("progress");
            assert_eq!(progress["params"]["progressToken"], "t", "{progress}");
            assert_eq!(progress["params"]["progress"], step, "{progress}");
        }
        let quick = ask(&mut weir, "quick");
        let answered = weir.message().expect("the answer to the later call");
        assert_eq!(answered["id"], quick);
        let cancel = json!({"requestId": waiting, "reason": "enough"});
        weir.send(
            &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancel}).to_string(),
        );
        wait::until_true("the call is cancelled", || directory.path().join("cancelled").exists());
        weir.close_input();
        let (status, rest, _) = weir.finish();
        assert!(status.success());
        assert_eq!(rest, Vec::<Value>::new(), "nothing more is said of a cancelled call");
    }
}

#[test]
fn cancelling_needs_no_place() {
    for batch in [false, true] {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let mut config = over(slow(directory.path()));
        config["limits"]["requests"] = json!(1);
        let mut weir = Stdio::serve(config);
        weir.initialize("2025-03-26");
        let waiting = weir.request("tools/call", json!({"name": "wait", "arguments": {}}));
        wait::until_true("the call has begun", || directory.path().join("started").exists());
        let refused = weir.request("ping", json!({}));
        assert_eq!(weir.answer(&refused)["error"]["code"], -32000, "weir is full");
        let cancel =
            json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": waiting}});
        if batch {
            let ping = json!({"jsonrpc": "2.0", "id": "p", "method": "ping"});
            weir.send(&json!([cancel, ping]).to_string());
            let refused = weir.message().expect("an answer");
            assert_eq!((&refused[0]["id"], &refused[0]["error"]["code"]), (&json!("p"), &json!(-32000)));
        } else {
            weir.send(&cancel.to_string());
        }
        wait::until_true("the call is cancelled", || directory.path().join("cancelled").exists());
    }
}

#[test]
fn an_ended_input_lets_calls_finish() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut weir = Stdio::serve(over(slow(directory.path())));
    weir.initialize("2025-11-25");
    let children = process::children(weir.pid());
    assert!(!children.is_empty());
    let waiting = weir.request("tools/call", json!({"name": "wait", "arguments": {}}));
    wait::until_true("the call has begun", || directory.path().join("started").exists());
    weir.close_input();
    std::fs::write(directory.path().join("release"), "").expect("the call can be released");
    assert_eq!(weir.answer(&waiting)["result"]["content"][0]["text"], "released");
    let (status, rest, _) = weir.finish();
    assert!(status.success() && rest.is_empty());
    for child in children {
        wait::until_true("no child is left", || !process::is_running(child));
    }
}

#[test]
fn a_signal_ends_it() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut config = over(slow(directory.path()));
    config["timeouts"]["drain"] = json!("0s");
    let mut weir = Stdio::serve(config);
    weir.initialize("2025-11-25");
    let waiting = weir.request("tools/call", json!({"name": "wait", "arguments": {}}));
    wait::until_true("the call has begun", || directory.path().join("started").exists());
    weir.terminate();
    assert_eq!(weir.answer(&waiting)["error"]["code"], -32000, "it is told that weir stops");
    assert!(weir.finish().0.success());
}

#[test]
fn a_signal_after_the_input_ended_ends_it_at_once() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut config = over(slow(directory.path()));
    config["timeouts"]["drain"] = json!("1h");
    let mut weir = Stdio::serve(config);
    weir.initialize("2025-11-25");
    weir.request("tools/call", json!({"name": "wait", "arguments": {}}));
    wait::until_true("the call has begun", || directory.path().join("started").exists());
    weir.close_input();
    weir.terminate();
    assert!(weir.finish().0.success());
}

#[test]
fn a_client_may_cancel_but_not_ask_while_weir_stops() {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let mut config = over(slow(directory.path()));
    config["timeouts"]["drain"] = json!("1h");
    let mut weir = Stdio::serve(config);
    weir.initialize("2025-11-25");
    let waiting = weir.request("tools/call", json!({"name": "wait", "arguments": {}}));
    wait::until_true("the call has begun", || directory.path().join("started").exists());
    weir.terminate();
    // The signal is noticed some time after it was sent.
    wait::until_true("weir refuses", || {
        let asked = weir.request("tools/list", json!({}));
        weir.answer(&asked)["error"]["message"].as_str().is_some_and(|message| message.contains("stopping"))
    });
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": waiting}});
    weir.send(&cancel.to_string());
    assert!(weir.finish().0.success());
}

#[test]
fn changes_are_announced_in_the_form_of_each_era() {
    let mut weir =
        Stdio::serve(over(json!({"changing": peers::fixture("changing.py", &["legacy", "modern"])})));
    let filter = json!({"notifications": {"toolsListChanged": true}});
    let listening = weir.modern("subscriptions/listen", filter);
    let acknowledged = weir.message().expect("the acknowledgement");
    assert_eq!(acknowledged["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(acknowledged["params"]["notifications"], json!({"toolsListChanged": true}));
    weir.modern("tools/call", json!({"name": "add_tool", "arguments": {"name": "extra"}}));
    let is = |message: &Value| message["method"] == "notifications/tools/list_changed";
    let told = weir.message_where(is);
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], listening);

    weir.initialize("2025-11-25");
    weir.request("tools/call", json!({"name": "add_tool", "arguments": {"name": "more"}}));
    // In either order; the legacy form may come for what happened just before the handshake too.
    let (mut legacy, mut modern) = (false, false);
    while !(legacy && modern) {
        let told = weir.message_where(is);
        legacy |= told.get("params").is_none();
        modern |= told.get("params").is_some();
    }

    weir.close_input();
    let ended = weir.answer(&listening);
    assert_eq!(ended["result"]["resultType"], "complete");
    assert!(weir.finish().0.success());
}

#[test]
fn a_cancelled_subscription_says_nothing_more() {
    let mut weir = Stdio::serve(over(echo()));
    let listening = weir.modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    assert_eq!(
        weir.message().expect("the acknowledgement")["params"]["notifications"]["toolsListChanged"],
        true
    );
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": listening}});
    weir.send(&cancel.to_string());
    let after = weir.modern("tools/list", json!({}));
    assert_eq!(weir.message().expect("an answer")["id"], after);
    weir.close_input();
    let (status, rest, _) = weir.finish();
    assert!(status.success());
    assert_eq!(rest, Vec::<Value>::new());
}

#[test]
fn a_subscription_is_cancelled_while_servers_are_asked() {
    let mut weir = Stdio::serve(over(json!({"watched": peers::fixture("watched.py", &["legacy"])})));
    let filter = json!({"notifications": {"resourceSubscriptions": ["doc:///late"]}});
    let listening = weir.modern("subscriptions/listen", filter);
    wait::until_true("the server is asked", || {
        let call = weir.modern("tools/call", json!({"name": "asked", "arguments": {}}));
        let answer = weir.message().expect("an answer");
        assert_eq!(answer["id"], call);
        answer.to_string().contains("doc:///late")
    });
    let cancel =
        json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": listening}});
    weir.send(&cancel.to_string());
    let touch = weir.modern("tools/call", json!({"name": "touch", "arguments": {"uri": "doc:///late"}}));
    assert_eq!(weir.message().expect("an answer")["id"], touch);
    weir.close_input();
    let (status, rest, _) = weir.finish();
    assert!(status.success());
    assert_eq!(rest, Vec::<Value>::new());
}

#[test]
fn a_client_that_does_not_read_is_given_up() {
    let mut config = over(echo());
    config["timeouts"]["write"] = json!("200ms");
    let mut weir = Stdio::unread(config);
    // Far more than a pipe holds.
    let reply = json!({"content": [{"type": "text", "text": "x".repeat(1 << 20)}]}).to_string();
    weir.modern("tools/call", json!({"name": "reply", "arguments": {"raw": reply}}));
    let (status, _, log) = weir.finish();
    assert!(status.success());
    assert!(log.contains("standard output"), "{log}");
}

#[test]
fn the_endpoint_is_named_where_there_are_several() {
    let mut config = over(echo());
    config["endpoints"]["other"] = json!({"path": "/other", "backends": ["echo"]});
    let (_directory, words) = stdio::command_line(config);
    let run = |more: &[&str]| {
        let words: Vec<&str> = words[1..].iter().map(String::as_str).chain(more.iter().copied()).collect();
        weir::run(&words)
    };
    let unnamed = run(&[]);
    assert_eq!(unnamed.status.code(), Some(64));
    assert!(unnamed.stderr.contains("main, other") && unnamed.stdout.is_empty(), "{}", unnamed.stderr);
    assert_eq!(run(&["--endpoint", "absent"]).status.code(), Some(64));
    let named = run(&["--endpoint", "other"]);
    assert!(named.status.success() && named.stdout.is_empty(), "{}{}", named.stdout, named.stderr);
}

#[test]
fn updates_come_in_the_form_of_each_era() {
    let mut weir = Stdio::serve(over(json!({"watched": peers::fixture("watched.py", &["legacy"])})));
    let touch = json!({"name": "touch", "arguments": {"uri": "doc:///a"}});
    let is = |message: &Value| message["method"] == "notifications/resources/updated";
    let listening = weir
        .modern("subscriptions/listen", json!({"notifications": {"resourceSubscriptions": ["doc:///a"]}}));
    let acknowledged = weir.message().expect("the acknowledgement");
    assert_eq!(acknowledged["params"]["notifications"], json!({"resourceSubscriptions": ["doc:///a"]}));
    weir.modern("tools/call", touch.clone());
    let told = weir.message_where(is);
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], listening);
    weir.initialize("2025-11-25");
    let subscribed = weir.request("resources/subscribe", json!({"uri": "doc:///a"}));
    assert_eq!(weir.answer(&subscribed)["result"], json!({}));
    weir.request("tools/call", touch);
    let told = [weir.message_where(is), weir.message_where(is)];
    let legacy = |told: &&Value| {
        told["params"].get("_meta").is_none_or(|meta| meta.as_object().is_none_or(serde_json::Map::is_empty))
    };
    assert_eq!(told.iter().filter(legacy).count(), 1, "one in each form: {told:?}");
}
