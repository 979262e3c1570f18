//! The user interfaces that tools name: servers need not list their resources, so that a tool is what says whose they are.
//!
//! S: the extension MCP Apps, `_meta.ui.resourceUri` of a tool.

use super::Shelf;
use std::collections::HashMap;
use weir_backends::Inventory;
use weir_protocol::uris;

/// Whether a backend has any. Legacy servers seldom declare the extension, which came after their handshake.
pub(super) fn are_in(inventory: &Inventory) -> bool {
    let mut tools = inventory.tools.iter().filter_map(|tool| std::str::from_utf8(&tool.raw).ok());
    inventory.features.interfaces || tools.any(|tool| uris::interface(tool).is_some())
}

/// Every resource of a user interface that a tool of `tools` names, and the backend of the tool; of several the first in
/// `order`.
pub(super) fn owners(tools: &Shelf, order: &[usize]) -> HashMap<String, usize> {
    let rank = |backend: &usize| order.iter().position(|at| at == backend);
    let mut owners = HashMap::new();
    for entry in &tools.entries {
        let Some(uri) = std::str::from_utf8(&entry.rendered).ok().and_then(uris::interface) else {
            continue;
        };
        let owner = owners.entry(uri).or_insert(entry.backend);
        if rank(&entry.backend) < rank(owner) {
            *owner = entry.backend;
        }
    }
    owners
}
