//! Calls that end with a question open: nobody is left waiting, neither the server nor the user.

use super::{answer, asking, begin, client, form, question, responses, told};
use serde_json::{Value, json};
use weir_tests::weir::config;
use weir_tests::{Scripted, Weir, wait};

/// Asks a form and waits until its call is over.
fn endless() -> Scripted {
    asking(|_, reply| {
        reply.open_events();
        reply.event(form("\"q-1\"", "Who?"));
        reply.wait_for_close();
    })
}

/// What the server was answered; that its question has ended with its call is no answer.
fn answers(server: &Scripted) -> Vec<String> {
    responses(server).into_iter().filter(|response| !response.contains("\"error\"")).collect()
}

fn until_cancelled(server: &Scripted) {
    wait::until_true("the server hears of the end", || {
        !server.received_of("notifications/cancelled").is_empty()
    });
}

/// Checks that the question is taken back.
fn taken_back(message: &Value, number: &Value) {
    assert_eq!(message["method"], "notifications/cancelled", "{message}");
    assert_eq!(message["params"]["requestId"], *number, "{message}");
}

#[test]
fn a_cancelled_call_takes_its_question_back() {
    let server = endless();
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let number = question(&mut stream)["id"].clone();
    client.tell("notifications/cancelled", json!({"requestId": id}));
    taken_back(&stream.message(), &number);
    assert_eq!(stream.find(|event| !event.data.is_empty()), None, "nobody wants an answer");
    until_cancelled(&server);
    client.reply(&number, json!({"action": "accept", "content": {}}));
    assert_eq!(answers(&server), [""; 0]);
}

#[test]
fn the_end_of_a_session_ends_what_waits_for_its_answers() {
    let server = endless();
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    question(&mut stream);
    assert_eq!(client.delete().status, 204);
    let end = answer(&mut stream, &id);
    assert!(told(&end).contains("session has ended"), "{end}");
}

#[test]
fn an_answer_must_come_in_time() {
    for key in ["input", "inputs"] {
        let server = endless();
        let mut config = config(json!({"server": server.backend()}), json!({"conflicts": "none"}));
        config["timeouts"][key] = json!("300ms");
        let weir = Weir::serve(config);
        let client = client(&weir);
        let (mut stream, id) = begin(&client, "ask");
        let number = question(&mut stream)["id"].clone();
        taken_back(&stream.message(), &number);
        let end = answer(&mut stream, &id);
        let text = told(&end);
        assert!(text.contains("backend `server`") && text.contains("0.3 s"), "{key}: {text}");
        until_cancelled(&server);
    }
}

#[test]
fn what_the_server_does_not_wait_for_is_taken_back() {
    let server = asking(|request, reply| {
        reply.open_events();
        reply.event(form("\"q-1\"", "Who?"));
        reply.event(super::done(request));
        reply.close();
    });
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let number = question(&mut stream)["id"].clone();
    taken_back(&stream.message(), &number);
    assert!(answer(&mut stream, &id).get("result").is_some());
    client.reply(&number, json!({"action": "accept", "content": {}}));
    assert_eq!(answers(&server), [""; 0]);
}

#[test]
fn what_the_server_takes_back_is_taken_back() {
    let server = asking(|request, reply| {
        reply.open_events();
        for (id, word) in [("\"q-1\"", "take the first back"), ("\"q-2\"", "take the second back")] {
            reply.event(form(id, "Who?"));
            reply.wait_for(word);
            reply.event(format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
            ));
        }
        reply.wait_for("end it");
        reply.event(super::done(request));
        reply.close();
    });
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let tell = |word: &str| weir_tests::Request::post(word).send(&weir_tests::Endpoint::parse(&server.url()));
    let (mut stream, id) = begin(&client, "ask");
    for word in ["take the first back", "take the second back"] {
        let number = question(&mut stream)["id"].clone();
        tell(word);
        taken_back(&stream.message(), &number);
        client.reply(&number, json!({"action": "accept", "content": {}}));
    }
    tell("end it");
    assert!(answer(&mut stream, &id).get("result").is_some());
    assert!(!responses(&server).iter().any(|response| response.contains("jsonrpc")), "no answer is sent");
}

#[test]
fn weir_stops_though_a_question_is_open() {
    let server = endless();
    let mut config = config(json!({"server": server.backend()}), json!({"conflicts": "none"}));
    config["timeouts"]["drain"] = json!("0s");
    let weir = Weir::serve(config);
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let number = question(&mut stream)["id"].clone();
    weir.terminate();
    taken_back(&stream.message(), &number);
    assert_eq!(answer(&mut stream, &id)["error"]["message"], "the gateway is stopping");
    until_cancelled(&server);
    assert!(weir.finish().status.success());
}

#[test]
fn a_silent_stream_with_a_question_is_kept_alive() {
    let server = endless();
    let mut config = config(json!({"server": server.backend()}), json!({"conflicts": "none"}));
    config["timeouts"]["keep_alive"] = json!("100ms");
    config["timeouts"]["input"] = json!("1s");
    let weir = Weir::serve(config);
    let client = client(&weir);
    let (request, _) =
        weir_tests::Speak::prepare(&client, "tools/call", json!({"name": "ask", "arguments": {}}));
    let body = request.send(client.endpoint()).text();
    let (_, after) = body.split_once("Who?").expect("a question");
    let (silence, _) = after.split_once("notifications/cancelled").expect("its end");
    assert!(silence.lines().any(|line| line.starts_with(':')), "{body}");
}

#[test]
fn a_session_has_so_many_questions_open_and_no_more() {
    let server = asking(|_, reply| {
        reply.open_events();
        for number in 0..16 {
            reply.event(form(&number.to_string(), "Who?"));
        }
        reply.wait_for_close();
    });
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let mut calls: Vec<_> = (0..4).map(|_| begin(&client, "ask")).collect();
    for (stream, _) in &mut calls {
        (0..16).for_each(|_| drop(question(stream)));
    }
    let _fifth = begin(&client, "ask");
    wait::until_true("the fifth call's are refused", || responses(&server).len() == 16);
    assert!(responses(&server).iter().all(|refusal| refusal.contains("64 other questions")));
    // Places become free again.
    client.tell("notifications/cancelled", json!({"requestId": calls[0].1}));
    until_cancelled(&server);
    let (mut stream, _) = begin(&client, "ask");
    question(&mut stream);
}

#[test]
fn a_server_that_dies_takes_its_question_along() {
    let server = asking(|_, reply| {
        reply.open_events();
        reply.event(form("1", "Who?"));
        reply.wait_for("it may die");
        reply.close();
    });
    let weir = Weir::over(json!({"server": server.backend()}));
    let client = client(&weir);
    let (mut stream, id) = begin(&client, "ask");
    let number = question(&mut stream)["id"].clone();
    weir_tests::Request::post("it may die").send(&weir_tests::Endpoint::parse(&server.url()));
    taken_back(&stream.message(), &number);
    let error = answer(&mut stream, &id);
    assert!(
        error["error"]["message"].as_str().is_some_and(|text| text.contains("backend `server`")),
        "{error}"
    );
}
