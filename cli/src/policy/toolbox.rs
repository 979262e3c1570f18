//! The tools of an endpoint, as `weir tools --json` wrote them into a file.

use anyhow::{Context, anyhow};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use weir_config::Endpoint;
use weir_gateway::supposed_owner;
use weir_policies::Tool;

/// Tools by the names that clients see.
#[derive(Debug, Default)]
pub(crate) struct Toolbox {
    tools: BTreeMap<String, Described>,
}

/// One tool.
#[derive(Debug)]
struct Described {
    whole: Value,
    input_schema: String,
}

impl Toolbox {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let value: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        let tools = value.get("tools").unwrap_or(&value).as_array();
        let tools = tools.ok_or_else(|| {
            anyhow!("{}: no list of tools, such as `weir tools --json` prints", path.display())
        })?;
        let described = |tool: &Value| {
            let name = tool.get("name")?.as_str()?.to_owned();
            let input_schema = tool.get("inputSchema").map_or_else(|| "{}".to_owned(), Value::to_string);
            Some((name, Described { whole: tool.clone(), input_schema }))
        };
        Ok(Self { tools: tools.iter().filter_map(described).collect() })
    }

    /// The tools as policies know them, and the names of those of which the configuration does not tell whose they are.
    pub(crate) fn tools<'t>(&'t self, endpoint: &'t Endpoint) -> (Vec<Tool<'t>>, Vec<&'t str>) {
        let (mut tools, mut unclear) = (Vec::new(), Vec::new());
        for (name, described) in &self.tools {
            match supposed_owner(endpoint, name) {
                Some((backend, _)) => {
                    tools.push(Tool { name, backend, input_schema: &described.input_schema })
                }
                None => unclear.push(name.as_str()),
            }
        }
        (tools, unclear)
    }

    /// The tool of this name, as it is listed.
    pub(crate) fn tool(&self, name: &str) -> Option<&Value> {
        self.tools.get(name).map(|described| &described.whole)
    }

    /// The names of all tools.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tools.keys().map(String::as_str)
    }
}
