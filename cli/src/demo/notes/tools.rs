//! The tools of the demo server `notes`.

use super::store::{Note, Store};
use crate::demo::arguments::Arguments;
use serde_json::{Map, Value, json};

/// Longest text of a note, in characters.
const LONGEST_TEXT: usize = 4096;
/// Longest topic, query and id, in characters.
const LONGEST_WORD: usize = 64;
/// The topic of a note that names none.
const NO_TOPIC: &str = "general";

/// What a tool has to tell.
pub(super) struct Told {
    /// For a reader.
    pub(super) text: String,
    /// The same as data.
    pub(super) data: Value,
    /// Whether there are other notes than before.
    pub(super) changed: bool,
}

/// The tools, as in `tools/list`.
pub(super) fn list() -> Value {
    let word = |what: &str| json!({ "type": "string", "minLength": 1, "maxLength": LONGEST_WORD, "description": what });
    let text = json!({ "type": "string", "minLength": 1, "maxLength": LONGEST_TEXT, "description": "What to note." });
    let note = json!({
        "type": "object",
        "properties": {
            "id": { "type": "string", "description": "The note's id." },
            "topic": { "type": "string", "description": "What it is about." },
            "text": { "type": "string", "description": "What it says." },
            "uri": { "type": "string", "description": "The resource that it is." },
        },
        "required": ["id", "topic", "text", "uri"],
    });
    let notes = json!({
        "type": "object",
        "properties": { "notes": { "type": "array", "items": note } },
        "required": ["notes"],
    });
    let reads = json!({ "readOnlyHint": true, "idempotentHint": true, "openWorldHint": false });
    let writes = |destructive: bool, idempotent: bool| {
        json!({
            "readOnlyHint": false,
            "destructiveHint": destructive,
            "idempotentHint": idempotent,
            "openWorldHint": false,
        })
    };
    let tool = |name: &str, title: &str, what: &str, input: (Value, Value), output: &Value, hints: Value| {
        json!({
            "name": name,
            "title": title,
            "description": what,
            "inputSchema": {
                "type": "object",
                "properties": input.0,
                "required": input.1,
                "additionalProperties": false,
            },
            "outputSchema": output,
            "annotations": hints,
        })
    };
    json!([
        tool(
            "add_note",
            "Add a note",
            "Keeps a note and tells its id.",
            (
                json!({ "text": text, "topic": word("What it is about; `general` if absent.") }),
                json!(["text"])
            ),
            &note,
            writes(false, false),
        ),
        tool(
            "list_notes",
            "List notes",
            "Lists all notes, or those of one topic.",
            (json!({ "topic": word("Only the notes of this topic.") }), json!([])),
            &notes,
            reads.clone(),
        ),
        tool(
            "search_notes",
            "Search notes",
            "Finds the notes whose text or topic contains some words, whatever their case.",
            (json!({ "query": word("The words to look for.") }), json!(["query"])),
            &notes,
            reads,
        ),
        tool(
            "delete_note",
            "Delete a note",
            "Deletes one note for good.",
            (json!({ "id": word("The note's id, as add_note and list_notes tell it.") }), json!(["id"])),
            &note,
            writes(true, true),
        ),
    ])
}

/// Calls the tool `name`; `None` if there is none of that name.
pub(super) fn call(
    store: &mut Store,
    name: &str,
    arguments: Map<String, Value>,
) -> Option<Result<Told, String>> {
    match name {
        "add_note" => Some(add(store, arguments)),
        "list_notes" => Some(select(store, arguments)),
        "search_notes" => Some(search(store, arguments)),
        "delete_note" => Some(delete(store, arguments)),
        _ => None,
    }
}

fn add(store: &mut Store, given: Map<String, Value>) -> Result<Told, String> {
    let arguments = Arguments::new(given, &["text", "topic"])?;
    let topic = arguments.text("topic", LONGEST_WORD)?.unwrap_or(NO_TOPIC);
    let note = store.add(topic, arguments.required_text("text", LONGEST_TEXT)?)?;
    Ok(Told { text: format!("Noted as {}.", note.uri()), data: note.data(), changed: true })
}

fn select(store: &Store, given: Map<String, Value>) -> Result<Told, String> {
    let arguments = Arguments::new(given, &["topic"])?;
    let topic = arguments.text("topic", LONGEST_WORD)?;
    Ok(told(store.all().filter(|note| topic.is_none_or(|topic| note.topic == topic))))
}

fn search(store: &Store, given: Map<String, Value>) -> Result<Told, String> {
    let arguments = Arguments::new(given, &["query"])?;
    let query = arguments.required_text("query", LONGEST_WORD)?.to_lowercase();
    let contains = |text: &str| text.to_lowercase().contains(&query);
    Ok(told(store.all().filter(|note| contains(&note.text) || contains(&note.topic))))
}

fn delete(store: &mut Store, given: Map<String, Value>) -> Result<Told, String> {
    let arguments = Arguments::new(given, &["id"])?;
    let id = arguments.required_text("id", LONGEST_WORD)?;
    let note = store
        .delete(id)
        .ok_or_else(|| format!("there is no note {id:?}; list_notes tells which there are"))?;
    Ok(Told { text: format!("Deleted {}.", note.uri()), data: note.data(), changed: true })
}

fn told<'a>(notes: impl Iterator<Item = &'a Note>) -> Told {
    let notes = notes.collect::<Vec<_>>();
    let text = if notes.is_empty() {
        "No notes.".into()
    } else {
        notes.iter().map(|note| note.line()).collect::<Vec<_>>().join("\n")
    };
    let data = json!({ "notes": notes.iter().map(|note| note.data()).collect::<Vec<_>>() });
    Told { text, data, changed: false }
}
