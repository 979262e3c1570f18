//! Parameters that headers mirror (`x-mcp-header`): what clients must send, what backends get, and tools that break the rules.

use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use weir_tests::driver::{self, MODES, SDKS};
use weir_tests::scripted::{Received, Reply, modern};
use weir_tests::weir::config;
use weir_tests::{Answer, Legacy, Modern, Scripted, Speak, Weir, peers, wait};

/// A tool with a mirrored parameter of every type, one of them nested.
fn annotated(name: &str) -> Value {
    json!({"name": name, "inputSchema": {"type": "object", "properties": {
        "region": {"type": "string", "x-mcp-header": "Region"},
        "limit": {"type": "integer", "x-mcp-header": "Limit"},
        "dry": {"type": "boolean", "x-mcp-header": "Dry-Run"},
        "options": {"type": "object", "properties": {"zone": {"type": "string", "x-mcp-header": "Zone"}}},
        "plain": {"type": "string"},
    }}})
}

/// Answers a call with the mirroring headers that it came with.
fn tell_headers(request: &Received, reply: &mut Reply<'_>) {
    let is_mirror = |(name, _): &&(String, String)| name.starts_with("mcp-param-");
    let mut mirrors: Vec<String> =
        request.headers.iter().filter(is_mirror).map(|(name, value)| format!("{name}: {value}")).collect();
    mirrors.sort();
    let text = json!({"type": "text", "text": mirrors.join("\n")});
    reply.result(request, json!({"resultType": "complete", "content": [text]}));
}

/// Sends a modern call with `headers` beside those that every call has.
fn call(client: &Modern, tool: &str, arguments: &Value, headers: &[(&str, &str)]) -> Answer {
    let (mut request, id) = client.prepare("tools/call", json!({"name": tool, "arguments": arguments}));
    for (name, value) in headers {
        request = request.header(name, value);
    }
    Answer::of(&request.send(client.endpoint()), &id)
}

#[test]
fn headers_of_clients_are_checked_and_those_of_backends_written() {
    let backend = Scripted::modern(json!([annotated("t")]), tell_headers);
    let config = config(json!({"b": backend.backend()}), json!({"conflicts": "prefix"}));
    let weir = Weir::serve(config);
    let client = Modern::new(weir.endpoint());
    let arguments =
        json!({"region": "Zürich", "limit": 42, "dry": false, "options": {"zone": "a"}, "plain": "x"});
    let good = [
        ("Mcp-Param-Region", "=?base64?WsO8cmljaA==?="),
        ("mcp-param-LIMIT", "42.0"),
        ("Mcp-Param-Dry-Run", "false"),
        ("Mcp-Param-Zone", "a"),
        ("Mcp-Param-Plain", "ignored"),
    ];
    let told = "mcp-param-dry-run: false\nmcp-param-limit: 42\nmcp-param-region: =?base64?WsO8cmljaA==?=\nmcp-param-zone: a";
    assert_eq!(call(&client, "b_t", &arguments, &good).text(), told);
    // A legacy client knows no such headers; the backend gets them all the same.
    assert_eq!(Legacy::new(weir.endpoint()).call("b_t", arguments.clone()).text(), told);
    assert_eq!(call(&client, "b_t", &json!({"region": null}), &[]).text(), "");

    let sent = backend.received_of("tools/call").len();
    let replaced = |at: usize, value: &'static str| {
        let mut headers = good;
        headers[at].1 = value;
        headers.to_vec()
    };
    let bad = [
        good[1..].to_vec(),
        replaced(0, "Zurich"),
        replaced(0, "Zürich"),
        replaced(0, "=?base64?***?="),
        replaced(1, "43"),
        replaced(2, "False"),
        [good.to_vec(), vec![("Mcp-Param-Zone", "a")]].concat(),
    ];
    for headers in bad {
        let answer = call(&client, "b_t", &arguments, &headers);
        assert_eq!((answer.status, answer.error()), (400, -32020), "{headers:?}");
    }
    let surplus = call(&client, "b_t", &json!({}), &[("Mcp-Param-Region", "a")]);
    assert_eq!((surplus.status, surplus.error()), (400, -32020));
    assert_eq!(backend.received_of("tools/call").len(), sent, "none of these was sent on");
}

#[test]
fn a_tool_that_breaks_the_rules_is_left_out_and_told_of_once() {
    let invalid = json!({"name": "bad", "inputSchema": {"type": "object", "properties": {
        "size": {"type": "number", "x-mcp-header": "Size"},
    }}});
    let tools = json!([annotated("good"), invalid]);
    let modern = Scripted::modern(tools.clone(), tell_headers);
    let legacy = Scripted::legacy(tools, tell_headers);
    let weir = Weir::serve(config(
        json!({"modern": modern.backend(), "legacy": legacy.backend()}),
        json!({"conflicts": "prefix"}),
    ));
    let client = Modern::new(weir.endpoint());
    let mut names = client.tool_names();
    names.sort();
    assert_eq!(names, ["legacy_good", "modern_good"]);
    assert_eq!(client.call("modern_bad", json!({"size": 1})).error(), -32602);
    let log = weir.log();
    for backend in ["modern", "legacy"] {
        let lines = log.lines().filter(|line| {
            line.contains("a tool is left out") && line.contains(&format!("backend=\"{backend}\""))
        });
        let lines: Vec<&str> = lines.collect();
        assert_eq!(lines.len(), 1, "{log}");
        assert!(lines[0].contains("tool=\"bad\"") && lines[0].contains("parameter \"size\""), "{lines:?}");
    }
}

#[test]
fn a_backend_that_rejects_the_headers_is_listed_anew_and_asked_once_more() {
    let listed = Arc::new(AtomicUsize::new(0));
    let own = listed.clone();
    // It begins without annotations, and wants them from its second list on; the tool `never` is never satisfied.
    let backend = Scripted::start(move |request, reply| {
        let plain = json!([{"name": "t", "inputSchema": {"type": "object"}}, annotated("never")]);
        let script = modern(json!([annotated("t"), annotated("never")]), |request, reply| {
            let name = request.json()["params"]["name"].clone();
            if name == "t" && request.header("mcp-param-region").is_some() {
                return tell_headers(request, reply);
            }
            let error = json!({"code": -32020, "message": "header mismatch"});
            let message = json!({"jsonrpc": "2.0", "id": request.json()["id"], "error": error});
            reply.body(400, "application/json", message.to_string());
        });
        if request.rpc_method() == "tools/list" && own.fetch_add(1, Ordering::SeqCst) == 0 {
            return reply.result(
                request,
                json!({"resultType": "complete", "ttlMs": 0, "cacheScope": "public", "tools": plain}),
            );
        }
        script(request, reply);
    });
    let weir = Weir::over(json!({"b": backend.backend()}));
    let client = Modern::new(weir.endpoint());
    let arguments = json!({"region": "a"});
    let answer = call(&client, "t", &arguments, &[]);
    assert_eq!(answer.text(), "mcp-param-region: a", "asked again with what it wants");
    assert_eq!(backend.received_of("tools/call").len(), 2);
    wait::until_true("the catalog follows", || {
        let answer = call(&client, "t", &arguments, &[]);
        answer.message["error"]["code"] == -32020
    });
    assert_eq!(call(&client, "t", &arguments, &[("Mcp-Param-Region", "a")]).text(), "mcp-param-region: a");

    let calls = backend.received_of("tools/call").len();
    let refused = call(&client, "never", &arguments, &[("Mcp-Param-Region", "a")]);
    assert_eq!(refused.error(), -32603);
    assert_eq!(backend.received_of("tools/call").len(), calls + 1, "the same headers are not sent twice");
}

#[test]
fn the_python_server_gets_its_headers_from_clients_of_every_kind() {
    let server = peers::conformance_http();
    for era in ["modern", "legacy"] {
        let weir = Weir::over(json!({"conformance": {"url": server.url(), "era": era}}));
        for sdk in SDKS {
            for mode in MODES {
                let steps =
                    [driver::tools(), driver::call("test_x_mcp_header", json!({"region": "Zürich West"}))];
                let report = driver::session(sdk, mode, &weir.url(), &steps);
                assert_eq!(report.text(1), "region=Zürich West", "{sdk:?} {mode} over {era}");
            }
        }
    }
}
