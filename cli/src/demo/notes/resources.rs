//! Notes as resources `notes://ID`.

use super::store::{Note, Store, number};
use crate::demo::reply::Failure;
use crate::demo::server::Request;
use serde_json::{Value, json};

/// Notes on one page of the list.
const PAGE: usize = 100;
/// What a note's URI begins with.
const SCHEME: &str = "notes://";
/// The URI template of all notes.
pub(super) const TEMPLATE: &str = "notes://{id}";
const MIME_TYPE: &str = "text/plain";

/// A page of `resources/list`. A cursor is the id of the last note told, so that it stays good when notes go.
pub(super) fn list(store: &Store, request: &Request) -> Result<Value, Failure> {
    let after = match request.params.get("cursor") {
        None => 0,
        Some(cursor) => cursor
            .as_str()
            .and_then(number)
            .ok_or_else(|| Failure::invalid("`params.cursor` is none that this server gave"))?,
    };
    let mut rest = store.after(after);
    let page = rest.by_ref().take(PAGE).collect::<Vec<_>>();
    let resources = page.iter().map(|note| resource(note)).collect::<Vec<_>>();
    Ok(match (page.last(), rest.next()) {
        (Some(last), Some(_)) => json!({ "resources": resources, "nextCursor": last.id.to_string() }),
        _ => json!({ "resources": resources }),
    })
}

fn resource(note: &Note) -> Value {
    json!({
        "uri": note.uri(),
        "name": format!("note-{}", note.id),
        "title": format!("Note {} about {}", note.id, note.topic),
        "mimeType": MIME_TYPE,
        "size": note.text.len(),
    })
}

/// The only page of `resources/templates/list`.
pub(super) fn templates() -> Value {
    json!({
        "resourceTemplates": [{
            "uriTemplate": TEMPLATE,
            "name": "note",
            "title": "A note",
            "description": "The text of the note with this id.",
            "mimeType": MIME_TYPE,
        }],
    })
}

/// The answer to `resources/read`.
pub(super) fn read(store: &Store, request: &Request) -> Result<Value, Failure> {
    let uri = request.text("uri")?;
    match uri.strip_prefix(SCHEME).and_then(|id| store.get(id)) {
        Some(note) => Ok(json!({ "contents": [{ "uri": uri, "mimeType": MIME_TYPE, "text": note.text }] })),
        None => {
            // The legacy era has a code of its own, which the modern one forbids.
            let code = if request.modern { -32602 } else { -32002 };
            Err(Failure { data: Some(json!({ "uri": uri })), ..Failure::new(code, "Resource not found") })
        }
    }
}
