//! Requests of weir's own in one era, in whatever session is everybody's.

use super::Shared;
use super::post::{self, Attempt};
use super::session::Key;
use crate::inventory::Requester;
use crate::{BackendError, Message, message};
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use weir_protocol::{Era, Method};

/// Sends requests of weir's own in one era.
pub(crate) struct Lister<'a> {
    shared: &'a Arc<Shared>,
    era: Era,
    /// It has been answered with a message.
    answered: AtomicBool,
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
            let message = attempt.into_message().await?;
            self.answered.store(true, Ordering::Relaxed);
            Ok(message)
        };
        tokio::time::timeout(limit, answer)
            .await
            .unwrap_or(Err(BackendError::Timeout { what: method.as_str(), after: limit }))
    }
}

impl<'a> Lister<'a> {
    pub(crate) fn new(shared: &'a Arc<Shared>, era: Era) -> Self {
        Self { shared, era, answered: AtomicBool::new(false) }
    }

    /// Whether the server understood a request.
    pub(crate) fn was_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// Sends a request in the shared session, once more where the server has forgotten it.
    async fn request_in_session(&self, id: u64, body: Bytes) -> Result<Attempt, BackendError> {
        let shared = self.shared;
        let session = shared.sessions.own(shared).await?;
        let sent = post::legacy(shared, &session, id, body.clone(), None, session.party()).await;
        if !shared.sessions.forget_if_lost(Key::OWN, &session, &sent) {
            return sent;
        }
        let again = shared.sessions.own(shared).await?;
        if again.features != session.features {
            // The server was replaced; these lists may be the wrong ones.
            shared.suspect();
        }
        let sent = post::legacy(shared, &again, id, body, None, again.party()).await;
        shared.sessions.forget_if_lost(Key::OWN, &again, &sent);
        sent
    }
}
