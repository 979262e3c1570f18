//! When an exchange must have moved, and when it must have ended.

use crate::{Augment, BackendError, Call, Event};
use futures_util::poll;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use weir_config::BackendTimeouts;
use weir_protocol::Method;

/// The two bounds on the time of one exchange.
#[derive(Debug)]
pub(crate) struct Deadlines {
    start: Instant,
    /// Milliseconds from the start to the last sign of life.
    alive: AtomicU64,
    idle: Duration,
    total: Duration,
    /// How many requests of the backend its caller has not answered yet. Meanwhile it is not the backend that is slow.
    questions: AtomicU32,
    /// Milliseconds from the start to the first of them.
    asked: AtomicU64,
    /// Milliseconds that were spent on answering.
    pardoned: AtomicU64,
    /// As `alive`, where somebody else reads what the backend sends.
    heard: Option<Arc<AtomicU64>>,
}

impl Deadlines {
    /// The bounds of a call that starts now.
    pub(crate) fn start(timeouts: &BackendTimeouts) -> Self {
        Self::new(timeouts.idle, timeouts.call)
    }

    /// The same for `call`. Where it waits for the result of a task, for a client that knows nothing of one, its bounds are those
    /// of the whole.
    pub(crate) fn of(call: &Call, timeouts: &BackendTimeouts) -> Self {
        match (call.method, call.augment) {
            (Method::TasksResult, Augment::Gateway(_)) => Self::endless(),
            _ => Self::start(timeouts),
        }
    }

    /// For a stream that lives until something else ends it.
    pub(crate) fn endless() -> Self {
        let year = Duration::from_secs(365 * 86_400);
        Self::new(year, year)
    }

    fn new(idle: Duration, total: Duration) -> Self {
        Self {
            start: Instant::now(),
            alive: AtomicU64::new(0),
            idle,
            total,
            questions: AtomicU32::new(0),
            asked: AtomicU64::new(0),
            pardoned: AtomicU64::new(0),
            heard: None,
        }
    }

    /// For somebody who reads what the backend sends, on behalf of whoever keeps these bounds: only the signs of life are
    /// shared.
    pub(crate) fn reader(&mut self) -> Self {
        let heard = self.heard.get_or_insert_default().clone();
        Self { start: self.start, heard: Some(heard), ..Self::endless() }
    }

    /// Milliseconds from the start to the last sign of life.
    fn last(&self) -> u64 {
        let heard = self.heard.as_ref().map_or(0, |heard| heard.load(Ordering::Relaxed));
        self.alive.load(Ordering::Relaxed).max(heard)
    }

    fn elapsed(&self) -> u64 {
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Takes in what an event says of the backend's requests.
    pub(crate) fn heard(&self, event: &Event) {
        match event {
            Event::Asked(_) => self.asked(),
            Event::Withdrawn(_) => self.answered(),
            Event::Progress(_) | Event::Log(_) | Event::Outcome(_) => {}
        }
    }

    /// The backend asks its caller for something; until that is answered no time is counted. How long the caller may take
    /// is bounded where it is asked.
    pub(crate) fn asked(&self) {
        if self.questions.fetch_add(1, Ordering::Relaxed) == 0 {
            self.asked.store(self.elapsed(), Ordering::Relaxed);
        }
    }

    /// One request of the backend is answered.
    pub(crate) fn answered(&self) {
        if self.questions.load(Ordering::Relaxed) == 0 {
            return;
        }
        if self.questions.fetch_sub(1, Ordering::Relaxed) == 1 {
            let now = self.elapsed();
            let spent = now.saturating_sub(self.asked.load(Ordering::Relaxed));
            self.pardoned.fetch_add(spent, Ordering::Relaxed);
            self.alive.store(now, Ordering::Relaxed);
        }
    }

    fn is_paused(&self) -> bool {
        self.questions.load(Ordering::Relaxed) > 0
    }

    /// When the call must have ended, counted from its start.
    fn end(&self) -> Duration {
        self.total + Duration::from_millis(self.pardoned.load(Ordering::Relaxed))
    }

    /// Takes in a sign of life. It comes too late behind the end: there may always be another one already, so that
    /// nothing is ever waited for.
    pub(crate) fn lives(&self) -> Result<(), BackendError> {
        let elapsed = self.start.elapsed();
        let alive = u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX);
        self.alive.store(alive, Ordering::Relaxed);
        if let Some(heard) = &self.heard {
            heard.store(alive, Ordering::Relaxed);
        }
        if elapsed > self.end() && !self.is_paused() { Err(self.late()) } else { Ok(()) }
    }

    fn late(&self) -> BackendError {
        BackendError::Timeout { what: "the end of the call", after: self.total }
    }

    /// Waits for the next sign of life. The silence is counted from the last one, however often the wait itself is given
    /// up and begun again in between.
    pub(crate) async fn watch<F: Future>(&self, future: F) -> Result<F::Output, BackendError> {
        let mut future = pin!(future);
        // What is there already needs no timer.
        if let Poll::Ready(output) = poll!(&mut future) {
            return self.lives().map(|()| output);
        }
        if self.is_paused() {
            let output = future.await;
            return self.lives().map(|()| output);
        }
        let end = self.start + self.end();
        loop {
            let last = self.last();
            let idle = self.start + Duration::from_millis(last) + self.idle;
            match timeout_at(idle.min(end), &mut future).await {
                Ok(output) => return self.lives().map(|()| output),
                Err(_) if idle >= end => return Err(self.late()),
                // Another may have heard of the backend meanwhile.
                Err(_) if self.last() > last => {}
                Err(_) => return Err(BackendError::Timeout { what: "a sign of life", after: self.idle }),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_counted_across_waits() {
        let deadlines = Deadlines::new(Duration::from_secs(10), Duration::from_secs(25));
        for _ in 0..3 {
            let wait = deadlines.watch(std::future::pending::<()>());
            assert!(tokio::time::timeout(Duration::from_secs(3), wait).await.is_err());
        }
        let begun = Instant::now();
        let ended = deadlines.watch(std::future::pending::<()>()).await;
        assert!(matches!(ended, Err(BackendError::Timeout { what: "a sign of life", .. })));
        assert_eq!(begun.elapsed().as_secs(), 1, "nine seconds of silence went before");
    }

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_do_not_move_the_end() {
        let deadlines = Deadlines::new(Duration::from_secs(10), Duration::from_secs(25));
        for _ in 0..3 {
            deadlines.watch(tokio::time::sleep(Duration::from_secs(8))).await.unwrap();
        }
        let ended = deadlines.watch(std::future::pending::<()>()).await;
        assert!(matches!(ended, Err(BackendError::Timeout { what: "the end of the call", .. })));
        assert_eq!(deadlines.start.elapsed().as_secs(), 25);
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_caller_takes_is_not_counted() {
        let deadlines = Deadlines::new(Duration::from_secs(10), Duration::from_secs(25));
        deadlines.watch(tokio::time::sleep(Duration::from_secs(9))).await.unwrap();
        deadlines.asked();
        deadlines.asked();
        deadlines.watch(tokio::time::sleep(Duration::from_secs(500))).await.unwrap();
        deadlines.answered();
        deadlines.watch(tokio::time::sleep(Duration::from_secs(500))).await.unwrap();
        deadlines.answered();
        deadlines.answered();
        deadlines.watch(tokio::time::sleep(Duration::from_secs(9))).await.unwrap();
        let ended = deadlines.watch(std::future::pending::<()>()).await;
        assert!(matches!(ended, Err(BackendError::Timeout { what: "the end of the call", .. })));
        assert_eq!(deadlines.start.elapsed().as_secs(), 1025);
    }

    #[tokio::test(start_paused = true)]
    async fn what_another_hears_is_a_sign_of_life() {
        let mut deadlines = Deadlines::new(Duration::from_secs(10), Duration::from_secs(25));
        let reader = deadlines.reader();
        let hear = async {
            tokio::time::sleep(Duration::from_secs(8)).await;
            reader.watch(tokio::time::sleep(Duration::from_secs(1))).await.unwrap();
            std::future::pending::<()>().await;
        };
        let ended = tokio::select! {
            ended = deadlines.watch(std::future::pending::<()>()) => ended,
            () = hear => Ok(()),
        };
        assert!(matches!(ended, Err(BackendError::Timeout { what: "a sign of life", .. })));
        assert_eq!(deadlines.start.elapsed().as_secs(), 19);
    }

    #[tokio::test(start_paused = true)]
    async fn what_never_waits_ends_too() {
        let deadlines = Deadlines::new(Duration::from_secs(10), Duration::from_secs(25));
        deadlines.watch(std::future::ready(())).await.unwrap();
        tokio::time::advance(Duration::from_secs(26)).await;
        let ended = deadlines.watch(std::future::ready(())).await;
        assert!(matches!(ended, Err(BackendError::Timeout { what: "the end of the call", .. })));
    }
}
