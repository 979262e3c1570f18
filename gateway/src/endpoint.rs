//! One virtual MCP server as it runs: its backends, its current catalog, its open streams.

use crate::attached::Attached;
use crate::catalog::{self, Catalog, Conflict, List, Stock, Unfit};
use crate::decision;
use crate::entrance::Entrance;
use crate::hub::{Hub, Topic};
use crate::icons;
use crate::seal::identity;
use crate::stay::Tenure;
use crate::tasks::TaskWatchers;
use crate::watchers::Watchers;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_policies::{Authenticator, Policies, Principal};
use weir_protocol::cursor::{Cursor, CursorCodec};

/// How many superseded catalogs are kept for clients that are still paging.
const KEPT: usize = 8;

/// A virtual MCP server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) spec: weir_config::Endpoint,
    pub(crate) backends: Vec<Arc<Attached>>,
    pub(crate) policies: Policies,
    /// The way in for callers, and since when it is this one.
    pub(crate) entrance: Entrance,
    pub(crate) tenure: Tenure,
    /// Tells it apart from every other, also from those of the same name that went before its removal. This and the next
    /// five stay through reloads.
    pub(crate) number: usize,
    pub(crate) hub: Arc<Hub>,
    pub(crate) watchers: Arc<Watchers>,
    pub(crate) tasks: Arc<TaskWatchers>,
    generations: Arc<AtomicU64>,
    cursors: Arc<CursorCodec>,
    catalog: ArcSwap<Catalog>,
    /// The current catalog and those before it, newest last.
    recent: Mutex<VecDeque<Arc<Catalog>>>,
    reported: Mutex<Vec<Conflict>>,
    reported_unfit: Mutex<Vec<Unfit>>,
}

impl Endpoint {
    /// An endpoint that offers nothing yet and finds out by `authenticator` who calls; `before` is the one of its name that it takes the place of, and `number` is
    /// its own where there is none.
    ///
    /// # Errors
    /// Its patterns do not compile.
    pub(crate) fn new(
        spec: weir_config::Endpoint,
        backends: Vec<Arc<Attached>>,
        before: Option<&Self>,
        number: usize,
        authenticator: Arc<Authenticator>,
        policies: Policies,
    ) -> Result<Self, Vec<Conflict>> {
        let stocks: Vec<Stock> = backends
            .iter()
            .map(|backend| Stock { name: backend.name().to_owned(), inventory: None })
            .collect();
        let generations = before.map_or_else(Arc::default, |before| before.generations.clone());
        // No cursor leads into the catalogs before: they may show what this one must not.
        let (empty, _) = catalog::build(&spec, &stocks, generations.fetch_add(1, Ordering::Relaxed))?;
        let empty = Arc::new(empty);
        let entrance = Entrance::new(authenticator, &spec.name);
        let tenure = match before {
            Some(before) => {
                before.tenure.after(before.spec.auth != spec.auth || before.spec.policies != spec.policies)
            }
            None => Tenure::first(),
        };
        Ok(Self {
            spec,
            backends,
            policies,
            entrance,
            tenure,
            number: before.map_or(number, |before| before.number),
            hub: before.map_or_else(Arc::default, |before| before.hub.clone()),
            watchers: before.map_or_else(Arc::default, |before| before.watchers.clone()),
            tasks: before.map_or_else(Arc::default, |before| before.tasks.clone()),
            generations,
            cursors: before.map_or_else(Arc::default, |before| before.cursors.clone()),
            recent: Mutex::new(VecDeque::from([empty.clone()])),
            catalog: ArcSwap::new(empty),
            reported: Mutex::default(),
            reported_unfit: Mutex::default(),
        })
    }

    /// The current catalog; a request holds it from its first byte to its last.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Whether this is what it shows now.
    pub(crate) fn is_current(&self, catalog: &Catalog) -> bool {
        self.catalog.load().generation == catalog.generation
    }

    /// Whether one made of these would be the same.
    pub(crate) fn is_of(&self, spec: &weir_config::Endpoint, backends: &[Arc<Attached>]) -> bool {
        self.spec == *spec
            && self.backends.len() == backends.len()
            && self.backends.iter().zip(backends).all(|(own, other)| Arc::ptr_eq(own, other))
    }

    /// Whether it shows what this backend offers.
    pub(crate) fn shows(&self, backend: &Arc<Attached>) -> bool {
        self.backends.iter().any(|own| Arc::ptr_eq(own, backend))
    }

    /// The same for a backend's number.
    pub(crate) fn shows_number(&self, backend: usize) -> bool {
        self.backends.iter().any(|own| own.number == backend)
    }

    /// Tells open streams how this differs from the endpoint that it took the place of.
    pub(crate) fn announce_since(&self, before: &Self) {
        let (now, then) = (self.catalog(), before.catalog());
        // Only what clients see counts: who owns an item, and at which place, is nothing to them.
        let rendered = |catalog: &Catalog, list| -> Vec<_> {
            let entries = catalog.shelf(list).entries.iter();
            entries.map(|entry| (entry.rendered.clone(), entry.tasked.clone())).collect()
        };
        // Who sees what may have changed with the policies; each stream knows whether it did for its client.
        let open = self.policies.are_open() && before.policies.are_open();
        let differs = |&list: &List| !open || rendered(&now, list) != rendered(&then, list);
        let topics: Vec<Topic> = List::ALL.into_iter().filter(differs).map(Topic::of).collect();
        self.announce(&topics);
    }

    fn announce(&self, topics: &[Topic]) {
        for topic in Topic::ALL.into_iter().filter(|topic| topics.contains(topic)) {
            self.hub.announce(topic);
        }
    }

    /// Builds the catalog anew from what the backends offer now, and tells open streams what changed, and of what a
    /// backend `announced` even where nothing did. The caller sees to it that there is one rebuild at a time.
    ///
    /// # Errors
    /// The conflicts that remain under `manual`; the last good catalog stays.
    pub(crate) fn rebuild(&self, announced: &[Topic]) -> Result<(), Vec<Conflict>> {
        self.rebuild_of(&self.stocks(), announced)
    }

    fn rebuild_of(&self, stocks: &[Stock], announced: &[Topic]) -> Result<(), Vec<Conflict>> {
        self.fill_with(stocks).map(|differences| {
            let mut topics = announced.to_vec();
            topics.extend(differences.into_iter().map(Topic::of));
            self.announce(&topics);
        })
    }

    /// Builds the catalog anew and tells nobody; answers the lists that differ.
    ///
    /// # Errors
    /// As [`rebuild`](Self::rebuild).
    pub(crate) fn fill(&self) -> Result<Vec<List>, Vec<Conflict>> {
        self.fill_with(&self.stocks())
    }

    /// What its backends offer now.
    fn stocks(&self) -> Vec<Stock> {
        let stock = |backend: &Arc<Attached>| Stock {
            name: backend.name().to_owned(),
            inventory: match backend.inventory() {
                Some(inventory) if icons::embeds(&self.spec) => {
                    Some(backend.icons.illustrated(&inventory).into())
                }
                inventory => inventory,
            },
        };
        self.backends.iter().map(stock).collect()
    }

    pub(crate) fn fill_with(&self, stocks: &[Stock]) -> Result<Vec<List>, Vec<Conflict>> {
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let (mut catalog, conflicts) = catalog::build(&self.spec, stocks, generation)?;
        self.report(conflicts);
        self.report_unfit(&catalog.unfit);
        let current = self.catalog.load();
        let differences = catalog.differences(&current);
        // Lists are fetched again and again, and rarely say anything new.
        if differences.contains(&List::Tools) {
            self.teach(&catalog);
        }
        let mut recent = self.recent.lock();
        if differences.is_empty() {
            // Its pages are the same, and cursors lead on in it; what else it knows may be new.
            catalog.generation = current.generation;
            recent.pop_back();
        } else if recent.len() == KEPT {
            recent.pop_front();
        }
        let catalog = Arc::new(catalog);
        recent.push_back(catalog.clone());
        drop(recent);
        self.catalog.store(catalog);
        Ok(differences)
    }

    /// Tells the policies of the tools, whose arguments they may read, and logs what is odd about the two together.
    fn teach(&self, catalog: &Catalog) {
        if self.policies.are_open() {
            return;
        }
        for problem in decision::teach(&self.spec, &self.policies, catalog) {
            tracing::warn!(endpoint = self.spec.name, %problem, "a policy does not fit the tools");
        }
    }

    /// Logs conflicts once, not at every refresh.
    fn report(&self, conflicts: Vec<Conflict>) {
        let mut reported = self.reported.lock();
        for conflict in conflicts.iter().filter(|conflict| !reported.contains(conflict)) {
            tracing::warn!(endpoint = self.spec.name, strategy = ?self.spec.conflicts, %conflict, "name conflict");
        }
        *reported = conflicts;
    }

    /// The same for overrides that do not fit what they change.
    fn report_unfit(&self, unfit: &[Unfit]) {
        let mut reported = self.reported_unfit.lock();
        for unfit in unfit.iter().filter(|unfit| !reported.contains(unfit)) {
            tracing::warn!(endpoint = self.spec.name, %unfit, "an override does not do what was meant");
        }
        *reported = unfit.to_vec();
    }

    /// The catalog and the place in it that a cursor means; `None` where weir did not write it for `principal`, or no longer holds what
    /// it points into.
    pub(crate) fn resume(
        &self,
        list: List,
        principal: &Principal,
        cursor: &str,
    ) -> Option<(Arc<Catalog>, usize)> {
        let cursor =
            self.cursors.decode(cursor, &identity(principal)).filter(|cursor| cursor.list == list as u32)?;
        let recent = self.recent.lock();
        let catalog = recent.iter().find(|catalog| catalog.generation == cursor.generation)?;
        Some((catalog.clone(), usize::try_from(cursor.offset).ok()?))
    }

    /// The cursor for `principal` of the page of `catalog` that begins at item `first`.
    pub(crate) fn cursor(
        &self,
        list: List,
        principal: &Principal,
        catalog: &Catalog,
        first: usize,
    ) -> String {
        let offset = u32::try_from(first).unwrap_or(u32::MAX);
        let cursor = Cursor { list: list as u32, generation: catalog.generation, offset };
        self.cursors.encode(cursor, &identity(principal))
    }
}

#[cfg(test)]
mod tests;
