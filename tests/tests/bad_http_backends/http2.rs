//! Servers that break the rules of HTTP/2.

use weir_tests::http2::*;
use weir_tests::scripted::{RESULT, Stream};
use weir_tests::verdict::{BROKE, Expect, GONE, LARGE, SILENT};

/// What a server does to a call.
pub type Act = fn(&Stream<'_>);

/// The answer of a call that went well.
pub fn good(stream: &Stream<'_>) -> String {
    stream.answer(&serde_json::from_str(RESULT).expect("it is JSON"))
}

/// Ends the connection with `code`, having taken requests up to the stream `last`.
fn go_away(stream: &Stream<'_>, last: u32, code: u32) {
    stream.control(GOAWAY, 0, [last.to_be_bytes(), code.to_be_bytes()].concat());
}

fn fields(stream: &Stream<'_>, fields: &[(&str, &str)], flags: u8) {
    stream.raw(Frame::headers(stream.number, fields, flags).bytes());
}

const JSON: (&str, &str) = ("content-type", "application/json");
const OK: (&str, &str) = (":status", "200");

/// The columns: what is wrong; what the server does to the call, frame by frame; what the caller sees.
pub fn cases() -> Vec<(&'static str, Act, Expect)> {
    use Expect::{Fails, Works};
    vec![
        (
            "the answer in many frames",
            |stream| {
                stream.head_of_json();
                for byte in good(stream).bytes() {
                    stream.frame(DATA, 0, [byte]);
                }
                stream.frame(DATA, END_STREAM, []);
            },
            Works,
        ),
        (
            "padding",
            |stream| {
                stream.head_of_json();
                stream.frame(DATA, 8 | END_STREAM, [&[3], good(stream).as_bytes(), &[0; 3]].concat());
            },
            Works,
        ),
        (
            "padding that is longer than its frame",
            |stream| {
                stream.head_of_json();
                stream.frame(DATA, 8 | END_STREAM, [200, 1, 2]);
            },
            GONE,
        ),
        (
            "trailers",
            |stream| {
                stream.head_of_json();
                stream.frame(DATA, 0, good(stream));
                fields(stream, &[("x", "y")], END_STREAM);
            },
            Works,
        ),
        (
            "an event stream",
            |stream| {
                stream.head("200", "text/event-stream");
                stream.frame(DATA, END_STREAM, format!("data: {}\n\n", good(stream)));
            },
            Works,
        ),
        (
            "an event stream that is reset",
            |stream| {
                stream.head("200", "text/event-stream");
                stream.frame(DATA, 0, ": x\n\n");
                stream.frame(RST_STREAM, 0, 2_u32.to_be_bytes());
            },
            GONE,
        ),
        (
            "a field split in two",
            |stream| {
                let block = Frame::headers(0, &[OK, JSON], 0).payload;
                stream.frame(HEADERS, 0, &block[..9]);
                stream.frame(CONTINUATION, END_HEADERS, &block[9..]);
                stream.frame(DATA, END_STREAM, good(stream));
            },
            Works,
        ),
        (
            "an interim answer",
            |stream| {
                fields(stream, &[(":status", "103")], 0);
                stream.head_of_json();
                stream.frame(DATA, END_STREAM, good(stream));
            },
            Works,
        ),
        (
            "frames of a type that nobody knows",
            |stream| {
                stream.control(0xbe, 0xff, "what a wonderful day");
                stream.head_of_json();
                stream.frame(0xbe, 0xff, "what a wonderful day");
                stream.frame(DATA, END_STREAM, good(stream));
            },
            Works,
        ),
        (
            "pings",
            |stream| {
                for _ in 0..100 {
                    stream.control(PING, 0, [0; 8]);
                }
                stream.head_of_json();
                stream.frame(DATA, END_STREAM, good(stream));
            },
            Works,
        ),
        (
            "settings, again and again",
            |stream| {
                for _ in 0..100 {
                    stream.control(SETTINGS, 0, []);
                }
                stream.head_of_json();
                stream.frame(DATA, END_STREAM, good(stream));
            },
            Works,
        ),
        (
            "an orderly end of the connection, then the answer",
            |stream| {
                go_away(stream, stream.number, 0);
                stream.head_of_json();
                stream.frame(DATA, END_STREAM, good(stream));
            },
            Works,
        ),
        (
            "an announced end of the connection, then the answer",
            |stream| {
                go_away(stream, 0x7fff_ffff, 0);
                stream.head_of_json();
                stream.frame(DATA, END_STREAM, good(stream));
                go_away(stream, stream.number, 0);
            },
            Works,
        ),
        (
            "a reset behind the answer",
            |stream| {
                stream.head_of_json();
                stream.frame(DATA, END_STREAM, good(stream));
                stream.frame(RST_STREAM, 0, [0; 4]);
            },
            Works,
        ),
        (
            "a reset before the answer",
            |stream| {
                stream.frame(RST_STREAM, 0, 2_u32.to_be_bytes());
            },
            GONE,
        ),
        (
            "a reset without an error",
            |stream| {
                stream.frame(RST_STREAM, 0, [0; 4]);
            },
            GONE,
        ),
        (
            "a refused stream",
            |stream| {
                stream.frame(RST_STREAM, 0, 7_u32.to_be_bytes());
            },
            GONE,
        ),
        (
            "a demand for HTTP/1.1",
            |stream| {
                stream.frame(RST_STREAM, 0, 13_u32.to_be_bytes());
            },
            GONE,
        ),
        (
            "a reset within the answer",
            |stream| {
                stream.head_of_json();
                stream.frame(DATA, 0, &good(stream)[..20]);
                stream.frame(RST_STREAM, 0, 2_u32.to_be_bytes());
            },
            GONE,
        ),
        (
            "the end of the connection, the call not taken",
            |stream| {
                go_away(stream, 0, 0);
                stream.close();
            },
            GONE,
        ),
        (
            "the end of the connection, with an error",
            |stream| {
                go_away(stream, stream.number, 11);
                stream.close();
            },
            GONE,
        ),
        ("closed before the answer", |stream| stream.close(), GONE),
        (
            "closed within the answer",
            |stream| {
                stream.head_of_json();
                stream.frame(DATA, 0, &good(stream)[..20]);
                stream.close();
            },
            GONE,
        ),
        (
            "closed within a frame",
            |stream| {
                stream.head_of_json();
                stream.raw(&Frame::new(DATA, END_STREAM, stream.number, good(stream)).bytes()[..30]);
                stream.close();
            },
            GONE,
        ),
        ("nothing", |_| {}, SILENT),
        (
            "a head without an end",
            |stream| {
                stream.frame(HEADERS, 0, [0x88]);
            },
            SILENT,
        ),
        (
            "a body without an end",
            |stream| {
                stream.head_of_json();
                stream.frame(DATA, 0, good(stream));
            },
            SILENT,
        ),
        (
            "HTTP/1.1",
            |stream| {
                stream.raw("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}");
                stream.close();
            },
            GONE,
        ),
        (
            "a frame that is too large",
            |stream| {
                stream.head_of_json();
                stream.frame(DATA, END_STREAM, vec![b' '; 20_000]);
            },
            GONE,
        ),
        (
            "more than was allowed",
            |stream| {
                stream.head_of_json();
                while stream.frame(DATA, 0, [b' '; 16_384]) {}
            },
            LARGE,
        ),
        (
            "data before the head",
            |stream| {
                stream.frame(DATA, END_STREAM, good(stream));
            },
            GONE,
        ),
        (
            "data on the connection itself",
            |stream| {
                stream.control(DATA, 0, "x");
            },
            GONE,
        ),
        (
            "data on a stream that nobody opened",
            |stream| {
                stream.raw(Frame::new(DATA, 0, stream.number + 100, "x").bytes());
            },
            GONE,
        ),
        (
            "a stream of the server's own",
            |stream| {
                let block =
                    [&2_u32.to_be_bytes()[..], &Frame::headers(0, &[(":method", "GET")], 0).payload].concat();
                stream.frame(PUSH_PROMISE, END_HEADERS, block);
            },
            GONE,
        ),
        (
            "fields that cannot be decoded",
            |stream| {
                stream.frame(HEADERS, END_HEADERS, [0xff; 20]);
            },
            GONE,
        ),
        (
            "another frame between fields",
            |stream| {
                stream.frame(HEADERS, 0, [0x88]);
                stream.frame(DATA, END_STREAM, good(stream));
            },
            GONE,
        ),
        (
            "fields without an end",
            |stream| {
                stream.frame(HEADERS, 0, [0x88]);
                while stream.frame(CONTINUATION, 0, field("x", &"y".repeat(16_000))) {}
            },
            GONE,
        ),
        (
            "fields that are too many",
            |stream| {
                let many: Vec<_> = (0..2000).map(|_| ("x", "yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy")).collect();
                let block = Frame::headers(0, &[&[OK, JSON], &many[..]].concat(), 0).payload;
                let (first, rest) = block.split_at(16_000);
                stream.frame(HEADERS, 0, first);
                for piece in rest.chunks(16_000) {
                    stream.frame(CONTINUATION, 0, piece);
                }
                stream.frame(CONTINUATION, END_HEADERS, []);
                stream.frame(DATA, END_STREAM, good(stream));
            },
            GONE,
        ),
        ("no status", |stream| fields(stream, &[JSON], END_STREAM), GONE),
        ("a status of no digits", |stream| fields(stream, &[(":status", "2xx"), JSON], END_STREAM), GONE),
        ("a name in capitals", |stream| fields(stream, &[OK, ("X-Y", "z"), JSON], END_STREAM), GONE),
        (
            "a field of the connection",
            |stream| {
                fields(stream, &[OK, ("transfer-encoding", "chunked"), JSON], END_STREAM);
            },
            GONE,
        ),
        (
            "a length that is too long",
            |stream| {
                fields(stream, &[OK, JSON, ("content-length", "9999")], 0);
                stream.frame(DATA, END_STREAM, good(stream));
            },
            GONE,
        ),
        (
            "a length that is too short",
            |stream| {
                fields(stream, &[OK, JSON, ("content-length", "9")], 0);
                stream.frame(DATA, END_STREAM, good(stream));
            },
            GONE,
        ),
        (
            "a length over the limit",
            |stream| fields(stream, &[OK, JSON, ("content-length", "99999999")], 0),
            LARGE,
        ),
        ("a change of protocols", |stream| fields(stream, &[(":status", "101")], END_STREAM), GONE),
        (
            "a compressed answer",
            |stream| {
                fields(stream, &[OK, JSON, ("content-encoding", "gzip")], 0);
                stream.frame(DATA, END_STREAM, good(stream));
            },
            BROKE,
        ),
        ("no content", |stream| fields(stream, &[(":status", "204"), JSON], END_STREAM), BROKE),
        (
            "an answer for another id",
            |stream| {
                stream.head_of_json();
                stream.frame(DATA, END_STREAM, r#"{"jsonrpc":"2.0","id":"x","result":{}}"#);
            },
            Fails("broke the protocol: it answered another request"),
        ),
        (
            "a server error",
            |stream| fields(stream, &[(":status", "503")], END_STREAM),
            Fails("refused the request with HTTP status 503"),
        ),
    ]
}
