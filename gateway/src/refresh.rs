//! Keeping what each backend offers up to date, in the background.

use crate::attached::Attached;
use crate::endpoint::Endpoint;
use crate::hub::Topic;
use crate::icons;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;
use weir_backends::{Changes, Inventory};
use weir_runtime::Backoff;

/// The endpoints that show what the backends offer now.
///
/// The lock is held from the reading of inventories to the catalogs made of them: one built from older inventories must not
/// replace one built from newer ones.
#[derive(Debug, Default)]
pub(crate) struct Depot(Mutex<Vec<Arc<Endpoint>>>);

impl Depot {
    /// Takes in a backend's inventory and rebuilds the endpoints that show it.
    fn put(&self, backend: &Arc<Attached>, inventory: Inventory, announced: &[Topic]) {
        backend.put(inventory);
        self.show(backend, announced);
        want(&self.0.lock(), backend);
    }

    /// Rebuilds the endpoints that show what the backend offers.
    pub(crate) fn show(&self, backend: &Arc<Attached>, announced: &[Topic]) {
        let endpoints = self.0.lock();
        for endpoint in endpoints.iter().filter(|endpoint| endpoint.shows(backend)) {
            if let Err(conflicts) = endpoint.rebuild(announced) {
                for conflict in conflicts {
                    tracing::error!(endpoint = endpoint.spec.name, %conflict, "the last good catalog stays");
                }
            }
            endpoint.watchers.resume(endpoint);
        }
    }

    /// Puts `endpoints` in the place of those before. `fill` runs while no catalog is rebuilt; nothing changes where it
    /// fails.
    pub(crate) fn replace<E>(
        &self,
        endpoints: &[Arc<Endpoint>],
        fill: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        let mut current = self.0.lock();
        fill()?;
        *current = endpoints.to_vec();
        for backend in current.iter().flat_map(|endpoint| &endpoint.backends) {
            want(&current, backend);
        }
        Ok(())
    }
}

/// Lets the icons of a backend be fetched where some endpoint embeds them.
fn want(endpoints: &[Arc<Endpoint>], backend: &Attached) {
    let embeds =
        |endpoint: &Arc<Endpoint>| icons::embeds(&endpoint.spec) && endpoint.shows_number(backend.number);
    backend.icons.want(backend.inventory().filter(|_| endpoints.iter().any(embeds)).as_deref());
}

/// Fetches the backend's inventory now, whenever there is a reason to, and at the latest when it is as old as a list may become. `answered`
/// is set once the first attempt has ended, well or not.
pub(crate) async fn keep(backend: Arc<Attached>, depot: Arc<Depot>, answered: watch::Sender<bool>) {
    let interval = backend.spec().timeouts.refresh;
    let mut changes = backend.changes();
    // Ends with this task, whatever ends it.
    let mut beside = JoinSet::new();
    beside.spawn(icons::follow(backend.clone(), depot.clone(), backend.icons.wanted()));
    beside.spawn(heed(backend.clone()));
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
    let mut pace = Pace::default();
    let mut poll = Poll::default();
    let mut seen = Changes::default();
    let mut failing = false;
    loop {
        let now = *changes.borrow_and_update();
        backend.heed(now);
        let wait = match backend.backend.inventory().await {
            Ok(inventory) => {
                if failing {
                    tracing::info!(backend = backend.name(), "the backend answers again");
                }
                failing = false;
                backoff.reset();
                let same = backend.inventory().is_some_and(|before| before.lists_the_same(&inventory));
                let wait = poll.pause(soonest(&inventory), same).min(interval);
                depot.put(&backend, inventory, &announced(&seen, &now));
                backend.catch_up(changes.has_changed().unwrap_or(true));
                seen = now;
                wait
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
                backend.catch_up(true);
                tokio::time::sleep(pace.after(fetched.elapsed())).await;
            }
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Takes in changes as they are announced, also while lists are under way.
async fn heed(backend: Arc<Attached>) {
    let mut changes = backend.changes();
    while changes.changed().await.is_ok() {
        let now = *changes.borrow_and_update();
        backend.heed(now);
    }
}

/// How long the first of the lists that run out is fresh still; `None` where no list says so.
fn soonest(inventory: &Inventory) -> Option<Duration> {
    let until = inventory.freshness.iter().filter_map(|list| list.until).min()?;
    Some(until.saturating_duration_since(Instant::now()))
}

/// How soon lists are fetched again because they have run out: then, a little spread, so that many backends do not do it
/// together; and ever later, up to a bound, where nothing is ever new (2026-07-28 `server/utilities/caching` wants both of
/// whoever polls).
#[derive(Debug, Default)]
struct Poll {
    /// How often in a row nothing was new.
    calm: u32,
}

impl Poll {
    /// Never sooner.
    const SOONEST: Duration = Duration::from_secs(1);
    /// Lists that live shorter are fetched less often as long as nothing is new in them, but at least so often.
    const CALM: Duration = Duration::from_secs(15);

    /// The pause before lists are fetched that are fresh for `left`, and the `same` as before.
    fn pause(&mut self, left: Option<Duration>, same: bool) -> Duration {
        self.calm = if same { self.calm.saturating_add(1) } else { 0 };
        let Some(left) = left else {
            return Duration::MAX;
        };
        let left = left.max(Self::SOONEST);
        let later = left.saturating_mul(1 << self.calm.min(4)).min(Self::CALM);
        let spread = f64::from(getrandom::u32().unwrap_or_default()) / f64::from(u32::MAX) / 10.0;
        left.max(later).mul_f64(1.0 + spread)
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
    fn lists_are_polled_as_they_run_out_and_less_where_nothing_is_new() {
        let mut poll = Poll::default();
        let mut after = |seconds: f64, same, expected: f64| {
            let pause = poll.pause(Some(Duration::from_secs_f64(seconds)), same).as_secs_f64();
            assert!(pause >= expected && pause <= expected * 1.101, "{pause} s, not {expected} s");
        };
        after(0.001, false, 1.0);
        for expected in [2.0, 4.0, 8.0, 15.0, 15.0, 15.0] {
            after(1.0, true, expected);
        }
        after(60.0, true, 60.0);
        after(1.0, false, 1.0);
        assert_eq!(poll.pause(None, false), Duration::MAX);
    }

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
