//! Renewals under way: one of each grant, whichever connector needs it.

use super::grant::Holder;
use super::{LULL, WISHES};
use crate::flight::Flight;
use futures_util::future::join_all;
use moka::sync::Cache;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;

/// Renewals of the grants of one store. After a reload two connectors may be there for one backend, and servers that rotate refresh
/// tokens take it for theft where both use the same one.
pub struct Renewals {
    pub(super) flights: Mutex<Flights>,
    /// Grants that were renewed a moment ago.
    pub(super) renewed: Cache<Holder, ()>,
}

/// Those under way.
#[derive(Default)]
pub(super) struct Flights {
    pub(super) all: HashMap<Holder, Flight<()>>,
    /// Whether weir stops, and none is begun any more.
    pub(super) are_over: bool,
}

impl fmt::Debug for Renewals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renewals").finish_non_exhaustive()
    }
}

impl Default for Renewals {
    fn default() -> Self {
        let renewed = Cache::builder().max_capacity(WISHES).time_to_live(LULL).build();
        Self { flights: Mutex::default(), renewed }
    }
}

impl Renewals {
    /// Begins no more of them and waits for those under way, until what they brought is kept.
    pub async fn finish(&self) {
        let under_way: Vec<_> = {
            let mut flights = self.flights.lock();
            flights.are_over = true;
            flights.all.values().cloned().collect()
        };
        join_all(under_way).await;
    }
}
