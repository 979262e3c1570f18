//! Modern servers answer that they need input; the client is asked, and the call is made again.

use super::{answer, begin, client, question, told};
use serde_json::{Value, json};
use weir_tests::scripted::{Received, Reply, tool};
use weir_tests::weir::config;
use weir_tests::{Legacy, Request, Scripted, Speak, Weir, legacy, wait};

const FORM: &str = r#"{"method":"elicitation/create","params":{"message":"Who?","requestedSchema":{"type":"object","properties":{}}}}"#;
const SAMPLE: &str = r#"{"method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}"#;

/// A modern server whose tool `ask` answers the calls of its name with these results, in turn, the last one for ever.
fn server(results: &'static [&'static str]) -> Scripted {
    Scripted::modern(json!([tool("ask")]), move |request: &Received, reply: &mut Reply<'_>| {
        static_turn(results, request, reply);
    })
}

/// The turn is told by the state that the last result wrote: `"N"` for the result behind the N-th.
fn static_turn(results: &[&str], request: &Received, reply: &mut Reply<'_>) {
    let state = request.json()["params"]["requestState"].as_str().and_then(|state| state.trim().parse().ok());
    let turn: usize = state.unwrap_or(0);
    let result = results[turn.min(results.len() - 1)].replace("$FORM", FORM).replace("$SAMPLE", SAMPLE);
    let id = &request.json()["id"];
    reply.json(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#));
}

const DONE: &str = r#"{"resultType":"complete","content":[{"type":"text","text":"done"}]}"#;

fn over(server: &Scripted) -> Weir {
    Weir::over(json!({"server": {"url": server.url(), "era": "modern"}}))
}

fn error_of(message: &Value) -> &str {
    message["error"]["message"].as_str().unwrap_or_else(|| panic!("an error, not {message}"))
}

#[test]
fn answers_and_states_go_back_byte_for_byte() {
    let server = server(&[
        r#"{"resultType":"input_required","requestState":"1 ","inputRequests":{"\u0061":$FORM,"b":$SAMPLE}}"#,
        r#"{"resultType":"input_required","requestState":"\u0032"}"#,
        r#"{"inputRequests":{"c":{"method":"roots/list"}},"requestState":"3","resultType":"input_required"}"#,
        DONE,
    ]);
    let weir = over(&server);
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let (form, sample) = (question(&mut stream), question(&mut stream));
    let respond = |id: &Value, result: &str| {
        let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#);
        assert_eq!(client.post(&body).status, 202);
    };
    respond(&sample["id"], r#"{"role":"assistant", "x":1.0}"#);
    respond(&form["id"], r#"{"action":"decline"}"#);
    let roots = question(&mut stream);
    assert_eq!(roots["method"], "roots/list");
    respond(&roots["id"], r#"{"roots":[ ]}"#);
    let done = answer(&mut stream, &id);
    assert_eq!(done["result"], json!({"content": [{"type": "text", "text": "done"}]}), "a legacy result");
    let calls: Vec<String> = server.received_of("tools/call").iter().map(Received::text).collect();
    assert_eq!(calls.len(), 4, "{calls:?}");
    assert!(calls[0].contains(r#""elicitation":{"form":{},"url":{}}"#), "{}", calls[0]);
    assert!(!calls[0].contains("inputResponses") && !calls[0].contains("requestState"));
    let responses = r#""inputResponses":{"\u0061":{"action":"decline"},"b":{"role":"assistant", "x":1.0}}"#;
    assert!(calls[1].contains(responses) && calls[1].contains(r#""requestState":"1 ""#), "{}", calls[1]);
    assert!(calls[2].contains(r#""requestState":"\u0032""#) && !calls[2].contains("inputResponses"));
    assert!(calls[3].contains(r#""inputResponses":{"c":{"roots":[ ]}}"#), "{}", calls[3]);
}

#[test]
fn rounds_are_counted() {
    let server = server(&[r#"{"resultType":"input_required","inputRequests":{"a":$FORM}}"#]);
    let mut config =
        config(json!({"server": {"url": server.url(), "era": "modern"}}), json!({"conflicts": "none"}));
    config["limits"]["rounds"] = json!(3);
    let weir = Weir::serve(config);
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    for _ in 0..3 {
        let asked = question(&mut stream);
        client.reply(&asked["id"], json!({"action": "accept", "content": {}}));
    }
    let end = answer(&mut stream, &id);
    assert!(told(&end).contains("backend `server` asked its client more than 3 times"), "{end}");
    assert_eq!(server.received_of("tools/call").len(), 4);
}

#[test]
fn pauses_are_no_questions() {
    let server = server(&[
        r#"{"resultType":"input_required","requestState":"1"}"#,
        r#"{"resultType":"input_required","requestState":"2"}"#,
        DONE,
    ]);
    let mut config =
        config(json!({"server": {"url": server.url(), "era": "modern"}}), json!({"conflicts": "none"}));
    config["limits"]["rounds"] = json!(1);
    let done = client(&Weir::serve(config)).call("ask", json!({}));
    assert!(!done.failed(), "{}", done.message);
    assert_eq!(server.received_of("tools/call").len(), 3);
}

#[test]
fn a_server_may_not_put_its_client_off_for_ever() {
    let server = server(&[r#"{"resultType":"input_required","requestState":"0"}"#]);
    let mut config =
        config(json!({"server": {"url": server.url(), "era": "modern"}}), json!({"conflicts": "none"}));
    config["timeouts"]["inputs"] = json!("300ms");
    let end = client(&Weir::serve(config)).call("ask", json!({}));
    assert!(told(&end.message).contains("asked to be called again for longer than 0.3 s"), "{}", end.message);
}

#[test]
fn a_user_who_cannot_be_asked_cancels() {
    let server =
        server(&[r#"{"resultType":"input_required","requestState":"1","inputRequests":{"a":$FORM}}"#, DONE]);
    let weir = over(&server);
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let number = question(&mut stream)["id"].clone();
    let error = json!({"jsonrpc": "2.0", "id": number, "error": {"code": -1, "message": "no window"}});
    assert_eq!(client.post(&error.to_string()).status, 202);
    assert!(answer(&mut stream, &id).get("result").is_some());
    let call = server.received_of("tools/call")[1].text();
    assert!(call.contains(r#""inputResponses":{"a":{"action":"cancel"}}"#), "{call}");
}

#[test]
fn a_model_that_cannot_be_asked_ends_the_call() {
    let server = server(&[r#"{"resultType":"input_required","inputRequests":{"a":$SAMPLE,"b":$FORM}}"#]);
    let weir = over(&server);
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let (sample, form) = (question(&mut stream), question(&mut stream));
    let error = json!({"code": -1, "message": "User rejected sampling"});
    let response = json!({"jsonrpc": "2.0", "id": sample["id"], "error": error});
    assert_eq!(client.post(&response.to_string()).status, 202);
    let taken_back = stream.message();
    assert_eq!(taken_back["params"]["requestId"], form["id"], "{taken_back}");
    let end = answer(&mut stream, &id);
    let text = told(&end);
    assert!(text.contains("`server`") && text.contains("User rejected sampling (code -1)"), "{text}");
    assert_eq!(server.received_of("tools/call").len(), 1);
}

#[test]
fn a_url_gets_an_id_of_its_own() {
    let server = server(&[
        r#"{"resultType":"input_required","requestState":"1","inputRequests":{
            "a":{"method":"elicitation/create","params":{"mode":"url","url":"https://a.example/","message":"m"}},
            "b":{"method":"elicitation/create","params":{"mode":"url","url":"https://b.example/","message":"m"}}}}"#,
        DONE,
    ]);
    let weir = over(&server);
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let (one, other) = (question(&mut stream), question(&mut stream));
    let ids = [&one, &other].map(|asked| asked["params"]["elicitationId"].as_str().expect("an id").len());
    assert_eq!(ids, [32, 32]);
    assert_ne!(one["params"]["elicitationId"], other["params"]["elicitationId"]);
    assert_eq!(one["params"]["url"], "https://a.example/");
    for asked in [one, other] {
        client.reply(&asked["id"], json!({"action": "accept"}));
    }
    assert!(answer(&mut stream, &id).get("result").is_some());
}

#[test]
fn what_was_not_offered_ends_the_call() {
    let server = server(&[r#"{"resultType":"input_required","inputRequests":{"a":$SAMPLE}}"#]);
    let weir = over(&server);
    let without = Legacy::open(weir.endpoint(), legacy::REVISION, json!({"elicitation": {}}));
    let end = without.call("ask", json!({}));
    assert!(error_of(&end.message).contains("`sampling/createMessage`"), "{}", end.message);
    assert!(error_of(&end.message).contains("backend `server`"), "{}", end.message);
}

#[test]
fn what_is_no_question_ends_the_call() {
    for result in [
        r#"{"resultType":"input_required"}"#,
        r#"{"resultType":"input_required","inputRequests":{}}"#,
        r#"{"resultType":"input_required","inputRequests":{"a":7}}"#,
        r#"{"resultType":"input_required","requestState":{}}"#,
    ] {
        let server =
            Scripted::modern(json!([tool("ask")]), move |request: &Received, reply: &mut Reply<'_>| {
                reply.result(request, serde_json::from_str(result).expect("it is JSON"));
            });
        let weir = over(&server);
        let end = client(&weir).call("ask", json!({}));
        assert!(error_of(&end.message).contains("backend `server`"), "{result}: {}", end.message);
    }
}

#[test]
fn a_client_that_left_comes_back_and_answers() {
    let server = server(&[
        r#"{"resultType":"input_required","requestState":"1","inputRequests":{"a":$FORM}}"#,
        r#"{"resultType":"input_required","requestState":"2","inputRequests":{"b":$FORM}}"#,
        DONE,
    ]);
    let weir = over(&server);
    let client = client(&weir);
    let (request, id) = client.prepare("tools/call", json!({"name": "ask", "arguments": {}}));
    let mut stream = request.open(client.endpoint()).events();
    let event = stream.find(|event| !event.data.is_empty()).expect("a question");
    drop(stream);
    client.reply(&event.json()["id"], json!({"action": "accept", "content": {}}));
    wait::until_true("the call is made again", || server.received_of("tools/call").len() == 2);
    let last = event.id.expect("an id");
    let get = Request::new("GET").header("accept", "text/event-stream").header("last-event-id", &last);
    let mut stream = client.within(get).open(client.endpoint()).events();
    let asked = question(&mut stream);
    client.reply(&asked["id"], json!({"action": "decline"}));
    assert!(answer(&mut stream, &id).get("result").is_some());
}

#[test]
fn a_call_is_decided_anew_with_every_round() {
    let server = server(&[r#"{"resultType":"input_required","inputRequests":{"a":$FORM}}"#]);
    let backends = json!({"server": {"url": server.url(), "era": "modern"}});
    let weir = Weir::serve(config(backends.clone(), json!({"conflicts": "none"})));
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let first = question(&mut stream);
    weir.reconfigure(config(backends, json!({"conflicts": "none", "tools": {"deny": ["ask"]}})));
    weir.hang_up();
    wait::until_true("the tool is denied", || client.tool_names().is_empty());
    client.reply(&first["id"], json!({"action": "accept", "content": {}}));
    let end = answer(&mut stream, &id);
    assert_eq!(end["error"]["message"], "unknown tool: ask", "{end}");
    assert_eq!(server.received_of("tools/call").len(), 1, "the answers went nowhere");
}
