//! The demo server `notes`: notes in memory, as tools, resources and a prompt.

mod prompt;
mod resources;
mod store;
mod tools;

use super::reply::{Failure, Reply, tool_error, tool_result};
use super::server::{Request, Server, Step};
use serde_json::{Value, json};
use store::Store;
use tools::Told;

/// The server.
#[derive(Default)]
pub(super) struct Notes {
    store: Store,
}

impl Server for Notes {
    const NAME: &'static str = "notes";
    const TITLE: &'static str = "Demo notes";
    const INSTRUCTIONS: &'static str = "Keeps short notes, each with a topic, until the server ends. Every note is \
        also a resource notes://ID.";
    const ANNOUNCES: bool = true;

    fn capabilities(&self) -> Value {
        json!({ "tools": {}, "resources": { "listChanged": true }, "prompts": {}, "completions": {} })
    }

    fn tools(&self) -> Value {
        tools::list()
    }

    fn answer(&mut self, request: &Request, _reply: &Reply) -> Step {
        Step::Done(match request.method.as_str() {
            "tools/call" => match self.call(request) {
                Ok(step) => return step,
                Err(failure) => Err(failure),
            },
            "resources/list" => resources::list(&self.store, request),
            "resources/templates/list" => Ok(resources::templates()),
            "resources/read" => resources::read(&self.store, request),
            "prompts/list" => Ok(prompt::list()),
            "prompts/get" => prompt::get(&self.store, request),
            "completion/complete" => prompt::complete(&self.store, request),
            method => Err(Failure::no_method(method)),
        })
    }
}

impl Notes {
    fn call(&mut self, request: &Request) -> Result<Step, Failure> {
        let name = request.text("name")?;
        let arguments = request.object("arguments")?;
        let told = tools::call(&mut self.store, name, arguments)
            .ok_or_else(|| Failure::invalid(format!("Unknown tool: {name}")))?;
        Ok(match told {
            Ok(Told { text, data, changed: true }) => Step::Changed(tool_result(&text, Some(data))),
            Ok(Told { text, data, changed: false }) => Step::Done(Ok(tool_result(&text, Some(data)))),
            Err(wrong) => Step::Done(Ok(tool_error(&wrong))),
        })
    }
}

#[cfg(test)]
mod tests;
