//! The command line: what is checked before anything is served, and what the exit code says.

use serde_json::{Value, json};
use weir_tests::process::Exit;
use weir_tests::{Modern, Speak, Weir, peers, weir};

/// The exit code for what the operator got wrong (EX_USAGE).
const USAGE: i32 = 64;

/// Runs `weir COMMAND --config FILE` on a file with this text.
fn with_config(command: &str, text: &str) -> Exit {
    let folder = tempfile::tempdir().expect("a folder");
    let file = weir::write_config(folder.path(), text);
    weir::run(&[command, "--config", file.to_str().expect("a path")])
}

const GOOD: &str = "
backends:
  time: {command: mcp-server-time, args: [--local-timezone, UTC]}
endpoints:
  main: {path: /mcp, backends: [time]}
";

#[test]
fn a_good_file_passes() {
    let exit = with_config("check", GOOD);
    assert_eq!(exit.status.code(), Some(0), "{}{}", exit.stdout, exit.stderr);
}

#[test]
fn a_bad_file_is_refused_with_its_place() {
    let cases = [
        (GOOD.replace("command", "comand"), ":3:", "comand"),
        (GOOD.replace("[time]", "[tiem]"), ":5:", "tiem"),
        (GOOD.replace("/mcp", "mcp"), ":5:", "path"),
        (format!("{GOOD}limits: {{body: 4 parsecs}}\n"), ":6:", "size"),
        (format!("{GOOD}surprise: true\n"), ":6:", "surprise"),
        // The fault of a list without an end is where the text ends.
        ("backends: [".to_owned(), ":1:12:", "YAML"),
    ];
    for command in ["check", "serve"] {
        for (text, place, word) in &cases {
            let exit = with_config(command, text);
            assert_eq!(exit.status.code(), Some(USAGE), "{command} {text}: {}", exit.stderr);
            let said = format!("{}{}", exit.stdout, exit.stderr);
            assert!(
                said.contains(&format!("weir.yaml{place}")) && said.contains(word),
                "{command} {text}: {said}"
            );
        }
    }
}

#[test]
fn every_fault_of_a_file_is_told_at_once() {
    let exit = with_config("check", &GOOD.replace("command", "comand").replace("path", "paht"));
    let said = format!("{}{}", exit.stdout, exit.stderr);
    assert!(said.contains("comand") && said.contains("paht"), "{said}");
}

#[test]
fn a_file_that_is_not_there_is_refused() {
    for command in ["check", "serve"] {
        let exit = weir::run(&[command, "--config", "/no/such/weir.yaml"]);
        assert_eq!(exit.status.code(), Some(USAGE), "{}", exit.stderr);
        assert!(exit.stderr.contains("/no/such/weir.yaml"), "{}", exit.stderr);
    }
}

#[test]
fn unknown_arguments_are_refused_with_a_hint() {
    for arguments in [&["no-such-command"][..], &["serve", "--no-such-flag"]] {
        let exit = weir::run(arguments);
        assert!(!exit.status.success() && exit.stderr.contains("--help"), "{arguments:?}: {}", exit.stderr);
    }
}

#[test]
fn help_and_version_are_told() {
    for flag in ["--help", "--version"] {
        let exit = weir::run(&[flag]);
        assert_eq!(exit.status.code(), Some(0));
        assert!(exit.stdout.contains("weir"), "{}", exit.stdout);
    }
}

#[test]
fn the_schema_is_json_schema() {
    let exit = weir::run(&["schema"]);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    let schema: Value = serde_json::from_str(&exit.stdout).expect("the schema is JSON");
    assert!(
        schema["$schema"].as_str().is_some_and(|dialect| dialect.contains("json-schema.org")),
        "{schema}"
    );
    assert!(schema["properties"]["backends"].is_object() && schema["properties"]["endpoints"].is_object());
}

#[test]
fn an_address_in_use_ends_serve_with_a_reason() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port can be bound");
    let address = taken.local_addr().expect("an address").to_string();
    let mut config = weir::config(json!({"echo": peers::fixture("echo.py", &["legacy"])}), json!({}));
    config["listener"]["address"] = json!(address);
    let exit = with_config("serve", &config.to_string());
    assert!(!exit.status.success());
    assert!(exit.stderr.contains(&address), "{}", exit.stderr);
}

#[test]
fn tools_of_a_running_endpoint_are_listed() {
    let weir = Weir::over(json!({"time": peers::time()}));
    let exit = weir::run(&["tools", "--url", &weir.url()]);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    assert!(
        exit.stdout.contains("get_current_time") && exit.stdout.contains("convert_time"),
        "{}",
        exit.stdout
    );

    let exit = weir::run(&["tools", "--json", "--url", &weir.url()]);
    let listed: Value = serde_json::from_str(&exit.stdout).expect("the list is JSON");
    assert!(listed.to_string().contains("\"inputSchema\""), "{listed}");
}

#[test]
fn a_tool_of_a_running_endpoint_is_called() {
    let weir = Weir::over(json!({"time": peers::time()}));
    let url = weir.url();
    let arguments = r#"{"source_timezone": "UTC", "time": "12:00", "target_timezone": "Asia/Tokyo"}"#;
    let exit = weir::run(&["call", "convert_time", "--args", arguments, "--url", &url]);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    assert!(exit.stdout.contains("+9.0h"), "{}", exit.stdout);

    let exit = weir::run(&["call", "no_such_tool", "--url", &url]);
    assert!(!exit.status.success());
    let said = format!("{}{}", exit.stdout, exit.stderr);
    assert!(said.contains("-32602") && said.contains("no_such_tool"), "{said}");
    let exit = weir::run(&["call", "convert_time", "--args", "[1]", "--url", &url]);
    assert!(!exit.status.success() && exit.stderr.contains("object"), "{}", exit.stderr);
}

#[test]
fn an_endpoint_that_does_not_answer_is_named() {
    let url = format!("http://127.0.0.1:{}/mcp", peers::free_port());
    for arguments in [&["tools", "--url", &url][..], &["call", "any", "--url", &url]] {
        let exit = weir::run(arguments);
        assert!(!exit.status.success() && exit.stderr.contains(&url), "{arguments:?}: {}", exit.stderr);
    }
}

#[test]
fn without_a_configuration_the_demo_is_served() {
    let weir = Weir::demo();
    let tools = Modern::new(weir.endpoint()).tool_names();
    assert!(!tools.is_empty());
    let exit = weir::run(&["tools", "--url", &weir.url()]);
    assert!(tools.iter().all(|tool| exit.stdout.contains(tool)), "{}", exit.stdout);
}

/// A file of the repository's examples.
fn example(name: &str) -> String {
    format!("{}/../examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn policies_are_checked_with_the_configuration() {
    let text = |policy: &str| {
        GOOD.replace("backends: [time]}", &format!("backends: [time], policies: {{inline: '{policy}'}}}}"))
    };
    for command in ["check", "serve"] {
        let exit =
            with_config(command, &text("permit(principal, action, resource) when { resource.nam == 1 };"));
        assert_eq!(exit.status.code(), Some(USAGE), "{command}: {}", exit.stderr);
        assert!(
            exit.stderr.contains("weir.yaml:5:") && exit.stderr.contains("nam"),
            "{command}: {}",
            exit.stderr
        );
    }
    let exit = with_config("check", &text("permit(principal, action, resource);"));
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
}

#[test]
fn the_example_of_policies_does_what_it_says() {
    let (config, tools) = (example("policies.yaml"), example("policies/tools.json"));
    let exit = weir::run(&["policy", "check", &config, "--tools", &tools]);
    assert_eq!((exit.status.code(), exit.stderr.as_str()), (Some(0), ""), "{}", exit.stdout);
    assert!(exit.stdout.contains("in order (4 policies)"), "{}", exit.stdout);
    let exit = weir::run(&["policy", "test", &example("policies/cases.yaml")]);
    assert_eq!(exit.status.code(), Some(0), "{}{}", exit.stdout, exit.stderr);
    assert!(exit.stdout.contains("6 of 6 as expected"), "{}", exit.stdout);
    let exit = weir::run(&["policy", "schema", &config]);
    assert!(exit.status.success() && exit.stdout.contains("action \"call_tool\""), "{}", exit.stdout);
}

#[test]
fn a_case_that_turns_out_otherwise_is_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let cases = folder.path().join("cases.yaml");
    let text = format!(
        "config: {}\ncases:\n  - {{name: wrong, tool: git_git_commit, expect: allow, by: [x], visible: true}}\n",
        example("policies.yaml")
    );
    std::fs::write(&cases, text).expect("a file");
    let exit = weir::run(&["policy", "test", cases.to_str().expect("a path")]);
    assert_eq!(exit.status.code(), Some(1), "{}{}", exit.stdout, exit.stderr);
    for line in
        ["cases.yaml:3: wrong", "- expected allow", "+ found    deny", "- expected visible: true", "0 of 1"]
    {
        assert!(exit.stdout.contains(line), "{line}: {}", exit.stdout);
    }
    std::fs::write(&cases, "cases: [{expect: maybe}]").expect("a file");
    let exit = weir::run(&["policy", "test", cases.to_str().expect("a path")]);
    assert_eq!(exit.status.code(), Some(USAGE), "{}{}", exit.stdout, exit.stderr);
}

#[test]
fn a_decision_is_explained() {
    let (config, tools) = (example("policies.yaml"), example("policies/tools.json"));
    let ask = |caller: &str, arguments: &str| {
        let call = ["--tool", "git_git_log", "--args", arguments, "--tools", &tools, "--json"];
        let exit = weir::run(&[&["policy", "explain", &config, "--as", caller][..], &call].concat());
        assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
        serde_json::from_str::<Value>(&exit.stdout).expect("JSON")
    };
    let found = ask(r#"{"sub": "ada"}"#, r#"{"repo_path": "/srv/secret/x"}"#);
    assert_eq!((&found["allowed"], &found["visible"]), (&json!(false), &json!(true)));
    let outcomes: Vec<_> =
        found["policies"].as_array().expect("policies").iter().map(|policy| &policy["outcome"]).collect();
    assert_eq!(outcomes, ["applies", "applies"]);
    assert_eq!(ask("anonymous", r#"{"repo_path": "/srv/weir"}"#)["allowed"], true);
    let found = ask("anonymous", r#"{"repo_path": 7}"#);
    assert_eq!(found["allowed"], false);
    assert!(
        found["policies"][1]["reason"].as_str().is_some_and(|text| text.contains("`repo_path`")),
        "{found}"
    );
}

#[test]
fn a_key_that_weir_makes_opens_the_endpoint_that_has_its_digest() {
    let exit = weir::run(&["key", "ci", "--group", "builders", "--json"]);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    let made: Value = serde_json::from_str(&exit.stdout).expect("it prints JSON");
    let known = json!({"name": made["name"], "sha256": made["sha256"]});
    let endpoint = json!({
        "auth": {"api_keys": [known]},
        "policies": {"inline": "permit(principal, action, resource);"},
        "conflicts": "none",
    });
    let weir = Weir::serve(weir::config(json!({"time": peers::time()}), endpoint));
    let key = made["key"].as_str().expect("a key");
    assert!(!Modern::new(weir.endpoint().bearing(key)).tool_names().is_empty());
    // For people, the line and the key stand apart.
    let exit = weir::run(&["key", "ci"]);
    let said = exit.stdout;
    assert!(said.contains("  weir_") && said.contains("  - {name: \"ci\", sha256: "), "{said}");
}
