//! HTTP backends against servers whose every answer is scripted.

mod aside;
mod asking;
mod consents;
mod listen;
mod loss;
mod server;
mod sse;
mod tasks;

use super::*;
use crate::Event;
use crate::trial::{CLIENT, call, call_tool, retry};
use server::{Answer, Request, Server, error, event_stream, json, refusal};

fn backend(server: &Server, change: impl FnOnce(&mut weir_config::Backend)) -> Arc<dyn Backend> {
    let mut spec = weir_config::Backend::http("scripted", server.url.parse().unwrap());
    change(&mut spec);
    crate::connect_http(&spec, http_of(&spec), &grants(), &Handle::current()).unwrap()
}

fn grants() -> Arc<dyn crate::Grants> {
    Arc::new(crate::MemoryGrants::default())
}

fn http_of(spec: &weir_config::Backend) -> &weir_config::HttpBackend {
    match &spec.transport {
        weir_config::Transport::Http(http) => http,
        other => panic!("{other:?}"),
    }
}

fn names(items: &[weir_protocol::item::Item]) -> Vec<String> {
    items.iter().filter_map(|item| item.name()).collect()
}

fn result(request: &Request, result: &str) -> Answer {
    json(&format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, request.id()))
}

/// A modern server with tools.
fn modern(request: &Request) -> Answer {
    match request.method() {
        "server/discover" => {
            result(request, r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{}}}"#)
        }
        "tools/list" => result(request, r#"{"tools":[{"name":"t"}]}"#),
        "tools/call" => result(request, r#"{"resultType":"complete","content":[]}"#),
        _ => refusal(404, ""),
    }
}

/// A legacy server with tools; its sessions are counted.
fn legacy(request: &Request, sessions: &AtomicU64) -> Answer {
    match (request.verb(), request.method()) {
        ("POST", "initialize") => {
            let session = sessions.fetch_add(1, Ordering::SeqCst) + 1;
            let info = r#"{"protocolVersion":"2025-11-25","capabilities":{"tools":{}}}"#;
            result(request, info).with("mcp-session-id", &format!("s{session}"))
        }
        ("POST", "tools/list") => result(request, r#"{"tools":[{"name":"t"}]}"#),
        ("POST", "tools/call") => {
            let session = request.header("mcp-session-id").unwrap_or_default();
            result(request, &format!(r#"{{"content":[{{"type":"text","text":"{session}"}}]}}"#))
        }
        ("POST", "server/discover") => refusal(400, "what is this?"),
        ("POST", _) => refusal(202, ""),
        ("DELETE", _) => refusal(204, ""),
        _ => refusal(405, ""),
    }
}

#[tokio::test]
async fn one_failed_detection_answers_all_who_wait() {
    let server = Server::start(|_| Answer::silence()).await;
    let backend = backend(&server, |spec| spec.timeouts.list = Duration::from_millis(300));
    let calls = (0..20).map(|_| call(&backend, CLIENT));
    for answer in futures_util::future::join_all(calls).await {
        assert!(matches!(answer, Err(BackendError::Timeout { .. })), "{answer:?}");
    }
    assert!(call(&backend, CLIENT).await.is_err(), "answered from memory");
    assert_eq!(server.count("server/discover"), 1);
}

#[tokio::test]
async fn what_a_modern_server_asked_for_goes_to_no_legacy_one() {
    let server = Server::start(modern).await;
    retry(&backend(&server, |_| {}), CLIENT).await.unwrap();
    let sessions = AtomicU64::new(0);
    let server = Server::start(move |request| legacy(request, &sessions)).await;
    assert_eq!(retry(&backend(&server, |_| {}), CLIENT).await, Err(BackendError::Replaced));
    assert_eq!(server.count("tools/call"), 0);
}

#[tokio::test]
async fn the_era_stays_until_something_speaks_against_it() {
    let status = Arc::new(AtomicU64::new(200));
    let own = status.clone();
    let server = Server::start(move |request| match own.load(Ordering::SeqCst) {
        failing @ 400.. if request.method() == "tools/list" => refusal(failing as u16, ""),
        _ => modern(request),
    })
    .await;
    let backend = backend(&server, |_| {});
    assert_eq!(names(&backend.inventory().await.unwrap().tools), ["t"]);
    status.store(503, Ordering::SeqCst);
    assert!(backend.inventory().await.is_err());
    call(&backend, CLIENT).await.unwrap();
    assert_eq!(server.count("server/discover"), 1, "calls go on in the era that is known");
    assert!(backend.inventory().await.is_err());
    assert_eq!(server.count("server/discover"), 2, "the next inventory looks again");
    status.store(404, Ordering::SeqCst);
    assert!(backend.inventory().await.is_err());
    call(&backend, CLIENT).await.unwrap();
    assert_eq!(server.count("server/discover"), 4);
}

#[tokio::test]
async fn failed_inventories_open_no_sessions() {
    let sessions = AtomicU64::new(0);
    let server = Server::start(move |request| match request.method() {
        "tools/list" => refusal(503, ""),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |_| {});
    for _ in 0..4 {
        assert_eq!(backend.inventory().await.unwrap_err(), BackendError::Refused { status: 503 });
    }
    assert_eq!(server.count("initialize"), 1);
    backend.close().await;
    assert_eq!(server.ended(), ["s1"]);
}

#[tokio::test]
async fn a_server_that_begins_to_keep_sessions_gets_them() {
    for text in ["Bad Request: Mcp-Session-Id header is required", r#"{"error":"Missing session ID"}"#] {
        let sessions = Arc::new(AtomicU64::new(0));
        let stateless = Arc::new(AtomicBool::new(true));
        let own = stateless.clone();
        let server = Server::start(move |request| {
            let without = own.load(Ordering::SeqCst);
            match request.method() {
                "initialize" if without => legacy(request, &sessions).without("mcp-session-id"),
                "tools/call" if !without && request.header("mcp-session-id").is_none() => refusal(400, text),
                _ => legacy(request, &sessions),
            }
        })
        .await;
        let backend = backend(&server, |_| {});
        assert!(call(&backend, CLIENT).await.unwrap().contains(r#""text":"""#));
        stateless.store(false, Ordering::SeqCst);
        assert!(call_tool(&backend, CLIENT, true).await.unwrap().contains(r#""text":"s"#));
    }
}

#[tokio::test]
async fn a_client_that_leaves_during_the_handshake_leaves_no_session() {
    let sessions = AtomicU64::new(0);
    let gate = Arc::new(Semaphore::new(1));
    let own = gate.clone();
    let server = Server::start(move |request| match request.method() {
        "initialize" => legacy(request, &sessions).held(&own),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |_| {});
    // The first handshake belongs to the detection.
    backend.inventory().await.unwrap();
    let waiting = tokio::spawn({
        let backend = backend.clone();
        async move { call(&backend, CLIENT).await }
    });
    server.until("initialize", 2).await;
    waiting.abort();
    backend.end_session(CLIENT);
    gate.add_permits(1);
    server.until("DELETE", 1).await;
    assert_eq!(server.ended(), ["s2"]);
    assert_eq!(call(&backend, CLIENT).await, Err(BackendError::SessionEnded));

    gate.add_permits(10);
    call(&backend, SessionKey::Client(2)).await.unwrap();
    backend.close().await;
    let mut ended = server.ended();
    ended.sort();
    assert_eq!(ended, ["s1", "s2", "s3"]);
    assert_eq!(call(&backend, SessionKey::Client(3)).await, Err(BackendError::Stopping));
    assert!(backend.inventory().await.is_err());
    assert_eq!(server.count("initialize"), 3);
}

#[tokio::test]
async fn sessions_end_a_few_at_a_time() {
    const SESSIONS: usize = 40;
    let sessions = AtomicU64::new(0);
    let gate = Arc::new(Semaphore::new(0));
    let own = gate.clone();
    let server = Server::start(move |request| match request.verb() {
        "DELETE" => legacy(request, &sessions).held(&own),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |_| {});
    let keys = || (0..SESSIONS).map(|number| SessionKey::Client(number as u128));
    for answer in futures_util::future::join_all(keys().map(|key| call(&backend, key))).await {
        answer.unwrap();
    }
    keys().for_each(|key| backend.end_session(key));
    server.until("DELETE", session::ENDINGS).await;
    gate.add_permits(SESSIONS);
    server.until("DELETE", SESSIONS).await;
    assert_eq!(server.most_endings(), session::ENDINGS);
}

#[tokio::test]
async fn a_stream_that_ends_at_once_is_one_reason_to_list() {
    let sessions = AtomicU64::new(0);
    let server = Server::start(move |request| match request.verb() {
        "GET" => event_stream(""),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |_| {});
    let changes = backend.changes();
    backend.inventory().await.unwrap();
    server.until("GET", 3).await;
    assert_eq!(changes.borrow().reasons, 1);
}

#[tokio::test]
async fn a_stream_that_does_not_begin_is_asked_for_again() {
    let sessions = AtomicU64::new(0);
    let server = Server::start(move |request| match request.verb() {
        "GET" => Answer::silence(),
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |spec| spec.timeouts.list = Duration::from_millis(300));
    backend.inventory().await.unwrap();
    server.until("GET", 2).await;
}

#[tokio::test]
async fn a_closed_stream_is_taken_up_where_it_ended() {
    let sessions = AtomicU64::new(0);
    let asked = Arc::new(Mutex::new(None));
    let own = asked.clone();
    let server = Server::start(move |request| match (request.verb(), request.method()) {
        ("POST", "tools/call") => {
            *own.lock() = Some(request.id().to_owned());
            event_stream("id: e1\nretry: 1\ndata:\n\n")
        }
        ("GET", _) => match (request.header("last-event-id"), &*own.lock()) {
            (Some("e1"), _) => event_stream("id: e2\ndata:\n\n"),
            (Some("e2"), Some(id)) => event_stream(&format!(
                "id: e3\ndata: {{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{\"content\":\"late\"}}}}\n\n"
            )),
            _ => refusal(405, ""),
        },
        _ => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |_| {});
    assert!(call(&backend, CLIENT).await.unwrap().contains("late"));
    let resumed = server.requests().into_iter().filter(|request| request.verb() == "GET");
    for request in resumed {
        assert_eq!(request.header("mcp-session-id"), Some("s2"), "in the session of the call");
    }
    assert_eq!(server.count("notifications/cancelled"), 0);
}

#[tokio::test]
async fn a_stream_without_event_ids_is_lost_when_it_ends() {
    let sessions = AtomicU64::new(0);
    let server = Server::start(move |request| match request.method() {
        "tools/call" => event_stream("data:\n\n"),
        _ => legacy(request, &sessions),
    })
    .await;
    let error = call(&backend(&server, |_| {}), CLIENT).await.unwrap_err();
    assert_eq!(error, BackendError::gone("it closed the event stream"));
    let resumed = server.requests().into_iter().filter(|request| request.header("last-event-id").is_some());
    assert_eq!(resumed.count(), 0);
}

#[tokio::test]
async fn a_connection_outlives_an_event_stream() {
    let server = Server::start(move |request| match request.method() {
        "tools/call" => event_stream(&format!(
            "data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"content\":[]}}}}\n\n",
            request.id()
        )),
        _ => modern(request),
    })
    .await;
    let backend = backend(&server, |_| {});
    for _ in 0..5 {
        call(&backend, CLIENT).await.unwrap();
    }
    let connections: std::collections::HashSet<_> = server
        .requests()
        .iter()
        .filter(|request| request.method() == "tools/call")
        .map(|r| r.connection)
        .collect();
    assert_eq!(connections.len(), 1);
}

#[tokio::test]
async fn a_connection_outlives_an_event_stream_that_ends_late() {
    let gate = Arc::new(Semaphore::new(0));
    let own = gate.clone();
    let server = Server::start(move |request| match request.method() {
        "tools/call" => event_stream(&format!(
            "data: {{\"jsonrpc\":\"2.0\",\"id\":{},\"result\":{{\"content\":[]}}}}\n\n",
            request.id()
        ))
        .ending(&own),
        _ => modern(request),
    })
    .await;
    let backend = backend(&server, |_| {});
    let mut used = std::collections::HashSet::new();
    // The first call of all may use the connection of the detection.
    call(&backend, CLIENT).await.unwrap();
    gate.add_permits(1000);
    for _ in 0..100 {
        call(&backend, CLIENT).await.unwrap();
        if !used.insert(server.requests().last().unwrap().connection) {
            return;
        }
    }
    panic!("no connection was used again");
}

#[tokio::test]
async fn an_old_legacy_verdict_is_looked_at_again() {
    let (sessions, is_modern) = (AtomicU64::new(0), Arc::new(AtomicBool::new(false)));
    let own = is_modern.clone();
    let server = Server::start(move |request| match own.load(Ordering::SeqCst) {
        true => modern(request),
        false => legacy(request, &sessions),
    })
    .await;
    let backend = backend(&server, |_| {});
    let era = async || backend.inventory().await.unwrap().features.revision.era();
    assert_eq!(era().await, Era::Legacy);
    is_modern.store(true, Ordering::SeqCst);
    assert_eq!(era().await, Era::Legacy, "it answers the lists in this era too");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(300)).await;
    tokio::time::resume();
    assert_eq!(era().await, Era::Modern);
    call(&backend, CLIENT).await.unwrap();
}

#[tokio::test]
async fn what_is_broken_in_a_list_stays_there() {
    let round = Arc::new(AtomicU64::new(0));
    let own = round.clone();
    let server = Server::start(move |request| {
        let round = own.load(Ordering::SeqCst);
        let error = r#"{"code":-32603,"message":"out of order"}"#;
        let failed = || json(&format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, request.id()));
        match (request.method(), round) {
            ("server/discover", _) => result(
                request,
                r#"{"supportedVersions":["2026-07-28"],"capabilities":{"tools":{},"prompts":{}}}"#,
            ),
            ("tools/list", 0) => {
                result(request, r#"{"tools":[7,{"name":"a"},{"name":"b","name":"c"},{"name":"d"}]}"#)
            }
            ("prompts/list", 0 | 1) => failed(),
            ("prompts/list", _) => result(request, r#"{"prompts":[{"name":"p"}]}"#),
            _ => failed(),
        }
    })
    .await;
    let backend = backend(&server, |_| {});
    let inventory = backend.inventory().await.unwrap();
    assert_eq!((names(&inventory.tools), inventory.prompts.len()), (vec!["a".into(), "d".into()], 0));
    round.store(1, Ordering::SeqCst);
    let error = backend.inventory().await.unwrap_err();
    assert!(matches!(error, BackendError::Answered { code: -32603, .. }), "{error}");
    round.store(2, Ordering::SeqCst);
    let inventory = backend.inventory().await.unwrap();
    assert_eq!((names(&inventory.tools).len(), names(&inventory.prompts)), (2, vec!["p".to_owned()]));
}

#[tokio::test]
async fn callers_learn_no_addresses() {
    let spec = weir_config::Backend::http("nobody", "http://127.0.0.1:1/mcp".parse().unwrap());
    let backend = crate::connect_http(&spec, http_of(&spec), &grants(), &Handle::current()).unwrap();
    let error = call(&backend, CLIENT).await.unwrap_err();
    assert_eq!(error.to_string(), "cannot be reached: no connection could be opened");
    assert!(error.detail().unwrap().contains("refused"), "{error:?}");
    assert!(error.explained().contains("refused"));
}
