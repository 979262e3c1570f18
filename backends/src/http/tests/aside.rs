//! Servers that ask the clients of their calls on the stream of the session, beside the answers.

use super::asking::{ANSWER, question};
use super::server::{Request, live_stream};
use super::*;
use crate::trial::{asked, begin, begin_curious, finish, reply};
use std::collections::HashMap;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use weir_protocol::ClientCapabilities as C;

/// Streams that are open, by what they belong to.
type Streams = Mutex<HashMap<String, UnboundedSender<String>>>;

fn say(streams: &Streams, whose: &str, message: &str) {
    if let Some(stream) = streams.lock().get(whose) {
        let _ = stream.send(format!("data: {message}\n\n"));
    }
}

fn open(streams: &Streams, whose: &str) -> Answer {
    let (sender, feed) = unbounded_channel();
    streams.lock().insert(whose.to_owned(), sender);
    live_stream(feed)
}

fn session(request: &Request) -> String {
    request.header("mcp-session-id").unwrap_or_default().to_owned()
}

/// A server whose calls ask one question each on the stream of their session, unless they are to wait for nothing. With
/// `gate` even the heads of their answers wait for it, which the client's answer opens.
async fn server(gate: Option<Arc<Semaphore>>) -> Server {
    let (sessions, sides, calls) = (AtomicU64::new(0), Streams::default(), Streams::default());
    Server::start(move |request| match (request.verb(), request.method()) {
        ("GET", _) => open(&sides, &session(request)),
        ("POST", "tools/call") => {
            if !request.body["params"]["arguments"]["breaks"].is_null() {
                return event_stream("data:\n\n");
            }
            let ends = |text: &str| result(request, &format!(r#"{{"content":"{text}"}}"#));
            let answer = match &gate {
                Some(gate) => ends("late").held(gate),
                None => open(&calls, request.id()),
            };
            if request.body["params"]["arguments"]["silent"].is_null() {
                say(&sides, &session(request), &question(&format!("q{}", request.id())));
            }
            answer
        }
        ("POST", "") => {
            let call = request.id().trim_matches(['"', 'q']);
            let end = if request.body.get("error").is_some() { "refused" } else { "done" };
            let end = format!(r#"{{"jsonrpc":"2.0","id":{call},"result":{{"content":"{end}"}}}}"#);
            say(&calls, call, &end);
            gate.iter().for_each(|gate| gate.add_permits(1));
            refusal(202, "")
        }
        _ => legacy(request, &sessions),
    })
    .await
}

#[tokio::test]
async fn a_question_beside_the_answer_is_for_the_client_of_the_session() {
    let server = server(None).await;
    let backend = backend(&server, |_| {});
    let mut other = begin(&backend, CLIENT, C::FORM, "t", r#"{"silent":1}"#).await.unwrap();
    let mut call = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    // It cannot be told which call asks, nor need it.
    let question = asked(&mut other).await;
    reply(&mut other, &question, ANSWER);
    reply(&mut other, &question, ANSWER);
    assert!(finish(&mut call).await.unwrap().contains("done"));
    let is_answer = |request: &Request| request.verb() == "POST" && request.method().is_empty();
    assert_eq!(server.requests().into_iter().filter(is_answer).count(), 1, "one answer is enough");
    drop(other);
    server.until("notifications/cancelled", 1).await;
    backend.end_session(CLIENT);
    server.until("CLOSED", 2).await;
}

#[tokio::test]
async fn a_question_may_come_before_the_answer_begins() {
    let gate = Arc::new(Semaphore::new(0));
    let server = server(Some(gate)).await;
    let backend = backend(&server, |spec| spec.timeouts.idle = Duration::from_millis(500));
    let mut call = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    let question = asked(&mut call).await;
    assert!(
        tokio::time::timeout(Duration::from_millis(700), call.next()).await.is_err(),
        "it may take its time"
    );
    reply(&mut call, &question, ANSWER);
    assert!(finish(&mut call).await.unwrap().contains("late"));

    let mut left = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    asked(&mut left).await;
    drop(left);
    server.until("notifications/cancelled", 1).await;
    let error = begin(&backend, CLIENT, C::FORM, "t", r#"{"silent":1}"#).await;
    assert!(matches!(error, Err(BackendError::Timeout { .. })), "{error:?}");
}

#[tokio::test]
async fn an_answer_that_does_not_arrive_fails_a_call_that_has_none_yet() {
    let (sessions, sides) = (AtomicU64::new(0), Streams::default());
    let server = Server::start(move |request| match (request.verb(), request.method()) {
        ("GET", _) => open(&sides, &session(request)),
        ("POST", "tools/call") => {
            say(&sides, &session(request), &question("q"));
            Answer::silence()
        }
        ("POST", "") => refusal(500, ""),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |_| {});
    let mut call = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    let question = asked(&mut call).await;
    reply(&mut call, &question, ANSWER);
    let error = finish(&mut call).await.unwrap_err();
    assert!(matches!(error, BackendError::NotTaken(_)), "{error}");
    drop(call);
    server.until("notifications/cancelled", 1).await;
}

#[tokio::test]
async fn a_stream_that_is_refused_once_or_cut_is_asked_for_again() {
    for status in [503, 404] {
        let (sessions, sides) = (AtomicU64::new(0), Arc::new(Streams::default()));
        let (own, refused) = (sides.clone(), AtomicBool::new(false));
        let server = Server::start(move |request| match (request.verb(), request.method()) {
            ("GET", _) if !refused.swap(true, Ordering::SeqCst) => refusal(status, ""),
            ("GET", _) => open(&own, &session(request)),
            _ => legacy(request, &sessions),
        })
        .await;
        let backend = backend(&server, |_| {});
        let call = async || finish(&mut begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap()).await;
        while sides.lock().drain().next().is_none() {
            call().await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        // What was drained is cut.
        server.until("GET", 3).await;
        backend.close().await;
    }
}

#[tokio::test]
async fn a_stream_whose_head_comes_with_its_first_event_stays_open() {
    let (sessions, gate) = (AtomicU64::new(0), Arc::new(Semaphore::new(0)));
    let own = gate.clone();
    let server = Server::start(move |request| match (request.verb(), request.method()) {
        ("GET", _) => event_stream(&format!("data: {}\n\n", question("q"))).held(&own),
        ("POST", "tools/call") if request.body["params"]["arguments"]["silent"].is_null() => {
            own.add_permits(1);
            Answer::silence()
        }
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |spec| spec.timeouts.list = Duration::from_millis(500));
    let call = async |arguments| begin(&backend, CLIENT, C::FORM, "t", arguments).await.unwrap();
    for _ in 0..2 {
        finish(&mut call(r#"{"silent":1}"#).await).await.unwrap();
    }
    asked(&mut call("{}").await).await;
    assert_eq!(server.count("GET"), 1, "it stays open");
}

#[tokio::test]
async fn streams_beside_calls_are_bounded() {
    let (sessions, sides) = (AtomicU64::new(0), Streams::default());
    let server = Server::start(move |request| match request.verb() {
        "GET" => open(&sides, &session(request)),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |spec| spec.limits.calls = 1);
    let call = async |key| finish(&mut begin(&backend, key, C::FORM, "t", "{}").await.unwrap()).await;
    let other = SessionKey::Client(2);
    for key in [CLIENT, other, CLIENT] {
        call(key).await.unwrap();
    }
    assert_eq!(server.count("GET"), 1);
    backend.end_session(CLIENT);
    server.until("CLOSED", 1).await;
    while server.count("GET") < 2 {
        call(other).await.unwrap();
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn progress_and_logs_beside_the_answer_come_with_their_call() {
    for held in [false, true] {
        let (sessions, sides, gate) = (AtomicU64::new(0), Streams::default(), Arc::new(Semaphore::new(0)));
        let calls = Arc::new(Streams::default());
        let (own, own_calls) = (gate.clone(), calls.clone());
        let server = Server::start(move |request| match (request.verb(), request.method()) {
            ("GET", _) => open(&sides, &session(request)),
            ("POST", "tools/call") => {
                let token = &request.body["params"]["_meta"]["progressToken"];
                for (method, params) in [
                    ("progress", format!(r#""progressToken":{token}"#)),
                    ("message", r#""level":"info""#.into()),
                ] {
                    let said = format!(r#""method":"notifications/{method}","params":{{{params}}}"#);
                    say(&sides, &session(request), &format!(r#"{{"jsonrpc":"2.0",{said}}}"#));
                }
                match held {
                    true => result(request, r#"{"content":[]}"#).held(&own),
                    false => open(&own_calls, "call"),
                }
            }
            _ => legacy(request, &sessions),
        })
        .await;
        let backend = backend(&server, |_| {});
        let mut call = begin_curious(&backend).await;
        assert!(matches!(call.next().await, Ok(Event::Progress(_))));
        assert!(matches!(call.next().await, Ok(Event::Log(_))));
        let made = server.requests().into_iter().find(|request| request.method() == "tools/call").unwrap();
        gate.add_permits(1);
        say(&calls, "call", &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{}}}}"#, made.id()));
        finish(&mut call).await.unwrap();
    }
}

#[tokio::test]
async fn clients_that_share_a_session_are_told_apart_once_it_is_known_to_ask() {
    let server = server(None).await;
    let backend = backend(&server, |_| {});
    let shared =
        async |arguments| begin(&backend, SessionKey::Shared, C::FORM, "t", arguments).await.unwrap();
    let _first = shared(r#"{"silent":1}"#).await;
    let mut second = shared("{}").await;
    assert!(finish(&mut second).await.unwrap().contains("refused"), "it may be either's");
    let mut calls = Vec::new();
    for _ in 0..3 {
        let mut call = shared("{}").await;
        let question = asked(&mut call).await;
        calls.push((call, question));
    }
    for (call, question) in &mut calls {
        reply(call, question, ANSWER);
        assert!(finish(call).await.unwrap().contains("done"));
    }
    let sessions = server.count("initialize");
    drop(calls);
    let mut call = shared("{}").await;
    asked(&mut call).await;
    assert_eq!(server.count("initialize"), sessions, "sessions are used again");
    drop(call);
    // It may ask late, so nobody else comes into that session.
    let mut call = shared("{}").await;
    asked(&mut call).await;
}

#[tokio::test]
async fn a_call_whose_stream_broke_may_still_ask_and_reaches_nobody() {
    let server = server(None).await;
    let backend = backend(&server, |_| {});
    let shared =
        async |arguments| begin(&backend, SessionKey::Shared, C::FORM, "t", arguments).await.unwrap();
    let broken = finish(&mut shared(r#"{"breaks":1}"#).await).await;
    assert!(matches!(broken, Err(BackendError::Gone(_))), "{broken:?}");
    let refused = finish(&mut shared("{}").await).await.unwrap();
    assert!(refused.contains("refused"), "it may be asked for the call before: {refused}");
    let mut call = shared("{}").await;
    let question = asked(&mut call).await;
    reply(&mut call, &question, ANSWER);
    assert!(finish(&mut call).await.unwrap().contains("done"), "in a session of its own");
}
