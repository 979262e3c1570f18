//! Log messages of a server: to the client that asked for them, from the level it asked for, and to nobody else.

use serde_json::{Value, json};
use weir_tests::{Answer, Legacy, Modern, Speak, Weir, peers};

const ERAS: [&str; 2] = ["legacy", "modern"];

fn logged(answer: &Answer) -> Vec<&Value> {
    let messages = answer
        .events
        .iter()
        .filter(|event| event["method"] == "notifications/message");
    messages.map(|message| &message["params"]["data"]).collect()
}

fn log_three(level: Option<&str>) -> Value {
    let mut params = json!({"name": "test_tool_with_logging", "arguments": {}});
    if let Some(level) = level {
        params["_meta"]["io.modelcontextprotocol/logLevel"] = json!(level);
    }
    params
}

#[test]
fn a_modern_client_asks_for_a_level_call_by_call() {
    let server = peers::conformance_http();
    for era in ERAS {
        let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": era}}));
        let client = Modern::new(weir.endpoint());
        let three = [
            json!("Tool execution started"),
            json!("Tool processing data"),
            json!("Tool execution completed"),
        ];
        let asked = client.ask("tools/call", log_three(Some("debug")));
        assert_eq!(logged(&asked), three.iter().collect::<Vec<_>>(), "{era}");
        let above = client.ask("tools/call", log_three(Some("error")));
        assert!(logged(&above).is_empty(), "{era}: {:?}", above.events);
        let unasked = client.ask("tools/call", log_three(None));
        assert!(logged(&unasked).is_empty(), "{era}: {:?}", unasked.events);
    }
}

#[test]
fn a_legacy_client_sets_a_level_for_its_session() {
    let server = peers::conformance_http();
    for era in ERAS {
        let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": era}}));
        let client = Legacy::new(weir.endpoint());
        client.ask("logging/setLevel", json!({"level": "debug"})).result();
        assert_eq!(
            logged(&client.ask("tools/call", log_three(None))).len(),
            3,
            "{era}"
        );
        client.ask("logging/setLevel", json!({"level": "error"})).result();
        assert!(
            logged(&client.ask("tools/call", log_three(None))).is_empty(),
            "{era}"
        );
    }
}

#[test]
fn a_level_that_does_not_exist_is_refused() {
    let weir = Weir::over(json!({"everything": peers::everything_stdio()}));
    let client = Legacy::new(weir.endpoint());
    assert_eq!(
        client
            .ask("logging/setLevel", json!({"level": "deafening"}))
            .error(),
        -32602
    );
}
