//! Sending a request with the credential of whoever it is for.

use super::Shared;
use super::client::{HttpClient, Incoming, Outgoing, Verb};
use crate::{BackendError, CredentialError};

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
        let response = if self.credentials.are_fixed() || request.verb == Verb::GetImage {
            self.client.send(request).await?
        } else {
            // Boxed, so that those without are not made larger by it.
            Box::pin(self.send_authorized(request)).await?
        };
        match response.status {
            FORBIDDEN => permitted(response),
            _ => Ok(response),
        }
    }

    async fn send_authorized(&self, request: Outgoing) -> Result<Incoming, BackendError> {
        let Some(shown) = self.credentials.show(&request.party).await? else {
            return self.client.send(request).await;
        };
        let with = |value| {
            let mut request = request.clone();
            request.headers.push((AUTHORIZATION, value));
            request
        };
        let response = self.client.send(with(shown.value.clone())).await?;
        if response.status != UNAUTHORIZED {
            return Ok(response);
        }
        let rejected = || BackendError::Credential(CredentialError::Rejected);
        let renewed = shown.renewed().await?.ok_or_else(rejected)?;
        let response = self.client.send(with(renewed.value)).await?;
        if response.status == UNAUTHORIZED { Err(rejected()) } else { Ok(response) }
    }
}

/// Tells what a server wants that refuses a credential for its scopes (RFC 6750 section 3.1).
fn permitted(response: Incoming) -> Result<Incoming, BackendError> {
    match response.challenge() {
        Some(challenge) if challenge.lacks_scope() => {
            Err(BackendError::Credential(CredentialError::Scopes(challenge.scopes)))
        }
        _ => Ok(response),
    }
}
