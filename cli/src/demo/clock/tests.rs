use super::Clock;
use crate::demo::session::tests::Client;
use serde_json::{Value, json};
use std::time::Duration;

fn quick(tick: Duration) -> Client<Clock> {
    Client::legacy(Clock { tick, countdowns: Vec::new() })
}

fn call(name: &str, arguments: Value) -> Value {
    quick(Duration::ZERO).ask("tools/call", json!({ "name": name, "arguments": arguments }))
}

#[test]
fn tells_the_time() {
    let answer = quick(Duration::ZERO).ask("tools/call", json!({ "name": "now" }));
    let data = &answer["result"]["structuredContent"];
    assert_eq!(data["offset"], "UTC");
    assert!(data["unix"].as_i64().unwrap() > 1_700_000_000);
    assert_eq!(answer["result"]["content"][0]["text"], data["time"]);
    let time = call("now", json!({ "offset": "+05:30" }))["result"]["structuredContent"]["time"].clone();
    assert!(time.as_str().unwrap().ends_with("+05:30"), "{time}");
}

#[test]
fn converts_times() {
    let answer = call("convert", json!({ "time": "2026-11-20T10:30", "from": "+02:00", "to": "-05:00" }));
    let data = json!({ "time": "2026-11-20T03:30:00-05:00", "offset": "-05:00", "unix": 1_795_163_400 });
    assert_eq!(answer["result"]["structuredContent"], data);
}

#[test]
fn what_is_wrong_is_said() {
    for (name, arguments, part) in [
        ("now", json!({ "offset": "CET" }), "+02:00"),
        ("now", json!({ "zone": "UTC" }), "`zone`"),
        ("convert", json!({ "time": "noon", "from": "UTC", "to": "UTC" }), "\"noon\""),
        ("convert", json!({ "time": "2026-11-20T10:30", "from": "UTC" }), "`to`"),
        ("convert", json!({ "time": 5, "from": "UTC", "to": "UTC" }), "`time`"),
        ("countdown", json!({}), "`seconds`"),
        ("countdown", json!({ "seconds": 0 }), "1 to 60"),
        ("countdown", json!({ "seconds": 61 }), "1 to 60"),
        ("countdown", json!({ "seconds": 1.5 }), "1 to 60"),
    ] {
        let result = call(name, arguments)["result"].clone();
        assert_eq!(result["isError"], true, "{result}");
        assert!(result["content"][0]["text"].as_str().unwrap().contains(part), "{result}");
    }
    assert_eq!(call("later", json!({}))["error"]["code"], -32602);
    let answer = quick(Duration::ZERO).ask("tools/call", json!({ "name": "now", "arguments": [] }));
    assert_eq!(answer["error"]["code"], -32602);
}

#[test]
fn counts_down_with_progress() {
    let mut client = quick(Duration::ZERO);
    let params = json!({
        "name": "countdown", "arguments": { "seconds": 3 }, "_meta": { "progressToken": "t" },
    });
    client.send(json!({ "jsonrpc": "2.0", "id": "count", "method": "tools/call", "params": params }));
    for passed in 1..=3 {
        let progress = client.next();
        assert_eq!(progress["method"], "notifications/progress");
        let params = &progress["params"];
        assert_eq!((&params["progressToken"], &params["progress"]), (&json!("t"), &json!(passed)));
        assert_eq!(params["total"], 3);
    }
    let answer = client.next();
    assert_eq!(answer["id"], "count");
    assert_eq!(answer["result"]["content"][0]["text"], "3 s have passed.");
}

#[test]
fn without_a_token_there_is_no_progress() {
    let answer = call("countdown", json!({ "seconds": 2 }));
    assert_eq!(answer["id"], 1);
}

#[test]
fn a_cancelled_countdown_says_nothing_more() {
    let mut client = quick(Duration::from_secs(3600));
    for id in [json!(7), json!("7")] {
        let params = json!({ "name": "countdown", "arguments": { "seconds": 1 } });
        client.send(json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }));
    }
    let params = json!({ "requestId": 7 });
    client.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
    // The end of the input gives up the other one; had either gone on, this would wait for it.
    assert_eq!(client.close(), [Value::Null; 0]);
}

#[test]
fn countdowns_are_limited() {
    let mut client = quick(Duration::from_secs(3600));
    let params = json!({ "name": "countdown", "arguments": { "seconds": 1 } });
    for id in 0..16 {
        client.send(json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params }));
    }
    assert_eq!(client.ask("tools/call", params)["result"]["isError"], true);
}
