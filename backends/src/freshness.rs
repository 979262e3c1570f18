//! How long something that a modern server answered may be taken for fresh, and by whom.
//!
//! S: MCP 2026-07-28 `server/utilities/caching`.

use std::time::Duration;
use tokio::time::Instant;
use weir_protocol::Hint;

/// No answer is taken for fresh longer than this, whatever its server says.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Until when an answer is fresh, and for whom; several of them together as long as all are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Freshness {
    /// It is stale from here on; `None` where it was stale from the start, as is whatever bears no hints.
    pub until: Option<Instant>,
    /// It is the same for every caller.
    pub public: bool,
}

impl Freshness {
    /// What an answer is that bears no hints.
    pub const STALE: Self = Self { until: None, public: false };

    /// What `hint` says of an answer that came at `received`.
    pub fn of(hint: Hint, received: Instant) -> Self {
        let ttl = Duration::from_millis(hint.ttl_ms).min(LONGEST);
        let until = received.checked_add(ttl).filter(|_| !ttl.is_zero());
        Self { until, public: hint.public }
    }

    /// What both are together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            until: self.until.zip(other.until).map(|(a, b)| a.min(b)),
            public: self.public && other.public,
        }
    }

    /// What is left of it at `now`, to be told to others.
    pub fn hint(self, now: Instant) -> Hint {
        let left = self.until.map(|until| until.saturating_duration_since(now)).unwrap_or_default();
        Hint { ttl_ms: u64::try_from(left.as_millis()).unwrap_or(u64::MAX), public: self.public }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shortest_life_and_the_narrowest_scope_win() {
        let now = Instant::now();
        let of = |ttl_ms, public| Freshness::of(Hint { ttl_ms, public }, now);
        let both = of(5000, true).and(of(2000, false));
        assert_eq!(both.hint(now), Hint { ttl_ms: 2000, public: false });
        assert_eq!(both.hint(now + Duration::from_millis(1500)), Hint { ttl_ms: 500, public: false });
        assert_eq!(both.hint(now + Duration::from_secs(9)), Hint::default());
        assert_eq!(of(5000, true).and(of(1, true)).hint(now), Hint { ttl_ms: 1, public: true });
        assert_eq!(of(5000, true).and(Freshness::STALE), Freshness::STALE);
        assert_eq!(of(0, true), Freshness { until: None, public: true });
        assert_eq!(of(u64::MAX, true).hint(now).ttl_ms, 86_400_000);
    }
}
