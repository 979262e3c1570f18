//! Modern backends that ask: the state goes through weir's hands and comes back to them byte for byte.

use super::asker::{accept, client, keys, retry};
use serde_json::{Value, json};
use weir_tests::scripted::{Received, Reply, tool};
use weir_tests::{Answer, Modern, Scripted, Speak, Weir, peers, wait, weir};

const STATE: &str = r#""\u0041 \"state\" \/ of\u00e9 the backend""#;

/// A modern server whose tool asks once with a state, or with what its arguments say.
pub fn backend() -> Scripted {
    Scripted::modern(json!([tool("ask"), tool("other")]), |request: &Received, reply: &mut Reply<'_>| {
        let message = request.json();
        let (id, params) = (&message["id"], &message["params"]);
        if params.get("inputResponses").is_some() || params.get("requestState").is_some() {
            let is_whole = request.text().contains(&format!("\"requestState\":{STATE}"))
                || (params["arguments"]["stateless"] == true && params.get("requestState").is_none());
            let text =
                if is_whole { params["inputResponses"].to_string() } else { format!("broken: {params}") };
            let result = json!({"resultType": "complete", "content": [{"type": "text", "text": text}]});
            return reply.result(request, result);
        }
        if let Some(raw) = params["arguments"]["raw"].as_str() {
            return reply.json(format!(r#"{{"jsonrpc":"2.0","id":{id},{raw}}}"#));
        }
        let state = if params["arguments"]["stateless"] == true {
            String::new()
        } else {
            format!(r#","requestState":{STATE}"#)
        };
        let form = r#"{"method":"elicitation/create","params":{"message":"m", "requestedSchema":{"type":"object","n":1.00}}}"#;
        reply.json(format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required","inputRequests":{{"own key":{form}}}{state},"x":1.00}}}}"#
        ));
    })
}

fn over(server: &Scripted) -> Weir {
    Weir::over(json!({"asker": server.backend()}))
}

#[test]
fn the_state_comes_back_byte_for_byte() {
    let server = backend();
    let weir = over(&server);
    let client = client(&weir);
    for stateless in [false, true] {
        let params = json!({"name": "ask", "arguments": {"stateless": stateless}});
        let (request, _) = client.prepare("tools/call", params.clone());
        let raw = request.send(&weir.endpoint()).text();
        assert!(raw.contains(r#"{"type":"object","n":1.00}"#) && raw.contains(r#""x":1.00"#), "{raw}");
        assert!(!raw.contains("state of"), "the backend's state is not shown: {raw}");
        let asked = client.ask("tools/call", params.clone());
        assert_eq!(keys(&asked), ["own key"]);
        let done = client.ask("tools/call", retry(&params, &asked, json!({"own key": accept(1)})));
        assert_eq!(done.text(), json!({"own key": accept(1)}).to_string());
    }
}

#[test]
fn only_the_same_request_may_use_it() {
    let server = backend();
    let weir = over(&server);
    let client = client(&weir);
    let params = json!({"name": "ask", "arguments": {"a": 1}});
    let asked = client.ask("tools/call", params.clone());
    let good = retry(&params, &asked, json!({"own key": accept(1)}));
    let before = server.received_of("tools/call").len();
    for (what, value) in [
        ("arguments", json!({"a": 2})),
        ("name", json!("other")),
        ("requestState", json!("x")),
        ("requestState", json!("A \"state\" / ofé the backend")),
    ] {
        let mut changed = good.clone();
        changed[what] = value;
        let refused = client.ask("tools/call", changed);
        assert_eq!((refused.status, refused.error()), (400, -32602), "{}", refused.message);
    }
    assert_eq!(server.received_of("tools/call").len(), before, "nothing reached the backend");
    // Whether it may be used again is the backend's to say, to whom it belongs.
    for _ in 0..2 {
        assert!(!client.ask("tools/call", good.clone()).failed());
    }
}

#[test]
fn a_state_expires() {
    let server = backend();
    let mut config = weir::config(json!({"asker": server.backend()}), json!({"conflicts": "none"}));
    config["timeouts"]["input"] = json!("100ms");
    let weir = Weir::serve(config);
    let client = client(&weir);
    let params = json!({"name": "ask", "arguments": {}});
    let asked = client.ask("tools/call", params.clone());
    let good = retry(&params, &asked, json!({"own key": accept(1)}));
    let late = wait::until("its time is over", || {
        let answer = client.ask("tools/call", good.clone());
        answer.failed().then_some(answer)
    });
    assert_eq!(late.error(), -32602);
    assert!(late.message["error"]["message"].as_str().is_some_and(|text| text.contains("expired")));
}

#[test]
fn another_server_of_the_same_name_gets_neither_state_nor_answers() {
    let (server, other) = (
        backend(),
        Scripted::modern(json!([tool("ask"), tool("new")]), |request, reply| {
            reply.result(request, json!({"resultType": "complete", "content": []}));
        }),
    );
    let weir = over(&server);
    let client = client(&weir);
    let params = json!({"name": "ask", "arguments": {}});
    let asked = client.ask("tools/call", params.clone());
    weir.reconfigure(weir::config(json!({"asker": other.backend()}), json!({"conflicts": "none"})));
    weir.hang_up();
    wait::until_true("the name is the other's", || client.tool_names().contains(&"new".to_owned()));
    let refused = client.ask("tools/call", retry(&params, &asked, json!({"own key": accept(1)})));
    assert_eq!((refused.status, refused.error()), (400, -32602), "{}", refused.message);
    assert!(other.received_of("tools/call").is_empty());
    assert!(!client.ask("tools/call", params).failed(), "it may be called as any other");
}

#[test]
fn answers_without_a_state_are_the_backends_to_judge() {
    let server = backend();
    let weir = over(&server);
    let params =
        json!({"name": "ask", "arguments": {"stateless": true}, "inputResponses": {"x": {"a": 1.0}}});
    assert_eq!(client(&weir).ask("tools/call", params).text(), r#"{"x":{"a":1.0}}"#);
}

#[test]
fn backends_that_ask_wrongly_are_named() {
    let server = backend();
    let weir = over(&server);
    let form = r#"{"method":"elicitation/create","params":{"message":"m","requestedSchema":{}}}"#;
    let asks = |members: &str| format!(r#""result":{{"resultType":"input_required"{members}}}"#);
    let all: [(Value, String); 6] = [
        (json!({}), asks(&format!(r#","inputRequests":{{"k":{form}}}"#))),
        (json!({"elicitation": {"url": {}}}), asks(&format!(r#","inputRequests":{{"k":{form}}}"#))),
        (json!({"elicitation": {}}), asks("")),
        (json!({"elicitation": {}}), asks(r#","inputRequests":[]"#)),
        (json!({"elicitation": {}}), asks(r#","inputRequests":{"k":{"method":"tools/list"}}"#)),
        (json!({"elicitation": {}}), asks(r#","inputRequests":{"k":7}"#)),
    ];
    for (capabilities, raw) in all {
        let client = Modern::with_capabilities(weir.endpoint(), capabilities);
        let answer = client.call("ask", json!({"raw": raw}));
        assert_eq!(answer.error(), -32603, "{raw}: {}", answer.message);
        assert!(answer.message["error"]["message"].as_str().is_some_and(|text| text.contains("`asker`")));
    }
    let client = Modern::with_capabilities(weir.endpoint(), json!({"elicitation": {}}));
    let pause = client.call("ask", json!({"raw": asks(r#","requestState":"s""#)}));
    assert_eq!(pause.result()["resultType"], "input_required", "a state alone is allowed");
}

#[test]
fn a_missing_capability_is_told_where_the_client_lacks_it() {
    let server = backend();
    let weir = over(&server);
    let error = |required: &str| {
        let data = format!(r#"{{"requiredCapabilities":{required}}}"#);
        format!(r#""error":{{"code":-32021,"message":"m","data":{data}}}"#)
    };
    let ask = |capabilities: Value, required: &str| -> Answer {
        Modern::with_capabilities(weir.endpoint(), capabilities).call("ask", json!({"raw": error(required)}))
    };
    assert_eq!(ask(json!({}), r#"{"sampling":{}}"#).error(), -32021);
    assert_eq!(ask(json!({"elicitation": {}}), r#"{"elicitation":{"url":{}}}"#).error(), -32021);
    let own = ask(json!({"sampling": {}}), r#"{"sampling":{}}"#);
    assert_eq!(own.error(), -32603, "{}", own.message);
    assert_eq!(ask(json!({"extensions": {"x/y": {}}}), r#"{"extensions":{"x/y":{}}}"#).error(), -32603);
    for data in ["", r#","data":null"#, r#","data":{}"#] {
        let raw = format!(r#""error":{{"code":-32021,"message":"m"{data}}}"#);
        let mute = Modern::with_capabilities(weir.endpoint(), json!({})).call("ask", json!({"raw": raw}));
        assert_eq!(mute.error(), -32603, "{data}: {}", mute.message);
    }
}

#[test]
fn a_page_to_visit_becomes_a_question() {
    let page =
        json!({"mode": "url", "elicitationId": "e", "url": "https://a.example/", "message": "Sign in"});
    let server = Scripted::legacy(json!([tool("visit")]), move |request, reply| {
        let error = json!({"code": -32042, "message": "sign in first", "data": {"elicitations": [page]}});
        let times = request.json()["params"]["arguments"]["done"] == true;
        let answer = if times { json!({"result": {"content": []}}) } else { json!({"error": error}) };
        let mut answer = answer;
        answer["jsonrpc"] = json!("2.0");
        answer["id"] = request.json()["id"].clone();
        reply.json(answer.to_string());
    });
    let weir = Weir::over(json!({"visited": server.backend()}));
    let params = json!({"name": "visit", "arguments": {}});
    let client = client(&weir);
    let asked = client.ask("tools/call", params.clone());
    let keys = keys(&asked);
    let request = &asked.result()["inputRequests"][&keys[0]];
    let shown = json!({"mode": "url", "url": "https://a.example/", "message": "Sign in"});
    assert_eq!(request, &json!({"method": "elicitation/create", "params": shown}));
    let again = client.ask("tools/call", retry(&params, &asked, json!({&keys[0]: {"action": "accept"}})));
    assert_eq!(again.result()["resultType"], "input_required", "it still wants the visit");
    let calls = server.received_of("tools/call");
    assert_eq!(calls.len(), 2, "the call is made anew");
    assert!(
        calls[1].json()["params"].get("inputResponses").is_none()
            && !calls[1].text().contains("requestState")
    );
    let unable = Modern::with_capabilities(weir.endpoint(), json!({"elicitation": {}}));
    let refused = unable.ask("tools/call", params);
    assert_eq!((refused.status, refused.error()), (400, -32021), "{}", refused.message);
    assert!(refused.message["error"]["data"]["requiredCapabilities"]["elicitation"]["url"].is_object());
    assert!(refused.message["error"]["message"].as_str().is_some_and(|text| text.contains("sign in first")));
}

#[test]
fn a_real_backend_asks_for_tools_prompts_and_three_things_at_once() {
    let server = peers::conformance_http();
    for era in ["modern", "legacy"] {
        let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": era}}));
        let client = client(&weir);
        let method = |name: &str| if name.ends_with("prompt") { "prompts/get" } else { "tools/call" };
        let names: &[&str] = if era == "modern" {
            &[
                "test_input_required_result_elicitation",
                "test_input_required_result_request_state",
                "test_input_required_result_multi_round",
                "test_input_required_result_multiple_inputs",
                "test_input_required_result_prompt",
            ]
        } else {
            &["test_elicitation", "test_sampling", "test_elicitation_sep1330_enums"]
        };
        for name in names {
            let params = json!({"name": name, "arguments": {"message": "m", "prompt": "p"}});
            let params =
                if *name == "test_input_required_result_prompt" { json!({"name": name}) } else { params };
            let mut answer = client.ask(method(name), params.clone());
            let mut rounds = 0;
            while answer.result()["resultType"] == "input_required" {
                rounds += 1;
                assert!(rounds < 4, "{name}: {}", answer.message);
                let requests = answer.result()["inputRequests"].as_object().expect("requests").clone();
                let responses =
                    requests.iter().map(|(key, request)| (key.clone(), response(request))).collect();
                answer = client.ask(method(name), retry(&params, &answer, responses));
            }
            assert!(rounds > 0 && !answer.failed(), "{era} {name}: {}", answer.message);
        }
    }
}

/// What a good client answers.
fn response(request: &Value) -> Value {
    match request["method"].as_str() {
        Some("elicitation/create") => {
            let asked =
                request["params"]["requestedSchema"]["properties"].as_object().cloned().unwrap_or_default();
            let value =
                |schema: &Value| if schema["type"] == "boolean" { json!(true) } else { json!("blue") };
            let required =
                request["params"]["requestedSchema"]["required"].as_array().cloned().unwrap_or_default();
            let fields = asked.iter().filter(|(key, _)| required.contains(&json!(key)));
            let content: Value = fields.map(|(key, schema)| (key.clone(), value(schema))).collect();
            json!({"action": "accept", "content": content})
        }
        Some("roots/list") => json!({"roots": [{"uri": "file:///work"}]}),
        _ => json!({"role": "assistant", "model": "none", "content": {"type": "text", "text": "Paris."}}),
    }
}
