//! The bench itself works: its raw clients speak to real servers with nothing between, so that a failure elsewhere is weir's.

use serde_json::json;
use weir_tests::http::Endpoint;
use weir_tests::{Legacy, Modern, Scripted, Speak, peers, scripted};

#[test]
fn the_legacy_client_speaks_to_server_everything() {
    let server = peers::everything_http();
    let client = Legacy::new(Endpoint::parse(server.url()));
    assert!(client.tool_names().contains(&"echo".to_owned()));
    assert_eq!(client.call("echo", json!({"message": "hello"})).text(), "Echo: hello");
    let progress = json!({"name": "trigger-long-running-operation", "arguments": {"duration": 0.01, "steps": 2},
        "_meta": {"progressToken": "mine"}});
    let answer = client.ask("tools/call", progress);
    let tokens = answer.events.iter().map(|event| &event["params"]["progressToken"]).collect::<Vec<_>>();
    assert_eq!(tokens, [&json!("mine"), &json!("mine")]);
}

#[test]
fn both_clients_speak_to_fastmcp() {
    let server = peers::fastmcp_http();
    let endpoint = Endpoint::parse(server.url());
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Legacy::new(endpoint.clone())), Box::new(Modern::new(endpoint.clone()))];
    for client in clients {
        assert!(client.tool_names().contains(&"add".to_owned()));
        assert_eq!(
            client.call("add", json!({"a": 1, "b": 2})).result()["structuredContent"],
            json!({"result": 3})
        );
        assert!(client.call("fail", json!({"reason": "why not"})).failed());
    }
}

#[test]
fn the_scripted_server_is_a_modern_server() {
    let server = Scripted::modern(json!([scripted::tool("one")]), |request, reply| {
        let content =
            json!({"resultType": "complete", "content": [{"type": "text", "text": request.text()}]});
        reply.result(request, content);
    });
    let client = Modern::new(Endpoint::parse(&server.url()));
    assert_eq!(client.tool_names(), ["one"]);
    assert!(client.call("one", json!({"deep": [1]})).text().contains(r#""deep":[1]"#));
    assert_eq!(server.received_of("tools/call")[0].header("mcp-name"), Some("one"));
}
