//! What MCP can do, each as a trial of one client at one backend.

use crate::asking;
use crate::parties::{Backend, Client};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};
use weir_tests::capable::Outcome;
use weir_tests::{Capable, wait};

/// Characters of a big result.
const BIG: usize = 1 << 20;

/// One thing that MCP can do.
pub(crate) struct Behaviour {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    /// What it is, for the reader of the tables.
    pub(crate) about: &'static str,
    /// The kind of question that it cannot do without.
    pub(crate) kind: Option<&'static str>,
    /// Tries it; answers what went wrong.
    pub(crate) attempt: fn(&mut Capable, &Cell) -> Result<(), String>,
}

/// One client at one backend.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) client: &'static Client,
    pub(crate) backend: &'static Backend,
    /// Unlike that of every other trial.
    pub(crate) tag: String,
}

pub(crate) const BEHAVIOURS: [Behaviour; 19] = [
    plain("list", "tools, prompts, resources and templates are listed", list),
    plain("call", "`tools/call`, `prompts/get` and `resources/read`", call),
    plain("big result", "a result of 1 MiB", big_result),
    plain("error", "errors of tools and of the protocol arrive as they are", error),
    plain("progress", "progress arrives in order, under the client's token", progress),
    plain("log", "log messages arrive, at the level asked for", log),
    plain("cancel", "cancelling reaches the server", cancel),
    asks("elicit form", "the user is asked to fill in a form, and accepts or declines", "form", asking::form),
    asks("elicit url", "the user is asked to go to a URL", "url", asking::url),
    asks("sample", "the client's model is asked", "sample", asking::sample),
    asks("roots", "the client's roots are asked for", "roots", asking::roots),
    plain("two inputs", "two questions at once", asking::two_at_once),
    plain("three rounds", "three questions, one after the other", asking::three_rounds),
    plain("prompt asks", "`prompts/get` asks the client's model", asking::prompt),
    plain("resource asks", "`resources/read` asks the client's model", asking::resource),
    plain("list changed", "the client hears that a list changed, and sees the change", list_changed),
    plain("resource update", "the client hears that a resource changed", resource_update),
    plain("completion", "an argument of a prompt is completed", completion),
    plain("timeout", "a call that takes too long is given up, and the error names the backend", timeout),
];

const fn plain(
    name: &'static str,
    about: &'static str,
    attempt: fn(&mut Capable, &Cell) -> Result<(), String>,
) -> Behaviour {
    Behaviour { name, about, kind: None, attempt }
}

const fn asks(
    name: &'static str,
    about: &'static str,
    kind: &'static str,
    attempt: fn(&mut Capable, &Cell) -> Result<(), String>,
) -> Behaviour {
    Behaviour { name, about, kind: Some(kind), attempt }
}

impl Cell {
    pub(crate) fn new(client: &'static Client, backend: &'static Backend) -> Self {
        static LAST: AtomicUsize = AtomicUsize::new(0);
        Self { client, backend, tag: format!("tag-{}", LAST.fetch_add(1, Ordering::Relaxed)) }
    }

    /// The name of a tool or prompt as clients see it.
    pub(crate) fn name(&self, own: &str) -> String {
        format!("{}_{own}", self.backend.name)
    }

    /// The URI of a resource.
    pub(crate) fn uri(&self, path: &str) -> String {
        format!("doc-{}:///{path}", self.backend.name)
    }

    /// The parameters of a call under this cell's tag, with the tag as progress token too.
    pub(crate) fn call(&self, tool: &str, mut arguments: Value) -> Value {
        arguments["tag"] = json!(self.tag);
        json!({"name": self.name(tool), "arguments": arguments, "_meta": {"progressToken": self.tag}})
    }

    /// What the server has on record under this cell's tag, of one kind.
    pub(crate) fn seen(&self, client: &mut Capable, what: &str) -> Result<Vec<Value>, String> {
        let outcome = client.ask("tools/call", self.call("seen", json!({})))?;
        let all: Vec<(String, Value)> =
            serde_json::from_str(outcome.text()?).map_err(|error| error.to_string())?;
        Ok(all.into_iter().filter(|(kind, _)| kind == what).map(|(_, value)| value).collect())
    }
}

/// What is wrong where two things are to be the same.
pub(crate) fn same<T: PartialEq + std::fmt::Debug>(what: &str, got: T, expected: T) -> Result<(), String> {
    if got == expected {
        return Ok(());
    }
    Err(format!("{what}: expected {expected:?}, got {got:?}"))
}

/// The `progress` of the notifications under the cell's tag that came with an outcome.
pub(crate) fn progressed(outcome: &Outcome, cell: &Cell) -> Vec<u64> {
    let progress = outcome.events.iter().filter(|event| event["method"] == "notifications/progress");
    let ours = progress.filter(|event| event["params"]["progressToken"] == cell.tag.as_str());
    ours.filter_map(|event| event["params"]["progress"].as_u64()).collect()
}

fn list(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let lists = [
        ("tools/list", "tools", "name", cell.name("ask")),
        ("prompts/list", "prompts", "name", cell.name("greet")),
        ("resources/list", "resources", "uri", cell.uri("index")),
        ("resources/templates/list", "resourceTemplates", "uriTemplate", cell.uri("{name}")),
    ];
    for (method, list, member, wanted) in lists {
        let outcome = client.ask(method, json!({}))?;
        let items = outcome.result()?[list].as_array().cloned().unwrap_or_default();
        if !items.iter().any(|item| item[member] == wanted.as_str()) {
            return Err(format!("{wanted} is not in {}", outcome.message));
        }
    }
    Ok(())
}

fn call(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let text = "grüße\n\"zwei\" \\ \u{2028}";
    let outcome = client.ask("tools/call", cell.call("echo", json!({"text": text})))?;
    same("tools/call", outcome.text()?, text)?;
    let params = json!({"name": cell.name("greet"), "arguments": {"who": "Ada"}});
    let outcome = client.ask("prompts/get", params)?;
    same("prompts/get", &outcome.result()?["messages"][0]["content"]["text"], &json!("Greet Ada."))?;
    let uri = cell.uri(&cell.tag);
    let outcome = client.ask("resources/read", json!({"uri": uri}))?;
    same("resources/read", &outcome.result()?["contents"][0]["text"], &json!(format!("This is {uri}.")))
}

fn big_result(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let outcome = client.ask("tools/call", cell.call("big", json!({"size": BIG})))?;
    let right = outcome.text()? == "0123456789abcde\n".repeat(BIG / 16);
    if right { Ok(()) } else { Err("the text is not that of the tool".to_owned()) }
}

fn error(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let outcome = client.ask("tools/call", cell.call("fail", json!({"how": "result"})))?;
    same("the result", outcome.result()?["isError"].as_bool(), Some(true))?;
    same("the result", outcome.failure()?, "told to fail")?;
    let outcome = client.ask("tools/call", cell.call("fail", json!({"how": "error"})))?;
    let expected = json!({"code": 4711, "message": "told to fail", "data": {"on": "purpose"}});
    same("the error", &outcome.message["error"], &expected)
}

fn progress(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let outcome = client.ask("tools/call", cell.call("progress", json!({"steps": 5})))?;
    outcome.text()?;
    same("progress", progressed(&outcome, cell), vec![1, 2, 3, 4, 5])
}

fn log(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let mut params = cell.call("log", json!({"levels": ["debug", "info", "error"]}));
    if cell.client.is_modern() {
        let outcome = client.ask("tools/call", params.clone())?;
        same("messages that nobody asked for", logged(&outcome), Vec::<String>::new())?;
        params["_meta"]["io.modelcontextprotocol/logLevel"] = json!("info");
    } else {
        client.ask("logging/setLevel", json!({"level": "info"}))?.result()?;
    }
    let outcome = client.ask("tools/call", params)?;
    outcome.text()?;
    same("messages", logged(&outcome), vec!["info".to_owned(), "error".to_owned()])
}

fn logged(outcome: &Outcome) -> Vec<String> {
    let messages = outcome.events.iter().filter(|event| event["method"] == "notifications/message");
    messages.filter_map(|event| event["params"]["data"]["at"].as_str().map(str::to_owned)).collect()
}

fn cancel(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let id = client.begin("tools/call", cell.call("wait", json!({})))?;
    client.hear(&|message| message["params"]["progressToken"] == cell.tag.as_str())?;
    client.cancel(id)?;
    until_noted(client, cell, "cancelled")
}

/// Waits until the server has a thing of this kind on record under the cell's tag.
pub(crate) fn until_noted(client: &mut Capable, cell: &Cell, what: &str) -> Result<(), String> {
    let mut asked = || match cell.seen(client, what) {
        Ok(notes) if notes.is_empty() => None,
        Ok(_) => Some(Ok(())),
        Err(complaint) => Some(Err(complaint)),
    };
    wait::poll(wait::DEADLINE, &mut asked).unwrap_or_else(|| Err(format!("the server has nothing `{what}`")))
}

fn list_changed(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    client.watch(&[])?;
    client.ask("tools/call", cell.call("change", json!({"name": cell.tag})))?.text()?;
    let added = json!(cell.name(&cell.tag));
    loop {
        // Others change the list too; what this one did is behind one of the announcements.
        client.hear(&|message| message["method"] == "notifications/tools/list_changed")?;
        let outcome = client.ask("tools/list", json!({}))?;
        let tools = outcome.result()?["tools"].as_array().cloned().unwrap_or_default();
        if tools.iter().any(|tool| tool["name"] == added) {
            return Ok(());
        }
    }
}

fn resource_update(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let uri = cell.uri(&cell.tag);
    client.watch(&[&uri])?;
    client.ask("tools/call", cell.call("touch", json!({"uri": uri})))?.text()?;
    client.hear(&|message| {
        message["method"] == "notifications/resources/updated" && message["params"]["uri"] == uri.as_str()
    })?;
    Ok(())
}

fn completion(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let prompt = json!({"type": "ref/prompt", "name": cell.name("greet")});
    let params = json!({"ref": prompt, "argument": {"name": "who", "value": "Ad"}});
    let outcome = client.ask("completion/complete", params)?;
    same("values", &outcome.result()?["completion"]["values"], &json!(["Ada", "Adb"]))
}

fn timeout(client: &mut Capable, cell: &Cell) -> Result<(), String> {
    let mut params = cell.call("wait", json!({}));
    params["name"] = json!(format!("{}-hurried_wait", cell.backend.name));
    let outcome = client.ask("tools/call", params)?;
    let expected = format!("backend `{}-hurried` did not answer within 0.7 s", cell.backend.name);
    let said = outcome.failure()?;
    if said.starts_with(&expected) { Ok(()) } else { Err(format!("expected {expected}, got {said}")) }
}
