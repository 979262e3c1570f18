//! Carrying one call: opening it, passing events and outcome to the client, and ending it when either side goes.

use crate::answer::Asker;
use crate::call::Routed;
use crate::client::{Accepts, Client, Gone};
use crate::drain::{Drain, Phase, reached};
use crate::rescue;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use weir_backends::{Backend, BackendError, Event, Exchange};
use weir_protocol::{Era, sse};

/// A batch of events written at once; nothing waits for it to fill.
const BATCH: usize = 16 << 10;

/// One call under way, from before it was sent to its outcome. Dropped, it is cancelled upstream.
struct Running {
    backend: Arc<dyn Backend>,
    opening: Option<BoxFuture<'static, Result<Exchange, BackendError>>>,
    exchange: Option<Exchange>,
}

impl Running {
    fn start(routed: Routed) -> Self {
        let backend = routed.backend.clone();
        let opening = async move { routed.backend.call(routed.permit, routed.call).await };
        Self {
            backend,
            opening: Some(opening.boxed()),
            exchange: None,
        }
    }

    /// The next event. Cancel-safe.
    async fn next(&mut self) -> Result<Event, BackendError> {
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

    /// Lets the call come to its end though nobody waits for the answer.
    fn detach(mut self) {
        tokio::spawn(async move { while let Ok(Event::Progress(_)) = self.next().await {} });
    }
}

/// What a call's client and gateway ask of the pump.
pub(crate) struct Terms<'a> {
    pub(crate) asker: Asker,
    pub(crate) accepts: Accepts,
    pub(crate) keep_alive: Duration,
    pub(crate) drain: &'a Drain,
    /// Notified when a legacy client cancels the call.
    pub(crate) cancelled: Option<Arc<Notify>>,
}

enum Step {
    Event(Result<Event, BackendError>),
    Gone,
    Silence,
    Cancelled,
    Ending,
}

/// Carries a call to its end. `Err` means that the client's connection cannot be used any more.
pub(crate) async fn carry(client: &mut Client, routed: Routed, terms: Terms<'_>) -> Result<(), Gone> {
    let mut running = Running::start(routed);
    // The first poll often finds nothing else to wait for, and a call that is done needs no timers.
    let mut phase = terms.drain.watch();
    let mut streaming = false;
    loop {
        let step = tokio::select! {
            biased;
            event = running.next() => Step::Event(event),
            () = client.gone() => Step::Gone,
            () = notified(terms.cancelled.as_deref()) => Step::Cancelled,
            () = tokio::time::sleep(terms.keep_alive) => Step::Silence,
            () = reached(&mut phase, Phase::Ending) => Step::Ending,
        };
        match step {
            Step::Event(Ok(Event::Outcome(outcome))) => {
                let answer = terms.asker.answer(running.backend.name(), outcome);
                return finish(client, &terms, streaming, answer.status, answer.body).await;
            }
            Step::Event(Ok(Event::Progress(first))) => {
                let Some(batch) = batch(&mut running, &terms, &first) else {
                    continue;
                };
                if !terms.accepts.stream {
                    // The outcome may be in the batch; a client that takes no stream gets only that.
                    if let Some((status, body)) = batch.outcome {
                        return finish(client, &terms, streaming, status, body).await;
                    }
                    continue;
                }
                if !streaming {
                    client.begin_stream().await?;
                    streaming = true;
                }
                let end = batch.outcome.is_some();
                let mut bytes = batch.events;
                if let Some((_, body)) = batch.outcome {
                    sse::write_message(&mut bytes, &body);
                }
                client.write(bytes.into(), end).await?;
                if end {
                    return Ok(());
                }
            }
            Step::Event(Err(error)) => {
                let name = running.backend.name();
                tracing::warn!(backend = name, %error, "a call failed");
                let answer = terms.asker.fault(&rescue::backend_failed(name, &error));
                return finish(client, &terms, streaming, answer.status, answer.body).await;
            }
            Step::Silence if terms.accepts.stream => {
                if !streaming {
                    client.begin_stream().await?;
                    streaming = true;
                }
                client.write(Bytes::from_static(sse::KEEP_ALIVE), false).await?;
            }
            Step::Silence => {}
            Step::Gone => {
                // Closing the connection cancels a modern call; in the legacy era it must not (2025-11-25
                // `basic/transports`), the call runs on.
                if terms.asker.era == Era::Legacy {
                    running.detach();
                }
                return Err(Gone);
            }
            Step::Cancelled => {
                // Nobody waits for an answer to a cancelled request; the exchange still has to end as HTTP wants it.
                drop(running);
                if streaming {
                    return client.write(Bytes::new(), true).await;
                }
                return client.empty(202).await;
            }
            Step::Ending => {
                let answer = terms.asker.fault(&rescue::stopping());
                return finish(client, &terms, streaming, answer.status, answer.body).await;
            }
        }
    }
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
                return Some(Batch {
                    events,
                    outcome: Some((answer.status, answer.body)),
                });
            }
            Some(Err(error)) => {
                let answer = terms
                    .asker
                    .fault(&rescue::backend_failed(running.backend.name(), &error));
                return Some(Batch {
                    events,
                    outcome: Some((answer.status, answer.body)),
                });
            }
            None => break,
        }
    }
    (!events.is_empty()).then_some(Batch {
        events,
        outcome: None,
    })
}

async fn finish(
    client: &mut Client,
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

async fn notified(notify: Option<&Notify>) {
    match notify {
        Some(notify) => notify.notified().await,
        None => std::future::pending().await,
    }
}
