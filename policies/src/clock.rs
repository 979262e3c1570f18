//! What time it is: a seam, so that tests can say.

use std::fmt::Debug;
use std::sync::LazyLock;
use std::time::{Duration, Instant, SystemTime};

/// Two clocks: one that people agree on, and one that never goes back.
pub trait Clock: Send + Sync + Debug {
    /// The time of day.
    fn now(&self) -> SystemTime;

    /// Time since some moment, which no setting of the clock changes.
    fn steady(&self) -> Duration;
}

/// The clocks of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn steady(&self) -> Duration {
        START.elapsed()
    }
}
