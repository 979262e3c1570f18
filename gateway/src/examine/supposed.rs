//! An endpoint over servers that nobody asks: what they offer is supposed, as far as the configuration and a list of tools
//! tell. From there on everything is as if the servers had said so.

use super::access::Surveyed;
use crate::catalog::{Exposure, Stock};
use crate::decision;
use crate::error::GatewayError;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use weir_backends::{Features, Freshness, Inventory};
use weir_config::{Conflicts, Endpoint, Override, Uris};
use weir_policies::{ItemKind, Policies};
use weir_protocol::Revision;
use weir_protocol::item::Item;

/// An item that is supposed to be there.
#[derive(Debug, Clone, Copy)]
pub struct Supposed<'a> {
    /// What it is.
    pub kind: ItemKind,
    /// The name or URI that clients see.
    pub name: &'a str,
    /// Its backend; `None`: the one that the configuration tells.
    pub backend: Option<&'a str>,
    /// What its backend calls it; `None`: what the configuration tells.
    pub original: Option<&'a str>,
    /// The tool as the endpoint lists it; without that nothing is known of its arguments.
    pub listed: Option<&'a Value>,
    /// What the tool says of itself, in place of what the list says.
    pub annotations: Option<&'a Map<String, Value>>,
    /// Tags, in place of those that the configuration gives it.
    pub tags: &'a [String],
}

/// Nobody can say whose an item is.
#[derive(Debug, thiserror::Error)]
pub enum Unplaced {
    /// The endpoint has no such backend.
    #[error("the endpoint has no backend `{name}`, it has {}", own.join(", "))]
    NoBackend {
        /// The name.
        name: String,
        /// Those that it has.
        own: Vec<String>,
    },
    /// The configuration does not tell.
    #[error("which backend has `{0}` cannot be told from the configuration")]
    Unclear(String),
    /// The endpoint cannot be served like this.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
}

impl Surveyed {
    /// The endpoint with this item and no other.
    ///
    /// # Errors
    /// Nobody can say whose it is.
    pub fn supposing(
        spec: &Endpoint,
        policies: &Arc<Policies>,
        item: &Supposed<'_>,
    ) -> Result<Self, Unplaced> {
        let (backend, original) = placed(spec, item)?;
        let mut spec = spec.clone();
        if !item.tags.is_empty() && item.kind != ItemKind::Resource {
            let overrides = match item.kind {
                ItemKind::Tool => &mut spec.tool_overrides,
                _ => &mut spec.prompt_overrides,
            };
            let changes = overrides.entry(backend.clone()).or_default();
            changes.entry(original.clone()).or_default().tags = item.tags.to_vec();
        }
        let inventory = inventory(&spec, item, &backend, &original);
        let stock = |name: &String| {
            let own = if *name == backend { inventory.clone() } else { nothing() };
            Stock { name: name.clone(), inventory: Some(Arc::new(own)) }
        };
        let stocks = spec.backends.iter().map(stock).collect();
        let surveyed = Self::over(&spec, policies.clone(), stocks)?;
        if item.listed.is_some() {
            decision::teach(&spec, policies, &surveyed.catalog);
        }
        Ok(surveyed)
    }
}

/// The backend of an item, and its own name for it.
fn placed(spec: &Endpoint, item: &Supposed<'_>) -> Result<(String, String), Unplaced> {
    let known = match (item.kind, spec.resource_uris) {
        (ItemKind::Resource, Uris::Prefix) => {
            let exposure = Exposure::new(spec.backends.iter().map(String::as_str));
            let named = exposure.original(item.name);
            named.and_then(|(at, original)| Some((spec.backends.get(at)?.as_str(), original)))
        }
        (ItemKind::Resource, Uris::Keep) => None,
        _ => {
            let owners = owners(spec, item.kind, item.name);
            let mut fitting =
                owners.iter().filter(|(backend, _)| item.backend.is_none_or(|own| own == *backend));
            let first = fitting.next().copied();
            if fitting.next().is_some() {
                return Err(Unplaced::Unclear(item.name.to_owned()));
            }
            first
        }
    };
    let sole = match spec.backends.as_slice() {
        [sole] => Some((sole.as_str(), item.name)),
        _ => None,
    };
    let (backend, original) = match (item.backend, known.or(sole)) {
        (Some(name), _) if !spec.backends.iter().any(|own| own == name) => {
            return Err(Unplaced::NoBackend { name: name.to_owned(), own: spec.backends.clone() });
        }
        (Some(name), Some((backend, original))) if name == backend => (backend, original),
        (Some(name), _) => (name, item.name),
        (None, Some(known)) => known,
        (None, None) => return Err(Unplaced::Unclear(item.name.to_owned())),
    };
    Ok((backend.to_owned(), item.original.unwrap_or(original).to_owned()))
}

/// The backends of a tool or prompt that clients see by a name, and their own names for it, as far as the configuration
/// tells. They are several where names of backends begin alike.
fn owners<'e>(endpoint: &'e Endpoint, kind: ItemKind, name: &'e str) -> Vec<(&'e str, &'e str)> {
    let overrides = match kind {
        ItemKind::Tool => &endpoint.tool_overrides,
        _ => &endpoint.prompt_overrides,
    };
    let renamed = overrides.iter().flat_map(|(backend, changes)| {
        let named = changes.iter().filter(|(_, change)| change.name.as_deref() == Some(name));
        named.map(|(original, _)| (backend.as_str(), original.as_str()))
    });
    let mut found: Vec<(&str, &str)> = renamed.collect();
    if let (true, Conflicts::Prefix(format)) = (found.is_empty(), &endpoint.conflicts) {
        let (before, after) = format.split_once("{name}").unwrap_or((format, ""));
        found.extend(endpoint.backends.iter().filter_map(|backend| {
            let rest = name.strip_prefix(before.replace("{backend}", backend).as_str())?;
            let rest = rest.strip_suffix(after.replace("{backend}", backend).as_str())?;
            Some((backend.as_str(), rest))
        }));
    }
    if let (true, [sole]) = (found.is_empty(), endpoint.backends.as_slice()) {
        found.push((sole, name));
    }
    found
}

/// The backend of a tool that clients see by a name, and its own name for it; `None` where the configuration does not tell.
pub fn supposed_owner<'e>(endpoint: &'e Endpoint, name: &'e str) -> Option<(&'e str, &'e str)> {
    match owners(endpoint, ItemKind::Tool, name).as_slice() {
        [sole] => Some(*sole),
        _ => None,
    }
}

fn nothing() -> Inventory {
    Inventory {
        features: Features::bare(Revision::LATEST),
        tools: Vec::new(),
        prompts: Vec::new(),
        resources: Vec::new(),
        templates: Vec::new(),
        freshness: [Freshness::STALE; 4],
        faults: Vec::new(),
    }
}

/// What the item's backend would list.
fn inventory(spec: &Endpoint, item: &Supposed<'_>, backend: &str, original: &str) -> Inventory {
    let overrides = match item.kind {
        ItemKind::Tool => &spec.tool_overrides,
        _ => &spec.prompt_overrides,
    };
    let change = overrides.get(backend).and_then(|changes| changes.get(original));
    let listed = |value: &Value| Item::parse(Bytes::from(value.to_string())).into_iter().collect();
    let mut inventory = nothing();
    match item.kind {
        ItemKind::Tool => {
            let mut tool = item.listed.and_then(Value::as_object).cloned().unwrap_or_default();
            tool.insert("name".to_owned(), original.into());
            if let Some(annotations) = item.annotations {
                tool.insert("annotations".to_owned(), annotations.clone().into());
            }
            if let (Some(change), Some(schema)) = (change, tool.get_mut("inputSchema")) {
                take_back(schema, change);
            }
            inventory.tools = listed(&tool.into());
        }
        ItemKind::Prompt => {
            let arguments = change.into_iter().flat_map(|change| change.parameters.keys());
            let arguments: Vec<Value> = arguments.map(|name| json!({ "name": name })).collect();
            inventory.prompts = listed(&json!({ "name": original, "arguments": arguments }));
        }
        ItemKind::Resource => {
            inventory.features.resources = true;
            if original.contains('{') {
                inventory.templates = listed(&json!({ "uriTemplate": original, "name": original }));
            }
        }
    }
    inventory
}

/// Gives the parameters in a tool's schema the names that its backend knows.
fn take_back(schema: &mut Value, change: &Override) {
    let seen =
        |schema: &Value, name: &str| schema.pointer("/properties").and_then(|all| all.get(name)).is_some();
    let own = |name: &str| {
        let renamed = change.parameters.iter().find(|(_, change)| change.name.as_deref() == Some(name));
        renamed.map(|(own, _)| own.clone())
    };
    let is_new = |name: &str| own(name).is_some();
    // Where clients see a parameter by its own name, its new one was not to be had, and is another parameter's.
    let taken: Vec<String> =
        change.parameters.keys().filter(|own| seen(schema, own) && !is_new(own)).cloned().collect();
    let own = |name: &str| own(name).filter(|own| !taken.contains(own));
    if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
        let members = std::mem::take(properties).into_iter();
        properties.extend(members.map(|(name, value)| (own(&name).unwrap_or(name), value)));
    }
    for name in schema.get_mut("required").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(own) = name.as_str().and_then(own) {
            *name = own.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::List;

    #[test]
    fn the_configuration_tells_whose_a_tool_is() {
        let mut endpoint = Endpoint::over("main", "/mcp", ["github", "time"]);
        assert_eq!(supposed_owner(&endpoint, "time_now"), Some(("time", "now")));
        assert_eq!(supposed_owner(&endpoint, "now"), None);
        endpoint.conflicts = Conflicts::Prefix("{name}@{backend}".to_owned());
        assert_eq!(supposed_owner(&endpoint, "now@time"), Some(("time", "now")));
        let change = Override { name: Some("clock".to_owned()), ..Default::default() };
        endpoint.tool_overrides.insert("time".to_owned(), [("now".to_owned(), change)].into());
        assert_eq!(supposed_owner(&endpoint, "clock"), Some(("time", "now")));
        assert_eq!(owners(&endpoint, ItemKind::Prompt, "clock"), [], "it is a tool's");
        assert_eq!(supposed_owner(&Endpoint::over("main", "/mcp", ["time"]), "x"), Some(("time", "x")));
    }

    /// Of two backends whose names begin alike, none is taken for the other.
    #[test]
    fn where_several_backends_fit_it_is_said() {
        let endpoint = Endpoint::over("main", "/mcp", ["git", "git_hub"]);
        assert_eq!(supposed_owner(&endpoint, "git_hub_list"), None);
        assert_eq!(supposed_owner(&endpoint, "git_list"), Some(("git", "list")));
        let item = |backend| Supposed {
            kind: ItemKind::Tool,
            name: "git_hub_list",
            backend,
            original: None,
            listed: None,
            annotations: None,
            tags: &[],
        };
        let placed = |backend| placed(&endpoint, &item(backend)).ok();
        assert_eq!(placed(None), None);
        assert_eq!(placed(Some("git_hub")), Some(("git_hub".to_owned(), "list".to_owned())));
        assert_eq!(placed(Some("git")), Some(("git".to_owned(), "hub_list".to_owned())));
    }

    fn overrides(renames: &[(&str, &str)]) -> Override {
        let change = |(own, new): &(&str, &str)| {
            let change =
                weir_config::ParameterOverride { name: Some((*new).to_owned()), ..Default::default() };
            ((*own).to_owned(), change)
        };
        Override { parameters: renames.iter().map(change).collect(), ..Default::default() }
    }

    /// What clients see of a tool is what they see again when the tool is supposed from it.
    #[test]
    fn a_tool_that_is_taken_back_and_shown_again_is_the_same() {
        for (renames, seen) in [
            (&[("repo", "repository")][..], &["owner", "repository"][..]),
            (&[("a", "b"), ("b", "a")], &["a", "b"]),
            // `b` was there already, so `a` stays.
            (&[("a", "b")], &["a", "b"]),
            (&[], &["x"]),
        ] {
            let mut endpoint = Endpoint::over("main", "/mcp", ["git"]);
            endpoint.conflicts = Conflicts::None;
            endpoint.tool_overrides =
                [("git".to_owned(), [("log".to_owned(), overrides(renames))].into())].into();
            let properties: Map<String, Value> =
                seen.iter().map(|name| ((*name).to_owned(), json!({ "type": "string" }))).collect();
            let schema = json!({ "type": "object", "properties": properties, "required": seen });
            let tool = json!({ "name": "log", "inputSchema": schema });
            let item = Supposed {
                kind: ItemKind::Tool,
                name: "log",
                backend: None,
                original: None,
                listed: Some(&tool),
                annotations: None,
                tags: &[],
            };
            let surveyed = Surveyed::supposing(&endpoint, &Arc::new(Policies::anonymous()), &item).unwrap();
            let [entry] = surveyed.catalog.shelf(List::Tools).entries.as_slice() else { panic!("one tool") };
            let shown: Value = serde_json::from_slice(&entry.rendered).unwrap();
            let sorted = |value: &Value| {
                let mut names: Vec<String> =
                    value.as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect();
                names.sort();
                names
            };
            assert_eq!(shown["inputSchema"]["properties"], schema["properties"], "{renames:?}");
            assert_eq!(sorted(&shown["inputSchema"]["required"]), seen, "{renames:?}");
        }
    }
}
