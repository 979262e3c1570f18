//! Sending a request with the credential of whoever it is for.

use super::Shared;
use super::client::{HttpClient, Incoming, Outgoing, Verb};
use crate::credentials::{Shown, lacking};
use crate::{BackendError, Challenge, CredentialError};
use std::sync::Arc;

/// `Authorization`, as both clients write it.
const AUTHORIZATION: &str = "authorization";
/// The server does not know who asks.
const UNAUTHORIZED: u16 = 401;
/// It does, and refuses all the same.
const FORBIDDEN: u16 = 403;

impl Shared {
    /// Sends a request. A credential that the server refuses is renewed, and the request is made once more: what a server
    /// answers with 401 it has not carried out.
    pub(crate) async fn send(&self, request: Outgoing) -> Result<Incoming, BackendError> {
        // An image is fetched without any.
        if self.credentials.are_fixed() || request.verb == Verb::GetImage {
            return permitted(self.client.send(&request).await?, lacking);
        }
        // Boxed, so that those without are not made larger by it.
        Box::pin(self.send_authorized(request)).await
    }

    /// As grants come and go, leaves the sessions that were opened with those before, and lists again where grants are what
    /// lists are asked for with.
    pub(super) fn follow_grants(self: &Arc<Self>) {
        let Some(connector) = self.credentials.connector() else {
            return;
        };
        let (mut moves, mut lenders) = (connector.moves(), connector.lenders());
        let lists = connector.lists_by_grants();
        // The end of the backend is the end of its connector.
        let (shared, connector) = (Arc::downgrade(self), Arc::downgrade(&connector));
        self.handle.spawn(async move {
            loop {
                let changed = tokio::select! {
                    changed = moves.changed() => changed,
                    changed = lenders.changed() => changed,
                };
                let (Ok(()), Some(shared), Some(connector)) =
                    (changed, shared.upgrade(), connector.upgrade())
                else {
                    return;
                };
                shared.sessions.abandon_lent(|lender| !connector.is_lender(lender));
                shared.sessions.abandon_marked(|mark| connector.consents().current(mark) != mark);
                if lists {
                    shared.suspect();
                }
            }
        });
    }

    async fn send_authorized(&self, mut request: Outgoing) -> Result<Incoming, BackendError> {
        if request.verb == Verb::Delete
            && let Some(value) = Shown::last(&request.party)
        {
            // Whose grant it was may have left; what came in their place is not for this session.
            request.headers.push((AUTHORIZATION, value));
            return self.client.send(&request).await;
        }
        let Some(shown) = self.credentials.show(&request.party).await? else {
            return permitted(self.client.send(&request).await?, lacking);
        };
        request.headers.push((AUTHORIZATION, shown.value.clone()));
        let response = self.client.send(&request).await?;
        if response.status != UNAUTHORIZED {
            return permitted(response, |challenge| shown.lacks(challenge));
        }
        let renewed = shown.renewed(response.challenge()).await?;
        let renewed = renewed.ok_or(BackendError::Credential(CredentialError::Rejected))?;
        if let Some((_, value)) = request.headers.last_mut() {
            value.clone_from(&renewed.value);
        }
        let response = self.client.send(&request).await?;
        if response.status == UNAUTHORIZED {
            return Err(renewed.refused());
        }
        permitted(response, |challenge| renewed.lacks(challenge))
    }
}

/// Tells what a server wants that refuses a credential for its scopes (RFC 6750 section 3.1).
fn permitted(
    response: Incoming,
    lacking: impl FnOnce(Challenge) -> BackendError,
) -> Result<Incoming, BackendError> {
    let challenge = Some(&response).filter(|response| response.status == FORBIDDEN);
    match challenge.and_then(Incoming::challenge) {
        Some(challenge) if challenge.lacks_scope() => Err(lacking(challenge)),
        _ => Ok(response),
    }
}
