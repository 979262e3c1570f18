//! Answers to calls that were given up and may have become tasks by then: nobody else would hear of those, and end them.
//!
//! S: MCP 2025-11-25 `basic/utilities/cancellation`: what has become a task is not cancelled by the notification.

use super::Shared;
use super::client::{Incoming, Media, Outgoing};
use super::events::HttpEvents;
use super::session::UpstreamSession;
use crate::deadlines::Deadlines;
use crate::errand::TaskState;
use crate::pending::Debtor;
use crate::{BackendError, Message};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long such an answer is waited for.
const LATE: Duration = Duration::from_secs(30);
/// So many of one backend are waited for.
pub(super) const PLACES: usize = 64;

/// Sends a call that may become a task. Where nobody waits any more for the head of its answer, that is read all the same.
pub(super) async fn send(
    shared: Arc<Shared>,
    session: Arc<UpstreamSession>,
    id: u64,
    request: Outgoing,
) -> Result<Incoming, BackendError> {
    let (mut wanted, answer) = oneshot::channel();
    // The connection belongs to the pool of this thread, so this thread reads on.
    tokio::spawn(async move {
        let mut sending = Box::pin(shared.send(request));
        let response = tokio::select! {
            biased;
            response = &mut sending => response,
            () = wanted.closed() => {
                let Ok(_place) = shared.late.try_acquire() else {
                    return;
                };
                if let Ok(Ok(response)) = timeout(LATE, sending).await {
                    take(&shared, session, id, response).await;
                }
                return;
            }
        };
        if let Err(Ok(response)) = wanted.send(response) {
            take(&shared, session, id, response).await;
        }
    });
    answer.await.unwrap_or(Err(BackendError::Stopping))
}

async fn take(shared: &Arc<Shared>, session: Arc<UpstreamSession>, id: u64, response: Incoming) {
    let limit = shared.limits.message;
    if !response.is_success() {
        return;
    }
    match response.media {
        Media::EventStream => {
            let events = HttpEvents::new(response.body, id, limit, Deadlines::endless(), None);
            read(session, Box::new(events)).await;
        }
        Media::Json => {
            let deadlines = Deadlines::endless();
            let body = timeout(LATE, response.body.collect(limit, &deadlines)).await;
            if let Ok(Ok(body)) = body
                && let Ok(message) = Message::parse(body)
                && message.answers(id)
            {
                end(session, &message);
            }
        }
        _ => {}
    }
}

/// Reads `events`, which nobody else does any more, for the answer.
pub(super) async fn read(session: Arc<UpstreamSession>, mut events: Box<HttpEvents>) {
    let Some(shared) = session.shared() else {
        return;
    };
    let Ok(_place) = shared.late.try_acquire() else {
        return;
    };
    let id = events.id();
    let answer = async {
        loop {
            match events.next_message().await {
                Ok(message) if message.answers(id) => return Some(message),
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    };
    if let Ok(Some(message)) = timeout(LATE, answer).await {
        end(session, &message);
    }
}

fn end(session: Arc<UpstreamSession>, message: &Message) {
    if message.is_task()
        && let Some(state) = TaskState::begun(message)
    {
        session.end_task(state.id);
    }
}
