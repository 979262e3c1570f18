//! Requests of weir's own in one given session of a legacy server.

use super::Shared;
use super::post;
use super::session::Key;
use super::session::UpstreamSession;
use crate::inventory::Requester;
use crate::{BackendError, Message, message};
use std::sync::{Arc, Weak};
use weir_protocol::{Era, Method};

/// Sends requests of weir's own in one session.
pub(crate) struct InSession<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) session: &'a Arc<UpstreamSession>,
}

impl Requester for InSession<'_> {
    async fn request(&self, method: Method, members: String) -> Result<Message, BackendError> {
        let Self { shared, session } = self;
        let id = shared.next_id();
        let body = message::request(id, method.as_str(), &members, Era::Legacy);
        let limit = shared.timeouts.list;
        let party = session.party();
        let answer =
            async { post::legacy(shared, session, id, body, None, party).await?.into_message().await };
        tokio::time::timeout(limit, answer)
            .await
            .unwrap_or(Err(BackendError::Timeout { what: method.as_str(), after: limit }))
    }
}

/// Sends requests of weir's own in the shared session as long as anything else holds it: one that is given up must be
/// able to go.
pub(crate) struct WhileHeld<'a> {
    pub(crate) shared: &'a Arc<Shared>,
    pub(crate) session: Weak<UpstreamSession>,
}

impl WhileHeld<'_> {
    /// The server no longer knows the session.
    pub(crate) fn forget(&self) {
        if let Some(session) = self.session.upgrade() {
            self.shared.sessions.forget(Key::OWN, &session);
        }
    }
}

impl Requester for WhileHeld<'_> {
    async fn request(&self, method: Method, members: String) -> Result<Message, BackendError> {
        let session = self.session.upgrade().ok_or(BackendError::SessionLost)?;
        InSession { shared: self.shared, session: &session }.request(method, members).await
    }
}
