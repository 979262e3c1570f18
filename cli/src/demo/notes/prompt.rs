//! The prompt `summarise_notes`, and the completion of its argument and of note ids.

use super::resources::TEMPLATE;
use super::store::{Note, Store};
use crate::demo::reply::Failure;
use crate::demo::server::Request;
use serde_json::{Value, json};

const NAME: &str = "summarise_notes";
const ARGUMENT: &str = "topic";
/// Most completions in one answer, as the specification has it.
const MOST_VALUES: usize = 100;

/// The only page of `prompts/list`.
pub(super) fn list() -> Value {
    json!({
        "prompts": [{
            "name": NAME,
            "title": "Summarise notes",
            "description": "Asks for a summary of all notes of one topic.",
            "arguments": [{
                "name": ARGUMENT,
                "title": "Topic",
                "description": "The topic of the notes to summarise.",
                "required": true,
            }],
        }],
    })
}

/// The answer to `prompts/get`.
pub(super) fn get(store: &Store, request: &Request) -> Result<Value, Failure> {
    let name = request.text("name")?;
    if name != NAME {
        return Err(Failure::invalid(format!("Unknown prompt: {name}")));
    }
    let arguments = request.object("arguments")?;
    let topic = arguments
        .get(ARGUMENT)
        .and_then(Value::as_str)
        .ok_or_else(|| Failure::invalid(format!("the argument `{ARGUMENT}` must be a string")))?;
    let lines = store.all().filter(|note| note.topic == topic).map(Note::line).collect::<Vec<_>>();
    let text = if lines.is_empty() {
        format!("There are no notes about {topic}. Say so, and ask what to note.")
    } else {
        format!("Summarise these notes about {topic} in a few sentences:\n\n{}", lines.join("\n"))
    };
    Ok(json!({
        "description": format!("A summary of the notes about {topic}"),
        "messages": [{ "role": "user", "content": { "type": "text", "text": text } }],
    }))
}

/// The answer to `completion/complete`: topics for the prompt, ids for the template.
pub(super) fn complete(store: &Store, request: &Request) -> Result<Value, Failure> {
    let part = |object: &str, name: &str| request.params.get(object)?.get(name)?.as_str();
    let argument = part("argument", "name");
    let begin = part("argument", "value").ok_or_else(|| {
        Failure::invalid("`params.argument` must have a `name` and a `value`, both strings")
    })?;
    let candidates = match (part("ref", "type"), part("ref", "name"), part("ref", "uri")) {
        (Some("ref/prompt"), Some(NAME), _) if argument == Some(ARGUMENT) => {
            store.topics().into_iter().map(String::from).collect::<Vec<_>>()
        }
        (Some("ref/resource"), _, Some(TEMPLATE)) if argument == Some("id") => {
            store.all().map(|note| note.id.to_string()).collect()
        }
        _ => {
            return Err(Failure::invalid("there is nothing to complete under that `ref` and argument"));
        }
    };
    let mut values = candidates.into_iter().filter(|value| value.starts_with(begin)).collect::<Vec<_>>();
    let total = values.len();
    values.truncate(MOST_VALUES);
    Ok(json!({ "completion": { "values": values, "total": total, "hasMore": total > MOST_VALUES } }))
}
