//! Client sessions that have ended, remembered while a late call of theirs may still be on its way.

use crate::SessionKey;
use std::collections::{HashSet, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// As long as a call may last by default.
const KEPT: Duration = Duration::from_secs(600);
/// Beyond this many the oldest are forgotten.
const MOST: usize = 16_384;

/// The keys of client sessions that ended lately; nothing may be opened for them any more.
#[derive(Debug, Default)]
pub(crate) struct Departed {
    keys: HashSet<SessionKey>,
    order: VecDeque<(Instant, SessionKey)>,
}

impl Departed {
    /// The session of `key` has ended.
    pub(crate) fn add(&mut self, key: SessionKey) {
        let now = Instant::now();
        while let Some(&(since, oldest)) = self.order.front()
            && (self.order.len() >= MOST || now.duration_since(since) >= KEPT)
        {
            self.keys.remove(&oldest);
            self.order.pop_front();
        }
        if self.keys.insert(key) {
            self.order.push_back((now, key));
        }
    }

    /// Whether the session of `key` is known to have ended.
    pub(crate) fn contains(&self, key: SessionKey) -> bool {
        self.keys.contains(&key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_memory_is_bounded_in_time_and_number() {
        let mut departed = Departed::default();
        let key = |number: usize| SessionKey::Client(number as u128);
        departed.add(key(0));
        departed.add(key(0));
        assert!(departed.contains(key(0)) && !departed.contains(key(1)));
        for number in 1..=MOST {
            departed.add(key(number));
        }
        assert!(!departed.contains(key(0)) && departed.contains(key(1)));
        assert_eq!((departed.keys.len(), departed.order.len()), (MOST, MOST));
        tokio::time::advance(KEPT).await;
        departed.add(key(0));
        assert_eq!((departed.keys.len(), departed.order.len()), (1, 1));
    }
}
