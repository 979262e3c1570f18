//! What is read is what was written, however it is spelt, cut or nested.

use proptest::prelude::*;
use serde_json::Value;
use weir_protocol::cursor::{Cursor, CursorCodec};
use weir_protocol::sse::{Decoder, Event, write_message};
use weir_protocol::{Envelope, headers, json};

/// The members that weir reads of the parameters.
const READ: [&str; 10] = [
    "name",
    "uri",
    "arguments",
    "cursor",
    "ref",
    "requestId",
    "progressToken",
    "protocolVersion",
    "clientInfo",
    "notifications",
];

/// A key, perhaps with a letter of it escaped.
fn spelt(key: &str, escaped: bool) -> String {
    let (first, rest) = key.split_at(1);
    let first =
        first.bytes().map(|letter| if escaped { format!("\\u{letter:04x}") } else { first.to_owned() });
    format!("\"{}{rest}\"", first.collect::<String>())
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn nested() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![Just(Value::Null), r#"[\[\]{}"\\a]{0,9}"#.prop_map(Value::from)];
    leaf.prop_recursive(9, 40, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(r#"[\[{"\\]{0,3}"#, inner, 0..3)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// An event as a server may write it: its lines, without their ends.
fn event() -> impl Strategy<Value = (Vec<String>, Event)> {
    let text = "[^\\r\\n\\x00]{0,12}";
    (
        prop::option::of(text),
        prop::collection::vec(text, 1..4),
        prop::option::of(text),
        prop::option::of(any::<u32>()),
        any::<bool>(),
    )
        .prop_map(|(name, data, id, retry, comment)| {
            let mut lines = Vec::new();
            lines.extend(comment.then(|| ": a comment".to_owned()));
            lines.extend(name.iter().map(|name| format!("event: {name}")));
            lines.extend(id.iter().map(|id| format!("id: {id}")));
            lines.extend(data.iter().map(|line| format!("data: {line}")));
            lines.extend(retry.iter().map(|retry| format!("retry: {retry}")));
            let event = Event {
                name: name.unwrap_or_default(),
                data: data.join("\n").into(),
                id,
                retry: retry.map(u64::from),
            };
            (lines, event)
        })
}

fn decode(stream: &[u8], cuts: &[usize]) -> Vec<Event> {
    let mut decoder = Decoder::new(stream.len());
    let mut events = Vec::new();
    let mut rest = stream;
    for length in cuts.iter().copied().cycle() {
        let (piece, behind) = rest.split_at(length.min(rest.len()));
        decoder.feed(piece);
        events.extend(std::iter::from_fn(|| decoder.next_event().ok().flatten()));
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    events
}

proptest! {
    #[test]
    fn what_weir_reads_is_there_once(
        keys in prop::collection::vec((prop::sample::select(READ.to_vec()), any::<bool>()), 0..6),
        unknown in 0usize..3,
        again in prop::option::of(prop::sample::select(vec!["id", "method", "jsonrpc", "x", "ID", "paramS"])),
        escaped in any::<bool>(),
    ) {
        let unknown = std::iter::repeat_n(r#""x":{"name":1,"name":2}"#.to_owned(), unknown);
        let members: Vec<String> =
            keys.iter().map(|(key, escaped)| format!("{}:1", spelt(key, *escaped))).chain(unknown).collect();
        let again_member = again.map(|key| format!("{}:1,", spelt(key, escaped))).unwrap_or_default();
        let body = format!(
            r#"{{{again_member}"jsonrpc":"2.0","id":1,"method":"m","params":{{{}}}}}"#,
            members.join(",")
        );
        let mut seen = std::collections::BTreeSet::new();
        let repeats = !keys.iter().all(|(key, _)| seen.insert(*key)) || again.is_some_and(|key| key != "x");
        prop_assert_eq!(Envelope::parse(body.as_bytes()).is_err(), repeats, "{}", body);
    }

    #[test]
    fn depth_is_that_of_the_tree(value in nested(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_vec_pretty(&value) } else { serde_json::to_vec(&value) }.unwrap();
        let depth = depth(&value);
        for max in 0..12 {
            prop_assert_eq!(json::deeper_than(&text, max), depth > max, "{} {:?}", max, value);
        }
    }

    #[test]
    fn strings_are_read_as_they_were(text in any::<String>()) {
        let written = json::string(&text);
        prop_assert_eq!(json::as_str(&written), Some(text.as_str().into()));
        prop_assert_eq!(serde_json::from_slice::<String>(&written).unwrap(), text);
    }

    #[test]
    fn events_are_read_as_they_were(
        events in prop::collection::vec(event(), 0..5),
        end in prop::sample::select(vec!["\n", "\r", "\r\n"]),
        mark in any::<bool>(),
        cuts in prop::collection::vec(1usize..30, 1..10),
    ) {
        let mut stream = if mark { "\u{feff}".to_owned() } else { String::new() };
        for line in events.iter().flat_map(|(lines, _)| lines.iter().map(String::as_str).chain([""])) {
            stream.push_str(line);
            stream.push_str(end);
        }
        let expected: Vec<Event> = events.into_iter().map(|(_, event)| event).collect();
        prop_assert_eq!(decode(stream.as_bytes(), &cuts), expected);
    }

    #[test]
    fn messages_are_read_as_they_were(
        messages in prop::collection::vec(nested(), 0..4),
        pretty in any::<bool>(),
        cuts in prop::collection::vec(1usize..30, 1..10),
    ) {
        let mut stream = Vec::new();
        for message in &messages {
            let text = if pretty { serde_json::to_vec_pretty(message) } else { serde_json::to_vec(message) };
            write_message(&mut stream, &text.unwrap());
        }
        let read = decode(&stream, &cuts);
        prop_assert!(read.iter().all(|event| event.name == "message" && event.id.is_none()));
        let read: Vec<Value> = read.iter().map(|event| serde_json::from_slice(&event.data).unwrap()).collect();
        prop_assert_eq!(read, messages);
    }

    #[test]
    fn every_text_has_a_header_value(text in any::<String>(), marked in any::<bool>()) {
        let text = if marked { format!("=?base64?{text}?=") } else { text };
        let value = headers::encode(&text);
        prop_assert!(value.bytes().all(|byte| (0x20..0x7f).contains(&byte)) && !value.is_empty());
        prop_assert_eq!(value.trim(), &*value);
        prop_assert_eq!(headers::decode(&value), Some(text.as_str().into()));
        let _ = headers::decode(&text);
    }

    #[test]
    fn cursors_are_read_by_their_writer_alone(
        list in any::<u32>(),
        generation in any::<u64>(),
        offset in any::<u32>(),
        at in 0usize..32,
        letter in "[A-Za-z0-9_=-]",
    ) {
        let codec = CursorCodec::default();
        let cursor = Cursor { list, generation, offset };
        let mut text = codec.encode(cursor, b"owner");
        prop_assert_eq!(codec.decode(&text, b"owner"), Some(cursor));
        prop_assert_eq!(codec.decode(&text, b"other"), None);
        prop_assert_eq!(CursorCodec::default().decode(&text, b"owner"), None);
        let changed = text[at..=at] != letter;
        text.replace_range(at..=at, &letter);
        prop_assert_eq!(codec.decode(&text, b"owner").is_none(), changed);
    }
}
