//! How the lists of several backends become one: names, conflicts, overrides, filters, pages.

use serde_json::{Value, json};
use weir_tests::message::names;
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Speak, Weir, peers, weir};

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
        let names = names(&tools);
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
fn prompts_and_resources_become_one_too() {
    let weir = Weir::serve(config(
        json!({"ada": peers::fastmcp_stdio(), "bob": peers::fastmcp_stdio()}),
        json!({"backends": ["ada", "bob"]}),
    ));
    for client in both(&weir) {
        assert_eq!(names(&client.list("prompts/list", "prompts")), ["ada_review", "bob_review"]);
        let asked = json!({"name": "bob_review", "arguments": {"subject": "a gateway"}});
        let prompt = client.ask("prompts/get", asked);
        let text = &prompt.result()["messages"][0]["content"]["text"];
        assert_eq!(text, "Review this: a gateway");
        let absent = json!({"name": "review", "arguments": {"subject": "a gateway"}});
        assert_eq!(client.ask("prompts/get", absent).error(), -32602);

        let resources = client.list("resources/list", "resources");
        assert_eq!(resources.len(), 1, "a URI is listed once: {resources:?}");
        let read = client.ask("resources/read", json!({"uri": "fast://motto"}));
        assert_eq!(read.result()["contents"][0]["text"], "slow is smooth");
        let templates = client.list("resources/templates/list", "resourceTemplates");
        assert_eq!(templates.len(), 1, "{templates:?}");
        let read = client.ask("resources/read", json!({"uri": "fast://square/12"}));
        assert_eq!(read.result()["contents"][0]["text"], "144");
    }
}

#[test]
fn under_the_manual_strategy_a_conflict_keeps_weir_from_starting() {
    let backends = json!({"ada": peers::fixture("echo.py", &[]), "bob": peers::fixture("echo.py", &[])});
    let mut config = config(backends, json!({"conflicts": "manual"}));
    config["listener"]["address"] = json!("127.0.0.1:0");
    let folder = tempfile::tempdir().expect("a folder");
    let file = weir::write_config(folder.path(), &config.to_string());
    let exit = weir::run(&["serve", "--config", file.to_str().expect("a path")]);
    assert!(!exit.status.success());
    for told in TOOLS.iter().chain(&["ada", "bob"]) {
        assert!(exit.stderr.contains(told), "{told} is not told: {}", exit.stderr);
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
