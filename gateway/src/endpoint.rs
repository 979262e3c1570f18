//! One virtual MCP server as it runs: its backends, its current catalog, its open streams.

use crate::catalog::{self, Catalog, Conflict, List, Stock};
use crate::hub::{Hub, Topic};
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use weir_backends::Backend;
use weir_policies::Policies;
use weir_protocol::cursor::{Cursor, CursorCodec};

/// How many superseded catalogs are kept for clients that are still paging.
const KEPT: usize = 8;

/// A virtual MCP server.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) spec: weir_config::Endpoint,
    pub(crate) backends: Vec<Arc<dyn Backend>>,
    pub(crate) policies: Policies,
    pub(crate) hub: Hub,
    catalog: ArcSwap<Catalog>,
    /// The current catalog and those before it, newest last.
    recent: Mutex<VecDeque<Arc<Catalog>>>,
    generations: AtomicU64,
    cursors: CursorCodec,
    reported: Mutex<Vec<Conflict>>,
}

impl Endpoint {
    /// An endpoint that offers nothing yet.
    ///
    /// # Errors
    /// Its patterns do not compile.
    pub(crate) fn new(
        spec: weir_config::Endpoint,
        backends: Vec<Arc<dyn Backend>>,
    ) -> Result<Self, Vec<Conflict>> {
        let stocks: Vec<Stock> = backends
            .iter()
            .map(|backend| Stock { name: backend.name().to_owned(), inventory: None })
            .collect();
        let (empty, _) = catalog::build(&spec, &stocks, 0)?;
        let empty = Arc::new(empty);
        Ok(Self {
            spec,
            backends,
            policies: Policies::anonymous(),
            hub: Hub::default(),
            recent: Mutex::new(VecDeque::from([empty.clone()])),
            catalog: ArcSwap::new(empty),
            generations: AtomicU64::new(1),
            cursors: CursorCodec::default(),
            reported: Mutex::default(),
        })
    }

    /// The current catalog; a request holds it from its first byte to its last.
    pub(crate) fn catalog(&self) -> Arc<Catalog> {
        self.catalog.load_full()
    }

    /// Builds the catalog anew from what the backends offer now, and tells open streams what changed, and of what a
    /// backend `announced` even where nothing did. The caller sees to it that there is one rebuild at a time.
    ///
    /// # Errors
    /// The conflicts that remain under `manual`; the last good catalog stays.
    pub(crate) fn rebuild(&self, stocks: &[Stock], announced: &[Topic]) -> Result<(), Vec<Conflict>> {
        let generation = self.generations.fetch_add(1, Ordering::Relaxed);
        let (mut catalog, conflicts) = catalog::build(&self.spec, stocks, generation)?;
        self.report(conflicts);
        let current = self.catalog.load();
        let differences = catalog.differences(&current);
        let mut topics = announced.to_vec();
        topics.extend(differences.iter().copied().map(Topic::of));
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
        for topic in Topic::ALL.into_iter().filter(|topic| topics.contains(topic)) {
            self.hub.announce(topic);
        }
        Ok(())
    }

    /// Logs conflicts once, not at every refresh.
    fn report(&self, conflicts: Vec<Conflict>) {
        let mut reported = self.reported.lock();
        for conflict in conflicts.iter().filter(|conflict| !reported.contains(conflict)) {
            tracing::warn!(endpoint = self.spec.name, strategy = ?self.spec.conflicts, %conflict, "name conflict");
        }
        *reported = conflicts;
    }

    /// The catalog and the place in it that a cursor means; `None` where weir did not write it or no longer holds what
    /// it points into.
    pub(crate) fn resume(&self, list: List, cursor: &str) -> Option<(Arc<Catalog>, usize)> {
        let cursor = self.cursors.decode(cursor).filter(|cursor| cursor.list == list as u32)?;
        let recent = self.recent.lock();
        let catalog = recent.iter().find(|catalog| catalog.generation == cursor.generation)?;
        Some((catalog.clone(), usize::try_from(cursor.offset).ok()?))
    }

    /// The cursor of the page of `catalog` that begins at item `first`.
    pub(crate) fn cursor(&self, list: List, catalog: &Catalog, first: usize) -> String {
        let offset = u32::try_from(first).unwrap_or(u32::MAX);
        self.cursors.encode(Cursor { list: list as u32, generation: catalog.generation, offset })
    }
}
