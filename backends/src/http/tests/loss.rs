//! Lost sessions, and what only looks like one.

use super::server::broken;
use super::*;
use std::collections::VecDeque;

/// A legacy server whose calls are answered by `script`, one after the other, and then as ever.
async fn server(script: Vec<fn(&Request) -> Answer>) -> Server {
    let sessions = AtomicU64::new(0);
    let script = Mutex::new(VecDeque::from(script));
    Server::start(move |request| match request.method() {
        "tools/call" => match script.lock().pop_front() {
            Some(answer) => answer(request),
            None => legacy(request, &sessions),
        },
        _ => legacy(request, &sessions),
    })
    .await
}

fn refused(request: &Request) -> Answer {
    error(request, 400, -32000, "Bad Request: No valid session ID provided")
}

fn unknown(_: &Request) -> Answer {
    refusal(404, "gone")
}

#[tokio::test]
async fn an_error_that_speaks_of_a_session_is_an_answer() {
    let words = "payment done, but the database session expired";
    for answer in [
        (|request| error(request, 400, -32000, "payment done, but the database session expired"))
            as fn(&_) -> _,
        |request| error(request, 404, -32602, "payment done, but the database session expired"),
    ] {
        let server = server(vec![answer]).await;
        let backend = backend(&server, |spec| spec.session = SessionScope::Shared);
        backend.inventory().await.unwrap();
        assert!(call(&backend, CLIENT).await.unwrap().contains(words));
        assert!(call(&backend, SessionKey::Client(2)).await.unwrap().contains(r#""text":"s1""#));
        assert_eq!((server.count("tools/call"), server.count("initialize")), (2, 1));
        assert_eq!((server.count("server/discover"), server.count("DELETE")), (1, 0));
    }
}

#[tokio::test]
async fn a_call_with_effects_is_not_repeated_on_a_guess() {
    let server = server(vec![refused]).await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    let answer = call(&backend, CLIENT).await.unwrap();
    assert!(answer.contains("No valid session ID provided"), "the server's own words: {answer}");
    assert_eq!(server.count("tools/call"), 1);
    assert!(call(&backend, CLIENT).await.unwrap().contains(r#""text":"s3""#));
    server.until("DELETE", 1).await;
    assert_eq!(server.ended(), ["s2"], "it may still live");
    assert_eq!(server.count("server/discover"), 1, "calls keep to the era");
}

#[tokio::test]
async fn a_session_in_use_outlives_the_guess_that_it_is_lost() {
    let (sessions, calls) = (AtomicU64::new(0), AtomicU64::new(0));
    let gate = Arc::new(Semaphore::new(0));
    let own = gate.clone();
    let server = Server::start(move |request| match request.method() {
        "tools/call" => match calls.fetch_add(1, Ordering::SeqCst) {
            0 => legacy(request, &sessions).held(&own),
            1 => refused(request),
            _ => legacy(request, &sessions),
        },
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |spec| spec.session = SessionScope::Shared);
    let slow = tokio::spawn({
        let backend = backend.clone();
        async move { call(&backend, CLIENT).await }
    });
    server.until("tools/call", 1).await;
    call(&backend, SessionKey::Client(2)).await.unwrap();
    assert!(call(&backend, SessionKey::Client(3)).await.unwrap().contains(r#""text":"s2""#));
    assert_eq!(server.count("DELETE"), 0, "a call runs in it");
    gate.add_permits(1);
    assert!(slow.await.unwrap().unwrap().contains(r#""text":"s1""#));
    server.until("DELETE", 1).await;
    assert_eq!(server.ended(), ["s1"]);
}

#[tokio::test]
async fn a_repeatable_call_is_sent_again() {
    let server = server(vec![refused]).await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    assert!(call_tool(&backend, CLIENT, true).await.unwrap().contains(r#""text":"s3""#));
}

#[tokio::test]
async fn an_unknown_session_is_replaced_for_any_call() {
    let server = server(vec![unknown]).await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    assert!(call(&backend, CLIENT).await.unwrap().contains(r#""text":"s3""#));
    assert_eq!(server.count("DELETE"), 0, "there is nothing to end");
}

#[tokio::test]
async fn each_loss_is_made_good_once() {
    fn cut(_: &Request) -> Answer {
        broken(json("{").with("x", "y"))
    }
    let server = server(vec![cut, unknown, cut, unknown, unknown]).await;
    let backend = backend(&server, |_| {});
    backend.inventory().await.unwrap();
    let answer = call_tool(&backend, CLIENT, true).await;
    assert!(matches!(answer, Err(BackendError::Gone(_))), "the connection broke twice: {answer:?}");
    assert_eq!(server.count("tools/call"), 3);
    assert_eq!(call_tool(&backend, CLIENT, true).await, Err(BackendError::SessionLost));
    assert_eq!((server.count("tools/call"), server.count("server/discover")), (5, 1));
    backend.inventory().await.unwrap();
    assert_eq!(
        server.count("server/discover"),
        2,
        "a new session was unknown, so the server is looked at again"
    );
    assert!(!server.ended().contains(&"s1".to_owned()), "the shared session is nobody's to end");
}

#[tokio::test]
async fn a_failed_handshake_leaves_no_session() {
    for answer in [
        (|request| result(request, r#"{"protocolVersion":"1999-01-01","capabilities":{}}"#)) as fn(&_) -> _,
        |_| broken(json("{")),
        |_| json("{}"),
        |_| event_stream(""),
    ] {
        let server = Server::start(move |request| match (request.verb(), request.method()) {
            ("POST", "initialize") => answer(request).with("mcp-session-id", "s1"),
            ("DELETE", _) => refusal(204, ""),
            _ => refusal(400, ""),
        })
        .await;
        let backend = backend(&server, |_| {});
        assert!(call(&backend, CLIENT).await.is_err());
        server.until("DELETE", 1).await;
        assert_eq!(server.ended(), ["s1"]);
    }
}

#[tokio::test]
async fn a_late_handshake_leaves_no_session() {
    let gate = Arc::new(Semaphore::new(0));
    let server = Server::start(move |request| match (request.verb(), request.method()) {
        ("POST", "initialize") => json("{").with("mcp-session-id", "s1").ending(&gate),
        ("DELETE", _) => refusal(204, ""),
        _ => refusal(400, ""),
    })
    .await;
    let backend = backend(&server, |spec| spec.timeouts.list = Duration::from_millis(300));
    let error = call(&backend, CLIENT).await.unwrap_err();
    assert!(matches!(error, BackendError::Timeout { what: "initialize", .. }), "{error}");
    server.until("DELETE", 1).await;
}

#[tokio::test]
async fn a_list_that_fails_hides_no_other() {
    for answer in [
        (|_| refusal(500, "")) as fn(&Request) -> Answer,
        |_| Answer::silence(),
        |request| error(request, 404, -32601, "Method not found"),
    ] {
        let sessions = AtomicU64::new(0);
        let server = Server::start(move |request| match request.method() {
            "initialize" => {
                let info = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{},"prompts":{}}}"#;
                result(request, info).with("mcp-session-id", "s1")
            }
            "tools/list" => answer(request),
            "prompts/list" => result(request, r#"{"prompts":[{"name":"p"}]}"#),
            _ => legacy(request, &sessions),
        })
        .await;
        let backend = backend(&server, |spec| spec.timeouts.list = Duration::from_millis(300));
        let inventory = backend.inventory().await.unwrap();
        assert_eq!((inventory.tools.len(), names(&inventory.prompts)), (0, vec!["p".to_owned()]));
        assert_eq!((server.count("initialize"), server.count("tools/list")), (1, 1));
    }
}

#[tokio::test]
async fn a_stream_of_changes_must_begin_in_time() {
    let server = Server::start(|request| match request.method() {
        "subscriptions/listen" => Answer::silence(),
        _ => modern(request),
    })
    .await;
    let backend = backend(&server, |spec| spec.timeouts.list = Duration::from_millis(200));
    backend.inventory().await.unwrap();
    server.until("subscriptions/listen", 2).await;
}

#[tokio::test]
async fn a_call_outlives_the_doubt_about_its_server() {
    let (sessions, gate) = (AtomicU64::new(0), Arc::new(Semaphore::new(0)));
    let own = gate.clone();
    let server = Server::start(move |request| match request.method() {
        "tools/call" => legacy(request, &sessions).held(&own),
        "tools/list" => refusal(400, "out of order"),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |spec| spec.session = SessionScope::Shared);
    let slow = tokio::spawn({
        let backend = backend.clone();
        async move { call(&backend, CLIENT).await }
    });
    server.until("tools/call", 1).await;
    assert_eq!(backend.inventory().await.unwrap_err(), BackendError::Refused { status: 400 });
    assert!(backend.inventory().await.is_err());
    assert_eq!(server.count("initialize"), 2, "the doubted session serves nothing new");
    server.until("DELETE", 1).await;
    assert_eq!(server.ended(), ["s2"], "a call runs in the other");
    gate.add_permits(1);
    assert!(slow.await.unwrap().unwrap().contains(r#""text":"s1""#));
    server.until("DELETE", 2).await;
    assert_eq!(server.ended(), ["s2", "s1"]);
}

#[tokio::test]
async fn broken_lists_cost_no_session() {
    let sessions = AtomicU64::new(0);
    let server = Server::start(move |request| match request.method() {
        "tools/list" => result(request, r#"{"tools":7}"#),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |spec| spec.session = SessionScope::Shared);
    for _ in 0..3 {
        assert!(matches!(backend.inventory().await, Err(BackendError::Protocol(_))));
        assert!(call(&backend, CLIENT).await.unwrap().contains(r#""text":"s1""#));
    }
    assert_eq!((server.count("initialize"), server.count("DELETE")), (1, 0));
}
