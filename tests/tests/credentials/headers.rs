//! Headers of callers: only those that are named reach a backend, whoever sends what.

use serde_json::json;
use weir_tests::scripted::tool;
use weir_tests::{Legacy, Modern, Scripted, Speak, Weir};

/// What a caller may try to send along.
const ATTEMPTS: [(&str, &str); 12] = [
    ("authorization", "Bearer callers-own"),
    ("cookie", "session=callers-own"),
    ("proxy-authorization", "Basic callers-own"),
    ("x-api-key", "callers-own"),
    ("forwarded", "for=callers-own"),
    ("x-forwarded-for", "callers-own"),
    ("x-request-idx", "callers-own"),
    ("x_request_id", "callers-own"),
    ("mcp-param-x", "callers-own"),
    ("te", "callers-own"),
    ("x-static", "callers-own"),
    ("x-tenant", "blue"),
];

#[test]
fn only_named_headers_are_passed_on() {
    let answer = |request: &weir_tests::scripted::Received, reply: &mut weir_tests::scripted::Reply<'_>| {
        reply.result(request, json!({"content": [], "resultType": "complete"}));
    };
    for backend in
        [Scripted::modern(json!([tool("t")]), answer), Scripted::legacy(json!([tool("t")]), answer)]
    {
        let weir = Weir::over(json!({"b": {
            "url": backend.url(), "headers": {"X-Static": "weirs"},
            "auth": {"bearer": "weirs"}, "forward_headers": ["X-Request-ID", "traceparent"],
        }}));
        let clients: [Box<dyn Speak>; 2] =
            [Box::new(Modern::new(weir.endpoint())), Box::new(Legacy::new(weir.endpoint()))];
        for client in &clients {
            let (mut request, _) = client.prepare("tools/call", json!({"name": "t", "arguments": {}}));
            for (name, value) in ATTEMPTS {
                request = request.header(name, value);
            }
            request = request.header("X-REQUEST-ID", "r1").header("traceparent", "00-1-2-3");
            assert_eq!(request.send(&weir.endpoint()).status, 200);
        }
        let calls = backend.received_of("tools/call");
        assert_eq!(calls.len(), 2);
        for call in calls {
            let of = |name: &str| {
                let all = call.headers.iter().filter(|(known, _)| known == name);
                all.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
            };
            assert_eq!(of("x-request-id"), ["r1"]);
            assert_eq!(of("traceparent"), ["00-1-2-3"]);
            assert_eq!(of("x-static"), ["weirs"]);
            assert_eq!(of("authorization"), ["Bearer weirs"]);
            let all = format!("{:?}", call.headers);
            assert!(!all.contains("callers-own") && !all.contains("blue"), "{all}");
        }
        let own = backend.received().into_iter().filter(|request| request.rpc_method() != "tools/call");
        for request in own {
            assert!(request.header("x-request-id").is_none(), "{request:?}");
        }
    }
}
