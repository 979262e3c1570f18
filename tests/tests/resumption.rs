//! Event streams that break off: a legacy client takes them up again, with what it missed and nothing else.

use serde_json::{Value, json};
use tempfile::TempDir;
use weir_tests::driver::{self, SDKS};
use weir_tests::http::{Event, Request};
use weir_tests::weir::config;
use weir_tests::{Cutter, Legacy, Modern, Speak, Weir, peers, wait};

/// weir over the slow server, whose calls end when the file `release` is written to the folder.
fn slow(limits: Value) -> (Weir, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let backend = peers::fixture("slow.py", &[folder.path().to_str().expect("a path"), "legacy"]);
    let mut config = config(json!({"slow": backend}), json!({"conflicts": "none"}));
    config["limits"] = limits;
    (Weir::serve(config), folder)
}

fn release(folder: &TempDir) {
    std::fs::write(folder.path().join("release"), "").expect("a file can be written");
}

fn call(client: &Legacy, steps: u32, token: &str) -> (Request, Value) {
    let meta = json!({"progressToken": token});
    client.prepare("tools/call", json!({"name": "wait", "arguments": {"steps": steps}, "_meta": meta}))
}

fn take_up(client: &Legacy, last: &str) -> Request {
    let get = Request::new("GET").header("accept", "text/event-stream").header("last-event-id", last);
    client.within(get)
}

/// Begins a call, reads until its last progress, and breaks off. Answers the call's id and the events.
fn begin(client: &Legacy, steps: u32, token: &str) -> (Value, Vec<Event>) {
    let (request, id) = call(client, steps, token);
    let mut stream = request.open(client.endpoint()).events();
    let mut events = Vec::new();
    while events.last().is_none_or(|event: &Event| !event.data.contains(&format!("\"progress\": {steps}"))) {
        events.push(stream.next().expect("the stream goes on"));
    }
    (id, events)
}

fn id(event: &Event) -> &str {
    event.id.as_deref().expect("the event has an id")
}

#[test]
fn a_broken_stream_is_taken_up_while_the_call_runs() {
    let (weir, folder) = slow(json!({}));
    let client = Legacy::new(weir.endpoint());
    let (first, events) = begin(&client, 3, "one");
    let (_, others) = begin(&client, 2, "two");
    assert_eq!(events.len(), 4, "{events:?}");
    assert_eq!(events[0].data, "", "the stream begins by priming the client");
    assert_ne!(id(&events[0]), id(&others[0]));
    // From the priming event on nothing is missed, from a later one on nothing comes twice.
    for from in 0..4 {
        let mut stream = take_up(&client, id(&events[from])).open(client.endpoint()).events();
        for event in &events[from + 1..] {
            assert_eq!(stream.next().as_ref(), Some(event));
        }
    }
    let mut stream = take_up(&client, id(&events[3])).open(client.endpoint()).events();
    release(&folder);
    let last = stream.next().expect("the answer");
    assert_eq!(
        (&last.json()["id"], last.json()["result"]["content"][0]["text"].as_str()),
        (&first, Some("released"))
    );
    assert_eq!(stream.next(), None, "the stream ends with the answer");
    // The answer is remembered too.
    let again: Vec<Event> = take_up(&client, id(&events[3])).open(client.endpoint()).events().collect();
    assert_eq!(again, [last]);
}

#[test]
fn what_leads_nowhere_is_refused() {
    let (weir, folder) = slow(json!({"replay": "300B"}));
    release(&folder);
    let client = Legacy::new(weir.endpoint());
    let (_, events) = begin(&client, 50, "one");
    let forgotten = take_up(&client, id(&events[0])).send(client.endpoint());
    assert_eq!(forgotten.status, 400, "{}", forgotten.text());
    assert!(forgotten.text().contains("not remembered"), "{}", forgotten.text());
    let remembered = take_up(&client, id(&events[50])).send(client.endpoint());
    assert_eq!(remembered.status, 200);
    let other = Legacy::new(weir.endpoint());
    for last in [id(&events[50]), "1-99", "9-0", "", "x", "-", "1-0 ", "../1-1"] {
        let refused = take_up(&other, last).send(client.endpoint());
        assert_eq!(refused.status, 400, "{last:?}: {}", refused.text());
    }
    client.delete();
    assert_eq!(take_up(&client, id(&events[50])).send(client.endpoint()).status, 404);
}

#[test]
fn a_stream_is_read_on_one_connection() {
    let (weir, folder) = slow(json!({}));
    let client = Legacy::new(weir.endpoint());
    let (request, wanted) = call(&client, 1, "one");
    let mut stream = request.open(client.endpoint()).events();
    let primed = stream.next().expect("a priming event");
    let progress = stream.next().expect("progress");
    // The first connection still stands: it ends, and the call goes on.
    let mut second = take_up(&client, id(&primed)).open(client.endpoint()).events();
    assert_eq!(second.next(), Some(progress));
    assert_eq!(stream.next(), None);
    let third = take_up(&client, id(&primed)).open(client.endpoint()).events();
    assert_eq!(second.next(), None);
    release(&folder);
    assert_eq!(third.last().expect("the answer").json()["id"], wanted);
}

#[test]
fn each_era_and_revision_gets_what_it_knows() {
    let (weir, folder) = slow(json!({}));
    release(&folder);
    let older = Legacy::open(weir.endpoint(), "2025-06-18", json!({}));
    let (_, events) = begin(&older, 1, "one");
    assert!(events[0].data.contains("progress") && events[0].id.is_some(), "{events:?}");
    let modern = Modern::new(weir.endpoint());
    let meta = json!({"progressToken": 1});
    let (request, _) =
        modern.prepare("tools/call", json!({"name": "wait", "arguments": {"steps": 1}, "_meta": meta}));
    let events: Vec<Event> = request.open(&weir.endpoint()).events().collect();
    assert!(events.len() == 2 && events.iter().all(|event| event.id.is_none()), "{events:?}");
}

#[test]
fn the_standing_stream_tells_what_happened_meanwhile() {
    let weir = Weir::over(json!({"changing": peers::fixture("changing.py", &["legacy"])}));
    let client = Legacy::new(weir.endpoint());
    let mut stream = client.listen();
    let primed = stream.next().expect("a priming event");
    assert_eq!(primed.data, "");
    client.call("add_tool", json!({"name": "one"}));
    let told = stream.next().expect("an announcement");
    assert!(told.data.contains("list_changed") && told.id.is_some(), "{told:?}");
    drop(stream);
    client.call("add_tool", json!({"name": "two"}));
    wait::until_true("the tool is listed", || client.tool_names().contains(&"two".to_owned()));
    let mut stream = take_up(&client, id(&told)).open(client.endpoint()).events();
    assert!(stream.message()["method"] == "notifications/tools/list_changed");
    // What was missed cannot be told any more: then everything may have changed.
    let mut stream = take_up(&client, "s9-99").open(client.endpoint()).events();
    let methods =
        [stream.message(), stream.message(), stream.message()].map(|message| message["method"].clone());
    assert_eq!(
        methods,
        ["tools", "prompts", "resources"].map(|list| json!(format!("notifications/{list}/list_changed")))
    );
}

#[test]
fn sdk_clients_come_back_for_the_rest() {
    for sdk in SDKS {
        let (weir, folder) = slow(json!({}));
        let cutter = Cutter::before(&weir.endpoint(), "\"progress\": 2");
        let call = json!({"do": "call", "name": "wait", "arguments": {"steps": 3}, "progress": true});
        let report = std::thread::scope(|scope| {
            let session = scope.spawn(|| driver::session(sdk, "legacy", &cutter.url(), &[call]));
            wait::until_true("the connection is cut", || cutter.cuts() == 1);
            release(&folder);
            session.join().expect("the client ends")
        });
        assert_eq!(report.text(0), "released", "{sdk:?}");
    }
}

#[test]
fn what_may_have_changed_is_told_where_the_standing_stream_is_forgotten() {
    let weir = Weir::over(json!({"watched": peers::fixture("watched.py", &["legacy"])}));
    let client = Legacy::new(weir.endpoint());
    client.ask("resources/subscribe", json!({"uri": "doc:///a"})).result();
    let mut stream = take_up(&client, "s9-99").open(client.endpoint()).events();
    let told = stream.message_where(|message| message["method"] == "notifications/resources/updated");
    assert_eq!(told["params"]["uri"], "doc:///a");
}

#[test]
fn nothing_is_lost_from_one_connection_to_the_next() {
    const UPDATES: usize = 300;
    let weir = Weir::over(json!({"watched": peers::fixture("watched.py", &["legacy"])}));
    let client = Legacy::new(weir.endpoint());
    client.ask("resources/subscribe", json!({"uri": "doc:///a"})).result();
    let mut stream = client.listen();
    let mut last = id(&stream.next().expect("a priming event")).to_owned();
    let mut seen = Vec::new();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..UPDATES {
                client.call("touch", json!({"uri": format!("doc:///a/{number}")}));
            }
        });
        while seen.len() < UPDATES {
            for event in stream.by_ref().take(7) {
                last = id(&event).to_owned();
                if !event.data.is_empty() {
                    seen.push(event.json()["params"]["uri"].clone());
                }
                if seen.len() == UPDATES {
                    break;
                }
            }
            // Taken up while the old connection still stands.
            stream = take_up(&client, &last).open(client.endpoint()).events();
        }
    });
    let expected: Vec<Value> = (0..UPDATES).map(|number| json!(format!("doc:///a/{number}"))).collect();
    assert_eq!(seen, expected);
}
