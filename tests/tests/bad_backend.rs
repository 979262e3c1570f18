//! Servers that break the rules: each fault stays with the call or the backend that it belongs to.

use serde_json::{Value, json};
use std::time::Duration;
use weir_tests::scripted::tool;
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir, peers, wait};

const SHORT: Duration = Duration::from_millis(500);

fn misbehaving(how: &str) -> Value {
    peers::fixture("misbehaving.py", &[how])
}

#[test]
fn a_secret_of_the_configuration_is_never_shown() {
    let server = Scripted::modern(json!([tool("bad")]), |request, reply| {
        // The server repeats what it was sent, in every way that might be logged.
        let secret = request.header("x-api-key").unwrap_or_default();
        reply.body(500, "text/plain", secret);
    });
    let backend = json!({"url": server.url(), "headers": {"X-Api-Key": "s3cr3t-0f-weir"}});
    let weir = Weir::over(json!({"scripted": backend}));
    let answer = Modern::new(weir.endpoint()).call("bad", json!({}));
    assert!(answer.failed());
    assert!(!answer.message.to_string().contains("s3cr3t"), "{}", answer.message);
    assert_eq!(server.received_of("tools/call")[0].header("x-api-key"), Some("s3cr3t-0f-weir"));
    weir.terminate();
    let exit = weir.finish();
    assert!(!exit.stderr.contains("s3cr3t") && !exit.stdout.contains("s3cr3t"), "{}", exit.stderr);
}

#[test]
fn a_server_that_minds_being_probed_is_served() {
    let weir = Weir::over(json!({"shy": misbehaving("shy")}));
    let client = Modern::new(weir.endpoint());
    assert!(client.tool_names().contains(&"quick".to_owned()));
    assert_eq!(client.call("quick", json!({})).text(), "done");
}

#[test]
fn a_server_that_never_answers_holds_up_nobody() {
    let silent = peers::bounded(misbehaving("silent"), &[("list", SHORT), ("stop", SHORT)]);
    let weir = Weir::over(json!({"silent": silent, "echo": peers::fixture("echo.py", &["legacy"])}));
    let client = Modern::new(weir.endpoint());
    assert_eq!(client.tool_names().len(), 5);
    assert!(!client.call("line", json!({})).failed());
}

#[test]
fn a_server_that_dies_fails_its_call_and_comes_back() {
    let weir = Weir::over(json!({"mortal": misbehaving("mortal")}));
    let client = Legacy::new(weir.endpoint());
    let before = client.call("pid", json!({})).text().to_owned();
    assert!(client.call("die", json!({})).failed());
    let after = wait::until("the server is back", || {
        let answer = client.call("pid", json!({}));
        (!answer.failed()).then(|| answer.text().to_owned())
    });
    assert_ne!(before, after);
}

#[test]
fn a_line_over_the_limit_fails_its_call() {
    let mut backend = misbehaving("huge");
    backend["limits"]["message"] = json!("1MiB");
    let weir = Weir::over(json!({"huge": backend}));
    let client = Modern::new(weir.endpoint());
    assert!(client.call("flood", json!({})).failed());
    wait::until_true("the server is of use again", || !client.call("quick", json!({})).failed());
}
