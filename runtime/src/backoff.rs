//! How long to wait before a failed thing is tried again.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

/// Exponential back-off with jitter: each pause is drawn from the upper half of a bound that doubles up to a cap.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    max: Duration,
    bound: Duration,
    /// Never zero: a xorshift sequence would stay there.
    seed: u64,
}

impl Backoff {
    /// Begins at `first` and never exceeds `max`.
    pub fn new(first: Duration, max: Duration) -> Self {
        // Each RandomState has keys of its own, so that many backends that fail together do not come back together.
        Self::seeded(first, max, RandomState::new().hash_one(0_u8))
    }

    fn seeded(first: Duration, max: Duration, seed: u64) -> Self {
        let first = first.min(max);
        Self { first, max, bound: first, seed: seed | 1 }
    }

    /// The next pause.
    #[expect(clippy::should_implement_trait, reason = "a back-off never ends, so it is no iterator")]
    pub fn next(&mut self) -> Duration {
        let half = self.bound / 2;
        let pause = half + half.mul_f64(self.fraction());
        self.bound = self.bound.saturating_mul(2).min(self.max);
        pause
    }

    /// The next pause after a try that held for `healthy`: one that held for at least the cap begins anew.
    pub fn next_after(&mut self, healthy: Duration) -> Duration {
        if healthy >= self.max {
            self.reset();
        }
        self.next()
    }

    /// Begins anew at the first pause.
    pub fn reset(&mut self) {
        self.bound = self.first;
    }

    /// The next number of a xorshift sequence, as a fraction in `[0, 1]`.
    fn fraction(&mut self) -> f64 {
        let mut x = self.seed;
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.seed = x;
        f64::from((x >> 32) as u32) / f64::from(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Backoff;
    use std::time::Duration;

    const FIRST: Duration = Duration::from_millis(100);
    const MAX: Duration = Duration::from_secs(1);

    #[test]
    fn pauses_double_up_to_the_cap_and_stay_in_their_upper_half() {
        for seed in 0..200 {
            let mut backoff = Backoff::seeded(FIRST, MAX, seed);
            for bound in [100, 200, 400, 800, 1000, 1000, 1000].map(Duration::from_millis) {
                let pause = backoff.next();
                assert!(pause >= bound / 2 && pause <= bound, "seed {seed}: {pause:?} for {bound:?}");
            }
        }
    }

    #[test]
    fn reset_and_a_healthy_time_begin_anew() {
        let mut backoff = Backoff::seeded(FIRST, MAX, 7);
        for _ in 0..5 {
            backoff.next();
        }
        assert!(backoff.next_after(MAX - Duration::from_nanos(1)) > FIRST);
        assert!(backoff.next_after(MAX) <= FIRST);
        backoff.next();
        backoff.reset();
        assert!(backoff.next() <= FIRST);
    }

    #[test]
    fn two_of_them_do_not_pause_alike() {
        let pauses = |mut backoff: Backoff| (0..8).map(|_| backoff.next()).collect::<Vec<_>>();
        assert_ne!(pauses(Backoff::new(FIRST, MAX)), pauses(Backoff::new(FIRST, MAX)));
    }

    #[test]
    fn extreme_bounds_do_not_overflow() {
        let mut backoff = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(backoff.next() >= Duration::MAX / 4);
        let mut none = Backoff::new(Duration::ZERO, Duration::ZERO);
        assert_eq!(none.next(), Duration::ZERO);
    }
}
