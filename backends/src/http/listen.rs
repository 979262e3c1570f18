//! The stream on which a server announces changes: a GET in the legacy era, `subscriptions/listen` in the modern one.

use super::Shared;
use super::aside::Aside;
use super::client::{Media, Outgoing, Verb};
use super::events::HttpEvents;
use super::post::{self, Attempt};
use super::requester::WhileHeld;
use super::session::Key;
use super::session::UpstreamSession;
use crate::deadlines::Deadlines;
use crate::subscriptions::{Subjects, Subscriptions};
use crate::{BackendError, message};
use bytes::Bytes;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_protocol::{Era, Kind, Method};
use weir_runtime::Backoff;

/// A stream that lived less is a brief one.
const BRIEF: Duration = Duration::from_secs(5);
/// A server whose streams are brief so often in a row offers none.
const BRIEF_STREAMS: u32 = 5;

/// A stream that was opened.
enum Opened {
    Legacy {
        session: Weak<UpstreamSession>,
        events: Box<HttpEvents>,
    },
    /// The server was asked for updates of these too.
    Modern {
        asked: Subjects,
        events: Box<HttpEvents>,
    },
}

/// Keeps the stream open as long as the server offers it. What it announces, and the loss of the stream (a change may
/// have been missed), is a reason to list again.
pub(crate) async fn run(shared: Arc<Shared>) {
    keep(&shared).await;
    shared.subscriptions.refuse_all(&BackendError::Unsupported("a stream on which updates could come"));
}

async fn keep(shared: &Arc<Shared>) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let mut brief = 0;
    let mut failing = false;
    let mut lenders = shared.credentials.lenders();
    loop {
        lenders.iter_mut().for_each(watch::Receiver::mark_unchanged);
        let pause = match open(shared).await {
            Ok(None) => return,
            Ok(Some(stream)) => {
                if std::mem::take(&mut failing) {
                    shared.changes.suspect();
                }
                let opened = Instant::now();
                let followed = async {
                    match stream {
                        Opened::Legacy { session, events } => watch_legacy(shared, session, events).await,
                        Opened::Modern { asked, events } => watch_modern(shared, asked, events).await,
                    }
                };
                let (error, is_own) = tokio::select! {
                    error = followed => (error, true),
                    () = another(&mut lenders) => {
                        (BackendError::gone("it was opened with a grant that is used no more"), false)
                    }
                };
                let lived = opened.elapsed();
                let detail = error.detail();
                tracing::debug!(backend = shared.name, %error, detail, "the stream of changes ended");
                // What weir itself ends says nothing of the server.
                brief = match lived < BRIEF {
                    true if is_own => brief + 1,
                    true => brief,
                    false => 0,
                };
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

/// Waits until another user's grant is used for what is weir's own.
async fn another(lenders: &mut Option<watch::Receiver<u64>>) {
    let changed = match lenders {
        Some(lenders) => lenders.changed().await.is_ok(),
        None => false,
    };
    if !changed {
        std::future::pending().await
    }
}

/// Opens the stream; `None` where the server offers none.
async fn open(shared: &Arc<Shared>) -> Result<Option<Opened>, BackendError> {
    match shared.verdict.era() {
        None => Err(BackendError::SessionLost),
        Some(Era::Modern) => {
            let asked = shared.subscriptions.wanted();
            let events = listen(shared, &asked).await?;
            Ok(events.map(|events| Opened::Modern { asked, events }))
        }
        Some(Era::Legacy) => {
            let session = shared.sessions.own(shared).await?;
            if session.line.is_some() {
                // Its one stream brings the announcements too.
                return Ok(None);
            }
            let request = Outgoing::new(Verb::Get, session.headers(), Bytes::new()).of(session.party());
            let limit = shared.timeouts.list;
            let response = tokio::time::timeout(limit, shared.send(request))
                .await
                .unwrap_or(Err(BackendError::Timeout { what: "the stream of changes", after: limit }))?;
            if response.is_success() && response.media == Media::EventStream {
                let limit = shared.limits.message;
                let events = HttpEvents::new(response.body, 0, limit, Deadlines::endless(), None);
                let session = Arc::downgrade(&session);
                return Ok(Some(Opened::Legacy { session, events: Box::new(events) }));
            }
            match response.status {
                405 => Ok(None),
                404 => {
                    shared.sessions.forget(Key::OWN, &session);
                    Err(BackendError::SessionLost)
                }
                status => Err(BackendError::Refused { status }),
            }
        }
    }
}

/// Asks a modern server for notifications; `None` where it has none.
async fn listen(shared: &Shared, uris: &Subjects) -> Result<Option<Box<HttpEvents>>, BackendError> {
    let id = shared.next_id();
    let members = Subscriptions::listen_members(uris);
    let body = message::request(id, Method::Listen.as_str(), &members, Era::Modern);
    match post::modern(shared, Method::Listen, None, id, body).await? {
        Attempt::Stream(events) => Ok(Some(events)),
        Attempt::Done(_) | Attempt::Unplaced(_) | Attempt::Pending(_) => Ok(None),
    }
}

/// Follows the stream of a session, in which resources are subscribed to beside it.
async fn watch_legacy(
    shared: &Arc<Shared>,
    session: Weak<UpstreamSession>,
    mut events: Box<HttpEvents>,
) -> BackendError {
    let requests = WhileHeld { shared, session };
    let error = tokio::select! {
        error = watch(shared, Some(&requests.session), &mut events) => error,
        error = shared.subscriptions.keep(&requests) => error,
    };
    if error == BackendError::SessionLost {
        requests.forget();
    }
    error
}

/// Follows a modern stream. As other resources are wanted, another stream takes its place, opened before it is closed.
async fn watch_modern(shared: &Arc<Shared>, asked: Subjects, mut events: Box<HttpEvents>) -> BackendError {
    let subscriptions = &shared.subscriptions;
    let mut wishes = subscriptions.wishes();
    let missed = subscriptions.begin();
    let mut accepted = Subjects::new();
    if !asked.is_empty() {
        accepted = match acknowledged(shared, &asked, &mut events).await {
            Ok(accepted) => accepted,
            Err(error) => {
                subscriptions.refuse(asked.iter(), &error);
                return error;
            }
        };
    }
    subscriptions.missed(&missed);
    loop {
        let wanted = tokio::select! {
            error = watch(shared, None, &mut events) => return error,
            wanted = subscriptions.next_wanted(&mut wishes, &accepted) => wanted,
        };
        // The old stream is heard until the new one is there; a server may end it before that.
        let mut opening = pin!(other(shared, &wanted));
        let (opened, ended) = tokio::select! {
            biased;
            error = watch(shared, None, &mut events) => (opening.await, Some(error)),
            opened = &mut opening => (opened, None),
        };
        match (opened, ended) {
            (Ok((fresh, now)), _) => {
                events = fresh;
                accepted = now;
            }
            (Err(_), Some(ended)) => return ended,
            (Err(error), None) => {
                tracing::debug!(backend = shared.name, %error, detail = error.detail(), "no other stream of changes");
                subscriptions.failed(&wanted, &mut accepted, &error);
            }
        }
    }
}

/// Opens another stream, for `wanted`; answers what the server accepted too.
async fn other(shared: &Shared, wanted: &Subjects) -> Result<(Box<HttpEvents>, Subjects), BackendError> {
    let limit = shared.timeouts.list;
    let late = BackendError::Timeout { what: Method::Listen.as_str(), after: limit };
    let opened = tokio::time::timeout(limit, listen(shared, wanted)).await.unwrap_or(Err(late))?;
    let mut events = opened.ok_or(BackendError::Unsupported("updates of its resources"))?;
    let accepted = acknowledged(shared, wanted, &mut events).await?;
    Ok((events, accepted))
}

/// Waits for the acknowledgement, which comes first on a stream.
async fn acknowledged(
    shared: &Shared,
    asked: &Subjects,
    events: &mut HttpEvents,
) -> Result<Subjects, BackendError> {
    let limit = shared.timeouts.list;
    let late = BackendError::Timeout { what: Method::Acknowledged.as_str(), after: limit };
    let message = tokio::time::timeout(limit, events.next_message()).await.unwrap_or(Err(late))?;
    if message.envelope.method(&message.body) != Method::Acknowledged {
        return Err(BackendError::Protocol("it did not acknowledge a subscription first".to_owned()));
    }
    Ok(shared.subscriptions.acknowledged(asked, &message))
}

/// Takes in what a stream, that of a legacy `session` or a modern one, brings until it ends.
async fn watch(
    shared: &Arc<Shared>,
    session: Option<&Weak<UpstreamSession>>,
    events: &mut HttpEvents,
) -> BackendError {
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
            (Kind::Notification, Method::ResourceUpdated | Method::TaskChanged) => {
                shared.subscriptions.updated(message)
            }
            // A modern server may send none (2026-07-28 `basic/patterns/mrtr`).
            (Kind::Request, _) => {
                if let Some(session) = session.and_then(Weak::upgrade) {
                    Aside::take(shared, &session, message);
                }
            }
            (Kind::Response, _) => return BackendError::gone("it ended the subscription"),
            (Kind::Notification, Method::Progress) => {
                if let Some(session) = session.and_then(Weak::upgrade) {
                    session.progress(message);
                }
            }
            (Kind::Notification, Method::TaskStatus) => {
                if let Some(session) = session.and_then(Weak::upgrade) {
                    session.announce(message);
                }
            }
            // A log message that comes here belongs to the session of everybody, so to nobody.
            _ => {}
        }
    }
}
