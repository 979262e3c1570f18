//! Calls whose server may ask something before it begins to answer: it asks beside them, and some send not even the
//! head of the answer before the end.

use super::Shared;
use super::aside::Beside;
use super::client::{Incoming, Outgoing};
use super::late;
use super::post::{self, Attempt, CancelGuard};
use super::session::UpstreamSession;
use crate::deadlines::Deadlines;
use crate::exchange::Event;
use crate::pending::{Debtor, PendingCall};
use crate::{BackendError, message};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use tokio::task::AbortHandle;

type Sending = BoxFuture<'static, Result<Incoming, BackendError>>;

/// Sends a call, and hears what the server says meanwhile.
pub(crate) async fn send(
    shared: &Shared,
    request: Outgoing,
    mut deadlines: Deadlines,
    mut guard: CancelGuard,
) -> Result<Attempt, BackendError> {
    let own = shared.myself.upgrade().ok_or(BackendError::Stopping)?;
    let waiting = guard.beside().map(|beside| beside.waiting()).ok_or(BackendError::Stopping)?;
    let mut sending: Sending = {
        let own = own.clone();
        match guard.becomes_task() {
            true => late::send(own, guard.session().clone(), guard.id(), request).boxed(),
            false => async move { own.send(request).await }.boxed(),
        }
    };
    let event = tokio::select! {
        biased;
        response = deadlines.watch(&mut sending) => {
            return post::in_session(shared, response.unwrap_or_else(Err), deadlines, guard).await;
        }
        event = waiting.event() => event,
    };
    deadlines.lives()?;
    deadlines.heard(&event);
    let beside = guard.take_beside().ok_or(BackendError::Stopping)?;
    let (session, id) = (guard.session().clone(), guard.id());
    // The connection belongs to the pool of this thread, so this thread reads on.
    let reader = tokio::spawn(read(own, sending, deadlines.reader(), guard)).abort_handle();
    let early = Arc::new(Early { session, reader, _beside: beside });
    let mut call = PendingCall::new(early, id, waiting, deadlines);
    call.put_back(event);
    Ok(Attempt::Pending(Box::new(call)))
}

/// Takes in the answer wherever it comes.
async fn read(shared: Arc<Shared>, sending: Sending, deadlines: Deadlines, guard: CancelGuard) {
    let (session, id) = (guard.session().clone(), guard.id());
    let calls = session.aside.pending();
    let response = deadlines.watch(sending).await.unwrap_or_else(Err);
    let answer = match post::in_session(&shared, response, deadlines, guard).await {
        Ok(Attempt::Stream(mut events)) => loop {
            match events.next().await {
                Ok(Event::Outcome(outcome)) => break Ok(outcome),
                Ok(event) => {
                    if let Event::Asked(question) = &event {
                        events.pass_on(question);
                    }
                    if let Some(unasked) = calls.event(id, event)
                        && let Some(answer) = message::answer_to(&unasked, &shared.roots)
                    {
                        UpstreamSession::reply(&session, answer);
                    }
                }
                Err(error) => break Err(error),
            }
        },
        Ok(Attempt::Done(outcome)) => Ok(outcome),
        Ok(Attempt::Unplaced(own)) => own,
        Ok(Attempt::Pending(_)) => Err(BackendError::SessionLost),
        Err(error) => Err(error),
    };
    match answer {
        Ok(outcome) => {
            calls.answer(id, Ok(outcome.into_message()));
        }
        // The server may still be at work on it.
        Err(error) => calls.give_up(id, error),
    }
}

/// A call whose answer is read in the background.
#[derive(Debug)]
struct Early {
    session: Arc<UpstreamSession>,
    reader: AbortHandle,
    _beside: Arc<Beside>,
}

impl Drop for Early {
    /// The reader holds what cancels the call, which may have failed before its answer was there.
    fn drop(&mut self) {
        self.reader.abort();
    }
}

impl Debtor for Early {
    /// The call is cancelled with the reader.
    fn release(self: Arc<Self>, id: u64) {
        self.session.aside.pending().remove(id);
    }

    fn reply(self: Arc<Self>, id: u64, body: Bytes) {
        Debtor::reply(self.session.clone(), id, body);
    }

    fn end_task(self: Arc<Self>, id: Arc<str>) {
        Debtor::end_task(self.session.clone(), id);
    }
}
