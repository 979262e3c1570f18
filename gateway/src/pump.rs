//! Carrying one call: opening it, passing events and outcome to the client, and ending it when either side goes.

mod parked;
mod questions;

pub(crate) use parked::Parking;
pub(crate) use questions::{modern_params, required_answer};

use crate::answer::{Answer, Asker};
use crate::attached::Attached;
use crate::cache::Seat;
use crate::call::{Manner, Routed};
use crate::client::{Client, Gone};
use crate::connect;
use crate::drain::Phase;
use crate::edge::Post;
use crate::inquiry::Inquiry;
use crate::pulse;
use crate::rescue::{self, Fault};
use crate::session::Cancellable;
use crate::stay::{self, Stay};
use crate::tasks;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use questions::Questions;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, sleep_until};
use weir_backends::{BackendError, Event, Exchange, Message, Outcome};
use weir_protocol::{Era, code};

/// A batch of notices written at once, in bytes; nothing waits for it to fill.
const BATCH: usize = 16 << 10;

/// Questions that a backend asks at once come one after the other. So long others are waited for, and then asked together.
const GATHER: Duration = Duration::from_millis(20);

/// One call under way, from before it was sent to its outcome. Dropped, it is cancelled upstream.
pub(crate) struct Running {
    backend: Arc<Attached>,
    opening: Option<BoxFuture<'static, Result<Exchange, BackendError>>>,
    exchange: Option<Exchange>,
    /// Where a read leaves its outcome for others.
    seat: Option<Seat>,
    ended: bool,
    /// What a legacy backend asks its modern client; `None` as long as it never asked.
    questions: Option<Box<Questions>>,
}

impl fmt::Debug for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a call of {}", self.backend.name())
    }
}

impl Running {
    pub(crate) fn start(routed: Routed) -> Self {
        let opening = routed.backend.backend.clone().call(routed.permit, routed.call);
        Self::new(routed.backend, opening)
    }

    /// A read of a resource, which may have been answered already.
    pub(crate) fn read(
        backend: Arc<Attached>,
        opening: BoxFuture<'static, Result<Exchange, BackendError>>,
        seat: Seat,
    ) -> Self {
        Self { seat: Some(seat), ..Self::new(backend, opening) }
    }

    fn new(backend: Arc<Attached>, opening: BoxFuture<'static, Result<Exchange, BackendError>>) -> Self {
        Self { backend, opening: Some(opening), exchange: None, seat: None, ended: false, questions: None }
    }

    /// The next event. Cancel-safe.
    async fn next(&mut self) -> Result<Event, BackendError> {
        let next = self.advance().await;
        if let Some(seat) = &self.seat {
            seat.settle(&next);
        }
        self.ended = matches!(next, Ok(Event::Outcome(_)) | Err(_));
        next
    }

    async fn advance(&mut self) -> Result<Event, BackendError> {
        if let Some(ended) = self.questions.as_mut().and_then(|questions| questions.ended.take()) {
            return ended;
        }
        if let Some(opening) = &mut self.opening {
            let opened = opening.await;
            self.opening = None;
            self.exchange = Some(opened?);
        }
        match &mut self.exchange {
            Some(exchange) => exchange.next().await,
            // What was sent is answered; what comes next is not sent yet.
            None => std::future::pending().await,
        }
    }

    /// Answers a request of the backend with an error.
    fn refuse(&mut self, message: &Message, words: &str) {
        if let Some(id) = message.envelope.id {
            let id = id.of(&message.body);
            self.reply(code::error_answer(Some(id), code::METHOD_NOT_FOUND, words, None));
        }
    }

    /// Answers a request of the backend: `body` is the whole response.
    pub(crate) fn reply(&mut self, body: Bytes) {
        if let Some(exchange) = &mut self.exchange {
            exchange.reply(body);
        }
    }

    /// The name of the backend.
    pub(crate) fn backend_name(&self) -> &str {
        self.backend.name()
    }

    /// Whether it is a call of this very backend, not of another of its name.
    pub(crate) fn is_of(&self, backend: &Attached) -> bool {
        self.backend.number == backend.number
    }

    /// The backend waits for input; the call is not over, but nothing of it is upstream until it is made again.
    fn rest(&mut self) {
        self.exchange = None;
        self.ended = false;
    }

    /// Takes back a call that its client cancelled.
    fn cancel(&mut self) {
        self.opening = None;
        self.exchange = None;
        self.seat = None;
        self.ended = true;
    }

    /// Whether nothing of the call is upstream, since the backend waits for input.
    fn rests(&self) -> bool {
        self.opening.is_none() && self.exchange.is_none() && !self.ended
    }

    /// Lets the call come to its end though its client is away; the client may still cancel it, and come back for what it
    /// missed of the stream.
    fn detach(
        mut self,
        mut away: Client<'static>,
        terms: &Terms<'_>,
        cancellable: Option<Cancellable>,
        mut inquiry: Inquiry,
    ) {
        let (asker, post, manner) = (terms.asker.clone(), terms.post.clone(), terms.manner.clone());
        tokio::spawn(async move {
            let terms = Terms { asker, post: &post, manner: &manner };
            let _ = drive(&mut away, &mut self, &terms, cancellable.as_ref(), &mut inquiry).await;
        });
    }
}

/// What a call's client and gateway ask of the pump.
pub(crate) struct Terms<'a> {
    pub(crate) asker: Asker,
    /// What the client sent.
    pub(crate) post: &'a Post,
    pub(crate) manner: &'a Manner,
}

#[expect(
    clippy::large_enum_variant,
    reason = "it lives on the stack between two lines, a box would cost more"
)]
enum Step {
    Event(Result<Event, BackendError>),
    Gone,
    Over,
    Pulse,
    Ask,
    Cancelled,
    Answered,
}

/// How far a call was driven.
enum Driven {
    /// To its end.
    Done,
    /// To a question that its modern client has to answer with another request.
    Asked,
}

/// Carries a call to its end. `Err` means that the client's connection cannot be used any more.
pub(crate) async fn carry(
    client: &mut Client<'_>,
    mut running: Running,
    terms: &Terms<'_>,
    cancellable: Option<Cancellable>,
) -> Result<(), Gone> {
    let session = cancellable.as_ref().filter(|_| terms.asker.era == Era::Legacy);
    let mut inquiry = Inquiry::new(session.map(|cancellable| cancellable.session.clone()));
    let carried = drive(client, &mut running, terms, cancellable.as_ref(), &mut inquiry).await;
    if matches!(carried, Ok(Driven::Asked)) {
        // Boxed, so that what is rare does not make the future of every call larger.
        return Box::pin(parked::park(client, running, terms)).await;
    }
    // Closing the connection cancels a modern call; in the legacy era it must not (2025-11-25 `basic/transports`), the
    // call runs on.
    let runs_on = carried.is_err() && !running.ended && terms.asker.era == Era::Legacy;
    if runs_on && (!running.rests() || inquiry.take_place(terms)) {
        running.detach(client.away().unwrap_or(Client::Away(None)), terms, cancellable, inquiry);
    }
    carried.map(|_| ())
}

async fn drive(
    client: &mut Client<'_>,
    running: &mut Running,
    terms: &Terms<'_>,
    cancellable: Option<&Cancellable>,
    inquiry: &mut Inquiry,
) -> Result<Driven, Gone> {
    let pulse = pulse::here();
    let mut silence = Duration::ZERO;
    // Of calls that last, and are answered by a stream.
    let mut stay: Option<Stay> = None;
    let mut streaming = None;
    let mut gathered = running.is_asking().then(|| Instant::now() + GATHER);
    let answer = loop {
        let step = tokio::select! {
            biased;
            // First, so that a backend which never stops talking is not waited for.
            () = reached(gathered) => Step::Ask,
            () = stay::over(stay.as_mut()) => Step::Over,
            event = running.next() => Step::Event(event),
            () = client.gone() => Step::Gone,
            () = notified(cancellable) => Step::Cancelled,
            () = inquiry.answered() => Step::Answered,
            () = pulse.notified() => Step::Pulse,
        };
        match step {
            Step::Event(event) => {
                if let Some(answer) = batch(client, running, terms, inquiry, event) {
                    break answer;
                }
                if client.pushed() > 0 {
                    client.flush().await?;
                    silence = Duration::ZERO;
                    // Where a client is told more than it reads, no beat is ever heard.
                    if stay.is_none()
                        && client.is_streaming()
                        && streaming.get_or_insert_with(Instant::now).elapsed() >= pulse::PERIOD
                    {
                        stay = Some(terms.post.stay(client));
                    }
                }
                if gathered.is_none() && running.is_asking() {
                    gathered = Some(Instant::now() + GATHER);
                }
            }
            Step::Pulse => {
                silence += pulse::PERIOD;
                if terms.post.core.drain.phase() == Phase::Ending || running.backend.is_given_up() {
                    break terms.asker.fault(&rescue::stopping());
                }
                if stay.is_none() && client.is_streaming() {
                    stay = Some(terms.post.stay(client));
                }
                if let Some(answer) = inquiry.overdue(running.backend_name(), terms) {
                    running.cancel();
                    break answer;
                }
                if silence >= terms.post.snapshot.config.timeouts.keep_alive {
                    silence = Duration::ZERO;
                    client.keep_alive().await?;
                }
            }
            // What was asked may have been taken back since.
            Step::Ask if !running.is_asking() => gathered = None,
            Step::Ask => return Ok(Driven::Asked),
            Step::Gone => return Err(Gone),
            // A stream says nothing to those whose proof has ended; who comes back with a new one hears the rest.
            Step::Over if terms.asker.era == Era::Legacy => return Err(Gone),
            Step::Over => {
                running.cancel();
                break terms.asker.fault(&rescue::expired());
            }
            Step::Cancelled => {
                // Nobody waits for an answer to a cancelled request; the exchange still has to end as its transport wants.
                running.cancel();
                inquiry.withdraw(client);
                return client.close().await.map(|()| Driven::Done);
            }
            Step::Answered => {
                if let Some(answer) = inquiry.settle(running, terms) {
                    running.cancel();
                    break answer;
                }
            }
        }
    };
    inquiry.withdraw(client);
    client.answer(answer.status, &[answer.body]).await.map(|()| Driven::Done)
}

/// Logs why a call failed, and says what the client is told.
fn failed(running: &Running, error: &BackendError) -> Fault {
    let name = running.backend.name();
    tracing::warn!(backend = name, %error, detail = error.detail(), "a call failed");
    rescue::backend_failed(name, error)
}

/// Pushes what is there already, without waiting: one write for many notices. Answers the outcome if it is among it.
fn batch(
    client: &mut Client<'_>,
    running: &mut Running,
    terms: &Terms<'_>,
    inquiry: &mut Inquiry,
    first: Result<Event, BackendError>,
) -> Option<Answer> {
    let mut next = first;
    loop {
        match next.and_then(|event| terms.asker.related(event)) {
            Ok(Event::Progress(message)) => {
                if let Some(progress) = terms.asker.progress(&message) {
                    client.push(&progress);
                }
            }
            Ok(Event::Log(message)) => {
                if let Some(log) = terms.asker.log(&message) {
                    client.push(log);
                }
            }
            Ok(Event::Asked(message)) if terms.asker.era == Era::Modern => {
                let (core, limits) = (&terms.post.core, &terms.post.snapshot.config.limits);
                running.wonder(message, terms.manner.capabilities, || core.parking.place(limits.parked));
            }
            Ok(Event::Asked(message)) => {
                if let Err(words) = inquiry.relay(client, terms, running.backend.name(), &message) {
                    running.refuse(&message, &words);
                }
            }
            Ok(Event::Withdrawn(id)) if terms.asker.era == Era::Modern => running.forget(&id),
            Ok(Event::Withdrawn(id)) => inquiry.forget(client, &id),
            Ok(Event::Outcome(Outcome::InputRequired(message))) if terms.asker.era == Era::Legacy => {
                let refused = inquiry.begin(client, terms, running.backend.name(), &message).err();
                if refused.is_none() {
                    running.rest();
                }
                return refused;
            }
            Ok(Event::Outcome(Outcome::Begun(message, home))) => {
                let begun = terms.asker.begun(&message, home);
                let (answer, begun) = match begun {
                    Ok(begun) => begun,
                    Err(error) => return Some(terms.asker.fault(&failed(running, &error))),
                };
                if let Some(session) = inquiry.session() {
                    let token = terms.asker.progress_token.clone();
                    tasks::follow(terms.post, session, &running.backend, &begun, token);
                }
                return Some(answer);
            }
            Ok(Event::Outcome(outcome)) => {
                return Some(terms.answer(&running.backend, outcome));
            }
            Err(BackendError::Unconnected) => return Some(connect::required(terms, &running.backend)),
            Err(error) => return Some(terms.asker.fault(&failed(running, &error))),
        }
        if client.pushed() >= BATCH {
            return None;
        }
        next = running.next().now_or_never()?;
    }
}

async fn notified(cancellable: Option<&Cancellable>) {
    match cancellable {
        Some(cancellable) => cancellable.cancelled.notified().await,
        None => std::future::pending().await,
    }
}

async fn reached(at: Option<Instant>) {
    match at {
        // Boxed, so that what is rare does not make the future of every call larger.
        Some(at) => Box::pin(sleep_until(at)).await,
        None => std::future::pending().await,
    }
}
