//! `weir check --connect`: every backend is tried once, what endpoints would show is told, and nothing is left running.

use serde_json::{Value, json};
use weir_tests::process::{Exit, is_running};
use weir_tests::{Scripted, peers, wait, weir};

/// Runs `weir check --connect` on a configuration, whose backends get the time that they need to start.
fn check(mut config: Value, options: &[&str]) -> Exit {
    if config["timeouts"]["start"].is_null() {
        config["timeouts"]["start"] = json!(format!("{}s", wait::DEADLINE.as_secs()));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let file = weir::write_config(folder.path(), &config.to_string());
    let arguments = [&["check", "--connect", file.to_str().expect("a path")], options].concat();
    weir::run(&arguments)
}

/// The same as JSON.
fn examined(config: Value, options: &[&str]) -> (Exit, Value) {
    let exit = check(config, &[&["--json"], options].concat());
    let found = serde_json::from_str(&exit.stdout).unwrap_or_else(|error| panic!("{error}: {exit:?}"));
    (exit, found)
}

#[test]
fn backends_of_every_kind_are_described() {
    let http = peers::everything_http();
    let backends = json!({
        "time": peers::time(),
        "everything": peers::everything_stdio(),
        "far": {"url": http.url()},
    });
    let (exit, found) = examined(weir::config(backends, json!({})), &["--strict"]);
    assert_eq!(exit.status.code(), Some(0), "{exit:?}");
    assert_eq!(found["ok"], true);
    let of = |name: &str| {
        let backends = found["backends"].as_array().expect("a list");
        backends.iter().find(|backend| backend["name"] == name).unwrap_or_else(|| panic!("{found}"))
    };
    let (time, everything, far) = (of("time"), of("everything"), of("far"));
    assert_eq!((&time["transport"], &time["offer"]["tools"]), (&json!("stdio"), &json!(2)));
    assert!(time["offer"]["server"].as_str().is_some_and(|name| name.starts_with("mcp-time")), "{time}");
    assert_eq!(far["transport"], "http");
    for offer in [&everything["offer"], &far["offer"]] {
        assert_eq!((&offer["era"], &offer["revision"]), (&json!("legacy"), &json!("2025-11-25")));
        assert_eq!(offer["instructions"], true);
        assert!(
            ["tools", "prompts", "resources", "templates"].iter().all(|list| offer[list] != 0),
            "{offer}"
        );
    }
    let endpoint = &found["endpoints"][0];
    assert_eq!((&endpoint["name"], &endpoint["path"]), (&json!("main"), &json!("/mcp")));
    let tools = |backend: &Value| backend["offer"]["tools"].as_u64().expect("a number");
    // Also those that can only be called as tasks of 2025-11-25.
    assert_eq!(endpoint["tools"], tools(time) + tools(everything) + tools(far));
}

#[test]
fn backends_that_cannot_be_reached_fail_the_check_with_their_reasons() {
    let port = peers::free_port();
    let backends = json!({
        "missing": {"command": "no-such-program"},
        "gone": {"url": format!("http://127.0.0.1:{port}/mcp")},
        "time": peers::time(),
    });
    let exit = check(weir::config(backends, json!({})), &[]);
    assert_eq!(exit.status.code(), Some(1), "{exit:?}");
    for text in [
        "backend missing: stdio, no answer",
        "cannot find the program `no-such-program`",
        "backend gone: http",
    ] {
        assert!(exit.stdout.contains(text), "{text} is not in {}", exit.stdout);
    }
    assert!(
        exit.stdout.contains("backend time: stdio, ") && exit.stdout.contains("2 errors"),
        "{}",
        exit.stdout
    );
}

#[test]
fn a_silent_backend_is_not_waited_for_without_end_and_is_stopped() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pid");
    let script = format!("echo $$ > {}; exec sleep 1000", file.display());
    let silent = json!({"command": "sh", "args": ["-c", script], "timeouts": {"stop": "200ms"}});
    let mut config = weir::config(json!({"silent": silent}), json!({}));
    config["timeouts"]["start"] = json!("2s");
    let exit = check(config, &[]);
    assert_eq!(exit.status.code(), Some(1), "{exit:?}");
    assert!(exit.stdout.contains("did not answer within 2 s"), "{}", exit.stdout);
    let pid = std::fs::read_to_string(file).expect("the program was started");
    let pid = pid.trim().parse().expect("a number");
    wait::until_true("the program is stopped", || !is_running(pid));
}

#[test]
fn rules_that_do_nothing_and_conflicts_are_told() {
    // Pinned, so that each program is started once.
    let time = || {
        let mut time = peers::time();
        time["era"] = json!("legacy");
        time
    };
    let endpoint = |conflicts: &str, tools: Value| json!({"path": format!("/{conflicts}"), "backends": ["one", "two"], "conflicts": conflicts, "tools": tools});
    let overrides = json!({"one": {"get_curent_time": {"hide": true}}});
    let config = json!({
        "backends": {"one": time(), "two": time()},
        "endpoints": {
            "rules": endpoint("prefix", json!({"allow": ["one_*", "get_current_time"], "overrides": overrides})),
            "priority": endpoint("priority", json!({})),
        },
    });
    let exit = check(config.clone(), &[]);
    assert_eq!(exit.status.code(), Some(0), "{exit:?}");
    for line in [
        "warning: an override is for `get_curent_time` of one, which has no such tool, did you mean `get_current_time`?",
        "warning: the pattern `get_current_time` of `allow` matches none of the tools, did you mean `one_get_current_time`?",
        "note: tools of two hidden by `allow`, of which no pattern matches: `get_current_time`, `convert_time`",
        "note: tool `convert_time` is offered by one, two: that of one is shown",
        "0 errors, 2 warnings",
    ] {
        assert!(exit.stdout.contains(line), "{line} is not in\n{}", exit.stdout);
    }
    assert_eq!(check(config.clone(), &["--strict"]).status.code(), Some(1));

    let mut config = config;
    config["endpoints"]["manual"] = endpoint("manual", json!({}));
    let exit = check(config, &[]);
    assert_eq!(exit.status.code(), Some(1), "{exit:?}");
    assert!(exit.stdout.contains("error: tool `convert_time` is offered by one, two"), "{}", exit.stdout);
}

#[test]
fn items_that_clients_cannot_use_are_told() {
    let bare = json!({"name": "bare"});
    let good = json!({"name": "two words", "inputSchema": {"type": "object"}});
    let tools = json!([bare, good, 7, {"title": "nameless"}]);
    let server = Scripted::modern(tools, |_, reply| reply.close());
    let (exit, found) = examined(weir::config(json!({"odd": server.backend()}), json!({})), &[]);
    assert_eq!(exit.status.code(), Some(0), "{exit:?}");
    let of_backend = &found["backends"][0]["problems"];
    assert_eq!(
        (&of_backend[0]["kind"], &of_backend[0]["severity"]),
        (&json!("items_invalid"), &json!("warning"))
    );
    let kinds: Vec<&str> = found["endpoints"][0]["findings"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|finding| finding["kind"].as_str())
        .collect();
    assert_eq!(kinds, ["schema", "name", "left_out"], "{found}");
}

#[test]
fn policies_that_do_not_fit_the_tools_are_told_with_their_place() {
    let schema =
        json!({"type": "object", "properties": {"amount": {"type": "integer"}}, "required": ["amount"]});
    let server = Scripted::modern(json!([{"name": "pay", "inputSchema": schema}]), |_, reply| reply.close());
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pay.cedar");
    let policies = "permit(principal, action == Action::\"call_tool\", resource == Tool::\"pay\")\n\
                    when { context.arguments.amount < 10 };\n\
                    @id(\"no gifts\") forbid(principal, action == Action::\"call_tool\", resource)\n  \
                    when { context.arguments has gift && context.arguments.gift };\n\
                    forbid(principal, action == Action::\"call_tool\", resource == Tool::\"pai\");\n";
    std::fs::write(&file, policies).expect("it can be written");
    let endpoint = json!({"conflicts": "none", "policies": {"files": [file]}});
    let config = weir::config(json!({"bank": server.backend()}), endpoint);
    let (exit, found) = examined(config.clone(), &[]);
    assert_eq!(exit.status.code(), Some(0), "a warning is no error: {exit:?}");
    let findings = found["endpoints"][0]["findings"].as_array().expect("a list");
    let told: Vec<_> = findings
        .iter()
        .map(|finding| {
            assert_eq!((&finding["kind"], &finding["severity"]), (&json!("policy"), &json!("warning")));
            assert_eq!(finding["file"], json!(file));
            (
                finding["line"].as_u64(),
                finding["column"].as_u64(),
                finding["text"].as_str().unwrap_or_default(),
            )
        })
        .collect();
    let expected = [
        (5, 1, "there is no tool `pai` at this endpoint now"),
        (4, 32, "`pay` has no argument `gift` that policies can read"),
    ];
    assert_eq!(told, expected.map(|(line, column, text)| (Some(line), Some(column), text)), "{found}");
    let exit = check(config, &["--strict"]);
    assert_eq!(exit.status.code(), Some(1), "{exit:?}");
    let at = |place: &str, text: &str| format!("  warning: {}:{place}: {text}", file.display());
    for line in [
        at("5:1", "there is no tool `pai` at this endpoint now, did you mean `pay`?"),
        at("4:32", "`pay` has no argument `gift` that policies can read (policy `no gifts`)"),
    ] {
        assert!(exit.stdout.lines().any(|told| told == line), "{line} is not in {}", exit.stdout);
    }
}

#[test]
fn a_wrong_file_fails_the_check() {
    let exit = check(json!({"backends": {"a": {"comand": "x"}}}), &[]);
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stderr.contains("did you mean `command`?"), "{}", exit.stderr);
}
