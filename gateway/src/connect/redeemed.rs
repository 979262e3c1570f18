//! Logins that came back: each leads on once.

use super::login::TIME;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;

/// So many of them are remembered, the latest.
const MOST: u64 = 10_000;

/// The nonces of logins that came back.
#[derive(Debug)]
pub(super) struct Redeemed(Cache<String, ()>);

impl Default for Redeemed {
    fn default() -> Self {
        let kept = Cache::builder().max_capacity(MOST).time_to_live(TIME);
        Self(kept.eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl Redeemed {
    /// Whether the login of this nonce comes back for the first time.
    pub(super) fn take(&self, nonce: &str) -> bool {
        self.0.entry_by_ref(nonce).or_insert(()).is_fresh()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_counts_once() {
        let redeemed = Redeemed::default();
        assert_eq!(["a", "b", "a", "b"].map(|nonce| redeemed.take(nonce)), [true, true, false, false]);
    }
}
