//! Being a client of an authorization server.
//!
//! S: MCP 2026-07-28 `basic/authorization/client-registration`; RFC 7591; Client ID Metadata Documents.

use super::discovery::Authority;
use super::error::{OauthError, shown};
use super::secret;
use bytes::Bytes;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use url::Url;
use weir_policies::{Fetch, Reach};

/// What users read of weir at authorization servers.
const NAME: &str = "weir";
/// The longest id and secret that a server may give.
const LONGEST: usize = 4096;
/// What goes wrong where no way leads to being a client.
const NO_WAY: &str = "it neither registers clients by itself nor reads documents of theirs; the operator can register weir \
                      there and configure the client under `clients`";

/// How a client proves who it is at a token endpoint (RFC 6749 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// HTTP Basic.
    ClientSecretBasic,
    /// In the body.
    ClientSecretPost,
    /// By nothing: a public client.
    None,
}

impl Method {
    const ALL: [Self; 3] = [Self::ClientSecretBasic, Self::ClientSecretPost, Self::None];

    /// Its name in metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClientSecretBasic => "client_secret_basic",
            Self::ClientSecretPost => "client_secret_post",
            Self::None => "none",
        }
    }

    /// The best that an authorization server offers.
    fn best(authority: &Authority) -> Option<Self> {
        Self::ALL.into_iter().find(|method| authority.methods.iter().any(|name| name == method.name()))
    }
}

/// weir as a client of one authorization server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Client {
    /// The authorization server that knows it; no other is ever shown these credentials.
    pub issuer: String,
    /// Its id.
    pub id: String,
    /// Its secret.
    #[serde(with = "secret::option", default)]
    pub secret: Option<SecretString>,
    /// How it proves who it is.
    pub method: Method,
    /// Where users come back to.
    pub redirect: String,
    /// When its secret ends, in seconds since 1970.
    pub until: Option<u64>,
}

impl Client {
    /// Whether it may be used for this server and this way back.
    pub(crate) fn suits(&self, issuer: &str, redirect: &str, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.issuer == issuer && self.redirect == redirect && self.until.is_none_or(|until| until > now + 60)
    }

    /// Whether it has to prove itself by a secret that is not known.
    pub(crate) fn lacks_secret(&self) -> bool {
        self.method != Method::None && self.secret.is_none()
    }

    /// The same with the secret that the operator gives it now.
    pub(crate) fn proven_by(self, secret: Option<&weir_config::Secret>) -> Self {
        let secret = secret.map(|secret| SecretString::from(secret.expose().to_owned()));
        let method = match (&secret, self.method) {
            (None, _) => Method::None,
            // What every server takes that takes secrets (RFC 6749 section 2.3.1).
            (Some(_), Method::None) => Method::ClientSecretBasic,
            (Some(_), method) => method,
        };
        Self { secret, method, ..self }
    }

    /// The client that the operator registered.
    pub(crate) fn configured(
        client: &weir_config::OauthClient,
        authority: &Authority,
        redirect: &str,
    ) -> Result<Self, OauthError> {
        let offered = |method: &Method| authority.methods.iter().any(|name| name == method.name());
        let secret = client.secret.as_ref().map(|secret| SecretString::from(secret.expose().to_owned()));
        let method = match secret {
            None => Method::None,
            Some(_) => [Method::ClientSecretBasic, Method::ClientSecretPost]
                .into_iter()
                .find(offered)
                .ok_or(OauthError::Unusable("it takes no client secret, but one is configured"))?,
        };
        Ok(Self {
            issuer: authority.issuer.clone(),
            id: client.id.clone(),
            secret,
            method,
            redirect: redirect.to_owned(),
            until: None,
        })
    }

    /// The client whose document lies at a URL, where the server reads such.
    pub(crate) fn documented(authority: &Authority, document: Option<&str>, redirect: &str) -> Option<Self> {
        let id = document.filter(|_| authority.reads_documents)?.to_owned();
        let (issuer, redirect) = (authority.issuer.clone(), redirect.to_owned());
        Some(Self { issuer, id, secret: None, method: Method::None, redirect, until: None })
    }
}

/// weir's metadata as a client: what it registers with, and what its document says.
pub(super) fn metadata(redirect: &str, method: Method) -> Value {
    json!({
        "client_name": NAME,
        "redirect_uris": [redirect],
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "token_endpoint_auth_method": method.name(),
        "application_type": application(redirect),
    })
}

/// weir's document as a client whose id is the URL that it lies at.
pub fn document(id: &str, redirect: &str) -> Value {
    let mut document = metadata(redirect, Method::None);
    if let Some(members) = document.as_object_mut() {
        members.insert("client_id".to_owned(), Value::from(id));
    }
    document
}

/// What sort of client it is to an authorization server (OpenID Connect Dynamic Client Registration 1.0 section 2): whose users
/// come back to their own machine is a native one.
fn application(redirect: &str) -> &'static str {
    let https = Url::parse(redirect).is_ok_and(|redirect| redirect.scheme() == "https");
    if https { "web" } else { "native" }
}

/// What is read of the answer to a registration (RFC 7591 section 3.2.1).
#[derive(Deserialize)]
struct Registered {
    client_id: String,
    client_secret: Option<String>,
    #[serde(default)]
    client_secret_expires_at: u64,
    token_endpoint_auth_method: Option<String>,
}

/// Registers weir.
///
/// # Errors
/// The server registers nobody, refuses, or its answer cannot be used.
pub(crate) async fn register(
    fetch: &dyn Fetch,
    reach: &Reach,
    authority: &Authority,
    redirect: &str,
) -> Result<Client, OauthError> {
    let endpoint = authority
        .registration_endpoint
        .as_ref()
        .ok_or_else(|| OauthError::Registration(NO_WAY.to_owned()))?;
    let method = Method::best(authority)
        .ok_or(OauthError::Unusable("it offers no way to prove who a client is that weir knows"))?;
    let body = metadata(redirect, method).to_string();
    let request = http::Request::post(endpoint.as_str())
        .header(http::header::CONTENT_TYPE, "application/json")
        .header(http::header::ACCEPT, "application/json")
        .body(Bytes::from(body))
        .map_err(|_| OauthError::Registration("its registration endpoint cannot be asked".to_owned()))?;
    let answer = fetch.fetch(request, reach).await.map_err(OauthError::of_fetch)?;
    let status = answer.status().as_u16();
    if !(200..300).contains(&status) {
        let refusal = serde_json::from_slice::<Value>(answer.body()).unwrap_or_default();
        let error = refusal.get("error").and_then(Value::as_str).unwrap_or("without a reason");
        let why = format!("it refused to register weir with status {status}, {}", shown(error));
        return Err(OauthError::Registration(why));
    }
    let registered: Registered = serde_json::from_slice(answer.body())
        .map_err(|_| OauthError::Registration("it answered the registration with what is none".to_owned()))?;
    understand(registered, authority, method, redirect)
}

fn understand(
    registered: Registered,
    authority: &Authority,
    asked: Method,
    redirect: &str,
) -> Result<Client, OauthError> {
    let secret = registered.client_secret.filter(|secret| !secret.is_empty());
    let too_long = |text: &str| text.is_empty() || text.len() > LONGEST;
    if too_long(&registered.client_id) || secret.as_deref().is_some_and(too_long) {
        return Err(OauthError::Registration("it gave an id or a secret of no use".to_owned()));
    }
    // The server may have chosen another way than was asked for.
    let method = match registered.token_endpoint_auth_method.as_deref() {
        None => asked,
        Some(name) => Method::ALL.into_iter().find(|method| method.name() == name).ok_or(
            OauthError::Unusable("it wants a client to prove itself in a way that weir does not know"),
        )?,
    };
    if method != Method::None && secret.is_none() {
        return Err(OauthError::Registration("it gave no secret to prove with who weir is".to_owned()));
    }
    let until = Some(registered.client_secret_expires_at).filter(|until| *until > 0 && secret.is_some());
    Ok(Client {
        issuer: authority.issuer.clone(),
        id: registered.client_id,
        secret: secret.map(SecretString::from).filter(|_| method != Method::None),
        method,
        redirect: redirect.to_owned(),
        until,
    })
}

impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        let secret = |client: &Self| client.secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        (&self.issuer, &self.id, self.method, &self.redirect, self.until, secret(self))
            == (&other.issuer, &other.id, other.method, &other.redirect, other.until, secret(other))
    }
}

#[cfg(test)]
mod tests;
