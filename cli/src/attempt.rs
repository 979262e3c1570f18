//! `weir tools` and `weir call`: trying an endpoint from the shell.

use crate::args::{Arguments, Endpoint};
use crate::line::shown;
use crate::{say, say_error};
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;
use weir_backends::{Backend, Call, Event, Grants, MemoryGrants, Outcome, SessionKey};
use weir_config::{Secret, Transport};
use weir_policies::{Action, Item, ItemKind, Policies, Principal};
use weir_protocol::{ClientCapabilities, Envelope, Era, Logs, Method};

/// The endpoint as a backend of our own, with the runtime that it lives on.
fn open(endpoint: &Endpoint) -> anyhow::Result<(Runtime, Arc<dyn Backend>)> {
    let url = endpoint.url.parse().with_context(|| format!("`{}` is not a URL", endpoint.url))?;
    let mut spec = weir_config::Backend::http("endpoint", url);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let Transport::Http(http) = &mut spec.transport else { bail!("`{}` is not an HTTP URL", endpoint.url) };
    http.headers = endpoint
        .headers
        .iter()
        .map(|header| (header.name.clone(), Secret::new(header.value.clone())))
        .collect();
    let http = http.clone();
    let grants: Arc<dyn Grants> = Arc::new(MemoryGrants::default());
    let backend = weir_backends::connect_http(&spec, &http, &grants, runtime.handle())
        .map_err(|error| anyhow!(shown(&error.explained())))?;
    Ok((runtime, backend))
}

/// `weir tools`.
pub(crate) fn tools(endpoint: &Endpoint, as_json: bool) -> anyhow::Result<ExitCode> {
    let (runtime, backend) = open(endpoint)?;
    let inventory = runtime.block_on(async {
        let inventory = backend.inventory().await;
        backend.close().await;
        inventory
    });
    let inventory = inventory.map_err(|error| anyhow!("{} {}", endpoint.url, shown(&error.explained())))?;
    if as_json {
        let tools: Vec<Value> =
            inventory.tools.iter().map(|tool| serde_json::from_slice(&tool.raw)).collect::<Result<_, _>>()?;
        say(&serde_json::to_string_pretty(&json!({ "tools": tools }))?);
        return Ok(ExitCode::SUCCESS);
    }
    let mut rows = Vec::new();
    for tool in &inventory.tools {
        let value: Value = serde_json::from_slice(&tool.raw)?;
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let about = text("description").or_else(|| text("title")).unwrap_or_default();
        rows.push((one_line(text("name").unwrap_or_default(), 128), one_line(about, 100)));
    }
    let width = rows.iter().map(|(name, _)| name.len()).max().unwrap_or(0).min(40);
    for (name, about) in rows {
        say(format!("{name:width$}  {about}").trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// The first line of a server's text, cut to `length` characters and without anything that steers a terminal.
fn one_line(text: &str, length: usize) -> String {
    text.lines()
        .next()
        .unwrap_or_default()
        .chars()
        .filter(|letter| !letter.is_control())
        .take(length)
        .collect()
}

/// `weir call`. A tool that reports an error prints it and exits with 1.
pub(crate) fn call(endpoint: &Endpoint, name: &str, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (runtime, backend) = open(endpoint)?;
    let answer = runtime.block_on(async {
        let answer = send(backend.clone(), name, arguments).await;
        backend.close().await;
        answer
    });
    match answer.map_err(|error| anyhow!("{}: {error}", endpoint.url))? {
        Answered::Result { body, failed } => {
            say(&serde_json::to_string_pretty(&body)?);
            Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
        }
        Answered::Error(error) => {
            say_error(&serde_json::to_string_pretty(&error)?);
            Ok(ExitCode::FAILURE)
        }
    }
}

/// How a call was answered.
enum Answered {
    /// With a result, which may say that the tool failed.
    Result { body: Value, failed: bool },
    /// With a JSON-RPC error object.
    Error(Value),
}

/// Sends the call.
async fn send(backend: Arc<dyn Backend>, name: &str, arguments: Arguments) -> anyhow::Result<Answered> {
    let body = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": Method::ToolsCall.as_str(),
        "params": { "name": name, "arguments": arguments.0, "_meta": { "progressToken": 1 } },
    });
    let body = Bytes::from(serde_json::to_vec(&body)?);
    let envelope = Envelope::parse(&body)?;
    let principal = Arc::new(Principal::anonymous());
    let item = Item::of(ItemKind::Tool, name, name, "endpoint");
    let context = weir_policies::Context::now(Era::Modern);
    let permit = Policies::anonymous().permit(&principal, Action::CallTool, &item, &context)?;
    let call = Box::new(Call {
        passed_on: Vec::new(),
        meta: envelope.meta(&body)?,
        method: Method::ToolsCall,
        target: Some(name.into()),
        rename: None,
        arguments: None,
        session: SessionKey::Shared,
        repeatable: false,
        // Where the server wants some, it says so, and its list says which.
        mirrors: None,
        logs: Logs::Unsaid,
        capabilities: ClientCapabilities::NONE,
        input: None,
        envelope,
        body,
    });
    let mut exchange =
        backend.call(permit, call).await.map_err(|error| anyhow!(shown(&error.explained())))?;
    loop {
        match exchange.next().await.map_err(|error| anyhow!(shown(&error.explained())))? {
            Event::Progress(message) => {
                say_error(&progress(&serde_json::from_slice(&message.body)?));
            }
            // No capability was declared, so nothing is asked.
            Event::Asked(_) | Event::Withdrawn(_) => {}
            Event::Log(message) => say_error(&log(&serde_json::from_slice(&message.body)?)),
            Event::Outcome(Outcome::Error(message)) => {
                let value: Value = serde_json::from_slice(&message.body)?;
                return Ok(Answered::Error(value.get("error").cloned().unwrap_or_default()));
            }
            Event::Outcome(
                Outcome::Complete(message) | Outcome::InputRequired(message) | Outcome::Task(message),
            ) => {
                let value: Value = serde_json::from_slice(&message.body)?;
                let body = value.get("result").cloned().unwrap_or_default();
                let failed = body.get("isError").and_then(Value::as_bool).unwrap_or(false);
                return Ok(Answered::Result { body, failed });
            }
        }
    }
}

/// A `notifications/progress` as a line.
fn progress(message: &Value) -> String {
    let member = |key: &str| message.get("params").and_then(|params| params.get(key));
    let text = member("message").and_then(Value::as_str).unwrap_or("progress");
    let count = member("progress").map(Value::to_string).unwrap_or_default();
    format!("{}: {}", shown(text), shown(&count))
}

/// A `notifications/message` as a line.
fn log(message: &Value) -> String {
    let member = |key: &str| message.get("params").and_then(|params| params.get(key));
    let level = member("level").and_then(Value::as_str).unwrap_or("log");
    let data = member("data");
    let text = data.and_then(Value::as_str).map(str::to_owned);
    let text = text.or_else(|| data.map(Value::to_string)).unwrap_or_default();
    format!("{}: {}", shown(level), shown(&text))
}

#[cfg(test)]
mod tests {
    use super::{log, progress};
    use serde_json::json;

    #[test]
    fn what_a_server_says_cannot_steer_the_terminal() {
        let text = "\u{1b}[2J\u{9b}2J\r\nerror: \u{202e}x";
        let escaped = "\\u{1b}[2J\\u{9b}2J\\r\\nerror: \\u{202e}x";
        let message = json!({"params": {"message": text, "progress": 0.5}});
        assert_eq!(progress(&message), format!("{escaped}: 0.5"));
        assert_eq!(log(&json!({"params": {"level": text, "data": text}})), format!("{escaped}: {escaped}"));
        assert_eq!(log(&json!({"params": {"data": {"a": "\u{9b}"}}})), "log: {\"a\":\"\\u{9b}\"}");
        assert_eq!((progress(&json!({})), log(&json!({}))), ("progress: ".to_owned(), "log: ".to_owned()));
    }
}
