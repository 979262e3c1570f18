//! What modern clients are asked on behalf of backends of either era, and what happens to those who answer wrongly, twice,
//! late or never.

mod asker;
mod attacks;
mod lasting;
mod modern_backend;
mod sdks;

use asker::{Asker, accept, answered, begin, call, client, form, keys, retry, roots, sampling};
use serde_json::json;
use weir_tests::{Answer, Speak, Stdio, Weir, weir};

#[test]
fn a_question_goes_to_the_client_as_it_came() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let mut question = form("Who?");
    question["params"]["big"] = json!(1.0);
    question["params"]["task"] = json!({"ttl": 1});
    question["params"]["_meta"] = json!({"progressToken": 1, "own": {"elicitationId": "kept"}});
    let params = call(json!([[question]]));
    let client = client(&weir);
    let asked = begin(&client, &params);
    let mut expected = form("Who?");
    expected["params"]["big"] = json!(1.0);
    expected["params"]["_meta"] = json!({"own": {"elicitationId": "kept"}});
    assert_eq!(asked.result()["inputRequests"][&keys(&asked)[0]], expected);
    assert_eq!(asked.result()["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "weir");
    let done = client.ask("tools/call", answered(&params, &asked));
    assert_eq!(done.text(), r#"[{"action":"accept","content":{"n":0}}]"#);
    assert_eq!(asker.calls(), 1, "the call went on");
    assert_eq!(asker.cancelled(), 0);
}

#[test]
fn urls_lose_what_only_legacy_clients_know() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let page = json!({"mode": "url", "message": "m", "url": "https://a.example/", "elicitationId": "e"});
    let params = call(json!([[{"method": "elicitation/create", "params": page}]]));
    let asked = begin(&client(&weir), &params);
    let expected = json!({"mode": "url", "message": "m", "url": "https://a.example/"});
    assert_eq!(asked.result()["inputRequests"][&keys(&asked)[0]]["params"], expected);
}

#[test]
fn of_several_backends_the_one_that_asks_is_named() {
    let asker = Asker::start();
    let modern = modern_backend::backend();
    let weir = Weir::serve(weir::config(
        json!({"old": asker.server.backend(), "new": modern.backend()}),
        json!({"conflicts": "prefix"}),
    ));
    let client = client(&weir);
    let shown = |asked: &Answer| {
        let key = keys(asked)[0].clone();
        asked.result()["inputRequests"][key]["params"]["message"].as_str().map(str::to_owned)
    };
    let page = json!({"mode": "url", "message": "m", "url": "https://a.example/", "elicitationId": "e"});
    for question in [form("m"), json!({"method": "elicitation/create", "params": page})] {
        let mut params = call(json!([[question]]));
        params["name"] = json!("old_ask");
        assert_eq!(shown(&begin(&client, &params)).as_deref(), Some("[old] m"));
    }
    let asked = client.call("new_ask", json!({}));
    assert_eq!(shown(&asked).as_deref(), Some("[new] m"));
}

#[test]
fn questions_at_once_are_asked_together() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let params = call(json!([[form("a"), sampling(), roots()]]));
    let client = client(&weir);
    let asked = begin(&client, &params);
    assert_eq!(keys(&asked).len(), 3, "{}", asked.message);
    let responses = json!({
        "elicitation-1": {"action": "decline"},
        "sampling-2": {"role": "assistant", "model": "none", "content": {"type": "text", "text": "hi"}},
        "roots-3": {"roots": []},
        "unknown": 7,
    });
    let done = client.ask("tools/call", retry(&params, &asked, responses.clone()));
    let told: serde_json::Value = serde_json::from_str(done.text()).expect("JSON");
    let [declined, sampled, rooted] =
        ["elicitation-1", "sampling-2", "roots-3"].map(|key| responses[key].clone());
    assert_eq!(told, json!([declined, sampled, rooted]));
}

#[test]
fn rounds_follow_each_other_and_what_is_missing_is_asked_again() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let params = call(json!([[form("a"), form("b")], [form("c")], [form("d")]]));
    let client = client(&weir);
    let first = begin(&client, &params);
    let [one, two] = &keys(&first)[..] else { panic!("two questions, not {}", first.message) };
    let partly = client.ask("tools/call", retry(&params, &first, json!({one: accept(1)})));
    assert_eq!(keys(&partly), [two.as_str()], "only what is missing, under its key: {}", partly.message);
    let again = client.ask("tools/call", retry(&params, &partly, json!({})));
    assert_eq!(keys(&again), [two.as_str()]);
    let second = client.ask("tools/call", retry(&params, &again, json!({two: accept(2)})));
    assert!(keys(&second).iter().all(|key| key != one && key != two), "a key is used once");
    let third = client.ask("tools/call", answered(&params, &second));
    let done = client.ask("tools/call", answered(&params, &third));
    assert!(done.text().starts_with(r#"[{"action":"accept","content":{"n":1}}"#), "{}", done.message);
    assert_eq!((asker.calls(), asker.answers().len()), (1, 4));
}

#[test]
fn each_request_has_its_own_progress_and_capabilities() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let mut params = call(json!([[form("a")], [form("b")]]));
    params["arguments"]["progress"] = json!(true);
    params["_meta"] = json!({"progressToken": "first"});
    let able = client(&weir);
    let first = begin(&able, &params);
    let mut next = answered(&params, &first);
    next["_meta"]["progressToken"] = json!("second");
    let second = able.ask("tools/call", next);
    assert_eq!(second.events[0]["params"]["progressToken"], "second", "{:?}", second.events);
    // What the client of the last request cannot be asked is refused to the backend.
    let unable = weir_tests::Modern::new(weir.endpoint());
    let done = unable.ask("tools/call", retry(&params, &second, json!({})));
    assert!(done.text().contains("-32601"), "{}", done.message);
}

#[test]
fn what_was_not_declared_is_not_asked() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let client = weir_tests::Modern::with_capabilities(weir.endpoint(), json!({"roots": {}}));
    let params = call(json!([[form("a"), roots()]]));
    let asked = begin(&client, &params);
    assert_eq!(keys(&asked), ["roots-1"]);
    let done = client.ask("tools/call", retry(&params, &asked, json!({"roots-1": {"roots": []}})));
    assert!(done.text().contains("-32601") && done.text().contains("roots"), "{}", done.message);
}

#[test]
fn a_server_that_does_not_wait_for_the_answer_needs_none() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let mut params = call(json!([[form("a")]]));
    params["arguments"]["careless"] = json!(true);
    let client = client(&weir);
    let first = client.ask("tools/call", params.clone());
    // It may have been asked before the end was there; then the end was kept.
    let done = if first.result()["resultType"] == "input_required" {
        client.ask("tools/call", retry(&params, &first, json!({})))
    } else {
        first
    };
    assert_eq!(done.text(), "[]");
}

#[test]
fn a_client_over_standard_input_and_output_is_asked_too() {
    let asker = Asker::start();
    let mut config = asker.config(json!({}), json!({}));
    config["endpoints"].as_object_mut().expect("endpoints").remove("second");
    let mut weir = Stdio::serve(config);
    let mut params = call(json!([[form("a")], [form("b")]]));
    for round in 0..3 {
        let mut request = params.clone();
        request["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
        });
        let id = weir.request("tools/call", request);
        let answer = weir.answer(&id);
        let result = &answer["result"];
        if round == 2 {
            assert_eq!(
                result["content"][0]["text"].as_str().map(|text| text.matches("accept").count()),
                Some(2)
            );
        } else {
            let key = format!("elicitation-{}", round + 1);
            assert!(result["inputRequests"][&key].is_object(), "{answer}");
            params["inputResponses"] = json!({key: accept(round)});
            params["requestState"] = result["requestState"].clone();
        }
    }
    // With the connection ends what is parked.
    let mut request = call(json!([[form("a")]]));
    request["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {"elicitation": {}},
    });
    let id = weir.request("tools/call", request);
    assert_eq!(weir.answer(&id)["result"]["resultType"], "input_required");
    weir.close_input();
    weir.finish();
    weir_tests::wait::until_true("the backend is told", || asker.cancelled() == 1);
}

#[test]
fn rounds_are_bounded() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({"rounds": 2}));
    let params = call(json!([[form("a")], [form("b")], [form("c")]]));
    let client = client(&weir);
    let first = begin(&client, &params);
    let second = client.ask("tools/call", answered(&params, &first));
    let done = client.ask("tools/call", answered(&params, &second));
    assert_eq!(done.error(), -32603);
    let text = done.message["error"]["message"].as_str().unwrap_or_default();
    assert!(text.contains("`asker`") && text.contains("more than 2 times"), "{text}");
    weir_tests::wait::until_true("the backend is told", || asker.cancelled() == 1);
}

#[test]
fn parked_calls_are_bounded() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({"parked": 2}));
    let params = call(json!([[form("a")]]));
    let client = client(&weir);
    let (first, second) = (begin(&client, &params), begin(&client, &params));
    let third = client.ask("tools/call", params.clone());
    assert!(third.text().contains("-32601"), "the backend is refused: {}", third.message);
    for asked in [&second, &first] {
        assert!(!client.ask("tools/call", answered(&params, asked)).failed());
    }
    begin(&client, &params);
}
