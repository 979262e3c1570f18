//! Clients that break the rules of HTTP/2.

use crate::trial::serve;
use serde_json::json;
use std::io::{BufReader, Write};
use std::net::{Shutdown, TcpStream};
use weir_tests::http2::*;
use weir_tests::{Modern, Speak, table, wait};

const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;

/// The fields of a modern `tools/list`.
const FIELDS: [(&str, &str); 7] = [
    (":method", "POST"),
    (":scheme", "http"),
    (":path", "/mcp"),
    (":authority", "localhost"),
    ("content-type", "application/json"),
    ("mcp-protocol-version", "2026-07-28"),
    ("mcp-method", "tools/list"),
];

/// What becomes of stream 1.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    /// It is answered with this status: `200`, `400` or `another`.
    Answered(&'static str),
    /// It is reset.
    Reset,
    /// The connection ends.
    Ended,
    /// One of the last two.
    Refused,
}

fn head(fields: &[(&str, &str)], flags: u8) -> Vec<u8> {
    Frame::headers(1, fields, flags).bytes()
}

fn data(bytes: impl AsRef<[u8]>, flags: u8) -> Vec<u8> {
    Frame::new(DATA, flags, 1, bytes).bytes()
}

/// The good request with other fields behind its own.
fn with(fields: &[(&str, &str)]) -> Vec<u8> {
    [head(&[&FIELDS[..], fields].concat(), 0), data(LIST, END_STREAM)].concat()
}

/// The good request without one of its fields.
fn without(name: &str) -> Vec<u8> {
    let fields: Vec<_> = FIELDS.into_iter().filter(|(known, _)| *known != name).collect();
    [head(&fields, 0), data(LIST, END_STREAM)].concat()
}

/// The columns: what is wrong; what the client sends behind the preface and its settings; what becomes of stream 1.
fn cases() -> Vec<(&'static str, Vec<u8>, Seen)> {
    use Seen::{Answered, Ended, Refused, Reset};
    let frame = |kind, flags, stream, payload: &[u8]| Frame::new(kind, flags, stream, payload).bytes();
    let good = with(&[]);
    let block = Frame::headers(1, &FIELDS, 0).payload;
    let length = LIST.len().to_string();
    let big = "x".repeat(16_000);
    vec![
        ("nothing wrong", good.clone(), Answered("200")),
        (
            "data in some frames",
            {
                let pieces = LIST.as_bytes().chunks(50).flat_map(|piece| data(piece, 0));
                head(&FIELDS, 0).into_iter().chain(pieces).chain(data("", END_STREAM)).collect()
            },
            Answered("200"),
        ),
        (
            "a flood of tiny frames",
            head(&FIELDS, 0).into_iter().chain(data("x", 0).repeat(5000)).collect(),
            Ended,
        ),
        (
            "a field split in two",
            [
                frame(HEADERS, 0, 1, &block[..20]),
                frame(CONTINUATION, END_HEADERS, 1, &block[20..]),
                data(LIST, END_STREAM),
            ]
            .concat(),
            Answered("200"),
        ),
        (
            "trailers",
            [head(&FIELDS, 0), data(LIST, 0), head(&[("x", "y")], END_STREAM)].concat(),
            Answered("200"),
        ),
        ("the right length", with(&[("content-length", &length)]), Answered("200")),
        (
            "a frame that nobody knows",
            [frame(0xbe, 0xff, 0, b"hello"), good.clone()].concat(),
            Answered("200"),
        ),
        ("pings", [frame(PING, 0, 0, &[0; 8]).repeat(100), good.clone()].concat(), Answered("200")),
        (
            "an orderly end behind the request",
            [good.clone(), frame(GOAWAY, 0, 0, &[0; 8])].concat(),
            Answered("200"),
        ),
        ("no body", head(&FIELDS, END_STREAM), Answered("400")),
        ("a length that is too short", with(&[("content-length", "3")]), Refused),
        ("a length that is too long", with(&[("content-length", "9999")]), Refused),
        (
            "a body over the limit",
            with(&[("content-length", "99999999")])[..block.len() + 40].to_vec(),
            Answered("another"),
        ),
        ("no method", without(":method"), Refused),
        ("no path", without(":path"), Refused),
        ("no scheme", without(":scheme"), Refused),
        ("no authority", without(":authority"), Answered("400")),
        ("no `Mcp-Method`", without("mcp-method"), Answered("400")),
        ("a name in capitals", with(&[("X-Y", "z")]), Refused),
        ("a field of the connection", with(&[("connection", "close")]), Refused),
        ("a transfer coding", with(&[("transfer-encoding", "chunked")]), Refused),
        ("a pseudo-field that nobody knows", with(&[(":x", "y")]), Refused),
        ("a pseudo-field behind others", with(&[(":path", "/mcp")]), Refused),
        ("a line end in a field", with(&[("x", "y\r\nz: a")]), Refused),
        ("NUL in a field", with(&[("x", "y\0")]), Refused),
        (
            "a reset behind the head",
            [head(&FIELDS, 0), frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]), frame(GOAWAY, 0, 0, &[0; 8])].concat(),
            Ended,
        ),
        ("fields that cannot be decoded", frame(HEADERS, END_HEADERS, 1, &[0xff; 20]), Ended),
        ("data without a head", data(LIST, END_STREAM), Ended),
        ("data on the connection itself", frame(DATA, 0, 0, b"x"), Ended),
        ("a stream of the server's", Frame::headers(2, &FIELDS, END_STREAM).bytes(), Ended),
        (
            "a frame that is too large",
            [head(&FIELDS, 0), data("x".repeat(20_000), END_STREAM)].concat(),
            Ended,
        ),
        (
            "another frame between fields",
            [frame(HEADERS, 0, 1, &block), data(LIST, END_STREAM)].concat(),
            Ended,
        ),
        ("a promise", frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]), Ended),
        (
            "a window that is too large",
            [frame(WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), good.clone()].concat(),
            Ended,
        ),
        ("a window of nothing", [frame(WINDOW_UPDATE, 0, 0, &[0; 4]), good.clone()].concat(), Ended),
        ("settings of a wrong length", [frame(SETTINGS, 0, 0, &[0; 5]), good.clone()].concat(), Ended),
        ("a ping of a wrong length", [frame(PING, 0, 0, &[0; 7]), good.clone()].concat(), Ended),
        (
            "fields without an end",
            {
                let more = frame(CONTINUATION, 0, 1, &field("x", &big));
                [frame(HEADERS, 0, 1, &block), more.repeat(100)].concat()
            },
            Ended,
        ),
        (
            "streams that are reset at once",
            {
                let pair = |stream| {
                    [Frame::headers(stream, &FIELDS, 0).bytes(), frame(RST_STREAM, 0, stream, &[0, 0, 0, 8])]
                        .concat()
                };
                (0..5000).flat_map(|at| pair(2 * at + 1)).collect()
            },
            Ended,
        ),
        (
            "a head that is reset by the client, then a request",
            {
                let reset = frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
                [head(&FIELDS, 0), reset, data(LIST, END_STREAM)].concat()
            },
            Reset,
        ),
    ]
}

/// Waits for what becomes of stream 1.
fn watch(stream: &TcpStream) -> Seen {
    let mut reader = BufReader::new(stream);
    while let Some(frame) = Frame::read(&mut reader) {
        match frame.kind {
            HEADERS if frame.stream == 1 => {
                // The first field is the status; the common ones are an index of the static table.
                return Seen::Answered(match frame.payload.first() {
                    Some(0x88) => "200",
                    Some(0x8c) => "400",
                    _ => "another",
                });
            }
            RST_STREAM if frame.stream == 1 => return Seen::Reset,
            GOAWAY if frame.payload[4..8] != [0; 4] => return Seen::Ended,
            _ => {}
        }
    }
    Seen::Ended
}

#[test]
fn http2_that_is_wrong() {
    let (weir, _server) = serve();
    let modern = Modern::new(weir.endpoint());
    table::judge(&cases(), |(name, sent, expected)| {
        let stream = TcpStream::connect(weir.endpoint().address).expect("weir listens");
        stream.set_read_timeout(Some(wait::DEADLINE)).expect("a timeout can be set");
        // weir may close before it has read everything.
        let settings = Frame::new(SETTINGS, 0, 0, []).bytes();
        let _ = (&stream).write_all(&[PREFACE, &settings, sent].concat());
        let seen = watch(&stream);
        let _ = stream.shutdown(Shutdown::Both);
        let right = seen == *expected
            || (*expected == Seen::Refused
                && matches!(seen, Seen::Reset | Seen::Ended | Seen::Answered("400")));
        let mut complaints = Vec::new();
        if !right {
            complaints.push(format!("{name}: expected {expected:?}, saw {seen:?}"));
        }
        let after = modern.call("good", json!({}));
        if after.failed() {
            complaints.push(format!("{name}: the next request: {}", after.message));
        }
        complaints
    });
}
