//! Waiting for a condition: polled, with a deadline, so that a test neither guesses a duration nor hangs.

use std::time::{Duration, Instant};

/// How long anything may take before a test gives up on it. Generous: a slow machine is not a failure.
pub const DEADLINE: Duration = Duration::from_secs(60);

const PAUSE: Duration = Duration::from_millis(10);

/// Polls until `condition` yields a value. Panics with `what` when the deadline passes.
pub fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    poll(DEADLINE, &mut condition).unwrap_or_else(|| panic!("waited {DEADLINE:?} in vain until {what}"))
}

/// Polls until `condition` holds. Panics with `what` when the deadline passes.
pub fn until_true(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || condition().then_some(()));
}

/// Polls until `condition` yields a value, or `None` once `limit` has passed.
pub fn poll<T>(limit: Duration, condition: &mut dyn FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}
