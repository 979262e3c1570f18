//! Icons in the lists (`icons: inline`): fetched from the backends in the background, kept, and embedded.

use crate::attached::Attached;
use crate::refresh::Depot;
use futures_util::{StreamExt, stream};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_backends::Inventory;
use weir_config::{Endpoint, Icons};
use weir_protocol::icons::{self, Embedded};
use weir_protocol::item::Item;

/// Most icons of one backend.
const DISTINCT: usize = 256;
/// Most bytes that the icons of one backend add to the lists. One icon may stand at many items, and counts each time.
const EMBEDDED: usize = 4 << 20;
/// Fetches under way at once, for each backend.
const AT_ONCE: usize = 4;
/// An icon is fetched again after so long, and one that could not be had is tried again.
const KEPT: Duration = Duration::from_secs(3600);
const MISSED: Duration = Duration::from_secs(300);
/// So much of an address is logged.
const SHOWN: usize = 200;

/// Whether the endpoint embeds icons.
pub(crate) fn embeds(endpoint: &Endpoint) -> bool {
    endpoint.icons == Icons::Inline
}

/// The addresses of the icons in an inventory, in its order, and how often each is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Wanted(Vec<(String, usize)>);

impl Wanted {
    fn of(inventory: &Inventory) -> Self {
        let Inventory { tools, prompts, resources, templates, .. } = inventory;
        let mut wanted: Vec<(String, usize)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        for address in [tools, prompts, resources, templates].into_iter().flatten().flat_map(icons::addresses)
        {
            match places.get(&address).and_then(|&at| wanted.get_mut(at)) {
                Some((_, uses)) => *uses += 1,
                None => {
                    places.insert(address.clone(), wanted.len());
                    wanted.push((address, 1));
                }
            }
        }
        Self(wanted)
    }

    /// Those of `icons` that fit into the lists together, the first ones first.
    fn fitting(&self, icons: &Embedded) -> Embedded {
        let mut left = EMBEDDED;
        let mut fitting = Embedded::new();
        for (address, uses) in &self.0 {
            let Some(uri) = icons.get(address) else { continue };
            if let Some(rest) = left.checked_sub(uri.len().saturating_mul(*uses)) {
                left = rest;
                fitting.insert(address.clone(), uri.clone());
            }
        }
        fitting
    }
}

/// The icons of one backend: those that are wanted, and those that are there.
#[derive(Debug, Default)]
pub(crate) struct Album {
    wanted: watch::Sender<Wanted>,
    embedded: Mutex<Arc<Embedded>>,
}

impl Album {
    /// Lets the icons of these lists be fetched; `None` where nobody embeds them.
    pub(crate) fn want(&self, inventory: Option<&Inventory>) {
        self.wanted.send_replace(inventory.map(Wanted::of).unwrap_or_default());
    }

    /// What is wanted from now on.
    pub(crate) fn wanted(&self) -> watch::Receiver<Wanted> {
        self.wanted.subscribe()
    }

    /// The lists with the icons that are there by now and no others.
    pub(crate) fn illustrated(&self, inventory: &Inventory) -> Inventory {
        let embedded = self.embedded.lock().clone();
        with(inventory, &embedded)
    }

    /// Takes in icons; whether they are not those that were there.
    fn put(&self, icons: Embedded) -> bool {
        let mut embedded = self.embedded.lock();
        let differs = **embedded != icons;
        *embedded = Arc::new(icons);
        differs
    }
}

/// An inventory with these icons and no others.
fn with(inventory: &Inventory, icons: &Embedded) -> Inventory {
    let icons = Wanted::of(inventory).fitting(icons);
    let list = |items: &[Item]| items.iter().map(|item| icons::embed(item, &icons)).collect();
    Inventory {
        features: inventory.features.clone(),
        tools: list(&inventory.tools),
        prompts: list(&inventory.prompts),
        resources: list(&inventory.resources),
        templates: list(&inventory.templates),
        freshness: inventory.freshness,
        faults: inventory.faults.clone(),
    }
}

/// What became of an icon, and when.
#[derive(Debug)]
struct Attempt {
    /// The `data:` URI, or why there is none.
    icon: Result<Arc<str>, String>,
    at: Instant,
}

impl Attempt {
    fn is_fresh(&self) -> bool {
        self.at.elapsed() < if self.icon.is_ok() { KEPT } else { MISSED }
    }
}

/// Fetches what is `wanted` of a backend's icons, each time that its lists have come or the
/// endpoints have changed, and shows what there is.
pub(crate) async fn follow(backend: Arc<Attached>, depot: Arc<Depot>, mut wanted: watch::Receiver<Wanted>) {
    let mut attempts: HashMap<String, Attempt> = HashMap::new();
    let mut told = Vec::new();
    while wanted.changed().await.is_ok() {
        let wanted = wanted.borrow_and_update().clone();
        let addresses: HashSet<&String> =
            wanted.0.iter().take(DISTINCT).map(|(address, _)| address).collect();
        attempts.retain(|address, attempt| addresses.contains(address) && attempt.is_fresh());
        let missing: Vec<String> = wanted
            .0
            .iter()
            .take(DISTINCT)
            .map(|(address, _)| address.clone())
            .filter(|address| !attempts.contains_key(address))
            .collect();
        let fetches = missing.into_iter().map(|address| {
            let backend = backend.clone();
            async move {
                let icon = backend.icon(&address).await;
                let icon = icon.map(Arc::from).map_err(|error| error.to_string());
                (address, Attempt { icon, at: Instant::now() })
            }
        });
        let fetched: Vec<(String, Attempt)> = stream::iter(fetches).buffer_unordered(AT_ONCE).collect().await;
        attempts.extend(fetched);
        let icons = attempts
            .iter()
            .filter_map(|(address, attempt)| Some((address.clone(), attempt.icon.clone().ok()?)));
        let fitting = wanted.fitting(&icons.collect());
        for (address, attempt) in &mut attempts {
            if attempt.icon.is_ok() && !fitting.contains_key(address) {
                attempt.icon = Err(format!("the server's icons are more than {EMBEDDED} bytes in all"));
            }
        }
        report(backend.name(), &wanted, &attempts, &mut told);
        if backend.icons.put(fitting) {
            depot.show(&backend, &[]);
        }
    }
}

/// Logs what is left out when that changes, not at every refresh, and in one line, however many icons they are.
fn report(backend: &str, wanted: &Wanted, attempts: &HashMap<String, Attempt>, told: &mut Vec<String>) {
    let reason = |address: &String| match attempts.get(address) {
        Some(attempt) => attempt.icon.as_ref().err().cloned(),
        None => Some(format!("more than {DISTINCT} are not fetched")),
    };
    let left_out: Vec<(&String, String)> =
        wanted.0.iter().filter_map(|(address, _)| Some((address, reason(address)?))).collect();
    let addresses: Vec<String> = left_out.iter().map(|(address, _)| (*address).clone()).collect();
    if addresses == *told {
        return;
    }
    *told = addresses;
    if let Some((address, reason)) = left_out.first() {
        // A query may hold a secret; what a server writes, quoted, cannot write lines of its own into a log.
        let shown: String = address.chars().take_while(|&letter| letter != '?').take(SHOWN).collect();
        tracing::warn!(backend, icons = left_out.len(), first = ?shown, reason, "icons are left out");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_icon_counts_wherever_it_stands() {
        let wanted =
            Wanted(vec![("many".into(), 1000), ("one".into(), 1), ("none".into(), 1), ("last".into(), 1)]);
        let icon = |length: usize| Arc::from("x".repeat(length));
        let icons = Embedded::from([
            ("many".into(), icon(EMBEDDED / 1000 + 1)),
            ("one".into(), icon(EMBEDDED)),
            ("last".into(), icon(1)),
            ("unasked".into(), icon(0)),
        ]);
        let fitting = wanted.fitting(&icons);
        assert_eq!(fitting.keys().collect::<Vec<_>>(), ["one"]);
        assert!(Wanted::default().fitting(&icons).is_empty());
    }
}
