//! Answers that are not what HTTP/1.1 wants, or what it wants and few servers send.

use crate::case::{After, Case, case};
use weir_tests::scripted::{GOOD, Step, json, send};
use weir_tests::verdict::{BROKE, ENDLESS, Expect, GONE, LARGE, SILENT};

/// A head that says JSON, then `fields`, then the good answer as the body.
fn with(fields: &str) -> Step {
    send(format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{fields}\r\n\r\n{GOOD}"))
}

/// A chunked answer in JSON whose body is written here as it goes over the wire.
fn chunked(body: impl AsRef<[u8]>) -> Step {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    send([head.as_bytes(), body.as_ref()].concat())
}

/// The good answer in chunks of which each is so many bytes; `size` writes the line before it. The request's id has no
/// place in it, since its length is not known: the caller sees an error with the id null.
fn chunks(each: usize, size: impl Fn(usize) -> String) -> Vec<u8> {
    let body: &[u8] = br#"{"jsonrpc":"2.0","id":null,"error":{"code":-7,"message":"done"}}"#;
    let chunk = |piece: &[u8]| [size(piece.len()).as_bytes(), b"\r\n", piece, b"\r\n"].concat();
    body.chunks(each).flat_map(chunk).collect()
}

/// The columns: what is wrong; what the server does, step by step; what the caller sees; what becomes of the connection.
pub fn cases() -> Vec<Case> {
    use After::{Dropped, Either, Kept};
    use Expect::{Error, Works};
    use Step::{AwaitClose, Close, Drip, Flood, HalfClose, Reset, Trickle};
    let hex = |length: usize| format!("{length:x}");
    let plain = |text: &str| send(text);
    let last = |chunks: Vec<u8>, end: &str| chunked([&chunks[..], end.as_bytes()].concat());
    let ending = |end: &str| last(chunks(1000, hex), end);
    let sized = |size: fn(usize) -> String| last(chunks(1000, size), "0\r\n\r\n");
    let length = "content-length: $LENGTH";
    let good = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{length}\r\n\r\n{GOOD}");
    let header = |size: usize| with(&format!("{length}\r\nx-filler: {}", "x".repeat(size)));
    // Beside two others.
    let headers = |count: usize| with(&format!("{length}{}", "\r\nx: y".repeat(count - 2)));
    let interim = |text: &str, times: usize| send(format!("{}{good}", text.repeat(times)));
    let early_hints = "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n";
    vec![
        // The end of the connection.
        case("closed at once", [Close], GONE, Dropped),
        case("reset at once", [Reset], GONE, Dropped),
        case("half-closed at once", [HalfClose], GONE, Dropped),
        case("closed within the status line", [plain("HTTP/1."), Close], GONE, Dropped),
        case("closed within the head", [plain("HTTP/1.1 200 OK\r\ncontent-"), Close], GONE, Dropped),
        case("closed behind the head", [plain("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"), Close], BROKE, Dropped),
        case("closed within the body", [with("content-length: 1000"), Close], GONE, Dropped),
        case("reset within the body", [with("content-length: 1000"), Reset], GONE, Dropped),
        case("half-closed within the body", [with("content-length: 1000"), HalfClose], GONE, Dropped),
        case("closed behind the answer", [json(GOOD), Close], Works, Dropped),
        case("half-closed behind the answer", [json(GOOD), HalfClose], Works, Dropped),
        case("reset behind the answer", [json(GOOD), Reset], Works, Dropped),
        case("an end by closing", [with("x: y"), Close], Works, Dropped),
        case("an end by half-closing", [with("x: y"), HalfClose, AwaitClose], Works, Dropped),
        // Time.
        case("no answer", [AwaitClose], SILENT, Dropped).hurried(),
        case("a head without an end", [plain("HTTP/1.1 200 OK\r\n"), AwaitClose], SILENT, Dropped).hurried(),
        case("a body without an end", [with("content-length: 1000"), AwaitClose], SILENT, Dropped).hurried(),
        case("a body whose end is not told", [with("x: y"), AwaitClose], SILENT, Dropped).hurried(),
        case("one byte after the other", [Trickle(good.clone().into())], Works, Kept),
        case("a head that drips", [plain("HTTP/1.1 200 OK\r\n"), Drip(b"x: y\r\n".to_vec())], SILENT, Dropped).hurried(),
        case("a body that drips", [with("content-length: 60000"), Drip(b" ".to_vec())], ENDLESS, Dropped).hurried(),
        // What is no HTTP/1.1.
        case("another protocol", [plain("SSH-2.0-OpenSSH_9.2\r\n"), Close], BROKE, Dropped),
        case("HTTP/0.9", [plain(GOOD), Close], BROKE, Dropped),
        case("HTTP/2", [send(b"\0\0\0\x04\0\0\0\0\0"), Close], BROKE, Dropped),
        case("HTTP/1.2", [plain(&good.replace("HTTP/1.1", "HTTP/1.2"))], BROKE, Dropped),
        case("a status of two digits", [plain(&good.replace("200", "20"))], BROKE, Dropped),
        case("a status of no digits", [plain(&good.replace("200", "2xx"))], BROKE, Dropped),
        case("no reason", [plain(&good.replace("200 OK", "200"))], Works, Kept),
        case("a reason of other letters", [plain(&good.replace("OK", "schön"))], Works, Kept),
        case("HTTP/1.0", [plain(&good.replace("HTTP/1.1", "HTTP/1.0"))], Works, Dropped),
        case("NUL before the head", [plain(&format!("\0{good}"))], BROKE, Dropped),
        case("an empty line before the head", [plain(&format!("\r\n{good}"))], Works, Kept),
        case("lines that end with a line feed alone", [plain(&good.replace("OK\r\n", "OK\n"))], Works, Kept),
        case("lines that end with a carriage return alone", [plain(&good.replace("OK\r\n", "OK\r"))], BROKE, Dropped),
        // Headers.
        case("a folded header", [with("x: y\r\n z\r\ncontent-length: $LENGTH")], BROKE, Dropped),
        case("a space before the colon", [with("content-length : $LENGTH")], BROKE, Dropped),
        case("a header without a colon", [with("content-length: $LENGTH\r\nx")], BROKE, Dropped),
        case("a header without a name", [with("content-length: $LENGTH\r\n: y")], BROKE, Dropped),
        case("a header with a bad name", [with("content-length: $LENGTH\r\nx y: z")], BROKE, Dropped),
        case("NUL in a header", [with("content-length: $LENGTH\r\nx: a\0b")], BROKE, Dropped),
        case("a control character in a header", [with("content-length: $LENGTH\r\nx: a\x07b")], BROKE, Dropped),
        case("a header of other letters", [with("content-length: $LENGTH\r\nx: schön")], Works, Kept),
        case("a hundred headers", [headers(100)], Works, Kept),
        case("more than a hundred headers", [headers(101)], BROKE, Dropped),
        case("a long header", [header(60 << 10)], Works, Kept),
        case("a header that is too long", [header(80 << 10)], BROKE, Dropped),
        case("headers without an end", [plain("HTTP/1.1 200 OK\r\nx: "), Flood(vec![b'x'; 4096])], BROKE, Dropped),
        case("a session id that nobody gave", [with("content-length: $LENGTH\r\nmcp-session-id: x")], Works, Kept),
        // Lengths.
        case("a length that is too short", [with("content-length: 10")], BROKE, Dropped),
        case("a length of zero", [with("content-length: 0")], BROKE, Dropped),
        case("a length twice", [with("content-length: $LENGTH\r\ncontent-length: $LENGTH")], Works, Kept),
        case("two lengths", [with("content-length: $LENGTH\r\ncontent-length: 3")], BROKE, Dropped),
        case("a list of lengths", [with("content-length: $LENGTH, $LENGTH")], BROKE, Dropped),
        case("a length with a sign", [with("content-length: +$LENGTH")], BROKE, Dropped),
        case("a negative length", [with("content-length: -1")], BROKE, Dropped),
        case("an empty length", [with("content-length:")], BROKE, Dropped),
        case("a length in hexadecimal", [with("content-length: 0x80")], BROKE, Dropped),
        case("a length beyond 64 bits", [with("content-length: 18446744073709551617")], BROKE, Dropped),
        case("a length over the limit", [with("content-length: 18446744073709551615"), AwaitClose], LARGE, Dropped),
        case("a body over the limit", [with("content-length: 9000000"), Flood(vec![b' '; 4096])], LARGE, Dropped),
        case("a body over the limit whose end is not told", [with("x: y"), Flood(vec![b' '; 4096])], LARGE, Dropped),
        // Transfer codings.
        case("chunks", [ending("0\r\n\r\n")], Error(-7), Kept),
        case("chunks of one byte", [last(chunks(1, hex), "0\r\n\r\n")], Error(-7), Kept),
        case("chunks and a length", [send([
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\ncontent-length: $LENGTH\r\n\r\n",
            &chunks(1000, hex)[..], b"0\r\n\r\n",
        ].concat())], Error(-7), Dropped),
        case("chunks that are compressed", [with("transfer-encoding: gzip, chunked")], BROKE, Dropped),
        case("chunks of chunks", [with("transfer-encoding: chunked, chunked")], BROKE, Dropped),
        case("chunks twice", [with("transfer-encoding: chunked\r\ntransfer-encoding: chunked")], BROKE, Dropped),
        case("a transfer coding of no effect", [with("transfer-encoding: identity")], BROKE, Dropped),
        case("a transfer coding like chunks", [with("transfer-encoding: xchunked")], BROKE, Dropped),
        case("a length where a chunk is expected", [chunked(format!("{GOOD}\r\n"))], BROKE, Dropped),
        case("chunks with extensions", [sized(|length| format!("{length:X};a=\"b;c\";d"))], Error(-7), Kept),
        case("chunks with zeros before their sizes", [sized(|length| format!("{length:010x}"))], Error(-7), Kept),
        case("a space behind a chunk's size", [sized(|length| format!("{length:x} "))], Error(-7), Kept),
        case("a space before a chunk's size", [sized(|length| format!(" {length:x}"))], BROKE, Dropped),
        case("a chunk's size with a sign", [sized(|length| format!("+{length:x}"))], BROKE, Dropped),
        case("a chunk's size with a prefix", [sized(|length| format!("0x{length:x}"))], BROKE, Dropped),
        case("a chunk's size beyond 64 bits", [sized(|length| format!("10000000000000000{length:x}"))], BROKE, Dropped),
        case("a chunk's size without an end", [chunked(""), Flood(vec![b'0'; 4096])], BROKE, Dropped),
        case("a chunk's extension that is too long", [sized(|length| format!("{length:x};{}", "x".repeat(5000)))], BROKE, Dropped),
        case("a chunk that is longer than it says", [sized(|length| format!("{:x}", length - 1))], BROKE, Dropped),
        case("a chunk that is shorter than it says", [sized(|length| format!("{:x}", length + 1))], BROKE, Dropped),
        case("a chunk's size that ends with a line feed", [chunked("5\nhello\r\n0\r\n\r\n")], BROKE, Dropped),
        case("a chunk over the limit", [chunked("fffffffff\r\n"), Flood(vec![b' '; 4096])], LARGE, Dropped),
        case("no last chunk", [ending(""), Close], GONE, Dropped),
        case("no line behind the last chunk", [ending("0\r\n"), Close], GONE, Dropped),
        case("trailers", [ending("0\r\nx: y\r\ncontent-length: 7\r\n\r\n")], Error(-7), Kept),
        case("trailers without an end", [ending("0\r\n"), Flood(b"x: y\r\n".to_vec())], BROKE, Dropped),
        case("bytes behind the last chunk", [ending("0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")], Error(-7), Dropped),
        // Answers that are too many.
        case("two answers at once", [send(good.repeat(2))], Works, Dropped),
        case("two chunked answers at once", [ending(&format!("0\r\n\r\n{good}"))], Error(-7), Dropped),
        case("two answers, one after the other", [json(GOOD), json(GOOD.replace("$ID", "$NEXT"))], Works, Either),
        case("a line end behind the answer", [send(format!("{}\r\n", good.replace("$LENGTH", "$BODY"))),], Works, Dropped),
        // Interim answers.
        case("an interim answer", [interim("HTTP/1.1 100 Continue\r\n\r\n", 1)], Works, Kept),
        case("early hints", [interim(early_hints, 2)], Works, Kept),
        case("an interim answer with a length", [interim("HTTP/1.1 102 X\r\ncontent-length: 9\r\n\r\n", 1)], Works, Kept),
        case("many interim answers", [interim(early_hints, 15)], Works, Kept),
        case("too many interim answers", [interim(early_hints, 16)], BROKE, Dropped),
        case("interim answers without an end", [Flood(early_hints.into())], BROKE, Dropped),
        case("a change of protocols", [interim("HTTP/1.1 101 X\r\nupgrade: x\r\n\r\n", 1)], BROKE, Dropped),
        case("no content, with content", [plain(&good.replace("200 OK", "204 No Content"))], BROKE, Dropped),
        case("not modified, with content", [plain(&good.replace("200 OK", "304 X"))], Expect::Fails("refused the request with HTTP status 304"), Dropped),
        case("a connection that is to be closed", [with("content-length: $LENGTH\r\nconnection: keep-alive, Close")], Works, Dropped),
    ]
}
