//! What arrived for one request and was not fetched yet.

use crate::BackendError;
use crate::exchange::{Event, Message};
use crate::questions::Questions;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Notify;

/// Events that wait for a slow client. Beyond that the oldest are dropped: later progress replaces earlier, and the end of
/// a log says more than its beginning.
pub(super) const EVENTS: usize = 256;
/// So many bytes of them wait; a larger one waits alone.
pub(super) const BYTES: usize = 1 << 20;

/// What arrived for one request.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    arrived: Mutex<Arrived>,
    news: Notify,
}

#[derive(Debug, Default)]
struct Arrived {
    events: VecDeque<Event>,
    /// How large they are together.
    bytes: usize,
    dropped: usize,
    /// What the server asks of the call's client.
    questions: Questions,
    answer: Option<Result<Message, BackendError>>,
}

impl Arrived {
    fn pop(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        self.bytes -= size(&event);
        Some(event)
    }

    /// Gives up the oldest event that may be lost: a question may not, since the server waits for its answer.
    fn give_up(&mut self) -> bool {
        let may_be_lost = |event: &Event| !matches!(event, Event::Asked(_) | Event::Withdrawn(_));
        let oldest = self.events.iter().position(may_be_lost);
        let event = oldest.and_then(|index| self.events.remove(index));
        if let Some(event) = &event {
            self.bytes -= size(event);
            self.dropped += 1;
        }
        event.is_some()
    }
}

fn size(event: &Event) -> usize {
    match event {
        Event::Progress(message) | Event::Log(message) => message.body.len(),
        // Questions have bounds of their own; an answer is not kept among the events.
        Event::Asked(_) | Event::Withdrawn(_) | Event::Outcome(_) => 0,
    }
}

impl Mailbox {
    pub(super) fn answer(&self, answer: Result<Message, BackendError>) {
        self.arrived.lock().answer = Some(answer);
        self.news.notify_one();
    }

    pub(super) fn event(&self, event: Event) {
        {
            let mut arrived = self.arrived.lock();
            arrived.bytes += size(&event);
            arrived.events.push_back(event);
            while (arrived.events.len() > EVENTS || (arrived.bytes > BYTES && arrived.events.len() > 1))
                && arrived.give_up()
            {}
        }
        self.news.notify_one();
    }

    /// Takes in a request of the server to the call's client. It comes back where too many wait for answers.
    pub(super) fn ask(&self, message: Message) -> Option<Message> {
        {
            let mut arrived = self.arrived.lock();
            if !arrived.questions.add(&message) {
                return Some(message);
            }
            arrived.events.push_back(Event::Asked(message));
        }
        self.news.notify_one();
        None
    }

    /// Whether the question with the raw `id` is open; from now on it is not, and whoever heard of it hears of that too.
    pub(super) fn withdraw(&self, id: &Bytes) -> bool {
        {
            let mut arrived = self.arrived.lock();
            if !arrived.questions.withdraw(id) {
                return false;
            }
            let is_it = |event: &Event| matches!(event, Event::Asked(message) if message.envelope.id.is_some_and(|own| own.of(&message.body) == id));
            match arrived.events.iter().position(is_it) {
                Some(unheard) => drop(arrived.events.remove(unheard)),
                None => arrived.events.push_back(Event::Withdrawn(id.clone())),
            }
        }
        self.news.notify_one();
        true
    }

    /// Whether `body` answers a question that is open; from now on it is not.
    pub(super) fn settle(&self, body: &[u8]) -> bool {
        self.arrived.lock().questions.settle(body)
    }

    /// What the server is told whose questions nobody answers any more.
    pub(super) fn refusals(&self) -> Vec<Bytes> {
        self.arrived.lock().questions.refusals()
    }

    /// The answer, where it was not fetched.
    pub(super) fn unread(&self) -> Option<Result<Message, BackendError>> {
        self.arrived.lock().answer.take()
    }

    /// What comes next: the events that came before the answer, then the answer. Cancel-safe.
    pub(super) async fn next(&self) -> Result<Event, Result<Message, BackendError>> {
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
