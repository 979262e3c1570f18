//! Tools that ask the client for something, between every pair of eras: a legacy server sends a request and waits, a modern one
//! answers `input_required`; each client is asked in the way of its own era.

use serde_json::{Value, json};
use weir_tests::peers::HttpPeer;
use weir_tests::{Answer, Legacy, Modern, Speak, Weir, legacy, peers};

/// The tool of the conformance server that asks for a form in each era of the server, with the arguments it takes, the
/// content that answers it, and a part of the text that it ends with.
fn forms() -> [(&'static str, &'static str, Value, Value, &'static str); 2] {
    let user = json!({"username": "ada", "email": "ada@example.com"});
    [
        (
            "legacy",
            "test_elicitation",
            json!({"message": "Who are you?"}),
            user,
            "ada@example.com",
        ),
        (
            "modern",
            "test_input_required_result_elicitation",
            json!({}),
            json!({"name": "Ada"}),
            "Hello, Ada!",
        ),
    ]
}

fn over(server: &HttpPeer, era: &str) -> Weir {
    Weir::over(json!({"conformance": {"url": server.url(), "era": era}}))
}

fn capable() -> Value {
    json!({"elicitation": {"form": {}}, "sampling": {}, "roots": {}})
}

/// Calls a tool as a legacy client and answers each request of the server with `reply`; yields the final answer.
fn call_legacy(client: &Legacy, tool: &str, arguments: Value, reply: impl Fn(&Value) -> Value) -> Answer {
    let (request, id) = client.prepare("tools/call", json!({"name": tool, "arguments": arguments}));
    let mut events = request.open(client.endpoint()).events();
    loop {
        let message = events.message();
        if message["id"] == id && message.get("method").is_none() {
            return Answer {
                status: 200,
                events: Vec::new(),
                message,
            };
        }
        if message.get("id").is_some() {
            client.reply(&message["id"], reply(&message));
        }
    }
}

/// Calls a tool as a modern client, round after round, and answers each input request with `reply`.
fn call_modern(client: &Modern, tool: &str, arguments: Value, reply: impl Fn(&Value) -> Value) -> Answer {
    let mut params = json!({"name": tool, "arguments": arguments});
    for _ in 0..8 {
        let answer = client.ask("tools/call", params.clone());
        if answer.message["result"]["resultType"] != "input_required" {
            return answer;
        }
        params = retry(&params, answer.result(), &reply);
    }
    panic!("{tool} asks for ever");
}

/// The parameters of the next round.
fn retry(params: &Value, asked: &Value, reply: impl Fn(&Value) -> Value) -> Value {
    let mut params = params.clone();
    let wanted = asked["inputRequests"].as_object().into_iter().flatten();
    params["inputResponses"] = wanted
        .map(|(key, request)| (key.clone(), reply(request)))
        .collect();
    params["requestState"] = asked["requestState"].clone();
    if params["requestState"].is_null() {
        params
            .as_object_mut()
            .expect("params are an object")
            .remove("requestState");
    }
    params
}

fn accept(content: &Value) -> Value {
    json!({"action": "accept", "content": content})
}

#[test]
fn a_form_reaches_every_client() {
    let server = peers::conformance_http();
    for (era, tool, arguments, content, expected) in forms() {
        let weir = over(&server, era);
        let check = |request: &Value| {
            assert_eq!(request["method"], "elicitation/create", "{request}");
            assert!(
                request["params"]["message"]
                    .as_str()
                    .is_some_and(|text| text.contains("your name") || text.contains("Who are you?"))
            );
            assert_eq!(
                request["params"]["requestedSchema"]["type"], "object",
                "{request}"
            );
            accept(&content)
        };
        let client = Legacy::open(weir.endpoint(), legacy::REVISION, capable());
        let answer = call_legacy(&client, tool, arguments.clone(), check);
        assert!(
            answer.text().contains(expected),
            "legacy client, {era} server: {}",
            answer.message
        );

        let client = Modern::with_capabilities(weir.endpoint(), capable());
        let answer = call_modern(&client, tool, arguments, check);
        assert!(
            answer.text().contains(expected),
            "modern client, {era} server: {}",
            answer.message
        );
    }
}

#[test]
fn a_refusal_reaches_the_server() {
    let server = peers::conformance_http();
    let weir = over(&server, "legacy");
    for action in ["decline", "cancel"] {
        let refuse = |_: &Value| json!({"action": action});
        let arguments = json!({"message": "Who are you?"});
        let client = Legacy::open(weir.endpoint(), legacy::REVISION, capable());
        let answer = call_legacy(&client, "test_elicitation", arguments.clone(), refuse);
        assert!(
            answer.text().contains(&format!("action={action}")),
            "{}",
            answer.message
        );
        let client = Modern::with_capabilities(weir.endpoint(), capable());
        let answer = call_modern(&client, "test_elicitation", arguments, refuse);
        assert!(
            answer.text().contains(&format!("action={action}")),
            "{}",
            answer.message
        );
    }
}

#[test]
fn sampling_reaches_every_client() {
    let server = peers::conformance_http();
    let tools = [
        (
            "legacy",
            "test_sampling",
            json!({"prompt": "What is the capital of France?"}),
        ),
        ("modern", "test_input_required_result_sampling", json!({})),
    ];
    for (era, tool, arguments) in tools {
        let weir = over(&server, era);
        let sample = |request: &Value| {
            assert_eq!(request["method"], "sampling/createMessage", "{request}");
            assert_eq!(
                request["params"]["messages"][0]["content"]["text"],
                "What is the capital of France?"
            );
            json!({"role": "assistant", "model": "none", "content": {"type": "text", "text": "Paris, I think."}})
        };
        let client = Legacy::open(weir.endpoint(), legacy::REVISION, capable());
        let answer = call_legacy(&client, tool, arguments.clone(), sample);
        assert!(
            answer.text().contains("Paris, I think."),
            "legacy client, {era} server: {}",
            answer.message
        );
        let client = Modern::with_capabilities(weir.endpoint(), capable());
        let answer = call_modern(&client, tool, arguments, sample);
        assert!(
            answer.text().contains("Paris, I think."),
            "modern client, {era} server: {}",
            answer.message
        );
    }
}

#[test]
fn a_legacy_client_answers_round_after_round() {
    let server = peers::conformance_http();
    let weir = over(&server, "modern");
    let client = Legacy::open(weir.endpoint(), legacy::REVISION, capable());
    let reply = |request: &Value| {
        let asked = request["params"]["requestedSchema"]["properties"]
            .as_object()
            .expect("a form");
        let content = asked
            .keys()
            .map(|key| (key.clone(), json!("blue")))
            .collect::<Value>();
        accept(&content)
    };
    let answer = call_legacy(
        &client,
        "test_input_required_result_multi_round",
        json!({}),
        reply,
    );
    assert_eq!(answer.text(), "Both rounds are done.");
}

#[test]
fn a_legacy_client_answers_three_things_of_one_round() {
    let server = peers::conformance_http();
    let weir = over(&server, "modern");
    let client = Legacy::open(weir.endpoint(), legacy::REVISION, capable());
    let reply = |request: &Value| match request["method"].as_str() {
        Some("elicitation/create") => accept(&json!({"name": "Ada"})),
        Some("roots/list") => json!({"roots": [{"uri": "file:///work"}]}),
        _ => json!({"role": "assistant", "model": "none", "content": {"type": "text", "text": "Welcome."}}),
    };
    let answer = call_legacy(
        &client,
        "test_input_required_result_multiple_inputs",
        json!({}),
        reply,
    );
    assert_eq!(answer.text(), "All three are here.");
}

#[test]
fn a_client_that_cannot_be_asked_is_told() {
    let server = peers::conformance_http();
    for (era, tool, arguments, ..) in forms() {
        let weir = over(&server, era);
        // Without the capability neither client may be asked; what it gets ends the call.
        let legacy = Legacy::new(weir.endpoint()).call(tool, arguments.clone());
        assert!(legacy.failed(), "legacy client, {era} server: {}", legacy.message);
        let modern = Modern::new(weir.endpoint()).call(tool, arguments);
        assert!(modern.failed(), "modern client, {era} server: {}", modern.message);
    }
}

#[test]
fn a_state_that_was_changed_is_refused() {
    let server = peers::conformance_http();
    let tools = [
        (
            "legacy",
            json!({"name": "test_elicitation", "arguments": {"message": "Who are you?"}}),
        ),
        (
            "modern",
            json!({"name": "test_input_required_result_request_state", "arguments": {}}),
        ),
    ];
    for (era, params) in tools {
        let weir = over(&server, era);
        let client = Modern::with_capabilities(weir.endpoint(), capable());
        let asked = client.ask("tools/call", params.clone());
        let state = asked.result()["requestState"]
            .as_str()
            .expect("a state is given")
            .to_owned();
        let content = json!({"ok": true, "username": "ada", "email": "ada@example.com"});
        for changed in [format!("{state}x"), state.chars().rev().collect(), String::new()] {
            let mut next = retry(&params, asked.result(), |_| accept(&content));
            next["requestState"] = json!(changed);
            let answer = client.ask("tools/call", next);
            assert!(answer.failed(), "{era} server: {}", answer.message);
        }
    }
}

#[test]
fn a_state_belongs_to_its_call() {
    let server = peers::conformance_http();
    let weir = over(&server, "legacy");
    let client = Modern::with_capabilities(weir.endpoint(), capable());
    let params = json!({"name": "test_elicitation", "arguments": {"message": "Who are you?"}});
    let asked = client.ask("tools/call", params.clone());
    let mut other = retry(&params, asked.result(), |_| {
        accept(&json!({"username": "ada", "email": "a@example.com"}))
    });
    other["arguments"]["message"] = json!("Something else");
    assert!(client.ask("tools/call", other).failed());
}
