//! `weir tools` and `weir call`: trying an endpoint from the shell.

use crate::args::{Arguments, Endpoint};
use crate::{say, say_error};
use anyhow::{Context, anyhow, bail};
use bytes::Bytes;
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;
use tokio::runtime::Runtime;
use weir_backends::{Backend, Call, Event, Outcome, SessionKey};
use weir_config::{Secret, Transport};
use weir_policies::{Action, Policies, Principal};
use weir_protocol::{Envelope, Method};

/// The endpoint as a backend of our own, with the runtime that it lives on.
fn open(endpoint: &Endpoint) -> anyhow::Result<(Runtime, Arc<dyn Backend>)> {
    let url = endpoint
        .url
        .parse()
        .with_context(|| format!("`{}` is not a URL", endpoint.url))?;
    let mut spec = weir_config::Backend::http("endpoint", url);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let Transport::Http(http) = &mut spec.transport else {
        bail!("`{}` is not an HTTP URL", endpoint.url)
    };
    http.headers = endpoint
        .headers
        .iter()
        .map(|header| (header.name.clone(), Secret::new(header.value.clone())))
        .collect();
    let http = http.clone();
    let backend =
        weir_backends::connect_http(&spec, &http, runtime.handle()).map_err(|error| anyhow!("{error}"))?;
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
    let inventory = inventory.map_err(|error| anyhow!("{} {error}", endpoint.url))?;
    if as_json {
        let tools: Vec<Value> = inventory
            .tools
            .iter()
            .map(|tool| serde_json::from_slice(&tool.raw))
            .collect::<Result<_, _>>()?;
        say(&serde_json::to_string_pretty(&json!({ "tools": tools }))?);
        return Ok(ExitCode::SUCCESS);
    }
    let names: Vec<String> = inventory.tools.iter().filter_map(|tool| tool.name()).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0).min(40);
    for (tool, name) in inventory.tools.iter().zip(&names) {
        let tool: Value = serde_json::from_slice(&tool.raw)?;
        let text = tool
            .get("description")
            .or_else(|| tool.get("title"))
            .and_then(Value::as_str)
            .unwrap_or_default();
        let line: String = text
            .lines()
            .next()
            .unwrap_or_default()
            .chars()
            .take(100)
            .collect();
        say(format!("{name:width$}  {line}").trim_end());
    }
    Ok(ExitCode::SUCCESS)
}

/// `weir call`. A tool that reports an error prints it and exits with 1.
pub(crate) fn call(endpoint: &Endpoint, name: &str, arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (runtime, backend) = open(endpoint)?;
    let answer = runtime.block_on(async {
        let answer = send(&*backend, name, arguments).await;
        backend.close().await;
        answer
    });
    let (body, failed) = answer.map_err(|error| anyhow!("{}: {error}", endpoint.url))?;
    say(&serde_json::to_string_pretty(&body)?);
    Ok(if failed {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// Sends the call; answers its result or error object, and whether it failed.
async fn send(backend: &dyn Backend, name: &str, arguments: Arguments) -> anyhow::Result<(Value, bool)> {
    let body = json!({
        "jsonrpc": "2.0",
        "id": 1,
        "method": Method::ToolsCall.as_str(),
        "params": { "name": name, "arguments": arguments.0, "_meta": { "progressToken": 1 } },
    });
    let body = Bytes::from(serde_json::to_vec(&body)?);
    let envelope = Envelope::parse(&body)?;
    let principal = Arc::new(Principal::anonymous());
    let permit = Policies::anonymous().permit(&principal, Action::CallTool, name)?;
    let call = Call {
        meta: envelope.meta(&body)?,
        method: Method::ToolsCall,
        target: Some(name.into()),
        rename: None,
        session: SessionKey::Shared,
        repeatable: false,
        envelope,
        body,
    };
    let mut exchange = backend.call(permit, call).await?;
    loop {
        match exchange.next().await? {
            Event::Progress(message) => {
                let value: Value = serde_json::from_slice(&message.body)?;
                let params = value.get("params").cloned().unwrap_or_default();
                let text = params
                    .get("message")
                    .and_then(Value::as_str)
                    .unwrap_or("progress");
                say_error(&format!(
                    "{text}: {}",
                    params.get("progress").cloned().unwrap_or_default()
                ));
            }
            Event::Outcome(Outcome::Error(message)) => {
                let value: Value = serde_json::from_slice(&message.body)?;
                return Ok((value.get("error").cloned().unwrap_or_default(), true));
            }
            Event::Outcome(Outcome::Complete(message) | Outcome::InputRequired(message)) => {
                let value: Value = serde_json::from_slice(&message.body)?;
                let result = value.get("result").cloned().unwrap_or_default();
                let failed = result.get("isError").and_then(Value::as_bool).unwrap_or(false);
                return Ok((result, failed));
            }
        }
    }
}
