//! Servers of the transport of 2024-11-05, and servers that begin or cease to be such.

use super::server::{Request, live_stream};
use super::*;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

/// What a script may do on a server's streams.
#[derive(Debug, Default)]
pub(super) struct Streams(Mutex<Vec<Option<UnboundedSender<String>>>>);

impl Streams {
    /// Opens another stream whose first event names `endpoint`, to which the stream's number is added.
    pub(super) fn open(&self, endpoint: &str) -> Answer {
        let (sender, feed) = unbounded_channel();
        let mut streams = self.0.lock();
        let _ = sender.send(format!("event: endpoint\ndata: {endpoint}?stream={}\n\n", streams.len()));
        streams.push(Some(sender));
        live_stream(feed)
    }

    /// Writes an event on the stream that `request` names.
    pub(super) fn say(&self, request: &Request, message: &str) {
        let number: usize = request.target().split_once("stream=").unwrap().1.parse().unwrap();
        if let Some(Some(stream)) = self.0.lock().get(number) {
            let _ = stream.send(format!("event: message\ndata: {message}\n\n"));
        }
    }

    pub(super) fn result(&self, request: &Request, result: &str) -> Answer {
        self.say(request, &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, request.id()));
        refusal(202, "Accepted")
    }

    fn close_all(&self) {
        self.0.lock().iter_mut().for_each(|stream| drop(stream.take()));
    }
}

/// A server with tools; each call tells its stream.
fn old(request: &Request, streams: &Streams) -> Answer {
    match (request.verb(), request.method()) {
        ("GET", _) if request.target() == "/mcp" => streams.open("/message"),
        ("POST", _) if request.target() == "/mcp" => refusal(405, ""),
        ("POST", "initialize") => {
            streams.result(request, r#"{"protocolVersion":"2024-11-05","capabilities":{"tools":{}}}"#)
        }
        ("POST", "tools/list") => streams.result(request, r#"{"tools":[{"name":"t"}]}"#),
        ("POST", "tools/call") => {
            let text = format!(r#"{{"content":[{{"type":"text","text":"{}"}}]}}"#, request.target());
            streams.result(request, &text)
        }
        ("POST", _) => refusal(202, ""),
        _ => refusal(405, ""),
    }
}

/// A server of this transport that answers with `script` before it answers as [`old`] does.
pub(super) async fn start(
    script: impl Fn(&Request, &Streams) -> Option<Answer> + Send + Sync + 'static,
) -> (Server, Arc<Streams>) {
    let streams = Arc::new(Streams::default());
    let own = streams.clone();
    let server =
        Server::start(move |request| script(request, &own).unwrap_or_else(|| old(request, &own))).await;
    (server, streams)
}

#[tokio::test]
async fn each_client_session_has_a_stream_of_its_own() {
    for era in [weir_config::EraSetting::Auto, weir_config::EraSetting::Legacy] {
        let (server, _) = start(|_, _| None).await;
        let backend = backend(&server, |spec| spec.era = era);
        let inventory = backend.inventory().await.unwrap();
        assert_eq!(names(&inventory.tools), ["t"]);
        assert_eq!(inventory.features.transport, Transport::Sse);
        assert_eq!(inventory.features.revision.as_str(), "2024-11-05");
        for _ in 0..2 {
            assert!(call(&backend, SessionKey::Shared).await.unwrap().contains("/message?stream=1"));
            assert!(call(&backend, CLIENT).await.unwrap().contains("/message?stream=2"));
        }
        assert_eq!((server.count("GET"), server.count("initialize")), (3, 4), "one of them was refused");
        assert_eq!(server.count("notifications/initialized"), 3);
        backend.end_session(CLIENT);
        server.until("CLOSED", 1).await;
        assert_eq!(call(&backend, CLIENT).await, Err(BackendError::SessionEnded));
        backend.close().await;
        server.until("CLOSED", 3).await;
        assert_eq!(server.count("DELETE"), 0);
    }
}

#[tokio::test]
async fn only_the_server_itself_is_posted_to() {
    let elsewhere = Server::start(modern).await;
    let target = elsewhere.url.clone();
    let (server, _) =
        start(move |request, streams| (request.verb() == "GET").then(|| streams.open(&target))).await;
    let backend = backend(&server, |_| {});
    let error = backend.inventory().await.unwrap_err();
    assert!(error.to_string().contains("names another server"), "{error}");
    assert!(elsewhere.requests().is_empty());
}

#[tokio::test]
async fn an_answer_in_the_response_is_one_too() {
    let (server, _) = start(|request, _| {
        (request.method() == "tools/call").then(|| result(request, r#"{"content":["in the response"]}"#))
    })
    .await;
    let backend = backend(&server, |_| {});
    assert!(call(&backend, CLIENT).await.unwrap().contains("in the response"));
}

#[tokio::test]
async fn a_lost_stream_fails_its_calls_and_no_others() {
    let (server, streams) = start(|request, streams| match request.method() {
        // The first call is never answered.
        "tools/call" if request.target().ends_with("=1") && streams.0.lock().len() == 2 => {
            Some(refusal(202, ""))
        }
        _ => None,
    })
    .await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    let mut changes = backend.changes();
    let (failed, ()) = tokio::join!(call(&backend, CLIENT), async {
        server.until("tools/call", 1).await;
        streams.close_all();
    });
    assert_eq!(failed, Err(BackendError::gone("it closed the event stream")));
    assert!(call(&backend, CLIENT).await.unwrap().contains("stream="), "another stream is opened");
    assert_eq!(server.count("notifications/cancelled"), 0, "there is nobody to tell");
    changes.changed().await.unwrap();
    assert_eq!(names(&backend.inventory().await.unwrap().tools), ["t"]);
}

#[tokio::test]
async fn a_session_that_the_server_lost_is_opened_again() {
    let lost = AtomicBool::new(false);
    let (server, _) = start(move |request, _| {
        (request.method() == "tools/call" && !lost.swap(true, Ordering::SeqCst)).then(|| refusal(404, "gone"))
    })
    .await;
    let backend = backend(&server, |_| {});
    assert!(call(&backend, CLIENT).await.unwrap().contains("stream=2"));
    server.until("CLOSED", 1).await;
}

#[tokio::test]
async fn calls_are_cancelled_and_requests_of_the_server_answered() {
    let (server, _) = start(|request, streams| {
        (request.method() == "tools/call").then(|| {
            streams.say(request, r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#);
            streams.say(request, r#"{"jsonrpc":"2.0","id":"r","method":"roots/list"}"#);
            streams.say(request, "no message");
            streams.say(request, r#"{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#);
            refusal(202, "")
        })
    })
    .await;
    let backend = backend(&server, |_| {});
    let mut changes = backend.changes();
    tokio::select! {
        answer = call(&backend, CLIENT) => panic!("{answer:?}"),
        changed = async {
            changes.wait_for(|changes| changes.tools == 1).await.map(drop)?;
            // Both answers have neither a method.
            server.until("", 3).await;
            Ok::<_, watch::error::RecvError>(())
        } => changed.unwrap(),
    }
    server.until("notifications/cancelled", 1).await;
    let answers = server.requests().into_iter().filter(|request| request.is("") && request.verb() == "POST");
    let mut ids: Vec<String> = answers.map(|request| request.id().to_owned()).collect();
    ids.sort();
    assert_eq!(ids, ["\"p\"", "\"r\""]);
}

#[tokio::test]
async fn a_server_that_becomes_a_modern_one_is_spoken_to_as_such() {
    let is_modern = Arc::new(AtomicBool::new(false));
    let own = is_modern.clone();
    let (server, streams) = start(move |request, _| {
        (own.load(Ordering::SeqCst) && request.target() == "/mcp").then(|| modern(request))
    })
    .await;
    let backend = backend(&server, |_| {});
    assert_eq!(backend.inventory().await.unwrap().features.transport, Transport::Sse);
    is_modern.store(true, Ordering::SeqCst);
    streams.close_all();
    assert!(backend.inventory().await.is_err(), "its stream is gone and cannot be opened again");
    assert_eq!(backend.inventory().await.unwrap().features.revision.era(), Era::Modern);
    call(&backend, CLIENT).await.unwrap();
}

#[tokio::test]
async fn an_old_verdict_is_tried_again() {
    let is_modern = Arc::new(AtomicBool::new(false));
    let own = is_modern.clone();
    let (server, _) = start(move |request, _| {
        (own.load(Ordering::SeqCst) && request.target() == "/mcp").then(|| modern(request))
    })
    .await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    is_modern.store(true, Ordering::SeqCst);
    assert_eq!(backend.inventory().await.unwrap().features.transport, Transport::Sse, "kept for a while");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(300)).await;
    tokio::time::resume();
    let features = backend.inventory().await.unwrap().features;
    assert_eq!((features.transport, features.revision.era()), (Transport::Http, Era::Modern));
    server.until("CLOSED", 1).await;
}

#[tokio::test]
async fn what_is_no_such_server_is_called_what_it_is() {
    for (answer, error) in [
        (refusal as fn(u16, &str) -> Answer, BackendError::Refused { status: 405 }),
        (|_, _| event_stream("data: x\n\n"), BackendError::Refused { status: 405 }),
    ] {
        let server = Server::start(move |request| match request.verb() {
            "GET" => answer(404, ""),
            _ => refusal(405, ""),
        })
        .await;
        let backend = backend(&server, |_| {});
        assert_eq!(backend.inventory().await.unwrap_err(), error);
    }
}

#[tokio::test]
async fn messages_are_bounded() {
    let (server, _) = start(|request, streams| {
        (request.method() == "tools/call")
            .then(|| streams.result(request, &format!("\"{}\"", "x".repeat(5000))))
    })
    .await;
    let backend = backend(&server, |spec| spec.limits.message = 4096);
    backend.inventory().await.unwrap();
    for _ in 0..2 {
        assert_eq!(call(&backend, CLIENT).await, Err(BackendError::TooLarge { limit: 4096 }));
    }
    assert_eq!((server.count("GET"), server.count("CLOSED")), (2, 0), "the streams go on");
}

#[tokio::test]
async fn a_broken_answer_fails_its_call_at_once() {
    let (server, _) = start(|request, streams| {
        (request.method() == "tools/call").then(|| streams.result(request, r#"{"content":["#))
    })
    .await;
    let backend = backend(&server, |_| {});
    let error = call(&backend, CLIENT).await.unwrap_err();
    assert!(matches!(error, BackendError::Protocol(_)), "{error}");
    assert_eq!(server.count("CLOSED"), 0, "the stream goes on");
}

#[tokio::test]
async fn the_streams_of_client_sessions_are_bounded() {
    let (server, _) = start(|_, _| None).await;
    let backend = backend(&server, |spec| spec.limits.calls = 1);
    backend.inventory().await.unwrap();
    call(&backend, CLIENT).await.unwrap();
    let busy = call(&backend, SessionKey::Client(2)).await.unwrap_err();
    assert_eq!(busy.to_string(), "is busy: 1 event streams serve other sessions, try again later");
    call(&backend, SessionKey::Shared).await.unwrap();
    assert_eq!(server.count("GET"), 3);
    backend.end_session(CLIENT);
    server.until("CLOSED", 1).await;
    call(&backend, SessionKey::Client(2)).await.unwrap();
}
