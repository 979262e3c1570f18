//! What is good at one endpoint, taken to another of the same weir; and what was shown once on a connection.

use crate::attack::{Fate, attack, run};
use crate::stage::{ALICE, ALICE_DIGEST, ALL, Stage, by, call, request, wait_for_lists};
use serde_json::{Value, json};
use weir_tests::http::send_in_turn;
use weir_tests::{Endpoint, Legacy, Paired, Provider, Request};

#[test]
fn what_is_good_here_is_not_good_there() {
    let provider = Provider::start();
    let endpoint = |path: &str, key: Value, policies: &str| {
        let issuer = json!({"issuer": provider.issuer(), "private": true});
        json!({
            "path": path, "conflicts": "priority", "page_size": 2, "policies": {"inline": policies},
            "auth": {"resource": format!("https://weir.test{path}"), "issuers": [issuer], "api_keys": [key]},
        })
    };
    let alice = json!({"name": "alice", "sha256": ALICE_DIGEST});
    let nobody = json!({"name": "nobody", "sha256": "0".repeat(64)});
    let narrow = "permit(principal, action, resource) when { resource.original == \"open\" };";
    let stage = Stage::of(json!({
        "here": endpoint("/here", alice, ALL), "there": endpoint("/there", nobody, narrow),
    }));
    let base = stage.weir.endpoint();
    let (here, there) = (base.at("/here"), base.at("/there"));
    let token = |path: &str| provider.token("alice", &format!("https://weir.test{path}"));
    let (mine, other) = (token("/here"), token("/there"));
    wait_for_lists(&here, &mine);
    wait_for_lists(&there, &other);

    let open = || call("open", json!({}));
    let result = |request: Request| by(&mine, request).send(&here).json()["result"].clone();
    let cursor = result(request("tools/list", json!({})))["nextCursor"].clone();
    let task = result(call("work", json!({})))["taskId"].clone();
    let state = result(call("ask", json!({})))["requestState"].clone();
    let session = Legacy::new(here.bearing(&mine));
    let paired = Paired::new(&here.bearing(&mine), "2025-06-18");
    let body = |method: &str, params: Value| {
        json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string()
    };
    let within =
        || session.within(Request::post(body("tools/call", json!({"name": "open", "arguments": {}}))));
    let stream = || session.within(Request::new("GET").header("accept", "text/event-stream"));
    let again = || {
        let responses = json!({"who": {"action": "accept", "content": {"name": "x"}}});
        let params =
            json!({"name": "ask", "arguments": {}, "inputResponses": responses, "requestState": state});
        request("tools/call", params)
    };
    let messages = paired.messages.path.replace("/here", "/there");
    let posted =
        || Request::new("POST").header("content-type", "application/json").body(body("ping", json!({})));
    let gone = || Fate::Refused(404, None);
    let cases = vec![
        attack("here", &here, by(&mine, open()), Fate::Passes),
        attack("there", &there, by(&other, open()), Fate::Passes),
        attack("the state here", &here, by(&mine, again()), Fate::Passes),
        attack("a token for here", &there, by(&mine, open()), Fate::Challenged),
        attack("a token for there", &here, by(&other, open()), Fate::Challenged),
        attack("a key of here", &there, by(ALICE, open()), Fate::Challenged),
        attack("a token for the whole host", &there, by(&token(""), open()), Fate::Challenged),
        attack("a tool of here", &there, by(&other, call("secret", json!({}))), Fate::Unknown),
        attack("a session of here, calling", &there, by(&other, within()), gone()),
        attack("a session of here, listening", &there, by(&other, stream()), gone()),
        attack(
            "a session of here, ending",
            &there,
            by(&other, session.within(Request::new("DELETE"))),
            gone(),
        ),
        attack("a session of here with its token", &there, by(&mine, within()), Fate::Challenged),
        attack("a stream of here", &base.at(&messages), by(&other, posted()), gone()),
        attack(
            "a cursor of here",
            &there,
            by(&other, request("tools/list", json!({"cursor": cursor}))),
            Fate::Failed,
        ),
        attack("a state of here", &there, by(&other, again()), Fate::Failed),
        attack(
            "a task of here",
            &there,
            by(&other, request("tasks/get", json!({"taskId": task}))),
            Fate::Failed,
        ),
        attack(
            "ending a task of here",
            &there,
            by(&other, request("tasks/cancel", json!({"taskId": task}))),
            Fate::Failed,
        ),
        attack("another path behind here", &base.at("/here/../there"), by(&mine, open()), Fate::Failed),
    ];
    run(&stage, &cases, 15);
    shown_once(&stage, &here, &mine);
}

/// Whoever showed who they are is asked again in the next request of the connection.
fn shown_once(stage: &Stage, to: &Endpoint, token: &str) {
    let open = || call("open", json!({}));
    let before = stage.executed();
    let requests = [by(token, open()), by(token, open()), open()];
    let statuses: Vec<u16> = send_in_turn(&requests, to).iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 401]);
    assert_eq!(stage.executed() - before, 2);
}
