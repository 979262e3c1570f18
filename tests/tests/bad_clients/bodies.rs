//! Messages that are not what JSON, JSON-RPC or MCP want.

use crate::trial::{After, Answer, Case, case};
use weir_tests::modern::REVISION;

/// The head of a POST within a session of 2025-11-25.
const LEGACY: &str = "POST /mcp HTTP/1.1\r\nhost: $HOST\r\ncontent-type: application/json\r\nmcp-session-id: $SESSION\r\nmcp-protocol-version: 2025-11-25\r\ncontent-length: $LENGTH\r\n\r\n";

/// The head of a modern `tools/call` of the tool `good`.
const MODERN: &str = "POST /mcp HTTP/1.1\r\nhost: $HOST\r\ncontent-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: good\r\ncontent-length: $LENGTH\r\n\r\n";

/// What a modern request says of itself.
fn meta() -> String {
    format!(
        r#""_meta":{{"io.modelcontextprotocol/protocolVersion":"{REVISION}","io.modelcontextprotocol/clientCapabilities":{{}}}}"#
    )
}

/// The columns: what is wrong; the body; what a client of 2025-11-25 is told; what a modern one is told. The connection
/// serves the next request in all of them.
fn bodies() -> Vec<(&'static str, Vec<u8>, Answer, Answer)> {
    const PARSE: Answer = (400, -32700);
    const INVALID: Answer = (400, -32600);
    const FINE: Answer = (200, 0);
    let text = |text: &str| text.as_bytes().to_vec();
    let meta = meta();
    let call = |id: &str, params: &str| {
        let params = format!(r#""name":"good",{params}{meta}"#);
        format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{{params}}}}}"#).into_bytes()
    };
    let arguments = |arguments: &str| call("1", &format!(r#""arguments":{arguments},"#));
    let plain = call("1", "");
    let nested = |depth: usize| arguments(&format!(r#"{{"x":{}{}}}"#, "[".repeat(depth), "]".repeat(depth)));
    let deep = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
    let digits = "9".repeat(2000);
    let both = |name, body, answer| (name, body, answer, answer);
    vec![
        both("nothing wrong", plain.clone(), FINE),
        // Texts.
        both("nothing", text(""), PARSE),
        both("white space", text(" \r\n\t"), PARSE),
        both("no JSON", text("nonsense"), PARSE),
        both("JSON cut off", plain[..plain.len() - 1].to_vec(), PARSE),
        both("a message and more", [&plain[..], b" x"].concat(), PARSE),
        both("two messages", [&plain[..], &plain].concat(), PARSE),
        both("a message within white space", [b"\n ", &plain[..], b"\t\n"].concat(), FINE),
        both("a byte order mark", [b"\xef\xbb\xbf", &plain[..]].concat(), PARSE),
        both("UTF-16", plain.iter().flat_map(|byte| [*byte, 0]).collect(), PARSE),
        both("bytes that are no UTF-8", [b"{\"x\":\"\xff\",", &plain[1..]].concat(), PARSE),
        both("a surrogate as UTF-8", [b"{\"x\":\"\xed\xa0\x80\",", &plain[1..]].concat(), PARSE),
        both("an overlong NUL", [b"{\"x\":\"\xc0\x80\",", &plain[1..]].concat(), PARSE),
        both("NUL", [b"{\"x\":\"\0\",", &plain[1..]].concat(), PARSE),
        both("NUL behind the message", [&plain[..], b"\0"].concat(), PARSE),
        both("a line feed within a text", arguments("{\"x\":\"\n\"}"), PARSE),
        both("an unknown escape", arguments(r#"{"x":"\q"}"#), PARSE),
        both("NaN", arguments(r#"{"x":NaN}"#), PARSE),
        both("a comment", arguments(r#"{/* x */"x":1}"#), PARSE),
        both("a comma too many", arguments(r#"{"x":1,}"#), PARSE),
        both("a number with a zero before it", arguments(r#"{"x":01}"#), PARSE),
        both("a lone surrogate, escaped", arguments(r#"{"x":"\ud800"}"#), FINE),
        both("a number beyond all bounds", arguments(r#"{"x":1e999999}"#), FINE),
        both("a number of many digits", arguments(&format!(r#"{{"x":{digits}}}"#)), FINE),
        both("nesting", nested(50), FINE),
        both("deep nesting", nested(70), INVALID),
        both("very deep nesting", text(&format!(r#"{{"x":{deep}}}"#)), INVALID),
        both("deep nesting alone", text(&deep), INVALID),
        // Shapes.
        both("a number", text("1"), INVALID),
        both("a text", text(r#""text""#), INVALID),
        both("null", text("null"), INVALID),
        both("an empty list", text("[]"), INVALID),
        both("a list of messages", [b"[", &plain[..], b"]"].concat(), INVALID),
        both("an empty object", text("{}"), INVALID),
        both("no version of JSON-RPC", text(r#"{"id":1,"method":"ping"}"#), INVALID),
        both("JSON-RPC 1.0", text(r#"{"jsonrpc":"1.0","id":1,"method":"ping"}"#), INVALID),
        both("JSON-RPC 2.0 as a number", text(r#"{"jsonrpc":2.0,"id":1,"method":"ping"}"#), INVALID),
        both("no method", text(r#"{"jsonrpc":"2.0","id":1}"#), INVALID),
        both("a method that is a number", text(r#"{"jsonrpc":"2.0","id":1,"method":7}"#), INVALID),
        both("a method that is null", text(r#"{"jsonrpc":"2.0","id":1,"method":null}"#), INVALID),
        both(
            "a method and a result",
            text(r#"{"jsonrpc":"2.0","id":1,"method":"ping","result":{}}"#),
            INVALID,
        ),
        both("result and error", text(r#"{"jsonrpc":"2.0","id":1,"result":{},"error":{"code":1}}"#), INVALID),
        ("a result", text(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#), (202, 0), INVALID),
        ("an error", text(r#"{"jsonrpc":"2.0","id":1,"error":{"code":1}}"#), (202, 0), INVALID),
        // Ids.
        both("an id that is a text", call(r#""a\"b\u0000""#, ""), FINE),
        both("an empty id", call(r#""""#, ""), FINE),
        both("an id of many digits", call(&digits[..1000], ""), FINE),
        both("an id of too many digits", call(&digits, ""), INVALID),
        both("a long id", call(&format!("\"{}\"", "x".repeat(2000)), ""), INVALID),
        both("an id that is null", call("null", ""), INVALID),
        both("an id that is true", call("true", ""), INVALID),
        both("an id that is an object", call("{}", ""), INVALID),
        both("an id that is a list", call("[1]", ""), INVALID),
        both("an id that is a fraction", call("1.5", ""), INVALID),
        both("an id with an exponent", call("1e0", ""), INVALID),
        both("an id with a lone surrogate", call(r#""\ud800""#, ""), INVALID),
        both("a negative id", call("-1", ""), FINE),
        // Keys that are there twice.
        both("the id twice", call(r#"1,"id":2"#, ""), INVALID),
        both("the method twice", call(r#"1,"method":"ping""#, ""), INVALID),
        both("the parameters twice", call(r#"1,"params":{}"#, ""), INVALID),
        both("the name twice", call("1", r#""name":"good","#), INVALID),
        both("the name twice, once escaped", call("1", r#""n\u0061me":"good","#), INVALID),
        both("the arguments twice", call("1", r#""arguments":{},"arguments":{},"#), INVALID),
        both("`_meta` twice", call("1", r#""_meta":{},"#), INVALID),
        both("a key of the arguments twice", arguments(r#"{"x":1,"x":2}"#), FINE),
        // Parameters.
        both(
            "parameters that are a list",
            text(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":[]}"#),
            INVALID,
        ),
        both(
            "parameters that are a text",
            text(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":"x"}"#),
            INVALID,
        ),
        (
            "no parameters",
            text(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call"}"#),
            (200, -32602),
            (400, -32602),
        ),
        both(
            "`_meta` that is a list",
            text(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"_meta":[]}}"#),
            INVALID,
        ),
        (
            "no name",
            text(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#),
            (200, -32602),
            (400, -32602),
        ),
        (
            "a name that is a number",
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":1,{meta}}}}}"#)
                .into(),
            (200, -32602),
            (200, -32602),
        ),
        (
            "a tool that nobody has",
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"x",{meta}}}}}"#)
                .into(),
            (200, -32602),
            (400, -32020),
        ),
        (
            "a method that nobody knows",
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{{meta}}}}}"#).into(),
            (200, -32601),
            (400, -32020),
        ),
        (
            "a cursor that nobody gave",
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"cursor":"x",{meta}}}}}"#)
                .into(),
            (200, -32602),
            (400, -32020),
        ),
        (
            "a cursor that is a number",
            format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{{"cursor":7,{meta}}}}}"#)
                .into(),
            (200, -32602),
            (400, -32020),
        ),
        both("a notification that nobody knows", text(r#"{"jsonrpc":"2.0","method":"x"}"#), (202, 0)),
        both(
            "a cancellation of nothing",
            text(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#),
            (202, 0),
        ),
        (
            "`initialize` without a revision",
            text(r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#),
            (200, -32602),
            (400, -32602),
        ),
    ]
}

pub fn cases() -> Vec<Case> {
    let legacy = |body: &[u8]| {
        // In a legacy message these members would ask for the modern era.
        let (modern, plain) = (meta(), r#""_meta":{}"#);
        match body.windows(modern.len()).position(|window| window == modern.as_bytes()) {
            Some(at) => [&body[..at], plain.as_bytes(), &body[at + modern.len()..]].concat(),
            None => body.to_vec(),
        }
    };
    let of = |name, head: &str, body: &[u8], answer: Answer| {
        case(name, [head.as_bytes(), body].concat(), &[answer], After::Kept)
    };
    bodies()
        .into_iter()
        .flat_map(|(name, body, to_legacy, to_modern)| {
            [of(name, LEGACY, &legacy(&body), to_legacy), of(name, MODERN, &body, to_modern)]
        })
        .collect()
}
