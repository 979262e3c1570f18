//! Policies that are decided beside the others and never enforced: what would change is logged.

use super::decider::Decider;
use crate::{Action, Context, Item, Principal};
use moka::sync::Cache;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The same difference is logged again only after this.
const QUIET: Duration = Duration::from_secs(60);
/// Most differences that are told apart within that time; beyond, some are logged more often.
const MOST: u64 = 10_000;

/// The second set of policies.
#[derive(Debug)]
pub(crate) struct Shadow {
    endpoint: String,
    pub(super) decider: Decider,
    differences: AtomicU64,
    logged: Cache<(Action, String, bool), ()>,
}

impl Shadow {
    pub(crate) fn new(endpoint: &str, decider: Decider) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            decider,
            differences: AtomicU64::new(0),
            logged: Cache::builder().max_capacity(MOST).time_to_live(QUIET).build(),
        }
    }

    /// Decides a call that was decided, and says so where the decision would be another.
    pub(crate) fn compare(
        &self,
        principal: &Principal,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
        allowed: bool,
    ) {
        let verdict = self.decider.decide(&self.decider.class(principal), action, item, context);
        if verdict.allows() == allowed {
            return;
        }
        let number = self.differences.fetch_add(1, Ordering::Relaxed) + 1;
        // The backend, and not the item: a URI may be the caller's own invention.
        let key = (action, item.backend.to_owned(), allowed);
        if self.logged.contains_key(&key) {
            return;
        }
        self.logged.insert(key, ());
        let failed = verdict.failed.iter().map(|(number, _)| number);
        let by = verdict.permits.iter().chain(&verdict.forbids).chain(failed);
        let by: Vec<&str> = by.filter_map(|number| Some(&*self.decider.rule(*number)?.id)).collect();
        let (now, then) = if allowed { ("allowed", "denied") } else { ("denied", "allowed") };
        tracing::info!(
            endpoint = self.endpoint,
            action = action.name(),
            item = super::brief(item.name),
            policies = by.join(", "),
            differences = number,
            "a call is {now} that the shadow policies would have {then}"
        );
    }

    /// How many calls would have been decided otherwise.
    pub(crate) fn differences(&self) -> u64 {
        self.differences.load(Ordering::Relaxed)
    }
}
