//! An authorization server's token endpoint, and how weir shows there who it is.
//!
//! S: RFC 6749 sections 2.3.1 and 3.2; RFC 7523 section 2.2.

use super::CredentialError;
use super::grant::Form;
use super::token::{Expected, Fresh, read};
use crate::oauth::Discovery;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::{Url, form_urlencoded};
use weir_config::{AuthorizationServer, ClientProof};
use weir_policies::{Fetch, FetchError, Reach};

/// Most requests to one authorization server at once.
const REQUESTS: usize = 32;
/// How long a token endpoint is used that was looked up.
const FOUND: Duration = Duration::from_secs(600);

/// An authorization server, and who weir is there.
#[derive(Debug)]
pub(crate) struct Server {
    issuer: Option<String>,
    token_url: Option<Url>,
    /// The token endpoint, where it was looked up, and when.
    found: Mutex<Option<(Instant, Url)>>,
    client: String,
    proof: ClientProof,
    fetch: Arc<dyn Fetch>,
    reach: Reach,
    places: Semaphore,
}

impl Server {
    /// The server of `spec`, asked by way of `fetch` within `deadline`.
    pub(crate) fn new(spec: &AuthorizationServer, fetch: Arc<dyn Fetch>, deadline: Duration) -> Self {
        Self {
            issuer: spec.issuer.clone(),
            token_url: spec.token_url.clone(),
            found: Mutex::default(),
            client: spec.client_id.clone(),
            proof: spec.proof.clone(),
            fetch,
            reach: Reach { private: spec.private, ca: spec.ca.clone(), deadline },
            places: Semaphore::new(REQUESTS),
        }
    }

    /// Its name, where it is configured.
    pub(crate) fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// Asks for a token with `form`, to which weir's proof of itself is added.
    pub(crate) async fn ask(&self, form: Form, expected: Expected) -> Result<Fresh, CredentialError> {
        let busy = |text| CredentialError::unavailable("is asked by too many at once", text);
        let place = tokio::time::timeout(self.reach.deadline, self.places.acquire()).await;
        let _place = place.map_err(|_| busy("no place in time"))?.map_err(|_| busy("closed"))?;
        let request = self.request(&self.token_url().await?, form)?;
        let answer = self.fetch.fetch(request, &self.reach).await.map_err(unfetched)?;
        read(answer.status(), answer.body(), expected)
    }

    /// Its token endpoint, looked up where it is not configured.
    async fn token_url(&self) -> Result<Url, CredentialError> {
        if let Some(url) = &self.token_url {
            return Ok(url.clone());
        }
        if let Some((at, url)) = &*self.found.lock()
            && at.elapsed() < FOUND
        {
            return Ok(url.clone());
        }
        let discovery = Discovery { fetch: &*self.fetch, reach: &self.reach };
        let looked_up = discovery.authority(self.issuer().unwrap_or_default()).await;
        let url = looked_up
            .map_err(|error| CredentialError::unavailable("cannot be looked up", error))?
            .token_endpoint;
        *self.found.lock() = Some((Instant::now(), url.clone()));
        Ok(url)
    }

    fn request(&self, url: &Url, mut form: Form) -> Result<Request<Bytes>, CredentialError> {
        let mut authorization = None;
        match &self.proof {
            ClientProof::None => form.push(("client_id", self.client.clone())),
            ClientProof::Post(secret) => {
                form.push(("client_id", self.client.clone()));
                form.push(("client_secret", secret.expose().to_owned()));
            }
            ClientProof::Basic(secret) => authorization = Some(basic(&self.client, secret.expose())?),
            ClientProof::PrivateKey { .. } => {}
        }
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        let mut request = Request::post(url.as_str())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header(header::ACCEPT, "application/json")
            .body(Bytes::from(body))
            .map_err(|error| CredentialError::unavailable("cannot be asked", error))?;
        request.headers_mut().extend(authorization.map(|value| (header::AUTHORIZATION, value)));
        Ok(request)
    }
}

/// Name and secret in the header: each is encoded as in a form first.
fn basic(name: &str, secret: &str) -> Result<HeaderValue, CredentialError> {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let text = STANDARD.encode(format!("{}:{}", encode(name), encode(secret)));
    let value = HeaderValue::try_from(format!("Basic {text}"));
    let mut value = value.map_err(|error| CredentialError::unavailable("cannot be asked", error))?;
    value.set_sensitive(true);
    Ok(value)
}

fn unfetched(error: FetchError) -> CredentialError {
    let text = match &error {
        FetchError::Refused(_) => "has an address that weir does not send secrets to",
        FetchError::Unreachable(_) => "cannot be reached",
        FetchError::Late => "did not answer in time",
        FetchError::Large => "answered with too much",
    };
    CredentialError::unavailable(text, error)
}
