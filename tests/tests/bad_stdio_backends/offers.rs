//! What a program does to the handshake and to its lists; what a client sees of its tools then.

use crate::puppet;
use serde_json::{Value, json};
use weir_tests::{Modern, Speak, Weir, weir};

/// The columns: what is wrong; the requests that are answered so, each with the text of the answer's result or with steps;
/// the tools that a client sees. A silent program has two seconds.
fn cases() -> Vec<(&'static str, Value, &'static [&'static str])> {
    const ALL: &[&str] = &["bad", "good"];
    const ONE: &[&str] = &["good"];
    const NONE: &[&str] = &[];
    let on = |method: &str, steps: Value| json!({method: steps});
    let result = |method: &str, result: &str| {
        on(method, json!([["write", format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{result}}}{}"#, "\n")]]))
    };
    let tools = |array: &str| result("tools/list", &format!(r#"{{"tools":{array}}}"#));
    let error = |method: &str, error: &str| {
        on(method, json!([["write", format!(r#"{{"jsonrpc":"2.0","id":$ID,"error":{error}}}{}"#, "\n")]]))
    };
    let page = |rest: &str| {
        result("tools/list", &format!(r#"{{"tools":[{{"name":"good","inputSchema":{{}}}}],{rest}}}"#))
    };
    let initialize = |members: &str| {
        result("initialize", &format!(r#"{{"serverInfo":{{"name":"x","version":"1"}},{members}}}"#))
    };
    vec![
        ("nothing wrong", json!({}), ALL),
        // The handshake.
        ("an end at once", on("start", json!([["exit", 0]])), NONE),
        ("no output", on("start", json!([["close", 1]])), NONE),
        ("noise at once", on("start", json!([["write", "Welcome!\n", 10_000]])), ALL),
        ("a long line at once", on("start", json!([["write", "x", 100_000], ["write", "\n"]])), ALL),
        (
            "an answer before the request",
            on("start", json!([["write", "{\"jsonrpc\":\"2.0\",\"id\":9,\"result\":{}}\n"]])),
            ALL,
        ),
        ("errors at once", on("start", json!([["stderr", "oops\n", 10_000]])), ALL),
        ("silence", on("initialize", json!([])), NONE),
        ("an end in the handshake", on("initialize", json!([["exit", 0]])), NONE),
        ("a handshake that is refused", error("initialize", r#"{"code":-1,"message":"no"}"#), NONE),
        ("a handshake that is refused by a text", error("initialize", r#""no""#), NONE),
        (
            "a handshake of another id",
            on("initialize", json!([["write", "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{}}\n"]])),
            NONE,
        ),
        ("an empty handshake", result("initialize", "{}"), NONE),
        (
            "a revision that nobody knows",
            initialize(r#""protocolVersion":"1999-01-01","capabilities":{"tools":{}}"#),
            NONE,
        ),
        (
            "a revision that has no handshake",
            initialize(r#""protocolVersion":"2026-07-28","capabilities":{"tools":{}}"#),
            NONE,
        ),
        (
            "a revision that is a number",
            initialize(r#""protocolVersion":2025,"capabilities":{"tools":{}}"#),
            NONE,
        ),
        ("no capabilities", initialize(r#""protocolVersion":"2025-11-25""#), NONE),
        (
            "capabilities that are a list",
            initialize(r#""protocolVersion":"2025-11-25","capabilities":["tools"]"#),
            NONE,
        ),
        (
            "a capability that is true",
            initialize(r#""protocolVersion":"2025-11-25","capabilities":{"tools":true}"#),
            NONE,
        ),
        (
            "instructions that are a number",
            initialize(r#""protocolVersion":"2025-11-25","capabilities":{"tools":{}},"instructions":7"#),
            ALL,
        ),
        // The list.
        ("a list that is refused", error("tools/list", r#"{"code":-1,"message":"no"}"#), NONE),
        ("a list that does not exist", error("tools/list", r#"{"code":-32601,"message":"no"}"#), NONE),
        ("a list that never comes", on("tools/list", json!([])), NONE),
        ("an end at the list", on("tools/list", json!([["exit", 0]])), NONE),
        ("a result that is a text", result("tools/list", r#""none""#), NONE),
        ("a result that is a list", result("tools/list", "[]"), NONE),
        ("no list", result("tools/list", "{}"), NONE),
        ("a list that is null", tools("null"), NONE),
        ("a list that is an object", tools(r#"{"name":"good"}"#), NONE),
        ("a list that is a text", tools(r#""good""#), NONE),
        ("two lists", result("tools/list", r#"{"tools":[],"tools":[]}"#), NONE),
        ("an empty list", tools("[]"), NONE),
        ("items that are none", tools(r#"[1,null,"good",[],true,{"name":"good","inputSchema":{}}]"#), ONE),
        ("an item without a name", tools(r#"[{"inputSchema":{}},{"name":"good","inputSchema":{}}]"#), ONE),
        ("an item whose name is a number", tools(r#"[{"name":7},{"name":"good","inputSchema":{}}]"#), ONE),
        ("an item whose name is null", tools(r#"[{"name":null},{"name":"good","inputSchema":{}}]"#), ONE),
        (
            "an item with two names",
            tools(r#"[{"name":"a","name":"b"},{"name":"good","inputSchema":{}}]"#),
            ONE,
        ),
        (
            "an item whose name is a lone surrogate",
            tools(r#"[{"name":"\ud800"},{"name":"good","inputSchema":{}}]"#),
            ONE,
        ),
        (
            "an item that is there twice",
            tools(r#"[{"name":"good","inputSchema":{}},{"name":"good","inputSchema":{}}]"#),
            ONE,
        ),
        ("many items that are none", tools(&format!("[{}1]", "1,".repeat(10_000))), NONE),
        // Pages.
        ("a cursor that is null", page(r#""nextCursor":null"#), ONE),
        ("a cursor that is a number", page(r#""nextCursor":7"#), NONE),
        ("a cursor that is an object", page(r#""nextCursor":{}"#), NONE),
        ("a cursor that is a lone surrogate", page(r#""nextCursor":"\ud800""#), NONE),
        ("two cursors", page(r#""nextCursor":"a","nextCursor":"b""#), NONE),
        ("a cursor that leads to itself", page(r#""nextCursor":"again""#), NONE),
        ("an empty cursor that leads to itself", page(r#""nextCursor":"""#), NONE),
        ("pages without an end", page(r#""nextCursor":"$ID""#), NONE),
        ("a list over the limit", tools(&format!(r#"[{{"name":"{}"}}]"#, "x".repeat(65 << 10))), NONE),
    ]
}

#[test]
fn offers_that_are_wrong() {
    let cases = cases();
    let backends = cases.iter().enumerate().map(|(at, (_, scripts, _))| {
        let steps = scripts.as_object().and_then(|scripts| scripts.values().next());
        // Without an answer there is nothing to do but wait.
        let silent =
            steps.is_some_and(|steps| steps == &json!([])) || scripts.to_string().contains(r#"\"id\":\"x\""#);
        let mut backend = puppet(scripts, if silent { &[("list", 2000)] } else { &[] });
        backend["limits"]["items"] = json!(100);
        (format!("b{at}"), backend)
    });
    let weir = Weir::serve(weir::config(Value::Object(backends.collect()), json!({})));
    let client = Modern::new(weir.endpoint());
    let listed = client.tool_names();
    let mut complaints = Vec::new();
    for (at, (name, _, expected)) in cases.iter().enumerate() {
        let prefix = format!("b{at}_");
        let mut seen: Vec<&str> = listed.iter().filter_map(|tool| tool.strip_prefix(&prefix)).collect();
        seen.sort_unstable();
        if seen != *expected {
            complaints.push(format!("{name}: expected {expected:?}, saw {seen:?}"));
        }
        if expected.contains(&"good") {
            let answer = client.call(&format!("b{at}_good"), json!({}));
            if answer.failed() || answer.text() != "done" {
                complaints.push(format!("{name}: the call: {}", answer.message));
            }
        }
    }
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}
