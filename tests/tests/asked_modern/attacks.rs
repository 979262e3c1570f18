//! Clients that bring back something else than what they were given.

use super::asker::{Asker, answered, begin, call, client, form, keys, retry};
use serde_json::{Value, json};
use weir_tests::{Answer, Modern, Speak, wait};

fn is_refused(answer: &Answer, why: &str) {
    assert_eq!((answer.status, answer.error()), (400, -32602), "{}", answer.message);
    let text = answer.message["error"]["message"].as_str().unwrap_or_default();
    assert!(text.contains(why), "{why}: {text}");
}

#[test]
fn only_the_same_request_may_use_a_state() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let client = client(&weir);
    let params = call(json!([[form("a")]]));
    let asked = begin(&client, &params);
    let good = answered(&params, &asked);
    let other = "belongs to another request";
    for (what, value) in [
        ("arguments", json!({"rounds": [[form("b")]]})),
        ("arguments", json!({})),
        ("arguments", Value::Null),
        ("name", json!("other")),
    ] {
        let mut changed = good.clone();
        changed[what] = value;
        is_refused(&client.ask("tools/call", changed), other);
    }
    let second = Modern::with_capabilities(weir.endpoint().at("/second"), json!({"elicitation": {}}));
    is_refused(&second.ask("tools/call", good.clone()), other);
    let prompt = json!({"name": "ask", "requestState": good["requestState"]});
    is_refused(&client.ask("prompts/get", prompt), other);
    assert_eq!((asker.calls(), asker.answers().len()), (1, 0), "nothing reached the backend");
    // None of this cost the client its call.
    assert!(!client.ask("tools/call", good).failed());
}

#[test]
fn a_state_cannot_be_forged() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let client = client(&weir);
    let params = call(json!([[form("a")]]));
    let asked = begin(&client, &params);
    let good = answered(&params, &asked);
    let state = good["requestState"].as_str().expect("a text").to_owned();
    let flip = |at: usize| {
        let mut bytes = state.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).expect("ASCII")
    };
    let mut forged = vec![
        String::new(),
        "x".to_owned(),
        state[..state.len() - 1].to_owned(),
        state[1..].to_owned(),
        format!("{state}A"),
        format!("{state}="),
        "A".repeat(2 << 20),
        state.chars().rev().collect(),
    ];
    forged.extend((0..state.len()).step_by(7).map(flip));
    for text in forged {
        let mut changed = good.clone();
        changed["requestState"] = json!(text);
        is_refused(&client.ask("tools/call", changed), "was not given");
    }
    for value in [json!(7), json!({}), json!([state]), json!(true)] {
        let mut changed = good.clone();
        changed["requestState"] = value;
        is_refused(&client.ask("tools/call", changed), "must be a string");
    }
    assert_eq!((asker.calls(), asker.answers().len()), (1, 0), "nothing reached the backend");
    assert!(!client.ask("tools/call", good).failed());
}

#[test]
fn another_gateways_state_is_nobodys() {
    let asker = Asker::start();
    let (first, second) = (asker.weir(json!({}), json!({})), asker.weir(json!({}), json!({})));
    let params = call(json!([[form("a")]]));
    let asked = begin(&client(&first), &params);
    is_refused(&client(&second).ask("tools/call", answered(&params, &asked)), "was not given");
}

#[test]
fn a_state_is_used_once() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let client = client(&weir);
    let params = call(json!([[form("a")], [form("b")]]));
    let asked = begin(&client, &params);
    let good = answered(&params, &asked);
    let next = client.ask("tools/call", good.clone());
    is_refused(&client.ask("tools/call", good.clone()), "was used before");
    let last = answered(&params, &next);
    assert!(!client.ask("tools/call", last.clone()).failed());
    for used in [good, last] {
        is_refused(&client.ask("tools/call", used), "was used before");
    }
    assert_eq!((asker.calls(), asker.answers().len()), (1, 2));
}

#[test]
fn of_two_at_once_one_is_taken() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    for _ in 0..20 {
        let params = call(json!([[form("a")]]));
        let asked = begin(&client(&weir), &params);
        let good = answered(&params, &asked);
        let race = |_| {
            let (good, client) = (good.clone(), client(&weir));
            std::thread::spawn(move || client.ask("tools/call", good).failed())
        };
        let racers: Vec<_> = (0..4).map(race).collect();
        let failed =
            racers.into_iter().map(|racer| racer.join().expect("it is answered")).filter(|failed| *failed);
        assert_eq!(failed.count(), 3);
    }
    assert_eq!((asker.calls(), asker.answers().len()), (20, 20));
}

#[test]
fn answers_that_are_none_are_refused_and_may_be_put_right() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let client = client(&weir);
    let params = call(json!([[form("a")]]));
    let asked = begin(&client, &params);
    let key = keys(&asked)[0].clone();
    for wrong in [json!([]), json!("x"), json!(7), json!({key.clone(): "yes"}), json!({key: null})] {
        is_refused(&client.ask("tools/call", retry(&params, &asked, wrong)), "`params.inputResponses` must");
    }
    assert!(asker.answers().iter().all(|answer| answer.get("result").is_none()));
    assert!(!client.ask("tools/call", answered(&params, &asked)).failed());
}

#[test]
fn what_nobody_asked_for_is_not_sent_to_a_legacy_backend() {
    let asker = Asker::start();
    let weir = asker.weir(json!({}), json!({}));
    let mut params = call(json!([]));
    params["inputResponses"] = json!({"x": {"action": "accept"}});
    assert_eq!(client(&weir).ask("tools/call", params).text(), "[]");
    let sent = asker.server.received_of("tools/call")[0].json();
    assert!(sent["params"].get("inputResponses").is_none(), "{sent}");
}

#[test]
fn coming_back_without_an_answer_gains_no_time() {
    let asker = Asker::start();
    // Far more rounds than there is time for.
    let weir = asker.weir(json!({"input": "500ms"}), json!({"rounds": 1000}));
    let client = client(&weir);
    let params = call(json!([[form("a")]]));
    let mut last = begin(&client, &params);
    while last.message.get("result").is_some() {
        keys(&last);
        last = client.ask("tools/call", retry(&params, &last, json!({})));
    }
    assert!(!last.message.to_string().contains("more than"), "{}", last.message);
    wait::until_true("the backend's call is cancelled", || asker.cancelled() == 1);
}

#[test]
fn who_comes_too_late_finds_nothing() {
    let asker = Asker::start();
    let weir = asker.weir(json!({"input": "50ms"}), json!({}));
    let client = client(&weir);
    let params = call(json!([[form("a")]]));
    let asked = begin(&client, &params);
    wait::until_true("the backend's call is cancelled", || asker.cancelled() == 1);
    let late = client.ask("tools/call", answered(&params, &asked));
    is_refused(&late, "`params.requestState`");
    assert!(asker.answers().iter().all(|answer| answer.get("result").is_none()));
}
