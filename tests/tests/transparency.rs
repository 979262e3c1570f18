//! What weir does not change: arguments, results and fields it has never heard of reach the other side byte for byte.

use serde_json::{Value, json};
use weir_tests::http::Request;
use weir_tests::{Answer, Legacy, Modern, Scripted, Speak, Weir, modern, peers, scripted};

/// JSON that any detour through a tree would change: order of keys, white space, escapes, numbers out of range.
const ARGUMENTS: &str = concat!(
    r#"{ "zebra" : 1, "apple":12345678901234567890123,"e":1E+2 , "f":0.10, "huge":1e400,"esc":"\u0041\/\ud83d\ude00","#,
    r#""text":"ünïcödé — 😀","nested":{"b":[1, 2 ,3],"a":null},"empty":{},"":"no name" }"#
);

/// A result with members that no revision knows.
const RESULT: &str = concat!(
    r#"{"zeta":12345678901234567890123,"content":[{"type":"text","text":"\u0041 b","x-unknown":{"b":1,"a":2}}, "#,
    r#"{"type":"hologram","data":[1.50,2e0]}],"structuredContent":{"z":1,"a":1e400},"x-vendor":{"k" : "v"}}"#
);

/// Posts a `tools/call` whose `params` members beside `_meta` are `members`, as they are; the first is the name.
fn call_raw(client: &Client, members: &str) -> Answer {
    let body = |meta: &str| {
        format!(r#"{{"jsonrpc":"2.0","id":"raw","method":"tools/call","params":{{{members}{meta}}}}}"#)
    };
    let response = match client {
        Client::Legacy(client) => client.post(&body("")),
        Client::Modern(client) => {
            let meta = format!(r#","_meta":{}"#, client.with_meta(json!({}))["_meta"]);
            modern::post(&body(&meta), "tools/call", Some(named(members))).send(client.endpoint())
        }
    };
    Answer::of(&response, &json!("raw"))
}

/// The name in a text that begins with `"name":"…"`.
fn named(members: &str) -> &str {
    members.split('"').nth(3).expect("the first member is a name")
}

enum Client {
    Legacy(Legacy),
    Modern(Modern),
}

/// Runs a check for each era of the client and each era of the backend.
fn in_every_era(check: impl Fn(&Client, &str)) {
    for era in ["legacy", "modern"] {
        let weir = Weir::over(json!({"echo": peers::fixture("echo.py", &[era])}));
        check(&Client::Legacy(Legacy::new(weir.endpoint())), &format!("legacy client, {era} server"));
        check(&Client::Modern(Modern::new(weir.endpoint())), &format!("modern client, {era} server"));
    }
}

#[test]
fn arguments_reach_the_backend_byte_for_byte() {
    in_every_era(|client, who| {
        let answer = call_raw(client, &format!(r#""name":"params","arguments":{ARGUMENTS}"#));
        assert!(answer.text().contains(ARGUMENTS), "{who}: {}", answer.text());
    });
}

#[test]
fn unknown_parameters_reach_the_backend() {
    in_every_era(|client, who| {
        let unknown = r#""x-future": {"b":1, "a":12345678901234567890123}"#;
        let answer = call_raw(client, &format!(r#""name":"params","arguments":{{}},{unknown}"#));
        assert!(answer.text().contains(unknown), "{who}: {}", answer.text());
    });
}

#[test]
fn absent_arguments_stay_absent() {
    in_every_era(|client, who| {
        let answer = call_raw(client, r#""name":"params""#);
        assert!(!answer.text().contains("arguments"), "{who}: {}", answer.text());
    });
}

#[test]
fn a_result_reaches_the_client_with_every_member() {
    for era in ["legacy", "modern"] {
        let weir = Weir::over(json!({"echo": peers::fixture("echo.py", &[era])}));
        let raw = if era == "modern" {
            RESULT.replacen('{', r#"{"resultType":"complete","#, 1)
        } else {
            RESULT.to_owned()
        };
        let clients: [Box<dyn Speak>; 2] =
            [Box::new(Legacy::new(weir.endpoint())), Box::new(Modern::new(weir.endpoint()))];
        for client in clients {
            let (request, _) =
                client.prepare("tools/call", json!({"name": "reply", "arguments": {"raw": raw}}));
            let body = request.send(&weir.endpoint()).text();
            for member in members(RESULT) {
                assert!(body.contains(member), "{era} server: {member} is missing in {body}");
            }
        }
    }
}

/// The members of [`RESULT`], each as it is written.
fn members(result: &str) -> [&str; 4] {
    let cut = |from: &str, to: &str| {
        let start = result.find(from).expect("the member is there");
        &result[start..start + result[start..].find(to).expect("it ends") + to.len()]
    };
    [
        cut("\"zeta\"", "123"),
        cut("\"content\"", "2e0]}]"),
        cut("\"structuredContent\"", "1e400}"),
        cut("\"x-vendor\"", "\"v\"}"),
    ]
}

#[test]
fn meta_of_the_clients_own_travels_on() {
    in_every_era(|client, who| {
        let meta = json!({"com.example/trace": {"deep": [1]}, "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"});
        let params = json!({"name": "params", "arguments": {}, "_meta": meta});
        let answer = match client {
            Client::Legacy(client) => client.ask("tools/call", params),
            Client::Modern(client) => client.ask("tools/call", params),
        };
        let seen: Value = serde_json::from_str(answer.text()).expect("params are JSON");
        assert_eq!(seen["_meta"]["com.example/trace"], meta["com.example/trace"], "{who}");
        assert!(seen["_meta"]["traceparent"].is_string(), "{who}: {seen}");
    });
}

#[test]
fn a_tool_is_listed_as_its_server_describes_it() {
    let tool = json!({
        "name": "odd", "title": "Odd", "description": "An odd tool.",
        "inputSchema": {"type": "object", "properties": {"b": {"const": 1}, "a": {"x-keyword": [true]}}, "$defs": {"q": {}}},
        "outputSchema": {"type": "object", "unevaluatedProperties": false},
        "annotations": {"readOnlyHint": true, "x-hint": "unknown"},
        "icons": [{"src": "data:image/png;base64,AA==", "sizes": ["1x1"]}],
        "x-vendor": {"z": 1, "a": [2]},
    });
    let server = Scripted::modern(json!([tool]), |request, reply| reply.result(request, json!({})));
    let weir = Weir::over(json!({"odd": server.backend()}));
    for client in [&Modern::new(weir.endpoint()) as &dyn Speak, &Legacy::new(weir.endpoint())] {
        assert_eq!(json!(client.list("tools/list", "tools")), json!([tool]));
    }
}

#[test]
fn credentials_of_the_client_stay_behind() {
    let server = Scripted::modern(json!([scripted::tool("one")]), |request, reply| {
        reply.result(request, json!({"resultType": "complete", "content": []}));
    });
    let backend = json!({"url": server.url(), "headers": {"X-Api-Key": "of-weir"}});
    let weir = Weir::over(json!({"scripted": backend}));
    let client = Modern::new(weir.endpoint());
    let (request, _) = client.prepare("tools/call", json!({"name": "one", "arguments": {}}));
    let request: Request = request
        .header("authorization", "Bearer client-token")
        .header("cookie", "session=client-cookie")
        .header("x-api-key", "of-the-client")
        .header("x-forwarded-for", "203.0.113.9");
    assert_eq!(request.send(&weir.endpoint()).status, 200);

    let calls = server.received_of("tools/call");
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].header("x-api-key"), Some("of-weir"));
    assert_eq!((calls[0].header("authorization"), calls[0].header("cookie")), (None, None));
    assert!(!format!("{:?}", server.received()).contains("client-"), "{:?}", server.received());
}

#[test]
fn headers_to_a_modern_backend_agree_with_the_body() {
    let server = Scripted::modern(json!([scripted::tool("grüße")]), |request, reply| {
        reply.result(request, json!({"resultType": "complete", "content": []}));
    });
    let weir = Weir::serve(weir_tests::weir::config(json!({"scripted": server.backend()}), json!({})));
    let answer = Legacy::new(weir.endpoint()).call("scripted_grüße", json!({"a": 1}));
    assert!(!answer.failed(), "{}", answer.message);
    let call = &server.received_of("tools/call")[0];
    assert_eq!(call.json()["params"]["name"], "grüße");
    assert_eq!(call.header("mcp-method"), Some("tools/call"));
    // "grüße" in UTF-8, encoded.
    assert_eq!(call.header("mcp-name"), Some("=?base64?Z3LDvMOfZQ==?="));
    let version = &call.json()["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"];
    assert_eq!(version, call.header("mcp-protocol-version").expect("a version header"));
}
