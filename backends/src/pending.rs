//! Requests whose answers come on one stream with many others: the output of a child process, or a server's event stream.

use crate::deadlines::Deadlines;
use crate::exchange::{Event, Message, Outcome};
use crate::{BackendError, SessionKey};
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use tokio::sync::Notify;
use weir_protocol::{ClientCapabilities, Logs};

/// Events that wait for a slow client. Beyond that the oldest are dropped: later progress replaces earlier, and the end of
/// a log says more than its beginning.
const EVENTS: usize = 256;
/// So many bytes of them wait; a larger one waits alone.
const BYTES: usize = 1 << 20;

/// So many calls that were given up are known by their ids. Beyond that nobody can tell any more when the last has ended.
const GIVEN_UP: usize = 64;

/// What arrived for one request.
#[derive(Debug, Default)]
struct Mailbox {
    arrived: Mutex<Arrived>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Arrived {
    events: VecDeque<Event>,
    /// How large they are together.
    bytes: usize,
    dropped: usize,
    answer: Option<Result<Message, BackendError>>,
}

impl Arrived {
    fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= size(&event);
        Some(event)
    }
}

fn size(event: &Event) -> usize {
    match event {
        Event::Progress(message) | Event::Log(message) | Event::Asked(message) => message.body.len(),
        // An answer is not kept among the events.
        Event::Outcome(_) => 0,
    }
}

impl Mailbox {
    fn answer(&self, answer: Result<Message, BackendError>) {
        self.arrived.lock().answer = Some(answer);
        self.news.notify_one();
    }

    fn event(&self, event: Event) {
        {
            let mut arrived = self.arrived.lock();
            arrived.bytes += size(&event);
            arrived.events.push_back(event);
            while arrived.events.len() > EVENTS || (arrived.bytes > BYTES && arrived.events.len() > 1) {
                arrived.pop();
                arrived.dropped += 1;
            }
        }
        self.news.notify_one();
    }

    /// What comes next: the events that came before the answer, then the answer. Cancel-safe.
    async fn next(&self) -> Result<Event, Result<Message, BackendError>> {
        loop {
            {
                let mut arrived = self.arrived.lock();
                if let Some(event) = arrived.pop() {
                    return Ok(event);
                }
                if let Some(answer) = arrived.answer.take() {
                    if arrived.dropped > 0 {
                        tracing::debug!(dropped = arrived.dropped, "a client was too slow for all events");
                    }
                    return Err(answer);
                }
            }
            self.news.notified().await;
        }
    }
}

#[derive(Debug)]
struct Waiter {
    mailbox: Arc<Mailbox>,
    progress: bool,
    logs: Logs,
    /// It is a client's call, none of weir's own requests.
    call: bool,
    /// What its client can be asked.
    capabilities: ClientCapabilities,
}

/// Whoever owes the answer to a request.
pub(crate) trait Debtor: std::fmt::Debug + Send + Sync {
    /// Nobody waits for the answer to `id` any longer.
    fn release(self: Arc<Self>, id: u64);

    /// Sends the answer to a request of its own.
    fn reply(self: Arc<Self>, body: Bytes);
}

/// All requests under way on one stream.
#[derive(Debug)]
pub(crate) struct Pending {
    /// An error once the stream has ended.
    open: Mutex<Result<Open, BackendError>>,
}

#[derive(Debug, Default)]
struct Open {
    waiters: HashMap<u64, Waiter>,
    given_up: GivenUp,
}

/// The calls that nobody waits for any more and that the server may still be busy with: it may never say when it has heard
/// of their cancellation.
#[derive(Debug, Default)]
struct GivenUp {
    ids: HashSet<u64>,
    /// There were too many to know them all.
    overflowed: bool,
}

impl GivenUp {
    fn add(&mut self, id: u64) {
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
        Self { open: Mutex::new(Ok(Open::default())) }
    }
}

/// The receiving side of one request.
#[derive(Debug)]
pub(crate) struct Waiting(Arc<Mailbox>);

impl Pending {
    /// Waits for the answer to `id`, a request of weir's own.
    ///
    /// # Errors
    /// The stream has ended.
    pub(crate) fn insert(&self, id: u64) -> Result<Waiting, BackendError> {
        let (mailbox, capabilities) = (Arc::default(), ClientCapabilities::NONE);
        self.wait(id, Waiter { mailbox, progress: false, logs: Logs::Unwanted, call: false, capabilities })
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
    ) -> Result<Waiting, BackendError> {
        self.wait(id, Waiter { mailbox: Arc::default(), progress, logs, call: true, capabilities })
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
            && open.waiters.remove(&id).is_some_and(|waiter| waiter.call)
        {
            open.given_up.add(id);
        }
    }

    /// Hands over the answer to `id`; `false` where nobody waits for it.
    pub(crate) fn answer(&self, id: u64, answer: Result<Message, BackendError>) -> bool {
        let waiter = self.open.lock().as_mut().ok().and_then(|open| {
            let waiter = open.waiters.remove(&id);
            if waiter.is_none() {
                open.given_up.ids.remove(&id);
            }
            waiter
        });
        waiter.inspect(|waiter| waiter.mailbox.answer(answer)).is_some()
    }

    /// Tells whoever waits for `id` that `error` came in place of an answer.
    pub(crate) fn give_up(&self, id: u64, error: BackendError) {
        let waiter = self.open.lock().as_mut().ok().and_then(|open| {
            let waiter = open.waiters.remove(&id)?;
            // Of what the server refused, or never heard of, it does not log.
            let is_unheard = matches!(
                error,
                BackendError::Refused { .. } | BackendError::SessionLost | BackendError::Unreachable(_)
            );
            if waiter.call && !is_unheard {
                open.given_up.add(id);
            }
            Some(waiter)
        });
        if let Some(waiter) = waiter {
            waiter.mailbox.answer(Err(error));
        }
    }

    /// Hands over progress to `id`.
    pub(crate) fn progress(&self, id: u64, message: Message) {
        if let Ok(open) = self.open.lock().as_ref()
            && let Some(waiter) = open.waiters.get(&id).filter(|waiter| waiter.progress)
        {
            waiter.mailbox.event(Event::Progress(message));
        }
    }

    /// Hands over a log message of the session of `key`, which does not say what call it belongs to, where just one call is
    /// under way. Of several nobody can tell, and the message comes back. So it does where clients share the session and a
    /// call was given up: that one may still be logging, and what it logs is another client's.
    pub(crate) fn log(&self, key: SessionKey, message: Message) -> Option<Message> {
        let open = self.open.lock();
        let Ok(open) = open.as_ref() else {
            return Some(message);
        };
        if key == SessionKey::Shared && open.given_up.is_any() {
            return Some(message);
        }
        let mut calls = open.waiters.values().filter(|waiter| waiter.call);
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

    /// Hands over a request of the server, which does not say what call it belongs to, where just one call is under way and
    /// its client may be sent it. Else nobody can tell whose it is, and the message comes back.
    pub(crate) fn ask(&self, message: Message) -> Option<Message> {
        let open = self.open.lock();
        let Ok(open) = open.as_ref() else {
            return Some(message);
        };
        let mut calls = open.waiters.values().filter(|waiter| waiter.call);
        match (calls.next(), calls.next()) {
            (Some(only), None)
                if !open.given_up.is_any()
                    && only.capabilities.can_be_asked()
                    && only.capabilities.allows(&message.body, &message.envelope) =>
            {
                only.mailbox.event(Event::Asked(message));
                None
            }
            _ => Some(message),
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
    /// The answer alone.
    pub(crate) async fn answer(self) -> Result<Message, BackendError> {
        loop {
            if let Err(answer) = self.0.next().await {
                return answer;
            }
        }
    }
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

    /// Sends the answer of the call's client to a request of the server.
    pub(crate) fn reply(&mut self, body: Bytes) {
        self.deadlines.answered();
        self.debtor.clone().reply(body);
    }

    /// The next event of the call. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Event, BackendError> {
        if let Some(event) = self.first.take() {
            return Ok(event);
        }
        match self.deadlines.watch(self.waiting.0.next()).await? {
            Ok(event) => {
                if matches!(event, Event::Asked(_)) {
                    self.deadlines.asked();
                }
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
        if !self.ended {
            self.debtor.clone().release(self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn message(method: &str) -> Message {
        let body = format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"level":"info"}}}}"#);
        Message::parse(Bytes::from(body)).unwrap()
    }

    fn log() -> Message {
        message("notifications/message")
    }

    #[test]
    fn a_log_message_goes_to_the_only_call() {
        for key in [SessionKey::Shared, SessionKey::Client(1)] {
            let pending = Pending::default();
            assert!(pending.log(key, log()).is_some(), "nobody is there");
            let _own = pending.insert(1).unwrap();
            let first = pending.insert_call(2, false, Logs::Unsaid, ClientCapabilities::NONE).unwrap();
            assert!(pending.log(key, log()).is_none());
            assert!(matches!(first.0.next().now_or_never(), Some(Ok(Event::Log(_)))));
            let second = pending.insert_call(3, false, Logs::Unwanted, ClientCapabilities::NONE).unwrap();
            assert!(pending.log(key, log()).is_some(), "it may be either's");
            assert!(pending.answer(2, Err(BackendError::Stopping)));
            assert!(pending.log(key, log()).is_none(), "the only call wants none, so nobody gets it");
            assert!(second.0.next().now_or_never().is_none());
        }
    }

    #[test]
    fn what_a_call_logs_that_was_given_up_is_nobody_elses() {
        let pending = Pending::default();
        let call = |id| pending.insert_call(id, false, Logs::Unsaid, ClientCapabilities::NONE).unwrap();
        let is_passed_on = |key| pending.log(key, log()).is_none();
        let shared = || is_passed_on(SessionKey::Shared);
        let _own = pending.insert(1).unwrap();
        let (_cancelled, _lost, _refused, _current) = (call(2), call(3), call(4), call(5));
        pending.remove(1);
        pending.give_up(4, BackendError::Refused { status: 500 });
        pending.give_up(3, BackendError::gone("x"));
        pending.remove(2);
        pending.remove(2);
        assert!(!shared());
        assert!(is_passed_on(SessionKey::Client(1)), "it is the same client's");
        assert!(!pending.answer(2, Err(BackendError::Stopping)), "late");
        assert!(!shared(), "another one is left");
        assert!(!pending.answer(3, Err(BackendError::Stopping)), "late");
        assert!(shared());

        let many = 10..=(10 + GIVEN_UP as u64);
        many.clone().for_each(|id| {
            call(id);
            pending.remove(id);
        });
        many.for_each(|id| assert!(!pending.answer(id, Err(BackendError::Stopping))));
        assert!(!shared(), "there were too many to know");
    }

    #[test]
    fn events_come_before_the_answer_and_are_bounded() {
        let pending = Pending::default();
        let call = pending.insert_call(1, true, Logs::Unwanted, ClientCapabilities::NONE).unwrap();
        let unwanted = pending.insert_call(2, false, Logs::Unwanted, ClientCapabilities::NONE).unwrap();
        for _ in 0..=EVENTS {
            pending.progress(1, message("notifications/progress"));
            pending.progress(2, message("notifications/progress"));
        }
        assert!(
            pending.answer(1, Err(BackendError::Stopping)) && !pending.answer(1, Err(BackendError::Stopping))
        );
        let mut events = 0;
        let answer = loop {
            match call.0.next().now_or_never().unwrap() {
                Ok(_) => events += 1,
                Err(answer) => break answer,
            }
        };
        assert_eq!((events, answer.err()), (EVENTS, Some(BackendError::Stopping)));
        assert!(unwanted.0.next().now_or_never().is_none());
    }

    #[test]
    fn large_events_are_bounded_by_their_size() {
        let pending = Pending::default();
        let call = pending.insert_call(1, true, Logs::Unwanted, ClientCapabilities::NONE).unwrap();
        let drain = || std::iter::from_fn(|| call.0.next().now_or_never()).count();
        for (size, kept) in [(BYTES / 4, 3), (2 * BYTES, 1), (BYTES / 4, 3)] {
            for _ in 0..10 {
                pending.progress(1, message(&"x".repeat(size)));
            }
            assert_eq!(drain(), kept, "of {size} bytes each");
        }
    }
}
