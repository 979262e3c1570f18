//! The MCP conformance suite, run through weir: what each era requires of servers, with each era and transport behind.
//!
//! `peers/conformance-expected.yml` lists the checks that may fail in the era of the server behind, and
//! `peers/conformance-expected-across.yml` those that may fail with the other one; one that passes all the same fails the run.

use serde_json::{Value, json};
use weir_tests::suite::{self, LEGACY, MODERN};
use weir_tests::{Weir, peers};

const WITHIN: &str = "conformance-expected.yml";
const ACROSS: &str = "conformance-expected-across.yml";

/// What the modern era requires of servers that ask, in short.
const ASKING: [&str; 6] = [
    "input-required-result-basic-sampling",
    "input-required-result-request-state",
    "input-required-result-multiple-input-requests",
    "input-required-result-multi-round",
    "input-required-result-non-tool-request",
    "input-required-result-tampered-state",
];

/// Runs the required scenarios of a revision through weir over a backend. The checks that are expected to fail must fail.
fn required(revision: &str, backend: Value, expected: &str) {
    let expected = peers::peers().join(expected);
    let expected = expected.to_str().expect("a path");
    run(&backend, &["--requirements", revision, "--expected-failures", expected]);
}

fn run(backend: &Value, choice: &[&str]) {
    each(backend, &[choice]);
}

/// Runs one choice of scenarios after the other.
fn each(backend: &Value, choices: &[&[&str]]) {
    let weir = Weir::over(json!({"conformance": backend}));
    for choice in choices {
        let exit = suite::server(&weir.url(), choice);
        assert!(exit.status.success(), "{choice:?} over {backend}:\n{}", suite::failures(&exit));
    }
}

fn scenarios(revision: &str, backend: &Value, names: &[&str]) {
    let choices: Vec<_> = names.iter().map(|name| ["--scenario", name, "--spec-version", revision]).collect();
    each(backend, &choices.iter().map(<[_; 4]>::as_slice).collect::<Vec<_>>());
}

/// Scenarios of a revision that are not required, over a server that is spoken to in `era`.
fn unscored(revision: &str, era: &str, names: &[&str]) {
    let server = peers::conformance_http();
    scenarios(revision, &json!({"url": server.url(), "era": era}), names);
}

fn at(server: &peers::HttpPeer) -> Value {
    json!({"url": server.url()})
}

fn stdio(era: &str) -> Value {
    let mut backend = peers::conformance_stdio();
    backend["era"] = json!(era);
    backend
}

#[test]
fn the_fixture_itself_conforms() {
    let (both, legacy, modern) =
        (peers::conformance_http(), peers::conformance_legacy(), peers::conformance_modern());
    for (server, revision) in [(&both, LEGACY), (&both, MODERN), (&legacy, LEGACY), (&modern, MODERN)] {
        let exit = suite::server(server.url(), &["--requirements", revision]);
        assert!(exit.status.success(), "{revision} of {server:?}:\n{}", suite::failures(&exit));
    }
}

#[test]
fn what_the_legacy_era_requires() {
    required(LEGACY, at(&peers::conformance_legacy()), WITHIN);
}

#[test]
fn what_the_modern_era_requires() {
    required(MODERN, at(&peers::conformance_modern()), WITHIN);
}

#[test]
fn what_the_legacy_era_requires_of_a_modern_server() {
    required(LEGACY, at(&peers::conformance_modern()), ACROSS);
}

#[test]
fn what_the_modern_era_requires_of_a_legacy_server() {
    required(MODERN, at(&peers::conformance_legacy()), ACROSS);
}

#[test]
fn what_the_legacy_era_requires_over_the_transport_of_2024_11_05() {
    required(LEGACY, at(&peers::conformance_sse()), WITHIN);
}

#[test]
fn what_the_modern_era_requires_over_the_transport_of_2024_11_05() {
    required(MODERN, at(&peers::conformance_sse()), ACROSS);
}

#[test]
fn what_the_legacy_era_requires_of_programs() {
    required(LEGACY, stdio("legacy"), WITHIN);
    required(LEGACY, stdio("modern"), ACROSS);
}

#[test]
fn what_the_modern_era_requires_of_programs() {
    required(MODERN, stdio("modern"), WITHIN);
}

/// Of a legacy program no more than this: it is told once what clients can be asked, so it cannot know what one client
/// lacks, and the suite leaves questions open, each of which keeps a process.
#[test]
fn what_the_modern_era_requires_of_legacy_programs_that_ask() {
    let mut backend = stdio("legacy");
    backend["instances"] = json!(ASKING.len());
    scenarios(MODERN, &backend, &ASKING);
}

#[test]
fn what_the_modern_era_says_of_headers() {
    for era in ["modern", "legacy"] {
        unscored(MODERN, era, &["http-header-validation", "http-custom-header-server-validation"]);
    }
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
    each(&json!({"url": server.url(), "era": "modern"}), &choices.each_ref().map(|choice| choice.as_slice()));
}

#[test]
fn what_the_suite_does_not_score() {
    unscored(LEGACY, "legacy", &["server-session-lifecycle", "server-sse-polling", "json-schema-2020-12"]);
    unscored(MODERN, "modern", &["json-schema-2020-12"]);
}
