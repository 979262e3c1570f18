//! The MCP conformance suite with weir as the client that it looks at: every required scenario but those of authorization,
//! whatever the era of the client before weir.

use weir_tests::suite::{self, Check, LEGACY, MODERN};
use weir_tests::{peers, weir};

/// The check of how long a client waits before it takes up a stream again.
const WAIT: &str = "client-sse-retry-timing";

/// Runs scenarios of a revision, for clients of both eras before weir.
fn pass(revision: &str, scenarios: &[&str]) {
    let driver = peers::peers().join("drivers/through_weir.py");
    let (python, weir) = (peers::python(), weir::binary());
    let line = [python.get_program(), driver.as_os_str(), weir.as_os_str()];
    let line = line.map(|part| part.to_str().expect("a path")).join(" ");
    for scenario in scenarios {
        for mode in ["legacy", MODERN] {
            let failed = suite::client(&format!("{line} {mode}"), scenario, revision);
            let failed =
                failed.iter().filter(|check| !is_late(check)).map(Check::to_string).collect::<Vec<_>>();
            assert!(failed.is_empty(), "{scenario} of {revision} for a client of {mode}: {failed:#?}");
        }
    }
}

/// Whether it failed only because something took long: that says more of the machine than of weir.
fn is_late(check: &Check) -> bool {
    check.id() == WAIT && check.measured("actualDelayMs") >= check.measured("minAcceptableMs")
}

#[test]
fn sessions_and_calls() {
    pass(LEGACY, &["initialize", "tools_call"]);
    pass(MODERN, &["tools_call"]);
}

#[test]
fn broken_streams_are_taken_up_when_the_server_says() {
    pass(LEGACY, &["sse-retry"]);
}

#[test]
fn every_request_says_who_sends_it() {
    pass(MODERN, &["request-metadata"]);
}

#[test]
fn headers_mirror_the_body() {
    pass(MODERN, &["http-standard-headers", "http-custom-headers", "http-invalid-tool-headers"]);
}

#[test]
fn schemas_are_kept_and_not_followed() {
    pass(LEGACY, &["json-schema-2020-12-preservation"]);
    pass(MODERN, &["json-schema-2020-12-preservation", "json-schema-ref-no-deref"]);
}

#[test]
fn servers_ask_in_their_own_words() {
    pass(LEGACY, &["elicitation-sep1034-client-defaults"]);
}

#[test]
fn state_goes_back_to_the_server_that_gave_it() {
    pass(MODERN, &["sep-2322-client-request-state"]);
}
