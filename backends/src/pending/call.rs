//! A client's call whose answer comes on a stream with many others.

use super::Waiting;
use crate::BackendError;
use crate::deadlines::Deadlines;
use crate::errand::TaskState;
use crate::exchange::{Event, Outcome};
use bytes::Bytes;
use std::sync::Arc;

/// Whoever owes the answer to a request.
pub(crate) trait Debtor: std::fmt::Debug + Send + Sync {
    /// Nobody waits for the answer to `id` any longer.
    fn release(self: Arc<Self>, id: u64);

    /// Sends the answer of the client of the call `id` to a request of its own. Where that does not reach it, the call has
    /// failed: it would wait for good.
    fn reply(self: Arc<Self>, id: u64, body: Bytes);

    /// A call has become this task, and was given up before anybody read that.
    fn end_task(self: Arc<Self>, id: Arc<str>);
}

/// A client's call under way. Dropped before its end, it is cancelled.
#[derive(Debug)]
pub(crate) struct PendingCall {
    debtor: Arc<dyn Debtor>,
    id: u64,
    waiting: Waiting,
    deadlines: Deadlines,
    /// An event that was taken and put back.
    first: Option<Event>,
    ended: bool,
}

impl PendingCall {
    pub(crate) fn new(debtor: Arc<dyn Debtor>, id: u64, waiting: Waiting, deadlines: Deadlines) -> Self {
        Self { debtor, id, waiting, deadlines, first: None, ended: false }
    }

    /// Puts an event back: it is the next one again.
    pub(crate) fn put_back(&mut self, event: Event) {
        self.first = Some(event);
    }

    /// Sends the answer of the call's client to a request of the server, where that waits for one.
    pub(crate) fn reply(&mut self, body: Bytes) {
        if self.waiting.0.settle(&body) {
            self.deadlines.answered();
            self.debtor.clone().reply(self.id, body);
        }
    }

    /// The next event of the call. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Event, BackendError> {
        if let Some(event) = self.first.take() {
            return Ok(event);
        }
        match self.deadlines.watch(self.waiting.0.next()).await? {
            Ok(event) => {
                self.deadlines.heard(&event);
                Ok(event)
            }
            Err(answer) => {
                self.ended = true;
                answer.and_then(Outcome::of).map(Event::Outcome)
            }
        }
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        // Before the cancellation: what the server still says of the call then shows that it has ended.
        for refusal in self.waiting.0.refusals() {
            self.debtor.clone().reply(self.id, refusal);
        }
        if !self.ended {
            if let Some(Ok(answer)) = self.waiting.0.unread()
                && answer.is_task()
                && let Some(state) = TaskState::begun(&answer)
            {
                self.debtor.clone().end_task(state.id);
            }
            self.debtor.clone().release(self.id);
        }
    }
}
