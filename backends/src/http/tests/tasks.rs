//! Tasks of 2025-11-25 at servers whose every answer is scripted.

use super::asking::ANSWER;
use super::server::{Request, broken, live_stream};
use super::*;
use crate::trial::{about_task, asked, begin, begin_task, finish, reply};
use crate::{Exchange, Outcome};
use std::collections::HashMap;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use weir_protocol::{ClientCapabilities as C, Method};

const GATEWAY: Augment = Augment::Gateway(Duration::from_secs(60));
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// The streams of a server that are open, by the id of their call; that of the session is `GET`.
#[derive(Debug, Default)]
struct Streams(Mutex<HashMap<String, UnboundedSender<String>>>);

impl Streams {
    fn open(&self, whose: &str) -> Answer {
        let (sender, feed) = unbounded_channel();
        self.0.lock().insert(whose.to_owned(), sender);
        live_stream(feed)
    }

    fn say(&self, whose: &str, message: &str) {
        let _ = self.0.lock()[whose].send(format!("data: {message}\n\n"));
    }
}

/// A task of the id `t`.
fn task(status: &str) -> String {
    format!(r#"{{"taskId":"t","status":"{status}","ttl":null,"pollInterval":50}}"#)
}

fn made(request: &Request) -> Answer {
    result(request, &format!(r#"{{"task":{}}}"#, task("working")))
}

fn done(request: &Request) -> Answer {
    result(request, r#"{"content":"done"}"#)
}

/// The answer of a legacy server that has tasks.
fn rest(request: &Request) -> Answer {
    match (request.verb(), request.method()) {
        ("POST", "initialize") => {
            let tasks = r#"{"cancel":{},"requests":{"tools":{"call":{}}}}"#;
            let capabilities = format!(r#"{{"tools":{{}},"tasks":{tasks}}}"#);
            let info = format!(r#"{{"protocolVersion":"2025-11-25","capabilities":{capabilities}}}"#);
            result(request, &info).with("mcp-session-id", "s")
        }
        ("POST", "tasks/cancel") => result(request, &task("cancelled")),
        _ => legacy(request, &AtomicU64::new(0)),
    }
}

/// A question, or another message, that names the task `t`.
fn of_task(head: &str, members: &str) -> String {
    let meta = format!(r#""_meta":{{"{RELATED}":{{"taskId":"t"}}}}"#);
    format!(r#"{{"jsonrpc":"2.0",{head},"params":{{{members},{meta}}}}}"#)
}

fn question(id: &str) -> String {
    let head = format!(r#""id":"{id}","method":"elicitation/create""#);
    of_task(&head, r#""message":"m","requestedSchema":{}"#)
}

fn answers(server: &Server) -> Vec<serde_json::Value> {
    let is_answer = |request: &Request| request.verb() == "POST" && request.method().is_empty();
    server.requests().into_iter().filter(is_answer).map(|request| request.body).collect()
}

async fn begun(backend: &Arc<dyn Backend>) -> Exchange {
    begin_task(backend, CLIENT, C::FORM, GATEWAY).await.unwrap()
}

#[tokio::test]
async fn a_question_that_fails_ends_no_task() {
    let (polls, fetches) = (AtomicU64::new(0), AtomicU64::new(0));
    let server = Server::start(move |request| match request.method() {
        "tools/call" => made(request),
        "tasks/get" => match polls.fetch_add(1, Ordering::SeqCst) {
            0 => broken(result(request, &task("working"))),
            1 => refusal(502, ""),
            2 => Answer::silence(),
            _ => result(request, &task("completed")),
        },
        "tasks/result" => match fetches.fetch_add(1, Ordering::SeqCst) {
            0 => broken(done(request)),
            1 => refusal(503, ""),
            _ => done(request),
        },
        _ => rest(request),
    })
    .await;
    let backend = backend(&server, |spec| spec.timeouts.list = Duration::from_millis(500));
    assert!(finish(&mut begun(&backend).await).await.unwrap().contains("done"));
    assert_eq!((server.count("tasks/result"), server.count("tasks/cancel")), (3, 0));
}

#[tokio::test]
async fn failed_questions_are_no_signs_of_life_and_an_error_is_the_end() {
    let server = Server::start(move |request| match request.method() {
        "tools/call" => made(request),
        "tasks/get" => refusal(502, ""),
        _ => rest(request),
    })
    .await;
    let backend = backend(&server, |spec| spec.timeouts.idle = Duration::from_millis(700));
    let silent = finish(&mut begun(&backend).await).await;
    assert!(matches!(silent, Err(BackendError::Timeout { what: "a sign of life", .. })), "{silent:?}");
    assert!(server.count("tasks/get") > 1);
    server.until("tasks/cancel", 1).await;

    let server = Server::start(move |request| match request.method() {
        "tools/call" => made(request),
        "tasks/get" => error(request, 200, -32603, "broken"),
        _ => rest(request),
    })
    .await;
    let backend = super::backend(&server, |_| {});
    let failed = finish(&mut begun(&backend).await).await;
    assert!(matches!(failed, Err(BackendError::Answered { code: -32603, .. })), "{failed:?}");
    assert_eq!(server.count("tasks/get"), 1);
}

#[tokio::test]
async fn what_a_client_asks_about_its_task_survives_a_lost_connection() {
    let polls = AtomicU64::new(0);
    let server = Server::start(move |request| match request.method() {
        "tools/call" => made(request),
        "tasks/get" if polls.fetch_add(1, Ordering::SeqCst) == 0 => broken(result(request, &task("working"))),
        "tasks/get" => result(request, &task("working")),
        _ => rest(request),
    })
    .await;
    let backend = backend(&server, |_| {});
    let mut call = begin_task(&backend, CLIENT, C::FORM, Augment::Client).await.unwrap();
    let home = match call.next().await.unwrap() {
        Event::Outcome(Outcome::Begun(_, home)) => home,
        other => panic!("{other:?}"),
    };
    assert!(about_task(&backend, Method::TasksGet, "t", home).await.unwrap().contains("working"));
    assert_eq!(server.count("tasks/get"), 2);
    let unknown = about_task(&backend, Method::TasksGet, "t", home + 1).await;
    assert_eq!(unknown, Err(BackendError::TaskGone));
}

#[tokio::test]
async fn what_names_a_task_goes_to_whoever_waits_for_it_on_whatever_stream_it_comes() {
    let (streams, ended) = (Arc::new(Streams::default()), Arc::new(AtomicBool::new(false)));
    let (own, over) = (streams.clone(), ended.clone());
    let server = Server::start(move |request| match (request.verb(), request.method()) {
        ("GET", _) => own.open("GET"),
        (_, "tools/call") if request.body["params"]["task"].is_null() => own.open("plain"),
        (_, "tools/call") => made(request),
        (_, "tasks/get") if over.load(Ordering::SeqCst) => result(request, &task("completed")),
        (_, "tasks/get") => result(request, &task("working")),
        (_, "tasks/result") => done(request),
        _ => rest(request),
    })
    .await;
    let backend = backend(&server, |_| {});
    // Two clients without sessions share one with the server.
    let mut owner = begin_task(&backend, SessionKey::Shared, C::FORM, GATEWAY).await.unwrap();
    let mut other = begin(&backend, SessionKey::Shared, C::FORM, "t", "{}").await.unwrap();
    let polled = server.until("tasks/get", 1);
    tokio::select! { () = polled => {}, event = owner.next() => panic!("{event:?}") }
    let log = of_task(r#""method":"notifications/message""#, r#""level":"info","data":"secret""#);
    streams.say("plain", &log);
    streams.say("plain", &question("q1"));
    streams.say("plain", &question("q2"));
    let end = r#"{"jsonrpc":"2.0","id":3,"result":{"content":"plain"}}"#;
    let number =
        server.requests().into_iter().rfind(|request| request.is("tools/call")).unwrap().id().to_owned();
    streams.say("plain", &end.replace('3', &number));
    match other.next().await.unwrap() {
        Event::Outcome(outcome) => assert!(outcome.message().body.ends_with(b"\"plain\"}}")),
        other => panic!("nothing of it is for this call, not {other:?}"),
    }
    assert!(matches!(owner.next().await.unwrap(), Event::Log(log) if log.related_task().is_none()));
    let question = asked(&mut owner).await;
    assert!(question.related_task().is_none(), "the client knows nothing of a task");
    reply(&mut owner, &question, ANSWER);
    // The answer names the task again, also where it has metadata of its own.
    let question = asked(&mut owner).await;
    reply(&mut owner, &question, r#"{"action":"decline","_meta":{"a":1}}"#);
    ended.store(true, Ordering::SeqCst);
    assert!(finish(&mut owner).await.unwrap().contains("done"));
    while answers(&server).len() < 2 {
        tokio::task::yield_now().await;
    }
    for answer in answers(&server) {
        assert_eq!(answer["result"]["_meta"][RELATED]["taskId"], "t", "{answer}");
    }
}

#[tokio::test]
async fn progress_and_questions_of_a_task_come_beside_it() {
    for streamed in [false, true] {
        let (streams, ended) = (Arc::new(Streams::default()), Arc::new(AtomicBool::new(false)));
        let (own, over) = (streams.clone(), ended.clone());
        let server = Server::start(move |request| match (request.verb(), request.method()) {
            ("GET", _) => own.open("GET"),
            (_, "tools/call") if streamed => {
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":{},"result":{{"task":{}}}}}"#,
                    request.id(),
                    task("working")
                );
                event_stream(&format!("data: {body}\n\n"))
            }
            (_, "tools/call") => made(request),
            (_, "tasks/get") if over.load(Ordering::SeqCst) => result(request, &task("completed")),
            (_, "tasks/get") => result(request, &task("working")),
            (_, "tasks/result") => done(request),
            _ => rest(request),
        })
        .await;
        let backend = backend(&server, |_| {});
        let mut call = begun(&backend).await;
        let polled = server.until("tasks/get", 1);
        tokio::select! { () = polled => {}, event = call.next() => panic!("{event:?}") }
        let number =
            server.requests().into_iter().find(|request| request.is("tools/call")).unwrap().id().to_owned();
        let progress = format!(r#""progressToken":{number},"progress":1"#);
        streams.say("GET", &of_task(r#""method":"notifications/progress""#, &progress));
        assert!(matches!(call.next().await.unwrap(), Event::Progress(_)), "{streamed}");
        // It asks before anybody asks for the result.
        streams.say("GET", &question("q"));
        let question = asked(&mut call).await;
        reply(&mut call, &question, ANSWER);
        ended.store(true, Ordering::SeqCst);
        assert!(finish(&mut call).await.unwrap().contains("done"));
    }
}

#[tokio::test]
async fn a_question_that_nobody_waits_for_any_more_does_not_hold_the_time() {
    let streams = Arc::new(Streams::default());
    let own = streams.clone();
    let server = Server::start(move |request| match (request.verb(), request.method()) {
        ("GET", _) => own.open("GET"),
        (_, "tools/call") => {
            let answer = own.open("call");
            let ask = r#"{"jsonrpc":"2.0","id":"q","method":"elicitation/create","params":{"message":"m","requestedSchema":{}}}"#;
            own.say("call", ask);
            let task = task("working");
            own.say("call", &format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{"task":{task}}}}}"#, request.id()));
            answer
        }
        (_, "tasks/get") => refusal(502, ""),
        _ => rest(request),
    })
    .await;
    let backend = backend(&server, |spec| spec.timeouts.idle = Duration::from_millis(500));
    let mut call = begun(&backend).await;
    let question = asked(&mut call).await;
    assert!(matches!(call.next().await.unwrap(), Event::Withdrawn(id) if id == "\"q\""));
    reply(&mut call, &question, ANSWER);
    let late = call.next().await;
    assert!(matches!(late, Err(BackendError::Timeout { .. })), "{late:?}");
    server.until("tasks/cancel", 1).await;
    assert!(answers(&server).iter().all(|answer| answer.get("error").is_some()));
}

#[tokio::test]
async fn a_task_lives_while_its_result_is_asked_for() {
    let gate = Arc::new(Semaphore::new(0));
    let open = gate.clone();
    let server = Server::start(move |request| match request.method() {
        "tools/call" => made(request),
        "tasks/get" => result(request, &task("input_required")),
        "tasks/result" => done(request).held(&gate),
        _ => rest(request),
    })
    .await;
    let backend = backend(&server, |spec| spec.timeouts.idle = Duration::from_millis(400));
    let mut call = begun(&backend).await;
    // That takes longer than the bound on silence.
    let polled = async {
        server.until("tasks/get", 15).await;
        open.add_permits(1);
        std::future::pending::<()>().await;
    };
    let end = tokio::select! { end = finish(&mut call) => end, () = polled => unreachable!() };
    assert!(end.unwrap().contains("done"));
}

#[tokio::test]
async fn a_task_that_came_too_late_is_ended() {
    let streams = Arc::new(Streams::default());
    let (gate, own) = (Arc::new(Semaphore::new(0)), streams.clone());
    let (held, calls) = (gate.clone(), AtomicU64::new(0));
    let server = Server::start(move |request| match (request.verb(), request.method()) {
        ("GET", _) => own.open("GET"),
        (_, "tools/call") => match calls.fetch_add(1, Ordering::SeqCst) {
            0 => own.open("call"),
            _ => made(request).held(&held),
        },
        _ => rest(request),
    })
    .await;
    let backend = backend(&server, |spec| spec.timeouts.idle = Duration::from_secs(2));
    // The answer had begun.
    let call = begun(&backend).await;
    let number =
        server.requests().into_iter().find(|request| request.is("tools/call")).unwrap().id().to_owned();
    drop(call);
    server.until("notifications/cancelled", 1).await;
    streams.say(
        "call",
        &format!(r#"{{"jsonrpc":"2.0","id":{number},"result":{{"task":{}}}}}"#, task("working")),
    );
    server.until("tasks/cancel", 1).await;
    // The end of its stream counts as a request.
    server.until("CLOSED", 1).await;
    // It had not, be it that the client can be asked something or not.
    for (count, capabilities) in [(3, C::FORM), (4, C::NONE)] {
        let call = begin_task(&backend, CLIENT, capabilities, Augment::Client);
        let sent = async {
            server.until("tools/call", count).await;
        };
        tokio::select! { call = call => panic!("{call:?}"), () = sent => {} }
        gate.add_permits(1);
        server.until("tasks/cancel", count - 1).await;
    }
}

#[tokio::test]
async fn tasks_at_a_server_without_sessions_end_with_their_clients() {
    let gate = Arc::new(Semaphore::new(0));
    let (held, calls) = (gate.clone(), AtomicU64::new(0));
    let server = Server::start(move |request| match request.method() {
        "initialize" => rest(request).without("mcp-session-id"),
        "tools/call" => match calls.fetch_add(1, Ordering::SeqCst) {
            0 => made(request),
            _ => made(request).held(&held),
        },
        _ => rest(request),
    })
    .await;
    let backend = backend(&server, |_| {});
    let mut call = begin_task(&backend, CLIENT, C::NONE, Augment::Client).await.unwrap();
    finish(&mut call).await.unwrap();
    let late = begin_task(&backend, CLIENT, C::NONE, Augment::Client);
    let ending = async {
        server.until("tools/call", 2).await;
        backend.end_session(CLIENT);
        server.until("tasks/cancel", 1).await;
        gate.add_permits(1);
    };
    let (late, ()) = tokio::join!(late, ending);
    // What began only then does not stay either.
    finish(&mut late.unwrap()).await.unwrap();
    server.until("tasks/cancel", 2).await;
}

#[tokio::test]
async fn a_task_that_nobody_asked_for_breaks_the_protocol() {
    let server = Server::start(|request| match request.method() {
        "tools/call" => made(request),
        _ => rest(request),
    })
    .await;
    let error = call(&backend(&server, |_| {}), CLIENT).await;
    assert!(matches!(error, Err(BackendError::Protocol(_))), "{error:?}");
}
