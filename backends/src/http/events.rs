//! The event stream that answers one request.

use super::aside::{Aside, Beside};
use super::client::{Body, Media};
use super::late;
use super::post::CancelGuard;
use super::resumption::Resumption;
use crate::BackendError;
use crate::deadlines::Deadlines;
use crate::exchange::{Event, Message, Outcome};
use crate::message::answer_to;
use crate::questions::Questions;
use bytes::Bytes;
use futures_util::FutureExt;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use weir_protocol::sse::Decoder;
use weir_protocol::{Kind, Method};

/// What may follow the outcome for its connection to be kept: so many bytes, within so much time.
const REMAINDER: usize = 64 << 10;
const REMAINDER_TIME: Duration = Duration::from_secs(1);

/// The events of one request.
#[derive(Debug)]
pub(crate) struct HttpEvents {
    /// `None` once it has ended, or the outcome is there.
    body: Option<Body>,
    decoder: Decoder,
    limit: usize,
    id: u64,
    deadlines: Deadlines,
    guard: Option<CancelGuard>,
    resumption: Resumption,
    questions: Questions,
    /// Where the server may ask something beside the call.
    beside: Option<Arc<Beside>>,
    /// Tells of an answer that did not reach the server; there from the first answer on.
    undelivered: Option<Arc<Undelivered>>,
}

/// Why an answer did not reach the server, once that is so.
#[derive(Debug, Default)]
struct Undelivered {
    error: Mutex<Option<BackendError>>,
    told: Notify,
}

impl Undelivered {
    fn tell(&self, error: BackendError) {
        *self.error.lock() = Some(error);
        self.told.notify_one();
    }

    async fn wait(&self) -> BackendError {
        loop {
            if let Some(error) = self.error.lock().take() {
                return error;
            }
            self.told.notified().await;
        }
    }
}

impl Drop for HttpEvents {
    fn drop(&mut self) {
        // Before the cancellation, which the guard sends.
        for refusal in self.questions.refusals() {
            self.send(refusal);
        }
        self.end_late_task();
    }
}

impl HttpEvents {
    pub(crate) fn new(
        body: Body,
        id: u64,
        limit: usize,
        deadlines: Deadlines,
        guard: Option<CancelGuard>,
    ) -> Self {
        let beside = guard.as_ref().and_then(CancelGuard::beside);
        Self {
            body: Some(body),
            decoder: Decoder::new(limit),
            limit,
            id,
            deadlines,
            guard,
            resumption: Resumption::default(),
            questions: Questions::default(),
            beside,
            undelivered: None,
        }
    }

    /// The next event of the call. Cancel-safe: what was read stays in the decoder.
    pub(crate) async fn next(&mut self) -> Result<Event, BackendError> {
        let next = self.read_unless_failed().await;
        if matches!(next, Ok(Event::Outcome(_)) | Err(BackendError::Gone(_))) {
            for refusal in self.questions.refusals() {
                self.send(refusal);
            }
        }
        match &next {
            Ok(Event::Outcome(_)) => {
                if let Some(guard) = self.guard.take() {
                    guard.disarm();
                }
            }
            Err(error @ BackendError::Gone(_)) => {
                if let Some(guard) = self.guard.take() {
                    guard.failed(error);
                }
            }
            _ => {}
        }
        if matches!(next, Ok(Event::Outcome(_)))
            && let Some(body) = self.body.take()
        {
            finish(body);
        }
        next
    }

    /// The next event, unless the server cannot go on since it was not reached by an answer.
    async fn read_unless_failed(&mut self) -> Result<Event, BackendError> {
        let Some(undelivered) = self.undelivered.clone() else {
            return self.read_either().await;
        };
        tokio::select! {
            error = undelivered.wait() => Err(error),
            next = self.read_either() => next,
        }
    }

    /// The next event, be it one that comes beside the call.
    async fn read_either(&mut self) -> Result<Event, BackendError> {
        let Some(beside) = self.beside.clone() else {
            return self.read().await;
        };
        let event = tokio::select! {
            biased;
            next = self.read() => return next,
            event = beside.next() => event,
        };
        self.deadlines.lives()?;
        self.deadlines.heard(&event);
        Ok(event)
    }

    async fn read(&mut self) -> Result<Event, BackendError> {
        loop {
            let message = self.next_message().await?;
            match message.envelope.kind {
                Kind::Response if message.answers(self.id) => {
                    return Outcome::of(message).map(Event::Outcome);
                }
                Kind::Response => {
                    return Err(BackendError::Protocol(
                        "it answered another request than the one it was sent".to_owned(),
                    ));
                }
                Kind::Request => {
                    let Some(message) = self.pass_to_task(message) else {
                        continue;
                    };
                    if self.may_ask(&message) && self.questions.add(&message) {
                        self.deadlines.asked();
                        return Ok(Event::Asked(message));
                    }
                    self.refuse(&message);
                }
                Kind::Notification => {
                    if message.is_progress_of(self.id) {
                        return Ok(Event::Progress(message));
                    }
                    if message.envelope.method(&message.body) == Method::Message {
                        let Some(message) = self.pass_to_task(message) else {
                            continue;
                        };
                        return Ok(Event::Log(message));
                    }
                    if let Some(id) = message.cancels().filter(|id| self.questions.withdraw(id)) {
                        self.deadlines.answered();
                        return Ok(Event::Withdrawn(id));
                    }
                    self.note(message);
                }
            }
        }
    }

    /// The next message of the stream, whatever it is.
    pub(crate) async fn next_message(&mut self) -> Result<Message, BackendError> {
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) => {
                    self.resumption.note(&event);
                    // An event of another name, such as a heartbeat, is not MCP's.
                    if !event.data.is_empty() && matches!(event.name.as_str(), "" | "message") {
                        return Message::parse(event.data);
                    }
                    continue;
                }
                Ok(None) => {}
                Err(error) => return Err(BackendError::TooLarge { limit: error.limit }),
            }
            match self.chunk().await {
                Ok(piece) => self.decoder.feed(&piece),
                Err(error @ BackendError::Gone(_)) => self.resume(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn chunk(&mut self) -> Result<Bytes, BackendError> {
        let closed = || BackendError::gone("it closed the event stream");
        let body = self.body.as_mut().ok_or_else(closed)?;
        let piece = self.deadlines.watch(body.chunk()).await?;
        piece.transpose()?.ok_or_else(closed)
    }

    /// Takes up the stream again where it ended with `error`: a legacy server may close it at any time and go on with
    /// its events on another (2025-11-25 `basic/transports` "Resumability and Redelivery").
    async fn resume(&mut self, error: BackendError) -> Result<(), BackendError> {
        self.body = None;
        let Some(guard) = &self.guard else {
            return Err(error);
        };
        let Some(reopened) = self.resumption.begin(guard.session()) else {
            return Err(error);
        };
        let response = self.deadlines.watch(reopened).await?;
        self.resumption.ended();
        match response {
            Ok(response) if response.is_success() && response.media == Media::EventStream => {
                self.decoder = Decoder::new(self.limit);
                self.body = Some(response.body);
                Ok(())
            }
            // A server that restarts may still know the events afterwards.
            Ok(response) if response.status >= 500 => Ok(()),
            Err(BackendError::Unreachable(_) | BackendError::Gone(_)) => Ok(()),
            Ok(_) => Err(error),
            Err(error) => Err(error),
        }
    }

    /// Hands `message`, which names a task, to whoever waits for that; it comes back where it is this call's. Servers may send
    /// what belongs to a task on any stream of the session, whoever else shares that.
    fn pass_to_task(&self, message: Message) -> Option<Message> {
        let Some(guard) = &self.guard else {
            return Some(message);
        };
        let is_ours = match message.related_task() {
            None => true,
            Some(task) => {
                let is_question = message.envelope.kind == Kind::Request;
                guard.is_about(&task) && (!is_question || guard.capabilities().can_be_asked())
            }
        };
        if is_ours {
            return Some(message);
        }
        let session = guard.session();
        if let Some(shared) = session.shared() {
            match message.envelope.kind {
                Kind::Request => Aside::take(&shared, session, message),
                _ => shared.subscriptions.log(session.aside.pending(), session.aside.client(), message),
            }
        }
        None
    }

    /// Legacy servers announce changes, and take back what they asked, on whichever stream is open.
    fn note(&self, message: Message) {
        let Some(guard) = &self.guard else {
            return;
        };
        match message.envelope.method(&message.body) {
            // Of a call that goes on as a task.
            Method::Progress => guard.session().progress(message),
            _ => guard.session().announce(message),
        }
    }

    /// Whether a request of the server is one to the call's client.
    fn may_ask(&self, message: &Message) -> bool {
        let Some(guard) = &self.guard else {
            return false;
        };
        let capabilities = guard.capabilities();
        capabilities.can_be_asked()
            && capabilities.allows(&message.body, &message.envelope)
            && !guard.session().answers_for_all(message)
    }

    /// The call was given up, and may be a task by now of which nobody knows: reads on for a while, to end that.
    fn end_late_task(&mut self) {
        if let Some(guard) = self.guard.as_ref().filter(|guard| guard.becomes_task())
            && let Some(body) = self.body.take()
            && let Ok(handle) = Handle::try_current()
        {
            let mut events = Self::new(body, self.id, self.limit, Deadlines::endless(), None);
            events.decoder = std::mem::replace(&mut self.decoder, Decoder::new(self.limit));
            handle.spawn(late::read(guard.session().clone(), Box::new(events)));
        }
    }

    /// The number of the call.
    pub(super) fn id(&self) -> u64 {
        self.id
    }

    /// Sends the answer of the call's client to a request of the server, where that waits for one.
    pub(crate) fn reply(&mut self, body: Bytes) {
        if self.questions.settle(&body) || self.beside.as_ref().is_some_and(|beside| beside.settle(&body)) {
            self.deadlines.answered();
            self.send(body);
        }
    }

    /// Somebody else sees to the answer to `question`.
    pub(crate) fn pass_on(&mut self, question: &Message) {
        self.questions.settle(&question.body);
    }

    fn send(&mut self, body: Bytes) {
        let Some(session) = self.guard.as_ref().map(|guard| guard.session().clone()) else {
            return;
        };
        let Some(shared) = session.shared() else {
            return;
        };
        let undelivered = self.undelivered.get_or_insert_default().clone();
        let handle = shared.handle.clone();
        handle.spawn(async move {
            if let Err(error) = session.deliver(&shared, body).await {
                undelivered.tell(error);
            }
        });
    }

    /// Answers a request of the server that is not for the call's client.
    fn refuse(&self, message: &Message) {
        if let Some(guard) = &self.guard
            && let Some(shared) = guard.session().shared()
            && let Some(body) = answer_to(message, &shared.roots)
        {
            guard.session().reply(body);
        }
    }
}

/// Reads a body to its end, so that its connection serves the next request.
fn finish(mut body: Body) {
    let mut left = REMAINDER;
    while let Some(piece) = body.chunk().now_or_never() {
        match piece {
            Some(Ok(piece)) if piece.len() <= left => left -= piece.len(),
            _ => return,
        }
    }
    // The connection goes back to the pool of this thread, so this thread reads on.
    tokio::spawn(tokio::time::timeout(REMAINDER_TIME, async move {
        while let Some(Ok(piece)) = body.chunk().await
            && piece.len() <= left
        {
            left -= piece.len();
        }
    }));
}
