//! The stream of a legacy session for what the server says beside its answers: announcements, and requests and log messages
//! that do not name a call. Many servers ask a client only there, and drop what they have to say where nobody listens.
//!
//! S: MCP 2025-11-25 `basic/transports` "Listening for Messages from the Server".

use super::Shared;
use super::client::{HttpClient, Media, Outgoing, Verb};
use super::events::HttpEvents;
use super::session::{Key, UpstreamSession};
use crate::deadlines::Deadlines;
use crate::pending::{Pending, Waiting};
use crate::{BackendError, Call, Message, SessionKey, message};
use bytes::Bytes;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use weir_protocol::{Kind, Method};
use weir_runtime::Backoff;

/// So long the first call waits for the stream: what the server asks before it is open is lost.
const OPENING: Duration = Duration::from_secs(1);
/// A stream that lived less is a brief one.
const BRIEF: Duration = Duration::from_secs(5);
/// A server whose streams are brief so often in a row offers none.
const BRIEF_STREAMS: u32 = 5;

/// The stream of one session, and the calls that can be asked something on it.
#[derive(Debug)]
pub(crate) struct SideStream {
    key: Key,
    calls: Pending,
    is_open: AtomicBool,
    reader: Mutex<Option<AbortHandle>>,
}

impl SideStream {
    pub(crate) fn new(key: Key) -> Self {
        Self { key, calls: Pending::default(), is_open: AtomicBool::new(false), reader: Mutex::default() }
    }

    /// Opens the stream of `session` and keeps it in the background. Servers with as many streams as calls are allowed get
    /// no more, but for those that clients share.
    pub(crate) async fn open(&self, shared: &Arc<Shared>, session: &Arc<UpstreamSession>) {
        let place = match self.key.client {
            SessionKey::Shared => None,
            SessionKey::Client(_) => match shared.streams.clone().try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => return,
            },
        };
        let (opened, is_opened) = oneshot::channel();
        let (backend, session) = (shared.myself.clone(), Arc::downgrade(session));
        let reader = shared.handle.spawn(async move {
            let _place = place;
            keep(&backend, &session, opened).await;
        });
        *self.reader.lock() = Some(reader.abort_handle());
        if self.key.capabilities.can_be_asked() {
            let _ = tokio::time::timeout(OPENING, is_opened).await;
        }
    }

    /// The calls that can be asked something on it.
    pub(crate) fn calls(&self) -> &Pending {
        &self.calls
    }

    pub(crate) fn close(&self) {
        if let Some(reader) = self.reader.lock().take() {
            reader.abort();
        }
    }

    fn take(&self, shared: &Shared, session: &Arc<UpstreamSession>, message: Message) {
        match (message.envelope.kind, message.envelope.method(&message.body)) {
            (Kind::Request, method) => {
                if matches!(method, Method::Elicit | Method::CreateMessage) {
                    shared.asks_aside.store(true, Ordering::Relaxed);
                }
                let (key, roots) = (self.key.client, &shared.roots);
                let left = match roots.answer_for_all(key, &message) {
                    true => Some(message),
                    false => self.calls.ask(key, message),
                };
                if let Some(answer) = left.and_then(|message| message::answer_to(&message, roots)) {
                    session.reply(answer);
                }
            }
            (Kind::Notification, Method::Message) => {
                shared.subscriptions.log(&self.calls, self.key.client, message);
            }
            (Kind::Notification, _) => session.announce(message),
            (Kind::Response, _) => {}
        }
    }
}

/// Keeps the stream open while the session is used and the server offers it. `opened` is told when the first attempt has
/// ended.
async fn keep(backend: &Weak<Shared>, session: &Weak<UpstreamSession>, opened: oneshot::Sender<()>) {
    let mut opened = Some(opened);
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let mut brief = 0;
    while brief < BRIEF_STREAMS {
        let began = Instant::now();
        match stream(backend, session).await {
            Ok(Some(events)) => {
                drop(opened.take());
                let error = read(backend, session, events).await;
                tracing::debug!(%error, detail = error.detail(), "the stream of a session ended");
                if error == BackendError::Stopping {
                    return;
                }
                brief = if began.elapsed() < BRIEF { brief + 1 } else { 0 };
            }
            Ok(None) => return,
            Err(error) => {
                drop(opened.take());
                tracing::debug!(%error, detail = error.detail(), "no stream of a session");
            }
        }
        tokio::time::sleep(backoff.next_after(began.elapsed())).await;
    }
}

/// Opens the stream; `None` where the server offers none, or nobody wants it any more.
async fn stream(
    backend: &Weak<Shared>,
    session: &Weak<UpstreamSession>,
) -> Result<Option<HttpEvents>, BackendError> {
    let (Some(shared), Some(headers)) =
        (backend.upgrade(), session.upgrade().map(|session| session.headers()))
    else {
        return Ok(None);
    };
    let limit = shared.timeouts.list;
    let request = Outgoing::new(Verb::Get, headers, Bytes::new());
    let response = tokio::time::timeout(limit, shared.client.send(request))
        .await
        .unwrap_or(Err(BackendError::Timeout { what: "the stream of a session", after: limit }))?;
    Ok(match (response.media, response.status) {
        (Media::EventStream, 200..300) => {
            Some(HttpEvents::new(response.body, 0, shared.limits.message, Deadlines::endless(), None))
        }
        (_, 500..) => return Err(BackendError::Refused { status: response.status }),
        _ => None,
    })
}

/// Takes in what the stream brings until it ends.
async fn read(
    backend: &Weak<Shared>,
    session: &Weak<UpstreamSession>,
    mut events: HttpEvents,
) -> BackendError {
    mark(session, true);
    let error = loop {
        let message = match events.next_message().await {
            Ok(message) => message,
            Err(error) => break error,
        };
        let (Some(shared), Some(session)) = (backend.upgrade(), session.upgrade()) else {
            return BackendError::Stopping;
        };
        if let Some(side) = &session.side {
            side.take(&shared, &session, message);
        }
    };
    mark(session, false);
    error
}

fn mark(session: &Weak<UpstreamSession>, is_open: bool) {
    if let Some(side) = session.upgrade().as_ref().and_then(|session| session.side.as_ref()) {
        side.is_open.store(is_open, Ordering::Relaxed);
    }
}

/// What the server says on the side stream to one call. Dropped before the call's end, the call was given up.
#[derive(Debug)]
pub(crate) struct Aside {
    session: Arc<UpstreamSession>,
    id: u64,
    waiting: Waiting,
    is_settled: bool,
}

impl Aside {
    /// The call `id` begins; `None` where it cannot be asked anything beside its answer.
    pub(crate) fn begin(session: &Arc<UpstreamSession>, id: u64, call: &Call) -> Option<Self> {
        let side = session.side.as_ref()?;
        if !call.capabilities.can_be_asked() || !side.is_open.load(Ordering::Relaxed) {
            return None;
        }
        let waiting = side.calls.insert_call(id, true, call.logs, call.capabilities).ok()?;
        Some(Self { session: session.clone(), id, waiting, is_settled: false })
    }

    /// Where it arrives.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// The call has ended.
    pub(crate) fn settle(mut self) {
        self.is_settled = true;
        if let Some(side) = &self.session.side {
            side.calls.settle(self.id);
        }
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.is_settled
            && let Some(side) = &self.session.side
        {
            side.calls.remove(self.id);
        }
    }
}
