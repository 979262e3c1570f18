//! Carrying one call: opening it, passing events and outcome to the client, and ending it when either side goes.

use crate::answer::{Answer, Asker};
use crate::attached::Attached;
use crate::call::{Manner, Routed};
use crate::client::{Client, Gone};
use crate::drain::Phase;
use crate::edge::Post;
use crate::pulse;
use crate::rescue::{self, Fault};
use crate::session::Cancellable;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use weir_backends::{BackendError, Event, Exchange, Message};
use weir_protocol::{Era, code};

/// A batch of notices written at once, in bytes; nothing waits for it to fill.
const BATCH: usize = 16 << 10;

/// One call under way, from before it was sent to its outcome. Dropped, it is cancelled upstream.
pub(crate) struct Running {
    backend: Arc<Attached>,
    opening: Option<BoxFuture<'static, Result<Exchange, BackendError>>>,
    exchange: Option<Exchange>,
    ended: bool,
}

impl Running {
    pub(crate) fn start(routed: Routed) -> Self {
        let opening = routed.backend.backend.clone().call(routed.permit, routed.call);
        Self { backend: routed.backend, opening: Some(opening), exchange: None, ended: false }
    }

    /// The next event. Cancel-safe.
    async fn next(&mut self) -> Result<Event, BackendError> {
        let next = self.advance().await;
        self.ended = !matches!(next, Ok(Event::Progress(_) | Event::Log(_) | Event::Asked(_)));
        next
    }

    async fn advance(&mut self) -> Result<Event, BackendError> {
        if let Some(opening) = &mut self.opening {
            let opened = opening.await;
            self.opening = None;
            self.exchange = Some(opened?);
        }
        match &mut self.exchange {
            Some(exchange) => exchange.next().await,
            None => Err(BackendError::Stopping),
        }
    }

    /// Answers a request of the backend with an error.
    fn refuse(&mut self, message: &Message) {
        if let (Some(exchange), Some(id)) = (&mut self.exchange, message.envelope.id) {
            let id = id.of(&message.body);
            let words = "the client cannot be asked this";
            exchange.reply(code::error_answer(Some(id), code::METHOD_NOT_FOUND, words, None));
        }
    }

    /// Takes back a call that its client cancelled.
    fn cancel(&mut self) {
        self.opening = None;
        self.exchange = None;
        self.ended = true;
    }

    /// Lets the call come to its end though its client is away; the client may still cancel it, and come back for what it
    /// missed of the stream.
    fn detach(mut self, mut away: Client<'static>, terms: &Terms<'_>, cancellable: Option<Cancellable>) {
        let (asker, post, manner) = (terms.asker.clone(), terms.post.clone(), terms.manner.clone());
        tokio::spawn(async move {
            let terms = Terms { asker, post: &post, manner: &manner };
            let _ = drive(&mut away, &mut self, &terms, cancellable.as_ref()).await;
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
    Pulse,
    Cancelled,
}

/// Carries a call to its end. `Err` means that the client's connection cannot be used any more.
pub(crate) async fn carry(
    client: &mut Client<'_>,
    mut running: Running,
    terms: &Terms<'_>,
    cancellable: Option<Cancellable>,
) -> Result<(), Gone> {
    let carried = drive(client, &mut running, terms, cancellable.as_ref()).await;
    // Closing the connection cancels a modern call; in the legacy era it must not (2025-11-25 `basic/transports`), the
    // call runs on.
    if carried.is_err() && !running.ended && terms.asker.era == Era::Legacy {
        running.detach(client.away().unwrap_or(Client::Away(None)), terms, cancellable);
    }
    carried
}

async fn drive(
    client: &mut Client<'_>,
    running: &mut Running,
    terms: &Terms<'_>,
    cancellable: Option<&Cancellable>,
) -> Result<(), Gone> {
    let pulse = pulse::here();
    let mut silence = Duration::ZERO;
    loop {
        let step = tokio::select! {
            biased;
            event = running.next() => Step::Event(event),
            () = client.gone() => Step::Gone,
            () = notified(cancellable) => Step::Cancelled,
            () = pulse.notified() => Step::Pulse,
        };
        match step {
            Step::Event(event) => {
                if let Some(answer) = batch(client, running, terms, event) {
                    return client.answer(answer.status, &[answer.body]).await;
                }
                if client.pushed() > 0 {
                    client.flush().await?;
                    silence = Duration::ZERO;
                }
            }
            Step::Pulse => {
                silence += pulse::PERIOD;
                if terms.post.core.drain.phase() == Phase::Ending || running.backend.is_given_up() {
                    let answer = terms.asker.fault(&rescue::stopping());
                    return client.answer(answer.status, &[answer.body]).await;
                }
                if silence >= terms.post.snapshot.config.timeouts.keep_alive {
                    silence = Duration::ZERO;
                    client.keep_alive().await?;
                }
            }
            Step::Gone => return Err(Gone),
            Step::Cancelled => {
                // Nobody waits for an answer to a cancelled request; the exchange still has to end as its transport wants.
                running.cancel();
                return client.close().await;
            }
        }
    }
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
    first: Result<Event, BackendError>,
) -> Option<Answer> {
    let mut next = first;
    loop {
        match next {
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
            // Nobody is asked yet; the backend is told so.
            Ok(Event::Asked(message)) => running.refuse(&message),
            Ok(Event::Outcome(outcome)) => {
                return Some(terms.asker.answer(running.backend.name(), outcome));
            }
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
