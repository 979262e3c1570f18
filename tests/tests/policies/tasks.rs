//! What follows on a task is decided as the call of its tool would be now, but for the arguments, which nobody has any more.

use super::{ALICE, clients, guarded};
use serde_json::{Value, json};
use weir_tests::{Legacy, Modern, Speak, Weir, peers, wait};

const TASKS: &str = "io.modelcontextprotocol/tasks";

/// An endpoint over a server of tasks, and `seen`, by which one notices that these policies are taken.
fn over(fixture: &str, policies: &str, seen: &str, overrides: Value) -> Value {
    let seen = format!("permit(principal, action, resource == Tool::\"{seen}\");");
    let more = json!({"conflicts": "none", "tools": {"overrides": overrides}});
    let mut config = guarded("modern", &format!("{policies}{seen}"), more);
    let arguments: &[&str] = if fixture == "tasks.py" { &["stdio"] } else { &[] };
    config["backends"]["one"] = peers::fixture(fixture, arguments);
    config
}

fn taken(client: &dyn Speak, seen: &str) {
    wait::until_true("the policies are taken", || client.tool_names().iter().any(|name| name == seen));
}

fn speaks(weir: &Weir) -> Modern {
    let capabilities = json!({"elicitation": {"form": {}}, "extensions": {TASKS: {}}});
    Modern::with_capabilities(weir.endpoint().bearing(ALICE), capabilities)
}

fn is_unknown(client: &dyn Speak, id: &str, methods: &[&str]) {
    for method in methods {
        let params = json!({"taskId": id, "inputResponses": {}});
        let answer = client.ask(&format!("tasks/{method}"), params);
        assert_eq!(answer.message["error"]["message"], "unknown task", "{method}");
    }
}

/// Circumstances under which nobody is at a test, and those under which everybody is. Arguments could make up for neither.
const AWAY: &str = r#"context has address && context.address.isInRange(ip("10.0.0.0/8"))"#;
const HERE: &str = r#"context has address && context.address.isLoopback()"#;
const LATE: &str = r#"context.time < datetime("2000-01-01")"#;
const AGAIN: &str = "context.retry";

#[test]
fn what_follows_on_a_task_is_decided_by_its_circumstances() {
    let policies = |when: &str| {
        format!(
            r#"permit(principal, action, resource == Tool::"slow_compute")
               when {{ {when} && context.arguments has seconds && context.arguments.seconds > 10 }};
               permit(principal, action, resource == Tool::"confirm_delete") when {{ {when} }};"#
        )
    };
    let config = |when: &str, seen| over("tasks.py", &policies(when), seen, json!({}));
    let weir = Weir::serve(config(HERE, "release"));
    let client = speaks(&weir);
    let begin = |tool: &str, arguments: Value| {
        let made = client.call(tool, arguments);
        made.result()["taskId"].as_str().unwrap_or_else(|| panic!("{}", made.message)).to_owned()
    };
    assert_eq!(client.call("slow_compute", json!({"seconds": 5})).error(), -32602);
    let slow = begin("slow_compute", json!({"seconds": 600}));
    let asks = begin("confirm_delete", json!({"filename": "f", "hold": true}));
    let get = |id: &str| client.ask("tasks/get", json!({"taskId": id})).result()["status"].clone();
    let listen = || {
        let wanted = json!({"notifications": {"taskIds": [slow, asks]}});
        let (request, _) = client.prepare("subscriptions/listen", wanted);
        let mut stream = request.open(client.endpoint()).events();
        let first = stream.message();
        (stream, first["params"]["notifications"]["taskIds"].clone())
    };
    for (when, seen) in
        [(AWAY, "greet"), (LATE, "asked"), (AGAIN, "greet"), ("context.era == \"legacy\"", "asked")]
    {
        assert_eq!([get(&slow), get(&asks)], ["working", "working"], "{when}");
        let (stream, accepted) = listen();
        assert_eq!(accepted, json!([slow, asks]), "{when}");
        weir.reconfigure(config(when, seen));
        taken(&client, seen);
        assert!(client.tool_names().contains(&"slow_compute".to_owned()), "there are such circumstances");
        for id in [&slow, &asks] {
            is_unknown(&client, id, &["get", "update", "cancel"]);
        }
        assert!(stream.count() < 100, "{when}: the stream ends");
        assert_eq!(listen().1, Value::Null, "{when}");
        weir.reconfigure(config(HERE, "release"));
        taken(&client, "release");
    }
    client.call("release", json!({})).text();
    wait::until_true("it asks", || get(&asks) == "input_required");
    let answer = json!({"confirm": {"action": "accept", "content": {"confirm": true}}});
    client.ask("tasks/update", json!({"taskId": asks, "inputResponses": answer})).result();
    wait::until_true("it ends", || get(&asks) == "completed");
    assert_eq!(client.ask("tasks/cancel", json!({"taskId": slow})).result()["resultType"], "complete");
}

#[test]
fn what_follows_on_a_legacy_task_is_decided_by_its_circumstances() {
    let config = |when: &str, seen| {
        let policies = format!(r#"permit(principal, action, resource == Tool::"hold") when {{ {when} }};"#);
        over("legacy_tasks.py", &policies, seen, json!({}))
    };
    let weir = Weir::serve(config(HERE, "release"));
    let client = Legacy::open(weir.endpoint().bearing(ALICE), "2025-11-25", json!({}));
    let begun = client.ask("tools/call", json!({"name": "hold", "arguments": {"label": "x"}, "task": {}}));
    let id = begun.result()["task"]["taskId"].as_str().expect("an id").to_owned();
    let mut stream = client.listen();
    for (when, seen) in [(AWAY, "both"), ("context.era == \"modern\"", "pid")] {
        weir.reconfigure(config(when, seen));
        taken(&client, seen);
        assert_eq!(stream.message()["method"], "notifications/tools/list_changed");
        is_unknown(&client, &id, &["get", "result", "cancel"]);
        weir.reconfigure(config(HERE, "release"));
        taken(&client, "release");
        assert_eq!(stream.message()["method"], "notifications/tools/list_changed");
        assert_eq!(client.ask("tasks/get", json!({"taskId": id})).result()["status"], "working");
    }
    client.call("release", json!({})).text();
    let told = stream.message();
    assert_eq!(
        (&told["method"], &told["params"]["taskId"]),
        (&json!("notifications/tasks/status"), &json!(id))
    );
    assert_eq!(client.ask("tasks/result", json!({"taskId": id})).text(), "held x");
}

/// A name that is another tool's by now is decided about as that tool, and tells nothing of tasks of the one before.
#[test]
fn a_task_is_of_the_tool_that_began_it_whoever_has_its_name() {
    let policies = r#"permit(principal, action, resource == Tool::"work");"#;
    let named = |tool: &str| json!({"one": {tool: {"name": "work"}}});
    for legacy_tasks in [false, true] {
        let (fixture, seen) = if legacy_tasks {
            ("legacy_tasks.py", ["pid", "both"])
        } else {
            ("tasks.py", ["greet", "asked"])
        };
        let other = if legacy_tasks { "confirm" } else { "confirm_delete" };
        let weir = Weir::serve(over(fixture, policies, "release", named("hold")));
        let client: Box<dyn Speak> = match legacy_tasks {
            true => Box::new(Legacy::open(weir.endpoint().bearing(ALICE), "2025-11-25", json!({}))),
            false => Box::new(speaks(&weir)),
        };
        let made = client.ask("tools/call", json!({"name": "work", "arguments": {}, "task": {}}));
        let made = if legacy_tasks { &made.result()["task"] } else { made.result() };
        let id = made["taskId"].as_str().expect("an id").to_owned();
        let status = || client.ask("tasks/get", json!({"taskId": id})).result()["status"].clone();
        assert_eq!(status(), "working");
        weir.reconfigure(over(fixture, policies, seen[0], named(other)));
        taken(&*client, seen[0]);
        is_unknown(&*client, &id, &["get", "cancel"]);
        weir.reconfigure(over(fixture, policies, seen[1], named("hold")));
        taken(&*client, seen[1]);
        assert_eq!(status(), "working");
    }
}

/// Arguments that an override refuses are refused where the caller may know of the tool, and nowhere else.
#[test]
fn refused_arguments_lead_around_no_circumstances() {
    let overrides = json!({"one": {"look": {"parameters": {"path": {"value": "fixed"}}}}});
    for (when, message) in
        [(HERE, "is not an object"), (AWAY, "unknown tool: one_look"), (LATE, "unknown tool: one_look")]
    {
        let policies =
            format!("permit(principal, action, resource == Tool::\"one_look\") when {{ {when} }};");
        let weir = Weir::serve(guarded("modern", &policies, json!({"tools": {"overrides": overrides}})));
        for client in clients(&weir, ALICE) {
            let answer = client.call("one_look", json!([]));
            let told = answer.message["error"]["message"].as_str().unwrap_or_default();
            assert!(told.contains(message), "{when}: {told}");
        }
    }
}
