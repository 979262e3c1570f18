//! One line of a table, and the runner that takes all lines through one weir.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use weir_tests::scripted::{GOOD, tool};
use weir_tests::{Endpoint, Legacy, Modern, Scripted, Speak, Weir, table, wait, weir};

/// One answer: the status, and the code of the JSON-RPC error in the body; 0 where there is none.
pub type Answer = (u16, i64);

/// What becomes of the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It serves the next request.
    Kept,
    /// weir closes it.
    Closed,
    /// Either is right.
    Either,
}

/// One way to break the rules.
#[derive(Debug)]
pub struct Case {
    pub name: &'static str,
    /// What is sent. `$HOST` stands for weir's address, `$SESSION` for the id of a session, `$LENGTH` for the number of
    /// bytes behind the last empty line.
    pub sent: Vec<u8>,
    /// The client ends its side behind it.
    pub half_close: bool,
    /// The answers, in order. None at all means that the connection is closed without one.
    pub answers: Vec<Answer>,
    pub after: After,
}

/// A case; see the tables for what its parts mean.
pub fn case(name: &'static str, sent: impl Into<Vec<u8>>, answers: &[Answer], after: After) -> Case {
    Case { name, sent: sent.into(), half_close: false, answers: answers.to_vec(), after }
}

impl Case {
    /// The client ends its side behind what it sends.
    pub fn half_closed(mut self) -> Self {
        self.half_close = true;
        self
    }
}

/// weir over a scripted server with the tool `good`, with low bounds.
pub fn serve() -> (Weir, Scripted) {
    let server = Scripted::modern(json!([tool("good")]), |request, reply| {
        // The id is looked for in the text: not all that is JSON fits into a value.
        let text = request.text();
        let id = text.split("\"id\":").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("null");
        reply.json(GOOD.replace("$ID", id));
    });
    let backends = json!({"b": {"url": server.url(), "era": "modern"}});
    let mut config = weir::config(backends, json!({"conflicts": "none"}));
    config["limits"] = json!({"body": "64KiB"});
    config["timeouts"] = json!({"read": "1s", "connection": "2s"});
    (Weir::serve(config), server)
}

/// Runs all cases against one weir and tells of all that failed together.
pub fn run(cases: Vec<Case>) {
    let (weir, _server) = serve();
    let session = Legacy::new(weir.endpoint());
    let modern = Modern::new(weir.endpoint());
    table::judge(&cases, |case| {
        let mut complaints = judge(case, &weir.endpoint(), session.session());
        let after = modern.call("good", json!({}));
        if after.failed() {
            complaints.push(format!("the next request: {}", after.message));
        }
        complaints.iter().map(|complaint| format!("{}: {complaint}", case.name)).collect()
    });
}

fn judge(case: &Case, to: &Endpoint, session: &str) -> Vec<String> {
    let stream = TcpStream::connect(to.address).expect("weir listens");
    stream.set_read_timeout(Some(wait::DEADLINE)).expect("a timeout can be set");
    // weir may close before it has read everything.
    let _ = (&stream).write_all(&filled(&case.sent, &to.address.to_string(), session));
    if case.half_close {
        let _ = stream.shutdown(Shutdown::Write);
    }
    let mut reader = BufReader::new(&stream);
    let mut answers = Vec::new();
    for _ in &case.answers {
        match read(&mut reader) {
            Some(answer) => answers.push(answer),
            None => break,
        }
    }
    let mut complaints = Vec::new();
    if answers != case.answers {
        complaints.push(format!("expected {:?}, got {answers:?}", case.answers));
    }
    let next = format!("POST {} HTTP/1.1\r\nhost: {}\r\ncontent-length: 0\r\n\r\n", to.path, to.address);
    // Where the answers are not those expected, there may be nothing more to come.
    if !complaints.is_empty() || (case.after == After::Either && !case.answers.is_empty()) {
        return complaints;
    }
    if case.after == After::Kept {
        let _ = (&stream).write_all(next.as_bytes());
    }
    let after = match read(&mut reader) {
        // A POST without a type: the answer shows that it was read as a request of its own.
        Some((415, _)) => After::Kept,
        Some(other) => return vec![format!("another answer, {other:?}")],
        None => After::Closed,
    };
    if after != case.after && case.after != After::Either {
        complaints.push(format!("expected the connection to be {:?}, was {after:?}", case.after));
    }
    complaints
}

fn filled(bytes: &[u8], host: &str, session: &str) -> Vec<u8> {
    let end = bytes.windows(4).rposition(|window| window == b"\r\n\r\n").map_or(bytes.len(), |end| end + 4);
    let (head, body) = bytes.split_at(end);
    // A head may hold what is no text.
    let mut head = head.to_vec();
    for (mark, value) in [("$HOST", host), ("$SESSION", session), ("$LENGTH", &body.len().to_string())] {
        while let Some(at) = head.windows(mark.len()).position(|window| window == mark.as_bytes()) {
            head.splice(at..at + mark.len(), value.bytes());
        }
    }
    [&head, body].concat()
}

/// Reads one answer; `None` where the connection ends before it.
fn read(reader: &mut impl BufRead) -> Option<Answer> {
    let first = line(reader)?;
    let status: u16 = first.split(' ').nth(1).and_then(|status| status.parse().ok())?;
    let (mut length, mut chunked) = (0_usize, false);
    loop {
        let line = line(reader)?.to_ascii_lowercase();
        match line.split_once(':') {
            _ if line.is_empty() => break,
            Some(("content-length", value)) => length = value.trim().parse().ok()?,
            Some(("transfer-encoding", _)) => chunked = true,
            _ => {}
        }
    }
    if status < 200 {
        return Some((status, 0));
    }
    let mut body = Vec::new();
    while chunked {
        let size = usize::from_str_radix(&line(reader)?, 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        body.extend_from_slice(&chunk[..size]);
        chunked = size > 0;
    }
    if length > 0 {
        body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
    }
    let message: Value = serde_json::from_slice(&body).unwrap_or_default();
    Some((status, message["error"]["code"].as_i64().unwrap_or_default()))
}

fn line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = Vec::new();
    reader.read_until(b'\n', &mut line).ok()?;
    let line = String::from_utf8_lossy(&line).into_owned();
    line.ends_with('\n').then(|| line.trim_end_matches(['\r', '\n']).to_owned())
}
