//! Tasks: calls that go on after they were answered, in both eras, and that nobody but their owner reaches.

use serde_json::{Value, json};
use std::io::BufReader;
use weir_tests::http::{Body, Events};
use weir_tests::scripted::tool;
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Request, Scripted, Speak, Weir, modern, peers, wait};

const TASKS: &str = "io.modelcontextprotocol/tasks";
const ID: &str = "io.modelcontextprotocol/subscriptionId";

type Stream = Events<BufReader<Body>>;

/// A client that speaks the extension and can be asked by forms.
fn client(weir: &Weir) -> Modern {
    let capabilities = json!({"elicitation": {}, "extensions": {TASKS: {}, "com.example/mine": {}}});
    Modern::with_capabilities(weir.endpoint(), capabilities)
}

fn stdio() -> Value {
    peers::fixture("tasks.py", &["stdio"])
}

/// Begins a task; answers its id.
fn begin(client: &Modern, tool: &str, arguments: Value) -> String {
    let answer = client.call(tool, arguments);
    let made = answer.result();
    assert_eq!(made["resultType"], "task", "{made}");
    made["taskId"].as_str().expect("a task has an id").to_owned()
}

fn get(client: &Modern, id: &str) -> Value {
    let answer = client.ask("tasks/get", json!({"taskId": id}));
    let task = answer.result();
    assert_eq!((&task["resultType"], &task["taskId"]), (&json!("complete"), &json!(id)), "{task}");
    task.clone()
}

fn become_(client: &Modern, id: &str, status: &str) -> Value {
    wait::until(status, || Some(get(client, id)).filter(|task| task["status"] == status))
}

/// What the fixture was asked about tasks since it was asked for that last.
fn asked(client: &dyn Speak) -> Vec<Value> {
    serde_json::from_str(client.call("asked", json!({})).text()).expect("JSON")
}

/// Opens a stream; answers its id and the tasks that were acknowledged too.
fn listen(client: &Modern, ids: &[&str]) -> (Stream, Value, Value) {
    let (request, id) = client.prepare("subscriptions/listen", json!({"notifications": {"taskIds": ids}}));
    let mut stream = request.open(client.endpoint()).events();
    let first = stream.message();
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged", "{first}");
    assert_eq!(first["params"]["_meta"][ID], id);
    (stream, id, first["params"]["notifications"]["taskIds"].clone())
}

/// A server of tasks as a backend of either transport; what it is must live as long as the backend.
fn both() -> Vec<(&'static str, Value, Option<peers::HttpPeer>)> {
    let http = peers::tasks_http();
    vec![("stdio", stdio(), None), ("http", json!({"url": http.url()}), Some(http))]
}

#[test]
fn a_task_goes_its_whole_way_under_one_id() {
    for (transport, backend, _peer) in both() {
        let weir = Weir::serve(config(
            json!({"jobs": backend}),
            json!({"conflicts": "prefix", "resources": {"uris": "prefix"}}),
        ));
        let client = client(&weir);
        let discovered = client.ask("server/discover", json!({}));
        let extensions = &discovered.result()["capabilities"]["extensions"];
        assert_eq!(extensions, &json!({TASKS: {}}), "and no other: {transport}");
        let names = client.tool_names();
        let named = |tool: &str| names.iter().find(|name| name.ends_with(tool)).expect("a tool").clone();

        let id = begin(&client, &named("confirm_delete"), json!({"filename": "f"}));
        assert!(!id.contains("inner") && id.len() < 200, "{id}");
        let waiting = become_(&client, &id, "input_required");
        assert_eq!(waiting["inputRequests"]["confirm"]["method"], "elicitation/create");
        let responses = json!({"confirm": {"action": "accept", "content": {"confirm": true, "n": 1.50}}});
        let update = client.ask("tasks/update", json!({"taskId": id, "inputResponses": responses}));
        assert_eq!(update.result()["resultType"], "complete");
        let done = become_(&client, &id, "completed");
        assert!(done["result"]["content"][0]["text"].as_str().unwrap().contains("deleted f"), "{done}");
        assert_eq!(done["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "weir");

        // What the server was asked carries its own id, in the header too.
        let asked: Vec<Value> = serde_json::from_str(client.call(&named("asked"), json!({})).text()).unwrap();
        let inner = asked[0][1].as_str().expect("an id");
        assert!(inner.starts_with("inner-"), "{asked:?}");
        let header = if transport == "http" { json!(inner) } else { Value::Null };
        assert!(asked.iter().all(|one| one[1] == inner && one[2] == header), "{asked:?}");
        let update = asked.iter().find(|one| one[0] == "tasks/update").expect("an update");
        assert_eq!(update[3], responses, "what the client answered, and nothing else");

        // URIs in the result of a task are written as they are in that of a call.
        let id = begin(&client, &named("hold"), json!({}));
        client.call(&named("release"), json!({})).text();
        let done = become_(&client, &id, "completed");
        assert_eq!(done["result"]["content"][0]["uri"], "weir+jobs:doc:///a", "{done}");

        let id = begin(&client, &named("slow_compute"), json!({"seconds": 600}));
        assert_eq!(client.ask("tasks/cancel", json!({"taskId": id})).result()["resultType"], "complete");
        become_(&client, &id, "cancelled");
    }
}

#[test]
fn a_client_that_does_not_speak_of_tasks_is_given_none() {
    let weir = Weir::over(json!({"jobs": stdio()}));
    let (speaks, plain) = (client(&weir), Modern::new(weir.endpoint()));
    assert_eq!(plain.call("slow_compute", json!({"seconds": 1, "label": "x"})).text(), "computed x");
    let id = begin(&speaks, "slow_compute", json!({"seconds": 600}));
    let required = json!({"requiredCapabilities": {"extensions": {TASKS: {}}}});
    for (method, params) in [
        ("tools/call", json!({"name": "hold", "arguments": {}})),
        ("tasks/get", json!({"taskId": id})),
        ("tasks/update", json!({"taskId": id, "inputResponses": {}})),
        ("tasks/cancel", json!({"taskId": id})),
        ("tasks/get", json!({"taskId": "forged"})),
        ("subscriptions/listen", json!({"notifications": {"taskIds": [id]}})),
    ] {
        let answer = plain.ask(method, params);
        assert_eq!((answer.status, answer.error()), (400, -32021), "{method}");
        assert_eq!(answer.message["error"]["data"], required, "{method}");
    }
    assert_eq!(get(&speaks, &id)["status"], "working", "nobody cancelled it");

    // A legacy client cannot be told of a task, and the server knows that.
    let legacy = Legacy::new(weir.endpoint());
    assert!(legacy.welcome["capabilities"].get("extensions").is_none());
    assert_eq!(legacy.call("slow_compute", json!({"seconds": 1, "label": "x"})).text(), "computed x");
    assert!(legacy.call("hold", json!({})).failed());
    for method in ["tasks/get", "tasks/update", "tasks/cancel", "tasks/result", "tasks/list"] {
        assert_eq!(legacy.ask(method, json!({"taskId": id})).error(), -32601, "{method}");
    }
}

#[test]
fn what_was_not_negotiated_is_no_task() {
    let server = Scripted::modern(json!([tool("make")]), |request, reply| {
        let id = request.json()["params"]["arguments"]["id"].clone();
        reply.result(request, json!({"resultType": "task", "taskId": id, "status": "working"}));
    });
    let weir = Weir::over(json!({"jobs": server.backend()}));
    // No backend says that it has the extension, so that there is nothing to ask about.
    let speaks = client(&weir);
    assert!(speaks.ask("server/discover", json!({})).result()["capabilities"].get("extensions").is_none());
    let answer = speaks.ask("tasks/get", json!({"taskId": "x"}));
    assert_eq!((answer.status, answer.error()), (404, -32601));

    for client in [&Modern::new(weir.endpoint()) as &dyn Speak, &Legacy::new(weir.endpoint())] {
        let answer = client.call("make", json!({"id": "x"}));
        assert!(answer.failed() && !answer.message.to_string().contains("\"x\""), "{answer:?}");
    }
    for id in [json!(""), json!(7), json!(null), json!("x".repeat(1025))] {
        assert!(speaks.call("make", json!({"id": id})).failed(), "{id}");
    }
}

#[test]
fn nobody_reaches_a_task_that_is_not_theirs() {
    let jobs = peers::tasks_http();
    let other = peers::tasks_http();
    let backends = json!({"jobs": {"url": jobs.url()}, "other": {"url": other.url()}});
    let main = json!({"path": "/mcp", "backends": ["jobs"], "conflicts": "none"});
    let second = json!({"path": "/second", "backends": ["jobs", "other"], "conflicts": "priority"});
    let endpoints =
        |main: Value| json!({"backends": backends, "endpoints": {"main": main, "second": second}});
    let weir = Weir::serve(endpoints(main.clone()));
    let first = client(&weir);
    let elsewhere =
        Modern::with_capabilities(weir.endpoint().at("/second"), json!({"extensions": {TASKS: {}}}));
    let id = begin(&first, "slow_compute", json!({"seconds": 600}));
    let inner = {
        get(&first, &id);
        asked(&first)[0][1].as_str().expect("an id").to_owned()
    };

    let mut forged = vec![inner, String::new(), "A".repeat(100), "A".repeat(5000), format!("{id}A")];
    forged.push(id.to_lowercase());
    for at in [0, id.len() / 2, id.len() - 2] {
        let other = if id[at..=at] == *"A" { "B" } else { "A" };
        forged.push(format!("{}{other}{}", &id[..at], &id[at + 1..]));
        forged.push(id[..at].to_owned());
    }
    let refused = |client: &Modern, id: &str| {
        for (method, more) in
            [("get", json!({})), ("update", json!({"inputResponses": {}})), ("cancel", json!({}))]
        {
            let mut params = more;
            params["taskId"] = json!(id);
            let answer = client.ask(&format!("tasks/{method}"), params);
            assert_eq!(answer.error(), -32602, "{id:?}");
            assert_eq!(answer.message["error"]["message"], "unknown task", "it says no more");
        }
        assert_eq!(listen(client, &[id]).2, Value::Null, "{id:?}");
    };
    forged
        .iter()
        .filter(|forged| forged.len() < 1000 && !forged.is_empty())
        .for_each(|id| refused(&first, id));
    for id in &forged {
        assert_eq!(first.ask("tasks/get", json!({"taskId": id})).error(), -32602);
    }
    refused(&elsewhere, &id);
    for wrong in [json!(7), json!(null), json!({})] {
        assert_eq!(first.ask("tasks/get", json!({"taskId": wrong})).error(), -32602);
    }
    assert_eq!(first.ask("tasks/get", json!({})).error(), -32602);

    // Header and body must agree.
    let message = |id: &str| {
        let params = first.with_meta(json!({"taskId": id}));
        json!({"jsonrpc": "2.0", "id": 1, "method": "tasks/cancel", "params": params}).to_string()
    };
    let sends = |request: Request| request.send(first.endpoint());
    for header in [None, Some("other"), Some("")] {
        let answer = sends(modern::post(&message(&id), "tasks/cancel", header));
        assert_eq!((answer.status, &answer.messages()[0]["error"]["code"]), (400, &json!(-32020)));
    }
    assert!(asked(&first).is_empty(), "the server heard of none of this");

    // A reload keeps what it may keep: the backend may move, but not vanish, and the tool must still be there.
    weir.reconfigure(endpoints(
        json!({"path": "/mcp", "backends": ["other", "jobs"], "conflicts": "prefix"}),
    ));
    wait::until_true("the tools are renamed", || first.tool_names().iter().all(|name| name != "greet"));
    refused(&first, &id);
    weir.reconfigure(endpoints(json!({"path": "/mcp", "backends": ["other"], "conflicts": "none"})));
    wait::until_true("the tools are back", || first.tool_names().iter().any(|name| name == "greet"));
    refused(&first, &id);
    weir.reconfigure(endpoints(main));
    wait::until_true("its server is back", || {
        first.ask("tasks/get", json!({"taskId": id})).message["result"]["status"] == "working"
    });
    assert!(asked(&first).iter().all(|one| one[0] == "tasks/get"));

    // Another server of the same name is not its server.
    let mut moved = endpoints(json!({"path": "/mcp", "backends": ["jobs"], "conflicts": "none"}));
    moved["backends"]["jobs"] = json!({"url": other.url()});
    weir.reconfigure(moved);
    wait::until_true("its server is gone", || {
        first.ask("tasks/get", json!({"taskId": id})).message["error"]["message"] == "unknown task"
    });
    assert!(asked(&first).is_empty(), "the other heard of none of this");
    drop(weir);

    // Another weir has another key.
    let weir = Weir::over(json!({"jobs": {"url": jobs.url()}}));
    refused(&client(&weir), &id);
}

#[test]
fn streams_tell_of_the_tasks_that_were_asked_for() {
    for (transport, backend, _peer) in both() {
        let weir = Weir::serve(config(
            json!({"jobs": backend}),
            json!({"conflicts": "none", "resources": {"uris": "prefix"}}),
        ));
        let (one, two) = (client(&weir), client(&weir));
        let mine = begin(&one, "confirm_delete", json!({"filename": "f"}));
        let held = begin(&two, "hold", json!({}));
        become_(&one, &mine, "input_required");
        let (mut first, first_id, accepted) = listen(&one, &[&mine, "forged", &mine]);
        assert_eq!(accepted, json!([mine]), "{transport}");
        let (mut second, second_id, accepted) = listen(&two, &[&held]);
        assert_eq!(accepted, json!([held]), "{transport}");

        let responses = json!({"confirm": {"action": "decline"}});
        one.ask("tasks/update", json!({"taskId": mine, "inputResponses": responses})).result();
        let ends = |stream: &mut Stream, id: &str, listen: &Value| {
            let told = stream.message_where(|message| {
                assert_eq!(message["method"], "notifications/tasks", "{message}");
                let params = &message["params"];
                assert_eq!((&params["taskId"], &params["_meta"][ID]), (&json!(id), listen));
                params["status"] == "completed"
            });
            told["params"]["result"].clone()
        };
        assert!(ends(&mut first, &mine, &first_id)["content"][0]["text"].is_string());
        one.call("release", json!({})).text();
        assert_eq!(ends(&mut second, &held, &second_id)["content"][0]["uri"], "weir+jobs:doc:///a");

        // Where something may have been missed the stream ends, in good order.
        one.call("drop", json!({}));
        for (mut stream, id) in [(first, first_id), (second, second_id)] {
            let last = stream.message();
            assert_eq!(
                (&last["id"], &last["result"]["resultType"]),
                (&id, &json!("complete")),
                "{transport}"
            );
            assert!(stream.next().is_none());
        }
    }
}

#[test]
fn what_a_task_asks_is_checked_and_says_who_asks() {
    for (transport, backend, _peer) in both() {
        let echo = peers::fixture("echo.py", &["modern"]);
        let backends = json!({"jobs": backend, "echo": echo});
        let weir = Weir::serve(config(backends, json!({"conflicts": "prefix"})));
        let able = client(&weir);
        let unable = Modern::with_capabilities(weir.endpoint(), json!({"extensions": {TASKS: {}}}));
        let id = begin(&able, "jobs_confirm_delete", json!({"filename": "f"}));
        let waiting = become_(&able, &id, "input_required");
        let message = waiting["inputRequests"]["confirm"]["params"]["message"].as_str().expect("a message");
        assert!(message.starts_with("[jobs] "), "{transport}: {message}");
        let refused = unable.ask("tasks/get", json!({"taskId": id}));
        assert_eq!(refused.error(), -32603, "{}", refused.message);
        assert!(!refused.message.to_string().contains("inputRequests"));

        // Notifications too, and a stream that cannot tell of it ends.
        let id = begin(&able, "jobs_confirm_delete", json!({"filename": "f", "hold": true}));
        let (mut told, _, accepted) = listen(&able, &[&id]);
        assert_eq!(accepted, json!([id]));
        let (mut ended, listen_id, accepted) = listen(&unable, &[&id]);
        assert_eq!(accepted, json!([id]));
        able.call("jobs_release", json!({})).text();
        let waiting = told.message_where(|message| message["params"]["status"] == "input_required");
        let confirm = &waiting["params"]["inputRequests"]["confirm"];
        let message = confirm["params"]["message"].as_str().expect("a message");
        assert!(message.starts_with("[jobs] "), "{transport}: {message}");
        let last = ended.message();
        assert_eq!((&last["id"], &last["result"]["resultType"]), (&listen_id, &json!("complete")));
    }
}

#[test]
fn a_stream_ends_where_a_reload_takes_its_task_away() {
    let jobs = peers::tasks_http();
    let backends = json!({"jobs": {"url": jobs.url()}});
    let weir = Weir::over(backends.clone());
    let client = client(&weir);
    let id = begin(&client, "hold", json!({}));
    let (mut stream, listen_id, accepted) = listen(&client, &[&id]);
    assert_eq!(accepted, json!([id]));
    weir.reconfigure(config(backends, json!({"conflicts": "none", "tools": {"deny": ["hold"]}})));
    let last = stream.message();
    assert_eq!((&last["id"], &last["result"]["resultType"]), (&listen_id, &json!("complete")));
    let answer = client.ask("tasks/get", json!({"taskId": id}));
    assert_eq!(answer.error(), -32602);
}
