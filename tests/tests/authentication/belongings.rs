//! What belongs to one caller does not exist for another: sessions, streams, cursors, tasks, parked calls.

use crate::{Bench, auth, config, echo};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_tests::http::Event;
use weir_tests::scripted::{self, tool};
use weir_tests::{Endpoint, Legacy, Modern, Paired, Provider, Request, Scripted, Speak, Weir, peers, wait};

const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
const TASKS: &str = "io.modelcontextprotocol/tasks";

/// The status and the code of an answer, by which an unknown thing is told from one that exists.
fn told(request: &Request, to: &Endpoint) -> (u16, String) {
    let answer = request.send(to);
    (answer.status, answer.text())
}

#[test]
fn anothers_session_does_not_exist() {
    let bench = Bench::start();
    let (alice, bob) = (bench.endpoint("alice"), bench.endpoint("bob"));
    let session = Legacy::open(alice.clone(), "2025-03-26", json!({}));
    let unknown = |request: &Request| {
        let request = request.clone().replace("mcp-session-id", Some(&"0".repeat(32)));
        told(&request, &bob)
    };
    let get = || Request::new("GET").header("accept", "text/event-stream");
    for request in [
        Request::post(PING),
        Request::post(format!("[{PING}]")),
        Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#),
        Request::post(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#),
        Request::post(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#),
        get(),
        get().header("last-event-id", "1-1"),
        Request::new("DELETE"),
    ] {
        let request = session.within(request);
        let answer = told(&request, &bob);
        assert_eq!(answer.0, 404, "{request:?}: {}", answer.1);
        assert_eq!(answer, unknown(&request), "another's and no session at all are told alike");
    }
    // It still lives, for whoever opened it and comes with a newer token.
    assert_eq!(session.within(Request::post(PING)).send(&bench.endpoint("alice")).status, 200);
    assert_eq!(session.delete().status, 204);
}

#[test]
fn anothers_stream_is_not_taken_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let slow = peers::fixture("slow.py", &[folder.path().to_str().expect("a path"), "legacy"]);
    let bench = Bench::over(Provider::start(), json!({"slow": slow}), json!({}));
    let (alice, bob) = (Legacy::new(bench.endpoint("alice")), Legacy::new(bench.endpoint("bob")));
    let begin = |client: &Legacy| {
        let meta = json!({"progressToken": "t"});
        let params = json!({"name": "wait", "arguments": {"steps": 1}, "_meta": meta});
        let (request, _) = client.prepare("tools/call", params);
        let mut stream = request.open(client.endpoint()).events();
        let first: Event = stream.next().expect("it begins");
        (stream, first.id.expect("the event has an id"))
    };
    let (_own, event) = begin(&alice);
    let _ = begin(&bob);
    let take_up = |session: &Legacy| {
        session
            .within(Request::new("GET").header("accept", "text/event-stream").header("last-event-id", &event))
    };
    assert_eq!(take_up(&alice).send(bob.endpoint()).status, 404, "the session is not his");
    // In a session of his own the same id means a stream of his own.
    let other = take_up(&bob).open(bob.endpoint());
    assert_eq!(other.status, 200);
    drop(other);
    let mut again = take_up(&alice).open(alice.endpoint()).events();
    std::fs::write(folder.path().join("release"), "").expect("a file can be written");
    assert_eq!(
        again.message_where(|message| message.get("result").is_some())["result"]["content"][0]["text"],
        "released"
    );
}

#[test]
fn anothers_cursor_leads_nowhere() {
    let provider = Provider::start();
    let mut config = config(json!({"echo": echo()}), auth(&provider, json!({})));
    config["endpoints"]["main"]["page_size"] = json!(2);
    let weir = Weir::serve(config);
    let bench = Bench { provider, weir };
    let (alice, bob) = (Modern::new(bench.endpoint("alice")), Modern::new(bench.endpoint("bob")));
    let first = alice.ask("tools/list", json!({}));
    let cursor = json!({"cursor": first.result()["nextCursor"]});
    assert!(cursor["cursor"].is_string(), "{}", first.message);
    assert_eq!(bob.ask("tools/list", cursor.clone()).error(), -32602);
    assert_eq!(Legacy::new(bench.endpoint("bob")).ask("tools/list", cursor.clone()).error(), -32602);
    assert_eq!(alice.ask("tools/list", cursor.clone()).result()["tools"].as_array().map(Vec::len), Some(2));
    let again = Modern::new(bench.endpoint("alice")).ask("tools/list", cursor);
    assert_eq!(again.result()["tools"].as_array().map(Vec::len), Some(2), "a newer token is no other caller");
}

#[test]
fn anothers_task_is_unknown() {
    let bench =
        Bench::over(Provider::start(), json!({"jobs": peers::fixture("tasks.py", &["stdio"])}), json!({}));
    let client = |account: &str| {
        let capabilities = json!({"elicitation": {}, "extensions": {TASKS: {}}});
        Modern::with_capabilities(bench.endpoint(account), capabilities)
    };
    let (alice, bob) = (client("alice"), client("bob"));
    let made = alice.call("confirm_delete", json!({"filename": "f"}));
    let id = made.result()["taskId"].as_str().expect("a task").to_owned();
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let params = json!({"taskId": id, "inputResponses": {}});
        let mut no_task = params.clone();
        no_task["taskId"] = json!("nothing");
        let (of_another, of_nobody) = (bob.ask(method, params), bob.ask(method, no_task));
        assert_eq!(of_another.error(), -32602, "{method}");
        assert_eq!(of_another.message["error"], of_nobody.message["error"], "{method}");
    }
    let listen = |client: &Modern| {
        let filter = json!({"notifications": {"taskIds": [id]}});
        let (request, _) = client.prepare("subscriptions/listen", filter);
        let mut stream = request.open(client.endpoint()).events();
        let acknowledged = stream.message()["params"]["notifications"]["taskIds"].clone();
        (stream, acknowledged)
    };
    assert_eq!(listen(&bob).1, Value::Null);
    assert_eq!(listen(&alice).1, json!([id]));
    assert_eq!(client("alice").ask("tasks/get", json!({"taskId": id})).result()["taskId"], id);
}

/// A legacy server whose tool asks its client for a name, and says so once it has it.
fn asker() -> Scripted {
    let answered = Arc::new(AtomicBool::new(false));
    let heard = answered.clone();
    let rest = scripted::legacy(json!([tool("ask")]), move |request, reply| {
        let schema = json!({"type": "object", "properties": {}});
        let params = json!({"message": "Who?", "requestedSchema": schema});
        reply.open_events();
        reply.event(json!({"jsonrpc": "2.0", "id": "q", "method": "elicitation/create", "params": params}));
        wait::until_true("the client answers", || answered.load(Ordering::SeqCst));
        let content = json!([{"type": "text", "text": "thanks"}]);
        reply.event(json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": {"content": content}}));
        reply.close();
    });
    Scripted::start(move |request, reply| {
        let message = request.json();
        if request.method == "POST" && message.get("id").is_some() && message.get("method").is_none() {
            heard.store(true, Ordering::SeqCst);
            return reply.body(202, "text/plain", "");
        }
        rest(request, reply);
    })
}

#[test]
fn anothers_parked_call_is_not_answered() {
    let server = asker();
    let bench = Bench::over(Provider::start(), json!({"asker": server.backend()}), json!({}));
    let client = |account: &str| {
        Modern::with_capabilities(bench.endpoint(account), json!({"elicitation": {"form": {}}}))
    };
    let (alice, bob) = (client("alice"), client("bob"));
    let asked = alice.call("ask", json!({}));
    assert_eq!(asked.result()["resultType"], "input_required", "{}", asked.message);
    let state = &asked.result()["requestState"];
    let key = asked.result()["inputRequests"]
        .as_object()
        .and_then(|asked| asked.keys().next())
        .expect("a question");
    let answered = json!({
        "name": "ask", "arguments": {}, "requestState": state,
        "inputResponses": {key: {"action": "accept", "content": {}}},
    });
    let refused = bob.ask("tools/call", answered.clone());
    assert_eq!((refused.status, refused.error()), (400, -32602), "{}", refused.message);
    let forged = json!({"name": "ask", "arguments": {}, "requestState": "forged", "inputResponses": {}});
    assert_eq!(refused.message["error"], bob.ask("tools/call", forged).message["error"]);
    // The call is still parked, for whom it was asked.
    assert_eq!(client("alice").ask("tools/call", answered).text(), "thanks");
}

#[test]
fn anothers_connection_takes_no_messages() {
    let bench = Bench::start();
    let mut alice = Paired::new(&bench.endpoint("alice"), "2024-11-05");
    let post = |account: &str, path: &str| {
        let request = Request::new("POST").header("content-type", "application/json").body(PING);
        told(&request, &bench.endpoint(account).at(path))
    };
    let own = alice.messages.path.clone();
    let none = format!("/mcp/messages?sessionId={}", "0".repeat(32));
    assert_eq!(post("bob", &own).0, 404);
    assert_eq!(post("bob", &own), post("bob", &none));
    let stranger = Request::post(PING).send(&bench.weir.endpoint().at(&own));
    assert_eq!(stranger.status, 401);
    assert_eq!(post("alice", &own).0, 202, "a newer token is no other caller");
    assert_eq!(alice.ask("ping", json!({}))["result"], json!({}));
}

#[test]
fn anothers_updates_are_not_heard() {
    let bench = Bench::over(
        Provider::start(),
        json!({"watched": peers::fixture("watched.py", &["legacy"])}),
        json!({}),
    );
    let (alice, bob) = (Legacy::new(bench.endpoint("alice")), Legacy::new(bench.endpoint("bob")));
    let (mut hers, mut his) = (alice.listen(), bob.listen());
    alice.ask("resources/subscribe", json!({"uri": "doc:///a"})).result();
    bob.ask("resources/subscribe", json!({"uri": "doc:///b"})).result();
    // Bob can end no watch of hers.
    bob.ask("resources/unsubscribe", json!({"uri": "doc:///a"})).result();
    alice.call("touch", json!({"uri": "doc:///a"}));
    assert_eq!(hers.message()["params"]["uri"], "doc:///a");
    alice.call("touch", json!({"uri": "doc:///b"}));
    assert_eq!(his.message()["params"]["uri"], "doc:///b", "and nothing of hers before");
}

#[test]
fn the_same_name_at_another_issuer_is_another_caller() {
    let (first, second) = (Provider::start(), Provider::start());
    let mut both = auth(&first, json!({}));
    both["issuers"].as_array_mut().expect("issuers").push(auth(&second, json!({}))["issuers"][0].clone());
    let weir = Weir::serve(config(json!({"echo": echo()}), both));
    let of = |provider: &Provider| weir.endpoint().bearing(&provider.token("alice", crate::RESOURCE));
    let session = Legacy::new(of(&first));
    assert_eq!(session.within(Request::post(PING)).send(&of(&second)).status, 404);
    assert_eq!(session.within(Request::post(PING)).send(&of(&first)).status, 200);
}

#[test]
fn what_a_former_token_said_counts_no_more() {
    let provider = Provider::start();
    let watched = json!({"watched": peers::fixture("watched.py", &["legacy"])});
    let mut config = config(watched, auth(&provider, json!({})));
    let policy = r#"permit(principal, action, resource) when { principal.groups.contains("developers") };"#;
    config["endpoints"]["main"]["policies"] = json!({"inline": policy});
    let weir = Weir::serve(config);
    let of = |account: &str, groups: Value, ttl: u64| {
        let claims = json!({"groups": groups});
        let request = json!({"account": account, "resource": crate::RESOURCE, "ttl": ttl, "claims": claims});
        weir.endpoint().bearing(&provider.mint(request))
    };
    let alice = Legacy::new(of("alice", json!(["developers"]), 600));
    let bob = Legacy::new(of("bob", json!(["developers"]), 600));
    let asked = || -> Value { serde_json::from_str(bob.call("asked", json!({})).text()).expect("JSON") };
    let _stream = alice.listen();
    alice.ask("resources/subscribe", json!({"uri": "doc:///a"})).result();
    assert_eq!(asked(), json!([["subscribe", "doc:///a"]]));
    // She comes with a newer token, and is in no group any more.
    let request = alice.within(Request::post(PING));
    assert_eq!(request.send(&of("alice", json!([]), 3600)).status, 200);
    let mut seen = Vec::new();
    wait::until_true("her watch ends", || {
        seen.extend(asked().as_array().cloned().unwrap_or_default());
        seen.contains(&json!(["unsubscribe", "doc:///a"]))
    });
}
