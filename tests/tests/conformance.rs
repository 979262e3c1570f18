//! The MCP conformance suite, run through weir: the required scenarios of each era, and those that both eras share with an
//! era on the client's side and the other on the server's. `peers/conformance-expected.yml` lists the checks that need what
//! weir does not have yet; one that passes all the same fails the run.

use serde_json::json;
use std::process::Command;
use weir_tests::process::{Exit, Process};
use weir_tests::{Weir, peers, weir};

const LEGACY: &str = "2025-11-25";
const MODERN: &str = "2026-07-28";

/// Scenarios that mean the same in both eras.
const SHARED: [&str; 17] = [
    "completion-complete",
    "tools-list",
    "tools-call-simple-text",
    "tools-call-image",
    "tools-call-audio",
    "tools-call-embedded-resource",
    "tools-call-mixed-content",
    "tools-call-error",
    "tools-call-with-progress",
    "resources-list",
    "resources-read-text",
    "resources-read-binary",
    "resources-templates-read",
    "prompts-list",
    "prompts-get-with-args",
    "prompts-get-embedded-resource",
    "prompts-get-with-image",
];

/// Runs the suite through weir, which speaks to the fixture server in `era`; `choices` are tried one after the other.
fn through_weir(era: &str, choices: &[&[&str]]) {
    let server = peers::conformance_http();
    run_through_weir(server.url(), era, choices);
}

fn run_through_weir(url: &str, era: &str, choices: &[&[&str]]) {
    let weir = Weir::over(json!({"conformance": {"url": url, "era": era}}));
    for choice in choices {
        let exit = suite(&weir.url(), choice);
        assert!(exit.status.success(), "{choice:?} over {era}:\n{}", failures(&exit));
    }
}

/// The required scenarios of a revision, run through weir; the checks that are known to fail must fail.
fn required(era: &str, revision: &str) {
    let expected = peers::peers().join("conformance-expected.yml");
    let expected = expected.to_str().expect("a path");
    through_weir(era, &[&["--requirements", revision, "--expected-failures", expected]]);
}

fn suite(url: &str, choice: &[&str]) -> Exit {
    Process::run(suite_command().args(["server", "--url", url]).args(choice), "")
}

fn suite_command() -> Command {
    let mut command = peers::node();
    command.arg(peers::node_module("@modelcontextprotocol/conformance/dist/index.js"));
    command
}

/// What the suite says of the checks that failed; everything when it never got that far.
fn failures(exit: &Exit) -> String {
    let said = format!("{}{}", exit.stdout, exit.stderr);
    let telling =
        said.lines().filter(|line| line.contains('✗') || line.contains("Error:") || line.starts_with("  - "));
    let telling = telling.collect::<Vec<_>>().join("\n");
    if telling.is_empty() { said } else { telling }
}

#[test]
fn the_fixture_itself_conforms() {
    let server = peers::conformance_http();
    for revision in [LEGACY, MODERN] {
        let exit = suite(server.url(), &["--requirements", revision]);
        assert!(exit.status.success(), "{revision}:\n{}", failures(&exit));
    }
}

#[test]
fn what_the_legacy_era_requires() {
    required("legacy", LEGACY);
}

#[test]
fn what_the_modern_era_requires() {
    required("modern", MODERN);
}

#[test]
fn what_the_modern_era_says_of_headers() {
    let choices = ["http-header-validation", "http-custom-header-server-validation"]
        .map(|scenario| ["--scenario", scenario, "--spec-version", MODERN]);
    for era in ["modern", "legacy"] {
        through_weir(era, &choices.each_ref().map(|choice| choice.as_slice()));
    }
}

#[test]
fn what_the_suite_does_not_score() {
    let scenario = |name, revision| ["--scenario", name, "--spec-version", revision];
    let legacy = ["server-session-lifecycle", "server-sse-polling", "json-schema-2020-12"];
    let legacy = legacy.map(|name| scenario(name, LEGACY));
    through_weir("legacy", &legacy.each_ref().map(|choice| choice.as_slice()));
    through_weir("modern", &[&scenario("json-schema-2020-12", MODERN)]);
}

/// What the suite says of the tasks extension. Its scenario for notifications is empty.
#[test]
fn tasks() {
    let server = peers::tasks_http();
    let names = [
        "tasks-lifecycle",
        "tasks-capability-negotiation",
        "tasks-wire-fields",
        "tasks-request-state-removal",
        "tasks-mrtr-input",
        "tasks-request-headers",
        "tasks-dispatch-and-envelope",
        "tasks-required-task-error",
        "tasks-mrtr-composition",
    ];
    let choices = names.map(|name| ["--scenario", name, "--spec-version", MODERN, "--force"]);
    run_through_weir(server.url(), "modern", &choices.each_ref().map(|choice| choice.as_slice()));
}

/// Here weir is the client that the suite looks at: whatever client stands before it.
#[test]
fn what_is_asked_of_clients_about_headers() {
    for mode in ["legacy", MODERN] {
        for scenario in ["http-custom-headers", "http-invalid-tool-headers"] {
            let driver = peers::peers().join("drivers/through_weir.py");
            let (python, weir) = (peers::python(), weir::binary());
            let line = [python.get_program(), driver.as_os_str(), weir.as_os_str()];
            let line = line.map(|part| part.to_str().expect("a path")).join(" ");
            let mut command = suite_command();
            command.args(["client", "--command", &format!("{line} {mode}")]);
            let exit = Process::run(command.args(["--scenario", scenario, "--spec-version", MODERN]), "");
            assert!(exit.status.success(), "{scenario} for a client of {mode}:\n{}", failures(&exit));
        }
    }
}

#[test]
fn a_legacy_client_over_a_modern_server() {
    let choices = SHARED.map(|scenario| ["--scenario", scenario, "--spec-version", LEGACY]);
    through_weir("modern", &choices.each_ref().map(|choice| choice.as_slice()));
}

#[test]
fn a_modern_client_over_a_legacy_server() {
    let choices = SHARED.map(|scenario| ["--scenario", scenario, "--spec-version", MODERN]);
    through_weir("legacy", &choices.each_ref().map(|choice| choice.as_slice()));
}

#[test]
fn clients_of_both_eras_over_the_transport_of_2024_11_05() {
    let server = peers::conformance_sse();
    for version in [LEGACY, MODERN] {
        let choices = SHARED.map(|scenario| ["--scenario", scenario, "--spec-version", version]);
        run_through_weir(server.url(), "auto", &choices.each_ref().map(|choice| choice.as_slice()));
    }
}
