//! Sending a request with the credential of whoever it is for.

use super::Shared;
use super::client::{HttpClient, Incoming, Outgoing, Verb};
use crate::{BackendError, CredentialError};

/// `Authorization`, as both clients write it.
const AUTHORIZATION: &str = "authorization";
/// The server does not know who asks.
const UNAUTHORIZED: u16 = 401;

impl Shared {
    /// Sends a request. A credential that the server refuses is renewed, and the request is made once more: what a server
    /// answers with 401 it has not carried out.
    pub(crate) async fn send(&self, request: Outgoing) -> Result<Incoming, BackendError> {
        // An image is fetched without any.
        if self.credentials.are_fixed() || request.verb == Verb::GetImage {
            return self.client.send(request).await;
        }
        // Boxed, so that those without are not made larger by it.
        Box::pin(self.send_authorized(request)).await
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
