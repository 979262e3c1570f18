//! What a request of 2026-07-28 must say, and what its answer says.

use serde_json::{Value, json};
use weir_tests::http::{Request, Response};
use weir_tests::{Legacy, Modern, Speak, Weir, legacy, modern, peers};

fn echo() -> Weir {
    Weir::over(json!({"echo": peers::fixture("echo.py", &["legacy", "modern"])}))
}

/// A modern `tools/list` whose body and headers agree.
fn well_formed(weir: &Weir) -> Request {
    Modern::new(weir.endpoint()).prepare("tools/list", json!({})).0
}

/// A modern POST of any method and parameters, with the parameters as they are given.
fn modern_post(method: &str, params: Value) -> Request {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    modern::post(&body.to_string(), method, None)
}

fn expect(response: &Response, status: u16, code: i64) {
    assert_eq!((response.status, response.error_code()), (status, Some(code)), "{}", response.text());
}

#[test]
fn what_a_modern_request_must_say_is_required() {
    let weir = echo();
    expect(&modern_post("tools/list", json!({})).send(&weir.endpoint()), 400, -32602);
    let version = json!({"io.modelcontextprotocol/protocolVersion": modern::REVISION});
    expect(&modern_post("tools/list", json!({"_meta": version})).send(&weir.endpoint()), 400, -32602);
    let wrong_type = json!({
        "io.modelcontextprotocol/protocolVersion": modern::REVISION,
        "io.modelcontextprotocol/clientCapabilities": [],
    });
    expect(&modern_post("tools/list", json!({"_meta": wrong_type})).send(&weir.endpoint()), 400, -32602);
}

#[test]
fn modern_headers_agree_with_the_body() {
    let weir = echo();
    let client = Modern::new(weir.endpoint());
    let (call, _) = client.prepare("tools/call", json!({"name": "line", "arguments": {}}));
    let disagreeing = [
        ("mcp-method", Some("tools/list")),
        ("mcp-method", Some("Tools/Call")),
        ("mcp-method", None),
        ("mcp-name", Some("reply")),
        ("mcp-name", None),
        ("mcp-protocol-version", Some(legacy::REVISION)),
        ("mcp-protocol-version", None),
    ];
    for (name, value) in disagreeing {
        let response = call.clone().replace(name, value).send(&weir.endpoint());
        assert_eq!((response.status, response.error_code()), (400, Some(-32020)), "{name}: {value:?}");
    }
    let twice = call.clone().header("mcp-name", "line").send(&weir.endpoint());
    expect(&twice, 400, -32020);
    // "line", encoded.
    let encoded = call.replace("mcp-name", Some("=?base64?bGluZQ==?="));
    assert_eq!(encoded.send(&weir.endpoint()).status, 200);
}

#[test]
fn a_revision_that_is_not_spoken_is_named_with_those_that_are() {
    let weir = echo();
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": "2099-01-01",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let request = modern_post("tools/list", json!({"_meta": meta}));
    let response = request.replace("mcp-protocol-version", Some("2099-01-01")).send(&weir.endpoint());
    expect(&response, 400, -32022);
    let data = &response.json()["error"]["data"];
    assert_eq!(data["requested"], "2099-01-01");
    assert!(data["supported"].as_array().expect("a list").contains(&json!(modern::REVISION)), "{data}");
}

#[test]
fn an_unknown_method_is_not_found() {
    let weir = echo();
    let client = Modern::new(weir.endpoint());
    for method in ["no/such", "initialize", "ping", "logging/setLevel", "resources/subscribe", "tasks/list"] {
        let answer = client.ask(method, json!({}));
        assert_eq!((answer.status, answer.error()), (404, -32601), "{method}");
    }
    let answer = Legacy::new(weir.endpoint()).ask("no/such", json!({}));
    assert_eq!((answer.status, answer.error()), (200, -32601));
}

#[test]
fn discovery_names_what_is_there() {
    let weir = echo();
    let answer = Modern::new(weir.endpoint()).ask("server/discover", json!({}));
    let result = answer.result();
    assert_eq!(result["resultType"], "complete");
    assert!(result["supportedVersions"].as_array().expect("versions").contains(&json!(modern::REVISION)));
    assert!(result["capabilities"]["tools"].is_object(), "{result}");
    assert!(result["ttlMs"].is_u64() && result["cacheScope"].is_string(), "{result}");
}

#[test]
fn a_modern_answer_gives_no_session() {
    let weir = echo();
    let response = well_formed(&weir).header("mcp-session-id", "made-up").send(&weir.endpoint());
    assert_eq!(response.status, 200);
    assert_eq!(response.header("mcp-session-id"), None);
    assert_eq!(response.header("content-type"), Some("application/json"));
    assert_eq!(response.header("content-length"), Some(response.body.len().to_string().as_str()));
    let result = &response.json()["result"];
    assert_eq!(result["resultType"], "complete");
    assert!(result["ttlMs"].is_u64() && result["cacheScope"].is_string(), "{result}");
}
