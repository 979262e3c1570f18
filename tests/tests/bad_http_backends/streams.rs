//! Event streams that are not what they should be, or are so in an uncommon way.

use crate::case::{After, Case, LEGACY, MODERN, case};
use weir_tests::scripted::{GOOD, RESULT, Step, send};
use weir_tests::verdict::{BROKE, ENDLESS, Expect, GONE, LARGE, SILENT};

const HEAD: &str = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";

/// A message as an event.
fn event(message: impl AsRef<str>) -> String {
    format!("data: {}\n\n", message.as_ref())
}

/// A stream of these bytes that then ends.
fn stream(name: &'static str, bytes: impl AsRef<[u8]>, expect: Expect) -> Case {
    let bytes = [HEAD.as_bytes(), bytes.as_ref()].concat();
    case(name, [send(bytes), Step::Close], expect, After::Dropped)
}

/// A stream of this text, then the good answer.
fn before(name: &'static str, text: impl AsRef<str>) -> Case {
    stream(name, format!("{}{}", text.as_ref(), event(GOOD)), Expect::Works)
}

fn notification(method: &str, params: &str) -> String {
    event(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#))
}

fn request(id: &str, method: &str) -> String {
    event(format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{{}}}}"#))
}

/// The columns: what is wrong; what the stream holds, the head aside; what the caller sees. [`before`] has what precedes
/// the good answer. The connection is closed behind each stream.
pub fn cases() -> Vec<Case> {
    use Expect::{Error, Works};
    use Step::{Await, AwaitClose, Close, Drip, Flood, Trickle};
    let open = |text: String| send([HEAD.as_bytes(), text.as_bytes()].concat());
    let good = event(GOOD);
    let ends = |end: &str| format!("event: message\nid: 1\ndata: {GOOD}\n\n").replace('\n', end);
    let lines = GOOD.replace(',', ",\ndata: ");
    let progress = |token: &str| {
        notification("notifications/progress", &format!(r#"{{"progressToken":{token},"progress":1}}"#))
    };
    let big = "x".repeat(65 << 10);
    vec![
        // Lines.
        stream("lines that end with line feeds", ends("\n"), Works),
        stream("lines that end with both", ends("\r\n"), Works),
        stream("lines that end with carriage returns", ends("\r"), Works),
        stream("lines that end in every way", format!("id: 1\rid: 2\r\nid: 3\ndata: {GOOD}\r\n\r"), Works),
        stream("a byte order mark", format!("\u{feff}{good}"), Works),
        stream("two byte order marks", format!("\u{feff}\u{feff}{good}"), GONE),
        stream("data in many lines", event(&lines), Works),
        stream("data cut within a text", event(GOOD.replace("done", "do\ndata: ne")), BROKE),
        stream("no space behind the colon", format!("data:{GOOD}\n\n"), Works),
        stream("many spaces behind the colon", format!("data:    {GOOD}\n\n"), Works),
        stream("a space before the colon", format!("data : {GOOD}\n\n"), GONE),
        stream("a field in capitals", format!("DATA: {GOOD}\n\n"), GONE),
        stream("no empty line at the end", format!("data: {GOOD}\n"), GONE),
        stream("no line end at the end", format!("data: {GOOD}"), GONE),
        stream("nothing", "", GONE),
        stream("JSON in place of events", GOOD, GONE),
        stream("white space before the answer", event(format!("\t {GOOD}\t")), Works),
        stream("NUL before the data", format!("data: \0{GOOD}\n\n"), BROKE),
        stream("data that is no UTF-8", [b"data: {\"x\":\"\xff\"}\n\n", good.as_bytes()].concat(), BROKE),
        stream("a comment that is no UTF-8", [b": \xff\n\n", good.as_bytes()].concat(), Works),
        stream("a name that is no UTF-8", [b"event: \xff\ndata: {}\n\n", good.as_bytes()].concat(), Works),
        stream("an id that is no UTF-8", [b"id: \xff\n\n", good.as_bytes()].concat(), Works),
        case(
            "one byte after the other",
            [Trickle([HEAD, &good].concat().into()), Close],
            Works,
            After::Dropped,
        ),
        case(
            "chunks cut anywhere",
            [
                send(HEAD.replace("connection: close", "transfer-encoding: chunked")),
                send("6\r\n: \u{fffd}\n\r\n"),
                send("2\r\n: \r\n"),
                send("1\r\n\u{1}\r\n1\r\n\n\r\n"),
                send("1\r\n\n\r\n"),
                send(
                    "43\r\ndata: {\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-7,\"message\":\"m\"}}\r\n2\r\n\n\n\r\n0\r\n\r\n",
                ),
            ],
            Error(-7),
            After::Either,
        ),
        // Fields and events that say nothing.
        before("a comment", ": hello\n\n"),
        before("many comments", ": x\n".repeat(10_000)),
        before("an event without data", "event: ping\n\n"),
        before("empty data", "data\n\ndata:\n\n"),
        before("a field that nobody knows", "x: y\nz\n:\n\n"),
        before("an id with NUL", "id: a\0b\n\n"),
        before("a retry that is no number", "retry: soon\n\nretry: -1\n\nretry: 1e9\n\n"),
        before("a retry beyond all bounds", "retry: 99999999999999999999999999\n\n"),
        before("a retry of ages, and no loss", "retry: 18446744073709551615\n\n"),
        before("an event of another name, with JSON", "event: ping\ndata: {\"time\":1}\n\n"),
        before("an event of another name, with a text", "event: heartbeat\ndata: still here\n\n"),
        stream("the answer in an event of another name", format!("event: surprise\n{good}"), GONE),
        stream("the answer as `message`", format!("event: message\n{good}"), Works),
        // Sizes and time.
        stream("an event over the limit", event(&big), LARGE),
        stream("a comment over the limit", format!(": {big}\n\n{good}"), LARGE),
        stream("a name over the limit", format!("event: {big}\n{good}"), LARGE),
        stream("an event of many lines over the limit", "data: xxxxxxxxxxx\n".repeat(8000), LARGE),
        case(
            "a line without an end",
            [open("data: ".into()), Flood(vec![b'x'; 4096])],
            LARGE,
            After::Dropped,
        ),
        case(
            "an event without an end",
            [open(String::new()), Flood(b"data: x\n".repeat(512))],
            LARGE,
            After::Dropped,
        ),
        case("a stream without an answer", [open(": x\n\n".into()), AwaitClose], SILENT, After::Dropped)
            .hurried(),
        case(
            "comments without an end",
            [open(String::new()), Flood(b": x\n\n".repeat(800))],
            ENDLESS,
            After::Dropped,
        )
        .hurried(),
        case("comments that drip", [open(String::new()), Drip(b": x\n\n".to_vec())], ENDLESS, After::Dropped)
            .hurried(),
        case(
            "notifications that drip",
            [open(String::new()), Drip(notification("notifications/message", "{}").into())],
            ENDLESS,
            After::Dropped,
        )
        .hurried(),
        // Messages.
        stream("an event that is no JSON", event("what a wonderful day"), BROKE),
        stream("an event that is null", event("null"), BROKE),
        stream("an event that is half a message", event(&GOOD[..40]), BROKE),
        stream("a list of messages", event(format!("[{GOOD}]")), BROKE).of(MODERN),
        stream("an answer for another id", event(GOOD.replace("$ID", "\"x\"")), BROKE),
        stream("the id as a string", event(GOOD.replace("$ID", "\"$ID\"")), BROKE),
        stream(
            "an answer for another id, then the answer",
            event(GOOD.replace("$ID", "$NEXT")) + &good,
            BROKE,
        ),
        stream(
            "an error without an id",
            event(r#"{"jsonrpc":"2.0","id":null,"error":{"code":-7,"message":"m"}}"#),
            Error(-7),
        ),
        stream("two answers", good.clone() + &event(GOOD.replace("done", "again")), Works),
        stream(
            "an error behind the answer",
            good.clone() + &event(r#"{"jsonrpc":"2.0","id":$ID,"error":{"code":-7,"message":"m"}}"#),
            Works,
        ),
        stream("progress behind the answer", good.clone() + &progress("$ID"), Works),
        stream("garbage behind the answer", good.clone() + "data: {{{{\n\n\0\0\0", Works),
        case(
            "an answer, then anything",
            [open(good.clone()), Flood(b"data: x\n".repeat(512))],
            Works,
            After::Dropped,
        ),
        case("an answer, then nothing", [open(good.clone()), AwaitClose], Works, After::Either),
        before("progress that nobody asked for", progress("$ID")),
        before("progress of another call", progress("$NEXT")),
        before("progress with a token that is a string", progress("\"$ID\"")),
        before(
            "progress with a token of another type",
            progress("[$ID]") + &progress("null") + &progress("1.5"),
        ),
        before("progress without a token", notification("notifications/progress", "{}")),
        before(
            "progress without parameters",
            event(r#"{"jsonrpc":"2.0","method":"notifications/progress"}"#),
        ),
        before("a notification that nobody knows", notification("notifications/surprise", "{\"x\":1}")),
        before("a log message", notification("notifications/message", r#"{"level":"info","data":1}"#)),
        before("the end of another call", notification("notifications/cancelled", r#"{"requestId":$NEXT}"#)),
        before("the end of this call", notification("notifications/cancelled", r#"{"requestId":$ID}"#)),
        stream("an error that is a text", event(r#"{"jsonrpc":"2.0","id":$ID,"error":"oops"}"#), BROKE),
        stream(
            "result and error",
            event(format!(r#"{{"jsonrpc":"2.0","id":$ID,"result":{RESULT},"error":{{}}}}"#)),
            BROKE,
        ),
        stream(
            "a result of an unknown type",
            event(r#"{"jsonrpc":"2.0","id":$ID,"result":{"resultType":"x"}}"#),
            BROKE,
        ),
        // Requests of the server.
        before("a request", request("\"r\"", "sampling/createMessage")),
        before("a request with the id of the call", request("$ID", "roots/list")),
        before("a method that nobody knows", request("1", "surprise")),
        case(
            "a request whose refusal is waited for",
            [
                open(request("\"r1\"", "elicitation/create")),
                Await(r#""id":"r1","error""#),
                send(&good),
                Close,
            ],
            Works,
            After::Dropped,
        )
        .of(LEGACY),
        case(
            "a ping whose answer is waited for",
            [open(request("\"p1\"", "ping")), Await(r#""id":"p1","result":{}"#), send(&good), Close],
            Works,
            After::Dropped,
        )
        .of(LEGACY),
        before("a flood of pings", request("1", "ping").repeat(500)),
        // Loss.
        stream(
            "an end that says where to go on",
            format!("id: 7\nretry: 1\ndata: \n\n{}", progress("$ID")),
            GONE,
        ),
        case(
            "an end that says to wait for ages",
            [open("id: 7\nretry: 18446744073709551615\n\n".into()), Close],
            SILENT,
            After::Dropped,
        )
        .of(LEGACY)
        .hurried(),
        // Heads.
        case(
            "a length that is too short",
            [send(HEAD.replace("connection: close", "content-length: 20") + &good)],
            GONE,
            After::Dropped,
        ),
        case(
            "a length that is too long",
            [send(HEAD.replace("connection: close", "content-length: 2000") + &good), Close],
            Works,
            After::Dropped,
        ),
        case(
            "a compressed stream",
            [send(HEAD.replace("connection: close", "content-encoding: gzip") + &good), Close],
            BROKE,
            After::Dropped,
        ),
        case(
            "a type with parameters",
            [send(HEAD.replace("event-stream", "Event-Stream; charset=utf-8") + &good), Close],
            Works,
            After::Dropped,
        ),
    ]
}
