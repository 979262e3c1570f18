//! The MCP conformance suite with weir as the client that it looks at: every required scenario, whatever the era of the client
//! before weir.

use weir_tests::suite::{self, Check, LEGACY, MODERN};
use weir_tests::{peers, weir};

/// The check of how long a client waits before it takes up a stream again.
const WAIT: &str = "client-sse-retry-timing";

/// Runs scenarios of a revision, for clients of both eras before weir.
fn pass(revision: &str, scenarios: &[&str]) {
    pass_by("through_weir.py", revision, scenarios);
}

/// The same for scenarios in which users connect the server.
fn connect(revision: &str, scenarios: &[&str]) {
    let scenarios: Vec<String> = scenarios.iter().map(|scenario| format!("auth/{scenario}")).collect();
    let scenarios: Vec<&str> = scenarios.iter().map(String::as_str).collect();
    pass_by("connecting.py", revision, &scenarios);
}

fn pass_by(driver: &str, revision: &str, scenarios: &[&str]) {
    let driver = peers::peers().join("drivers").join(driver);
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

/// The scenarios of authorization that both revisions require.
const COMMON: [&str; 14] = [
    "metadata-default",
    "metadata-var1",
    "metadata-var2",
    "metadata-var3",
    "basic-cimd",
    "scope-from-www-authenticate",
    "scope-from-scopes-supported",
    "scope-omitted-when-undefined",
    "scope-step-up",
    "scope-retry-limit",
    "token-endpoint-auth-basic",
    "token-endpoint-auth-post",
    "token-endpoint-auth-none",
    "pre-registration",
];

#[test]
fn users_connect_legacy_servers() {
    connect(LEGACY, &COMMON);
}

#[test]
fn users_connect_modern_servers() {
    connect(MODERN, &COMMON);
}

#[test]
fn authorization_servers_are_not_mixed_up() {
    connect(
        MODERN,
        &[
            "resource-mismatch",
            "authorization-server-migration",
            "iss-supported",
            "iss-not-advertised",
            "iss-supported-missing",
            "iss-wrong-issuer",
            "iss-unexpected",
            "iss-normalized",
            "metadata-issuer-mismatch",
        ],
    );
}

#[test]
fn grants_may_live_on() {
    connect(MODERN, &["offline-access-scope", "offline-access-not-supported"]);
}

#[test]
fn weir_calls_for_itself() {
    connect(MODERN, &["client-credentials-basic", "client-credentials-jwt"]);
}
