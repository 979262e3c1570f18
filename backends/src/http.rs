//! A backend that speaks streamable HTTP, in either era, or the transport of 2024-11-05.

mod aside;
mod authorized;
mod client;
mod early;
mod era;
mod events;
mod icon;
mod lasting;
mod late;
mod listen;
mod lister;
mod mirroring;
mod post;
mod requester;
mod resumption;
mod session;
mod sessions;
mod sse;

pub(crate) use client::USER_AGENT;
pub(crate) use events::HttpEvents;

use crate::changes::Announcer;
use crate::credentials::{Credentials, Party};
use crate::exchange::{Exchange, Held};
use crate::homes::{Homes, Owners};
use crate::inventory::Lists;
use crate::message::Roots;
use crate::pool::Pool;
use crate::subscriptions::Subscriptions;
use crate::{
    Augment, Backend, BackendError, Call, Changes, Connector, Grants, IconError, Inventory, Notice,
    SessionKey, Subject, Subscribed, Transport, message,
};
use async_trait::async_trait;
use client::Client;
use era::Verdict;
use http::HeaderMap;
use lasting::Lasting;
use lister::Lister;
use mirroring::Relisting;
use parking_lot::Mutex;
use post::Attempt;
use requester::InSession;
use session::{Key, UpstreamSession};
use sessions::Sessions;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, broadcast, watch};
use tokio::time::Instant;
use weir_config::SessionScope;
use weir_policies::Permit;
use weir_protocol::{ClientCapabilities, Era};

/// How long a call that was given up has to end before its session is replaced for the next that may be asked something.
const GRACE: Duration = Duration::from_secs(1);

/// What every part of one HTTP backend shares.
#[derive(Debug)]
pub(crate) struct Shared {
    name: String,
    url: url::Url,
    limits: weir_config::BackendLimits,
    timeouts: weir_config::BackendTimeouts,
    client: Client,
    credentials: Credentials,
    next_id: AtomicU64,
    verdict: Verdict,
    sessions: Sessions,
    /// Those in which tasks were begun.
    homes: Homes<UpstreamSession>,
    /// Whose tasks are in sessions that clients share.
    owners: Arc<Owners>,
    /// Places for sessions that are being ended.
    endings: Semaphore,
    /// Places for answers that come too late for their calls.
    late: Semaphore,
    /// Places for answers to the server's own requests.
    replies: Arc<Semaphore>,
    /// What it is told of roots where no client says which.
    roots: Roots,
    /// Places for the event streams of client sessions: over HTTP+SSE, and beside calls.
    streams: Arc<Semaphore>,
    /// Streams that clients share and that a call has to itself while its client can be asked, over HTTP+SSE.
    lanes: Arc<sse::Lanes>,
    /// Over streamable HTTP, too, it asks without saying for which call.
    asks_aside: AtomicBool,
    /// It is slow to open the streams of its sessions, so that no call waits for one.
    opens_late: AtomicBool,
    changes: Announcer,
    subscriptions: Arc<Subscriptions>,
    closed: AtomicBool,
    handle: Handle,
    /// For background work that must not keep the backend alive.
    myself: Weak<Shared>,
}

impl Shared {
    fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    fn is_open(&self) -> Result<(), BackendError> {
        if self.closed.load(Ordering::Relaxed) { Err(BackendError::Stopping) } else { Ok(()) }
    }

    /// Ends a session in the background.
    fn end(self: &Arc<Self>, session: Arc<UpstreamSession>) {
        let shared = self.clone();
        self.handle.spawn(async move { session::end(&shared, &session).await });
    }

    /// The inventory failed with `error`.
    fn doubt(self: &Arc<Self>, error: &BackendError) {
        if self.verdict.doubt(error) {
            self.sessions.abandon_shared();
        }
    }

    /// A call met a server that is not what it was. What that means for everybody is for the next inventory to say.
    fn suspect(&self) {
        self.verdict.outdate();
        self.changes.suspect();
    }
}

/// The task that hears of changes, and how.
#[derive(Debug)]
struct Listener {
    transport: Option<Transport>,
    task: tokio::task::JoinHandle<()>,
}

/// A server reached by HTTP.
#[derive(Debug)]
pub(crate) struct HttpBackend {
    shared: Arc<Shared>,
    scope: SessionScope,
    places: Arc<Semaphore>,
    /// Deals out the one event stream of `session: shared`, over HTTP+SSE.
    pool: Arc<Pool>,
    lists: Arc<Lists>,
    relisting: Relisting,
    listener: Mutex<Option<Listener>>,
}

impl HttpBackend {
    pub(crate) fn connect(
        spec: &weir_config::Backend,
        http: &weir_config::HttpBackend,
        grants: &Arc<dyn Grants>,
        handle: Handle,
    ) -> Result<Arc<dyn Backend>, BackendError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &http.headers {
            let name = http::HeaderName::try_from(name.as_str());
            let value = http::HeaderValue::try_from(value.expose());
            let (Ok(name), Ok(mut value)) = (name, value) else {
                return Err(BackendError::unreachable("a configured header is not a valid HTTP header"));
            };
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let credentials = Credentials::new(spec, http, &mut headers, grants, &handle)?;
        let uri: http::Uri =
            http.url.as_str().parse().map_err(|_| BackendError::unreachable("the URL is not valid"))?;
        let client = Client::new(http, &uri, &headers, spec.timeouts.connect)?;
        let shared = Arc::new_cyclic(|myself| Shared {
            name: spec.name.clone(),
            url: http.url.clone(),
            limits: spec.limits.clone(),
            timeouts: spec.timeouts.clone(),
            client,
            credentials,
            next_id: AtomicU64::new(1),
            verdict: Verdict::new(spec.era),
            sessions: Sessions::default(),
            homes: Homes::default(),
            owners: Arc::default(),
            endings: Semaphore::new(session::ENDINGS),
            late: Semaphore::new(late::PLACES),
            replies: Arc::new(Semaphore::new(session::REPLIES)),
            roots: Roots::new(&spec.roots),
            streams: Arc::new(Semaphore::new(spec.limits.calls)),
            lanes: Arc::default(),
            asks_aside: AtomicBool::new(false),
            opens_late: AtomicBool::new(false),
            changes: Announcer::default(),
            subscriptions: Arc::new(Subscriptions::new(spec.limits.subscriptions)),
            closed: AtomicBool::new(false),
            handle,
            myself: myself.clone(),
        });
        shared.follow_grants();
        Ok(Arc::new(Self {
            shared,
            scope: spec.session,
            places: Arc::new(Semaphore::new(spec.limits.calls)),
            pool: Pool::new(1, "event stream (`session: shared`) has other calls"),
            lists: Arc::new(Lists::new(&spec.name, spec.limits.items)),
            relisting: Relisting::default(),
            listener: Mutex::new(None),
        }))
    }

    /// The stream of change notifications is open, or being opened again.
    fn keep_listening(&self) {
        let transport = self.shared.verdict.transport();
        let mut listener = self.listener.lock();
        match &*listener {
            Some(listener) if listener.transport == transport && !listener.task.is_finished() => return,
            Some(old) => old.task.abort(),
            None => {}
        }
        let (shared, handle) = (self.shared.clone(), &self.shared.handle);
        let task = match transport {
            Some(Transport::Sse) => handle.spawn(sse::keep(shared)),
            _ => handle.spawn(listen::run(shared)),
        };
        *listener = Some(Listener { transport, task });
    }

    /// The session that a call belongs to and, where clients share an event stream, its right to that. A request of the
    /// server there does not say which call it belongs to, so a call whose client can be asked has the stream to itself.
    async fn key(
        &self,
        call: &Call,
        party: &Party,
        era: Era,
    ) -> Result<(Key, Option<Box<dyn Held>>), BackendError> {
        let shared = &self.shared;
        let is_stream = era == Era::Legacy && shared.verdict.transport() == Some(Transport::Sse);
        let asks_aside = era == Era::Legacy && shared.asks_aside.load(Ordering::Relaxed);
        let asks = call.askable().can_be_asked();
        if self.scope == SessionScope::Shared {
            // The operator wants one for all. What a call's client cannot be asked is refused call by call.
            if !is_stream {
                return Ok((Key::OWN, None));
            }
            let ticket = self.pool.enter(asks, shared.timeouts.idle.min(shared.timeouts.call)).await?;
            return Ok((Key::OWN, Some(Box::new(ticket))));
        }
        let capabilities = call.capabilities.without(ClientCapabilities::TASKS);
        let mark = shared.credentials.mark(party);
        let key = Key { client: call.session, capabilities, lane: 0, mark };
        if !((is_stream || asks_aside) && asks && key.client == SessionKey::Shared) {
            return Ok((key, None));
        }
        let limit = shared.limits.calls;
        let busy = BackendError::Busy { limit, what: "event streams are in use" };
        let taken = shared.lanes.take((capabilities, mark), limit).ok_or(busy)?;
        let key = Key { lane: taken.lane, ..key };
        if let Some((capabilities, mark)) = taken.before {
            let before = shared.sessions.take_one(Key { capabilities, mark, ..key });
            before.into_iter().for_each(|session| shared.end(session));
        }
        Ok((key, Some(Box::new(taken))))
    }

    /// The session for `key`. One in which a call was given up that may still ask something is ended first: nobody could
    /// tell that from what the next call asks.
    async fn session(
        &self,
        key: Key,
        party: &Party,
        asks: bool,
    ) -> Result<Arc<UpstreamSession>, BackendError> {
        let shared = &self.shared;
        let session = shared.sessions.open(shared, key, party).await?;
        let is_shared = key.client == SessionKey::Shared;
        let in_doubt = match &session.line {
            Some(line) => line.pending().is_in_doubt(),
            // Beside its calls nothing ever tells that one has ended which was given up, and most servers ask nothing there.
            None => session.aside.pending().may_ask_late(),
        };
        if !(is_shared && asks && in_doubt) {
            return Ok(session);
        }
        // The one that the operator wants for all may hold more than a stream that is one of many.
        let grace = if key == Key::OWN { GRACE } else { Duration::ZERO };
        let pending = session.line.as_ref().map_or(session.aside.pending(), |line| line.pending());
        // Nor may a question end the tasks of others there.
        let stays = || key == Key::OWN && (!pending.may_ask_late() || pending.has_tasks());
        if pending.cleared(grace).await || stays() {
            return Ok(session);
        }
        shared.sessions.forget(key, &session);
        if session.line.is_some() {
            shared.end(session);
        } else {
            // Others may have calls in it.
            session.abandon();
        }
        shared.sessions.open(shared, key, party).await
    }

    /// Sends a call that began at `begun`. Where it is a legacy session, `used` is then the one that it was sent in.
    async fn send(
        &self,
        call: &Call,
        party: &Party,
        era: Era,
        key: Key,
        begun: Instant,
        used: &mut Option<Arc<UpstreamSession>>,
    ) -> Result<Attempt, BackendError> {
        let shared = &self.shared;
        let id = shared.next_id();
        let body = message::of_call(call, id, era);
        match era {
            Era::Modern => {
                let mut mirrored = mirroring::headers(call);
                mirrored.extend(call.passed_on.iter().cloned());
                let target = call.target.as_deref();
                let sent =
                    post::mirroring(shared, call.method, target, mirrored, id, body, party.clone()).await;
                if matches!(sent, Ok(Attempt::Unplaced(_))) {
                    // It wants a session in an era that has none.
                    shared.suspect();
                }
                sent
            }
            Era::Legacy => {
                let session = self.session(key, party, call.askable().can_be_asked()).await?;
                session.used_by(party);
                if call.augment != Augment::No {
                    *used = Some(session.clone());
                }
                if session.features.logging
                    && let Some(level) = session.verbosity.lacks(call.logs)
                {
                    let requester = InSession { shared, session: &session };
                    // Boxed, since hardly any call needs it.
                    Box::pin(session.verbosity.raise(&shared.name, level, &requester)).await;
                }
                let sent = post::legacy(shared, &session, id, body, Some(call), party.clone()).await;
                if shared.sessions.forget_if_lost(key, &session, &sent) && session.since >= begun {
                    // It does not know a session that is brand-new.
                    shared.suspect();
                }
                sent
            }
        }
    }
}

#[async_trait]
impl Backend for HttpBackend {
    fn name(&self) -> &str {
        &self.shared.name
    }

    async fn call(self: Arc<Self>, permit: Permit, mut call: Box<Call>) -> Result<Exchange, BackendError> {
        self.shared.is_open()?;
        let limit = self.shared.limits.calls;
        let place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| BackendError::Busy { limit, what: "calls are under way" })?;
        let era = self.shared.verdict.find(&self.shared).await?;
        call.suits(era)?;
        let party = self.shared.credentials.party(permit.principal());
        if let Some(home) = call.home {
            return Lasting::find(&self.shared, home, &party)?.call(&call, place, &party).await;
        }
        let (key, held) = self.key(&call, &party, era).await?;
        let (begun, mut used) = (Instant::now(), None);
        // A lost connection and a lost session are each made good once.
        let (mut was_gone, mut was_lost) = (false, false);
        let mut attempt = loop {
            match self.send(&call, &party, era, key, begun, &mut used).await {
                Err(BackendError::Gone(_)) if call.repeatable && !was_gone => was_gone = true,
                Err(BackendError::SessionLost) if !was_lost => was_lost = true,
                Ok(Attempt::Unplaced(_)) if call.repeatable && era == Era::Legacy && !was_lost => {
                    was_lost = true;
                }
                // Over HTTP/2 the next call would share the connection with what is left of this one.
                Err(error @ (BackendError::Timeout { .. } | BackendError::TooLarge { .. })) => {
                    self.shared.client.forget_unused();
                    return Err(error);
                }
                attempt => break attempt?,
            }
        };
        if era == Era::Modern
            && mirroring::rejects_headers(&attempt)
            && let Some(mirrors) = self.relisting.mirrors(&self, &call).await
        {
            call.mirrors = Some(mirrors);
            attempt = self.send(&call, &party, era, key, begun, &mut used).await?;
        }
        let exchange = attempt.into_exchange()?;
        Ok(match used {
            Some(session) => Lasting::begin(&self.shared, session, call, exchange, place),
            None => exchange.placed(place),
        }
        .holding(held))
    }

    async fn inventory(&self) -> Result<Inventory, BackendError> {
        let shared = &self.shared;
        shared.is_open()?;
        let fetched = match shared.verdict.look(shared).await {
            Ok(features) => {
                let lister = Lister::new(shared, features.revision.era());
                let fetched = self.lists.fetch(&lister, features).await;
                match &fetched {
                    // What is wrong with the lists themselves says nothing about the era that they came in.
                    Err(_) if lister.was_answered() => shared.verdict.outdate(),
                    Err(error) => shared.doubt(error),
                    Ok(_) => {}
                }
                fetched
            }
            Err(error) => {
                shared.doubt(&error);
                Err(error)
            }
        };
        if fetched.is_ok() {
            self.keep_listening();
        }
        fetched
    }

    async fn icon(&self, url: &str) -> Result<String, IconError> {
        self.shared.is_open()?;
        icon::fetch(&self.shared, url).await
    }

    async fn subscribe(&self, _permit: Permit, subject: Subject) -> Result<Subscribed, BackendError> {
        let shared = &self.shared;
        shared.is_open()?;
        if shared.credentials.are_the_callers() {
            // weir would listen with its own credential, and tell callers of what is not theirs.
            return Err(BackendError::Unsupported(
                "announcements of updates to callers who have credentials of their own",
            ));
        }
        shared.verdict.look(shared).await?.can_subscribe(&subject)?;
        self.keep_listening();
        shared.subscriptions.subscribe(subject, shared.timeouts.list).await
    }

    fn connector(&self) -> Option<Arc<Connector>> {
        self.shared.credentials.connector()
    }

    fn is_each_callers(&self) -> bool {
        self.shared.credentials.are_the_callers()
    }

    fn notices(&self) -> broadcast::Receiver<Notice> {
        self.shared.subscriptions.notices()
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.shared.changes.subscribe()
    }

    fn end_session(&self, key: SessionKey) {
        if self.scope == SessionScope::Client {
            for session in self.shared.sessions.take_for_good(key) {
                self.shared.end(session);
            }
        }
        // A server without sessions serves everybody in one, whatever the scope.
        self.shared.owners.end(key);
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.lock().take() {
            listener.task.abort();
        }
        self.shared.sessions.close(&self.shared).await;
    }
}

#[cfg(test)]
mod tests;
