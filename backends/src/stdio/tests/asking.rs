//! Programs that ask the clients of their calls, and whom they reach.

use super::*;
use crate::trial::{asked, begin, finish, reply};
use crate::{Event, Exchange, Message, Outcome};
use futures_util::FutureExt;
use weir_config::Transport;
use weir_protocol::ClientCapabilities as C;

const ANSWER: &str = r#"{"action":"accept","content":{"reply":"yes"}}"#;

/// The fixture that asks, shared by all clients.
fn asking(change: impl FnOnce(&mut weir_config::Backend)) -> Trial {
    Trial::new(&[], |spec| {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/peers/fixtures/asking.py");
        if let Transport::Stdio(stdio) = &mut spec.transport {
            stdio.args[0] = program.to_owned();
        }
        spec.session = SessionScope::Shared;
        change(spec);
    })
}

fn several(spec: &mut weir_config::Backend, count: usize) {
    if let Transport::Stdio(stdio) = &mut spec.transport {
        stdio.instances = count;
    }
}

async fn ask(trial: &Trial, client: u128, text: &str) -> Exchange {
    let arguments = format!(r#"{{"text":"{text}"}}"#);
    begin(&trial.backend, SessionKey::Client(client), C::FORM, "ask", &arguments).await.unwrap()
}

fn says(question: &Message, text: &str) -> bool {
    String::from_utf8_lossy(&question.body).contains(text)
}

#[tokio::test]
async fn one_call_is_asked_at_a_time() {
    let trial = asking(|_| {});
    let mut first = ask(&trial, 1, "first").await;
    let question = asked(&mut first).await;
    assert!(says(&question, "first"));
    let mut others = [2, 3].map(|client| {
        let capabilities = if client == 2 { C::FORM } else { C::NONE };
        let key = SessionKey::Client(client);
        let backend = trial.backend.clone();
        Box::pin(async move { begin(&backend, key, capabilities, "ask", r#"{"text":"later"}"#).await })
    });
    for other in &mut others {
        assert!(other.now_or_never().is_none(), "it waits for the first");
    }
    reply(&mut first, &question, ANSWER);
    assert!(finish(&mut first).await.unwrap().contains("yes"));
    drop(first);
    let [second, third] = others;
    let mut second = second.await.unwrap();
    let question = asked(&mut second).await;
    assert!(says(&question, "later"));
    reply(&mut second, &question, ANSWER);
    finish(&mut second).await.unwrap();
    drop(second);
    let refused = finish(&mut third.await.unwrap()).await.unwrap();
    assert!(refused.contains("no client that can be asked"), "{refused}");
    trial.backend.close().await;
}

#[tokio::test]
async fn waiting_for_a_child_ends() {
    let trial = asking(|spec| spec.timeouts.idle = Duration::from_millis(300));
    let mut first = ask(&trial, 1, "first").await;
    asked(&mut first).await;
    let busy = begin(&trial.backend, CLIENT, C::FORM, "process", "{}").await.unwrap_err();
    assert_eq!(
        busy.to_string(),
        "is busy: 1 of its processes (`instances`) have other calls, try again later"
    );
    // The client's own time is not the server's.
    tokio::time::sleep(Duration::from_millis(400)).await;
    assert!(first.next().now_or_never().is_none());
    drop(first);
    trial.backend.close().await;
}

#[tokio::test]
async fn several_children_ask_at_once() {
    let trial = asking(|spec| several(spec, 3));
    let mut calls = Vec::new();
    for client in 1..=3 {
        let mut call = ask(&trial, client, &format!("to {client}")).await;
        let question = asked(&mut call).await;
        assert!(says(&question, &format!("to {client}")));
        calls.push((call, question));
    }
    let fourth = begin(&trial.backend, CLIENT, C::NONE, "process", "{}");
    let mut fourth = Box::pin(fourth);
    assert!((&mut fourth).now_or_never().is_none());
    for (mut call, question) in calls {
        reply(&mut call, &question, ANSWER);
        assert!(finish(&mut call).await.unwrap().contains("yes"));
    }
    finish(&mut fourth.await.unwrap()).await.unwrap();
    assert_eq!(trial.log().iter().filter(|line| *line == "start").count(), 3);
    trial.backend.close().await;
}

#[tokio::test]
async fn calls_that_cannot_be_asked_run_side_by_side() {
    let trial = asking(|spec| several(spec, 2));
    let mut first = begin(&trial.backend, CLIENT, C::NONE, "process", r#"{"when":"go"}"#).await.unwrap();
    trial.until("waiting").await;
    let mut second = begin(&trial.backend, SessionKey::Client(2), C::NONE, "process", "{}").await.unwrap();
    let process = finish(&mut second).await.unwrap();
    trial.tell("go");
    assert_eq!(finish(&mut first).await.unwrap().split("text").last(), process.split("text").last());
    trial.backend.close().await;
}

#[tokio::test]
async fn a_late_question_reaches_nobody() {
    let trial = asking(|_| {});
    // It is known that this server asks.
    let mut before = ask(&trial, 1, "before").await;
    let question = asked(&mut before).await;
    reply(&mut before, &question, ANSWER);
    finish(&mut before).await.unwrap();
    drop(before);
    let late = r#"{"text":"late","when":"go"}"#;
    let cancelled = begin(&trial.backend, SessionKey::Client(1), C::FORM, "ask", late).await.unwrap();
    trial.until("waiting late").await;
    drop(cancelled);
    let mut next = ask(&trial, 2, "mine").await;
    trial.tell("go");
    let question = asked(&mut next).await;
    assert!(says(&question, "mine"), "{question:?}");
    reply(&mut next, &question, ANSWER);
    assert!(finish(&mut next).await.unwrap().contains("yes"));
    let log = trial.log();
    assert_eq!(log.iter().filter(|line| *line == "start").count(), 2, "the first was replaced: {log:?}");
    trial.backend.close().await;
}

#[tokio::test]
async fn a_server_that_never_asked_is_not_replaced() {
    let trial = asking(|_| {});
    let late = r#"{"text":"late","when":"go"}"#;
    let cancelled = begin(&trial.backend, SessionKey::Client(1), C::FORM, "ask", late).await.unwrap();
    trial.until("waiting late").await;
    drop(cancelled);
    let mut next =
        begin(&trial.backend, SessionKey::Client(2), C::FORM, "process", r#"{"when":"end"}"#).await.unwrap();
    trial.until("waiting").await;
    trial.tell("go");
    // The late question is refused, and the server has asked from now on.
    trial.until_some(|line| line.starts_with("refusal")).await;
    trial.tell("end");
    finish(&mut next).await.unwrap();
    drop(next);
    assert_eq!(trial.log().iter().filter(|line| *line == "start").count(), 1);
    trial.backend.close().await;
}

#[tokio::test]
async fn whoever_leaves_while_being_asked_leaves_a_server_that_works() {
    let trial = asking(|_| {});
    let mut first = ask(&trial, 1, "first").await;
    asked(&mut first).await;
    drop(first);
    trial.until_some(|line| line.starts_with("refusal")).await;
    let mut next = ask(&trial, 2, "next").await;
    let question = asked(&mut next).await;
    assert!(says(&question, "next"));
    reply(&mut next, &question, ANSWER);
    finish(&mut next).await.unwrap();
    trial.backend.close().await;
}

#[tokio::test]
async fn a_child_that_ends_while_it_asks_fails_its_call_alone() {
    let trial = asking(|_| {});
    let mut first =
        begin(&trial.backend, CLIENT, C::FORM, "ask", r#"{"text":"last words","dies":"die"}"#).await.unwrap();
    let question = asked(&mut first).await;
    trial.tell("die");
    let error = first.next().await.unwrap_err();
    assert!(error.to_string().starts_with("went away before it answered"), "{error}");
    reply(&mut first, &question, ANSWER);
    drop(first);
    let mut next = begin(&trial.backend, CLIENT, C::FORM, "process", "{}").await.unwrap();
    finish(&mut next).await.unwrap();
    trial.backend.close().await;
}

#[tokio::test]
async fn a_flood_of_questions_is_refused() {
    let trial = asking(|_| {});
    let mut call = begin(&trial.backend, CLIENT, C::FORM, "flood", r#"{"count":40}"#).await.unwrap();
    let mut questions = Vec::new();
    for _ in 0..16 {
        questions.push(asked(&mut call).await);
    }
    for question in &questions {
        reply(&mut call, question, ANSWER);
        reply(&mut call, question, ANSWER);
    }
    let told = finish(&mut call).await.unwrap();
    assert!(told.contains(r#""text": "24""#), "{told}");
    trial.backend.close().await;
}

#[tokio::test]
async fn roots_come_from_the_client_or_from_the_configuration() {
    let told = async |trial: &Trial, capabilities| {
        let mut call = begin(&trial.backend, CLIENT, capabilities, "roots", "{}").await.unwrap();
        loop {
            match call.next().await.unwrap() {
                Event::Asked(question) => {
                    reply(&mut call, &question, r#"{"roots":[{"uri":"file:///mine"}]}"#);
                }
                Event::Outcome(Outcome::Complete(message)) => {
                    return String::from_utf8(message.body.to_vec()).unwrap();
                }
                other => panic!("{other:?}"),
            }
        }
    };
    let trial = asking(|_| {});
    assert!(told(&trial, C::FORM).await.contains("[]"));
    assert!(told(&trial, C::ROOTS).await.contains("file:///mine"));
    trial.backend.close().await;
    for (scope, own) in [(SessionScope::Shared, false), (SessionScope::Client, true)] {
        let trial = asking(|spec| {
            let root = |uri: &str, name: Option<&str>| weir_config::Root {
                uri: uri.to_owned(),
                name: name.map(str::to_owned),
            };
            spec.session = scope;
            spec.roots = vec![root("file:///srv", None), root("file:///more", Some("More \"files\""))];
        });
        let configured = told(&trial, C::FORM).await;
        assert!(configured.contains("file:///srv") && configured.contains("file:///more"), "{configured}");
        // One client's folders do not become those of all.
        assert_eq!(told(&trial, C::ROOTS).await.contains("file:///mine"), own);
        trial.backend.close().await;
    }
}

#[tokio::test]
async fn the_calls_of_one_client_may_be_asked_side_by_side() {
    let trial = asking(|spec| spec.session = SessionScope::Client);
    let mut first = ask(&trial, 1, "first").await;
    let question = asked(&mut first).await;
    let mut second = ask(&trial, 1, "second").await;
    // It reaches the client all the same, by its older call.
    let other = asked(&mut first).await;
    assert!(says(&other, "second"));
    reply(&mut first, &other, ANSWER);
    assert!(finish(&mut second).await.unwrap().contains("yes"));
    reply(&mut first, &question, ANSWER);
    assert!(finish(&mut first).await.unwrap().contains("yes"));
    trial.backend.close().await;
}
