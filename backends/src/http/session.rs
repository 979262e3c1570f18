//! Sessions with legacy backends: opened when first needed, one for each client session, opened anew when lost.

use super::Shared;
use super::client::{HttpClient, Outgoing, Verb};
use super::post;
use crate::{BackendError, Features, SessionKey, message};
use bytes::Bytes;
use http::HeaderValue;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};
use tokio::sync::OnceCell;
use weir_protocol::{Era, Method, Revision, headers};

/// One session with a legacy backend.
#[derive(Debug)]
pub(crate) struct UpstreamSession {
    /// The id that the server gave it; `None` where the server keeps no sessions.
    pub(crate) id: Option<HeaderValue>,
    /// What the server said of itself.
    pub(crate) features: Features,
    shared: Weak<Shared>,
}

impl UpstreamSession {
    /// The headers that place a request in this session.
    pub(crate) fn headers(&self) -> Vec<(&'static str, HeaderValue)> {
        let mut headers = Vec::with_capacity(2);
        if let Some(id) = &self.id {
            headers.push((headers::SESSION_ID, id.clone()));
        }
        // The header came with 2025-06-18; older servers ignore it.
        if self.features.revision >= Revision::V2025_06_18 {
            headers.push((
                headers::PROTOCOL_VERSION,
                HeaderValue::from_static(self.features.revision.as_str()),
            ));
        }
        headers
    }

    /// Sends a notification or a response in the background; nobody waits for it.
    pub(crate) fn notify(self: &Arc<Self>, body: Bytes) {
        let Some(shared) = self.shared.upgrade() else {
            return;
        };
        let session = self.clone();
        let handle = shared.handle.clone();
        handle.spawn(async move {
            let sent = send_plain(&shared, &session, Verb::Post, body).await;
            if let Err(error) = sent {
                tracing::debug!(backend = shared.name, %error, "a notification did not reach the backend");
            }
        });
    }
}

impl UpstreamSession {
    /// The server announced a change in this session.
    pub(crate) fn announce(&self, method: Method) {
        if let Some(shared) = self.shared.upgrade() {
            shared.changes.announce(method);
        }
    }
}

type Cell = Arc<OnceCell<Arc<UpstreamSession>>>;

/// The open sessions of one backend.
#[derive(Debug, Default)]
pub(crate) struct Sessions {
    open: Mutex<HashMap<SessionKey, Cell>>,
    /// The session of a server that keeps none; it serves everybody.
    stateless: OnceLock<Arc<UpstreamSession>>,
}

impl Sessions {
    /// The session for `key`, opened where there is none. However many wait for it, one handshake is made.
    pub(crate) async fn open(
        &self,
        shared: &Shared,
        key: SessionKey,
    ) -> Result<Arc<UpstreamSession>, BackendError> {
        if let Some(session) = self.stateless.get() {
            return Ok(session.clone());
        }
        let cell = self.open.lock().entry(key).or_default().clone();
        let opened = cell.get_or_try_init(|| open(shared)).await.cloned();
        match &opened {
            Ok(session) if session.id.is_none() => {
                self.open.lock().clear();
                let _ = self.stateless.set(session.clone());
            }
            Ok(_) => {}
            Err(_) => {
                let mut open = self.open.lock();
                if open
                    .get(&key)
                    .is_some_and(|present| Arc::ptr_eq(present, &cell) && !present.initialized())
                {
                    open.remove(&key);
                }
            }
        }
        opened
    }

    /// Takes in a session that was opened while finding out the era.
    pub(crate) fn adopt(&self, session: Arc<UpstreamSession>) {
        if session.id.is_none() {
            let _ = self.stateless.set(session);
        } else {
            self.open
                .lock()
                .insert(SessionKey::Shared, Arc::new(OnceCell::new_with(Some(session))));
        }
    }

    /// The server no longer knows `lost`; the next call opens another.
    pub(crate) fn forget(&self, key: SessionKey, lost: &Arc<UpstreamSession>) {
        let mut open = self.open.lock();
        if open
            .get(&key)
            .and_then(|cell| cell.get())
            .is_some_and(|session| Arc::ptr_eq(session, lost))
        {
            open.remove(&key);
        }
    }

    /// Takes the session of `key` out.
    pub(crate) fn remove(&self, key: SessionKey) -> Option<Arc<UpstreamSession>> {
        self.open.lock().remove(&key)?.get().cloned()
    }

    /// Takes all sessions out.
    pub(crate) fn drain(&self) -> Vec<Arc<UpstreamSession>> {
        self.open
            .lock()
            .drain()
            .filter_map(|(_, cell)| cell.get().cloned())
            .collect()
    }
}

/// The legacy handshake.
pub(crate) async fn open(shared: &Shared) -> Result<Arc<UpstreamSession>, BackendError> {
    let limit = shared.timeouts.list;
    tokio::time::timeout(limit, handshake(shared))
        .await
        .unwrap_or(Err(BackendError::Timeout {
            what: "initialize",
            after: limit,
        }))
}

async fn handshake(shared: &Shared) -> Result<Arc<UpstreamSession>, BackendError> {
    let id = shared.next_id();
    let body = message::request(
        id,
        Method::Initialize.as_str(),
        &message::initialize_members(),
        Era::Legacy,
    );
    let (session_id, attempt) = post::initialize(shared, id, body).await?;
    let answer = attempt.into_message().await?;
    let features = Features::of_initialize(&answer)?;
    let session = Arc::new(UpstreamSession {
        id: session_id,
        features,
        shared: shared.myself.clone(),
    });
    send_plain(
        shared,
        &session,
        Verb::Post,
        Bytes::from_static(message::INITIALIZED),
    )
    .await?;
    Ok(session)
}

/// Ends a session at the server, which may refuse that (2025-11-25 `basic/transports`); it has five seconds.
pub(crate) async fn end(shared: &Shared, session: &UpstreamSession) {
    if session.id.is_some() {
        let sent = send_plain(shared, session, Verb::Delete, Bytes::new());
        let _ = tokio::time::timeout(std::time::Duration::from_secs(5), sent).await;
    }
}

/// Sends what has no answer, in `session`.
async fn send_plain(
    shared: &Shared,
    session: &UpstreamSession,
    verb: Verb,
    body: Bytes,
) -> Result<(), BackendError> {
    let request = Outgoing {
        verb,
        headers: session.headers(),
        body,
    };
    let sent = tokio::time::timeout(shared.timeouts.list, shared.client.send(request)).await;
    let response = sent.unwrap_or(Err(BackendError::Timeout {
        what: "a notification",
        after: shared.timeouts.list,
    }))?;
    if response.is_success() {
        Ok(())
    } else {
        Err(BackendError::Refused {
            status: response.status,
        })
    }
}
