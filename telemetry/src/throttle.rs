//! Lines that others can cause as often as they like.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How long no other line follows one.
const QUIET: Duration = Duration::from_secs(1);

/// Lets one line a second into the log, and counts those that it leaves out.
#[derive(Debug)]
pub struct Throttle {
    begun: Instant,
    /// When the next line may follow, in milliseconds after the beginning.
    next: AtomicU64,
    left_out: AtomicU64,
}

impl Default for Throttle {
    fn default() -> Self {
        Self { begun: Instant::now(), next: AtomicU64::new(0), left_out: AtomicU64::new(0) }
    }
}

impl Throttle {
    /// Whether a line is to be written now; if so, how many were left out since the last one.
    pub fn admit(&self) -> Option<u64> {
        self.at(self.begun.elapsed())
    }

    fn at(&self, now: Duration) -> Option<u64> {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let (now, after) = (milliseconds(now), milliseconds(now.saturating_add(QUIET)));
        let next = self.next.load(Ordering::Relaxed);
        let own = next <= now
            && self.next.compare_exchange(next, after, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if own {
            return Some(self.left_out.swap(0, Ordering::Relaxed));
        }
        self.left_out.fetch_add(1, Ordering::Relaxed);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_second_says_how_many_were_left_out() {
        let throttle = Throttle::default();
        let said = [0, 1, 999, 1000, 1001, 60_000, 60_001].map(|at| throttle.at(Duration::from_millis(at)));
        assert_eq!(said, [Some(0), None, None, Some(2), None, Some(1), None]);
    }
}
