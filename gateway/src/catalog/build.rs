//! From what each backend offers to what the endpoint shows: overrides, filters, conflicts, order.

use super::exposure::Exposure;
use super::filter::{ItemFilter, UriFilter};
use super::freshness;
use super::interfaces;
use super::names::prefixed;
use super::offers::{self, with_feature};
use super::parameters::{self, Unfit};
use super::template::Template;
use super::uri;
use super::{Catalog, Entry, Instructions, List, Mirrored, Shelf};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, OnceLock};
use weir_backends::Inventory;
use weir_config::{Conflicts, Endpoint, Icons, Override, Uris};
use weir_policies::Hints;
use weir_protocol::item::{Item, ItemChange, TaskSupport};
use weir_protocol::{Era, json};

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
    let (mut conflicts, mut unfit) = (Vec::new(), Vec::new());
    let exposure = match endpoint.resource_uris {
        Uris::Keep => Exposure::default(),
        Uris::Prefix => Exposure::new(stocks.iter().map(|stock| &*stock.name)),
    };
    let source = Source { endpoint, stocks, exposure: &exposure };

    let tools = named_shelf(&source, List::Tools, &tool_filter, &mut conflicts, &mut unfit);
    let prompts = named_shelf(&source, List::Prompts, &prompt_filter, &mut conflicts, &mut unfit);
    if endpoint.conflicts == Conflicts::Manual && !conflicts.is_empty() {
        return Err(conflicts);
    }
    let order = resource_order(endpoint, stocks);
    let resources = uri_shelf(&source, List::Resources, &order, &resource_filter);
    let templates = uri_shelf(&source, List::Templates, &order, &resource_filter);

    let mut shelves = [tools, prompts, resources, templates];
    shelves.iter_mut().for_each(|shelf| shelf.render(endpoint.page_size));
    let [tools, _, resources, templates] = &shelves;
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
    let plain = match endpoint.resource_uris {
        Uris::Keep => HashMap::new(),
        Uris::Prefix => plain(resources, &order),
    };
    let interfaces = match endpoint.resource_uris {
        Uris::Keep => interfaces::owners(tools, &order),
        Uris::Prefix => HashMap::new(),
    };
    let owners: Vec<usize> = with_feature(stocks, |inventory| inventory.features.resources).collect();
    let catalog = Catalog {
        generation,
        offers: offers::of(stocks),
        instructions: Instructions::of(endpoint, stocks),
        fresh: freshness::of_lists(stocks),
        discovered: freshness::of_handshakes(stocks),
        templates: ordered(templates).into_iter().map(|(owner, uri)| (Template::new(&uri), owner)).collect(),
        schemes,
        interfaces,
        sole_owner: match owners.as_slice() {
            [owner] if stocks.iter().all(|stock| stock.inventory.is_some()) => Some(*owner),
            _ => None,
        },
        resource_filter,
        exposure,
        plain,
        spellings: OnceLock::new(),
        unfit,
        shelves,
    };
    Ok((catalog, conflicts))
}

/// Indices of the backends in the order in which they own a resource that several list.
fn resource_order(endpoint: &Endpoint, stocks: &[Stock]) -> Vec<usize> {
    let index = |name: &String| stocks.iter().position(|stock| stock.name == *name);
    let mut order: Vec<usize> = endpoint.resource_order.iter().filter_map(index).collect();
    let rest: Vec<usize> = (0..stocks.len()).filter(|at| !order.contains(at)).collect();
    order.extend(rest);
    order
}

/// What shelves are made of.
struct Source<'a> {
    endpoint: &'a Endpoint,
    stocks: &'a [Stock],
    exposure: &'a Exposure,
}

impl Source<'_> {
    /// The change that is made to every item.
    fn change(&self) -> ItemChange {
        ItemChange { without_icons: self.endpoint.icons == Icons::Drop, ..ItemChange::default() }
    }

    fn uri_prefix(&self, backend: usize) -> Option<String> {
        self.exposure.prefix(backend).map(ToString::to_string)
    }
}

/// By their own URIs the resources that clients see by others; of several with one URI the first in `order`.
fn plain(resources: &Shelf, order: &[usize]) -> HashMap<Arc<str>, usize> {
    let rank = |entry: &Entry| order.iter().position(|at| *at == entry.backend);
    let mut places: Vec<usize> = (0..resources.entries.len()).collect();
    places.sort_by_key(|&at| resources.entries.get(at).map(rank));
    let mut plain = HashMap::new();
    for at in places {
        if let Some(entry) = resources.entries.get(at) {
            plain.entry(entry.original.clone()).or_insert(at);
        }
    }
    plain
}

/// Tools or prompts: every candidate under its exposed name, conflicts settled by the strategy.
fn named_shelf(
    source: &Source<'_>,
    list: List,
    filter: &ItemFilter,
    conflicts: &mut Vec<Conflict>,
    unfit: &mut Vec<Unfit>,
) -> Shelf {
    let Source { endpoint, stocks, .. } = *source;
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
            let Some(entry) = named_entry(source, backend, list, item, changes, filter, unfit) else {
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
    let mut ambiguous = HashMap::new();
    for (name, owners) in offered.iter().filter(|(_, owners)| owners.len() > 1) {
        let backends: Vec<String> = names(owners);
        if endpoint.conflicts != Conflicts::Priority {
            ambiguous.insert(name.to_string(), backends.clone());
        }
        conflicts.push(Conflict { list: list.key(), name: name.to_string(), backends });
    }
    candidates.retain(|entry| match offered.get(&entry.exposed).map(Vec::as_slice) {
        Some([_]) => true,
        Some([first, ..]) => endpoint.conflicts == Conflicts::Priority && entry.backend == *first,
        _ => false,
    });
    let mut shelf = Shelf::new(list, candidates);
    shelf.ambiguous = ambiguous;
    shelf
}

fn named_entry(
    source: &Source<'_>,
    backend: usize,
    list: List,
    item: &Item,
    changes: Option<&BTreeMap<String, Override>>,
    filter: &ItemFilter,
    unfit: &mut Vec<Unfit>,
) -> Option<Entry> {
    let stock = source.stocks.get(backend)?;
    let backend_name = &*stock.name;
    let original = item.name().filter(|name| !name.is_empty())?;
    let change = changes.and_then(|changes| changes.get(&original));
    if change.is_some_and(|change| change.hide) {
        return None;
    }
    let exposed = exposed_name(source.endpoint, backend_name, &original, change);
    if !filter.allows(&exposed) {
        return None;
    }
    let (speaks_of_tasks, task) = task_support(stock, list, item);
    let renamed = exposed != original;
    let fitted = parameters::fit(change, list, item);
    let schema = fitted.as_ref().and_then(|fitted| fitted.schema.clone());
    let item_change = ItemChange {
        name: renamed.then(|| exposed.clone()),
        title: change.and_then(|change| change.title.clone()),
        description: change.and_then(|change| change.description.clone()),
        annotations: change
            .and_then(|change| change.annotations.as_ref())
            .map(|set| set.iter().map(|(key, value)| (key.clone(), value.to_string())).collect())
            .unwrap_or_default(),
        input_schema: schema.clone().filter(|_| list == List::Tools),
        arguments: schema.filter(|_| list == List::Prompts),
        interface_prefix: source.uri_prefix(backend),
        // Other clients call it as any other, and weir begins the task.
        without_execution: speaks_of_tasks,
        ..source.change()
    };
    let rendered = item.changed(&item_change);
    let item_change = ItemChange { without_output_schema: !item.has_legacy_output_schema(), ..item_change };
    let legacy = item_change.without_output_schema.then(|| item.changed(&item_change));
    let tasked = (task != TaskSupport::Forbidden)
        .then(|| item.changed(&ItemChange { without_execution: false, ..item_change }));
    let parameters = fitted.map(|fitted| {
        let told = fitted.misfits.into_iter();
        unfit.extend(told.map(|misfit| Unfit {
            backend: backend_name.to_owned(),
            list: list.key(),
            item: original.clone(),
            misfit,
        }));
        Arc::new(fitted.parameters)
    });
    Some(Entry {
        mirrored: mirrored(item, &rendered)?,
        hints: hints(item, list, &rendered),
        tags: change
            .map(|change| BTreeSet::from_iter(change.tags.iter().cloned()))
            .into_iter()
            .flatten()
            .collect(),
        rendered,
        legacy,
        tasked,
        task,
        parameters,
        rename: renamed.then(|| Bytes::from(json::string(&original))),
        exposed: exposed.into(),
        original: original.into(),
        backend,
        repeatable: item.has_hint("readOnlyHint") || item.has_hint("idempotentHint"),
    })
}

/// What clients are told that a tool does: the backend's words, with the operator's in their place.
fn hints(item: &Item, list: List, rendered: &Bytes) -> Hints {
    if list != List::Tools {
        return Hints::default();
    }
    let shown = if *rendered == item.raw { None } else { Item::parse(rendered.clone()).ok() };
    let shown = shown.as_ref().unwrap_or(item);
    Hints {
        read_only: shown.hint("readOnlyHint"),
        destructive: shown.hint("destructiveHint"),
        idempotent: shown.hint("idempotentHint"),
        open_world: shown.hint("openWorldHint"),
    }
}

/// Whether a tool says that its server carries it out as a task, and whether that is so: without the capability it is said in
/// vain (2025-11-25 `basic/utilities/tasks` "Tool-Level Negotiation").
fn task_support(stock: &Stock, list: List, item: &Item) -> (bool, TaskSupport) {
    let legacy = stock
        .inventory
        .as_ref()
        .map(|inventory| &inventory.features)
        .filter(|features| list == List::Tools && features.revision.era() == Era::Legacy);
    let said = legacy.map(|_| item.task_support()).unwrap_or_default();
    let calls = legacy.is_some_and(|features| features.legacy_tasks.calls);
    (said != TaskSupport::Forbidden, if calls { said } else { TaskSupport::Forbidden })
}

/// What headers mirror of a tool, and of it as it is `rendered`. The outer `None` stands for a tool whose annotations
/// break a rule, which must not be shown.
fn mirrored(item: &Item, rendered: &Bytes) -> Option<Option<Mirrored>> {
    let Some(original) = item.mirrors().ok()?.map(Arc::new) else {
        return Some(None);
    };
    let shown = if *rendered == item.raw { None } else { Item::parse(rendered.clone()).ok() };
    let exposed = match shown {
        None => Some(original.clone()),
        Some(shown) => shown.mirrors().ok()?.map(Arc::new),
    };
    Some(Some(Mirrored { exposed, original }))
}

/// The name that clients see of a tool or prompt.
pub(crate) fn exposed_name(
    endpoint: &Endpoint,
    backend_name: &str,
    original: &str,
    change: Option<&Override>,
) -> String {
    match (change.and_then(|change| change.name.clone()), &endpoint.conflicts) {
        (Some(name), _) => name,
        (None, Conflicts::Prefix(format)) => prefixed(format, backend_name, original),
        (None, _) => original.to_owned(),
    }
}

/// Resources or templates. Of several backends that list what clients see as one URI, the first in `order` owns it.
fn uri_shelf(source: &Source<'_>, list: List, order: &[usize], filter: &UriFilter) -> Shelf {
    let stocks = source.stocks;
    let mut owners: HashMap<Arc<str>, usize> = HashMap::new();
    let mut entries = Vec::new();
    for &backend in order {
        let Some(inventory) = stocks.get(backend).and_then(|stock| stock.inventory.as_ref()) else {
            continue;
        };
        let items = if list == List::Resources { &inventory.resources } else { &inventory.templates };
        let change = ItemChange { uri_prefix: source.uri_prefix(backend), ..source.change() };
        let prefix = change.uri_prefix.as_deref();
        for item in items {
            let uri = if list == List::Resources { item.uri() } else { item.uri_template() };
            let Some(original) = uri.filter(|uri| filter.lists(prefix, uri)).map(Arc::<str>::from) else {
                continue;
            };
            let exposed = match prefix {
                Some(_) => source.exposure.exposed(backend, &original).into(),
                None => original.clone(),
            };
            if owners.insert(exposed.clone(), backend).is_none() {
                entries.push(Entry {
                    rename: prefix.map(|_| Bytes::from(json::string(&original))),
                    rendered: item.changed(&change),
                    legacy: None,
                    tasked: None,
                    task: TaskSupport::Forbidden,
                    parameters: None,
                    exposed,
                    original,
                    backend,
                    repeatable: true,
                    hints: Hints::default(),
                    tags: Vec::new(),
                    mirrored: None,
                });
            }
        }
    }
    // Lists show the endpoint's order of backends, whatever the order of ownership.
    entries.sort_by_key(|entry| entry.backend);
    Shelf::new(list, entries)
}
