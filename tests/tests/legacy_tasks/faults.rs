//! Bounds on tasks, and servers that do not keep the rules.

use super::{asked, begin, jobs, status};
use serde_json::{Value, json};
use std::time::Duration;
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Scripted, Speak, Stdio, Weir, peers, scripted, wait};

const BRIEF: Duration = Duration::from_millis(1500);

fn bounded(timeouts: &[(&str, Duration)]) -> Value {
    peers::bounded(json!({}), timeouts)
}

#[test]
fn a_task_that_weir_begins_may_be_silent_but_not_endless() {
    // Nothing is counted as silence as long as its server says how far it is.
    let weir = jobs(bounded(&[("idle", BRIEF)]));
    let client = Modern::new(weir.endpoint());
    let (request, _) = client.prepare("tools/call", json!({"name": "hold", "arguments": {"label": "long"}}));
    let call = std::thread::spawn({
        let endpoint = weir.endpoint();
        move || request.send(&endpoint)
    });
    let mut polls = 0;
    wait::until_true("it is asked about for longer than the bound", || {
        polls += asked(&client).iter().filter(|one| one[0] == "tasks/get").count();
        polls > 40
    });
    client.call("release", json!({})).text();
    let answer = call.join().expect("an answer").messages();
    assert_eq!(answer[0]["result"]["content"][0]["text"], "held long", "{answer:?}");
    drop(weir);

    // The whole has its end, and so has the task.
    let weir = jobs(bounded(&[("call", BRIEF)]));
    let client = Modern::new(weir.endpoint());
    let late = client.call("hold", json!({}));
    let words = late.message["error"]["message"].as_str().expect("an error");
    assert!(words.contains("the end of the call"), "{words}");
    wait::until_true("it is cancelled", || asked(&client).iter().any(|one| one[0] == "tasks/cancel"));
}

#[test]
fn waiting_for_a_result_has_an_end_and_the_task_goes_on() {
    let weir = jobs(bounded(&[("idle", BRIEF)]));
    let client = Legacy::new(weir.endpoint());
    let id = begin(&client, "hold", json!({"label": "late"}));
    let late = client.ask("tasks/result", json!({"taskId": id}));
    let words = late.message["error"]["message"].as_str().expect("an error");
    assert!(words.contains("a sign of life"), "{words}");
    assert_eq!(status(&client, &id), "working");
    client.call("release", json!({})).text();
    assert_eq!(client.ask("tasks/result", json!({"taskId": id})).text(), "held late");
}

/// A legacy server of the tool `make`, whose calls are answered by `made` and questions about tasks by `told`.
fn server(made: Value, told: Value) -> Scripted {
    let mut tool = scripted::tool("make");
    tool["execution"] = json!({"taskSupport": "required"});
    let rest = scripted::legacy(json!([tool]), move |request, reply| {
        let is_call = request.rpc_method() == "tools/call";
        reply.result(request, if is_call { made.clone() } else { told.clone() });
    });
    Scripted::start(move |request, reply| {
        if request.rpc_method() != "initialize" {
            return rest(request, reply);
        }
        let tasks = json!({"cancel": {}, "requests": {"tools": {"call": {}}}});
        let about = json!({"name": "tasks", "version": "1"});
        let capabilities = json!({"tools": {}, "tasks": tasks});
        reply.result(
            request,
            json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "serverInfo": about}),
        );
    })
}

#[test]
fn a_server_that_breaks_the_rules_fails_its_own_calls_alone() {
    let task = |id: Value| json!({"taskId": id, "status": "working", "ttl": null, "pollInterval": 0});
    let made = |id: Value| json!({"task": task(id)});
    let fine = task(json!("mine"));
    for (made, told) in [
        (json!({"task": {}}), fine.clone()),
        (json!({"task": null}), fine.clone()),
        (made(json!(7)), fine.clone()),
        (made(json!("mine")), task(json!("stranger"))),
        (made(json!("mine")), json!({"status": "completed"})),
        (made(json!("mine")), json!([])),
    ] {
        let server = server(made.clone(), told.clone());
        let weir = Weir::over(json!({"jobs": server.backend()}));
        for client in [&Modern::new(weir.endpoint()) as &dyn Speak, &Legacy::new(weir.endpoint())] {
            assert!(client.call("make", json!({})).failed(), "{made} {told}");
        }
        let client = Legacy::new(weir.endpoint());
        let begun = client.ask("tools/call", json!({"name": "make", "task": {}}));
        let Some(id) = begun.message["result"]["task"]["taskId"].as_str() else {
            assert!(begun.failed(), "{made} {told}: {begun:?}");
            continue;
        };
        let told = client.ask("tasks/get", json!({"taskId": id}));
        assert!(told.failed() || told.result().get("taskId").is_none(), "{told:?}");
        assert!(!told.message.to_string().contains("stranger"), "{told:?}");
    }
    for id in [json!(""), json!("x".repeat(1025))] {
        let server = server(made(id), fine.clone());
        let weir = Weir::over(json!({"jobs": server.backend()}));
        let client = Legacy::new(weir.endpoint());
        assert!(client.ask("tools/call", json!({"name": "make", "task": {}})).failed());
    }
    // A result in place of a task is the result.
    let server = server(json!({"content": [{"type": "text", "text": "at once"}]}), json!({}));
    let weir = Weir::over(json!({"jobs": server.backend()}));
    for client in [&Modern::new(weir.endpoint()) as &dyn Speak, &Legacy::new(weir.endpoint())] {
        assert_eq!(client.call("make", json!({})).text(), "at once");
    }
    // It keeps the task for as long as the call may last, its client's answers included, and a little longer.
    let kept = json!((600 + 1800 + 60) * 1000);
    assert!(
        server.received_of("tools/call").iter().all(|call| call.json()["params"]["task"]["ttl"] == kept),
        "{:?}",
        server.received_of("tools/call").iter().map(|call| call.text()).collect::<Vec<_>>()
    );
}

#[test]
fn a_connection_that_is_a_session_has_tasks_too() {
    let jobs = peers::fixture("legacy_tasks.py", &[]);
    let mut client = Stdio::serve(config(json!({"jobs": jobs}), json!({"conflicts": "none"})));
    let mut welcome = client.initialize("2025-11-25");
    assert!(welcome["capabilities"]["tasks"]["cancel"].take().is_object(), "{welcome}");
    let mut ask = |method: &str, params: Value| {
        let id = client.request(method, params);
        client.answer(&id)["result"].take()
    };
    let begun = ask("tools/call", json!({"name": "hold", "arguments": {}, "task": {}}));
    let id = begun["task"]["taskId"].as_str().unwrap_or_else(|| panic!("a task, not {begun}")).to_owned();
    ask("tools/call", json!({"name": "release", "arguments": {}}));
    let result = ask("tasks/result", json!({"taskId": id}));
    assert_eq!(result["content"][0]["text"], "held None", "{result}");
}
