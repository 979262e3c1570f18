//! How often something is done that strangers can cause.

use std::time::Duration;

/// So many times in a row, and then at a steady pace.
#[derive(Debug)]
pub(crate) struct Budget {
    most: u32,
    refill: Duration,
    rest: u32,
    counted: Duration,
}

impl Budget {
    /// At most `most` in a row, and then one in each `refill`.
    pub(crate) fn new(most: u32, refill: Duration) -> Self {
        Self { most, refill, rest: most, counted: Duration::ZERO }
    }

    /// Whether it may be done once more; it is counted.
    pub(crate) fn spend(&mut self, now: Duration) -> bool {
        let passed = now.saturating_sub(self.counted).as_nanos();
        let refills = passed / self.refill.as_nanos().max(1);
        if refills > 0 {
            self.rest = self.rest.saturating_add(u32::try_from(refills).unwrap_or(u32::MAX)).min(self.most);
            self.counted = now;
        }
        match self.rest.checked_sub(1) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// What was counted does not count after all.
    pub(crate) fn give_back(&mut self) {
        self.rest = self.rest.saturating_add(1).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_comes_back_with_time_and_never_more_than_that() {
        let mut budget = Budget::new(2, Duration::from_secs(10));
        let mut spend = |seconds| budget.spend(Duration::from_secs(seconds));
        assert_eq!([1000, 1000, 1000].map(&mut spend), [true, true, false]);
        assert_eq!([1009, 1010, 1010].map(&mut spend), [false, true, false]);
        assert_eq!([2000, 2000, 2000].map(&mut spend), [true, true, false]);
        budget.give_back();
        assert!(budget.spend(Duration::from_secs(2000)) && !budget.spend(Duration::from_secs(2000)));
    }
}
