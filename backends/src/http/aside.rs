//! What a server says beside its calls: on the GET stream of a session, where nothing says which call it belongs to. Many
//! servers ask there what they ask, since their libraries make it the default, and announce changes to nobody but the session
//! whose call made them.
//!
//! S: MCP 2025-11-25 `basic/transports` "Listening for Messages from the Server".

use super::Shared;
use super::client::{Media, Outgoing, Verb};
use super::events::HttpEvents;
use super::session::{Key, UpstreamSession};
use crate::deadlines::Deadlines;
use crate::exchange::Event;
use crate::pending::{Pending, Waiting};
use crate::{Augment, BackendError, Call, Message, SessionKey, message};
use bytes::Bytes;
use parking_lot::Mutex;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use weir_protocol::{Kind, Method};
use weir_runtime::Backoff;

/// A call waits so long for the stream on which it may be asked something; beyond that it is sent without one.
const OPENING: Duration = Duration::from_secs(1);
/// A stream that lived less is a brief one, and a server whose streams are so brief so often in a row has none.
const BRIEF: Duration = Duration::from_secs(5);
const BRIEF_STREAMS: u32 = 5;

/// What one session has beside its calls.
#[derive(Debug)]
pub(crate) struct Aside {
    client: SessionKey,
    /// The session is weir's own, whose stream is listened to for changes anyway.
    own: bool,
    /// Its clients can be asked something at all.
    asks: bool,
    pending: Pending,
    stream: Mutex<Option<JoinHandle<()>>>,
    /// It is listened to for announcements alone.
    heard: AtomicBool,
    /// The stream is open, or there is none.
    settled: watch::Sender<bool>,
}

impl Drop for Aside {
    fn drop(&mut self) {
        self.close();
    }
}

/// A call's place among those that may be asked something beside it. Dropped before the call has ended, it stands for one
/// that was given up.
#[derive(Debug)]
pub(crate) struct Beside {
    session: Arc<UpstreamSession>,
    id: u64,
    waiting: Waiting,
    ended: AtomicBool,
}

impl Drop for Beside {
    fn drop(&mut self) {
        for refusal in self.waiting.refusals() {
            self.session.reply(refusal);
        }
        let ended = self.ended.load(Ordering::Relaxed);
        self.session.aside.pending.leave(self.id, &self.waiting, ended);
    }
}

impl Beside {
    /// What the server asks, or says, of the call. Cancel-safe.
    pub(crate) async fn next(&self) -> Event {
        self.waiting.event().await
    }

    /// Where it arrives.
    pub(crate) fn waiting(&self) -> Waiting {
        self.waiting.clone()
    }

    /// Whether `body` answers what was asked here; from now on it does not.
    pub(crate) fn settle(&self, body: &[u8]) -> bool {
        self.waiting.settle(body)
    }

    /// The call has ended.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }
}

impl Aside {
    /// That of a session for `key`.
    pub(crate) fn new(key: Key) -> Self {
        Self {
            client: key.client,
            own: key == Key::OWN,
            asks: key.capabilities.can_be_asked(),
            pending: Pending::default(),
            stream: Mutex::default(),
            heard: AtomicBool::new(false),
            settled: watch::Sender::new(false),
        }
    }

    /// Whom the session serves.
    pub(crate) fn client(&self) -> SessionKey {
        self.client
    }

    /// The calls of the session, as far as they may be asked something beside them.
    pub(crate) fn pending(&self) -> &Pending {
        &self.pending
    }

    /// Whether the session's clients can be asked anything.
    pub(crate) fn is_used(&self) -> bool {
        self.asks
    }

    /// Listens to what is announced in a session that nobody can be asked anything in, where many clients share it or `call`
    /// becomes a task, of which the server may tell there.
    pub(crate) fn hear(&self, shared: &Shared, session: &Arc<UpstreamSession>, call: &Call) {
        let has_stream = session.id.is_some() && session.line.is_none();
        let is_heard = self.client == SessionKey::Shared || call.augment != Augment::No;
        if is_heard && has_stream && !self.heard.swap(true, Ordering::Relaxed) {
            self.listen(shared, session);
        }
    }

    /// Nothing is listened to any more.
    pub(crate) fn close(&self) {
        if let Some(stream) = self.stream.lock().take() {
            stream.abort();
        }
    }

    /// The server knows the session no more, or so it says: whoever wants the stream next asks for it anew.
    fn forget_stream(&self) {
        self.stream.lock().take();
        self.heard.store(false, Ordering::Relaxed);
    }

    /// A request of the server came on the session's stream. One that no call's client can be asked is answered here.
    pub(crate) fn take(shared: &Shared, session: &Arc<UpstreamSession>, message: Message) {
        let aside = &session.aside;
        // What names a task says whose it is.
        if matches!(message.envelope.method(&message.body), Method::Elicit | Method::CreateMessage)
            && message.related_task().is_none()
        {
            shared.asks_aside.store(true, Ordering::Relaxed);
        }
        let left = match session.answers_for_all(&message) {
            true => Some(message),
            false => aside.pending.ask(aside.client, message),
        };
        if let Some(answer) = left.and_then(|message| message::answer_to(&message, &shared.roots)) {
            session.reply(answer);
        }
    }

    /// A notification came on the session's stream. Where clients share the session, nobody can tell whose log
    /// it is that names no task.
    fn note(shared: &Shared, session: &UpstreamSession, message: Message) {
        let aside = &session.aside;
        match (message.envelope.method(&message.body), aside.client) {
            (Method::Progress, _) => session.progress(message),
            (Method::Message, key) if key != SessionKey::Shared || message.related_task().is_some() => {
                shared.subscriptions.log(&aside.pending, key, message);
            }
            _ => session.announce(message),
        }
    }

    /// Makes ready for the call `id` to be asked something beside it: the stream is open before the call is sent. `None`
    /// where nobody can be asked, or the server keeps no session to ask in.
    pub(crate) async fn begin(
        shared: &Shared,
        session: &Arc<UpstreamSession>,
        id: u64,
        call: &Call,
    ) -> Option<Arc<Beside>> {
        let aside = &session.aside;
        if session.id.is_none() || session.line.is_some() {
            return None;
        }
        if !aside.own
            && call.askable().can_be_asked()
            && aside.listen(shared, session)
            && !shared.opens_late.load(Ordering::Relaxed)
        {
            let mut settled = aside.settled.subscribe();
            let _ = tokio::time::timeout(OPENING, settled.wait_for(|settled| *settled)).await;
        }
        let progress = call.meta.as_ref().is_some_and(|meta| meta.progress_token.is_some());
        if call.augment != Augment::No && !aside.own {
            // It may tell there of the task.
            aside.listen(shared, session);
        }
        let (capabilities, topic) = (call.askable(), call.topic());
        let waiting = aside.pending.insert_call(id, progress, call.logs, capabilities, topic);
        let (session, ended) = (session.clone(), AtomicBool::new(false));
        Some(Arc::new(Beside { session, id, waiting: waiting.ok()?, ended }))
    }

    /// `false` where too many client sessions have a stream.
    fn listen(&self, shared: &Shared, session: &Arc<UpstreamSession>) -> bool {
        let mut stream = self.stream.lock();
        if stream.is_some() {
            return true;
        }
        let place = match self.client {
            SessionKey::Shared => None,
            SessionKey::Client(_) => match shared.streams.clone().try_acquire_owned() {
                Ok(place) => Some(place),
                Err(_) => {
                    let limit = shared.limits.calls;
                    tracing::debug!(backend = shared.name, limit, "no place for a stream beside calls");
                    return false;
                }
            },
        };
        let (own, session) = (shared.myself.clone(), Arc::downgrade(session));
        *stream = Some(shared.handle.spawn(async move {
            let _place = place;
            keep(own, session).await;
        }));
        true
    }
}

/// Keeps the stream of a session open as long as there is one.
async fn keep(shared: Weak<Shared>, session: Weak<UpstreamSession>) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let mut brief = 0;
    while brief < BRIEF_STREAMS {
        let opened = Instant::now();
        let opening = open(&shared, &session).await;
        let is_lost = matches!(opening, Err(BackendError::SessionLost));
        let mut lived = false;
        match opening {
            Ok(Some(mut events)) => {
                follow(&shared, &session, &mut events).await;
                lived = opened.elapsed() >= BRIEF;
                brief = if lived { 0 } else { brief + 1 };
            }
            Ok(None) => break,
            // That says nothing of the next try.
            Err(error) => {
                let (shared, detail) = (shared.upgrade(), error.detail());
                let backend = shared.as_ref().map(|shared| shared.name.as_str());
                tracing::debug!(backend, %error, detail, "no stream for questions beside calls");
            }
        }
        if lived {
            // It will be there again in a moment, and a call waits for that.
            backoff.reset();
        }
        settle(&session, !lived);
        tokio::time::sleep(backoff.next()).await;
        if is_lost {
            if let Some(session) = session.upgrade() {
                session.aside.forget_stream();
            }
            return;
        }
    }
    settle(&session, true);
}

fn settle(session: &Weak<UpstreamSession>, settled: bool) {
    if let Some(session) = session.upgrade() {
        session.aside.settled.send_replace(settled);
    }
}

/// Opens the stream; `None` where the server or weir has none. It is the session that is lost where the server says 404
/// (2025-11-25 `basic/transports`).
async fn open(
    shared: &Weak<Shared>,
    session: &Weak<UpstreamSession>,
) -> Result<Option<Box<HttpEvents>>, BackendError> {
    let Some(shared) = shared.upgrade() else {
        return Ok(None);
    };
    let Some((headers, party)) = session.upgrade().map(|session| (session.headers(), session.party())) else {
        return Ok(None);
    };
    let mut request = pin!(shared.send(Outgoing::new(Verb::Get, headers, Bytes::new()).of(party)));
    let prompt = tokio::time::timeout(OPENING, &mut request).await;
    shared.opens_late.store(prompt.is_err(), Ordering::Relaxed);
    let response = match prompt {
        Ok(response) => response?,
        Err(_) => {
            // Some send no head before the first event, and nobody knows when that will be.
            settle(session, true);
            request.await?
        }
    };
    match response.status {
        200..300 if response.media == Media::EventStream => {}
        status @ (200..300 | 405) => {
            tracing::debug!(backend = shared.name, status, "it has no stream beside its calls");
            return Ok(None);
        }
        404 => return Err(BackendError::SessionLost),
        status => return Err(BackendError::Refused { status }),
    }
    let limit = shared.limits.message;
    Ok(Some(Box::new(HttpEvents::new(response.body, 0, limit, Deadlines::endless(), None))))
}

/// Takes in what the stream brings until it ends.
async fn follow(shared: &Weak<Shared>, session: &Weak<UpstreamSession>, events: &mut HttpEvents) {
    settle(session, true);
    while let Ok(message) = events.next_message().await {
        let (Some(shared), Some(session)) = (shared.upgrade(), session.upgrade()) else {
            return;
        };
        match message.envelope.kind {
            Kind::Request => Aside::take(&shared, &session, message),
            Kind::Notification => Aside::note(&shared, &session, message),
            Kind::Response => {}
        }
    }
}
