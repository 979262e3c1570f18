//! Reads of one backend's resources: what changed since, and who is asking right now.

use super::{LONGEST, Stored};
use crate::ancestry::ancestry;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::watch;
use weir_policies::Principal;

/// So many changes are told apart; with more, everything counts as changed.
const CHANGES: usize = 4096;

/// What is known of the reads of one backend's resources.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    changes: Mutex<Changes>,
    flights: Mutex<HashMap<Spot, watch::Receiver<Landing>>>,
}

/// Changes are counted, and so have an order.
#[derive(Debug, Default)]
struct Changes {
    count: u64,
    /// The last one after which everything may be different.
    all: u64,
    /// The last one of each resource: whatever is a part of it is different too.
    whole: HashMap<Arc<str>, u64>,
    /// The last one of any part of a resource.
    parts: HashMap<Arc<str>, u64>,
}

impl Reads {
    /// How many changes there have been; what is asked for from now on knows them.
    pub(super) fn changes(&self) -> u64 {
        self.changes.lock().count
    }

    /// The resource at `uri` changed. What it is a part of changed with it, and what is a part of it
    /// (2026-07-28 `basic/patterns/subscriptions` lets servers name either).
    pub(crate) fn changed(&self, uri: &Arc<str>) {
        let mut changes = self.changes.lock();
        changes.count += 1;
        let count = changes.count;
        // Longer ones are not kept, nor is what would be a part of them.
        let kept = |uri: &&str| uri.len() <= LONGEST;
        if kept(&&**uri) {
            changes.whole.insert(uri.clone(), count);
        }
        for outer in ancestry(uri).skip(1).filter(kept) {
            match changes.parts.get_mut(outer) {
                Some(last) => *last = count,
                None => drop(changes.parts.insert(outer.into(), count)),
            }
        }
        if changes.whole.len() + changes.parts.len() > CHANGES {
            changes.forget();
        }
    }

    /// Every resource may be different: a change may have been missed, or the list of them changed.
    pub(crate) fn all_changed(&self) {
        let mut changes = self.changes.lock();
        changes.count += 1;
        changes.forget();
    }

    /// Whether the resource at `uri` may be different from what it was when there were `count` changes.
    pub(super) fn changed_since(&self, count: u64, uri: &str) -> bool {
        let changes = self.changes.lock();
        let since = |last: Option<&u64>| last.is_some_and(|last| *last > count);
        changes.count > count
            && (changes.all > count
                || since(changes.parts.get(uri))
                || ancestry(uri).any(|outer| since(changes.whole.get(outer))))
    }

    /// Joins whoever asks for `spot`, or is the first to.
    pub(super) fn join(self: &Arc<Self>, spot: Spot) -> Place {
        let mut flights = self.flights.lock();
        if let Some(landing) = flights.get(&spot) {
            return Place::Behind(landing.clone());
        }
        let (sender, receiver) = watch::channel(Landing::Aloft);
        flights.insert(spot.clone(), receiver);
        Place::First(Lead { reads: self.clone(), spot, sender })
    }

    #[cfg(test)]
    pub(super) fn aloft(&self) -> usize {
        self.flights.lock().len()
    }
}

impl Changes {
    fn forget(&mut self) {
        self.all = self.count;
        self.whole.clear();
        self.parts.clear();
    }
}

/// What several may ask for at once: a URI, for everybody or for one principal.
pub(super) type Spot = (Arc<str>, Option<Arc<Principal>>);

/// How far the first of those who ask together has come.
#[derive(Debug, Clone)]
pub(super) enum Landing {
    /// It waits for the backend.
    Aloft,
    /// It has an answer that others may share.
    Answer(Arc<Stored>),
    /// It has an answer of its own only, or none.
    Nothing,
}

/// A place among those who ask together.
#[derive(Debug)]
pub(super) enum Place {
    /// The one who asks.
    First(Lead),
    /// Those who wait for its answer.
    Behind(watch::Receiver<Landing>),
}

/// Asks for all who wait. Dropped without an answer, it leaves its place to the next.
#[derive(Debug)]
pub(super) struct Lead {
    reads: Arc<Reads>,
    spot: Spot,
    sender: watch::Sender<Landing>,
}

impl Lead {
    /// Tells those who wait what came of it.
    pub(super) fn land(self, answer: Option<Arc<Stored>>) {
        self.sender.send_replace(answer.map_or(Landing::Nothing, Landing::Answer));
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.reads.flights.lock().remove(&self.spot);
    }
}
