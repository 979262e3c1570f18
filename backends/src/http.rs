//! A backend that speaks streamable HTTP, in either era.

mod client;
mod era;
mod events;
mod listen;
mod post;
mod resumption;
mod session;

pub(crate) use events::HttpEvents;

use crate::changes::Announcer;
use crate::exchange::{Event, Exchange};
use crate::inventory::{Lists, Requester};
use crate::{Backend, BackendError, Call, Changes, Inventory, Message, SessionKey, message};
use async_trait::async_trait;
use bytes::Bytes;
use client::Client;
use era::Verdict;
use http::HeaderMap;
use parking_lot::Mutex;
use post::Attempt;
use session::{Sessions, UpstreamSession};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use weir_config::SessionScope;
use weir_policies::Permit;
use weir_protocol::{Era, Method};

/// What every part of one HTTP backend shares.
#[derive(Debug)]
pub(crate) struct Shared {
    name: String,
    limits: weir_config::BackendLimits,
    timeouts: weir_config::BackendTimeouts,
    client: Client,
    next_id: AtomicU64,
    verdict: Verdict,
    sessions: Sessions,
    /// Places for sessions that are being ended.
    endings: Semaphore,
    changes: Announcer,
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
    fn end(self: &Arc<Self>, session: Option<Arc<UpstreamSession>>) {
        if let Some(session) = session {
            let shared = self.clone();
            self.handle.spawn(async move { session::end(&shared, &session).await });
        }
    }

    /// The inventory failed with `error`.
    fn doubt(self: &Arc<Self>, error: &BackendError) {
        if self.verdict.doubt(error) {
            self.end(self.sessions.take_shared());
        }
    }

    /// A call met a server that is not what it was. What that means for everybody is for the next inventory to say.
    fn suspect(&self) {
        self.verdict.outdate();
        self.changes.suspect();
    }
}

/// A server reached by streamable HTTP.
#[derive(Debug)]
pub(crate) struct HttpBackend {
    shared: Arc<Shared>,
    scope: SessionScope,
    places: Arc<Semaphore>,
    lists: Lists,
    listener: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl HttpBackend {
    pub(crate) fn connect(
        spec: &weir_config::Backend,
        http: &weir_config::HttpBackend,
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
        let uri: http::Uri =
            http.url.as_str().parse().map_err(|_| BackendError::unreachable("the URL is not valid"))?;
        let client = Client::new(http, &uri, &headers, spec.timeouts.connect)?;
        let shared = Arc::new_cyclic(|myself| Shared {
            name: spec.name.clone(),
            limits: spec.limits.clone(),
            timeouts: spec.timeouts.clone(),
            client,
            next_id: AtomicU64::new(1),
            verdict: Verdict::new(spec.era),
            sessions: Sessions::default(),
            endings: Semaphore::new(session::ENDINGS),
            changes: Announcer::default(),
            closed: AtomicBool::new(false),
            handle,
            myself: myself.clone(),
        });
        Ok(Arc::new(Self {
            shared,
            scope: spec.session,
            places: Arc::new(Semaphore::new(spec.limits.calls)),
            lists: Lists::new(&spec.name, spec.limits.items),
            listener: Mutex::new(None),
        }))
    }

    /// The stream of change notifications is open, or being opened again.
    fn keep_listening(&self) {
        let mut listener = self.listener.lock();
        if listener.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
            let task = listen::run(self.shared.clone());
            *listener = Some(self.shared.handle.spawn(task));
        }
    }

    /// Sends a call that began at `begun`.
    async fn send(
        &self,
        call: &Call,
        era: Era,
        key: SessionKey,
        begun: Instant,
    ) -> Result<Attempt, BackendError> {
        let shared = &self.shared;
        let id = shared.next_id();
        let body = message::of_call(call, id, era);
        match era {
            Era::Modern => {
                let sent = post::modern(shared, call.method, call.target.as_deref(), id, body).await;
                if matches!(sent, Ok(Attempt::Unplaced(_))) {
                    // It wants a session in an era that has none.
                    shared.suspect();
                }
                sent
            }
            Era::Legacy => {
                let session = shared.sessions.open(shared, key).await?;
                let sent = post::legacy(shared, &session, id, body).await;
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

    async fn call(self: Arc<Self>, _permit: Permit, call: Box<Call>) -> Result<Exchange, BackendError> {
        self.shared.is_open()?;
        let limit = self.shared.limits.calls;
        let place = self
            .places
            .clone()
            .try_acquire_owned()
            .map_err(|_| BackendError::Busy { limit, what: "calls are under way" })?;
        let era = self.shared.verdict.find(&self.shared).await?;
        let key = match self.scope {
            SessionScope::Client => call.session,
            SessionScope::Shared => SessionKey::Shared,
        };
        let begun = Instant::now();
        // A lost connection and a lost session are each made good once.
        let (mut was_gone, mut was_lost) = (false, false);
        let attempt = loop {
            match self.send(&call, era, key, begun).await {
                Err(BackendError::Gone(_)) if call.repeatable && !was_gone => was_gone = true,
                Err(BackendError::SessionLost) if !was_lost => was_lost = true,
                Ok(Attempt::Unplaced(_)) if call.repeatable && era == Era::Legacy && !was_lost => {
                    was_lost = true;
                }
                attempt => break attempt?,
            }
        };
        Ok(match attempt {
            Attempt::Done(outcome) => Exchange::ready(outcome),
            Attempt::Unplaced(own) => Exchange::ready(own?),
            Attempt::Stream(events) => Exchange::http(events, place),
        })
    }

    async fn inventory(&self) -> Result<Inventory, BackendError> {
        let shared = &self.shared;
        shared.is_open()?;
        let fetched = match shared.verdict.look(shared).await {
            Ok(features) => {
                let lister = Lister { shared, era: features.revision.era() };
                self.lists.fetch(&lister, features).await
            }
            Err(error) => Err(error),
        };
        match &fetched {
            Ok(_) => self.keep_listening(),
            Err(error) => shared.doubt(error),
        }
        fetched
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.shared.changes.subscribe()
    }

    fn end_session(&self, key: SessionKey) {
        if self.scope == SessionScope::Client {
            self.shared.end(self.shared.sessions.take_for_good(key));
        }
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.lock().take() {
            listener.abort();
        }
        self.shared.sessions.close(&self.shared).await;
    }
}

/// Sends requests of weir's own in one era.
struct Lister<'a> {
    shared: &'a Arc<Shared>,
    era: Era,
}

impl Requester for Lister<'_> {
    async fn request(&self, method: Method, members: String) -> Result<Message, BackendError> {
        let shared = self.shared;
        let id = shared.next_id();
        let body = message::request(id, method.as_str(), &members, self.era);
        let limit = shared.timeouts.list;
        let answer = async {
            let attempt = match self.era {
                Era::Modern => post::modern(shared, method, None, id, body).await?,
                Era::Legacy => self.request_in_session(id, body).await?,
            };
            attempt.into_message().await
        };
        tokio::time::timeout(limit, answer)
            .await
            .unwrap_or(Err(BackendError::Timeout { what: method.as_str(), after: limit }))
    }
}

impl Lister<'_> {
    /// Sends a request in the shared session, once more where the server has forgotten it.
    async fn request_in_session(&self, id: u64, body: Bytes) -> Result<Attempt, BackendError> {
        let shared = self.shared;
        let session = shared.sessions.open(shared, SessionKey::Shared).await?;
        let sent = post::legacy(shared, &session, id, body.clone()).await;
        if !shared.sessions.forget_if_lost(SessionKey::Shared, &session, &sent) {
            return sent;
        }
        let again = shared.sessions.open(shared, SessionKey::Shared).await?;
        if again.features != session.features {
            // The server was replaced; these lists may be the wrong ones.
            shared.suspect();
        }
        let sent = post::legacy(shared, &again, id, body).await;
        shared.sessions.forget_if_lost(SessionKey::Shared, &again, &sent);
        sent
    }
}

impl Attempt {
    /// The response, whatever events come before it.
    async fn into_message(self) -> Result<Message, BackendError> {
        use crate::Outcome::{Complete, Error, InputRequired};
        let outcome = match self {
            Self::Done(outcome) => outcome,
            Self::Unplaced(own) => own?,
            Self::Stream(mut events) => loop {
                if let Event::Outcome(outcome) = events.next().await? {
                    break outcome;
                }
            },
        };
        let (Complete(message) | InputRequired(message) | Error(message)) = outcome;
        Ok(message)
    }
}

#[cfg(test)]
mod tests;
