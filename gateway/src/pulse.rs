//! A slow beat on every serving thread.
//!
//! Calls that take long look up at each beat: whether their client needs a comment, whether weir gives up. A timer of its
//! own for every call would cost more than the rest of its waiting, since a timer that is due before all others makes the
//! runtime wake itself.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// The time between two beats.
pub(crate) const PERIOD: Duration = Duration::from_millis(250);

thread_local! {
    static HERE: Arc<Notify> = Arc::default();
}

/// The beat of this thread; wait for it with `notified`.
pub(crate) fn here() -> Arc<Notify> {
    HERE.with(Arc::clone)
}

/// Beats for ever; each serving thread runs this once.
pub(crate) async fn beat() {
    let here = here();
    loop {
        tokio::time::sleep(PERIOD).await;
        here.notify_waiters();
    }
}
