//! A backend that speaks streamable HTTP, in either era.

mod client;
mod era;
mod events;
mod listen;
mod post;
mod session;

pub(crate) use events::HttpEvents;

use crate::changes::Announcer;
use crate::exchange::{Event, Exchange};
use crate::inventory::{self, Requester};
use crate::{Backend, BackendError, Call, Changes, Features, Inventory, Message, SessionKey, message};
use async_trait::async_trait;
use bytes::Bytes;
use client::Client;
use http::HeaderMap;
use parking_lot::Mutex;
use post::Attempt;
use session::Sessions;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use weir_config::{EraSetting, SessionScope};
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
    era: Mutex<Option<Features>>,
    sessions: Sessions,
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

    fn features(&self) -> Option<Features> {
        self.era.lock().clone()
    }

    fn known_era(&self) -> Option<Era> {
        self.era.lock().as_ref().map(|features| features.revision.era())
    }
}

/// A server reached by streamable HTTP.
#[derive(Debug)]
pub(crate) struct HttpBackend {
    shared: Arc<Shared>,
    setting: EraSetting,
    scope: SessionScope,
    places: Arc<Semaphore>,
    /// Lets one task at a time find out the era.
    detecting: tokio::sync::Mutex<()>,
    listener: Mutex<Option<tokio::task::JoinHandle<()>>>,
}

impl HttpBackend {
    pub(crate) fn new(
        spec: &weir_config::Backend,
        http: &weir_config::HttpBackend,
        handle: Handle,
    ) -> Result<Arc<dyn Backend>, BackendError> {
        let mut headers = HeaderMap::new();
        for (name, value) in &http.headers {
            let name = http::HeaderName::try_from(name.as_str());
            let value = http::HeaderValue::try_from(value.expose());
            let (Ok(name), Ok(mut value)) = (name, value) else {
                return Err(BackendError::Unreachable(
                    "a configured header is not a valid HTTP header".into(),
                ));
            };
            value.set_sensitive(true);
            headers.append(name, value);
        }
        let uri: http::Uri = http
            .url
            .as_str()
            .parse()
            .map_err(|_| BackendError::Unreachable("the URL is not valid".into()))?;
        let client = Client::new(http, &uri, &headers, spec.timeouts.connect)?;
        let shared = Arc::new_cyclic(|myself| Shared {
            name: spec.name.clone(),
            limits: spec.limits.clone(),
            timeouts: spec.timeouts.clone(),
            client,
            next_id: AtomicU64::new(1),
            era: Mutex::new(None),
            sessions: Sessions::default(),
            changes: Announcer::default(),
            closed: AtomicBool::new(false),
            handle,
            myself: myself.clone(),
        });
        Ok(Arc::new(Self {
            shared,
            setting: spec.era,
            scope: spec.session,
            places: Arc::new(Semaphore::new(spec.limits.calls)),
            detecting: tokio::sync::Mutex::new(()),
            listener: Mutex::new(None),
        }))
    }

    /// The era, found out where it is not known yet.
    async fn era(&self) -> Result<Era, BackendError> {
        if let Some(era) = self.shared.known_era() {
            return Ok(era);
        }
        let _one = self.detecting.lock().await;
        if let Some(era) = self.shared.known_era() {
            return Ok(era);
        }
        let features = era::detect(&self.shared, self.setting).await?;
        let era = features.revision.era();
        *self.shared.era.lock() = Some(features);
        Ok(era)
    }

    /// The stream of change notifications is open, or being opened again.
    fn keep_listening(&self) {
        let mut listener = self.listener.lock();
        if listener.as_ref().is_none_or(tokio::task::JoinHandle::is_finished) {
            let task = listen::run(self.shared.clone());
            *listener = Some(self.shared.handle.spawn(task));
        }
    }

    async fn send(&self, call: &Call, era: Era, key: SessionKey) -> Result<Attempt, BackendError> {
        let id = self.shared.next_id();
        let body = message::of_call(call, id, era);
        match era {
            Era::Modern => post::modern(&self.shared, call.method, call.target.as_deref(), id, body).await,
            Era::Legacy => {
                let session = self.shared.sessions.open(&self.shared, key).await?;
                let sent = post::legacy(&self.shared, &session, id, body).await;
                if matches!(sent, Err(BackendError::SessionLost)) {
                    self.shared.sessions.forget(key, &session);
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
        if self.shared.closed.load(Ordering::Relaxed) {
            return Err(BackendError::Stopping);
        }
        let limit = self.shared.limits.calls;
        let place = self.places.clone().try_acquire_owned().map_err(|_| BackendError::Busy { limit })?;
        let era = self.era().await?;
        let key = match self.scope {
            SessionScope::Client => call.session,
            SessionScope::Shared => SessionKey::Shared,
        };
        let attempt = match self.send(&call, era, key).await {
            Err(BackendError::SessionLost) => self.send(&call, era, key).await?,
            Err(BackendError::Gone(_)) if call.repeatable => self.send(&call, era, key).await?,
            attempt => attempt?,
        };
        Ok(match attempt {
            Attempt::Done(outcome) => Exchange::ready(outcome),
            Attempt::Stream(events) => Exchange::http(events, place),
        })
    }

    async fn inventory(&self) -> Result<Inventory, BackendError> {
        self.era().await?;
        let Some(features) = self.shared.features() else {
            return Err(BackendError::Stopping);
        };
        let fetched = inventory::fetch(&*self.shared, features, self.shared.limits.items).await;
        match &fetched {
            Ok(_) => self.keep_listening(),
            // Whatever answers at this address next may be another program of another era.
            Err(_) => *self.shared.era.lock() = None,
        }
        fetched
    }

    fn changes(&self) -> watch::Receiver<Changes> {
        self.shared.changes.subscribe()
    }

    fn end_session(&self, key: SessionKey) {
        if let Some(session) = self.shared.sessions.remove(key) {
            let shared = self.shared.clone();
            self.shared.handle.spawn(async move { session::end(&shared, &session).await });
        }
    }

    async fn close(&self) {
        self.shared.closed.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.lock().take() {
            listener.abort();
        }
        let ended = self.shared.sessions.drain().into_iter().map(|session| {
            let shared = self.shared.clone();
            async move { session::end(&shared, &session).await }
        });
        futures_util::future::join_all(ended).await;
    }
}

impl Requester for Shared {
    async fn request(&self, method: Method, members: String) -> Result<Message, BackendError> {
        let era = self.known_era().unwrap_or(Era::Legacy);
        let id = self.next_id();
        let body = message::request(id, method.as_str(), &members, era);
        let limit = self.timeouts.list;
        let answer = async {
            let attempt = match era {
                Era::Modern => post::modern(self, method, None, id, body).await?,
                Era::Legacy => self.request_in_session(id, body).await?,
            };
            attempt.into_message().await
        };
        tokio::time::timeout(limit, answer)
            .await
            .unwrap_or(Err(BackendError::Timeout { what: method.as_str(), after: limit }))
    }
}

impl Shared {
    /// Sends a request of weir's own in the shared session, once more where the server has forgotten it.
    async fn request_in_session(&self, id: u64, body: Bytes) -> Result<Attempt, BackendError> {
        let session = self.sessions.open(self, SessionKey::Shared).await?;
        match post::legacy(self, &session, id, body.clone()).await {
            Err(BackendError::SessionLost) => {
                self.sessions.forget(SessionKey::Shared, &session);
                let session = self.sessions.open(self, SessionKey::Shared).await?;
                post::legacy(self, &session, id, body).await
            }
            attempt => attempt,
        }
    }
}

impl Attempt {
    /// The response, whatever events come before it.
    async fn into_message(self) -> Result<Message, BackendError> {
        use crate::Outcome::{Complete, Error, InputRequired};
        let outcome = match self {
            Self::Done(outcome) => outcome,
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
