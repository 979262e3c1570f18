//! Sessions with legacy backends: opened when first needed, one for each client session, opened anew when lost.

use super::Shared;
use super::aside::Aside;
use super::client::{Incoming, Outgoing, Verb};
use super::lasting::Lasting;
use super::post;
use super::sse::{self, Failure, Line};
use crate::credentials::{Mark, Party};
use crate::errand::Home;
use crate::pending::Debtor;
use crate::verbosity::Verbosity;
use crate::{BackendError, Features, Message, SessionKey, Transport, message};
use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use weir_protocol::{ClientCapabilities, Era, Method, Revision, headers};

/// So many sessions of one backend are ended at once.
pub(crate) const ENDINGS: usize = 16;
/// So many answers to a server's own requests may be on their way.
pub(crate) const REPLIES: usize = 64;
/// How long a session that clients without sessions share is kept unused.
pub(crate) const IDLE: Duration = Duration::from_secs(600);
/// How long a server has to end a session.
pub(super) const ENDING: Duration = Duration::from_secs(5);
/// How long the end of a session may wait for the ends of others.
const ENDING_QUEUE: Duration = Duration::from_secs(60);

/// Whom a session serves, and what the server is told that this client can be asked: servers fix that with the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) client: SessionKey,
    pub(crate) capabilities: ClientCapabilities,
    /// Over HTTP+SSE: the stream that a call has to itself while its client can be asked, among those that clients share;
    /// 0 is for all others.
    pub(crate) lane: usize,
    /// The caller whose credential it is opened with, where callers have their own.
    pub(crate) mark: Option<Mark>,
}

impl Key {
    /// The session of weir's own requests: lists and subscriptions.
    pub(crate) const OWN: Self =
        Self { client: SessionKey::Shared, capabilities: ClientCapabilities::LISTING, lane: 0, mark: None };
}

/// The headers that place a request in a session.
type Headers = Vec<(&'static str, HeaderValue)>;

/// One session with a legacy backend.
#[derive(Debug)]
pub(crate) struct UpstreamSession {
    /// The id that the server gave it; `None` where the server keeps no sessions.
    pub(crate) id: Option<HeaderValue>,
    /// The event stream that is the session; `None` over streamable HTTP.
    pub(crate) line: Option<Arc<Line>>,
    /// What the server said of itself.
    pub(crate) features: Features,
    /// How much it logs.
    pub(crate) verbosity: Verbosity,
    /// When it was opened.
    pub(crate) since: Instant,
    /// What the server asks beside its calls, over streamable HTTP.
    pub(crate) aside: Aside,
    /// On whose behalf weir speaks in it.
    party: Arc<Mutex<Party>>,
    /// Its number among the places where tasks live, once there are any in it.
    pub(super) home: Arc<OnceLock<u64>>,
    /// When it was last wanted.
    pub(super) used: Mutex<Instant>,
    /// Nobody uses it for new requests, but the server may still keep it.
    abandoned: AtomicBool,
    shared: Weak<Shared>,
}

impl Drop for UpstreamSession {
    /// An abandoned session ends with the last request in it.
    fn drop(&mut self) {
        if let Some(line) = &self.line {
            line.close(&BackendError::SessionLost);
        }
        if self.abandoned.load(Ordering::Relaxed)
            && self.id.is_some()
            && let Some(shared) = self.shared.upgrade()
        {
            let (headers, party) = (self.headers(), self.party());
            let handle = shared.handle.clone();
            handle.spawn(async move { delete(&shared, headers, party).await });
        }
    }
}

impl UpstreamSession {
    /// What places a request in this session.
    pub(crate) fn headers(&self) -> Headers {
        let mut headers = Vec::with_capacity(3);
        if let Some(id) = &self.id {
            headers.push((headers::SESSION_ID, id.clone()));
        }
        // The header came with 2025-06-18; older servers ignore it.
        if self.features.revision >= Revision::V2025_06_18 {
            headers
                .push((headers::PROTOCOL_VERSION, HeaderValue::from_static(self.features.revision.as_str())));
        }
        headers
    }

    /// Nobody uses it for new requests; it ends with the last one in it.
    pub(super) fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }

    fn outgoing(&self, verb: Verb, body: Bytes) -> Outgoing {
        match &self.line {
            Some(line) => line.outgoing(self.headers(), body),
            None => Outgoing::new(verb, self.headers(), body),
        }
        .of(self.party())
    }

    /// On whose behalf weir speaks in it, beside calls.
    pub(crate) fn party(&self) -> Party {
        self.party.lock().clone()
    }

    /// A caller uses it with a token that may be newer than the one it was opened with.
    pub(crate) fn used_by(&self, party: &Party) {
        if let Party::Caller(_) = party {
            *self.party.lock() = party.clone();
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.has_ended())
    }

    /// Whether the server keeps nothing apart for it, so that it serves everybody.
    pub(super) fn is_stateless(&self) -> bool {
        self.id.is_none() && self.line.is_none()
    }

    /// weir's own answer to a request of the server, in the background. One that asks faster than it takes the answers gets no more.
    pub(crate) fn reply(self: &Arc<Self>, body: Bytes) {
        if let Some(shared) = self.shared.upgrade()
            && let Ok(place) = shared.replies.clone().try_acquire_owned()
        {
            self.post(shared, body, Some(place));
        }
    }

    /// Sends what a client answered to a request of the server, which waits for it. So the answer waits for a place among
    /// others, too.
    pub(crate) async fn deliver(&self, shared: &Shared, body: Bytes) -> Result<(), BackendError> {
        let limit = shared.timeouts.list;
        let late = BackendError::Timeout { what: "a place for an answer", after: limit };
        let sent = async {
            let place = timeout(limit, shared.replies.acquire()).await.map_err(|_| late)?;
            let _place = place.map_err(|_| BackendError::Stopping)?;
            send_plain(shared, self.outgoing(Verb::Post, body)).await
        };
        sent.await.map_err(|error| BackendError::NotTaken(Box::new(error)))
    }

    /// Whether the configuration answers `request` of the server, whoever's call it comes with.
    pub(crate) fn answers_for_all(&self, request: &Message) -> bool {
        self.shared().is_some_and(|shared| shared.roots.answer_for_all(self.aside.client(), request))
    }

    /// The server this session is with, where weir still knows it.
    pub(crate) fn shared(&self) -> Option<Arc<Shared>> {
        self.shared.upgrade()
    }

    /// Sends a notification in the background; nobody waits for it.
    pub(crate) fn notify(self: &Arc<Self>, body: Bytes) {
        if let Some(shared) = self.shared.upgrade() {
            self.post(shared, body, None);
        }
    }

    fn post(self: &Arc<Self>, shared: Arc<Shared>, body: Bytes, place: Option<OwnedSemaphorePermit>) {
        let session = self.clone();
        let handle = shared.handle.clone();
        handle.spawn(async move {
            let _place = place;
            let sent = send_plain(&shared, session.outgoing(Verb::Post, body)).await;
            if let Err(error) = sent {
                let detail = error.detail();
                tracing::debug!(backend = shared.name, %error, detail, "a notification did not reach the backend");
            }
        });
    }

    /// Progress came beside its call, whose number is its token.
    pub(crate) fn progress(&self, message: Message) {
        if let Some(shared) = self.shared.upgrade() {
            let home = self.home.get().copied();
            shared.subscriptions.progress(self.aside.pending(), home, message);
        }
    }

    /// The server announced a change in this session.
    pub(crate) fn announce(&self, message: Message) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        match message.envelope.method(&message.body) {
            method @ (Method::ToolsChanged | Method::PromptsChanged | Method::ResourcesChanged) => {
                shared.changes.announce(method);
            }
            Method::ResourceUpdated => shared.subscriptions.updated(message),
            Method::TaskStatus => {
                self.aside.pending().hear_of_task(&message);
                shared.subscriptions.task_told(self.home.get().copied(), message);
            }
            Method::Cancelled => self.aside.pending().withdraw(&message),
            _ => {}
        }
    }

    /// Asks for what follows the event `last` of a stream in this session.
    pub(crate) async fn resume(self: Arc<Self>, last: HeaderValue) -> Result<Incoming, BackendError> {
        let shared = self.shared.upgrade().ok_or(BackendError::Stopping)?;
        let mut headers = self.headers();
        headers.push((headers::LAST_EVENT_ID, last));
        shared.send(Outgoing::new(Verb::Get, headers, Bytes::new()).of(self.party())).await
    }
}

impl Debtor for UpstreamSession {
    fn release(self: Arc<Self>, id: u64) {
        if let Some(line) = &self.line {
            line.pending().remove(id);
        }
        self.notify(message::cancelled(id));
    }

    fn reply(self: Arc<Self>, id: u64, body: Bytes) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let handle = shared.handle.clone();
        handle.spawn(async move {
            if let Err(error) = self.deliver(&shared, body).await {
                let pending = self.line.as_ref().map_or(self.aside.pending(), |line| line.pending());
                pending.give_up(id, error);
            }
        });
    }

    fn end_task(self: Arc<Self>, id: Arc<str>) {
        if let Some(shared) = self.shared.upgrade() {
            Home::end_task(Lasting::new(shared, self), id);
        }
    }
}

pub(super) async fn open(
    shared: Arc<Shared>,
    key: Key,
    party: Party,
    number: u64,
) -> Result<Arc<UpstreamSession>, BackendError> {
    let opened = handshake(&shared, key, &party).await;
    let wanted = shared.sessions.settle(key, number, opened.as_ref().ok());
    if let Ok(session) = &opened
        && key.client == SessionKey::Shared
        && key != Key::OWN
    {
        shared.handle.spawn(end_when_idle(Arc::downgrade(&shared), key, Arc::downgrade(session)));
    }
    match opened {
        Ok(session) if !wanted => {
            end(&shared, &session).await;
            Err(BackendError::SessionEnded)
        }
        opened => opened,
    }
}

/// Ends a session of clients without sessions of their own, which nothing else ends, once it is out of use.
async fn end_when_idle(shared: Weak<Shared>, key: Key, session: Weak<UpstreamSession>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let (Some(shared), Some(session)) = (shared.upgrade(), session.upgrade()) else {
            return;
        };
        if shared.sessions.take_idle(key, &session) {
            return end(&shared, &session).await;
        }
    }
}

/// The legacy handshake, over the transport that the server is known to speak, else over whichever it answers.
async fn handshake(
    shared: &Arc<Shared>,
    key: Key,
    party: &Party,
) -> Result<Arc<UpstreamSession>, BackendError> {
    let known = shared.verdict.transport();
    if known == Some(Transport::Sse) {
        return Ok(over_sse(shared, key, party).await?);
    }
    match over_http(shared, key, party).await {
        Err(error) if known.is_none() && error.contradicts_era() => {
            over_sse(shared, key, party).await.map_err(|failure| match failure {
                Failure::NotSpoken(_) => error,
                Failure::Broken(own) => own,
            })
        }
        done => done,
    }
}

async fn over_sse(shared: &Arc<Shared>, key: Key, party: &Party) -> Result<Arc<UpstreamSession>, Failure> {
    let (line, features) = sse::initialize(shared, key, party).await?;
    let party = line.party().clone();
    initialized(shared, key, party, None, Some(line), features).await.map_err(Failure::Broken)
}

async fn over_http(
    shared: &Arc<Shared>,
    key: Key,
    party: &Party,
) -> Result<Arc<UpstreamSession>, BackendError> {
    let id = shared.next_id();
    let members = message::initialize_members(key.capabilities);
    let body = message::request(id, Method::Initialize.as_str(), &members, Era::Legacy);
    let (session_id, answer) = post::initialize(shared, id, body, party.clone()).await;
    let features = match answer.and_then(|answer| Features::of_initialize(&answer)) {
        Ok(features) => features,
        Err(error) => {
            if let Some(id) = session_id {
                let (shared, party) = (shared.clone(), party.clone());
                let handle = shared.handle.clone();
                handle.spawn(async move { delete(&shared, vec![(headers::SESSION_ID, id)], party).await });
            }
            return Err(error);
        }
    };
    let party = Arc::new(Mutex::new(party.clone()));
    initialized(shared, key, party, session_id, None, features).await
}

/// Ends the handshake.
async fn initialized(
    shared: &Arc<Shared>,
    key: Key,
    party: Arc<Mutex<Party>>,
    id: Option<HeaderValue>,
    line: Option<Arc<Line>>,
    features: Features,
) -> Result<Arc<UpstreamSession>, BackendError> {
    let home = line.as_ref().map(|line| line.home.clone()).unwrap_or_default();
    let session = Arc::new(UpstreamSession {
        id,
        home,
        line,
        features,
        verbosity: Verbosity::default(),
        since: Instant::now(),
        aside: Aside::new(key),
        party,
        used: Mutex::new(Instant::now()),
        abandoned: AtomicBool::new(false),
        shared: shared.myself.clone(),
    });
    let initialized = Bytes::from_static(message::INITIALIZED);
    if let Err(error) = send_plain(shared, session.outgoing(Verb::Post, initialized)).await {
        end(shared, &session).await;
        return Err(error);
    }
    Ok(session)
}

/// Ends a session at the server, which may refuse that (2025-11-25 `basic/transports`).
pub(crate) async fn end(shared: &Shared, session: &UpstreamSession) {
    session.aside.close();
    if let Some(line) = &session.line {
        line.close(&shared.is_open().err().unwrap_or(BackendError::SessionEnded));
    }
    if session.id.is_some() {
        delete(shared, session.headers(), session.party()).await;
    }
}

async fn delete(shared: &Shared, headers: Headers, party: Party) {
    // Many sessions may end at the same moment; the server must not see a connection for each at once.
    if let Ok(Ok(_place)) = timeout(ENDING_QUEUE, shared.endings.acquire()).await {
        let request = Outgoing::new(Verb::Delete, headers, Bytes::new()).of(party);
        let _ = timeout(ENDING, send_plain(shared, request)).await;
    }
}

/// Sends what has no answer.
async fn send_plain(shared: &Shared, request: Outgoing) -> Result<(), BackendError> {
    let limit = shared.timeouts.list;
    let response = timeout(limit, shared.send(request))
        .await
        .unwrap_or(Err(BackendError::Timeout { what: "a notification", after: limit }))?;
    if response.is_success() { Ok(()) } else { Err(BackendError::Refused { status: response.status }) }
}
