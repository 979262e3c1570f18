//! Tasks of 2025-11-25, which clients begin: in a session of their own on either side of weir, and run by weir itself for
//! clients that know nothing of them.

mod faults;
mod real;

use serde_json::{Value, json};
use weir_tests::http::Exchange;
use weir_tests::{Capable, Legacy, Modern, Speak, Weir, peers, wait};

const RELATED: &str = "io.modelcontextprotocol/related-task";

/// The fixture, with `change` in its configuration.
fn jobs(change: Value) -> Weir {
    let mut backend = peers::fixture("legacy_tasks.py", &[]);
    backend["era"] = json!("legacy");
    for (key, value) in change.as_object().expect("a table") {
        backend[key] = value.clone();
    }
    Weir::over(json!({"jobs": backend}))
}

/// Begins a task; answers its id.
fn begin(client: &dyn Speak, tool: &str, arguments: Value) -> String {
    let begun = client.ask("tools/call", json!({"name": tool, "arguments": arguments, "task": {}}));
    begun.result()["task"]["taskId"].as_str().expect("a task has an id").to_owned()
}

fn status(client: &dyn Speak, id: &str) -> Value {
    let told = client.ask("tasks/get", json!({"taskId": id}));
    assert_eq!(told.result()["taskId"], json!(id));
    told.result()["status"].clone()
}

/// What the fixture was asked about tasks, and what became of its questions, since it was asked for that last.
fn asked(client: &dyn Speak) -> Vec<Value> {
    serde_json::from_str(client.call("asked", json!({})).text()).expect("JSON")
}

fn is_unknown(client: &dyn Speak, id: &str) {
    for method in ["get", "result", "cancel"] {
        let answer = client.ask(&format!("tasks/{method}"), json!({"taskId": id}));
        assert_eq!(answer.error(), -32602, "{method} {id:?}");
        assert_eq!(answer.message["error"]["message"], "unknown task", "it says no more");
    }
}

fn accept(_: &Value) -> Value {
    json!({"action": "accept", "content": {"interpretation": "snake"}})
}

fn forms() -> Value {
    json!({"elicitation": {"form": {}}})
}

#[test]
fn nobody_reaches_a_task_that_is_not_theirs() {
    // One process for all, whose ids are easy to guess.
    let backends = || json!({"jobs": peers::fixture("legacy_tasks.py", &[])});
    let main = json!({"path": "/mcp", "backends": ["jobs"], "conflicts": "none"});
    let second = json!({"path": "/second", "backends": ["jobs"], "conflicts": "none"});
    let weir = Weir::serve(json!({"backends": backends(), "endpoints": {"main": main, "second": second}}));
    let (first, other) = (Legacy::new(weir.endpoint()), Legacy::new(weir.endpoint()));
    let elsewhere = Legacy::new(weir.endpoint().at("/second"));
    let id = begin(&first, "hold", json!({"label": "first"}));
    assert_eq!(status(&first, &id), "working");
    let inner = asked(&first)[0][1].as_str().expect("an id").to_owned();
    assert_eq!(inner, "task-1");

    let mut forged = vec![inner.clone(), String::new(), "A".repeat(100), "A".repeat(5000), format!("{id}A")];
    for at in [0, id.len() / 2, id.len() - 2] {
        let other = if id[at..=at] == *"A" { "B" } else { "A" };
        forged.push(format!("{}{other}{}", &id[..at], &id[at + 1..]));
        forged.push(id[..at].to_owned());
    }
    forged.iter().for_each(|forged| is_unknown(&first, forged));
    // Another session of the same client is another, and so is another endpoint; a modern client knows no such task at all.
    is_unknown(&other, &id);
    is_unknown(&elsewhere, &id);
    let modern = Modern::with_capabilities(
        weir.endpoint(),
        json!({"extensions": {"io.modelcontextprotocol/tasks": {}}}),
    );
    assert_eq!(modern.ask("tasks/get", json!({"taskId": id})).error(), -32601);
    for wrong in [json!(7), json!(null), json!({})] {
        assert_eq!(first.ask("tasks/get", json!({"taskId": wrong})).error(), -32602);
    }
    // What a message says to belong to is for nobody to claim.
    let meta = json!({RELATED: {"taskId": inner}, "mine": 1});
    assert_eq!(other.ask("tools/call", json!({"name": "plain", "_meta": meta})).text(), "plain");
    let params = json!({"taskId": id, "_meta": {RELATED: {"taskId": "task-9"}, "mine": 1}});
    assert_eq!(first.ask("tasks/get", params).result()["status"], "working");
    assert_eq!(asked(&first), [json!(["tasks/get", inner, {"mine": 1}])], "the server heard of nothing else");

    // Each has what is theirs, and a session that has ended has nothing.
    let theirs = begin(&other, "hold", json!({"label": "other"}));
    first.call("release", json!({})).text();
    assert_eq!(first.ask("tasks/result", json!({"taskId": id})).text(), "held first");
    assert_eq!(other.ask("tasks/result", json!({"taskId": theirs})).text(), "held other");
    is_unknown(&first, &theirs);
    assert_eq!(first.ask("tasks/list", json!({})).error(), -32601, "nobody keeps a list");
}

#[test]
fn a_question_without_its_task_reaches_nobody() {
    let weir = jobs(json!({}));
    let owner = Legacy::open(weir.endpoint(), "2025-11-25", forms());
    let mut stranger = Capable::legacy(weir.endpoint(), "2025-11-25", forms());
    // While a task is under way, nobody can tell whose question it is: it is refused, and so is that of another call.
    let held = begin(&owner, "hold", json!({}));
    let call = |words: &str| json!({"name": "asks", "arguments": {"words": words}});
    let refused = stranger.converse("tools/call", call("mine?"), &accept).expect("an answer");
    assert!(refused.asked.is_empty(), "{refused:?}");
    let rude = begin(&owner, "rude", json!({}));
    wait::until_true("the question is refused", || {
        asked(&owner).iter().any(|one| *one == json!(["Who are you?", "refusal", null]))
    });
    owner.call("release", json!({})).text();
    for id in [held, rude] {
        owner.ask("tasks/result", json!({"taskId": id})).text();
    }
    let answered = stranger.converse("tools/call", call("now?"), &accept).expect("an answer");
    assert_eq!(answered.asked.len(), 1, "no task is under way any more: {answered:?}");

    // Nor is a task that failed, and whose result was asked for at once.
    let failed = begin(&owner, "fails", json!({}));
    assert_eq!(owner.ask("tasks/result", json!({"taskId": failed})).error(), -32007);
    let answered = stranger.converse("tools/call", call("and now?"), &accept).expect("an answer");
    assert_eq!(answered.asked.len(), 1, "{answered:?}");

    // The questions of a task go to its own client, whoever else may be asked something.
    let id = begin(&owner, "confirm", json!({"words": "for the owner"}));
    wait::until_true("it asks", || status(&owner, &id) == "input_required");
    let (request, number) = owner.prepare("tasks/result", json!({"taskId": id}));
    let mut stream = request.open(owner.endpoint()).events();
    let question = stream.message_where(|message| message["method"] == "elicitation/create");
    assert_eq!(question["params"]["message"], "for the owner");
    assert_eq!(question["params"]["_meta"][RELATED]["taskId"], json!(id));
    let meta = json!({RELATED: {"taskId": id}});
    owner.reply(&question["id"], json!({"action": "accept", "content": {"a": 1}, "_meta": meta}));
    let end = stream.message_where(|message| message["id"] == number && message.get("method").is_none());
    assert_eq!(end["result"]["_meta"][RELATED]["taskId"], json!(id), "{end}");
    let log = asked(&owner);
    let answer = json!({"action": "accept", "content": {"a": 1}, "_meta": {RELATED: {"taskId": "task-4"}}});
    assert!(log.contains(&json!(["for the owner", "answer", answer])), "{log:?}");
}

#[test]
fn a_session_is_told_of_its_tasks() {
    let weir = jobs(json!({}));
    let mut owner = Capable::legacy(weir.endpoint(), "2025-11-25", json!({}));
    let other = Legacy::new(weir.endpoint());
    let theirs = begin(&other, "hold", json!({}));
    let begun =
        owner.ask("tools/call", json!({"name": "hold", "arguments": {}, "task": {}})).expect("a task");
    let id = begun.message["result"]["task"]["taskId"].clone();
    other.call("release", json!({})).text();
    other.ask("tasks/result", json!({"taskId": theirs})).text();
    let told =
        owner.hear(&|message| message["method"] == "notifications/tasks/status").expect("a notification");
    assert_eq!((&told["params"]["taskId"], &told["params"]["status"]), (&id, &json!("completed")), "{told}");
}

#[test]
fn progress_goes_on_and_tasks_end_with_their_session() {
    let weir = jobs(json!({}));
    let mut owner = Capable::legacy(weir.endpoint(), "2025-11-25", json!({}));
    let other = Legacy::new(weir.endpoint());
    let meta = json!({"progressToken": "mine"});
    let ticking = json!({"name": "tick", "arguments": {}, "task": {}, "_meta": meta});
    let begun = owner.ask("tools/call", ticking).expect("a task");
    assert_eq!(begun.message["result"]["task"]["status"], "working", "{begun:?}");
    let theirs = begin(&other, "tick", json!({}));
    other.call("release", json!({})).text();
    other.ask("tasks/result", json!({"taskId": theirs})).text();
    for step in 0..3 {
        let told = owner.hear(&|message| message["method"] == "notifications/progress").expect("progress");
        assert_eq!(
            (&told["params"]["progressToken"], &told["params"]["progress"]),
            (&json!("mine"), &json!(step))
        );
    }
    drop(weir);

    let weir = jobs(json!({}));
    let (owner, other) = (Legacy::new(weir.endpoint()), Legacy::new(weir.endpoint()));
    begin(&owner, "hold", json!({}));
    let theirs = begin(&other, "hold", json!({}));
    let ended = begin(&owner, "both", json!({}));
    owner.ask("tasks/result", json!({"taskId": ended})).text();
    assert_eq!(owner.delete().status, 204);
    wait::until_true("the task has ended", || {
        asked(&other).iter().any(|one| one[0] == "tasks/cancel" && one[1] == "task-1")
    });
    assert_eq!(status(&other, &theirs), "working");
    assert!(asked(&other).iter().all(|one| one[0] != "tasks/cancel"), "what has ended is not ended again");
}

#[test]
fn tools_are_called_as_their_server_says() {
    let weir = jobs(json!({}));
    let newest = Legacy::new(weir.endpoint());
    let task = |name: &str, task: Value| newest.ask("tools/call", json!({"name": name, "task": task}));
    assert_eq!(newest.call("both", json!({})).text(), "as a call");
    let id = begin(&newest, "both", json!({}));
    assert_eq!(newest.ask("tasks/result", json!({"taskId": id})).text(), "as a task");
    assert_eq!(task("plain", json!({})).error(), -32601);
    assert_eq!(task("both", json!(true)).error(), -32602);
    let id = begin(&newest, "fails", json!({}));
    wait::until_true("it fails", || status(&newest, &id) == "failed");
    assert_eq!(
        newest.ask("tasks/result", json!({"taskId": id})).error(),
        -32007,
        "as the call would have failed"
    );

    // To older revisions, and to the modern one, a `task` means nothing.
    let older = Legacy::open(weir.endpoint(), "2025-06-18", json!({}));
    let modern = Modern::new(weir.endpoint());
    for client in [&older as &dyn Speak, &modern] {
        let ask =
            |name: &str| client.ask("tools/call", json!({"name": name, "arguments": {}, "task": {"ttl": 1}}));
        assert_eq!(ask("plain").text(), "plain");
        assert_eq!(ask("both").text(), "as a call");
        assert_eq!(ask("fails").error(), -32007);
    }
}

#[test]
fn a_call_that_weir_runs_as_a_task_goes_its_way_like_any_other() {
    let weir = jobs(json!({}));
    let client = Legacy::open(weir.endpoint(), "2025-06-18", json!({}));
    // Progress passes, with the client's token.
    let params = json!({"name": "tick", "arguments": {}, "_meta": {"progressToken": "mine"}});
    let (request, id) = client.prepare("tools/call", params);
    let stream = request.begin(client.endpoint());
    let helper = Modern::new(weir.endpoint());
    wait::until_true("it is asked about", || asked(&helper).iter().any(|one| one[0] == "tasks/get"));
    helper.call("release", json!({})).text();
    let mut stream = Exchange::of(stream).events();
    for step in 0..3 {
        let progress = stream.message_where(|message| message["method"] == "notifications/progress");
        assert_eq!(
            (&progress["params"]["progressToken"], &progress["params"]["progress"]),
            (&json!("mine"), &json!(step))
        );
    }
    let end = stream.message_where(|message| message["id"] == id && message.get("method").is_none());
    assert_eq!(end["result"]["content"][0]["text"], "ticked", "{end}");
    drop(weir);

    // A call that is cancelled, and one whose modern client goes, end their tasks.
    let weir = jobs(json!({}));
    let client = Legacy::open(weir.endpoint(), "2025-06-18", json!({}));
    let modern = Modern::new(weir.endpoint());
    let begun = |number: &str| {
        wait::until_true("it is asked about", || {
            asked(&modern).iter().any(|one| one[0] == "tasks/get" && one[1] == number)
        });
    };
    let cancelled = |number: &str| {
        wait::until_true("it is cancelled", || {
            asked(&modern).iter().any(|one| one[0] == "tasks/cancel" && one[1] == number)
        });
    };
    let (request, id) = client.prepare("tools/call", json!({"name": "hold", "arguments": {}}));
    let stream = request.begin(client.endpoint());
    begun("task-1");
    client.tell("notifications/cancelled", json!({"requestId": id}));
    cancelled("task-1");
    drop(stream);
    let (request, _) = modern.prepare("tools/call", json!({"name": "hold", "arguments": {}}));
    let stream = request.begin(modern.endpoint());
    begun("task-2");
    drop(stream);
    cancelled("task-2");
}

#[test]
fn tasks_stay_in_the_process_that_they_were_begun_in_and_end_with_it() {
    let weir = jobs(json!({"instances": 2}));
    let askable = Legacy::open(weir.endpoint(), "2025-11-25", forms());
    let quiet = Legacy::new(weir.endpoint());
    // A call that can be asked has a process to itself, so that others go to the other meanwhile.
    let occupied = |work: &mut dyn FnMut()| {
        let (request, number) = askable.prepare("tools/call", json!({"name": "asks", "arguments": {}}));
        let mut stream = request.open(askable.endpoint()).events();
        let question = stream.message_where(|message| message["method"] == "elicitation/create");
        work();
        askable.reply(&question["id"], json!({"action": "decline"}));
        stream.message_where(|message| message["id"] == number && message.get("method").is_none());
    };
    let pid = || quiet.call("pid", json!({})).text().to_owned();
    let result = |client: &Legacy, id: &str| client.ask("tasks/result", json!({"taskId": id}));
    let (mut second, mut process) = (String::new(), String::new());
    occupied(&mut || {
        second = begin(&quiet, "hold", json!({"label": "second"}));
        process = pid();
    });
    wait::until_true("the other process is free", || pid() != process);
    let first = begin(&quiet, "hold", json!({"label": "first"}));
    // Both servers call theirs `task-1`. What is asked about either goes to its own process, whichever is free.
    quiet.call("release", json!({})).text();
    assert_eq!(result(&quiet, &first).text(), "held first");
    assert_eq!(status(&quiet, &second), "working");
    occupied(&mut || assert_eq!(quiet.call("release", json!({})).text(), "released"));
    assert_eq!(result(&quiet, &second).text(), "held second");
    drop(weir);

    let weir = jobs(json!({}));
    let client = Legacy::new(weir.endpoint());
    let id = begin(&client, "hold", json!({}));
    let (request, number) = client.prepare("tasks/result", json!({"taskId": id}));
    let stream = request.begin(client.endpoint());
    wait::until_true("it is waited for", || asked(&client).iter().any(|one| one[0] == "tasks/result"));
    assert!(client.call("die", json!({})).failed());
    let end = Exchange::of(stream).finish().json();
    assert_eq!(end["id"], number);
    assert!(end["error"]["message"].as_str().is_some_and(|text| text.contains("went away")), "{end}");
    wait::until_true("it is back", || !client.call("pid", json!({})).failed());
    // The new process calls its first task the same.
    let other = begin(&client, "hold", json!({}));
    let gone = result(&client, &id);
    assert_eq!(gone.error(), -32602);
    let words = gone.message["error"]["message"].as_str().expect("words");
    assert!(words.contains("no longer has this task"), "{words}");
    assert_eq!(status(&client, &other), "working");
}
