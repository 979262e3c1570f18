//! What a peer does to a request, written down as steps: bytes, conditions to wait for, ways to close.

use super::{Received, Reply};
use std::time::Duration;

/// The result of a call that went well.
pub const RESULT: &str = r#"{"resultType":"complete","content":[{"type":"text","text":"done"}]}"#;

/// The whole answer to a call that went well.
pub const GOOD: &str = r#"{"jsonrpc":"2.0","id":$ID,"result":{"resultType":"complete","content":[{"type":"text","text":"done"}]}}"#;

/// The pace of [`Step::Drip`].
const BEAT: Duration = Duration::from_millis(20);

/// One thing that a peer does. In what it writes, `$ID` stands for the request's raw id, `$NEXT` for the number behind it,
/// and `$LENGTH` for the number of bytes behind the last empty line, `$BODY` for two less.
#[derive(Debug, Clone)]
pub enum Step {
    /// Writes these bytes at once.
    Send(Vec<u8>),
    /// Writes these bytes one by one.
    Trickle(Vec<u8>),
    /// Writes these bytes over and over, as fast as they are taken.
    Flood(Vec<u8>),
    /// Writes these bytes over and over, slowly.
    Drip(Vec<u8>),
    /// Waits until a request came, on whichever connection, whose body holds this text.
    Await(&'static str),
    /// Waits until the other side closes the connection.
    AwaitClose,
    /// Closes the connection for writing alone.
    HalfClose,
    /// Closes the connection.
    Close,
    /// Breaks the connection off, so that the other side sees a reset.
    Reset,
}

/// Writes bytes at once.
pub fn send(bytes: impl AsRef<[u8]>) -> Step {
    Step::Send(bytes.as_ref().to_vec())
}

/// Answers 200 with a JSON text.
pub fn json(body: impl AsRef<[u8]>) -> Step {
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: $LENGTH\r\n\r\n";
    send([head.as_bytes(), body.as_ref()].concat())
}

/// Does all of `steps` to a request.
pub fn play(steps: &[Step], request: &Received, reply: &mut Reply<'_>) {
    for step in steps {
        match step {
            Step::Send(bytes) => {
                reply.raw(filled(bytes, request));
            }
            Step::Trickle(bytes) => {
                for byte in filled(bytes, request) {
                    reply.raw([byte]);
                }
            }
            Step::Flood(bytes) => reply.flood(&filled(bytes, request)),
            Step::Drip(bytes) => {
                let bytes = filled(bytes, request);
                while reply.raw(&bytes) {
                    std::thread::sleep(BEAT);
                }
            }
            Step::Await(text) => reply.wait_for(text),
            Step::AwaitClose => reply.wait_for_close(),
            Step::HalfClose => reply.end_writing(),
            Step::Close => reply.close(),
            Step::Reset => reply.reset(),
        }
    }
}

/// The bytes with all placeholders filled in.
fn filled(bytes: &[u8], request: &Received) -> Vec<u8> {
    let id = request.json()["id"].clone();
    let next = id.as_u64().unwrap_or_default() + 1;
    let bytes = replaced(bytes, b"$NEXT", next.to_string().as_bytes());
    let bytes = replaced(&bytes, b"$ID", id.to_string().as_bytes());
    let end = bytes.windows(4).rposition(|window| window == b"\r\n\r\n");
    let body = end.map_or(0, |end| bytes.len() - end - 4);
    let length = body.to_string();
    let bytes = replaced(&bytes, b"$BODY", body.saturating_sub(2).to_string().as_bytes());
    replaced(&bytes, b"$LENGTH", length.as_bytes())
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let (mut out, mut rest) = (Vec::new(), bytes);
    while let Some(at) = find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}
