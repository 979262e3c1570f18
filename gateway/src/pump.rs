//! Carrying one call: opening it, passing events and outcome to the client, and ending it when either side goes.

use crate::answer::Asker;
use crate::call::Routed;
use crate::client::{Accepts, Client, Gone};
use crate::drain::{Drain, Phase};
use crate::pulse;
use crate::rescue::{self, Fault};
use crate::session::Cancellable;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use weir_backends::{Backend, BackendError, Event, Exchange};
use weir_protocol::{Era, sse};

/// A batch of events written at once; nothing waits for it to fill.
const BATCH: usize = 16 << 10;

/// One call under way, from before it was sent to its outcome. Dropped, it is cancelled upstream.
pub(crate) struct Running {
    backend: Arc<dyn Backend>,
    opening: Option<BoxFuture<'static, Result<Exchange, BackendError>>>,
    exchange: Option<Exchange>,
    ended: bool,
}

impl Running {
    pub(crate) fn start(routed: Routed) -> Self {
        let backend = routed.backend.clone();
        let opening = routed.backend.call(routed.permit, routed.call);
        Self { backend, opening: Some(opening), exchange: None, ended: false }
    }

    /// The next event. Cancel-safe.
    async fn next(&mut self) -> Result<Event, BackendError> {
        let next = self.advance().await;
        self.ended = !matches!(next, Ok(Event::Progress(_)));
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

    /// Takes back a call that its client cancelled.
    fn cancel(&mut self) {
        self.opening = None;
        self.exchange = None;
        self.ended = true;
    }

    /// Lets the call come to its end though nobody waits for the answer; the client may still cancel it.
    fn detach(mut self, cancellable: Option<Cancellable>) {
        tokio::spawn(async move {
            let ended = async { while let Ok(Event::Progress(_)) = self.next().await {} };
            tokio::select! {
                () = ended => {}
                () = notified(cancellable.as_ref()) => {}
            }
        });
    }
}

/// What a call's client and gateway ask of the pump.
pub(crate) struct Terms<'a> {
    pub(crate) asker: Asker,
    pub(crate) accepts: Accepts,
    pub(crate) keep_alive: Duration,
    pub(crate) drain: &'a Drain,
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
        running.detach(cancellable);
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
    let mut streaming = false;
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
            Step::Event(Ok(Event::Outcome(outcome))) => {
                let answer = terms.asker.answer(running.backend.name(), outcome);
                return finish(client, terms, streaming, answer.status, answer.body).await;
            }
            Step::Event(Ok(Event::Progress(first))) => {
                let Some(batch) = batch(running, terms, &first) else {
                    continue;
                };
                let (outcome, mut bytes) = (batch.outcome, batch.events);
                if let (Some((status, body)), false) = (&outcome, terms.accepts.stream) {
                    // A client that takes no stream gets the outcome alone.
                    return finish(client, terms, streaming, *status, body.clone()).await;
                }
                if !terms.accepts.stream {
                    continue;
                }
                if let Some((_, body)) = &outcome {
                    sse::write_message(&mut bytes, body);
                }
                begin(client, &mut streaming).await?;
                client.write(bytes.into(), outcome.is_some()).await?;
                if outcome.is_some() {
                    return Ok(());
                }
                silence = Duration::ZERO;
            }
            Step::Event(Err(error)) => {
                let answer = terms.asker.fault(&failed(running, &error));
                return finish(client, terms, streaming, answer.status, answer.body).await;
            }
            Step::Pulse => {
                silence += pulse::PERIOD;
                if terms.drain.phase() == Phase::Ending {
                    let answer = terms.asker.fault(&rescue::stopping());
                    return finish(client, terms, streaming, answer.status, answer.body).await;
                }
                if silence >= terms.keep_alive && terms.accepts.stream {
                    silence = Duration::ZERO;
                    begin(client, &mut streaming).await?;
                    client.write(Bytes::from_static(sse::KEEP_ALIVE), false).await?;
                }
            }
            Step::Gone => return Err(Gone),
            Step::Cancelled => {
                // Nobody waits for an answer to a cancelled request; the exchange still has to end as HTTP wants it.
                running.cancel();
                if streaming {
                    return client.write(Bytes::new(), true).await;
                }
                return client.empty(202).await;
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

async fn begin(client: &mut Client<'_>, streaming: &mut bool) -> Result<(), Gone> {
    if !*streaming {
        client.begin_stream().await?;
        *streaming = true;
    }
    Ok(())
}

struct Batch {
    events: Vec<u8>,
    outcome: Option<(u16, Bytes)>,
}

/// Collects what is there already, without waiting: one write for many events.
fn batch(running: &mut Running, terms: &Terms<'_>, first: &weir_backends::Message) -> Option<Batch> {
    let mut events = Vec::new();
    if let Some(progress) = terms.asker.progress(first) {
        sse::write_message(&mut events, &progress);
    }
    while events.len() < BATCH {
        match running.next().now_or_never() {
            Some(Ok(Event::Progress(message))) => {
                if let Some(progress) = terms.asker.progress(&message) {
                    sse::write_message(&mut events, &progress);
                }
            }
            Some(Ok(Event::Outcome(outcome))) => {
                let answer = terms.asker.answer(running.backend.name(), outcome);
                return Some(Batch { events, outcome: Some((answer.status, answer.body)) });
            }
            Some(Err(error)) => {
                let answer = terms.asker.fault(&failed(running, &error));
                return Some(Batch { events, outcome: Some((answer.status, answer.body)) });
            }
            None => break,
        }
    }
    (!events.is_empty()).then_some(Batch { events, outcome: None })
}

async fn finish(
    client: &mut Client<'_>,
    terms: &Terms<'_>,
    streaming: bool,
    status: u16,
    body: Bytes,
) -> Result<(), Gone> {
    if !streaming && terms.accepts.json {
        return client.json(status, &[body]).await;
    }
    if !streaming {
        client.begin_stream().await?;
    }
    let mut event = Vec::new();
    sse::write_message(&mut event, &body);
    client.write(event.into(), true).await
}

async fn notified(cancellable: Option<&Cancellable>) {
    match cancellable {
        Some(cancellable) => cancellable.cancelled.notified().await,
        None => std::future::pending().await,
    }
}
