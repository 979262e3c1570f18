//! Backends that ask over a stream that clients share: each client is asked what its own call wants to know and nothing
//! else; and which roots backends are told.

use serde_json::{Value, json};
use std::io::BufReader;
use std::path::Path;
use tempfile::TempDir;
use weir_tests::http::{Body, Events};
use weir_tests::{Legacy, Modern, Speak, Weir, legacy, peers, wait};

type Stream = Events<BufReader<Body>>;

/// weir over the fixture that asks, with `change` in its configuration, and the folder by which it is told what to do.
fn asking(change: Value) -> (Weir, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut backend = peers::fixture("asking.py", &[folder.path().to_str().expect("a path that is text")]);
    backend["era"] = json!("legacy");
    for (key, value) in change.as_object().expect("a table") {
        backend[key] = value.clone();
    }
    (Weir::over(json!({"asking": backend})), folder)
}

/// A client that can be asked to fill in forms.
fn client(weir: &Weir) -> Legacy {
    Legacy::open(weir.endpoint(), legacy::REVISION, json!({"elicitation": {}}))
}

/// Begins a call of `ask`; answers its stream and its id.
fn begin(client: &Legacy, arguments: Value) -> (Stream, Value) {
    let (request, id) = client.prepare("tools/call", json!({"name": "ask", "arguments": arguments}));
    (request.open(client.endpoint()).events(), id)
}

/// The text and the id of the question that comes next.
fn question(stream: &mut Stream) -> (String, Value) {
    let message =
        stream.message_where(|message| message.get("method").is_some() && message.get("id").is_some());
    (message["params"]["message"].as_str().unwrap_or_default().to_owned(), message["id"].clone())
}

/// Answers a question with `reply`.
fn reply(client: &Legacy, number: &Value, reply: &str) {
    client.reply(number, json!({"action": "accept", "content": {"reply": reply}}));
}

/// What the call ended with.
fn end(stream: &mut Stream, id: &Value) -> String {
    stream.message_where(|message| message["id"] == *id && message.get("method").is_none()).to_string()
}

fn log(folder: &Path) -> String {
    std::fs::read_to_string(folder.join("log")).unwrap_or_default()
}

fn starts(folder: &Path) -> usize {
    log(folder).lines().filter(|line| *line == "start").count()
}

fn tell(folder: &Path, file: &str) {
    std::fs::write(folder.join(file), "").expect("the file can be written");
}

#[test]
fn several_processes_ask_at_once() {
    let (weir, folder) = asking(json!({"instances": 3}));
    let clients = [client(&weir), client(&weir), client(&weir)];
    let mut calls: Vec<_> = clients
        .iter()
        .enumerate()
        .map(|(number, client)| {
            let (mut stream, id) = begin(client, json!({"text": format!("for {number}")}));
            let (text, asked) = question(&mut stream);
            assert_eq!(text, format!("for {number}"));
            (stream, id, asked)
        })
        .collect();
    for (number, (client, (stream, id, asked))) in clients.iter().zip(&mut calls).enumerate().rev() {
        reply(client, asked, &format!("from {number}"));
        let end = end(stream, id);
        assert!(end.contains(&format!("from {number}")), "{end}");
    }
    assert_eq!(starts(folder.path()), 3);
}

#[test]
fn one_process_asks_one_client_after_the_other() {
    let (weir, folder) = asking(json!({}));
    let (one, other) = (client(&weir), client(&weir));
    let (mut first, first_id) = begin(&one, json!({"text": "for one"}));
    let (_, asked) = question(&mut first);
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let (mut second, id) = begin(&other, json!({"text": "for the other"}));
            let (text, asked) = question(&mut second);
            assert!(log(folder.path()).contains("told for one"), "the first call has ended before");
            assert_eq!(text, "for the other");
            reply(&other, &asked, "from the other");
            end(&mut second, &id)
        });
        reply(&one, &asked, "from one");
        assert!(end(&mut first, &first_id).contains("from one"));
        assert!(second.join().expect("the other is asked too").contains("from the other"));
    });
    assert_eq!(starts(folder.path()), 1);
}

#[test]
fn who_waits_for_a_process_too_long_is_told() {
    let (weir, _folder) = asking(json!({"timeouts": {"idle": "300ms"}}));
    let (one, other) = (client(&weir), client(&weir));
    let (mut first, id) = begin(&one, json!({"text": "for one"}));
    let (_, asked) = question(&mut first);
    let busy = other.call("process", json!({}));
    assert!(
        busy.message.to_string().contains("of its processes (`instances`) have other calls"),
        "{}",
        busy.message
    );
    // The silence of a user is not the server's.
    reply(&one, &asked, "late");
    assert!(end(&mut first, &id).contains("late"));
}

#[test]
fn what_a_cancelled_call_asks_late_reaches_nobody() {
    let (weir, folder) = asking(json!({}));
    let (one, other) = (client(&weir), client(&weir));
    // It is known that this server asks.
    let (mut before, id) = begin(&one, json!({"text": "before"}));
    let (_, asked) = question(&mut before);
    reply(&one, &asked, "yes");
    end(&mut before, &id);
    let (_cancelled, id) = begin(&one, json!({"text": "a secret of one", "when": "go"}));
    wait::until_true("the call waits", || log(folder.path()).contains("waiting a secret of one"));
    one.tell("notifications/cancelled", json!({"requestId": id}));
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| {
            let (mut stream, id) = begin(&other, json!({"text": "for the other"}));
            let (text, asked) = question(&mut stream);
            tell(folder.path(), "go");
            reply(&other, &asked, "mine");
            (text, end(&mut stream, &id))
        });
        let (text, end) = asked.join().expect("the other is asked");
        assert_eq!(text, "for the other");
        assert!(end.contains("mine"), "{end}");
    });
    assert_eq!(starts(folder.path()), 2, "the process of the cancelled call was replaced");
}

#[test]
fn the_first_question_waits_for_the_end_of_a_cancelled_call() {
    let (weir, folder) = asking(json!({}));
    let (one, other) = (client(&weir), client(&weir));
    let (request, id) = one.prepare("tools/call", json!({"name": "linger", "arguments": {}}));
    let _cancelled = request.begin(one.endpoint());
    wait::until_true("the call runs", || log(folder.path()).contains("lingering"));
    one.tell("notifications/cancelled", json!({"requestId": id}));
    let (mut stream, id) = begin(&other, json!({"text": "for the other"}));
    let (text, asked) = question(&mut stream);
    assert_eq!(text, "for the other");
    reply(&other, &asked, "here");
    assert!(end(&mut stream, &id).contains("here"));
    assert_eq!(starts(folder.path()), 1, "no reason to replace the process");
}

#[test]
fn a_process_that_ends_while_it_asks_fails_its_call_and_no_other() {
    let (weir, folder) = asking(json!({}));
    let client = client(&weir);
    let (mut stream, id) = begin(&client, json!({"text": "last words", "dies": "die"}));
    question(&mut stream);
    tell(folder.path(), "die");
    let end = end(&mut stream, &id);
    assert!(end.contains("went away before it answered"), "{end}");
    assert!(!client.call("process", json!({})).failed());
}

#[test]
fn a_parked_call_keeps_its_process() {
    let (weir, folder) = asking(json!({"instances": 2}));
    let modern = Modern::with_capabilities(weir.endpoint(), json!({"elicitation": {}}));
    let mut call = json!({"name": "ask", "arguments": {"text": "for the modern one"}});
    let parked = modern.ask("tools/call", call.clone());
    let requests = parked.result()["inputRequests"].as_object().expect("it is asked").clone();
    let (key, asked) = requests.iter().next().expect("a question");
    assert_eq!(asked["params"]["message"], "for the modern one");
    let legacy = client(&weir);
    for round in ["first", "second"] {
        let (mut stream, id) = begin(&legacy, json!({"text": round}));
        let (text, asked) = question(&mut stream);
        assert_eq!(text, round);
        reply(&legacy, &asked, "from the legacy one");
        assert!(end(&mut stream, &id).contains("from the legacy one"));
    }
    call["requestState"] = parked.result()["requestState"].clone();
    call["inputResponses"] = json!({key: {"action": "accept", "content": {"reply": "from the modern one"}}});
    let done = modern.ask("tools/call", call);
    assert!(done.text().contains("from the modern one"), "{}", done.message);
    assert_eq!(starts(folder.path()), 2);
}

#[test]
fn configured_roots_become_the_folders_of_a_server() {
    let (first, second) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let file = second.path().join("file.txt");
    std::fs::write(&file, "from a root").expect("the file can be written");
    let mut backend = peers::filesystem(first.path());
    backend["roots"] = json!([{"uri": format!("file://{}", second.path().display()), "name": "second"}]);
    let weir = Weir::over(json!({"files": backend}));
    let client = Modern::new(weir.endpoint());
    // It asks behind the handshake, and not before weir serves.
    wait::until_true("the server takes over the roots", || {
        let answer = client.call("read_text_file", json!({"path": file}));
        !answer.failed() && answer.text() == "from a root"
    });
    let outside = client.call("list_directory", json!({"path": first.path()}));
    assert!(outside.failed(), "roots replace the arguments: {}", outside.message);
}

#[test]
fn configured_roots_are_told_over_http() {
    let server = peers::everything_http();
    let weir = Weir::over(json!({"everything": {
        "url": server.url(), "session": "shared", "roots": ["file:///srv/of/weir"],
    }}));
    let client = Legacy::new(weir.endpoint());
    wait::until_true("the server knows the roots", || {
        client.call("get-roots-list", json!({})).message.to_string().contains("file:///srv/of/weir")
    });
}
