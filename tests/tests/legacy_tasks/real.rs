//! Real servers and real clients.

use super::{RELATED, accept, forms, is_unknown};
use serde_json::{Value, json};
use weir_tests::{Capable, Legacy, Modern, Speak, Weir, driver, peers, wait};

const RESEARCH: &str = "simulate-research-query";

/// Runs `test` with the reference server behind weir, over every transport at once: its tasks take seconds.
fn with_everything(test: impl Fn(&str, Weir, Option<peers::HttpPeer>) + Sync) {
    let over = |backend: Value| {
        let weir = Weir::over(json!({"everything": backend}));
        // What is not there yet is not offered to a session that begins.
        let client = Modern::new(weir.endpoint());
        wait::until_true("the server is there", || client.tool_names().iter().any(|name| name == RESEARCH));
        weir
    };
    std::thread::scope(|scope| {
        scope.spawn(|| test("stdio", over(peers::everything_stdio()), None));
        scope.spawn(|| {
            let http = peers::everything_http();
            test("http", over(json!({"url": http.url()})), Some(http));
        });
        scope.spawn(|| {
            let sse = peers::everything_sse();
            test("sse", over(json!({"url": sse.url()})), Some(sse));
        });
    });
}

#[test]
fn a_client_begins_a_task_of_the_reference_server_and_fetches_its_result() {
    with_everything(|transport, weir, _peer| {
        let client = Legacy::new(weir.endpoint());
        let tasks = &client.welcome["capabilities"]["tasks"];
        assert_eq!(tasks, &json!({"cancel": {}, "requests": {"tools": {"call": {}}}}), "{transport}");
        let tools = client.list("tools/list", "tools");
        let tool = tools.iter().find(|tool| tool["name"] == RESEARCH).expect("the tool is there");
        assert_eq!(tool["execution"]["taskSupport"], "required", "{transport}");

        let params = json!({"name": RESEARCH, "arguments": {"topic": "x"}, "task": {"ttl": 60000}});
        let begun = client.ask("tools/call", params);
        let task = &begun.result()["task"];
        let id = task["taskId"].as_str().expect("a task").to_owned();
        assert_eq!(task["status"], "working", "{transport}: {task}");
        assert!(id.len() > 60, "the id is weir's own: {id}");
        let told = client.ask("tasks/get", json!({"taskId": id}));
        assert_eq!(told.result()["taskId"], json!(id), "{transport}");
        // It waits for the end.
        let result = client.ask("tasks/result", json!({"taskId": id}));
        assert!(result.text().contains("Research Report: x"), "{transport}");
        assert_eq!(result.result()["_meta"][RELATED]["taskId"], json!(id), "{transport}");
        assert_eq!(client.ask("tasks/get", json!({"taskId": id})).result()["status"], "completed");
        assert_eq!(client.ask("tasks/cancel", json!({"taskId": id})).error(), -32602, "it has ended");

        let begun =
            client.ask("tools/call", json!({"name": RESEARCH, "arguments": {"topic": "y"}, "task": {}}));
        let id = begun.result()["task"]["taskId"].as_str().expect("a task").to_owned();
        let cancelled = client.ask("tasks/cancel", json!({"taskId": id}));
        assert_eq!(
            (&cancelled.result()["status"], &cancelled.result()["taskId"]),
            (&json!("cancelled"), &json!(id))
        );
    });
}

#[test]
fn what_a_task_asks_reaches_its_client() {
    with_everything(|transport, weir, _peer| {
        let mut client = Capable::legacy(weir.endpoint(), "2025-11-25", forms());
        let arguments = json!({"topic": "python", "ambiguous": true});
        let params = json!({"name": RESEARCH, "arguments": arguments, "task": {}});
        let begun = client.ask("tools/call", params).expect("a task");
        let id = begun.message["result"]["task"]["taskId"].as_str().expect("a task").to_owned();
        wait::until_true("it wants something", || {
            let told = client.ask("tasks/get", json!({"taskId": id})).expect("a task");
            told.message["result"]["status"] == "input_required"
        });
        let result = client.converse("tasks/result", json!({"taskId": id}), &accept).expect("a result");
        assert_eq!(result.asked.len(), 1, "{transport}: {result:?}");
        assert_eq!(result.asked[0]["params"]["_meta"][RELATED]["taskId"], json!(id), "{transport}");
        let text = result.message["result"]["content"][0]["text"].as_str().expect("a text");
        assert!(text.contains("python (snake)"), "{transport}: {text}");
    });
}

#[test]
fn clients_that_know_nothing_of_tasks_call_such_a_tool_as_any_other() {
    with_everything(|transport, weir, _peer| {
        let modern = Modern::new(weir.endpoint());
        let older = Legacy::open(weir.endpoint(), "2025-06-18", json!({}));
        let newest = Legacy::new(weir.endpoint());
        assert!(older.welcome["capabilities"].get("tasks").is_none());
        assert_eq!(older.ask("tasks/get", json!({"taskId": "x"})).error(), -32601);
        let clients: [(&(dyn Speak + Sync), bool); 3] = [(&modern, false), (&older, false), (&newest, true)];
        let plain = |(client, shown): (&(dyn Speak + Sync), bool)| {
            let tools = client.list("tools/list", "tools");
            let tool = tools.iter().find(|tool| tool["name"] == RESEARCH).expect("the tool is there");
            assert_eq!(tool.get("execution").is_some(), shown, "{transport}: {tool}");
            let answer = client.call(RESEARCH, json!({"topic": "x"}));
            assert!(answer.text().contains("Research Report: x"), "{transport}: {answer:?}");
            assert!(answer.result()["_meta"].get(RELATED).is_none(), "{transport}: {answer:?}");
        };
        let ask = json!({"name": RESEARCH, "arguments": {"topic": "python", "ambiguous": true}});
        let asked = |mut client: Capable| {
            let outcome = client.converse("tools/call", ask.clone(), &accept).expect("a result");
            assert_eq!(outcome.asked.len(), 1, "{transport}: {outcome:?}");
            assert!(outcome.asked[0]["params"]["_meta"].get(RELATED).is_none(), "{transport}: {outcome:?}");
            let text = outcome.message["result"]["content"][0]["text"].as_str().expect("a text");
            assert!(text.contains("python (snake)"), "{transport}: {text}");
        };
        std::thread::scope(|scope| {
            for client in clients {
                scope.spawn(move || plain(client));
            }
            // Each has a process to itself while it may be asked, and there is one.
            scope.spawn(|| {
                asked(Capable::modern(weir.endpoint(), forms()));
                asked(Capable::legacy(weir.endpoint(), "2025-06-18", forms()));
            });
        });
    });
}

#[test]
fn the_reference_server_tells_a_session_of_its_tasks_and_loses_them_with_its_own() {
    with_everything(|transport, weir, peer| {
        let mut client = Capable::legacy(weir.endpoint(), "2025-11-25", json!({}));
        let other = Legacy::new(weir.endpoint());
        let params = json!({"name": RESEARCH, "arguments": {"topic": "x"}, "task": {}});
        let begun = client.ask("tools/call", params).expect("a task");
        let id = begun.message["result"]["task"]["taskId"].as_str().expect("a task").to_owned();
        is_unknown(&other, &id);
        let told = client.hear(&|message| {
            message["method"] == "notifications/tasks/status" && message["params"]["status"] == "completed"
        });
        assert_eq!(told.expect("a notification")["params"]["taskId"], json!(id), "{transport}");
        let Some(mut peer) = peer else { return };
        peer.restart();
        let gone = client.ask("tasks/get", json!({"taskId": id})).expect("an answer").message;
        assert_eq!(gone["error"]["code"], -32602, "{gone}");
        let words = gone["error"]["message"].as_str().expect("words");
        assert!(words.contains("no longer has this task"), "{words}");
    });
}

#[test]
fn the_sdk_of_that_revision_has_its_tasks() {
    with_everything(|transport, weir, _peer| {
        let arguments = json!({"topic": "python", "ambiguous": true});
        let report = driver::task(&weir.url(), RESEARCH, &arguments);
        let text = report["text"].as_str().unwrap_or_else(|| panic!("{transport}: {report}"));
        assert!(text.contains("python (snake)"), "{transport}: {text}");
        assert_eq!(report["asked"].as_array().map(Vec::len), Some(1), "{transport}: {report}");
        let steps = report["steps"].as_array().expect("steps");
        assert_eq!(
            (&steps[0][0], &steps[steps.len() - 1][0]),
            (&json!("taskCreated"), &json!("result")),
            "{report}"
        );
        let id = &steps[0][1];
        assert!(steps.iter().all(|step| step[1].is_null() || step[1] == *id), "{transport}: {report}");
        let told = report["told"].as_array().expect("notifications");
        assert!(told.iter().all(|told| told[0] == *id), "{transport}: {report}");
    });
}
