//! What is denied, asked for in sessions and in the batches of 2025-03-26.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALICE, MALLORY, RESOURCE, Stage, keys, plain, wait_for_lists};
use serde_json::{Value, json};
use weir_tests::{Legacy, Paired, Request, Speak};

const POLICIES: &str = r#"
    permit(principal, action, resource);
    forbid(principal, action, resource) when {
        resource.original like "*secret*" && !principal.groups.contains("developers")
    };
"#;

fn stage() -> Stage {
    let stage = Stage::new(plain(json!({
        "auth": {"resource": RESOURCE, "api_keys": keys()},
        "policies": {"inline": POLICIES},
    })));
    wait_for_lists(&stage.weir.endpoint(), MALLORY);
    stage
}

fn ask(client: &Legacy, method: &str, params: Value) -> Request {
    client.prepare(method, params).0
}

fn requests(client: &Legacy) -> Vec<(&'static str, Request)> {
    let argument = json!({"name": "who", "value": "a"});
    let prompt = json!({"ref": {"type": "ref/prompt", "name": "secret"}, "argument": argument});
    let template =
        json!({"ref": {"type": "ref/resource", "uri": "doc://secret.test/made/{id}"}, "argument": argument});
    vec![
        ("a tool", ask(client, "tools/call", json!({"name": "secret", "arguments": {}}))),
        ("a prompt", ask(client, "prompts/get", json!({"name": "secret"}))),
        ("a resource", ask(client, "resources/read", json!({"uri": "doc://secret.test/a"}))),
        (
            "a resource of a template",
            ask(client, "resources/read", json!({"uri": "doc://secret.test/made/1"})),
        ),
        ("updates of a resource", ask(client, "resources/subscribe", json!({"uri": "doc://secret.test/a"}))),
        ("completion of a prompt", ask(client, "completion/complete", prompt)),
        ("completion of a template", ask(client, "completion/complete", template)),
    ]
}

#[test]
fn sessions_lead_to_nothing_more() {
    let stage = stage();
    let to = stage.weir.endpoint();
    let mut cases: Vec<Attack> = Vec::new();
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let mallory = Legacy::open(to.bearing(MALLORY), version, json!({}));
        let alice = Legacy::open(to.bearing(ALICE), version, json!({}));
        for (what, request) in requests(&mallory) {
            let fate = match what {
                "a tool" | "a prompt" | "completion of a prompt" => Fate::Unknown,
                // What nobody lists may be there as well, and is left to its server.
                _ => Fate::Refused(200, Some(-32002)),
            };
            cases.push(attack(format!("{what}, {version}"), mallory.endpoint(), request, fate));
        }
        for (what, request) in requests(&alice) {
            let what = format!("{what} by alice, {version}");
            // All watch one resource, and the server is told of it once.
            if !what.starts_with("updates") {
                cases.push(attack(what, alice.endpoint(), request, Fate::Passes));
            }
        }
        for (name, params) in [
            ("`name` twice", r#"{"name":"open","name":"secret","arguments":{}}"#),
            ("`name` twice, once in escapes", r#"{"name":"open","na\u006de":"secret","arguments":{}}"#),
            ("`Name` beside `name`", r#"{"name":"open","Name":"secret","arguments":{}}"#),
            ("the name in escapes", r#"{"name":"s\u0065cret","arguments":{}}"#),
            ("`params` twice", r#"{"name":"open"},"params":{"name":"secret"}"#),
        ] {
            let body = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}"#);
            let request = mallory.within(Request::post(body));
            cases.push(attack(format!("{name}, {version}"), mallory.endpoint(), request, Fate::Failed));
        }
        // A notification has no answer, and must not do what a request would.
        let body = r#"{"jsonrpc":"2.0","method":"tools/call","params":{"name":"secret","arguments":{}}}"#;
        let request = mallory.within(Request::post(body));
        cases.push(attack(
            format!("a call as a notification, {version}"),
            mallory.endpoint(),
            request,
            Fate::Silent,
        ));
        let batch = format!(r#"[{{"jsonrpc":"2.0","id":1,"method":"ping"}},{body}]"#);
        if version == "2025-03-26" {
            let request = mallory.within(Request::post(batch));
            cases.push(attack("a notification in a batch", mallory.endpoint(), request, Fate::Silent));
        }
    }
    run(&stage, &cases, 40);
}

/// The messages of a batch and, for each that has an id, whether it is carried out.
fn batches() -> Vec<(&'static str, Vec<Value>, Vec<bool>)> {
    let call = |id: u64, name: &str| json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": {"name": name, "arguments": {}}});
    let told =
        json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "secret", "arguments": {}}});
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 99}});
    vec![
        ("denied behind allowed", vec![call(1, "open"), call(2, "secret")], vec![true, false]),
        ("denied before allowed", vec![call(1, "secret"), call(2, "open")], vec![false, true]),
        (
            "denied between allowed",
            vec![call(1, "open"), call(2, "secret"), call(3, "open")],
            vec![true, false, true],
        ),
        ("denied alone", vec![call(1, "secret")], vec![false]),
        ("denied as a notification", vec![call(1, "open"), told.clone(), cancel], vec![true]),
        (
            "denied under the id of an allowed one",
            vec![call(1, "open"), call(1, "secret")],
            vec![false, false],
        ),
        ("a batch in a batch", vec![call(1, "open"), json!([call(2, "secret")])], vec![true]),
        (
            "everything else",
            vec![
                json!({"jsonrpc": "2.0", "id": 1, "method": "prompts/get", "params": {"name": "secret"}}),
                json!({"jsonrpc": "2.0", "id": 2, "method": "resources/read", "params": {"uri": "doc://secret.test/a"}}),
                json!({"jsonrpc": "2.0", "id": 3, "method": "resources/subscribe", "params": {"uri": "doc://secret.test/a"}}),
                told,
            ],
            vec![false, false, false],
        ),
    ]
}

#[test]
fn batches_hide_nothing() {
    let stage = stage();
    let to = stage.weir.endpoint().bearing(MALLORY);
    let client = Legacy::open(to.clone(), "2025-03-26", json!({}));
    let mut paired = Paired::new(&to, "2025-03-26");
    for (name, messages, expected) in batches() {
        let before = stage.executed();
        let over_http = client.post(&json!(messages).to_string());
        assert_eq!(paired.post(&json!(messages).to_string()).status, 202, "{name}");
        for answers in [over_http.json(), paired.stream.message()] {
            let answers = answers.as_array().unwrap_or_else(|| panic!("{name}: an array, not {answers}"));
            let numbered = answers.iter().filter(|answer| !answer["id"].is_null());
            let done: Vec<bool> = numbered.map(|answer| answer.get("result").is_some()).collect();
            assert_eq!(done.len(), expected.len(), "{name}: {answers:?}");
            for (place, expected) in expected.iter().enumerate() {
                let answer = answers.iter().find(|answer| answer["id"] == place + 1);
                assert_eq!(
                    answer.is_some_and(|answer| answer.get("result").is_some()),
                    *expected,
                    "{name}: {answers:?}"
                );
            }
        }
        let executed = expected.iter().filter(|done| **done).count();
        assert_eq!(stage.executed() - before, 2 * executed, "{name}");
    }
    assert!(stage.reached().iter().all(|request| !request.text().contains("secret")));
}
