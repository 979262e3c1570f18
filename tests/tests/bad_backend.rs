//! Servers that break the rules: each fault stays with the call or the backend that it belongs to.

use serde_json::{Value, json};
use std::time::Duration;
use weir_tests::scripted::{Received, Reply, tool};
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir, peers, wait};

const SHORT: Duration = Duration::from_millis(500);

fn misbehaving(how: &str) -> Value {
    peers::fixture("misbehaving.py", &[how])
}

fn done(request: &Received, reply: &mut Reply<'_>) {
    reply.result(request, json!({"resultType": "complete", "content": [{"type": "text", "text": "done"}]}));
}

/// weir over a scripted HTTP server whose tool `bad` answers as given and whose tool `good` answers well.
fn over_http(bad: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static) -> (Weir, Scripted) {
    let server = Scripted::modern(json!([tool("bad"), tool("good")]), move |request, reply| {
        if request.json()["params"]["name"] == "good" { done(request, reply) } else { bad(request, reply) }
    });
    let mut backend = peers::bounded(server.backend(), &[("idle", SHORT)]);
    backend["limits"]["message"] = json!("64KiB");
    (Weir::over(json!({"scripted": backend})), server)
}

/// Checks that the tool `bad` fails for clients of both eras, and that the tool `good` works before and after.
fn fails_alone(bad: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static) {
    let (weir, _server) = over_http(bad);
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Modern::new(weir.endpoint())), Box::new(Legacy::new(weir.endpoint()))];
    for client in clients {
        assert_eq!(client.call("good", json!({})).text(), "done");
        let answer = client.call("bad", json!({}));
        assert!(answer.failed(), "{}", answer.message);
        assert_eq!(client.call("good", json!({})).text(), "done");
    }
}

#[test]
fn an_http_answer_that_is_no_json() {
    fails_alone(|_, reply| reply.json("<html>not what you think</html>"));
}

#[test]
fn an_http_answer_that_is_cut_off() {
    fails_alone(|_, reply| {
        reply.raw(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{\"jsonrpc\"",
        );
        reply.close();
    });
}

#[test]
fn an_http_answer_that_is_no_http() {
    fails_alone(|_, reply| {
        reply.raw("SSH-2.0-OpenSSH_9.2\r\n");
        reply.close();
    });
}

#[test]
fn a_connection_closed_without_an_answer() {
    fails_alone(|_, reply| reply.close());
}

#[test]
fn an_http_answer_of_another_type() {
    fails_alone(|_, reply| reply.body(200, "text/html", "<html></html>"));
}

#[test]
fn an_http_answer_for_another_id() {
    fails_alone(|_, reply| {
        reply
            .json(r#"{"jsonrpc":"2.0","id":"nobody-asked","result":{"resultType":"complete","content":[]}}"#);
    });
}

#[test]
fn an_http_answer_without_result_or_error() {
    fails_alone(|request, reply| {
        reply.json(json!({"jsonrpc": "2.0", "id": request.json()["id"]}).to_string())
    });
}

#[test]
fn an_http_status_that_is_a_failure() {
    for status in [401, 403, 404, 429, 500, 502, 503] {
        fails_alone(move |_, reply| reply.body(status, "text/plain", "go away"));
    }
}

#[test]
fn an_http_answer_that_redirects() {
    fails_alone(|_, reply| {
        reply.raw(
            "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://127.0.0.1:9/\r\ncontent-length: 0\r\n\r\n",
        );
    });
}

#[test]
fn an_http_answer_over_the_limit() {
    fails_alone(|request, reply| {
        let text = "x".repeat(65 << 10);
        let content = json!([{"type": "text", "text": text}]);
        reply.result(request, json!({"resultType": "complete", "content": content}));
    });
}

#[test]
fn an_http_answer_that_never_comes() {
    fails_alone(|_, reply| reply.wait_for_close());
}

#[test]
fn an_event_that_never_ends() {
    fails_alone(|_, reply| {
        reply.open_events();
        reply.raw("data: ");
        while reply.raw("x".repeat(4 << 10)) {}
    });
}

#[test]
fn an_event_stream_that_ends_without_an_answer() {
    fails_alone(|_, reply| {
        reply.open_events();
        reply.event(
            r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#,
        );
        reply.close();
    });
}

#[test]
fn an_event_that_is_no_json() {
    fails_alone(|_, reply| {
        reply.open_events();
        reply.event("what a wonderful day");
        reply.close();
    });
}

#[test]
fn a_result_of_an_unknown_type() {
    fails_alone(|request, reply| reply.result(request, json!({"resultType": "surprise", "content": []})));
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
fn lines_that_are_no_messages_are_passed_over() {
    let weir = Weir::over(json!({"noisy": misbehaving("noisy")}));
    assert_eq!(Modern::new(weir.endpoint()).call("quick", json!({})).text(), "done");
    assert_eq!(Legacy::new(weir.endpoint()).call("quick", json!({})).text(), "done");
}

#[test]
fn an_answer_that_nobody_asked_for_is_passed_over() {
    let weir = Weir::over(json!({"wrong": misbehaving("wrong")}));
    assert_eq!(Modern::new(weir.endpoint()).call("quick", json!({})).text(), "done");
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

#[test]
fn a_list_without_an_end_is_given_up() {
    let endless = peers::bounded(misbehaving("endless"), &[("list", SHORT)]);
    let weir = Weir::over(json!({"endless": endless, "echo": peers::fixture("echo.py", &["legacy"])}));
    assert_eq!(Modern::new(weir.endpoint()).tool_names().len(), 5);
}
