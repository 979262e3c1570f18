//! The behaviours in which a server asks the client.

use crate::behaviours::{Cell, progressed, same, until_noted};
use crate::parties::Transport;
use serde_json::{Value, json};
use weir_tests::Capable;

/// Kinds of questions, round by round.
type Rounds<'a> = &'a [&'a [&'a str]];

pub(crate) fn form(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    asked(client, cell, &[&["form"]])?;
    let declined = json!({"action": "decline"});
    let outcome = client.converse("tools/call", params(cell, &[&["form"]]), &|_| declined.clone())?;
    let got: Value = serde_json::from_str(outcome.text()?).map_err(|error| error.to_string())?;
    same("what the server got", got, json!([{"form": declined}]))
}

pub(crate) fn url(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    asked(client, cell, &[&["url"]])
}

pub(crate) fn sample(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    asked(client, cell, &[&["sample"]])
}

pub(crate) fn roots(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    asked(client, cell, &[&["roots"]])
}

pub(crate) fn two_at_once(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    if cell.client.knows("form") {
        return asked(client, cell, &[&["form", "sample"]]);
    }
    asked(client, cell, &[&["sample", "roots"]])
}

pub(crate) fn three_rounds(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    if cell.client.knows("form") {
        return asked(client, cell, &[&["form"], &["sample"], &["roots"]]);
    }
    asked(client, cell, &[&["sample"], &["roots"], &["sample"]])
}

pub(crate) fn prompt(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let params = json!({"name": cell.name("ask"), "arguments": {"who": cell.tag}});
    let outcome = client.converse("prompts/get", params, &|request| reply(cell, request))?;
    let text = &outcome.result()?["messages"][0]["content"]["text"];
    same("the prompt", text, &json!(spoken(cell)))?;
    same("questions", outcome.asked.len(), 1)
}

pub(crate) fn resource(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let params = json!({"uri": cell.uri(&format!("ask-{}", cell.tag))});
    let outcome = client.converse("resources/read", params, &|request| reply(cell, request))?;
    same("the resource", &outcome.result()?["contents"][0]["text"], &json!(spoken(cell)))?;
    same("questions", outcome.asked.len(), 1)
}

/// What the client's model says.
fn spoken(cell: &Cell) -> String {
    format!("You are \"{}\".", cell.tag)
}

fn params(cell: &Cell, rounds: Rounds<'_>) -> Value {
    cell.call("ask", json!({"rounds": rounds}))
}

/// Has the server ask, answers, and checks what either side saw.
fn asked(client: &mut Capable, cell: &Cell, rounds: Rounds<'_>) -> Result<(), String> {
    let outcome = client.converse("tools/call", params(cell, rounds), &|request| reply(cell, request))?;
    let answer = |kind: &str| {
        (kind.to_owned(), reply(cell, &json!({"method": method(kind), "params": {"mode": kind}})))
    };
    let expected: Value =
        rounds.iter().map(|kinds| kinds.iter().map(|kind| answer(kind)).collect::<Value>()).collect();
    let got: Value = serde_json::from_str(outcome.text()?).map_err(|error| error.to_string())?;
    same("what the server got", &got, &expected)?;
    same("what the server noted", cell.seen(client, "answers")?, vec![expected])?;
    same("complaints of the server", cell.seen(client, "refused")?, Vec::new())?;
    same("progress", progressed(&outcome, cell), (1..=rounds.len() as u64).collect())?;
    same("questions", outcome.asked.len(), rounds.iter().map(|kinds| kinds.len()).sum())?;
    for (request, kind) in outcome.asked.iter().zip(rounds.iter().copied().flatten()) {
        check(cell, request, kind, rounds)?;
    }
    declared(client, cell)
}

fn method(kind: &str) -> &'static str {
    match kind {
        "sample" => "sampling/createMessage",
        "roots" => "roots/list",
        _ => "elicitation/create",
    }
}

/// What the client answers.
fn reply(cell: &Cell, request: &Value) -> Value {
    match request["method"].as_str() {
        Some("sampling/createMessage") => {
            let content = json!({"type": "text", "text": spoken(cell)});
            json!({"role": "assistant", "model": "none", "content": content})
        }
        Some("roots/list") => json!({"roots": [{"uri": format!("file:///{}", cell.tag), "name": "grüße"}]}),
        _ if request["params"]["mode"] == "url" => json!({"action": "accept"}),
        _ => json!({"action": "accept", "content": {"name": "Ada", "age": 36}}),
    }
}

/// Whether a question reached the client as it should. Of those that come at once the order is free.
fn check(cell: &Cell, request: &Value, kind: &str, rounds: Rounds<'_>) -> Result<(), String> {
    let free = rounds.iter().any(|kinds| kinds.len() > 1);
    if !free {
        same("the question", request["method"].as_str(), Some(method(kind)))?;
    }
    let params = &request["params"];
    let (backend, tag) = (cell.backend.name, &cell.tag);
    match request["method"].as_str() {
        Some("sampling/createMessage") => {
            let text = &params["messages"][0]["content"]["text"];
            same("the prompt", text, &json!(format!("Who am I? {tag}")))?;
            same("tokens", &params["maxTokens"], &json!(50))
        }
        Some("roots/list") => Ok(()),
        _ if params["mode"] == "url" => {
            same("the message", &params["message"], &json!(format!("[{backend}] Sign in, {tag}.")))?;
            same("the URL", &params["url"], &json!(format!("https://example.com/{tag}")))?;
            // The modern era has no id for it, the legacy one demands it.
            same("an id", params["elicitationId"].is_string(), !cell.client.is_modern())
        }
        _ => {
            same("the message", &params["message"], &json!(format!("[{backend}] Who are you, {tag}?")))?;
            let schema = &params["requestedSchema"];
            same("the form", &schema["properties"]["name"]["minLength"], &json!(1))?;
            same("the form", &schema["required"], &json!(["name"]))
        }
    }
}

/// Cancels a call in place of an answer. A legacy server waits for the answer and is told; a modern one waits for nothing.
pub(crate) fn cancelled(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let id = client.begin("tools/call", params(cell, &[&["sample"]]))?;
    client.hear(&|message| message["method"] == "sampling/createMessage")?;
    client.cancel(id)?;
    if cell.backend.era == "legacy" {
        until_noted(client, cell, "refused")?;
    }
    // Whoever is asked next is asked as if nothing had been.
    sample(client, &Cell::new(cell.client, cell.backend))
}

/// The client is not asked, and its caller is told why nothing came of it.
pub(crate) fn refused(client: &mut Capable, cell: &Cell, kind: &str) -> Result<(), String> {
    let outcome = client.ask("tools/call", params(cell, &[&[kind]]))?;
    let said = outcome.failure()?;
    // A legacy server learns that its request is refused; a modern one sees beforehand what it may not ask.
    let reason = match (cell.backend.era, kind) {
        ("legacy", _) => format!("the client cannot be asked for {kind}"),
        (_, "form" | "url") => "elicitation".to_owned(),
        (_, "sample") => "sampling".to_owned(),
        _ => kind.to_owned(),
    };
    if !said.contains(&reason) {
        return Err(format!("this does not say that the client cannot be asked: {said}"));
    }
    same("what the server noted", cell.seen(client, "answers")?, Vec::new())
}

/// A legacy server that asks for roots is told of none where the client has none to tell.
pub(crate) fn no_roots(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let outcome = client.ask("tools/call", params(cell, &[&["roots"]]))?;
    same("what the server got", outcome.text()?, r#"[{"roots": {"roots": []}}]"#)
}

/// Whether the server was told of no kind of question that the client does not know. A connection that clients share declares
/// whatever weir can relay.
fn declared(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    if cell.backend.era == "legacy" && cell.backend.transport != Transport::Http {
        return Ok(());
    }
    for capabilities in cell.seen(client, "declared")? {
        let elicitation = &capabilities["elicitation"];
        let url = elicitation.get("url").is_some();
        let form = !elicitation.is_null() && (!url || elicitation.get("form").is_some());
        for (kind, declared) in [("form", form), ("url", url)] {
            if declared != cell.client.knows(kind) {
                return Err(format!("the server was told {capabilities}"));
            }
        }
    }
    Ok(())
}
