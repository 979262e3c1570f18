//! The MCP conformance suite, run through weir: the required scenarios of each era, and those that both eras share with an
//! era on the client's side and the other on the server's. `peers/conformance-expected.yml` lists the checks that need what
//! weir does not have yet; one that passes all the same fails the run.

use serde_json::json;
use weir_tests::process::{Exit, Process};
use weir_tests::{Weir, peers};

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
    let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": era}}));
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
    let mut command = peers::node();
    command.arg(peers::node_module("@modelcontextprotocol/conformance/dist/index.js"));
    Process::run(command.args(["server", "--url", url]).args(choice), "")
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
fn a_legacy_client_over_a_modern_server() {
    let choices = SHARED.map(|scenario| ["--scenario", scenario, "--spec-version", LEGACY]);
    through_weir("modern", &choices.each_ref().map(|choice| choice.as_slice()));
}

#[test]
fn a_modern_client_over_a_legacy_server() {
    let choices = SHARED.map(|scenario| ["--scenario", scenario, "--spec-version", MODERN]);
    through_weir("legacy", &choices.each_ref().map(|choice| choice.as_slice()));
}
