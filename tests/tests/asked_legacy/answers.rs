//! Whose answer counts, for which question, and how often.

use super::{answer, asking, begin, client, done, form, question, responses};
use serde_json::{Value, json};
use weir_tests::http::Request;
use weir_tests::scripted::tool;
use weir_tests::weir::config;
use weir_tests::{Answer, Legacy, Scripted, Speak, Stdio, Weir, legacy, wait};

/// Asks a form with the id `"q-1"` and ends once it is answered.
fn one_question() -> Scripted {
    asking(|request, reply| {
        reply.open_events();
        reply.event(form("\"q-1\"", "Who?"));
        reply.wait_for("\"id\":\"q-1\"");
        reply.event(done(request));
        reply.close();
    })
}

#[test]
fn only_the_id_changes_on_the_way() {
    let server = one_question();
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let (request, id) = client.prepare("tools/call", json!({"name": "ask", "arguments": {}}));
    let mut stream = request.open(client.endpoint()).events();
    let event = stream.find(|event| !event.data.is_empty()).expect("a question");
    let number = event.json()["id"].clone();
    assert_eq!(event.data, form(&number.to_string(), "Who?"));
    let response = |id: &str| {
        format!(
            r#"{{ "result":{{"action":"accept","content":{{"n":1.0,"s":"\u00fc"}}}},"id":{id},"jsonrpc":"2.0"}}"#
        )
    };
    assert_eq!(client.post(&response(&number.to_string())).status, 202);
    assert_eq!(answer(&mut stream, &id)["result"]["content"][0]["text"], "done");
    assert_eq!(responses(&server), [response("\"q-1\"")]);
}

#[test]
fn an_answer_counts_once_and_in_its_session_alone() {
    let server = one_question();
    let weir = Weir::over(json!({"server": server.backend()}));
    let (one, other) = (client(&weir), client(&weir));
    let (mut stream, id) = begin(&one, "ask");
    let number = question(&mut stream)["id"].clone();
    other.reply(&number, json!({"action": "accept", "content": {"from": "another session"}}));
    one.reply(&json!(4711), json!({"from": "unknown id"}));
    one.reply(&json!(format!("0{number}")), json!({"from": "an id that only looks alike"}));
    for broken in [
        json!({"jsonrpc": "2.0", "id": number, "result": "no object"}),
        json!({"jsonrpc": "2.0", "id": number, "result": {}, "error": {"code": 1, "message": "both"}}),
        json!({"jsonrpc": "2.0", "id": number}),
    ] {
        assert_eq!(one.post(&broken.to_string()).status, 400, "{broken}");
    }
    // Some clients keep every id as text.
    one.reply(&json!(number.to_string()), json!({"from": "the right one"}));
    one.reply(&number, json!({"from": "the same once more"}));
    assert!(answer(&mut stream, &id).get("result").is_some());
    one.reply(&number, json!({"from": "the same much later"}));
    let got = responses(&server);
    assert_eq!(got.len(), 1, "{got:?}");
    assert!(got[0].contains("the right one"), "{got:?}");
}

#[test]
fn several_questions_are_answered_in_any_order() {
    let server = asking(|request, reply| {
        reply.open_events();
        reply.event(form("1", "first"));
        reply.event(form("\"1\"", "second"));
        let token = &request.json()["params"]["_meta"]["progressToken"];
        reply.wait_for("\"answers\":\"second\"");
        let progress = json!({"progressToken": token, "progress": 1});
        reply.event(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress}));
        reply.wait_for("\"answers\":\"first\"");
        reply.event(done(request));
        reply.close();
    });
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let params = json!({"name": "ask", "arguments": {}, "_meta": {"progressToken": "mine"}});
    let (request, id) = client.prepare("tools/call", params);
    let mut stream = request.open(client.endpoint()).events();
    let (first, second) = (question(&mut stream), question(&mut stream));
    assert_ne!(first["id"], second["id"]);
    client.reply(&second["id"], json!({"answers": second["params"]["message"]}));
    assert_eq!(stream.message()["params"], json!({"progressToken": "mine", "progress": 1}));
    client.reply(&first["id"], json!({"answers": first["params"]["message"]}));
    answer(&mut stream, &id);
    let sent: Vec<Value> =
        responses(&server).iter().map(|text| serde_json::from_str(text).unwrap()).collect();
    assert_eq!((&sent[0]["id"], &sent[0]["result"]["answers"]), (&json!("1"), &json!("second")));
    assert_eq!((&sent[1]["id"], &sent[1]["result"]["answers"]), (&json!(1), &json!("first")));
}

#[test]
fn an_error_of_the_client_reaches_a_legacy_server() {
    let server = one_question();
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let number = question(&mut stream)["id"].clone();
    let error = json!({"code": -1, "message": "User rejected"});
    let response = json!({"jsonrpc": "2.0", "id": number, "error": error});
    assert_eq!(client.post(&response.to_string()).status, 202);
    answer(&mut stream, &id);
    let sent: Value = serde_json::from_str(&responses(&server)[0]).unwrap();
    assert_eq!((&sent["id"], &sent["error"]), (&json!("q-1"), &error));
}

#[test]
fn who_cannot_be_asked_is_not() {
    let server = one_question();
    let weir = Weir::over(json!({"server": server.backend()}));
    let without = Legacy::open(weir.endpoint(), legacy::REVISION, json!({"sampling": {}, "roots": {}}));
    assert_eq!(without.call("ask", json!({})).text(), "done");
    // Who takes JSON alone has no stream to be asked on.
    let able = client(&weir);
    let (request, id) = able.prepare("tools/call", json!({"name": "ask", "arguments": {}}));
    let response = request.replace("accept", Some("application/json")).send(able.endpoint());
    assert_eq!(Answer::of(&response, &id).text(), "done");
    wait::until_true("both are refused", || responses(&server).len() == 2);
    let refusals = responses(&server);
    assert!(refusals.iter().all(|refusal| refusal.contains("-32601")), "{refusals:?}");
}

#[test]
fn a_user_sees_which_of_several_backends_asks() {
    let (server, other) = (one_question(), one_question());
    let backends = json!({"books": server.backend(), "films": other.backend()});
    let weir = Weir::serve(config(backends, json!({"conflicts": "prefix"})));
    let client = client(&weir);
    let tools = client.tool_names();
    assert_eq!(tools.len(), 2, "{tools:?}");
    for (tool, backend) in tools.iter().zip(["books", "films"]) {
        let (mut stream, id) = begin(&client, tool);
        let asked = question(&mut stream);
        assert_eq!(asked["params"]["message"], format!("[{backend}] Who?"));
        client.reply(&asked["id"], json!({"action": "decline"}));
        assert!(answer(&mut stream, &id).get("result").is_some());
    }
}

#[test]
fn a_page_to_visit_first_names_who_wants_it() {
    let visited = |data: Value| {
        Scripted::legacy(json!([tool("visit")]), move |request, reply| {
            let error = json!({"code": -32042, "message": "sign in first", "data": data});
            reply.json(json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error}).to_string());
        })
    };
    let page = |message: &str| json!({"mode": "url", "elicitationId": "e", "url": "https://a.example/", "message": message});
    let good = visited(json!({"elicitations": [page("One"), page("Two")], "x": 1}));
    let broken = visited(json!({"elicitations": [{"mode": "form", "message": "m"}]}));
    let backends = json!({"good": good.backend(), "broken": broken.backend()});
    let weir = Weir::serve(config(backends, json!({"conflicts": "prefix"})));
    let able = client(&weir);
    let asked = able.call("good_visit", json!({}));
    assert_eq!(asked.error(), -32042);
    let data = json!({"elicitations": [page("[good] One"), page("[good] Two")], "x": 1});
    assert_eq!(asked.message["error"]["data"], data);
    assert_eq!(able.call("broken_visit", json!({})).error(), -32603);
    let unable = Legacy::open(weir.endpoint(), legacy::REVISION, json!({"elicitation": {}}));
    let told = unable.call("good_visit", json!({}));
    assert_eq!(told.result()["isError"], true, "{}", told.message);
    assert!(
        told.text().contains("backend `good`") && told.text().contains("sign in first"),
        "{}",
        told.text()
    );

    // Alone it needs no name.
    let weir = Weir::over(json!({"good": good.backend()}));
    let asked = client(&weir).call("visit", json!({}));
    assert_eq!(asked.message["error"]["data"]["elicitations"], json!([page("One"), page("Two")]));
}

#[test]
fn a_stream_that_broke_off_is_taken_up_with_its_question() {
    let server = asking(|request, reply| {
        reply.open_events();
        let token = &request.json()["params"]["_meta"]["progressToken"];
        let progress = json!({"progressToken": token, "progress": 1});
        reply.event(json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": progress}));
        reply.wait_for("the client has left");
        reply.event(form("7", "Still there?"));
        reply.wait_for("\"answers\":\"here again\"");
        reply.event(done(request));
        reply.close();
    });
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let params = json!({"name": "ask", "arguments": {}, "_meta": {"progressToken": "mine"}});
    let (request, id) = client.prepare("tools/call", params);
    let mut stream = request.open(client.endpoint()).events();
    let last = stream.find(|event| !event.data.is_empty()).and_then(|event| event.id).expect("an id");
    drop(stream);
    Request::post("the client has left").send(&weir_tests::Endpoint::parse(&server.url()));
    let get = Request::new("GET").header("accept", "text/event-stream").header("last-event-id", &last);
    let mut stream = client.within(get).open(client.endpoint()).events();
    let asked = question(&mut stream);
    client.reply(&asked["id"], json!({"answers": "here again"}));
    assert_eq!(answer(&mut stream, &id)["result"]["content"][0]["text"], "done");
}

#[test]
fn batches_ask_and_answer() {
    let server = asking(|request, reply| {
        reply.open_events();
        reply.event(r#"{"jsonrpc":"2.0","id":"q-1","method":"sampling/createMessage","params":{"messages":[],"maxTokens":1}}"#);
        reply.wait_for("\"answers\":\"within a batch\"");
        reply.event(done(request));
        reply.close();
    });
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = Legacy::open(weir.endpoint(), "2025-03-26", json!({"sampling": {}}));
    let call = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "ask", "arguments": {}}});
    let ping = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    let batch = client.within(Request::post(json!([call, ping]).to_string()));
    let mut stream = batch.open(client.endpoint()).events();
    let number = question(&mut stream)["id"].clone();
    let reply = json!([{"jsonrpc": "2.0", "id": number, "result": {"answers": "within a batch"}}]);
    assert_eq!(client.post(&reply.to_string()).status, 202);
    let answers = stream.message();
    assert_eq!(answers.as_array().map(Vec::len), Some(2), "{answers}");
}

#[test]
fn a_client_on_standard_input_and_output_is_asked() {
    let server = one_question();
    let backends = json!({"server": server.backend()});
    let mut weir = Stdio::serve(config(backends, json!({"conflicts": "none"})));
    let client = json!({"name": "weir-tests", "version": "1"});
    let capabilities = json!({"elicitation": {}});
    let params =
        json!({"protocolVersion": legacy::REVISION, "capabilities": capabilities, "clientInfo": client});
    let welcome = weir.request("initialize", params);
    weir.answer(&welcome);
    weir.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let call = weir.request("tools/call", json!({"name": "ask", "arguments": {}}));
    let asked = weir.message_where(|message| message["method"] == "elicitation/create");
    weir.send(&json!({"jsonrpc": "2.0", "id": asked["id"], "result": {"action": "cancel"}}).to_string());
    assert_eq!(
        weir.message_where(|message| message["id"] == call && message.get("result").is_some())["result"]["content"]
            [0]["text"],
        "done"
    );
    wait::until_true("the server has its answer", || responses(&server).len() == 1);
}
