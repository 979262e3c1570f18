//! MCP Apps: tools with a user interface, whose resource clients reach through weir.

use serde_json::{Value, json};
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Speak, Weir, peers};

const UI: &str = "io.modelcontextprotocol/ui";

fn apps() -> Value {
    peers::fixture("apps.py", &[])
}

/// The URIs of the tool's interface, by both keys.
fn interfaces(client: &dyn Speak) -> [String; 2] {
    let tools = client.list("tools/list", "tools");
    let tool = tools.iter().find(|tool| tool["name"] == "clock").expect("the tool");
    let meta = &tool["_meta"];
    [&meta["ui"]["resourceUri"], &meta["ui/resourceUri"]].map(|uri| uri.as_str().expect("a URI").to_owned())
}

#[test]
fn an_interface_is_reached_in_both_eras_however_uris_are_written() {
    for (uris, prefix) in [("keep", ""), ("prefix", "weir+apps:")] {
        for era in ["modern", "legacy"] {
            let mut backend = apps();
            backend["era"] = json!(era);
            let endpoint = json!({"conflicts": "none", "resources": {"uris": uris}});
            let weir = Weir::serve(config(
                json!({"apps": backend, "echo": peers::fixture("echo.py", &[])}),
                endpoint,
            ));
            let speaks = json!({"extensions": {UI: {"mimeTypes": ["text/html;profile=mcp-app"]}, "com.example/x": {}}});
            let modern = Modern::with_capabilities(weir.endpoint(), speaks);
            let legacy = Legacy::new(weir.endpoint());
            let discovered = modern.ask("server/discover", json!({}));
            assert_eq!(discovered.result()["capabilities"]["extensions"], json!({UI: {}}));
            assert_eq!(legacy.welcome["capabilities"]["extensions"], json!({UI: {}}));
            for client in [&modern as &dyn Speak, &legacy] {
                let expected = format!("{prefix}ui://clock/app.html");
                assert_eq!(interfaces(client), [expected.clone(), expected.clone()]);
                let read = client.ask("resources/read", json!({"uri": expected}));
                let contents = &read.result()["contents"][0];
                assert_eq!(contents["uri"], json!(expected));
                assert_eq!(contents["mimeType"], "text/html;profile=mcp-app");
                assert!(contents["text"].as_str().unwrap().contains("clock"));
            }
            // The server hears what the client can do, as far as its era lets it.
            if era == "modern" {
                assert_eq!(modern.call("clock", json!({})).text(), "shown");
                assert_eq!(legacy.call("clock", json!({})).text(), "told");
                assert_eq!(Modern::new(weir.endpoint()).call("clock", json!({})).text(), "told");
            }
        }
    }
}

#[test]
fn a_filter_hides_an_interface_too() {
    let endpoint = json!({"conflicts": "none", "resources": {"deny": ["ui://clock/*"]}});
    let weir = Weir::serve(config(json!({"apps": apps()}), endpoint));
    let client = Modern::new(weir.endpoint());
    let [uri, _] = interfaces(&client);
    assert_eq!(client.ask("resources/read", json!({"uri": uri})).error(), -32602);
}
