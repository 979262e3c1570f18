//! A configuration that changes while weir runs: what clients notice, and what they do not.

use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_tests::process::{children, is_running};
use weir_tests::scripted::{self, tool};
use weir_tests::weir::{complete, config};
use weir_tests::{Answer, Legacy, Modern, Paired, Scripted, Speak, Stdio, Weir, peers, wait};

const TOOLS_CHANGED: &str = "notifications/tools/list_changed";
const UPDATED: &str = "notifications/resources/updated";

fn echo() -> Value {
    peers::fixture("echo.py", &["legacy"])
}

fn changing() -> Value {
    peers::fixture("changing.py", &["legacy"])
}

fn slow(folder: &Path) -> Value {
    peers::fixture("slow.py", &[folder.to_str().expect("a path"), "legacy"])
}

fn over(backends: Value) -> Value {
    config(backends, json!({"conflicts": "none"}))
}

/// What is replaced ends because nobody holds it, not because of a deadline.
fn patiently(mut config: Value) -> Value {
    config["timeouts"]["drain"] = json!("10m");
    config
}

fn has(client: &dyn Speak, tool: &str) -> bool {
    client.tool_names().iter().any(|name| name == tool)
}

fn logged(weir: &Weir, text: &str) {
    wait::until_true(&format!("weir logs {text:?}"), || weir.log().contains(text));
}

/// The processes below weir whose command line holds `text`.
fn processes(weir: &Weir, text: &str) -> Vec<i32> {
    processes_below(weir.pid(), text)
}

fn processes_below(pid: i32, text: &str) -> Vec<i32> {
    let command = |pid: &i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    children(pid).into_iter().filter(|pid| command(pid).contains(text)).collect()
}

#[test]
fn a_backend_that_is_added_is_announced_and_the_others_stay() {
    let weir = Weir::serve(over(json!({"echo": echo()})));
    let child = processes(&weir, "echo.py");
    assert_eq!(child.len(), 1);
    let (legacy, modern) = (Legacy::new(weir.endpoint()), Modern::new(weir.endpoint()));
    let mut legacy_stream = legacy.listen();
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let mut modern_stream = modern.prepare("subscriptions/listen", listen).0.open(&weir.endpoint()).events();
    modern_stream.message();

    // The new one comes first, so that everybody's place among the backends changes.
    weir.reconfigure(over(json!({"changing": changing(), "echo": echo()})));
    assert_eq!(legacy_stream.message()["method"], TOOLS_CHANGED);
    assert_eq!(modern_stream.message()["method"], TOOLS_CHANGED);
    for client in [&legacy as &dyn Speak, &modern] {
        assert!(has(client, "add_tool") && has(client, "line"));
        assert!(client.call("line", json!({})).text().contains("tools/call"));
    }
    assert_eq!(processes(&weir, "echo.py"), child, "the same process serves on");

    // The streams go on with what the new backend announces.
    modern.call("add_tool", json!({"name": "later"}));
    assert_eq!(legacy_stream.message()["method"], TOOLS_CHANGED);
    assert_eq!(modern_stream.message()["method"], TOOLS_CHANGED);
}

#[test]
fn a_call_in_a_backend_that_is_removed_ends_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let with = |backends: Value| {
        let mut config = over(backends);
        config["timeouts"]["drain"] = json!("10m");
        config
    };
    let weir = Weir::serve(with(json!({"echo": echo(), "slow": slow(folder.path())})));
    let client = Legacy::new(weir.endpoint());
    // Open streams keep nothing of what is replaced.
    let _stream = client.listen();
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let (listen, _) = Modern::new(weir.endpoint()).prepare("subscriptions/listen", listen);
    let mut modern_stream = listen.open(&weir.endpoint()).events();
    modern_stream.message();
    let child = processes(&weir, "slow.py");
    let (request, id) = client.prepare("tools/call", json!({"name": "wait", "arguments": {}}));
    let endpoint = weir.endpoint();
    let caller = std::thread::spawn(move || request.send(&endpoint));
    wait::until_true("the call has started", || folder.path().join("started").exists());

    weir.reconfigure(with(json!({"echo": echo()})));
    wait::until_true("the tool is gone", || !has(&client, "wait"));
    assert_eq!(client.call("quick", json!({})).error(), -32602);
    assert!(is_running(child[0]), "its call still runs");
    std::fs::write(folder.path().join("release"), "").expect("a file can be written");
    let response = caller.join().expect("the caller is answered");
    assert_eq!(Answer::of(&response, &id).text(), "released");
    wait::until_true("its process has ended", || !is_running(child[0]));
}

#[test]
fn a_call_that_outstays_the_drain_is_given_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let with = |backends: Value| {
        let mut config = over(backends);
        config["timeouts"]["drain"] = json!("100ms");
        config
    };
    let weir = Weir::serve(with(json!({"echo": echo(), "slow": slow(folder.path())})));
    let client = Modern::new(weir.endpoint());
    let (request, id) = client.prepare("tools/call", json!({"name": "wait", "arguments": {}}));
    let endpoint = weir.endpoint();
    let caller = std::thread::spawn(move || request.send(&endpoint));
    wait::until_true("the call has started", || folder.path().join("started").exists());
    weir.reconfigure(with(json!({"echo": echo()})));
    let response = caller.join().expect("the caller is answered");
    assert!(Answer::of(&response, &id).failed());
    logged(&weir, "giving up the calls that still run");
}

#[test]
fn a_filter_that_changes_is_announced() {
    let with = |endpoint: Value| config(json!({"echo": echo(), "changing": changing()}), endpoint);
    let weir = Weir::serve(with(json!({"conflicts": "none", "page_size": 1})));
    let client = Legacy::new(weir.endpoint());
    let mut stream = client.listen();
    let first = client.ask("tools/list", json!({}));
    let cursor = json!({"cursor": first.result()["nextCursor"]});
    let children = children(weir.pid());
    weir.reconfigure(with(json!({"conflicts": "none", "page_size": 1, "tools": {"deny": ["line"]}})));
    assert_eq!(stream.message()["method"], TOOLS_CHANGED);
    assert!(!has(&client, "line") && has(&client, "folder"));
    // The list before may show what nobody may see any more.
    assert_eq!(client.ask("tools/list", cursor).error(), -32602);
    assert_eq!(weir_tests::process::children(weir.pid()), children);
}

#[test]
fn what_cannot_be_used_changes_nothing() {
    let weir = Weir::serve(over(json!({"echo": echo()})));
    let client = Legacy::new(weir.endpoint());
    weir.rewrite("backends:\n  echo:\n    comand: oops\n");
    logged(&weir, "weir.yaml:3:5: ");
    logged(&weir, "the running one stays");
    assert!(has(&client, "line"));

    let mut moved = complete(over(json!({"echo": echo(), "changing": changing()})));
    moved["listener"]["address"] = json!("127.0.0.1:1");
    moved["listener"]["h2c"] = json!(false);
    weir.rewrite(&moved.to_string());
    logged(&weir, "`listener.address`, `listener.h2c` cannot change while weir runs");
    assert!(has(&client, "line") && !has(&client, "add_tool"));

    let twice =
        config(json!({"echo": echo(), "other": echo(), "third": changing()}), json!({"conflicts": "manual"}));
    weir.reconfigure(twice);
    logged(&weir, "has unresolved conflicts");
    assert!(has(&client, "line") && !has(&client, "add_tool"));
    wait::until_true("what was started for it has ended", || processes(&weir, ".py").len() == 1);

    weir.reconfigure(over(json!({"echo": echo(), "changing": changing()})));
    wait::until_true("a good one is taken again", || has(&client, "add_tool"));
}

#[test]
fn sessions_stay_with_their_endpoint_and_end_with_it() {
    let config = |endpoints: Value| json!({"backends": {"echo": echo()}, "endpoints": endpoints});
    let both = json!({"main": {"path": "/mcp"}, "other": {"path": "/other"}});
    let weir = Weir::serve(config(both.clone()));
    let other = weir.endpoint().at("/other");
    let (stays, goes) = (Legacy::new(weir.endpoint()), Legacy::new(other.clone()));
    let mut legacy_stream = goes.listen();
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let modern = Modern::new(other.clone()).prepare("subscriptions/listen", listen).0;
    let mut modern_stream = modern.open(&other).events();
    modern_stream.message();

    weir.reconfigure(config(json!({"main": {"path": "/mcp"}})));
    assert!(legacy_stream.all(|event| event.data.is_empty()));
    assert!(modern_stream.all(|event| event.json()["result"]["resultType"] == "complete"));
    assert_eq!(goes.post(r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#).status, 404);
    assert!(has(&stays, "echo_line"));

    // One that comes back is another one.
    weir.reconfigure(config(both));
    wait::until_true("it is there again", || {
        let (list, _) = Modern::new(other.clone()).prepare("tools/list", json!({}));
        list.send(&other).status == 200
    });
    assert_eq!(goes.post(r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#).status, 404);
    assert!(has(&Legacy::new(other), "echo_line"));
    assert!(has(&stays, "echo_line"));
}

#[test]
fn subscriptions_stay_with_their_resource() {
    for era in ["legacy", "modern"] {
        let watched = |number: &str| {
            let mut backend = peers::fixture("watched.py", &[era]);
            backend["env"] = json!({"NUMBER": number});
            backend
        };
        let weir = Weir::serve(patiently(over(json!({"watched": watched("1")}))));
        let (legacy, modern) = (Legacy::new(weir.endpoint()), Modern::new(weir.endpoint()));
        let mut legacy_stream = legacy.listen();
        for uri in ["doc:///a", "doc:///b"] {
            legacy.ask("resources/subscribe", json!({"uri": uri})).result();
        }
        let listen = json!({"notifications": {"resourceSubscriptions": ["doc:///a", "doc:///b"]}});
        let (request, _) = modern.prepare("subscriptions/listen", listen);
        let mut modern_stream = request.open(&weir.endpoint()).events();
        modern_stream.message();
        // What the next so many updates say, on both streams: in order of the URIs, since each comes as soon as it can.
        let mut updates = |count: usize| {
            let read = |message: Value| (message["params"]["uri"].clone(), message["params"]["title"] == "T");
            let mut legacy: Vec<_> = (0..count)
                .map(|_| read(legacy_stream.message_where(|message| message["method"] == UPDATED)))
                .collect();
            let mut modern: Vec<_> = (0..count).map(|_| read(modern_stream.message())).collect();
            for told in [&mut legacy, &mut modern] {
                told.sort_by_key(|(uri, _)| uri.to_string());
            }
            assert_eq!(legacy, modern);
            legacy
        };
        let touch = |uri: &str| drop(legacy.call("touch", json!({"uri": uri})));
        touch("doc:///a");
        assert_eq!(updates(1), [(json!("doc:///a"), true)], "{era}");
        legacy.call("asked", json!({}));

        // The new one comes first, so that everybody's place among the backends changes.
        weir.reconfigure(patiently(over(json!({"echo": echo(), "watched": watched("1")}))));
        wait::until_true("the new tools are listed", || has(&modern, "line"));
        touch("doc:///b");
        assert_eq!(updates(1), [(json!("doc:///b"), true)], "{era}");
        assert_eq!(legacy.call("asked", json!({})).text(), "[]", "nothing is asked for twice");

        // Another process takes it over, and what was missed between the two is told.
        weir.reconfigure(patiently(over(json!({"echo": echo(), "watched": watched("2")}))));
        assert_eq!(updates(2), [(json!("doc:///a"), false), (json!("doc:///b"), false)], "{era}");
        touch("doc:///a");
        assert_eq!(updates(1), [(json!("doc:///a"), true)], "{era}");

        // Nobody hears of what he may not see any more.
        let hidden = json!({"conflicts": "none", "resources": {"deny": ["doc:///a"]}});
        weir.reconfigure(patiently(config(json!({"echo": echo(), "watched": watched("2")}), hidden)));
        wait::until_true("it is hidden", || {
            legacy.ask("resources/subscribe", json!({"uri": "doc:///a"})).message.get("error").is_some()
        });
        touch("doc:///a");
        touch("doc:///b");
        assert_eq!(updates(1), [(json!("doc:///b"), true)], "{era}");

        // The server goes for good, although a stream is open and another one may be taken up again.
        drop(legacy_stream);
        weir.reconfigure(patiently(over(json!({"echo": echo()}))));
        wait::until_true("its process has ended", || processes(&weir, "watched.py").is_empty());
        assert_eq!(legacy.ask("resources/subscribe", json!({"uri": "doc:///b"})).error(), -32002);

        // It comes back, though only after the reload, and so does what was subscribed to.
        let mut back = over(json!({"echo": echo(), "watched": watched("3")}));
        back["timeouts"]["start"] = json!("1ms");
        weir.reconfigure(back);
        let mut missed = [(); 2].map(|()| modern_stream.message()["params"]["uri"].to_string());
        missed.sort();
        assert_eq!(missed, ["\"doc:///a\"", "\"doc:///b\""], "{era}");
    }
}

#[test]
fn connections_hear_of_changes_and_end_with_their_endpoint() {
    let before = || patiently(over(json!({"echo": echo()})));
    let after = || patiently(over(json!({"changing": changing()})));
    let mut renamed = after();
    let endpoint = renamed["endpoints"]["main"].take();
    renamed["endpoints"] = json!({"other": endpoint});
    let lists_it = |answer: &Value| {
        let tools = answer["result"]["tools"].as_array().expect("a list");
        assert!(tools.iter().any(|tool| tool["name"] == "add_tool"), "{answer}");
    };

    let mut program = Stdio::serve(before());
    program.initialize("2025-06-18");
    program.reconfigure(after());
    program.message_where(|message| message["method"] == TOOLS_CHANGED);
    let list = program.request("tools/list", json!({}));
    lists_it(&program.answer(&list));
    wait::until_true("the old one has ended", || processes_below(program.pid(), "echo.py").is_empty());
    program.reconfigure(renamed.clone());
    let (status, _, log) = program.finish();
    assert!(status.success(), "{log}");

    let weir = Weir::serve(before());
    let mut client = Paired::new(&weir.endpoint(), "2024-11-05");
    let mut unused = Paired::open(&weir.endpoint());
    weir.reconfigure(after());
    client.stream.message_where(|message| message["method"] == TOOLS_CHANGED);
    lists_it(&client.ask("tools/list", json!({})));
    wait::until_true("the old one has ended", || processes(&weir, "echo.py").is_empty());
    weir.reconfigure(renamed);
    assert!(client.stream.all(|event| event.data.is_empty()));
    assert!(unused.stream.all(|event| event.data.is_empty()));
    assert_eq!(client.post(r#"{"jsonrpc": "2.0", "id": 9, "method": "ping"}"#).status, 404);
}

#[test]
fn upstream_sessions_stay_with_their_backend_and_end_with_it() {
    let server = Scripted::legacy(json!([tool("session")]), |request, reply| {
        let session = request.header("mcp-session-id").unwrap_or("none");
        reply.result(request, json!({"content": [{"type": "text", "text": session}]}));
    });
    let with = |headers: Value, other: Value| {
        let mut backends = json!({"telling": {"url": server.url(), "headers": headers}});
        backends.as_object_mut().expect("an object").extend(other.as_object().expect("an object").clone());
        over(backends)
    };
    let ended = |session: &str| {
        wait::until_true("the upstream session is ended", || {
            server.received().iter().any(|request| {
                request.method == "DELETE" && request.header("mcp-session-id") == Some(session)
            })
        });
    };
    let weir = Weir::serve(with(json!({}), json!({})));
    let client = Legacy::new(weir.endpoint());
    let session = || client.call("session", json!({})).text().to_owned();
    let first = session();
    weir.reconfigure(with(json!({}), json!({"echo": echo()})));
    wait::until_true("the new tool is listed", || has(&client, "line"));
    assert_eq!(session(), first);

    weir.reconfigure(with(json!({"x-new": "yes"}), json!({"echo": echo()})));
    ended(&first);
    let second = session();
    assert_ne!(second, first);

    // The backend stays, the endpoint and its client's session do not.
    let mut elsewhere = with(json!({"x-new": "yes"}), json!({"echo": echo()}));
    let endpoint = elsewhere["endpoints"]["main"].take();
    elsewhere["endpoints"] = json!({"new": endpoint});
    weir.reconfigure(elsewhere);
    ended(&second);
    assert_eq!(client.post(r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#).status, 404);
}

#[test]
fn bounds_and_allowed_origins_are_taken_over() {
    let weir = Weir::serve(over(json!({"echo": echo()})));
    let (client, _) = Modern::new(weir.endpoint()).prepare("tools/list", json!({}));
    let from = client.header("origin", "https://app.example.com");
    assert_eq!(from.send(&weir.endpoint()).status, 403);
    let mut config = over(json!({"echo": echo()}));
    config["listener"]["allowed_origins"] = json!(["https://app.example.com"]);
    weir.reconfigure(config.clone());
    wait::until_true("the origin is allowed", || from.send(&weir.endpoint()).status == 200);
    config["limits"]["body"] = json!(10);
    weir.reconfigure(config);
    wait::until_true("the body is too large", || from.send(&weir.endpoint()).status == 413);
}

#[test]
fn no_call_fails_while_the_configuration_changes() {
    let server = Scripted::start(scripted::modern(json!([tool("one")]), |request, reply| {
        reply.result(request, json!({"resultType": "complete", "content": []}));
    }));
    let version = |number: usize| {
        let number = number.to_string();
        let mut backend = echo();
        backend["env"] = json!({"NUMBER": number});
        let web = json!({"url": server.url(), "headers": {"x-number": number}});
        over(json!({"echo": backend, "web": web}))
    };
    let weir = Weir::serve_with(version(0), &["--no-watch"]);
    let done = AtomicBool::new(false);
    let call = |client: &dyn Speak| {
        let mut count = 0;
        while !done.load(Ordering::Relaxed) {
            assert!(!client.call("environment", json!({"name": "NUMBER"})).failed());
            assert!(!client.call("one", json!({})).failed());
            assert!(has(client, "one") && has(client, "environment"));
            count += 1;
        }
        count
    };
    std::thread::scope(|threads| {
        let legacy = threads.spawn(|| call(&Legacy::new(weir.endpoint())));
        let modern = threads.spawn(|| call(&Modern::new(weir.endpoint())));
        let client = Modern::new(weir.endpoint());
        let mut all = true;
        for number in 1..=10 {
            weir.reconfigure(version(number));
            weir.hang_up();
            let text = number.to_string();
            let taken = wait::poll(wait::DEADLINE, &mut || {
                (client.call("environment", json!({"name": "NUMBER"})).text() == text).then_some(())
            });
            all &= taken.is_some();
        }
        done.store(true, Ordering::Relaxed);
        assert!(all, "every configuration is taken");
        assert!(legacy.join().expect("no call of a legacy client fails") > 0);
        assert!(modern.join().expect("no call of a modern client fails") > 0);
    });
}

#[test]
fn many_reloads_leave_nothing_behind() {
    let version = |number: usize| {
        let mut backend = echo();
        backend["env"] = json!({"NUMBER": number.to_string()});
        let filter = json!({"conflicts": "none", "tools": {"deny": [format!("none{number}")]}});
        config(json!({"echo": backend, "changing": changing()}), filter)
    };
    let weir = Weir::serve_with(version(0), &["--no-watch"]);
    let client = Legacy::new(weir.endpoint());
    let _stream = client.listen();
    let count =
        |what: &str| std::fs::read_dir(format!("/proc/{}/{what}", weir.pid())).expect("weir runs").count();
    let stays = processes(&weir, "changing.py");
    let until_number = |number: usize| {
        let number_text = number.to_string();
        wait::until_true("the new process answers", || {
            client.call("environment", json!({"name": "NUMBER"})).message["result"]["content"][0]["text"]
                == number_text.as_str()
        });
        wait::until_true("the old one has ended", || processes(&weir, "echo.py").len() == 1);
    };
    weir.reconfigure(version(1));
    weir.hang_up();
    until_number(1);
    let (threads, files) = (count("task"), count("fd"));
    for number in 2..=50 {
        weir.reconfigure(version(number));
        weir.hang_up();
        // Some come one by one, some in a heap.
        if number % 5 == 0 {
            until_number(number);
        }
    }
    until_number(50);
    wait::until_true("no descriptor is left behind", || count("fd") <= files);
    wait::until_true("no thread is left behind", || count("task") <= threads);
    assert_eq!(processes(&weir, "changing.py"), stays);
    assert_eq!(client.post(r#"{"jsonrpc": "2.0", "id": 1, "method": "ping"}"#).status, 200);
}
