//! An authorization server's token endpoint, and how weir shows there who it is.
//!
//! S: RFC 6749 sections 2.3.1 and 3.2; RFC 7523 section 2.2.

use super::CredentialError;
use super::grant::Form;
use super::token::{Expected, Fresh, read};
use crate::oauth::Discovery;
use crate::{BackendError, Cause};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Request, header};
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use url::{Url, form_urlencoded};
use weir_config::{AuthorizationServer, ClientProof};
use weir_policies::{Fetch, FetchError, Reach, SigningKey};

/// Most requests to one authorization server at once.
const REQUESTS: usize = 32;
/// What a client's signed words are called, and how long they are good, in seconds.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
const ASSERTION_LIFE: u64 = 60;
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
    /// What it signs with, where that is its proof.
    key: Option<SigningKey>,
    fetch: Arc<dyn Fetch>,
    reach: Reach,
    places: Semaphore,
}

impl Server {
    /// The server of `spec`, asked by way of `fetch` within `deadline`.
    pub(crate) fn new(
        spec: &AuthorizationServer,
        fetch: Arc<dyn Fetch>,
        deadline: Duration,
    ) -> Result<Self, BackendError> {
        let key = match &spec.proof {
            ClientProof::PrivateKey { key, id, algorithm } => {
                let key = SigningKey::from_pem(key.expose().as_bytes(), *algorithm, id.clone());
                let unfit = |error| {
                    BackendError::Unreachable(Cause::private("its `private_key` cannot be used", error))
                };
                Some(key.map_err(unfit)?)
            }
            ClientProof::None | ClientProof::Basic(_) | ClientProof::Post(_) => None,
        };
        Ok(Self {
            key,
            issuer: spec.issuer.clone(),
            token_url: spec.token_url.clone(),
            found: Mutex::default(),
            client: spec.client_id.clone(),
            proof: spec.proof.clone(),
            fetch,
            reach: Reach { private: spec.private, ca: spec.ca.clone(), deadline },
            places: Semaphore::new(REQUESTS),
        })
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
            ClientProof::PrivateKey { .. } => {
                form.push(("client_id", self.client.clone()));
                form.push(("client_assertion_type", ASSERTION.to_owned()));
                form.push(("client_assertion", self.assertion(url)?.expose_secret().to_owned()));
            }
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

impl Server {
    /// Signed words that it is weir who asks, good for this server, once and for a moment.
    fn assertion(&self, url: &Url) -> Result<SecretString, CredentialError> {
        let unsigned = |why: &str| CredentialError::unavailable("cannot be asked", why);
        let key = self.key.as_ref().ok_or_else(|| unsigned("there is no key"))?;
        let mut number = [0; 16];
        getrandom::fill(&mut number).map_err(|_| unsigned("the system has no random numbers"))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let claims = json!({
            "iss": self.client,
            "sub": self.client,
            // Its name, where that is known, is what every endpoint of it understands (RFC 7523 section 3).
            "aud": self.issuer().unwrap_or(url.as_str()),
            "iat": now,
            "exp": now + ASSERTION_LIFE,
            "jti": URL_SAFE_NO_PAD.encode(number),
        });
        let claims = claims.as_object().ok_or_else(|| unsigned("no claims"))?;
        key.sign("JWT", claims).map_err(|error| CredentialError::unavailable("cannot be asked", error))
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
