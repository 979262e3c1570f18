//! Keeping what each backend offers up to date, in the background.

use crate::catalog::Stock;
use crate::endpoint::Endpoint;
use crate::hub::Topic;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_backends::{Backend, Changes, Inventory};
use weir_runtime::Backoff;

/// What all backends offer, and who shows it.
#[derive(Debug)]
pub(crate) struct Depot {
    inventories: Mutex<Vec<(String, Option<Arc<Inventory>>)>>,
    endpoints: Vec<Arc<Endpoint>>,
    /// Held from the reading of inventories to the catalog made of them: one built from older inventories must not replace
    /// one built from newer ones.
    building: Mutex<()>,
}

impl Depot {
    /// Nothing is known yet of the backends with these names.
    pub(crate) fn new(names: impl Iterator<Item = String>, endpoints: Vec<Arc<Endpoint>>) -> Self {
        Self {
            inventories: Mutex::new(names.map(|name| (name, None)).collect()),
            endpoints,
            building: Mutex::new(()),
        }
    }

    /// Takes in a backend's inventory and rebuilds the endpoints that show it.
    fn put(&self, name: &str, inventory: Inventory, announced: &[Topic]) {
        let inventory = Arc::new(inventory);
        if let Some(place) = self.inventories.lock().iter_mut().find(|(known, _)| known == name) {
            place.1 = Some(inventory);
        }
        for endpoint in self.endpoints.iter().filter(|endpoint| shows(endpoint, name)) {
            if let Err(conflicts) = self.rebuild(endpoint, announced) {
                for conflict in conflicts {
                    tracing::error!(endpoint = endpoint.spec.name, %conflict, "the last good catalog stays");
                }
            }
        }
    }

    /// Builds one endpoint's catalog from what is known now.
    pub(crate) fn rebuild(
        &self,
        endpoint: &Endpoint,
        announced: &[Topic],
    ) -> Result<(), Vec<crate::catalog::Conflict>> {
        let _one = self.building.lock();
        let stocks: Vec<Stock> = {
            let inventories = self.inventories.lock();
            let of = |name: &str| inventories.iter().find(|(known, _)| known == name)?.1.clone();
            endpoint
                .backends
                .iter()
                .map(|backend| Stock { name: backend.name().to_owned(), inventory: of(backend.name()) })
                .collect()
        };
        endpoint.rebuild(&stocks, announced)
    }
}

fn shows(endpoint: &Endpoint, name: &str) -> bool {
    endpoint.backends.iter().any(|backend| backend.name() == name)
}

/// Fetches the backend's inventory now, whenever there is a reason to, and at the latest every `interval`. `answered`
/// is set once the first attempt has ended, well or not.
pub(crate) async fn keep(
    backend: Arc<dyn Backend>,
    depot: Arc<Depot>,
    interval: Duration,
    answered: watch::Sender<bool>,
) {
    let mut changes = backend.changes();
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
    let mut pace = Pace::default();
    let mut seen = Changes::default();
    let mut failing = false;
    loop {
        let now = *changes.borrow_and_update();
        let wait = match backend.inventory().await {
            Ok(inventory) => {
                if failing {
                    tracing::info!(backend = backend.name(), "the backend answers again");
                }
                failing = false;
                backoff.reset();
                depot.put(backend.name(), inventory, &announced(&seen, &now));
                seen = now;
                interval
            }
            Err(error) => {
                if !failing {
                    let detail = error.detail();
                    let name = backend.name();
                    tracing::warn!(backend = name, %error, detail, "the backend's last known lists stay");
                }
                failing = true;
                backoff.next()
            }
        };
        answered.send_replace(true);
        let fetched = Instant::now();
        tokio::select! {
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                tokio::time::sleep(pace.after(fetched.elapsed())).await;
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// How soon a reason to list again is followed: at once where there was calm, ever later while listing itself seems to be
/// what brings the next reason.
#[derive(Debug, Default)]
struct Pace(Duration);

impl Pace {
    const FIRST: Duration = Duration::from_millis(50);
    const SLOWEST: Duration = Duration::from_millis(500);

    /// The pause before listing, after so much calm since the last time.
    fn after(&mut self, calm: Duration) -> Duration {
        self.0 = if calm > self.0 * 4 && calm > Self::FIRST {
            Duration::ZERO
        } else {
            (self.0 * 2).clamp(Self::FIRST, Self::SLOWEST)
        };
        self.0.saturating_sub(calm)
    }
}

fn announced(before: &Changes, now: &Changes) -> Vec<Topic> {
    [
        (now.tools > before.tools, Topic::Tools),
        (now.prompts > before.prompts, Topic::Prompts),
        (now.resources > before.resources, Topic::Resources),
    ]
    .into_iter()
    .filter_map(|(changed, topic)| changed.then_some(topic))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calm_is_rewarded_and_storms_are_not() {
        let mut pace = Pace::default();
        let second = Duration::from_secs(1);
        assert_eq!(pace.after(second), Duration::ZERO);
        let storm: Vec<u128> = (0..8).map(|_| pace.after(Duration::ZERO).as_millis()).collect();
        assert_eq!(storm, [50, 100, 200, 400, 500, 500, 500, 500]);
        assert_eq!(pace.after(3 * second), Duration::ZERO);
        assert_eq!(pace.after(second), Duration::ZERO);
    }
}
