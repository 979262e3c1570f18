//! `weir import`: a file of another program becomes one that weir checks, connects and serves.

use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use weir_tests::process::Exit;
use weir_tests::{Legacy, Modern, Speak, Weir, peers, weir};

/// Runs `weir import` on a file of this name and text; what it wrote, and where.
fn import(folder: &Path, name: &str, text: &str) -> (Exit, PathBuf) {
    let source = folder.join(name);
    std::fs::write(&source, text).expect("the source can be written");
    let output = folder.join("weir.yaml");
    (weir::run(&["import", shown(&source), "--output", shown(&output)]), output)
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}

/// A client's file that names real servers.
fn client_file(http: &str) -> String {
    let mut time = peers::time();
    time["env"] = json!({"LOG_LEVEL": "info"});
    time["autoApprove"] = json!(["get_current_time"]);
    let servers = json!({
        "time": time,
        "everything": peers::everything_stdio(),
        "far": {"type": "http", "url": http},
        "off": {"command": "no-such-program", "disabled": true},
    });
    json!({ "mcpServers": servers }).to_string()
}

#[test]
fn a_clients_file_is_imported_checked_connected_and_served() {
    let http = peers::everything_http();
    let folder = tempfile::tempdir().expect("a folder");
    let (exit, output) = import(folder.path(), "mcp.json", &client_file(http.url()));
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    assert!(
        exit.stderr.contains("autoApprove") && exit.stderr.contains("`off` is disabled"),
        "{}",
        exit.stderr
    );

    let exit = weir::run(&["check", shown(&output)]);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    assert!(exit.stdout.contains("3 backends"), "{}", exit.stdout);

    // The machine may be busy: the servers get the time that they need.
    let written = std::fs::read_to_string(&output).expect("the output is there");
    let text = format!("{written}\nlistener:\n  address: 127.0.0.1:0\ntimeouts:\n  start: 1m\n");
    std::fs::write(&output, text).expect("the output can be written");
    let exit = weir::run(&["check", "--connect", shown(&output)]);
    assert_eq!(exit.status.code(), Some(0), "{}{}", exit.stdout, exit.stderr);
    for backend in ["backend time: stdio, ", "backend everything: stdio, ", "backend far: http, "] {
        assert!(exit.stdout.contains(backend), "{}", exit.stdout);
    }

    let weir = Weir::of_file(&output);
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Modern::new(weir.endpoint())), Box::new(Legacy::new(weir.endpoint()))];
    for client in clients {
        let names = client.tool_names();
        for name in ["time_get_current_time", "everything_echo", "far_echo"] {
            assert!(names.iter().any(|tool| tool == name), "{names:?}");
        }
        assert_eq!(client.call("far_echo", json!({"message": "weir"})).text(), "Echo: weir");
    }
}

#[test]
fn a_vmcp_configuration_is_imported_and_served() {
    let http = peers::everything_http();
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "name: team\nincomingAuth: {{type: anonymous}}\nbackends:\n  - name: every\n    url: {}\n    \
         transport: streamable-http\naggregation:\n  conflictResolution: prefix\n  conflictResolutionConfig:\n    \
         prefixFormat: \"{{workload}}.\"\n  tools:\n    - workload: every\n      filter: [say, get-sum]\n      \
         overrides:\n        echo:\n          name: say\n          description: Says it again.\naudit: \
         {{enabled: true}}\n",
        http.url()
    );
    let (exit, output) = import(folder.path(), "vmcp.yaml", &text);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    assert!(exit.stderr.contains("vmcp.yaml:18:1: `audit` was left out"), "{}", exit.stderr);
    let written = std::fs::read_to_string(&output).expect("the output is there");
    let text = format!("{written}\nlistener:\n  address: 127.0.0.1:0\ntimeouts:\n  start: 1m\n");
    std::fs::write(&output, text).expect("the output can be written");
    let weir = Weir::of_file(&output);
    let client = Modern::new(weir.endpoint());
    let mut names = client.tool_names();
    names.sort();
    assert_eq!(names, ["every.get-sum", "every.say"]);
    assert_eq!(client.call("every.say", json!({"message": "weir"})).text(), "Echo: weir");
}

#[test]
fn a_file_that_is_there_stays_unless_it_is_to_be_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    let text = json!({"mcpServers": {"time": peers::time()}}).to_string();
    let (exit, output) = import(folder.path(), "mcp.json", &text);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    std::fs::write(&output, "precious").expect("the output can be written");
    let (exit, _) = import(folder.path(), "mcp.json", &text);
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stderr.contains("--force"), "{}", exit.stderr);
    assert_eq!(std::fs::read_to_string(&output).expect("it is there"), "precious");

    let source = folder.path().join("mcp.json");
    let exit = weir::run(&["import", shown(&source), "--output", shown(&output), "--force"]);
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    let exit = weir::run(&["import", shown(&source), "--output", "-", "--from", "mcp-servers"]);
    assert_eq!(exit.stdout, std::fs::read_to_string(&output).expect("it is there"));
}

#[test]
fn a_source_of_no_use_is_refused_and_nothing_written() {
    let folder = tempfile::tempdir().expect("a folder");
    for (text, expected) in [
        (json!({"mcpServers": {}}), "no file that weir can import"),
        (json!({"mcpServers": {"a": {"command": "x", "disabled": true}}}), "no server that weir could use"),
        (Value::Null, "mcp.json:1:1"),
    ] {
        let (exit, output) = import(folder.path(), "mcp.json", &text.to_string());
        assert_eq!(exit.status.code(), Some(1), "{text}");
        assert!(exit.stderr.contains(expected), "{text}: {}", exit.stderr);
        assert!(!output.exists(), "{text}");
    }
    let exit = weir::run(&["import", "/no/such/file", "--output", shown(&folder.path().join("weir.yaml"))]);
    assert_eq!(exit.status.code(), Some(1));
    assert!(exit.stderr.contains("/no/such/file"), "{}", exit.stderr);
}
