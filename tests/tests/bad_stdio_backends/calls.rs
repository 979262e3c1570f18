//! What a program does to one call.

use crate::puppet;
use serde_json::{Value, json};
use weir_tests::scripted::{GOOD, RESULT};
use weir_tests::verdict::{BROKE, Expect, GONE, LARGE};
use weir_tests::{Legacy, Modern, Speak, Weir, table, wait, weir};

/// Nothing came for too long.
const SILENT: Expect = Expect::Fails("did not answer within 5 s (a sign of life)");

/// Writes a text.
fn write(text: impl Into<String>) -> Value {
    json!(["write", text.into()])
}

fn line(message: impl Into<String>) -> String {
    message.into() + "\n"
}

/// The answer with other members behind its id.
fn response(members: &str) -> String {
    line(format!(r#"{{"jsonrpc":"2.0","id":$ID,{members}}}"#))
}

fn notification(method: &str, params: &str) -> String {
    line(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#))
}

/// The columns: what is wrong; what the program does, step by step; what the caller sees. A silent program has five seconds.
fn cases() -> Vec<(&'static str, Vec<Value>, Expect)> {
    use Expect::{Error, Passes, Works};
    let good = line(GOOD);
    let before = |text: &str| vec![write(text.to_owned() + &line(GOOD))];
    let many = |text: &str, times: usize| vec![json!(["write", text, times]), write(line(GOOD))];
    let progress = |token: &str| {
        notification("notifications/progress", &format!(r#"{{"progressToken":{token},"progress":1}}"#))
    };
    let changed = notification("notifications/tools/list_changed", "{}");
    let big = "x".repeat(65 << 10);
    let (head, tail) = good.split_at(30);
    let bytes = |bytes: &[u8]| {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        vec![json!(["bytes", hex]), write(line(GOOD))]
    };
    vec![
        // Lines.
        ("noise", before("Starting up... {not json\n"), Works),
        ("noise in JSON", before("\"a text\"\n7\nnull\n{}\n{\"level\":\"info\",\"id\":1}\n"), Works),
        ("a message of no version", before("{\"id\":$ID,\"result\":{}}\n"), Works),
        ("blank lines", before("\n\n \t\n\r\n"), Works),
        ("many blank lines", many("\n", 100_000), Works),
        ("a carriage return at the end", vec![write(format!("{GOOD}\r\n"))], Works),
        ("white space around", vec![write(format!(" \t{GOOD} \t\n"))], Works),
        ("the answer in two pieces", vec![write(head), write(tail)], Works),
        ("noise that is no UTF-8", bytes(b"\xff\xfe\n"), Works),
        ("noise with NUL", bytes(b"\0\0\n"), Works),
        ("noise over the limit", before(&line(&big)), Works),
        ("two answers on one line", vec![write(GOOD.to_owned() + &good)], BROKE),
        ("the answer on many lines", vec![write(good.replace(',', ",\n"))], SILENT),
        ("a byte order mark", vec![write(format!("\u{feff}{good}"))], SILENT),
        ("an answer that is cut off", vec![write(line(&GOOD[..60]))], BROKE),
        ("nothing", vec![], SILENT),
        // Ids.
        ("an answer that nobody asked for", before(&good.replace("$ID", "99999")), Works),
        ("an answer for an id that is a text", before(&good.replace("$ID", "\"x\"")), Works),
        (
            "an error without an id",
            before("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-7,\"message\":\"m\"}}\n"),
            Works,
        ),
        ("the id as a text", vec![write(good.replace("$ID", "\"$ID\""))], SILENT),
        ("the id as a fraction", vec![write(good.replace("$ID", "$ID.0"))], BROKE),
        ("an answer for the handshake", before(&good.replace("$ID", "1")), Works),
        ("two answers", vec![write(good.repeat(2))], Works),
        (
            "an error behind the answer",
            vec![write(good.clone() + &response(r#""error":{"code":-7,"message":"m"}"#))],
            Works,
        ),
        ("an answer, many times", vec![json!(["write", good, 5000])], Works),
        // Answers.
        ("an error", vec![write(response(r#""error":{"code":-7,"message":"m"}"#))], Error(-7)),
        ("an error that is a text", vec![write(response(r#""error":"oops""#))], BROKE),
        ("a code that is a text", vec![write(response(r#""error":{"code":"x","message":"m"}"#))], BROKE),
        ("a result of an unknown type", vec![write(response(r#""result":{"resultType":"x"}"#))], BROKE),
        (
            "an error and result null",
            vec![write(response(r#""result":null,"error":{"code":-7,"message":"m"}"#))],
            Error(-7),
        ),
        (
            "a lone surrogate",
            vec![write(response(r#""result":{"x":"\ud800"}"#))],
            Passes(r#""x":"\ud800""#.into()),
        ),
        (
            "a number beyond all bounds",
            vec![write(response(r#""result":{"x":1e999999}"#))],
            Passes("1e999999".into()),
        ),
        (
            "deep nesting",
            vec![write(response(&format!(r#""result":{{"x":{}{}}}"#, "[".repeat(9000), "]".repeat(9000))))],
            Passes("[[[".into()),
        ),
        ("an answer over the limit", vec![write(response(&format!(r#""result":{{"x":"{big}"}}"#)))], LARGE),
        (
            "an answer over the limit, its id behind",
            vec![write(line(format!(r#"{{"result":{{"x":"{big}"}},"jsonrpc":"2.0","id":$ID}}"#)))],
            LARGE,
        ),
        ("a result that is a text", vec![write(response(r#""result":"done""#))], BROKE),
        (
            "result and error",
            vec![write(response(r#""result":{},"error":{"code":-7,"message":"m"}"#))],
            BROKE,
        ),
        ("the id twice", vec![write(response(r#""id":$ID,"result":{}"#))], BROKE),
        ("neither result nor error", vec![write("{\"jsonrpc\":\"2.0\",\"id\":$ID}\n")], BROKE),
        // Other messages.
        (
            "progress that nobody asked for",
            before(&(progress("$ID") + &progress("7777") + &progress("\"x\"") + &progress("[]"))),
            Works,
        ),
        ("progress without a token", before(&notification("notifications/progress", "{}")), Works),
        ("progress behind the answer", vec![write(good.clone() + &progress("$ID"))], Works),
        ("a flood of progress", many(&progress("$ID"), 20_000), Works),
        ("a notification that nobody knows", before(&notification("x", "{\"y\":1}")), Works),
        (
            "the end of the call",
            before(&notification("notifications/cancelled", r#"{"requestId":$ID}"#)),
            Works,
        ),
        ("a storm of changes", many(&changed, 20_000), Works),
        ("a flood of pings", many("{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"method\":\"ping\"}\n", 20_000), Works),
        (
            "a ping whose answer is waited for",
            vec![
                write("{\"jsonrpc\":\"2.0\",\"id\":\"p1\",\"method\":\"ping\"}\n"),
                json!(["await", r#""id":"p1","result":{}"#]),
                write(line(GOOD)),
            ],
            Works,
        ),
        (
            "a request whose refusal is waited for",
            vec![
                write("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"sampling/createMessage\"}\n"),
                json!(["await", r#""id":7,"error""#]),
                write(line(GOOD)),
            ],
            Works,
        ),
        (
            "a request with the id of the call",
            before("{\"jsonrpc\":\"2.0\",\"id\":$ID,\"method\":\"roots/list\"}\n"),
            Works,
        ),
        // Ends.
        ("the end of the process", vec![json!(["exit", 1])], GONE),
        ("a clean end of the process", vec![json!(["exit", 0])], GONE),
        ("a crash", vec![json!(["kill"])], GONE),
        ("an end within the answer", vec![write(&GOOD[..60]), json!(["exit", 0])], BROKE),
        ("an end within a line over the limit", vec![write("x".repeat(70 << 10)), json!(["exit", 0])], GONE),
        ("an end behind the answer", vec![write(line(GOOD)), json!(["exit", 0])], Works),
        ("an end behind an answer without a line end", vec![write(GOOD), json!(["exit", 0])], Works),
        ("the end of its output", vec![json!(["close", 1])], GONE),
        ("an end, another process holding the pipes", vec![json!(["fork"]), json!(["exit", 0])], GONE),
        ("another process holding the pipes", vec![json!(["fork"]), write(line(GOOD))], Works),
        // Standard error.
        ("a flood of errors", vec![json!(["stderr", "oops\n", 100_000]), write(line(GOOD))], Works),
        ("an error line without an end", vec![json!(["stderr", "oops", 500_000]), write(line(GOOD))], Works),
        ("the result within noise", vec![write(format!("> {RESULT}\n")), write(line(GOOD))], Works),
    ]
}

#[test]
fn calls_that_go_wrong() {
    let trials: Vec<_> = cases().into_iter().enumerate().map(|(at, case)| (format!("b{at}"), case)).collect();
    let backends = trials.iter().map(|(backend, (_, steps, expect))| {
        let silent =
            matches!((expect, &SILENT), (Expect::Fails(text), Expect::Fails(silent)) if text == silent);
        let timeouts: &[(&str, u64)] = if silent { &[("idle", 5000)] } else { &[] };
        (backend.clone(), puppet(&json!({"tools/call bad": steps}), timeouts))
    });
    let weir = Weir::serve(weir::config(Value::Object(backends.collect()), json!({})));
    let (modern, legacy) = (Modern::new(weir.endpoint()), Legacy::new(weir.endpoint()));
    table::judge(&trials, |(backend, (name, steps, expect))| {
        // Of a program that ends behind its answer the next call may come too early.
        let ends = matches!(steps.last(), Some(last) if last[0] == "exit");
        let mut complaints = Vec::new();
        let clients: [(&dyn Speak, bool); 2] = [(&modern, true), (&legacy, false)];
        for (client, is_modern) in clients {
            let call = |tool: &str, expect: &Expect| {
                let params = json!({"name": format!("{backend}_{tool}"), "arguments": {}});
                let (request, _) = client.prepare("tools/call", params);
                let response = request.send(&weir.endpoint());
                let complaint = expect.complaint(backend, is_modern, response.status, &response.body);
                complaint.map(|complaint| format!("{name}: {tool}: {complaint}"))
            };
            complaints.extend(call("good", &Expect::Works));
            complaints.extend(call("bad", expect));
            if ends {
                wait::until_true(name, || call("good", &Expect::Works).is_none());
            }
            complaints.extend(call("good", &Expect::Works));
        }
        complaints
    });
}
