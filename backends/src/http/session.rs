//! Sessions with legacy backends: opened when first needed, one for each client session, opened anew when lost.

use super::Shared;
use super::client::{HttpClient, Incoming, Outgoing, Verb};
use super::post::{self, Attempt};
use super::sse::{self, Failure, Line};
use crate::departed::Departed;
use crate::flight::{Flight, launch};
use crate::pending::Debtor;
use crate::verbosity::Verbosity;
use crate::{BackendError, Features, Message, SessionKey, Transport, message};
use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout};
use weir_protocol::{ClientCapabilities, Era, Method, Revision, headers};

/// So many sessions of one backend are ended at once.
pub(crate) const ENDINGS: usize = 16;
/// So many answers to a server's own requests may be on their way.
pub(crate) const REPLIES: usize = 64;
/// How long a server has to end a session.
const ENDING: Duration = Duration::from_secs(5);
/// How long the end of a session may wait for the ends of others.
const ENDING_QUEUE: Duration = Duration::from_secs(60);

/// Whom a session serves, and what the server is told that this client can be asked: servers fix that with the handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub(crate) client: SessionKey,
    pub(crate) capabilities: ClientCapabilities,
}

impl Key {
    /// The session of weir's own requests: lists and subscriptions.
    pub(crate) const OWN: Self =
        Self { client: SessionKey::Shared, capabilities: ClientCapabilities::LISTING };
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
            let headers = self.headers();
            let handle = shared.handle.clone();
            handle.spawn(async move { delete(&shared, headers).await });
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

    fn outgoing(&self, verb: Verb, body: Bytes) -> Outgoing {
        match &self.line {
            Some(line) => line.outgoing(self.headers(), body),
            None => Outgoing::new(verb, self.headers(), body),
        }
    }

    fn has_ended(&self) -> bool {
        self.line.as_ref().is_some_and(|line| line.has_ended())
    }

    /// Whether the server keeps nothing apart for it, so that it serves everybody.
    fn is_stateless(&self) -> bool {
        self.id.is_none() && self.line.is_none()
    }

    /// Answers a request of the server in the background. One that asks faster than it takes the answers gets no more.
    pub(crate) fn reply(self: &Arc<Self>, body: Bytes) {
        if let Some(shared) = self.shared.upgrade()
            && let Ok(place) = shared.replies.clone().try_acquire_owned()
        {
            self.post(shared, body, Some(place));
        }
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
            _ => {}
        }
    }

    /// Asks for what follows the event `last` of a stream in this session.
    pub(crate) async fn resume(self: Arc<Self>, last: HeaderValue) -> Result<Incoming, BackendError> {
        let shared = self.shared.upgrade().ok_or(BackendError::Stopping)?;
        let mut headers = self.headers();
        headers.push((headers::LAST_EVENT_ID, last));
        shared.client.send(Outgoing::new(Verb::Get, headers, Bytes::new())).await
    }
}

impl Debtor for UpstreamSession {
    fn release(self: Arc<Self>, id: u64) {
        if let Some(line) = &self.line {
            line.pending().remove(id);
        }
        self.notify(message::cancelled(id));
    }

    fn reply(self: Arc<Self>, body: Bytes) {
        UpstreamSession::reply(&self, body);
    }
}

/// The sessions of one backend.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    places: HashMap<Key, Place>,
    /// The session of a server that keeps none; it serves everybody.
    stateless: Option<Arc<UpstreamSession>>,
    departed: Departed,
    /// Counts the handshakes, so that each knows its own place again.
    handshakes: u64,
    closed: bool,
}

#[derive(Debug)]
enum Place {
    /// The handshake with this number is under way.
    Opening(u64, Flight<Arc<UpstreamSession>>),
    Open(Arc<UpstreamSession>),
}

impl Sessions {
    /// The session for `key`, opened where there is none. However many wait for it, one handshake is made; whoever
    /// leaves meanwhile does not stop it.
    pub(crate) async fn open(
        &self,
        shared: &Arc<Shared>,
        key: Key,
    ) -> Result<Arc<UpstreamSession>, BackendError> {
        let opening = {
            let mut state = self.0.lock();
            if state.closed {
                return Err(BackendError::Stopping);
            }
            if let Some(session) = &state.stateless {
                return Ok(session.clone());
            }
            match state.places.get(&key) {
                Some(Place::Open(session)) if !session.has_ended() => return Ok(session.clone()),
                Some(Place::Opening(_, opening)) => opening.clone(),
                _ if state.departed.contains(key.client) => return Err(BackendError::SessionEnded),
                _ => {
                    state.handshakes += 1;
                    let number = state.handshakes;
                    let opening = launch(&shared.handle, open(shared.clone(), key, number));
                    state.places.insert(key, Place::Opening(number, opening.clone()));
                    opening
                }
            }
        };
        opening.await
    }

    /// Takes in what the handshake `number` ended with; `false` where nobody wants the session any more.
    fn settle(&self, key: Key, number: u64, session: Option<&Arc<UpstreamSession>>) -> bool {
        let mut state = self.0.lock();
        let ours = matches!(state.places.get(&key), Some(Place::Opening(present, _)) if *present == number);
        if ours {
            state.places.remove(&key);
        }
        match session {
            Some(session) if session.is_stateless() && !state.closed => {
                state.stateless = Some(session.clone());
                true
            }
            Some(session) if ours => {
                state.places.insert(key, Place::Open(session.clone()));
                true
            }
            _ => false,
        }
    }

    /// The server no longer knows `lost`; the next call opens another.
    pub(crate) fn forget(&self, key: Key, lost: &Arc<UpstreamSession>) {
        let mut state = self.0.lock();
        if state.stateless.as_ref().is_some_and(|session| Arc::ptr_eq(session, lost)) {
            state.stateless = None;
        }
        if matches!(state.places.get(&key), Some(Place::Open(session)) if Arc::ptr_eq(session, lost)) {
            state.places.remove(&key);
        }
    }

    /// As [`Sessions::forget`], where what was `sent` in `session` says so. Answers whether it does. Where that is but a
    /// guess, the session is ended once no request runs in it any more.
    pub(crate) fn forget_if_lost(
        &self,
        key: Key,
        session: &Arc<UpstreamSession>,
        sent: &Result<Attempt, BackendError>,
    ) -> bool {
        match sent {
            Err(BackendError::SessionLost) => {}
            Ok(Attempt::Unplaced(_)) => session.abandoned.store(true, Ordering::Relaxed),
            _ => return false,
        }
        self.forget(key, session);
        true
    }

    /// Takes the sessions of `client` out. A handshake under way ends what it opens.
    pub(crate) fn take(&self, client: SessionKey) -> Vec<Arc<UpstreamSession>> {
        let taken = self.0.lock().places.extract_if(|key, _| key.client == client).collect::<Vec<_>>();
        let open = |place| match place {
            Place::Open(session) => Some(session),
            Place::Opening(..) => None,
        };
        taken.into_iter().filter_map(|(_, place)| open(place)).collect()
    }

    /// As [`Sessions::take`], for good: a late call of the same client opens nothing any more.
    pub(crate) fn take_for_good(&self, client: SessionKey) -> Vec<Arc<UpstreamSession>> {
        self.0.lock().departed.add(client);
        self.take(client)
    }

    /// Takes out what is everybody's, since whatever answers at this address next may be another program. Requests that
    /// run in it go on.
    pub(crate) fn abandon_shared(&self) {
        self.0.lock().stateless = None;
        for session in self.take(SessionKey::Shared) {
            session.abandoned.store(true, Ordering::Relaxed);
        }
    }

    /// Ends everything, for good.
    pub(crate) async fn close(&self, shared: &Shared) {
        let places = {
            let mut state = self.0.lock();
            state.closed = true;
            state.stateless = None;
            std::mem::take(&mut state.places)
        };
        let ended = places.into_values().map(|place| async move {
            match place {
                Place::Open(session) => end(shared, &session).await,
                // Finding its place gone, it ends what it opened.
                Place::Opening(_, opening) => drop(opening.await),
            }
        });
        let _ = timeout(2 * ENDING, futures_util::future::join_all(ended)).await;
    }
}

async fn open(shared: Arc<Shared>, key: Key, number: u64) -> Result<Arc<UpstreamSession>, BackendError> {
    let opened = handshake(&shared, key).await;
    let wanted = shared.sessions.settle(key, number, opened.as_ref().ok());
    match opened {
        Ok(session) if !wanted => {
            end(&shared, &session).await;
            Err(BackendError::SessionEnded)
        }
        opened => opened,
    }
}

/// The legacy handshake, over the transport that the server is known to speak, else over whichever it answers.
async fn handshake(shared: &Arc<Shared>, key: Key) -> Result<Arc<UpstreamSession>, BackendError> {
    let known = shared.verdict.transport();
    if known == Some(Transport::Sse) {
        return Ok(over_sse(shared, key).await?);
    }
    match over_http(shared, key).await {
        Err(error) if known.is_none() && error.contradicts_era() => {
            over_sse(shared, key).await.map_err(|failure| match failure {
                Failure::NotSpoken(_) => error,
                Failure::Broken(own) => own,
            })
        }
        done => done,
    }
}

async fn over_sse(shared: &Arc<Shared>, key: Key) -> Result<Arc<UpstreamSession>, Failure> {
    let (line, features) = sse::initialize(shared, key).await?;
    initialized(shared, None, Some(line), features).await.map_err(Failure::Broken)
}

async fn over_http(shared: &Arc<Shared>, key: Key) -> Result<Arc<UpstreamSession>, BackendError> {
    let id = shared.next_id();
    let members = message::initialize_members(key.capabilities);
    let body = message::request(id, Method::Initialize.as_str(), &members, Era::Legacy);
    let (session_id, answer) = post::initialize(shared, id, body).await;
    let features = match answer.and_then(|answer| Features::of_initialize(&answer)) {
        Ok(features) => features,
        Err(error) => {
            if let Some(id) = session_id {
                let shared = shared.clone();
                let handle = shared.handle.clone();
                handle.spawn(async move { delete(&shared, vec![(headers::SESSION_ID, id)]).await });
            }
            return Err(error);
        }
    };
    initialized(shared, session_id, None, features).await
}

/// Ends the handshake.
async fn initialized(
    shared: &Arc<Shared>,
    id: Option<HeaderValue>,
    line: Option<Arc<Line>>,
    features: Features,
) -> Result<Arc<UpstreamSession>, BackendError> {
    let session = Arc::new(UpstreamSession {
        id,
        line,
        features,
        verbosity: Verbosity::default(),
        since: Instant::now(),
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
    if let Some(line) = &session.line {
        line.close(&shared.is_open().err().unwrap_or(BackendError::SessionEnded));
    }
    if session.id.is_some() {
        delete(shared, session.headers()).await;
    }
}

async fn delete(shared: &Shared, headers: Headers) {
    // Many sessions may end at the same moment; the server must not see a connection for each at once.
    if let Ok(Ok(_place)) = timeout(ENDING_QUEUE, shared.endings.acquire()).await {
        let _ = timeout(ENDING, send_plain(shared, Outgoing::new(Verb::Delete, headers, Bytes::new()))).await;
    }
}

/// Sends what has no answer.
async fn send_plain(shared: &Shared, request: Outgoing) -> Result<(), BackendError> {
    let limit = shared.timeouts.list;
    let response = timeout(limit, shared.client.send(request))
        .await
        .unwrap_or(Err(BackendError::Timeout { what: "a notification", after: limit }))?;
    if response.is_success() { Ok(()) } else { Err(BackendError::Refused { status: response.status }) }
}
