//! What weir answers at the level of HTTP, era by era: status codes, headers, error codes.

use serde_json::json;
use weir_tests::http::{Request, send_in_turn, send_raw};
use weir_tests::{Answer, Legacy, Modern, Speak, Weir, legacy, modern, peers, weir};

fn echo() -> Weir {
    Weir::over(json!({"echo": peers::fixture("echo.py", &["legacy", "modern"])}))
}

/// A modern `tools/list` whose body and headers agree.
fn well_formed(weir: &Weir) -> Request {
    Modern::new(weir.endpoint()).prepare("tools/list", json!({})).0
}

#[test]
fn methods_that_an_endpoint_does_not_have_are_refused() {
    let weir = echo();
    for method in ["GET", "DELETE", "PUT", "PATCH"] {
        let request = Request::new(method).header("mcp-protocol-version", modern::REVISION);
        let response = request.header("accept", "text/event-stream").send(&weir.endpoint());
        assert_eq!(response.status, 405, "{method}");
        let allowed = response.header("allow").expect("what is allowed is said");
        assert!(allowed.contains("POST"), "{method}: {allowed}");
    }
}

#[test]
fn an_unknown_path_is_not_found() {
    let weir = echo();
    assert_eq!(well_formed(&weir).send(&weir.endpoint().at("/nowhere")).status, 404);
}

#[test]
fn media_types_are_checked() {
    let weir = echo();
    let request = well_formed(&weir);
    let of_type = |media| request.clone().replace("content-type", media).send(&weir.endpoint()).status;
    assert_eq!(of_type(Some("text/plain")), 415);
    assert_eq!(of_type(None), 415);
    assert_eq!(of_type(Some("application/json; charset=utf-8")), 200);
    let accepting = |media| request.clone().replace("accept", media).send(&weir.endpoint()).status;
    assert_eq!(accepting(Some("text/html")), 406);
    assert_eq!(accepting(Some("*/*")), 200);
    assert_eq!(accepting(Some("text/event-stream;q=0.5, application/json")), 200);
}

#[test]
fn a_body_over_the_limit_is_refused() {
    let mut config =
        weir::config(json!({"echo": peers::fixture("echo.py", &[])}), json!({"conflicts": "none"}));
    config["limits"]["body"] = json!("64KiB");
    let weir = Weir::serve(config);
    let fitting = Modern::new(weir.endpoint()).call("line", json!({"filler": "x".repeat(60 << 10)}));
    assert!(!fitting.failed());

    let body = "x".repeat((64 << 10) + 1);
    let announced = modern::post(&body, "tools/list", None);
    assert_eq!(announced.send(&weir.endpoint()).status, 413);
    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
    let chunked = modern::post(&chunk, "tools/list", None).header("transfer-encoding", "chunked");
    let exchange = send_raw(&weir.endpoint(), &chunked.bytes(&weir.endpoint()));
    assert_eq!(exchange.status, 413);
}

#[test]
fn a_notification_is_accepted_without_an_answer() {
    let weir = echo();
    let params =
        json!({"requestId": 99, "_meta": Modern::new(weir.endpoint()).with_meta(json!({}))["_meta"]});
    let body = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}).to_string();
    let response = modern::post(&body, "notifications/cancelled", None).send(&weir.endpoint());
    assert_eq!((response.status, response.body.len()), (202, 0), "{}", response.text());
    Legacy::new(weir.endpoint()).tell("notifications/cancelled", json!({"requestId": 99}));
}

#[test]
fn hosts_and_origins_from_elsewhere_are_forbidden() {
    let weir = echo();
    let request = well_formed(&weir);
    let from = |name, value| request.clone().replace(name, Some(value)).send(&weir.endpoint()).status;
    assert_eq!(from("host", "evil.example.com"), 403);
    assert_eq!(from("origin", "http://evil.example.com"), 403);
    assert_eq!(from("origin", "null"), 403);
    assert_eq!(from("host", "localhost"), 200);
    assert_eq!(from("origin", "http://localhost:6274"), 200);
    let opening = legacy::initialize(legacy::REVISION, json!({})).replace("host", Some("evil.example.com"));
    assert_eq!(opening.send(&weir.endpoint()).status, 403);
}

#[test]
fn hosts_and_origins_of_the_configuration_are_let_in() {
    let mut config =
        weir::config(json!({"echo": peers::fixture("echo.py", &[])}), json!({"conflicts": "none"}));
    config["listener"] =
        json!({"allowed_hosts": ["gateway.example.com"], "allowed_origins": ["https://app.example.com"]});
    let weir = Weir::serve(config);
    let request = well_formed(&weir);
    let with = |name, value| request.clone().replace(name, Some(value)).send(&weir.endpoint());
    assert_eq!(with("host", "gateway.example.com").status, 200);
    assert_eq!(with("host", "Gateway.Example.com:8443").status, 200);
    assert_eq!(with("host", "gateway.example.com.evil.example").status, 403);
    let allowed = with("origin", "https://app.example.com");
    assert_eq!(allowed.status, 200);
    assert_eq!(allowed.header("access-control-allow-origin"), Some("https://app.example.com"));
    for origin in
        ["http://app.example.com", "https://app.example.com:8443", "https://app.example.com.evil.example"]
    {
        let refused = with("origin", origin);
        assert_eq!((refused.status, refused.header("access-control-allow-origin")), (403, None), "{origin}");
    }
    let preflight = |origin| {
        let request = Request::new("OPTIONS").header("origin", origin);
        request
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "content-type,Mcp-Param-City, mcp-param-b c,x-other")
            .send(&weir.endpoint())
    };
    let allowed = preflight("https://app.example.com");
    assert!(allowed.status == 200 || allowed.status == 204, "{}", allowed.status);
    let methods = allowed.header("access-control-allow-methods").unwrap_or_default();
    let headers = allowed.header("access-control-allow-headers").unwrap_or_default();
    assert!(methods.contains("POST") && headers.contains("mcp-method"), "{allowed:?}");
    assert!(headers.ends_with(", mcp-param-city"), "those that mirror parameters, and no others: {headers}");
    let varies = allowed.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("vary"));
    let varies: Vec<&str> = varies.map(|(_, value)| value.as_str()).collect();
    assert_eq!(varies, ["origin", "access-control-request-headers"]);
    assert_eq!(preflight("https://evil.example.com").status, 403);
}

#[test]
fn a_connection_serves_many_requests() {
    let weir = echo();
    let clients: [Box<dyn Speak>; 2] =
        [Box::new(Modern::new(weir.endpoint())), Box::new(Legacy::new(weir.endpoint()))];
    for client in clients {
        let requests = (0..20).map(|_| client.prepare("tools/list", json!({})));
        let (requests, ids): (Vec<_>, Vec<_>) = requests.unzip();
        for (response, id) in send_in_turn(&requests, &weir.endpoint()).iter().zip(&ids) {
            assert!(Answer::of(response, id).result()["tools"].is_array());
        }
    }
}
