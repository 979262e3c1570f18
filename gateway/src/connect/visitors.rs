//! Who logged in at which browser. It is kept here and not in cookies, which would be too small for what an issuer says of
//! somebody.

use super::browser::KNOWN;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::Principal;

/// The most that is kept, in bytes; beyond that, whoever was not seen for longest has to log in again.
const ROOM: u64 = 64 << 20;
/// What a visitor takes beside what the issuer says, in bytes, about.
const OVERHEAD: usize = 1024;

/// Who logged in at an endpoint.
#[derive(Debug)]
pub(super) struct Visitor {
    /// The endpoint's number.
    pub(super) endpoint: usize,
    pub(super) principal: Principal,
}

/// Everybody who logged in within the last hour, by the ids of their browsers.
#[derive(Debug)]
pub(super) struct Visitors(Cache<[u8; 16], Arc<(Visitor, usize)>>);

impl Default for Visitors {
    fn default() -> Self {
        let weigh = |_: &[u8; 16], kept: &Arc<(Visitor, usize)>| u32::try_from(kept.1).unwrap_or(u32::MAX);
        let kept = Cache::builder().max_capacity(ROOM).weigher(weigh).eviction_policy(EvictionPolicy::lru());
        Self(kept.time_to_live(Duration::from_secs(KNOWN)).build())
    }
}

impl Visitors {
    /// Somebody logged in at a browser, of whom the issuer said so many bytes.
    pub(super) fn put(&self, browser: [u8; 16], visitor: Visitor, said: usize) {
        // As values they take more than as text.
        let size = said.saturating_mul(8).saturating_add(OVERHEAD);
        self.0.insert(browser, Arc::new((visitor, size)));
    }

    /// Who logged in at a browser for an endpoint.
    pub(super) fn at(&self, browser: [u8; 16], endpoint: usize) -> Option<Principal> {
        let kept = self.0.get(&browser)?;
        (kept.0.endpoint == endpoint).then(|| kept.0.principal.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_visitor_is_of_one_browser_and_one_endpoint() {
        let visitors = Visitors::default();
        let ada = || Visitor { endpoint: 1, principal: Principal::of("https://a", "ada") };
        visitors.put([1; 16], ada(), 100);
        assert_eq!(visitors.at([1; 16], 1), Some(ada().principal));
        assert_eq!(visitors.at([1; 16], 2), None);
        assert_eq!(visitors.at([2; 16], 1), None);
    }

    #[test]
    fn whoever_came_last_is_known() {
        let visitors = Visitors::default();
        for number in 0..=u8::MAX {
            visitors.put([number; 16], Visitor { endpoint: 1, principal: Principal::anonymous() }, 256 << 10);
        }
        visitors.0.run_pending_tasks();
        assert!(visitors.0.weighted_size() <= ROOM);
        assert!(visitors.at([u8::MAX; 16], 1).is_some());
    }
}
