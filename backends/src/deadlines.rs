//! When an exchange must have moved, and when it must have ended.

use crate::BackendError;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use weir_config::BackendTimeouts;

/// The two bounds on the time of one exchange.
#[derive(Debug)]
pub(crate) struct Deadlines {
    end: Instant,
    idle: Duration,
    total: Duration,
}

impl Deadlines {
    /// The bounds of a call that starts now.
    pub(crate) fn start(timeouts: &BackendTimeouts) -> Self {
        Self {
            end: Instant::now() + timeouts.call,
            idle: timeouts.idle,
            total: timeouts.call,
        }
    }

    /// For a stream that lives until something else ends it.
    pub(crate) fn endless() -> Self {
        let year = Duration::from_secs(365 * 86_400);
        Self {
            end: Instant::now() + year,
            idle: year,
            total: year,
        }
    }

    /// Waits for the next sign of life.
    pub(crate) async fn watch<F: Future>(&self, future: F) -> Result<F::Output, BackendError> {
        let idle = Instant::now() + self.idle;
        timeout_at(idle.min(self.end), future).await.map_err(|_| {
            if idle < self.end {
                BackendError::Timeout {
                    what: "a sign of life",
                    after: self.idle,
                }
            } else {
                BackendError::Timeout {
                    what: "the end of the call",
                    after: self.total,
                }
            }
        })
    }
}
