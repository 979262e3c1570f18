//! Ending in good order: who is still at work, and how far the end has come.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use tokio::sync::{Notify, watch};

/// How far the end has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Serving.
    Serving,
    /// No new connections or requests; streams end; calls may finish.
    Draining,
    /// Calls that have not finished are given up.
    Ending,
}

/// Counts what is under way and tells everybody when the end comes.
#[derive(Debug)]
pub(crate) struct Drain {
    phase: watch::Sender<Phase>,
    /// The same for those who only look: every request does, and a watch costs a lock.
    now: AtomicU8,
    requests: AtomicUsize,
    /// Requests of which it is not known yet who sends them. They are none of the above, so that strangers take nobody's place.
    waiting: AtomicUsize,
    idle: Notify,
}

/// One request under way.
#[derive(Debug)]
pub(crate) struct Admitted(Arc<Drain>);

impl Drop for Admitted {
    fn drop(&mut self) {
        if self.0.requests.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_one();
        }
    }
}

/// Where requests wait of which it is not known yet who sends them.
#[derive(Debug, Default)]
pub(crate) struct Room(Arc<AtomicUsize>);

/// One request of which it is not known yet who sends it.
#[derive(Debug)]
pub(crate) struct Waiting {
    drain: Arc<Drain>,
    room: Arc<AtomicUsize>,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.room.fetch_sub(1, Ordering::AcqRel);
        if self.drain.waiting.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.drain.idle.notify_one();
        }
    }
}

impl Drain {
    /// Nothing is under way.
    pub(crate) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Serving),
            now: AtomicU8::new(0),
            requests: AtomicUsize::new(0),
            waiting: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    /// Lets a request in; `None` where there are `limit` already.
    pub(crate) fn admit(self: &Arc<Self>, limit: usize) -> Option<Admitted> {
        let admitted = Admitted(self.clone());
        // The count goes up before the look, so that a refused request takes its own place back by being dropped.
        let before = self.requests.fetch_add(1, Ordering::AcqRel);
        (before < limit).then_some(admitted)
    }

    /// Lets a request wait in `room` until it is known who sends it; `None` where there are `most` already.
    pub(crate) fn wait(self: &Arc<Self>, room: &Room, most: usize) -> Option<Waiting> {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        let before = room.0.fetch_add(1, Ordering::AcqRel);
        let waiting = Waiting { drain: self.clone(), room: room.0.clone() };
        (before < most).then_some(waiting)
    }

    /// How far the end has come.
    pub(crate) fn phase(&self) -> Phase {
        match self.now.load(Ordering::Relaxed) {
            0 => Phase::Serving,
            1 => Phase::Draining,
            _ => Phase::Ending,
        }
    }

    /// Moves on to `phase`.
    pub(crate) fn enter(&self, phase: Phase) {
        self.now.store(phase as u8, Ordering::Relaxed);
        self.phase.send_replace(phase);
    }

    /// A watch on the phase.
    pub(crate) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Waits until no request is under way, or waits to be.
    pub(crate) async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            // In this order, since who waited becomes a request first and leaves then.
            if self.waiting.load(Ordering::Acquire) == 0 && self.requests.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// Waits until `phase` is reached. Cancel-safe.
pub(crate) async fn reached(watch: &mut watch::Receiver<Phase>, phase: Phase) {
    let _ = watch.wait_for(|now| *now >= phase).await;
}
