//! Requests whose answers come on one stream with many others: the output of a child process, or a server's event stream.

mod call;
mod mailbox;
mod tasks;
mod waiter;

pub(crate) use call::{Debtor, PendingCall};
pub(crate) use waiter::Topic;

use crate::errand::TaskState;
use crate::exchange::{Event, Message};
use crate::{BackendError, SessionKey};
use bytes::Bytes;
use mailbox::Mailbox;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tasks::Tasks;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};
use waiter::Waiter;
use weir_protocol::{ClientCapabilities, Logs, Method};

/// So many calls that were given up are known by their ids. Beyond that nobody can tell any more when the last has ended.
const GIVEN_UP: usize = 64;

/// All requests under way on one stream.
#[derive(Debug)]
pub(crate) struct Pending {
    /// An error once the stream has ended.
    open: Mutex<Result<Open, BackendError>>,
    /// The last call that was given up has ended.
    cleared: Notify,
}

#[derive(Debug, Default)]
struct Open {
    waiters: HashMap<u64, Waiter>,
    given_up: GivenUp,
    /// The server has asked some client for input.
    asks: bool,
    tasks: Tasks,
}

impl Open {
    /// Whether the server may still be busy with something that nobody waits for, so that what it says may belong to that.
    fn is_in_doubt(&self) -> bool {
        self.given_up.is_any() || self.tasks.is_any()
    }

    /// The answer to `id` is `message`, for which `waiter` waits.
    fn answered(&mut self, id: u64, waiter: Option<&Waiter>, message: &Message) {
        match waiter.and_then(|waiter| waiter.topic.as_ref()) {
            Some(Topic::About(task)) => self.tasks.hear_about(task, message, false),
            Some(Topic::Result(task)) => self.tasks.hear_about(task, message, true),
            Some(Topic::Offered | Topic::Becoming) | None => self.tasks.hear(message),
        }
        // What is said of the task may follow at once.
        if let Some(waiter) = waiter.filter(|waiter| matches!(waiter.topic, Some(Topic::Becoming)))
            && message.is_task()
            && let Some(state) = TaskState::begun(message)
        {
            let Waiter { progress, logs, capabilities, .. } = *waiter;
            let topic = Some(Topic::About(state.id));
            let follower =
                Waiter { mailbox: Arc::default(), progress, logs, call: true, capabilities, topic };
            self.waiters.insert(id, follower);
        }
    }
}

/// The calls that nobody waits for any more and that the server may still be busy with: it may never say when it has heard
/// of their cancellation.
#[derive(Debug, Default)]
struct GivenUp {
    ids: HashSet<u64>,
    /// There were too many to know them all.
    overflowed: bool,
    /// When the last one was given up.
    last: Option<Instant>,
}

impl GivenUp {
    fn add(&mut self, id: u64) {
        self.last = Some(Instant::now());
        if self.ids.len() < GIVEN_UP {
            self.ids.insert(id);
        } else {
            self.overflowed = true;
        }
    }

    fn is_any(&self) -> bool {
        self.overflowed || !self.ids.is_empty()
    }
}

impl Default for Pending {
    fn default() -> Self {
        Self { open: Mutex::new(Ok(Open::default())), cleared: Notify::new() }
    }
}

/// The receiving side of one request.
#[derive(Debug, Clone)]
pub(crate) struct Waiting(Arc<Mailbox>);

impl Pending {
    /// Waits for the answer to `id`, a request of weir's own.
    ///
    /// # Errors
    /// The stream has ended.
    pub(crate) fn insert(&self, id: u64) -> Result<Waiting, BackendError> {
        self.wait(id, Waiter::own())
    }

    /// Waits for whatever is said of `task`, which the call `id` has become, until that is [removed](Self::remove).
    ///
    /// # Errors
    /// The stream has ended.
    pub(crate) fn follow(
        &self,
        id: u64,
        progress: bool,
        logs: Logs,
        capabilities: ClientCapabilities,
        task: Arc<str>,
    ) -> Result<Waiting, BackendError> {
        if let Ok(open) = self.open.lock().as_ref()
            && let Some(waiter) = open.waiters.get(&id)
            && waiter.task() == Some(&task)
        {
            return Ok(Waiting(waiter.mailbox.clone()));
        }
        self.insert_call(id, progress, logs, capabilities, Some(Topic::About(task)))
    }

    /// Waits for the answer to `id`, a client's call, and for its progress and its log where these are wanted.
    ///
    /// # Errors
    /// The stream has ended.
    pub(crate) fn insert_call(
        &self,
        id: u64,
        progress: bool,
        logs: Logs,
        capabilities: ClientCapabilities,
        topic: Option<Topic>,
    ) -> Result<Waiting, BackendError> {
        self.wait(id, Waiter { mailbox: Arc::default(), progress, logs, call: true, capabilities, topic })
    }

    fn wait(&self, id: u64, waiter: Waiter) -> Result<Waiting, BackendError> {
        let mut open = self.open.lock();
        let open = open.as_mut().map_err(|error| error.clone())?;
        let mailbox = waiter.mailbox.clone();
        open.waiters.insert(id, waiter);
        Ok(Waiting(mailbox))
    }

    /// Nobody waits for `id` any longer, answered or not.
    pub(crate) fn remove(&self, id: u64) {
        if let Ok(open) = self.open.lock().as_mut()
            && open.waiters.remove(&id).is_some_and(|waiter| waiter.is_plain())
        {
            open.given_up.add(id);
        }
    }

    /// Hands over the answer to `id`; `false` where nobody waits for it.
    pub(crate) fn answer(&self, id: u64, answer: Result<Message, BackendError>) -> bool {
        let waiter = self.open.lock().as_mut().ok().and_then(|open| {
            let waiter = open.waiters.remove(&id);
            if let Ok(message) = &answer {
                open.answered(id, waiter.as_ref(), message);
            }
            if waiter.is_none() && open.given_up.ids.remove(&id) {
                self.cleared.notify_waiters();
            }
            waiter
        });
        waiter.inspect(|waiter| waiter.mailbox.answer(answer)).is_some()
    }

    /// Whoever is `waiting` for `id` does so no longer, be it that the call has `ended` or that it was given up. Who waits under
    /// the same number for what became of the call is another.
    pub(crate) fn leave(&self, id: u64, waiting: &Waiting, ended: bool) {
        let is_another = self.open.lock().as_ref().is_ok_and(|open| {
            open.waiters.get(&id).is_some_and(|waiter| !Arc::ptr_eq(&waiter.mailbox, &waiting.0))
        });
        match ended {
            _ if is_another => {}
            true => drop(self.answer(id, Err(BackendError::Stopping))),
            false => self.remove(id),
        }
    }

    /// Tells whoever waits for `id` that `error` came in place of an answer.
    pub(crate) fn give_up(&self, id: u64, error: BackendError) {
        let waiter = self.open.lock().as_mut().ok().and_then(|open| {
            let waiter = open.waiters.remove(&id)?;
            // Of what the server refused, or never heard of, it neither logs nor asks.
            if waiter.is_plain() && !error.is_unheard() {
                open.given_up.add(id);
            }
            Some(waiter)
        });
        if let Some(waiter) = waiter {
            waiter.mailbox.answer(Err(error));
        }
    }

    /// Hands over progress to `id`; it comes back where nobody waits for that any more.
    pub(crate) fn progress(&self, id: u64, message: Message) -> Option<Message> {
        let open = self.open.lock();
        let Some(waiter) = open.as_ref().ok().and_then(|open| open.waiters.get(&id)) else {
            return Some(message);
        };
        if waiter.progress {
            waiter.mailbox.event(Event::Progress(message));
        }
        None
    }

    /// Hands over a log message of the session of `key`, which does not say what call it belongs to, where just one call is
    /// under way. Of several nobody can tell, and the message comes back. So it does where clients share the session and a
    /// call was given up: that one may still be logging, and what it logs is another client's.
    pub(crate) fn log(&self, key: SessionKey, message: Message) -> Option<Message> {
        let open = self.open.lock();
        let Ok(open) = open.as_ref() else {
            return Some(message);
        };
        if let Some(task) = message.related_task() {
            let is_about = |waiter: &&Waiter| waiter.task().is_some_and(|own| **own == *task);
            let mut about = open.waiters.values().filter(is_about);
            let taker = about.find(|waiter| waiter.logs.level().is_some());
            return match (taker, key) {
                (Some(waiter), _) => {
                    waiter.mailbox.event(Event::Log(message));
                    None
                }
                (None, SessionKey::Client(_)) => message.unrelated().ok(),
                // Of what belongs to a task nobody else hears.
                (None, SessionKey::Shared) => None,
            };
        }
        if key == SessionKey::Shared && open.is_in_doubt() {
            return Some(message);
        }
        let mut calls = open.waiters.values().filter(|waiter| waiter.is_plain());
        match (calls.next(), calls.next()) {
            (Some(only), None) => {
                if only.logs.level().is_some() {
                    only.mailbox.event(Event::Log(message));
                }
                None
            }
            _ => Some(message),
        }
    }

    /// Hands over a request of the server in the session of `key`; it comes back where it is for nobody. It does not say
    /// which call it belongs to, unless it belongs to a task: then it is for whoever waits for the result of that.
    ///
    /// Where clients share the session, it is for the only call under way, and only as long as no call was given up that may
    /// be asking still: in doubt it would reach a stranger. Where one client has the session for itself, whatever is asked
    /// is for that client, so that the oldest call takes it that may be asked this.
    pub(crate) fn ask(&self, key: SessionKey, message: Message) -> Option<Message> {
        let mut open = self.open.lock();
        let Ok(open) = open.as_mut() else {
            return Some(message);
        };
        let asks = matches!(
            message.envelope.method(&message.body),
            Method::Elicit | Method::CreateMessage | Method::ListRoots
        );
        if !asks {
            return Some(message);
        }
        // Roots are asked for at the start as well, and for the server's own sake.
        open.asks |= message.envelope.method(&message.body) != Method::ListRoots;
        let is_shared = key == SessionKey::Shared;
        let task = message.related_task();
        let mut calls = open.waiters.iter().filter(|(_, waiter)| match &task {
            Some(task) => waiter.task().is_some_and(|own| **own == **task),
            None => waiter.is_plain(),
        });
        let is_unclear = || open.is_in_doubt() || calls.clone().count() != 1;
        let whose = if task.is_none() && is_shared && is_unclear() {
            None
        } else {
            let may_be_asked = |waiter: &Waiter| waiter.capabilities.allows(&message.body, &message.envelope);
            calls.by_ref().filter(|(_, waiter)| may_be_asked(waiter)).min_by_key(|(id, _)| **id)
        };
        match whose {
            Some((_, waiter)) => waiter.mailbox.ask(message),
            None => Some(message),
        }
    }

    /// Hands over an event that is known to belong to the call `id`. A request comes back where it is for nobody.
    pub(crate) fn event(&self, id: u64, event: Event) -> Option<Message> {
        let open = self.open.lock();
        let mailbox = open.as_ref().ok().and_then(|open| open.waiters.get(&id)).map(|waiter| &waiter.mailbox);
        match (event, mailbox) {
            (Event::Asked(message), Some(mailbox)) => return mailbox.ask(message),
            (Event::Asked(message), None) => return Some(message),
            (event, Some(mailbox)) => mailbox.event(event),
            (_, None) => {}
        }
        None
    }

    /// The server takes back a request of its own with `message`, whichever call's client was asked.
    pub(crate) fn withdraw(&self, message: &Message) {
        if let Some(id) = message.cancels()
            && let Ok(open) = self.open.lock().as_ref()
        {
            let _ = open.waiters.values().any(|waiter| waiter.mailbox.withdraw(&id));
        }
    }

    /// Whether a call was given up that the server may still be busy with, so that whatever it asks now is refused.
    pub(crate) fn is_in_doubt(&self) -> bool {
        self.open.lock().as_ref().is_ok_and(|open| open.given_up.is_any())
    }

    /// Whether the same holds of a server that asks clients for input, so that it is worth more than a short wait.
    pub(crate) fn may_ask_late(&self) -> bool {
        self.open.lock().as_ref().is_ok_and(|open| open.asks && open.given_up.is_any())
    }

    /// Whether the server carries out tasks, which would end with it.
    pub(crate) fn has_tasks(&self) -> bool {
        self.open.lock().as_ref().is_ok_and(|open| open.tasks.is_any())
    }

    /// Whether the task of this id may be under way.
    pub(crate) fn has_task(&self, id: &str) -> bool {
        self.open.lock().as_ref().is_ok_and(|open| open.tasks.has(id))
    }

    /// Takes in an answer about the task `id`, to a call that `fetched` its result or asked something else.
    pub(crate) fn hear_about(&self, id: &str, answer: &Message, fetched: bool) {
        if let Ok(open) = self.open.lock().as_mut() {
            open.tasks.hear_about(id, answer, fetched);
        }
    }

    /// Takes in what a notification, or an answer to a call, says of a task.
    pub(crate) fn hear_of_task(&self, message: &Message) {
        if let Ok(open) = self.open.lock().as_mut() {
            open.tasks.hear(message);
        }
    }

    /// Waits until every call that was given up has ended, at most for `grace` from when the last one was.
    pub(crate) async fn cleared(&self, grace: Duration) -> bool {
        let last = self.open.lock().as_ref().ok().and_then(|open| open.given_up.last);
        let end = last.unwrap_or_else(Instant::now) + grace;
        loop {
            let cleared = self.cleared.notified();
            if !self.is_in_doubt() {
                return true;
            }
            if timeout_at(end, cleared).await.is_err() {
                return !self.is_in_doubt();
            }
        }
    }

    /// The stream has ended: everybody who waits, and who comes later, is told so.
    pub(crate) fn fail(&self, error: &BackendError) {
        let open = std::mem::replace(&mut *self.open.lock(), Err(error.clone()));
        for (_, waiter) in open.into_iter().flat_map(|open| open.waiters) {
            waiter.mailbox.answer(Err(error.clone()));
        }
    }
}

impl Waiting {
    /// The next event, where an answer comes by another way. Cancel-safe.
    pub(crate) async fn event(&self) -> Event {
        match self.0.next().await {
            Ok(event) => event,
            Err(_) => std::future::pending().await,
        }
    }

    /// The next event of a call that was answered, until something goes wrong. Cancel-safe.
    pub(crate) async fn event_or_error(&self) -> Result<Event, BackendError> {
        match self.0.next().await {
            Ok(event) => Ok(event),
            Err(Err(error)) => Err(error),
            Err(Ok(_)) => std::future::pending().await,
        }
    }

    /// Whether `body` answers a question that is open; from now on it is not.
    pub(crate) fn settle(&self, body: &[u8]) -> bool {
        self.0.settle(body)
    }

    /// What the server is told whose questions nobody answers any more.
    pub(crate) fn refusals(&self) -> Vec<Bytes> {
        self.0.refusals()
    }

    /// The answer alone.
    pub(crate) async fn answer(self) -> Result<Message, BackendError> {
        loop {
            if let Err(answer) = self.0.next().await {
                return answer;
            }
        }
    }
}

#[cfg(test)]
mod tests;
