//! How the lists of several backends become one: names, conflicts, overrides, filters, pages, changes.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_tests::scripted::{self, tool};
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir, peers, wait};

const TOOLS: [&str; 5] = ["params", "line", "reply", "environment", "folder"];

/// Two servers with the same tools, which tell apart who they are by the variable `WHO`.
fn twins(endpoint: Value) -> Weir {
    let twin = |who: &str| {
        let mut backend = peers::fixture("echo.py", &["legacy"]);
        backend["env"] = json!({"WHO": who});
        backend
    };
    let mut endpoint = endpoint;
    endpoint["backends"] = json!(["ada", "bob"]);
    Weir::serve(config(json!({"ada": twin("ada"), "bob": twin("bob")}), endpoint))
}

fn who(client: &dyn Speak, tool: &str) -> String {
    client.call(tool, json!({"name": "WHO"})).text().to_owned()
}

fn both(weir: &Weir) -> [Box<dyn Speak>; 2] {
    [Box::new(Modern::new(weir.endpoint())), Box::new(Legacy::new(weir.endpoint()))]
}

#[test]
fn a_prefix_keeps_names_apart() {
    let weir = twins(json!({}));
    for client in both(&weir) {
        let expected = ["ada", "bob"].iter().flat_map(|who| TOOLS.map(|tool| format!("{who}_{tool}")));
        assert_eq!(client.tool_names(), expected.collect::<Vec<_>>());
        assert_eq!(who(&*client, "ada_environment"), "ada");
        assert_eq!(who(&*client, "bob_environment"), "bob");
        assert!(client.call("environment", json!({"name": "WHO"})).failed());
    }
}

#[test]
fn a_prefix_is_written_as_configured() {
    let weir = twins(json!({"conflicts": {"strategy": "prefix", "format": "{name}.of.{backend}"}}));
    for client in both(&weir) {
        assert!(client.tool_names().contains(&"line.of.bob".to_owned()));
        assert_eq!(who(&*client, "environment.of.bob"), "bob");
    }
}

#[test]
fn priority_takes_the_earlier_backend() {
    let weir = twins(json!({"conflicts": "priority"}));
    for client in both(&weir) {
        assert_eq!(client.tool_names(), TOOLS);
        assert_eq!(who(&*client, "environment"), "ada");
    }
}

#[test]
fn without_a_strategy_an_ambiguous_name_is_refused() {
    let weir =
        twins(json!({"conflicts": "none", "tools": {"overrides": {"bob": {"line": {"name": "bobs-line"}}}}}));
    for client in both(&weir) {
        assert_eq!(client.tool_names(), ["line", "bobs-line"]);
        assert!(client.call("environment", json!({"name": "WHO"})).failed());
        assert!(!client.call("line", json!({})).failed());
    }
}

#[test]
fn an_override_changes_what_clients_see() {
    let overrides = json!({"ada": {
        "environment": {"name": "whoami", "description": "Who it is.", "annotations": {"readOnlyHint": true}},
        "reply": {"hide": true},
    }});
    let weir = twins(json!({"tools": {"overrides": overrides}}));
    for client in both(&weir) {
        let tools = client.list("tools/list", "tools");
        let renamed =
            tools.iter().find(|tool| tool["name"] == "whoami").expect("it is listed by its new name");
        assert_eq!(renamed["description"], "Who it is.");
        assert_eq!(renamed["annotations"]["readOnlyHint"], true);
        let names = weir_tests::message::names(&tools);
        assert!(
            !names.contains(&"ada_environment".to_owned()) && !names.contains(&"ada_reply".to_owned()),
            "{names:?}"
        );
        assert_eq!(who(&*client, "whoami"), "ada");
        assert!(client.call("ada_reply", json!({"raw": "{}"})).failed());
        assert!(client.call("ada_environment", json!({"name": "WHO"})).failed());
    }
}

#[test]
fn filters_choose_by_the_name_that_clients_see() {
    let weir = twins(json!({"tools": {"allow": ["ada_*", "bob_l?ne"], "deny": ["*_{reply,folder}"]}}));
    for client in both(&weir) {
        assert_eq!(client.tool_names(), ["ada_params", "ada_line", "ada_environment", "bob_line"]);
        assert!(client.call("bob_environment", json!({"name": "WHO"})).failed());
        assert!(client.call("ada_folder", json!({})).failed());
    }
}

#[test]
fn what_is_hidden_and_what_is_not_there_look_alike() {
    let weir = twins(json!({"tools": {"deny": ["ada_reply"]}}));
    for client in both(&weir) {
        let hidden = client.call("ada_reply", json!({"raw": "{}"})).message;
        let absent = client.call("ada_nosuch", json!({"raw": "{}"})).message;
        let alike = |message: &Value| {
            let mut message = message.clone();
            message["id"] = json!(0);
            message.to_string().replace("ada_reply", "NAME").replace("ada_nosuch", "NAME")
        };
        assert_eq!(alike(&hidden), alike(&absent));
    }
}

#[test]
fn pages_add_up_to_the_whole_list() {
    for size in [1, 3, 10] {
        let weir = twins(json!({"page_size": size}));
        for client in both(&weir) {
            let first = client.ask("tools/list", json!({}));
            assert_eq!(first.result()["tools"].as_array().map(Vec::len), Some(size));
            assert_eq!(first.result()["nextCursor"].is_null(), size == 10);
            assert_eq!(client.tool_names().len(), 10);
        }
    }
}

#[test]
fn a_cursor_that_was_not_given_is_refused() {
    let weir = twins(json!({"page_size": 3}));
    for client in both(&weir) {
        for cursor in ["nonsense", "", "AAAA", "3"] {
            assert_eq!(client.ask("tools/list", json!({"cursor": cursor})).error(), -32602, "{cursor:?}");
        }
    }
}

#[test]
fn a_client_that_pages_through_a_change_sees_one_list() {
    let mut config = config(
        json!({"changing": peers::fixture("changing.py", &["legacy"])}),
        json!({"conflicts": "none", "page_size": 1}),
    );
    config["endpoints"]["main"]["backends"] = json!(["changing"]);
    let weir = Weir::serve(config);
    for client in both(&weir) {
        let first = client.ask("tools/list", json!({}));
        let cursor = json!({"cursor": first.result()["nextCursor"]});
        let add = |name: &str| {
            client.call("add_tool", json!({"name": name}));
            wait::until_true("the new tool is listed", || client.tool_names().contains(&name.to_owned()));
        };
        let remove = |name: &str| {
            client.call("remove_tool", json!({"name": name}));
            wait::until_true("the old tool is gone", || !client.tool_names().contains(&name.to_owned()));
        };
        add("later");
        let second = client.ask("tools/list", cursor.clone());
        assert_eq!(second.result()["tools"][0]["name"], "remove_tool");
        assert_eq!(second.result()["nextCursor"], Value::Null, "the list of then ends here");
        // The seven catalogs before the current one are kept.
        for _ in 0..4 {
            remove("later");
            add("later");
        }
        assert_eq!(client.ask("tools/list", cursor).error(), -32602);
        remove("later");
    }
}

#[test]
fn a_legacy_client_hears_of_changes_on_its_stream() {
    for era in ["legacy", "modern"] {
        let weir = Weir::over(json!({"changing": peers::fixture("changing.py", &[era])}));
        let client = Legacy::new(weir.endpoint());
        assert_eq!(client.welcome["capabilities"]["tools"]["listChanged"], true);
        let mut stream = client.listen();
        client.call("add_tool", json!({"name": "later"}));
        assert_eq!(stream.message()["method"], "notifications/tools/list_changed");
        assert_eq!(client.tool_names(), ["add_tool", "remove_tool", "later"]);
        assert_eq!(client.call("later", json!({})).text(), "this is later");
        client.call("remove_tool", json!({"name": "later"}));
        assert_eq!(stream.message()["method"], "notifications/tools/list_changed");
        assert_eq!(client.tool_names(), ["add_tool", "remove_tool"]);
    }
}

#[test]
fn a_modern_client_hears_of_the_changes_it_asked_for() {
    for era in ["legacy", "modern"] {
        let weir = Weir::over(json!({"changing": peers::fixture("changing.py", &[era])}));
        let client = Modern::new(weir.endpoint());
        let listen = |filter: Value| client.prepare("subscriptions/listen", json!({"notifications": filter}));
        let (request, id) = listen(json!({"toolsListChanged": true}));
        let mut stream = request.open(&weir.endpoint()).events();
        let first = stream.message();
        assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
        assert_eq!(first["params"]["notifications"]["toolsListChanged"], true);

        client.call("add_tool", json!({"name": "later"}));
        let change = stream.message();
        assert_eq!(change["method"], "notifications/tools/list_changed");
        assert_eq!(change["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
        assert_eq!(client.tool_names(), ["add_tool", "remove_tool", "later"]);
    }
}

#[test]
fn a_backend_that_cannot_start_does_not_hold_up_the_others() {
    let weir = Weir::over(json!({
        "absent": {"command": "/no/such/program"},
        "closed": {"url": format!("http://127.0.0.1:{}/mcp", peers::free_port())},
        "echo": peers::fixture("echo.py", &["legacy"]),
    }));
    for client in both(&weir) {
        assert_eq!(client.tool_names(), TOOLS);
        assert!(!client.call("line", json!({})).failed());
    }
}

#[test]
fn a_backend_that_comes_later_is_announced() {
    // A program that is not there yet, and a server that is not well yet.
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("later.py");
    let mut program = peers::fixture("echo.py", &["legacy"]);
    let real = program["args"][0].as_str().expect("a path").to_owned();
    program["args"][0] = json!(script);
    appears(program, "line", || {
        std::os::unix::fs::symlink(&real, &script).expect("the program can be put there");
    });

    let well = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&well);
    let script = scripted::modern(json!([tool("one")]), |request, reply| {
        reply.result(request, json!({"resultType": "complete", "content": []}));
    });
    let server = Scripted::start(move |request, reply| {
        if seen.load(Ordering::Relaxed) {
            script(request, reply);
        } else {
            reply.body(503, "text/plain", "not yet");
        }
    });
    appears(server.backend(), "one", || well.store(true, Ordering::Relaxed));
}

/// Checks that clients of both eras hear of a backend that is there only after `arrive`, and can call its tool.
fn appears(backend: Value, tool: &str, arrive: impl Fn()) {
    let weir = Weir::over(json!({"later": backend, "time": peers::time()}));
    let (legacy, modern) = (Legacy::new(weir.endpoint()), Modern::new(weir.endpoint()));
    let mut legacy_stream = legacy.listen();
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let (request, _) = modern.prepare("subscriptions/listen", listen);
    let mut modern_stream = request.open(&weir.endpoint()).events();
    modern_stream.message();
    assert_eq!(modern.tool_names(), ["get_current_time", "convert_time"]);
    arrive();
    for stream in [&mut legacy_stream, &mut modern_stream] {
        stream.message_where(|message| message["method"] == "notifications/tools/list_changed");
    }
    for client in [&legacy as &dyn Speak, &modern] {
        assert!(client.tool_names().contains(&tool.to_owned()));
        assert!(!client.call(tool, json!({})).failed());
    }
}

#[test]
fn two_endpoints_show_different_backends() {
    let mut config =
        config(json!({"echo": peers::fixture("echo.py", &["legacy"]), "time": peers::time()}), json!({}));
    config["endpoints"] = json!({
        "main": {"path": "/mcp", "backends": ["echo"], "conflicts": "none"},
        "clock": {"path": "/clock", "backends": ["time"], "conflicts": "none"},
    });
    let weir = Weir::serve(config);
    assert_eq!(Modern::new(weir.endpoint().at("/mcp")).tool_names(), TOOLS);
    assert_eq!(Modern::new(weir.endpoint().at("/clock")).tool_names(), ["get_current_time", "convert_time"]);
    let session = Legacy::new(weir.endpoint().at("/mcp"));
    let elsewhere = session.prepare("tools/list", json!({})).0.send(&weir.endpoint().at("/clock"));
    assert_eq!(elsewhere.status, 404, "a session belongs to its endpoint");
}
