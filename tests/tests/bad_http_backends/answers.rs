//! Answers that are HTTP, but not what JSON, JSON-RPC or MCP want.

use crate::case::{After, BOTH, Case, LEGACY, MODERN, case};
use weir_tests::scripted::{GOOD, RESULT, json, send};
use weir_tests::verdict::{BROKE, Expect, LARGE, TOO_LARGE};

const ANOTHER: &str = "broke the protocol: it answered another request";

/// The columns: what is wrong, in a few words; the body of the server's answer, which comes whole and as JSON, with the
/// request's id for `$ID`; what the caller sees. The connection serves the next call, unless the body shows that it is out of step or was not read.
fn bodies() -> Vec<(&'static str, Vec<u8>, Expect)> {
    use Expect::{ByClient, Error, Fails, Passes, Works};
    let text = |text: &str| text.as_bytes().to_vec();
    let response = |members: &str| format!(r#"{{"jsonrpc":"2.0","id":$ID,{members}}}"#).into_bytes();
    let error = |error: &str| response(&format!(r#""error":{error}"#));
    let result = |members: &str| response(&format!(r#""result":{{"content":[],{members}}}"#));
    let with_id = |id: &str| format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{RESULT}}}"#).into_bytes();
    let nested = |depth: usize| result(&format!(r#""x":{}{}"#, "[".repeat(depth), "]".repeat(depth)));
    let passes = |body: &str| Passes(body.to_owned());
    let another = Fails(ANOTHER);
    let no_error = Fails("broke the protocol: its error is not a JSON-RPC error");
    let digits = "9".repeat(4000);
    vec![
        // Texts.
        ("no JSON", text("<html>not what you think</html>"), BROKE),
        ("nothing", text(""), BROKE),
        ("white space", text(" \r\n\t "), BROKE),
        ("JSON cut off", text(r#"{"jsonrpc":"2.0","id":$ID,"result":{"content":["#), BROKE),
        ("a message and more", [GOOD.as_bytes(), b" x"].concat(), BROKE),
        ("two messages", [GOOD.as_bytes(), b"\n", GOOD.as_bytes()].concat(), BROKE),
        ("a message within white space", [b"\n ", GOOD.as_bytes(), b"\t\n"].concat(), Works),
        ("a byte order mark", [b"\xef\xbb\xbf", GOOD.as_bytes()].concat(), BROKE),
        ("UTF-16", GOOD.bytes().flat_map(|byte| [byte, 0]).collect(), BROKE),
        ("bytes that are no UTF-8", [&response(r#""result":{"x":""#)[..], b"\xff\"}}"].concat(), BROKE),
        ("a surrogate as UTF-8", [&response(r#""result":{"x":""#)[..], b"\xed\xa0\x80\"}}"].concat(), BROKE),
        ("an overlong NUL", [&response(r#""result":{"x":""#)[..], b"\xc0\x80\"}}"].concat(), BROKE),
        ("NUL within a text", result("\"x\":\"\0\""), BROKE),
        ("a line feed within a text", result("\"x\":\"\n\""), BROKE),
        ("NUL behind the message", [GOOD.as_bytes(), b"\0"].concat(), BROKE),
        ("control characters, escaped", result(r#""x":"\u0000\u001b""#), passes(r#""x":"\u0000\u001b""#)),
        ("a lone surrogate, escaped", result(r#""x":"\ud800""#), passes(r#""x":"\ud800""#)),
        ("an unknown escape", result(r#""x":"\q""#), BROKE),
        ("NaN", result(r#""x":NaN"#), BROKE),
        ("a comment", result(r#"/* x */ "x":1"#), BROKE),
        ("a comma too many", result(r#""x":1,"#), BROKE),
        // Numbers and nesting.
        ("a number beyond all bounds", result(r#""x":1e999999"#), passes(r#""x":1e999999"#)),
        ("a number of many digits", result(&format!(r#""x":{digits}"#)), passes(&digits)),
        ("nesting", nested(100), passes(r#""x":[[["#)),
        ("deep nesting", nested(30_000), passes(r#""x":[[["#)),
        // Ids.
        ("an id of another request", with_id(r#""nobody-asked""#), another.clone()),
        ("the id of the next request", with_id("$NEXT"), another.clone()),
        ("the id as a string", with_id(r#""$ID""#), another.clone()),
        ("the id as a fraction", with_id("$ID.0"), BROKE),
        ("the id with an exponent", with_id("$IDe0"), BROKE),
        ("the id with a zero before it", with_id("0$ID"), BROKE),
        ("the id in a list", with_id("[$ID]"), BROKE),
        ("an id that is an object", with_id("{}"), BROKE),
        ("an id that is true", with_id("true"), BROKE),
        ("a negative id", with_id("-$ID"), another.clone()),
        ("a huge id", with_id(&digits), BROKE),
        ("an id beyond 64 bits", with_id("18446744073709551617"), another.clone()),
        ("a result with the id null", with_id("null"), another.clone()),
        ("a result without an id", text(r#"{"jsonrpc":"2.0","result":{"content":[]}}"#), another.clone()),
        (
            "an error with the id null",
            text(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-7,"message":"m"}}"#),
            Error(-7),
        ),
        ("an error without an id", text(r#"{"jsonrpc":"2.0","error":{"code":-7,"message":"m"}}"#), Error(-7)),
        (
            "an error with another id",
            text(r#"{"jsonrpc":"2.0","id":"x","error":{"code":-7,"message":"m"}}"#),
            another.clone(),
        ),
        // Members.
        ("the id twice", response(&format!(r#""id":$ID,"result":{RESULT}"#)), BROKE),
        ("the result twice", response(&format!(r#""result":{RESULT},"result":{RESULT}"#)), BROKE),
        ("the result twice, once escaped", response(r#""result":{},"re\u0073ult":{}"#), BROKE),
        ("the type of the result twice", result(r#""resultType":"complete","resultType":"complete""#), BROKE),
        ("result and error", response(r#""result":{},"error":{"code":-7,"message":"m"}"#), BROKE),
        ("neither result nor error", text(r#"{"jsonrpc":"2.0","id":$ID}"#), BROKE),
        ("result null", response(r#""result":null"#), BROKE),
        ("error null", response(r#""error":null"#), BROKE),
        ("a result and error null", response(&format!(r#""error":null,"result":{RESULT}"#)), Works),
        (
            "an error and result null",
            response(r#""result":null,"error":{"code":-7,"message":"m"}"#),
            Error(-7),
        ),
        ("no version of JSON-RPC", format!(r#"{{"id":$ID,"result":{RESULT}}}"#).into(), BROKE),
        ("JSON-RPC 1.0", format!(r#"{{"jsonrpc":"1.0","id":$ID,"result":{RESULT}}}"#).into(), BROKE),
        (
            "JSON-RPC 2.0 as a number",
            format!(r#"{{"jsonrpc":2.0,"id":$ID,"result":{RESULT}}}"#).into(),
            BROKE,
        ),
        ("members that nobody knows", response(&format!(r#""x":[{{}}],"result":{RESULT}"#)), Works),
        ("a request", response(r#""method":"ping""#), another.clone()),
        ("a notification", text(r#"{"jsonrpc":"2.0","method":"notifications/message"}"#), another.clone()),
        ("a method beside the result", response(&format!(r#""method":"x","result":{RESULT}"#)), BROKE),
        ("a text", text(r#""done""#), BROKE),
        ("null", text("null"), BROKE),
        // Errors.
        ("an error that is a text", error(r#""oops""#), no_error.clone()),
        ("an error that is a list", error("[]"), no_error.clone()),
        ("an error that is a number", error("-32603"), no_error.clone()),
        ("an error without a code", error(r#"{"message":"m"}"#), no_error.clone()),
        ("an error without a message", error(r#"{"code":-7}"#), no_error.clone()),
        ("a code that is a text", error(r#"{"code":"-7","message":"m"}"#), no_error.clone()),
        ("a code that is a fraction", error(r#"{"code":-7.5,"message":"m"}"#), no_error.clone()),
        ("a code beyond 64 bits", error(&format!(r#"{{"code":{digits},"message":"m"}}"#)), no_error.clone()),
        ("a code beyond 32 bits", error(r#"{"code":99999999999,"message":"m"}"#), Error(99_999_999_999)),
        ("a code twice", error(r#"{"code":-7,"code":-8,"message":"m"}"#), no_error.clone()),
        ("a message that is a number", error(r#"{"code":-7,"message":7}"#), no_error.clone()),
        ("a message with a lone surrogate", error(r#"{"code":-7,"message":"\ud800"}"#), no_error.clone()),
        (
            "an error about weir's own headers",
            error(r#"{"code":-32020,"message":"m"}"#),
            Fails("broke the protocol: it rejects the headers"),
        ),
        // Results.
        ("a result that is a text", response(r#""result":"done""#), BROKE),
        ("a result that is a list", response(r#""result":[]"#), BROKE),
        ("a result that is true", response(r#""result":true"#), BROKE),
        ("a result that is a number", response(r#""result":1e5"#), BROKE),
        ("a result of an unknown type", result(r#""resultType":"surprise""#), BROKE),
        ("a result whose type is null", result(r#""resultType":null"#), BROKE),
        ("a result whose type is a number", result(r#""resultType":1"#), BROKE),
        (
            "a result whose type has an escape",
            response(r#""result":{"resultType":"\u0063omplete","content":[{"type":"text","text":"done"}]}"#),
            Works,
        ),
        (
            "a result whose `_meta` is a list",
            result(r#""_meta":[]"#),
            ByClient(Box::new(BROKE), Box::new(passes(r#""_meta":[]"#))),
        ),
        ("a message over the limit", result(&format!(r#""x":"{}""#, "x".repeat(65 << 10))), LARGE),
    ]
}

/// The columns: what is wrong; status and headers of the answer; its body; what the caller sees; which servers do so.
fn heads() -> Vec<(&'static str, &'static str, &'static str, Expect, &'static [&'static str])> {
    use Expect::{Error, Fails, Works};
    const NO_JSON: Expect = Fails("broke the protocol: it answered with status");
    const REFUSAL: &str = r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-7,"message":"m"}}"#;
    vec![
        ("another type", "200 OK\r\ncontent-type: text/html", GOOD, NO_JSON, BOTH),
        ("no type", "200 OK", GOOD, NO_JSON, BOTH),
        ("an empty type", "200 OK\r\ncontent-type:", GOOD, NO_JSON, BOTH),
        ("a type like JSON", "200 OK\r\ncontent-type: application/json5", GOOD, NO_JSON, BOTH),
        ("JSON in capitals", "200 OK\r\ncontent-type: APPLICATION/JSON ; x=y", GOOD, Works, BOTH),
        (
            "a stream that is called JSON",
            "200 OK\r\ncontent-type: application/json",
            "data: {}\n\n",
            BROKE,
            BOTH,
        ),
        ("an empty success", "200 OK\r\ncontent-type: text/plain", "", NO_JSON, BOTH),
        ("accepted", "202 Accepted", "", NO_JSON, BOTH),
        ("no content", "204 No Content", "", NO_JSON, BOTH),
        ("created", "201 Created\r\ncontent-type: application/json", GOOD, Works, BOTH),
        (
            "moved",
            "301 X\r\nlocation: /elsewhere",
            "",
            Fails("refused the request with HTTP status 301"),
            BOTH,
        ),
        (
            "found",
            "302 X\r\nlocation: /elsewhere",
            "",
            Fails("refused the request with HTTP status 302"),
            BOTH,
        ),
        (
            "see other",
            "303 X\r\nlocation: /elsewhere",
            "",
            Fails("refused the request with HTTP status 303"),
            BOTH,
        ),
        ("not modified", "304 X", "", Fails("refused the request with HTTP status 304"), BOTH),
        (
            "redirected",
            "307 X\r\nlocation: http://127.0.0.1:9/",
            "",
            Fails("refused the request with HTTP status 307"),
            BOTH,
        ),
        ("bad request", "400 X", "", Fails("refused the request with HTTP status 400"), BOTH),
        (
            "unauthorized",
            "401 X\r\nwww-authenticate: Bearer",
            "",
            Fails("refused the request with HTTP status 401"),
            BOTH,
        ),
        ("forbidden", "403 X", "no", Fails("refused the request with HTTP status 403"), BOTH),
        ("not found", "404 X", "", Fails("refused the request with HTTP status 404"), MODERN),
        ("not found in a session", "404 X", "", Fails("lost its session"), LEGACY),
        (
            "too many requests",
            "429 X\r\nretry-after: 99999",
            "",
            Fails("refused the request with HTTP status 429"),
            BOTH,
        ),
        ("a server error", "500 X", "oops", Fails("refused the request with HTTP status 500"), BOTH),
        (
            "a bad gateway",
            "502 X\r\ncontent-type: application/json",
            "{",
            Fails("refused the request with HTTP status 502"),
            BOTH,
        ),
        ("unavailable", "503 X", "", Fails("refused the request with HTTP status 503"), BOTH),
        ("a status that nobody knows", "999 X", "", Fails("refused the request with HTTP status 999"), BOTH),
        (
            "a refusal that is an event stream",
            "500 X\r\ncontent-type: text/event-stream",
            "data: {}\n\n",
            Fails("refused the request with HTTP status 500"),
            BOTH,
        ),
        ("a refusal with an error", "400 X\r\ncontent-type: application/json", REFUSAL, Error(-7), BOTH),
        ("a server error with an error", "500 X\r\ncontent-type: application/json", REFUSAL, Error(-7), BOTH),
        ("gzip", "200 X\r\ncontent-type: application/json\r\ncontent-encoding: gzip", GOOD, BROKE, BOTH),
        (
            "gzip of the web's first days",
            "200 X\r\ncontent-type: application/json\r\ncontent-encoding: x-gzip",
            GOOD,
            BROKE,
            BOTH,
        ),
        (
            "br and no coding",
            "200 X\r\ncontent-type: application/json\r\ncontent-encoding: identity, br",
            GOOD,
            BROKE,
            BOTH,
        ),
        (
            "no coding",
            "200 X\r\ncontent-type: application/json\r\ncontent-encoding: identity",
            GOOD,
            Works,
            BOTH,
        ),
    ]
}

pub fn cases() -> Vec<Case> {
    let bodies = bodies().into_iter().map(|(name, body, expect)| {
        // An answer to another request says that the connection is out of step.
        let dropped = matches!(expect, Expect::Fails(text) if text == TOO_LARGE || text == ANOTHER);
        case(name, [json(body)], expect, if dropped { After::Dropped } else { After::Kept })
    });
    let heads = heads().into_iter().map(|(name, head, body, expect, eras)| {
        let answer = match head.starts_with("204") || head.starts_with("304") {
            true => format!("HTTP/1.1 {head}\r\n\r\n"),
            false => format!("HTTP/1.1 {head}\r\ncontent-length: $LENGTH\r\n\r\n{body}"),
        };
        case(name, [send(answer)], expect, After::Either).of(eras)
    });
    let batch = case("a list of messages", [json(format!("[{GOOD}]"))], BROKE, After::Either).of(MODERN);
    bodies.chain(heads).chain([batch]).collect()
}
