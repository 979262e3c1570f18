//! The stream on which a server announces changes: a GET in the legacy era, `subscriptions/listen` in the modern one.

use super::Shared;
use super::client::{HttpClient, Media, Outgoing, Verb};
use super::events::HttpEvents;
use super::post::{self, Attempt};
use crate::deadlines::Deadlines;
use crate::{BackendError, SessionKey, message};
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use weir_protocol::{Era, Kind, Method};
use weir_runtime::Backoff;

/// A stream that lived less is a brief one.
const BRIEF: Duration = Duration::from_secs(5);
/// A server whose streams are brief so often in a row offers none.
const BRIEF_STREAMS: u32 = 5;

/// Keeps the stream open as long as the server offers it. What it announces, and the loss of the stream (a change may
/// have been missed), is a reason to list again.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let mut brief = 0;
    let mut failing = false;
    loop {
        let pause = match open(&shared).await {
            Ok(None) => return,
            Ok(Some(events)) => {
                if std::mem::take(&mut failing) {
                    shared.changes.suspect();
                }
                let opened = Instant::now();
                let error = watch(&shared, events).await;
                let lived = opened.elapsed();
                let detail = error.detail();
                tracing::debug!(backend = shared.name, %error, detail, "the stream of changes ended");
                brief = if lived < BRIEF { brief + 1 } else { 0 };
                if brief == BRIEF_STREAMS {
                    tracing::debug!(backend = shared.name, "its streams end at once; lists are only polled");
                    return;
                }
                backoff.next_after(lived)
            }
            Err(error) => {
                tracing::debug!(backend = shared.name, %error, detail = error.detail(), "no stream of changes");
                failing = true;
                backoff.next()
            }
        };
        tokio::time::sleep(pause).await;
        // A server that cannot keep a stream would otherwise be asked for its lists again and again.
        if !failing && brief <= 1 {
            shared.changes.suspect();
        }
    }
}

/// Opens the stream; `None` where the server offers none.
async fn open(shared: &Arc<Shared>) -> Result<Option<Box<HttpEvents>>, BackendError> {
    match shared.verdict.era() {
        None => Err(BackendError::SessionLost),
        Some(Era::Modern) => {
            let id = shared.next_id();
            let body = message::request(id, Method::Listen.as_str(), message::LISTEN_MEMBERS, Era::Modern);
            match post::modern(shared, Method::Listen, None, id, body).await? {
                Attempt::Stream(events) => Ok(Some(events)),
                Attempt::Done(_) | Attempt::Unplaced(_) => Ok(None),
            }
        }
        Some(Era::Legacy) => {
            let session = shared.sessions.open(shared, SessionKey::Shared).await?;
            let request = Outgoing { verb: Verb::Get, headers: session.headers(), body: Bytes::new() };
            let limit = shared.timeouts.list;
            let response = tokio::time::timeout(limit, shared.client.send(request))
                .await
                .unwrap_or(Err(BackendError::Timeout { what: "the stream of changes", after: limit }))?;
            if response.is_success() && response.media == Media::EventStream {
                let limit = shared.limits.message;
                let events = HttpEvents::new(response.body, 0, limit, Deadlines::endless(), None);
                return Ok(Some(Box::new(events)));
            }
            match response.status {
                405 => Ok(None),
                404 => {
                    shared.sessions.forget(SessionKey::Shared, &session);
                    Err(BackendError::SessionLost)
                }
                status => Err(BackendError::Refused { status }),
            }
        }
    }
}

async fn watch(shared: &Arc<Shared>, mut events: Box<HttpEvents>) -> BackendError {
    loop {
        let message = match events.next_message().await {
            Ok(message) => message,
            Err(error) => return error,
        };
        match (message.envelope.kind, message.envelope.method(&message.body)) {
            (
                Kind::Notification,
                method @ (Method::ToolsChanged | Method::PromptsChanged | Method::ResourcesChanged),
            ) => shared.changes.announce(method),
            (Kind::Request, _) => {
                if let Ok(session) = shared.sessions.open(shared, SessionKey::Shared).await
                    && let Some(answer) = message::answer_to(&message)
                {
                    session.notify(answer);
                }
            }
            (Kind::Response, _) => return BackendError::gone("it ended the subscription"),
            _ => {}
        }
    }
}
