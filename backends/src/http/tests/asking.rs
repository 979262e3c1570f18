//! Servers that ask the clients of their calls, over streamable HTTP and over HTTP+SSE.

use super::server::{Request, live_stream};
use super::*;
use crate::trial::{asked, begin, finish, reply};
use futures_util::FutureExt;
use serde_json::Value;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use weir_protocol::ClientCapabilities as C;

pub(super) const ANSWER: &str = r#"{"action":"accept","content":{"reply":"yes"}}"#;

pub(super) fn question(id: &str) -> String {
    let params = r#"{"message":"m","requestedSchema":{}}"#;
    format!(r#"{{"jsonrpc":"2.0","id":"{id}","method":"elicitation/create","params":{params}}}"#)
}

/// The stream of a call that is under way.
#[derive(Debug, Default)]
struct Call(Mutex<Option<(String, UnboundedSender<String>)>>);

impl Call {
    fn open(&self, request: &Request) -> Answer {
        let (sender, feed) = unbounded_channel();
        *self.0.lock() = Some((request.id().to_owned(), sender));
        live_stream(feed)
    }

    fn say(&self, message: &str) {
        if let Some((_, stream)) = &*self.0.lock() {
            let _ = stream.send(format!("data: {message}\n\n"));
        }
    }

    fn end(&self, text: &str) {
        let id = self.0.lock().as_ref().map(|(id, _)| id.clone()).unwrap_or_default();
        self.say(&format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":"{text}"}}}}"#));
    }
}

/// A server whose call asks `count` questions and ends with the first answer; it answers answers with `status`.
async fn asking(count: usize, status: u16) -> (Server, Arc<Call>) {
    let (sessions, under_way) = (AtomicU64::new(0), Arc::new(Call::default()));
    let own = under_way.clone();
    let server = Server::start(move |request| match (request.verb(), request.method()) {
        ("POST", "tools/call") => {
            let answer = own.open(request);
            (0..count).for_each(|number| own.say(&question(&format!("q{number}"))));
            answer
        }
        ("POST", "") if request.body.get("result").is_some() => {
            if status < 300 {
                own.end("done");
            }
            refusal(status, "")
        }
        _ => legacy(request, &sessions),
    })
    .await;
    (server, under_way)
}

/// What came that is no request.
fn responses(server: &Server, member: &str) -> Vec<Value> {
    let requests = server.requests().into_iter();
    requests.filter(|request| request.body.get(member).is_some()).map(|request| request.body).collect()
}

#[tokio::test]
async fn an_answer_reaches_the_server_in_its_session() {
    let (server, _) = asking(1, 202).await;
    let backend = backend(&server, |spec| {
        spec.timeouts.idle = Duration::from_millis(300);
        spec.timeouts.call = Duration::from_millis(600);
    });
    let mut call = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    let question = asked(&mut call).await;
    // The client may take its time.
    assert!(tokio::time::timeout(Duration::from_millis(900), call.next()).await.is_err());
    reply(&mut call, &question, ANSWER);
    reply(&mut call, &question, ANSWER);
    assert!(finish(&mut call).await.unwrap().contains("done"));
    assert_eq!(responses(&server, "result").len(), 1, "one answer is enough");
    let sent = server.requests().into_iter().find(|request| request.body.get("result").is_some()).unwrap();
    let made = server.requests().into_iter().find(|request| request.method() == "tools/call").unwrap();
    assert_eq!(sent.header("mcp-session-id"), made.header("mcp-session-id"));
    assert_eq!(sent.body["id"], "q0");
}

#[tokio::test]
async fn an_answer_that_does_not_arrive_fails_its_call() {
    let (server, _) = asking(1, 404).await;
    let backend = backend(&server, |_| {});
    let mut call = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    let question = asked(&mut call).await;
    reply(&mut call, &question, ANSWER);
    let error = finish(&mut call).await.unwrap_err();
    let words = "did not take the client's answer to what it asked: refused the request with HTTP status 404";
    assert_eq!(error.to_string(), words);
    drop(call);
    server.until("notifications/cancelled", 1).await;
}

#[tokio::test]
async fn questions_are_bounded_and_end_with_their_call() {
    let (server, under_way) = asking(40, 202).await;
    let backend = backend(&server, |_| {});
    let mut call = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    for _ in 0..16 {
        asked(&mut call).await;
    }
    assert!(tokio::time::timeout(Duration::from_millis(50), call.next()).await.is_err());
    let refused = async |count| {
        while responses(&server, "error").len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    refused(24).await;
    under_way.end("over");
    assert!(finish(&mut call).await.unwrap().contains("over"));
    refused(40).await;
}

#[tokio::test]
async fn a_question_that_is_taken_back_needs_no_answer() {
    let (server, under_way) = asking(2, 202).await;
    let backend = backend(&server, |spec| spec.timeouts.idle = Duration::from_millis(300));
    let mut call = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    let questions = [asked(&mut call).await, asked(&mut call).await];
    let take_back = |id: &str| {
        let params = format!(r#"{{"requestId":"{id}"}}"#);
        under_way
            .say(&format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{params}}}"#));
    };
    for id in ["unknown", "q1", "q1", "q0"] {
        take_back(id);
    }
    for id in ["\"q1\"", "\"q0\""] {
        let event = call.next().await.unwrap();
        assert!(matches!(&event, Event::Withdrawn(withdrawn) if withdrawn == id), "{event:?}");
    }
    reply(&mut call, &questions[0], ANSWER);
    // Nothing is open, so that the server's time counts again.
    let error = finish(&mut call).await.unwrap_err();
    assert!(matches!(error, BackendError::Timeout { what: "a sign of life", .. }), "{error}");
    drop(call);
    server.until("notifications/cancelled", 1).await;
    assert_eq!(responses(&server, "result").len() + responses(&server, "error").len(), 0);
}

#[tokio::test]
async fn whoever_leaves_answers_what_is_open() {
    let (server, _) = asking(1, 202).await;
    let backend = backend(&server, |_| {});
    let mut call = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    asked(&mut call).await;
    drop(call);
    server.until("notifications/cancelled", 1).await;
    server.until("", 1).await;
    assert_eq!(responses(&server, "error")[0]["id"], "q0");
}

#[tokio::test]
async fn roots_are_told_on_the_stream_of_changes() {
    let sessions = AtomicU64::new(0);
    let server = Server::start(move |request| match request.verb() {
        "GET" => event_stream(
            "data: {\"jsonrpc\":\"2.0\",\"id\":\"r\",\"method\":\"roots/list\"}\n\n\
             data: {\"jsonrpc\":\"2.0\",\"id\":\"e\",\"method\":\"elicitation/create\"}\n\n",
        ),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |spec| {
        spec.roots = vec![weir_config::Root { uri: "file:///srv".to_owned(), name: None }];
    });
    backend.inventory().await.unwrap();
    while responses(&server, "result").is_empty() || responses(&server, "error").is_empty() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(
        responses(&server, "result")[0]["result"],
        serde_json::json!({"roots": [{"uri": "file:///srv"}]})
    );
    assert_eq!(responses(&server, "error")[0]["error"]["code"], -32601);
}

#[tokio::test]
async fn sessions_without_a_client_session_end_when_idle() {
    let sessions = AtomicU64::new(0);
    let server = Server::start(move |request| legacy(request, &sessions)).await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    for capabilities in [C::FORM, C::ROOTS] {
        let mut call = begin(&backend, SessionKey::Shared, capabilities, "t", "{}").await.unwrap();
        finish(&mut call).await.unwrap();
    }
    assert_eq!((server.count("initialize"), server.count("DELETE")), (3, 0));
    tokio::time::pause();
    tokio::time::advance(session::IDLE + Duration::from_secs(1)).await;
    tokio::time::resume();
    server.until("DELETE", 2).await;
    let mut ended = server.ended();
    ended.sort();
    assert_eq!(ended, ["s2", "s3"], "weir's own stays");
}

/// A server of HTTP+SSE whose calls ask once their client's name, and end with the answer.
async fn old() -> (Server, Arc<sse::Streams>) {
    sse::start(|request, streams| match request.method() {
        "tools/call" => {
            let id = format!("q{}", request.id());
            if request.body["params"]["arguments"]["late"].is_null() {
                streams.say(request, &question(&id));
            }
            Some(refusal(202, ""))
        }
        "" if request.body["result"]["action"] == "accept" => {
            let id = request.id().trim_matches(['"', 'q']);
            streams.say(request, &format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":"done"}}}}"#));
            Some(refusal(202, ""))
        }
        "" if !request.body["result"].is_null() => Some(refusal(500, "")),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn calls_on_shared_streams_are_asked_apart() {
    let (server, _) = old().await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    let mut calls = Vec::new();
    for _ in 0..3 {
        let mut call = begin(&backend, SessionKey::Shared, C::FORM, "t", "{}").await.unwrap();
        let question = asked(&mut call).await;
        calls.push((call, question));
    }
    assert_eq!(server.count("GET"), 4, "one each, and weir's own");
    for (call, question) in &mut calls {
        reply(call, question, ANSWER);
        assert!(finish(call).await.unwrap().contains("done"));
    }
    drop(calls);
    let mut call = begin(&backend, SessionKey::Shared, C::FORM, "t", "{}").await.unwrap();
    let question = asked(&mut call).await;
    assert_eq!(server.count("GET"), 4, "they are used again");
    reply(&mut call, &question, r#"{"action":"none"}"#);
    let error = finish(&mut call).await.unwrap_err();
    assert!(matches!(error, BackendError::NotTaken(_)), "{error}");
}

#[tokio::test]
async fn a_stream_on_which_a_late_question_may_come_is_left() {
    for scope in [weir_config::SessionScope::Client, weir_config::SessionScope::Shared] {
        let (server, streams) = old().await;
        let backend = backend(&server, |spec| spec.session = scope);
        backend.inventory().await.unwrap();
        let mut call = begin(&backend, SessionKey::Shared, C::FORM, "t", "{}").await.unwrap();
        let first = asked(&mut call).await;
        reply(&mut call, &first, ANSWER);
        finish(&mut call).await.unwrap();
        drop(call);
        let late = begin(&backend, SessionKey::Shared, C::FORM, "t", r#"{"late":true}"#).await.unwrap();
        drop(late);
        server.until("notifications/cancelled", 1).await;
        let made = server.requests().into_iter().rfind(|request| request.method() == "tools/call").unwrap();
        let mut next = begin(&backend, SessionKey::Shared, C::FORM, "t", "{}").await.unwrap();
        streams.say(&made, &question("late"));
        let own = asked(&mut next).await;
        assert!(!String::from_utf8_lossy(&own.body).contains("late"));
        assert!(next.next().now_or_never().is_none());
        reply(&mut next, &own, ANSWER);
        finish(&mut next).await.unwrap();
        backend.close().await;
    }
}

#[tokio::test]
async fn one_stream_for_all_is_dealt_out() {
    let (server, _) = old().await;
    let backend = backend(&server, |spec| spec.session = weir_config::SessionScope::Shared);
    backend.inventory().await.unwrap();
    let mut first = begin(&backend, CLIENT, C::FORM, "t", "{}").await.unwrap();
    let question = asked(&mut first).await;
    let mut second = Box::pin(begin(&backend, SessionKey::Client(2), C::FORM, "t", "{}"));
    assert!(tokio::time::timeout(Duration::from_millis(50), &mut second).await.is_err());
    reply(&mut first, &question, ANSWER);
    finish(&mut first).await.unwrap();
    drop(first);
    let mut second = second.await.unwrap();
    let question = asked(&mut second).await;
    reply(&mut second, &question, ANSWER);
    finish(&mut second).await.unwrap();
    assert_eq!(server.count("GET"), 1);
}
