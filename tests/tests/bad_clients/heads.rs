//! Requests that are not what HTTP/1.1 or MCP's headers want, or are so in an uncommon way.

use crate::trial::{After, Answer, Case, case};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// The headers of a modern `tools/list`.
const LISTING: &str =
    "content-type: application/json\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/list\r\n";

/// A modern `tools/list` with more headers.
fn list(fields: &str) -> String {
    format!("POST /mcp HTTP/1.1\r\nhost: $HOST\r\n{LISTING}{fields}\r\n\r\n{LIST}")
}

/// The good request with a change.
fn changed(from: &str, to: &str) -> String {
    list("content-length: $LENGTH").replacen(from, to, 1)
}

/// The good request within a session, with these headers.
fn within(fields: &str) -> String {
    let body = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    format!(
        "POST /mcp HTTP/1.1\r\nhost: $HOST\r\ncontent-type: application/json\r\n{fields}content-length: $LENGTH\r\n\r\n{body}"
    )
}

/// The good request in chunks, written here as they go over the wire.
fn chunked(fields: &str, body: &str) -> String {
    list(&format!("transfer-encoding: chunked{fields}")).replace(LIST, body)
}

/// The columns: what is wrong; what the client sends; the answers, each with its status and error code; what becomes of
/// the connection.
pub fn cases() -> Vec<Case> {
    use After::{Closed, Either, Kept};
    const FINE: &[Answer] = &[(200, 0)];
    const TWICE: &[Answer] = &[(200, 0), (200, 0)];
    const BAD: &[Answer] = &[(400, 0)];
    const PARSE: &[Answer] = &[(400, -32700)];
    const MISMATCH: &[Answer] = &[(400, -32020)];
    const FORBIDDEN: &[Answer] = &[(403, -32600)];
    const NONE: &[Answer] = &[];
    let good = list("content-length: $LENGTH");
    let size = LIST.len();
    let chunk = format!("{size:x}\r\n{LIST}\r\n");
    let header = |size: usize| list(&format!("content-length: $LENGTH\r\nx-filler: {}", "x".repeat(size)));
    let twice = good.replace("$LENGTH", &size.to_string()).repeat(2);
    vec![
        case("nothing wrong", good.clone(), FINE, Kept),
        // The request line.
        case("HTTP/1.0", changed("HTTP/1.1", "HTTP/1.0"), FINE, Closed),
        case("HTTP/1.2", changed("HTTP/1.1", "HTTP/1.2"), BAD, Closed),
        case("HTTP/3", changed("HTTP/1.1", "HTTP/3"), BAD, Closed),
        case("no version", changed(" HTTP/1.1", ""), BAD, Closed),
        case("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", BAD, Closed),
        case("TLS", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n".to_vec(), BAD, Closed),
        case("an empty line before the request", format!("\r\n{good}"), FINE, Kept),
        case("the whole URL", changed("/mcp", "http://$HOST/mcp"), FINE, Kept),
        case("the whole URL of somebody else", changed("/mcp", "http://evil.example.com/mcp"), BAD, Closed),
        case("a path with a query", changed("/mcp", "/mcp?x=y"), FINE, Kept),
        case("a path with dots", changed("/mcp", "/x/../mcp"), &[(404, -32600)], Either),
        case("a path in escapes", changed("/mcp", "/%6dcp"), &[(404, -32600)], Either),
        case("a path with a space", changed("/mcp", "/m cp"), &[(404, -32600)], Either),
        case("a path with NUL", changed("/mcp", "/mcp\0"), &[(404, -32600)], Either),
        case("an asterisk", changed("/mcp", "*"), &[(404, -32600)], Either),
        case("a method that nobody knows", changed("POST", "BREW"), &[(405, -32600)], Either),
        case("a method in lower case", changed("POST", "post"), &[(405, -32600)], Either),
        case("CONNECT", changed("POST /mcp", "CONNECT evil.example.com:443"), BAD, Closed),
        // Headers.
        case("no host", changed("host: $HOST\r\n", ""), FORBIDDEN, Either),
        case("two hosts", changed("host: $HOST\r\n", "host: $HOST\r\nhost: $HOST\r\n"), BAD, Closed),
        case("an empty host", changed("host: $HOST", "host:"), FORBIDDEN, Either),
        case("another host", changed("host: $HOST", "host: evil.example.com"), FORBIDDEN, Either),
        case(
            "another origin",
            list("content-length: $LENGTH\r\norigin: http://evil.example.com"),
            FORBIDDEN,
            Either,
        ),
        case(
            "two origins",
            list("content-length: $LENGTH\r\norigin: http://localhost\r\norigin: http://localhost"),
            FORBIDDEN,
            Either,
        ),
        case("a folded header", list("content-length: $LENGTH\r\nx: y\r\n z"), BAD, Closed),
        case("a space before the colon", list("content-length : $LENGTH"), BAD, Closed),
        case("a header without a colon", list("content-length: $LENGTH\r\nx"), BAD, Closed),
        case("a header without a name", list("content-length: $LENGTH\r\n: y"), BAD, Closed),
        case("a header with a bad name", list("content-length: $LENGTH\r\nx y: z"), BAD, Closed),
        case("NUL in a header", list("content-length: $LENGTH\r\nx: a\0b"), BAD, Closed),
        case("a control character in a header", list("content-length: $LENGTH\r\nx: a\x07b"), BAD, Closed),
        case("a header of other letters", list("content-length: $LENGTH\r\nx: schön"), FINE, Kept),
        case("lines that end with a line feed alone", good.replacen("\r\nhost", "\nhost", 1), FINE, Kept),
        case("a long header", header(50 << 10), FINE, Kept),
        case("a header that is too long", header(100 << 10), &[(431, -32600)], Closed),
        case("many headers", list(&format!("content-length: $LENGTH{}", "\r\nx: y".repeat(200))), FINE, Kept),
        case(
            "too many headers",
            list(&format!("content-length: $LENGTH{}", "\r\nx: y".repeat(1000))),
            BAD,
            Closed,
        ),
        // Media types.
        case("no type", changed("content-type: application/json\r\n", ""), &[(415, -32600)], Either),
        case("another type", changed("application/json", "text/plain"), &[(415, -32600)], Either),
        case(
            "a form",
            changed("application/json", "application/x-www-form-urlencoded"),
            &[(415, -32600)],
            Either,
        ),
        case(
            "a type with parameters",
            changed("application/json", "Application/JSON; charset=latin1"),
            FINE,
            Kept,
        ),
        case(
            "nothing is accepted",
            list("content-length: $LENGTH\r\naccept: text/html"),
            &[(406, -32600)],
            Either,
        ),
        case(
            "everything is accepted at no rate",
            list("content-length: $LENGTH\r\naccept: */*;q=0"),
            &[(406, -32600)],
            Either,
        ),
        case(
            "a compressed body",
            list("content-length: $LENGTH\r\ncontent-encoding: gzip").replace(LIST, "\x1f"),
            PARSE,
            Kept,
        ),
        // Lengths and transfer codings, and what could smuggle a request.
        case("no length", list("x: y"), PARSE, Either),
        case("a length of zero", list("content-length: 0").replace(LIST, ""), PARSE, Kept),
        case("a length that is too short", list("content-length: 10"), PARSE, Either),
        case("a length that is too long", list("content-length: 1000"), &[(408, -32600)], Closed),
        case("a length that is too long, half-closed", list("content-length: 1000"), PARSE, Closed)
            .half_closed(),
        case("a length over the limit", list("content-length: 99999999"), &[(413, -32600)], Closed),
        case(
            "a body over the limit",
            list("content-length: $LENGTH").replace(LIST, &" ".repeat(65 << 10)),
            &[(413, -32600)],
            Closed,
        ),
        case("a length beyond 64 bits", list("content-length: 18446744073709551617"), BAD, Closed),
        case("a negative length", list("content-length: -1"), BAD, Closed),
        case("a length with a sign", list("content-length: +$LENGTH"), BAD, Closed),
        case("an empty length", list("content-length:"), BAD, Closed),
        case("a length in hexadecimal", list("content-length: 0x80"), BAD, Closed),
        case("a list of lengths", list("content-length: $LENGTH, $LENGTH"), FINE, Either),
        case("a list of two lengths", list("content-length: $LENGTH, 3"), BAD, Closed),
        case("a length twice", list("content-length: $LENGTH\r\ncontent-length: $LENGTH"), FINE, Closed),
        case("two lengths", list("content-length: $LENGTH\r\ncontent-length: 3"), BAD, Closed),
        case("chunks", chunked("", &format!("{chunk}0\r\n\r\n")), FINE, Kept),
        case(
            "chunks and a length",
            chunked("\r\ncontent-length: 3", &format!("{chunk}0\r\n\r\n")),
            FINE,
            Closed,
        ),
        case("chunks that are compressed", chunked(", gzip", LIST), BAD, Closed),
        case("chunks of chunks", chunked(", chunked", LIST), PARSE, Closed),
        case(
            "a transfer coding of no effect",
            chunked("", LIST).replace("coding: chunked", "coding: identity"),
            BAD,
            Closed,
        ),
        case(
            "a transfer coding like chunks",
            chunked("", LIST).replace("coding: chunked", "coding: xchunked"),
            BAD,
            Closed,
        ),
        case(
            "a transfer coding behind a tab",
            chunked("", &format!("{chunk}0\r\n\r\n")).replace("coding: chunked", "coding:\tchunked"),
            FINE,
            Kept,
        ),
        case(
            "chunks with extensions",
            chunked("", &format!("{size:X};a=\"b\"\r\n{LIST}\r\n0;c\r\n\r\n")),
            FINE,
            Kept,
        ),
        case("trailers", chunked("", &format!("{chunk}0\r\nx: y\r\n\r\n")), FINE, Kept),
        case(
            "a chunk's size that is no number",
            chunked("", &format!("x\r\n{LIST}\r\n0\r\n\r\n")),
            PARSE,
            Closed,
        ),
        case("a chunk's size with a sign", chunked("", &format!("+{chunk}0\r\n\r\n")), PARSE, Closed),
        case(
            "a chunk's size beyond 64 bits",
            chunked("", &format!("10000000000000000{chunk}0\r\n\r\n")),
            PARSE,
            Closed,
        ),
        case(
            "a chunk that is longer than it says",
            chunked("", &format!("3\r\n{LIST}\r\n0\r\n\r\n")),
            PARSE,
            Closed,
        ),
        case(
            "a chunk over the limit",
            chunked("", &format!("20000\r\n{}\r\n0\r\n\r\n", " ".repeat(0x20000))),
            &[(413, -32600)],
            Closed,
        ),
        case("no last chunk", chunked("", &chunk), &[(408, -32600)], Closed),
        case("no last chunk, half-closed", chunked("", &chunk), PARSE, Closed).half_closed(),
        // Order and time.
        case("half-closed behind the request", good.clone(), FINE, Closed).half_closed(),
        case("two requests at once", twice.clone(), TWICE, Kept),
        case(
            "a request behind a refused one",
            format!("GET /nowhere HTTP/1.1\r\nhost: $HOST\r\n\r\n{good}"),
            &[(404, -32600), (200, 0)],
            Kept,
        ),
        case(
            "a request behind a connection's end",
            twice.replacen("host:", "connection: close\r\nhost:", 1),
            FINE,
            Closed,
        ),
        case(
            "a line end behind the request",
            list(&format!("content-length: {size}")) + "\r\n",
            FINE,
            Either,
        ),
        case(
            "garbage behind the request",
            list(&format!("content-length: {size}")) + "garbage\r\n\r\n",
            &[(200, 0), (400, 0)],
            Closed,
        ),
        case("nothing", "", NONE, Closed),
        case("nothing, half-closed", "", NONE, Closed).half_closed(),
        case("a head without an end", "POST /mcp HTTP/1.1\r\nhost: $HOST\r\nx: ", NONE, Closed),
        case("a head that is cut off", "POST /mcp HTTP/1.1\r\nhost: $HOST\r\nx: ", NONE, Closed)
            .half_closed(),
        case(
            "asking first",
            list("content-length: $LENGTH\r\nexpect: 100-continue"),
            &[(100, 0), (200, 0)],
            Closed,
        ),
        case(
            "asking first for too much",
            list("content-length: 99999999\r\nexpect: 100-continue"),
            &[(413, -32600)],
            Closed,
        ),
        case(
            "an upgrade",
            list("content-length: $LENGTH\r\nconnection: upgrade\r\nupgrade: websocket"),
            FINE,
            Either,
        ),
        case(
            "an upgrade to HTTP/2",
            list(
                "content-length: $LENGTH\r\nconnection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk",
            ),
            FINE,
            Either,
        ),
        // MCP's headers.
        case("no `Mcp-Method`", changed("mcp-method: tools/list\r\n", ""), MISMATCH, Kept),
        case(
            "another `Mcp-Method`",
            changed("mcp-method: tools/list", "mcp-method: tools/call"),
            MISMATCH,
            Kept,
        ),
        case(
            "`Mcp-Method` in capitals",
            changed("mcp-method: tools/list", "mcp-method: TOOLS/LIST"),
            MISMATCH,
            Kept,
        ),
        case(
            "`Mcp-Method` twice",
            changed("mcp-method: tools/list", "mcp-method: tools/list\r\nmcp-method: tools/list"),
            MISMATCH,
            Kept,
        ),
        case(
            "`Mcp-Method` of other letters",
            changed("mcp-method: tools/list", "mcp-method: schön"),
            MISMATCH,
            Kept,
        ),
        case("`Mcp-Method` as base64 that is none", changed("tools/list", "=?base64?***?="), MISMATCH, Kept),
        case("`Mcp-Method` as base64", changed("tools/list", "=?base64?dG9vbHMvbGlzdA==?="), FINE, Kept),
        case(
            "another revision in the header",
            changed("version: 2026-07-28", "version: 2025-11-25"),
            MISMATCH,
            Kept,
        ),
        case(
            "a revision that nobody knows",
            changed("version: 2026-07-28", "version: 2099-01-01"),
            MISMATCH,
            Kept,
        ),
        case(
            "no revision in the header",
            changed("mcp-protocol-version: 2026-07-28\r\n", ""),
            MISMATCH,
            Kept,
        ),
        case("a revision of other letters", changed("version: 2026-07-28", "version: schön"), MISMATCH, Kept),
        case(
            "a revision that is not spoken, in both",
            good.replace("2026-07-28", "2099-01-01"),
            &[(400, -32022)],
            Kept,
        ),
        case("a session in the modern era", list("content-length: $LENGTH\r\nmcp-session-id: x"), FINE, Kept),
        case("a session", within("mcp-session-id: $SESSION\r\n"), FINE, Kept),
        case("no session", within(""), &[(400, -32000)], Kept),
        case("an empty session", within("mcp-session-id:\r\n"), &[(404, -32001)], Kept),
        case("a session that nobody opened", within("mcp-session-id: x\r\n"), &[(404, -32001)], Kept),
        case("a session of other letters", within("mcp-session-id: schön\r\n"), &[(404, -32001)], Kept),
        case(
            "a long session",
            within(&format!("mcp-session-id: {}\r\n", "x".repeat(10_000))),
            &[(404, -32001)],
            Kept,
        ),
        case(
            "two sessions",
            within("mcp-session-id: $SESSION\r\nmcp-session-id: $SESSION\r\n"),
            &[(400, -32000)],
            Kept,
        ),
        case(
            "a revision that the session does not have",
            within("mcp-session-id: $SESSION\r\nmcp-protocol-version: x\r\n"),
            &[(400, -32000)],
            Kept,
        ),
    ]
}
