//! What belongs to somebody else: to whoever is not its owner it does not exist.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALICE, ALL, MALLORY, RESOURCE, Stage, by, call, keys, plain, request, wait_for_lists};
use serde_json::{Value, json};
use weir_tests::{Endpoint, Legacy, Paired, Request};

fn stage(more: Value) -> Stage {
    let mut endpoint = plain(json!({
        "auth": {"resource": RESOURCE, "api_keys": keys()},
        "policies": {"inline": ALL},
    }));
    for (key, value) in more.as_object().expect("an object") {
        endpoint[key] = value.clone();
    }
    let stage = Stage::new(endpoint);
    wait_for_lists(&stage.weir.endpoint(), ALICE);
    stage
}

fn message(method: &str, params: Value) -> String {
    json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string()
}

/// What can be sent into a session.
fn into(session: &Legacy) -> Vec<(&'static str, Request)> {
    let open = json!({"name": "open", "arguments": {}});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}});
    let answer = json!({"jsonrpc": "2.0", "id": 1, "result": {"action": "accept", "content": {}}});
    let stream = || Request::new("GET").header("accept", "text/event-stream");
    let requests = vec![
        ("a call", Request::post(message("tools/call", open.clone()))),
        ("a ping", Request::post(message("ping", json!({})))),
        ("a list", Request::post(message("tools/list", json!({})))),
        ("a log level", Request::post(message("logging/setLevel", json!({"level": "debug"})))),
        (
            "a subscription",
            Request::post(message("resources/subscribe", json!({"uri": "doc://open.test/a"}))),
        ),
        ("a cancellation", Request::post(cancel.to_string())),
        ("an answer", Request::post(answer.to_string())),
        ("a batch", Request::post(format!("[{}]", message("tools/call", open)))),
        ("a GET", stream()),
        ("a GET from the beginning", stream().header("last-event-id", "0")),
        ("a GET from a later event", stream().header("last-event-id", "1-1")),
        ("a DELETE", Request::new("DELETE")),
    ];
    requests.into_iter().map(|(name, request)| (name, session.within(request))).collect()
}

#[test]
fn sessions_are_their_owners() {
    let stage = stage(json!({}));
    let to = stage.weir.endpoint();
    let mut cases: Vec<Attack> = Vec::new();
    for version in ["2025-03-26", "2025-11-25"] {
        let alice = Legacy::open(to.bearing(ALICE), version, json!({}));
        let paired = Paired::new(&to.bearing(ALICE), version);
        for (what, request) in into(&alice) {
            let mallory = request.clone();
            cases.push(attack(
                format!("{what} by another, {version}"),
                &to,
                by(MALLORY, mallory),
                Fate::Refused(404, None),
            ));
            let both = by(MALLORY, request.clone()).header("x-api-key", ALICE);
            cases.push(attack(
                format!("{what} with both keys, {version}"),
                &to,
                both,
                Fate::Refused(400, None),
            ));
            cases.push(attack(format!("{what} by nobody, {version}"), &to, request, Fate::Challenged));
        }
        for (what, body) in [
            ("a call", message("tools/call", json!({"name": "open"}))),
            ("a ping", message("ping", json!({}))),
        ] {
            let post = Request::new("POST").header("content-type", "application/json").body(&body);
            let bare = Endpoint { bearer: None, ..paired.messages.clone() };
            let what = format!("{what} to the messages of a stream, {version}");
            cases.push(attack(
                format!("{what}, by another"),
                &bare,
                by(MALLORY, post.clone()),
                Fate::Refused(404, None),
            ));
            cases.push(attack(format!("{what}, by nobody"), &bare, post, Fate::Challenged));
        }
        // They are where they were.
        let own =
            alice.within(Request::post(message("tools/call", json!({"name": "open", "arguments": {}}))));
        cases.push(attack(format!("the owner, {version}"), &to.bearing(ALICE), own, Fate::Passes));
    }
    run(&stage, &cases, 75);
}

#[test]
fn cursors_tasks_and_parked_calls_are_their_owners() {
    let stage = stage(json!({"page_size": 2}));
    let to = stage.weir.endpoint();
    let answer = |request: Request| by(ALICE, request).send(&to).json()["result"].clone();
    let page = |cursor: &Value| request("tools/list", json!({"cursor": cursor}));
    let cursor = answer(request("tools/list", json!({})))["nextCursor"].clone();
    let task = answer(call("work", json!({})))["taskId"].as_str().expect("a task").to_owned();
    let asked = answer(call("ask", json!({"a": 1})));
    let state = asked["requestState"].as_str().expect("a state").to_owned();
    let again = |name: &str, arguments: Value| {
        let responses = json!({"who": {"action": "accept", "content": {"name": "x"}}});
        request(
            "tools/call",
            json!({"name": name, "arguments": arguments, "inputResponses": responses, "requestState": state}),
        )
    };
    let case = |name: &str, request: Request, fate: Fate| attack(name, &to, request, fate);
    let mut cases = vec![
        case("another's cursor", by(MALLORY, page(&cursor)), Fate::Failed),
        case(
            "another's cursor for another list",
            by(MALLORY, request("prompts/list", json!({"cursor": cursor}))),
            Fate::Failed,
        ),
        case("nobody with a cursor", page(&cursor), Fate::Challenged),
        case("another's state", by(MALLORY, again("ask", json!({"a": 1}))), Fate::Failed),
        case("other arguments", by(ALICE, again("ask", json!({"a": 2}))), Fate::Failed),
        case("more arguments", by(ALICE, again("ask", json!({"a": 1, "b": 1}))), Fate::Failed),
        case("another tool", by(ALICE, again("secret", json!({"a": 1}))), Fate::Failed),
        case("another's state and another tool", by(MALLORY, again("open", json!({"a": 1}))), Fate::Failed),
        case("nobody with a state", again("ask", json!({"a": 1})), Fate::Challenged),
    ];
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let about = |id: &str| {
            let params = json!({"taskId": id, "inputResponses": {}});
            request(method, params)
        };
        cases.push(case(&format!("{method} of another's"), by(MALLORY, about(&task)), Fate::Failed));
        cases.push(case(
            &format!("{method} by the server's own id"),
            by(ALICE, about("inner-1")),
            Fate::Failed,
        ));
        cases.push(case(&format!("{method} by nobody"), about(&task), Fate::Challenged));
        let (theirs, unknown) = (by(MALLORY, about(&task)).send(&to), by(MALLORY, about("absent")).send(&to));
        assert_eq!(theirs.status, unknown.status, "{method}");
        assert_eq!(
            theirs.text().replace(&task, "absent"),
            unknown.text(),
            "{method}: another's task is as one that is not there"
        );
    }
    let owner = [
        case("the owner goes on", by(ALICE, again("ask", json!({"a": 1}))), Fate::Passes),
        case("the owner's task", by(ALICE, request("tasks/get", json!({"taskId": task}))), Fate::Passes),
    ];
    cases.extend(owner);
    run(&stage, &cases, 18);
    assert_eq!(
        answer(page(&cursor))["tools"].as_array().map(Vec::len),
        Some(2),
        "the cursor leads its owner on"
    );

    let listen = |key: &str| {
        let wanted = json!({"toolsListChanged": true, "taskIds": [task]});
        let listen = by(key, request("subscriptions/listen", json!({"notifications": wanted})));
        let mut events = listen.open(&to).events();
        events.message()["params"]["notifications"]["taskIds"].clone()
    };
    assert!(listen(MALLORY).as_array().is_none_or(Vec::is_empty), "nobody watches another's task");
    assert_eq!(listen(ALICE), json!([task]));
}
