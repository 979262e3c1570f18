//! Sessions with legacy backends: whose they are, when they end, and what happens when the backend has lost them.

use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_tests::process::is_running;
use weir_tests::scripted::tool;
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir, peers, wait};

/// A legacy server whose tool `session` tells the session that it was called in.
fn telling() -> Scripted {
    Scripted::legacy(json!([tool("session")]), |request, reply| {
        let session = request.header("mcp-session-id").unwrap_or("none");
        reply.result(request, json!({"content": [{"type": "text", "text": session}]}));
    })
}

fn over(server: &Scripted, session: &str) -> Weir {
    Weir::over(json!({"telling": {"url": server.url(), "session": session}}))
}

fn session_of(client: &dyn Speak) -> String {
    client.call("session", json!({})).text().to_owned()
}

#[test]
fn each_client_session_has_its_own() {
    let server = telling();
    let weir = over(&server, "client");
    let (first, second) = (Legacy::new(weir.endpoint()), Legacy::new(weir.endpoint()));
    let (one, two) = (session_of(&first), session_of(&second));
    let shared = session_of(&Modern::new(weir.endpoint()));
    let all = BTreeSet::from([&one, &two, &shared]);
    assert_eq!(all.len(), 3, "{all:?}");
    assert_eq!(session_of(&first), one, "a session lasts");
    assert_eq!(session_of(&Modern::new(weir.endpoint())), shared);

    first.delete();
    wait::until_true("the upstream session is ended with the client's", || {
        server.received().iter().any(|request| {
            request.method == "DELETE" && request.header("mcp-session-id") == Some(one.as_str())
        })
    });
    assert_eq!(session_of(&second), two);
}

#[test]
fn a_shared_session_is_everybodys() {
    let server = telling();
    let weir = over(&server, "shared");
    let first = Legacy::new(weir.endpoint());
    let one = session_of(&first);
    assert_eq!(session_of(&Legacy::new(weir.endpoint())), one);
    assert_eq!(session_of(&Modern::new(weir.endpoint())), one);
    first.delete();
    assert_eq!(session_of(&Legacy::new(weir.endpoint())), one);
    weir.terminate();
    weir.finish();
    let ended =
        server.received().into_iter().filter(|request| request.method == "DELETE").collect::<Vec<_>>();
    assert_eq!(ended.len(), 1, "it ends with weir, and not before: {ended:?}");
    assert_eq!(ended[0].header("mcp-session-id"), Some(one.as_str()));
}

#[test]
fn a_session_that_the_server_forgot_is_opened_anew() {
    let forget = Arc::new(AtomicBool::new(false));
    let forgotten = Arc::clone(&forget);
    let server = Scripted::legacy(json!([tool("session")]), move |request, reply| {
        if forgotten.swap(false, Ordering::Relaxed) {
            reply.body(404, "text/plain", "no such session");
            return;
        }
        let session = request.header("mcp-session-id").unwrap_or("none");
        reply.result(request, json!({"content": [{"type": "text", "text": session}]}));
    });
    for scope in ["client", "shared"] {
        let weir = over(&server, scope);
        let client = Legacy::new(weir.endpoint());
        let before = session_of(&client);
        forget.store(true, Ordering::Relaxed);
        let after = session_of(&client);
        assert_ne!(before, after, "{scope}");
        assert_eq!(session_of(&client), after, "{scope}");
    }
}

#[test]
fn a_server_that_was_restarted_is_used_on() {
    let mut server = peers::everything_http();
    let weir = Weir::over(json!({"everything": {"url": server.url()}}));
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Legacy::new(weir.endpoint())), Box::new(Modern::new(weir.endpoint()))];
    for client in &clients {
        assert_eq!(client.call("echo", json!({"message": "one"})).text(), "Echo: one");
    }
    server.restart();
    for client in &clients {
        let answer = client.call("echo", json!({"message": "two"}));
        assert_eq!(answer.text(), "Echo: two", "{}", answer.message);
    }
}

#[test]
fn a_program_can_be_run_for_each_client_session() {
    let mut backend = peers::fixture("misbehaving.py", &["mortal"]);
    backend["session"] = json!("client");
    let weir = Weir::over(json!({"own": backend}));
    let pid = |client: &dyn Speak| -> i32 {
        let answer = client.call("pid", json!({}));
        answer.text().parse().expect("an id of a process")
    };
    let (first, second) = (Legacy::new(weir.endpoint()), Legacy::new(weir.endpoint()));
    let modern = Modern::new(weir.endpoint());
    let all = BTreeSet::from([pid(&first), pid(&second), pid(&modern)]);
    assert_eq!(all.len(), 3, "{all:?}");
    let (own, others) = (pid(&first), pid(&second));
    first.delete();
    wait::until_true("the process ends with its session", || !is_running(own));
    assert_eq!(pid(&second), others);

    let mut backend = peers::fixture("misbehaving.py", &["mortal"]);
    backend["session"] = json!("shared");
    let weir = Weir::over(json!({"one": backend}));
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Legacy::new(weir.endpoint())), Box::new(Modern::new(weir.endpoint()))];
    let ids: BTreeSet<_> = clients.iter().map(|client| pid(&**client)).collect();
    assert_eq!(ids.len(), 1, "{ids:?}");
}
