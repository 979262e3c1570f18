//! Which of a backend's processes a call gets, or that it gets the one event stream, where clients share them.
//!
//! A server's request there does not say which call it belongs to. A call whose client can be asked has the process to
//! itself while it runs, also while its client is being asked; calls of all others run side by side.

use crate::BackendError;
use crate::exchange::Held;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// What runs in each process, and who waits.
#[derive(Debug)]
pub(crate) struct Pool {
    state: Mutex<State>,
    /// What is told to those who waited in vain, behind the number of processes.
    busy: &'static str,
}

#[derive(Debug)]
struct State {
    lanes: Vec<Lane>,
    waiting: VecDeque<Waiting>,
}

/// What runs in one process.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    /// Calls whose clients cannot be asked.
    quiet: usize,
    /// There is one whose client can be.
    asks: bool,
}

#[derive(Debug)]
struct Waiting {
    asks: bool,
    granted: oneshot::Sender<Ticket>,
}

/// The right to call one of the processes, until it is dropped.
#[derive(Debug)]
pub(crate) struct Ticket {
    pool: Arc<Pool>,
    /// The number of the process.
    pub(crate) instance: usize,
    asks: bool,
}

impl Held for Ticket {}

impl Drop for Ticket {
    fn drop(&mut self) {
        {
            let mut state = self.pool.state.lock();
            if let Some(lane) = state.lanes.get_mut(self.instance) {
                match self.asks {
                    true => lane.asks = false,
                    false => lane.quiet = lane.quiet.saturating_sub(1),
                }
            }
        }
        Pool::advance(&self.pool);
    }
}

/// Lets those behind pass when a call waits no longer.
struct Queued<'a>(&'a Arc<Pool>);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        Pool::advance(self.0);
    }
}

impl State {
    /// The process for a call, if one may run it now: for a quiet one rather a process of its like.
    fn take(&mut self, asks: bool) -> Option<usize> {
        let find = |fits: fn(&Lane) -> bool| self.lanes.iter().position(fits);
        let free = || find(|lane| !lane.asks && lane.quiet == 0);
        let instance = if asks { free() } else { find(|lane| lane.quiet > 0).or_else(free) }?;
        let lane = self.lanes.get_mut(instance)?;
        if asks {
            lane.asks = true;
        } else {
            lane.quiet += 1;
        }
        Some(instance)
    }
}

impl Pool {
    pub(crate) fn new(instances: usize, busy: &'static str) -> Arc<Self> {
        let lanes = vec![Lane::default(); instances];
        Arc::new(Self { state: Mutex::new(State { lanes, waiting: VecDeque::new() }), busy })
    }

    fn ticket(self: &Arc<Self>, instance: usize, asks: bool) -> Ticket {
        Ticket { pool: self.clone(), instance, asks }
    }

    /// A process for a call whose client can be asked, or cannot; waited for in turn, at most for `limit`. Nobody overtakes:
    /// calls that could run side by side would else keep one out that cannot.
    pub(crate) async fn enter(self: &Arc<Self>, asks: bool, limit: Duration) -> Result<Ticket, BackendError> {
        let (_queued, mut ticket, instances) = {
            let mut state = self.state.lock();
            if state.waiting.is_empty()
                && let Some(instance) = state.take(asks)
            {
                return Ok(self.ticket(instance, asks));
            }
            let (granted, ticket) = oneshot::channel();
            state.waiting.push_back(Waiting { asks, granted });
            (Queued(self), ticket, state.lanes.len())
        };
        match timeout(limit, &mut ticket).await {
            Ok(Ok(ticket)) => Ok(ticket),
            _ => Err(BackendError::Busy { limit: instances, what: self.busy }),
        }
    }

    /// Lets in who waits, in turn.
    fn advance(self: &Arc<Self>) {
        let mut let_in = Vec::new();
        {
            let mut state = self.state.lock();
            while let Some(first) = state.waiting.front() {
                let asks = first.asks;
                if first.granted.is_closed() {
                    state.waiting.pop_front();
                } else if let Some(instance) = state.take(asks) {
                    let_in.extend(state.waiting.pop_front().map(|first| (first.granted, instance, asks)));
                } else {
                    break;
                }
            }
        }
        // Whoever has left meanwhile gives the ticket back by dropping it, for which the lock must be free.
        for (granted, instance, asks) in let_in {
            let _ = granted.send(self.ticket(instance, asks));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const LIMIT: Duration = Duration::from_secs(5);

    #[tokio::test]
    async fn calls_that_can_be_asked_are_alone() {
        let pool = Pool::new(2, "busy");
        let quiet = [pool.enter(false, LIMIT).await.unwrap(), pool.enter(false, LIMIT).await.unwrap()];
        assert_eq!(quiet.each_ref().map(|ticket| ticket.instance), [0, 0], "their like share a process");
        let asking = pool.enter(true, LIMIT).await.unwrap();
        assert_eq!(asking.instance, 1);
        let mut waiting = Box::pin(pool.enter(true, LIMIT));
        assert!((&mut waiting).now_or_never().is_none());
        let mut behind = Box::pin(pool.enter(false, LIMIT));
        assert!((&mut behind).now_or_never().is_none(), "nobody overtakes");
        let [first, second] = quiet;
        drop(first);
        assert!((&mut waiting).now_or_never().is_none());
        drop(second);
        assert_eq!(waiting.await.unwrap().instance, 0);
        drop(asking);
        assert_eq!(behind.await.unwrap().instance, 0, "the one before has left");
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends() {
        let pool = Pool::new(1, "busy");
        let quiet = pool.enter(false, LIMIT).await.unwrap();
        let (late, let_in) = tokio::join!(pool.enter(true, LIMIT), pool.enter(false, 2 * LIMIT));
        let words = "is busy: 1 busy, try again later";
        assert_eq!(late.unwrap_err().to_string(), words);
        let_in.expect("who waits no longer keeps nobody out");
        drop(quiet);
        pool.enter(true, LIMIT).await.unwrap();
    }

    #[tokio::test]
    async fn who_leaves_takes_nothing_along() {
        let pool = Pool::new(1, "busy");
        let asking = pool.enter(true, LIMIT).await.unwrap();
        let mut leaving = Box::pin(pool.enter(true, LIMIT));
        let mut staying = Box::pin(pool.enter(true, LIMIT));
        assert!((&mut leaving).now_or_never().is_none() && (&mut staying).now_or_never().is_none());
        drop(asking);
        // It was let in and never learnt of it.
        drop(leaving);
        staying.await.unwrap();
    }
}
