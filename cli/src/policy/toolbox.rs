//! The tools of an endpoint, as `weir tools --json` wrote them into a file.

use anyhow::{Context, anyhow};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::path::Path;
use weir_config::{Conflicts, Endpoint};
use weir_policies::{Hints, Tool};

/// Tools by the names that clients see.
#[derive(Debug, Default)]
pub(crate) struct Toolbox {
    tools: BTreeMap<String, Described>,
}

/// One tool.
#[derive(Debug)]
struct Described {
    input_schema: String,
    hints: Hints,
}

impl Toolbox {
    /// Reads a file.
    pub(crate) fn read(path: &Path) -> anyhow::Result<Self> {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let value: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))?;
        let tools = value.get("tools").unwrap_or(&value).as_array();
        let tools = tools.ok_or_else(|| anyhow!("{}: no list of tools", path.display()))?;
        let described = |tool: &Value| {
            let name = tool.get("name")?.as_str()?.to_owned();
            let none = Map::new();
            let annotations = tool.get("annotations").and_then(Value::as_object).unwrap_or(&none);
            let input_schema = tool.get("inputSchema").map_or_else(|| "{}".to_owned(), Value::to_string);
            Some((name, Described { input_schema, hints: hints(annotations) }))
        };
        Ok(Self { tools: tools.iter().filter_map(described).collect() })
    }

    /// The tools as policies know them.
    pub(crate) fn tools<'t>(&'t self, endpoint: &'t Endpoint) -> Vec<Tool<'t>> {
        let tool = |(name, described): (&'t String, &'t Described)| {
            let (backend, _) = owner(endpoint, name)?;
            Some(Tool { name, backend, input_schema: &described.input_schema })
        };
        self.tools.iter().filter_map(tool).collect()
    }

    /// What a tool says of itself.
    pub(crate) fn hints(&self, name: &str) -> Hints {
        self.tools.get(name).map_or_else(Hints::default, |described| described.hints)
    }
}

/// What annotations say.
pub(crate) fn hints(annotations: &Map<String, Value>) -> Hints {
    let hint = |name: &str| annotations.get(name).and_then(Value::as_bool);
    Hints {
        read_only: hint("readOnlyHint"),
        destructive: hint("destructiveHint"),
        idempotent: hint("idempotentHint"),
        open_world: hint("openWorldHint"),
    }
}

/// The backend of a tool or prompt, and its own name for it, as far as the configuration tells.
pub(crate) fn owner<'e>(endpoint: &'e Endpoint, name: &'e str) -> Option<(&'e str, &'e str)> {
    for (backend, changes) in endpoint.tool_overrides.iter().chain(&endpoint.prompt_overrides) {
        if let Some((original, _)) = changes.iter().find(|(_, change)| change.name.as_deref() == Some(name)) {
            return Some((backend, original));
        }
    }
    if let Conflicts::Prefix(format) = &endpoint.conflicts {
        let (before, after) = format.split_once("{name}").unwrap_or((format, ""));
        let named = endpoint.backends.iter().find_map(|backend| {
            let rest = name.strip_prefix(before.replace("{backend}", backend).as_str())?;
            let rest = rest.strip_suffix(after.replace("{backend}", backend).as_str())?;
            Some((backend.as_str(), rest))
        });
        if named.is_some() {
            return named;
        }
    }
    match endpoint.backends.as_slice() {
        [sole] => Some((sole, name)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_tells_whose_a_tool_is() {
        let mut endpoint = Endpoint::over("main", "/mcp", ["github", "time"]);
        assert_eq!(owner(&endpoint, "time_now"), Some(("time", "now")));
        assert_eq!(owner(&endpoint, "now"), None);
        endpoint.conflicts = Conflicts::Prefix("{name}@{backend}".to_owned());
        assert_eq!(owner(&endpoint, "now@time"), Some(("time", "now")));
        let change = weir_config::Override { name: Some("clock".to_owned()), ..Default::default() };
        endpoint.tool_overrides.insert("time".to_owned(), [("now".to_owned(), change)].into());
        assert_eq!(owner(&endpoint, "clock"), Some(("time", "now")));
        assert_eq!(owner(&Endpoint::over("main", "/mcp", ["time"]), "x"), Some(("time", "x")));
    }
}
