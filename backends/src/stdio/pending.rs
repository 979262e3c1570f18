//! Requests that a child process owes an answer to.

use super::child::Child;
use crate::deadlines::Deadlines;
use crate::exchange::{Event, Message, Outcome};
use crate::{BackendError, message};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// Progress that waits for a slow client; more is dropped, since later progress replaces earlier.
const PROGRESS: usize = 256;

#[derive(Debug)]
struct Waiter {
    progress: Option<mpsc::Sender<Message>>,
    answer: oneshot::Sender<Result<Message, BackendError>>,
}

/// All requests under way on one child.
#[derive(Debug)]
pub(crate) struct Pending {
    /// An error once the child has ended.
    waiters: Mutex<Result<HashMap<u64, Waiter>, BackendError>>,
}

impl Default for Pending {
    fn default() -> Self {
        Self { waiters: Mutex::new(Ok(HashMap::new())) }
    }
}

/// The receiving side of one request.
#[derive(Debug)]
pub(crate) struct Waiting {
    progress: Option<mpsc::Receiver<Message>>,
    answer: oneshot::Receiver<Result<Message, BackendError>>,
}

impl Pending {
    /// Waits for the answer to `id`, and for its progress where `progress` is set.
    ///
    /// # Errors
    /// The child has ended.
    pub(crate) fn insert(&self, id: u64, progress: bool) -> Result<Waiting, BackendError> {
        let mut waiters = self.waiters.lock();
        let waiters = waiters.as_mut().map_err(|error| error.clone())?;
        let (answer, receiver) = oneshot::channel();
        let (sender, events) = progress.then(|| mpsc::channel(PROGRESS)).unzip();
        waiters.insert(id, Waiter { progress: sender, answer });
        Ok(Waiting { progress: events, answer: receiver })
    }

    /// Nobody waits for `id` any longer.
    pub(crate) fn remove(&self, id: u64) {
        if let Ok(waiters) = self.waiters.lock().as_mut() {
            waiters.remove(&id);
        }
    }

    /// Hands over the answer to `id`; `false` where nobody waits for it.
    pub(crate) fn answer(&self, id: u64, answer: Result<Message, BackendError>) -> bool {
        let waiter = self.waiters.lock().as_mut().ok().and_then(|waiters| waiters.remove(&id));
        waiter.is_some_and(|waiter| waiter.answer.send(answer).is_ok())
    }

    /// Hands over progress to `id`.
    pub(crate) fn progress(&self, id: u64, message: Message) {
        if let Ok(waiters) = self.waiters.lock().as_ref()
            && let Some(sender) = waiters.get(&id).and_then(|waiter| waiter.progress.as_ref())
        {
            let _ = sender.try_send(message);
        }
    }

    /// The child has ended: everybody who waits, and who comes later, is told so.
    pub(crate) fn fail(&self, error: &BackendError) {
        let waiters = std::mem::replace(&mut *self.waiters.lock(), Err(error.clone()));
        for (_, waiter) in waiters.into_iter().flatten() {
            let _ = waiter.answer.send(Err(error.clone()));
        }
    }
}

impl Waiting {
    /// The answer alone.
    pub(crate) async fn answer(self) -> Result<Message, BackendError> {
        self.answer.await.unwrap_or(Err(BackendError::Stopping))
    }
}

/// A client's call under way on a child. Dropped before its end, it is cancelled.
#[derive(Debug)]
pub(crate) struct PendingCall {
    child: Arc<Child>,
    id: u64,
    waiting: Waiting,
    deadlines: Deadlines,
    /// The answer, while progress that came before it is still to be handed over.
    held: Option<Result<Message, BackendError>>,
    ended: bool,
}

impl PendingCall {
    pub(crate) fn new(child: Arc<Child>, id: u64, waiting: Waiting, deadlines: Deadlines) -> Self {
        Self { child, id, waiting, deadlines, held: None, ended: false }
    }

    /// The next event of the call. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Event, BackendError> {
        if self.held.is_none() {
            let (progress, answer) = (&mut self.waiting.progress, &mut self.waiting.answer);
            let event = async {
                tokio::select! {
                    biased;
                    Some(message) = receive(progress) => Ok(message),
                    answer = answer => Err(answer.unwrap_or(Err(BackendError::Stopping))),
                }
            };
            match self.deadlines.watch(event).await? {
                Ok(message) => return Ok(Event::Progress(message)),
                Err(answer) => self.held = Some(answer),
            }
        }
        if let Some(message) = self.waiting.progress.as_mut().and_then(|progress| progress.try_recv().ok()) {
            return Ok(Event::Progress(message));
        }
        self.ended = true;
        let answer = self.held.take().unwrap_or(Err(BackendError::Stopping));
        answer.and_then(Outcome::of).map(Event::Outcome)
    }
}

/// The next progress; never ends where none is expected.
async fn receive(progress: &mut Option<mpsc::Receiver<Message>>) -> Option<Message> {
    match progress {
        Some(progress) => progress.recv().await,
        None => std::future::pending().await,
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        if !self.ended {
            self.child.pending().remove(self.id);
            self.child.post(message::cancelled(self.id));
        }
    }
}
