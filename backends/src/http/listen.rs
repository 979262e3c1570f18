//! The stream on which a server announces changes: a GET in the legacy era, `subscriptions/listen` in the modern one.

use super::Shared;
use super::client::{HttpClient, Media, Outgoing, Verb};
use super::events::HttpEvents;
use super::post::{self, Attempt};
use crate::deadlines::Deadlines;
use crate::{BackendError, SessionKey, message};
use bytes::Bytes;
use std::sync::Arc;
use weir_protocol::{Era, Kind, Method};
use weir_runtime::Backoff;

/// Keeps the stream open as long as the server offers it. What it announces, and every loss of the stream (a change may
/// have been missed), is a reason to list again.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(
        std::time::Duration::from_secs(1),
        std::time::Duration::from_secs(60),
    );
    loop {
        match open(&shared).await {
            Ok(None) => return,
            Ok(Some(events)) => {
                backoff.reset();
                let ended = watch(&shared, events).await;
                tracing::debug!(backend = shared.name, error = %ended, "the stream of changes ended");
            }
            Err(error) => tracing::debug!(backend = shared.name, %error, "no stream of changes"),
        }
        tokio::time::sleep(backoff.next()).await;
        shared.changes.suspect();
    }
}

/// Opens the stream; `None` where the server offers none.
async fn open(shared: &Shared) -> Result<Option<HttpEvents>, BackendError> {
    match shared.known_era() {
        None => Err(BackendError::SessionLost),
        Some(Era::Modern) => {
            let id = shared.next_id();
            let body = message::request(id, Method::Listen.as_str(), message::LISTEN_MEMBERS, Era::Modern);
            match post::modern(shared, Method::Listen, None, id, body).await? {
                Attempt::Stream(events) => Ok(Some(events)),
                Attempt::Done(_) => Ok(None),
            }
        }
        Some(Era::Legacy) => {
            let session = shared.sessions.open(shared, SessionKey::Shared).await?;
            let request = Outgoing {
                verb: Verb::Get,
                headers: session.headers(),
                body: Bytes::new(),
            };
            let response = shared.client.send(request).await?;
            if response.is_success() && response.media == Media::EventStream {
                let limit = shared.limits.message;
                return Ok(Some(HttpEvents::new(
                    response.body,
                    0,
                    limit,
                    Deadlines::endless(),
                    None,
                )));
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

async fn watch(shared: &Shared, mut events: HttpEvents) -> BackendError {
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
            (Kind::Response, _) => return BackendError::Gone("it ended the subscription".to_owned()),
            _ => {}
        }
    }
}
