//! From what each backend offers to what the endpoint shows: overrides, filters, conflicts, order.

use super::filter::{ItemFilter, UriFilter};
use super::names::prefixed;
use super::template::Template;
use super::uri;
use super::{Catalog, Entry, List, Offers, Shelf};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use weir_backends::Inventory;
use weir_config::{Conflicts, Endpoint, Override};
use weir_protocol::item::{Item, ItemChange};
use weir_protocol::json;

/// What one backend offers; `None` while it has never answered.
#[derive(Debug, Clone)]
pub(crate) struct Stock {
    /// The backend's name.
    pub(crate) name: String,
    /// Its last good inventory.
    pub(crate) inventory: Option<Arc<Inventory>>,
}

/// A name that several backends of an endpoint offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// Which list.
    pub(crate) list: &'static str,
    /// The name as clients would see it.
    pub(crate) name: String,
    /// The backends, in the endpoint's order.
    pub(crate) backends: Vec<String>,
}

impl std::fmt::Display for Conflict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Names come from backends; quoted, they cannot write lines of their own into a log.
        write!(f, "{} {:?} is offered by {}", self.list, self.name, self.backends.join(", "))
    }
}

/// Builds the catalog. Conflicts that the strategy settles or refuses come back beside it, to be reported.
///
/// # Errors
/// The endpoint's patterns do not compile, or under `manual` the conflicts that remain.
pub(crate) fn build(
    endpoint: &Endpoint,
    stocks: &[Stock],
    generation: u64,
) -> Result<(Catalog, Vec<Conflict>), Vec<Conflict>> {
    let broken = |error: globset::Error| {
        vec![Conflict { list: "pattern", name: error.to_string(), backends: Vec::new() }]
    };
    let tool_filter = ItemFilter::new(&endpoint.tools).map_err(broken)?;
    let prompt_filter = ItemFilter::new(&endpoint.prompts).map_err(broken)?;
    let resource_filter = UriFilter::new(&endpoint.resources).map_err(broken)?;
    let mut conflicts = Vec::new();

    let tools = named_shelf(endpoint, stocks, List::Tools, &tool_filter, &mut conflicts);
    let prompts = named_shelf(endpoint, stocks, List::Prompts, &prompt_filter, &mut conflicts);
    if endpoint.conflicts == Conflicts::Manual && !conflicts.is_empty() {
        return Err(conflicts);
    }
    let order = resource_order(endpoint, stocks);
    let resources = uri_shelf(stocks, List::Resources, &order, &resource_filter);
    let templates = uri_shelf(stocks, List::Templates, &order, &resource_filter);

    let mut shelves = [tools, prompts, resources, templates];
    for (list, shelf) in List::ALL.into_iter().zip(&mut shelves) {
        shelf.render(list, endpoint.page_size);
    }
    let [_, _, resources, templates] = &shelves;
    let ordered = |shelf: &Shelf| {
        let mut owners: Vec<(usize, Arc<str>)> =
            shelf.entries.iter().map(|entry| (entry.backend, entry.original.clone())).collect();
        owners.sort_by_key(|(owner, _)| order.iter().position(|at| at == owner));
        owners
    };
    let mut schemes = HashMap::new();
    for (owner, listed) in ordered(resources).into_iter().chain(ordered(templates)) {
        if let Some(scheme) = uri::scheme(&listed) {
            schemes.entry(scheme.to_owned()).or_insert(owner);
        }
    }
    let owners: Vec<usize> = with_feature(stocks, |inventory| inventory.features.resources).collect();
    let catalog = Catalog {
        generation,
        offers: offers(stocks),
        instructions: instructions(endpoint, stocks),
        templates: ordered(templates).into_iter().map(|(owner, uri)| (Template::new(&uri), owner)).collect(),
        schemes,
        sole_owner: match owners.as_slice() {
            [owner] if stocks.iter().all(|stock| stock.inventory.is_some()) => Some(*owner),
            _ => None,
        },
        resource_filter,
        shelves,
    };
    Ok((catalog, conflicts))
}

fn with_feature(stocks: &[Stock], has: impl Fn(&Inventory) -> bool) -> impl Iterator<Item = usize> {
    stocks
        .iter()
        .enumerate()
        .filter(move |(_, stock)| stock.inventory.as_ref().is_some_and(|inventory| has(inventory)))
        .map(|(at, _)| at)
}

/// A backend that has never answered may still offer anything.
fn offers(stocks: &[Stock]) -> Offers {
    let any = |has: fn(&Inventory) -> bool| {
        stocks.iter().any(|stock| stock.inventory.as_ref().is_none_or(|inventory| has(inventory)))
    };
    Offers {
        tools: any(|inventory| inventory.features.tools),
        prompts: any(|inventory| inventory.features.prompts),
        resources: any(|inventory| inventory.features.resources),
        completions: any(|inventory| inventory.features.completions),
    }
}

fn instructions(endpoint: &Endpoint, stocks: &[Stock]) -> Option<String> {
    if endpoint.instructions.is_some() {
        return endpoint.instructions.clone();
    }
    let told: Vec<String> = stocks
        .iter()
        .filter_map(|stock| {
            let text = stock.inventory.as_ref()?.features.instructions.as_ref()?;
            Some(format!("{}: {text}", stock.name))
        })
        .collect();
    (!told.is_empty()).then(|| told.join("\n\n"))
}

/// Indices of the backends in the order in which they own a resource that several list.
fn resource_order(endpoint: &Endpoint, stocks: &[Stock]) -> Vec<usize> {
    let index = |name: &String| stocks.iter().position(|stock| stock.name == *name);
    let mut order: Vec<usize> = endpoint.resource_order.iter().filter_map(index).collect();
    let rest: Vec<usize> = (0..stocks.len()).filter(|at| !order.contains(at)).collect();
    order.extend(rest);
    order
}

/// Tools or prompts: every candidate under its exposed name, conflicts settled by the strategy.
fn named_shelf(
    endpoint: &Endpoint,
    stocks: &[Stock],
    list: List,
    filter: &ItemFilter,
    conflicts: &mut Vec<Conflict>,
) -> Shelf {
    let overrides = if list == List::Tools { &endpoint.tool_overrides } else { &endpoint.prompt_overrides };
    let mut candidates: Vec<Entry> = Vec::new();
    let mut offered: BTreeMap<Arc<str>, Vec<usize>> = BTreeMap::new();
    for (backend, stock) in stocks.iter().enumerate() {
        let Some(inventory) = &stock.inventory else {
            continue;
        };
        let items = if list == List::Tools { &inventory.tools } else { &inventory.prompts };
        let changes = overrides.get(&stock.name);
        for item in items {
            let Some(entry) = named_entry(endpoint, backend, &stock.name, item, changes, filter) else {
                continue;
            };
            let owners = offered.entry(entry.exposed.clone()).or_default();
            // The second item of one name within one backend cannot be called apart from the first.
            if owners.last() != Some(&backend) {
                owners.push(backend);
                candidates.push(entry);
            }
        }
    }
    let names =
        |owners: &[usize]| owners.iter().filter_map(|&at| Some(stocks.get(at)?.name.clone())).collect();
    let mut shelf = Shelf::default();
    for (name, owners) in offered.iter().filter(|(_, owners)| owners.len() > 1) {
        let backends: Vec<String> = names(owners);
        if endpoint.conflicts != Conflicts::Priority {
            shelf.ambiguous.insert(name.to_string(), backends.clone());
        }
        conflicts.push(Conflict { list: list.key(), name: name.to_string(), backends });
    }
    candidates.retain(|entry| match offered.get(&entry.exposed).map(Vec::as_slice) {
        Some([_]) => true,
        Some([first, ..]) => endpoint.conflicts == Conflicts::Priority && entry.backend == *first,
        _ => false,
    });
    shelve(&mut shelf, candidates);
    shelf
}

fn named_entry(
    endpoint: &Endpoint,
    backend: usize,
    backend_name: &str,
    item: &Item,
    changes: Option<&BTreeMap<String, Override>>,
    filter: &ItemFilter,
) -> Option<Entry> {
    let original = item.name().filter(|name| !name.is_empty())?;
    let change = changes.and_then(|changes| changes.get(&original));
    if change.is_some_and(|change| change.hide) {
        return None;
    }
    let exposed = match (change.and_then(|change| change.name.clone()), &endpoint.conflicts) {
        (Some(name), _) => name,
        (None, Conflicts::Prefix(format)) => prefixed(format, backend_name, &original),
        (None, _) => original.clone(),
    };
    if !filter.allows(&exposed) {
        return None;
    }
    let renamed = exposed != original;
    let item_change = ItemChange {
        name: renamed.then(|| exposed.clone()),
        title: change.and_then(|change| change.title.clone()),
        description: change.and_then(|change| change.description.clone()),
        annotations: change
            .and_then(|change| change.annotations.as_ref())
            .map(|set| set.iter().map(|(key, value)| (key.clone(), value.to_string())).collect())
            .unwrap_or_default(),
    };
    Some(Entry {
        rendered: item.changed(&item_change),
        rename: renamed.then(|| Bytes::from(json::string(&original))),
        exposed: exposed.into(),
        original: original.into(),
        backend,
        repeatable: item.has_hint("readOnlyHint") || item.has_hint("idempotentHint"),
    })
}

/// Resources or templates: URIs stay as they are; of several backends that list one, the first in `order` owns it.
fn uri_shelf(stocks: &[Stock], list: List, order: &[usize], filter: &UriFilter) -> Shelf {
    let mut owners: HashMap<Arc<str>, usize> = HashMap::new();
    let mut entries = Vec::new();
    for &backend in order {
        let Some(inventory) = stocks.get(backend).and_then(|stock| stock.inventory.as_ref()) else {
            continue;
        };
        let items = if list == List::Resources { &inventory.resources } else { &inventory.templates };
        for item in items {
            let uri = if list == List::Resources { item.uri() } else { item.uri_template() };
            let Some(uri) = uri.filter(|uri| filter.lists(uri)) else {
                continue;
            };
            let uri: Arc<str> = uri.into();
            if owners.insert(uri.clone(), backend).is_none() {
                entries.push(Entry {
                    exposed: uri.clone(),
                    original: uri,
                    rename: None,
                    backend,
                    rendered: item.raw.clone(),
                    repeatable: true,
                });
            }
        }
    }
    // Lists show the endpoint's order of backends, whatever the order of ownership.
    entries.sort_by_key(|entry| entry.backend);
    let mut shelf = Shelf::default();
    shelve(&mut shelf, entries);
    shelf
}

fn shelve(shelf: &mut Shelf, entries: Vec<Entry>) {
    shelf.by_name = entries.iter().enumerate().map(|(at, entry)| (entry.exposed.clone(), at)).collect();
    shelf.entries = entries;
}
