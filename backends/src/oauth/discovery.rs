//! Finding out how a server is protected and where its users authorize weir.
//!
//! S: RFC 9728 sections 3 and 5; RFC 8414 section 3; OpenID Connect Discovery 1.0 section 4; MCP 2026-07-28
//! `basic/authorization/authorization-server-discovery`.

use super::challenge::{Challenge, is_scope};
use super::error::OauthError;
use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::Url;
use weir_policies::{Fetch, Reach};

/// The most authorization servers of one resource that are looked at, and the most words in other lists.
const SERVERS: usize = 8;
const WORDS: usize = 128;
/// The longest URL that is followed.
const LONGEST: usize = 2048;

/// How a server is protected (RFC 9728).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// The resource that tokens are asked for.
    pub resource: String,
    /// The issuers that may be asked, the server's favourite first.
    pub issuers: Vec<String>,
    /// The scopes that the server knows; empty where it does not say.
    pub scopes: Vec<String>,
}

/// What an authorization server says of itself (RFC 8414), as far as weir needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Authority {
    /// Its name, exactly as it was asked for.
    pub issuer: String,
    /// Where users authorize; absent where they cannot.
    pub authorization_endpoint: Option<Url>,
    /// Where codes become tokens.
    pub token_endpoint: Url,
    /// Where clients register themselves.
    pub registration_endpoint: Option<Url>,
    /// Where tokens are revoked.
    pub revocation_endpoint: Option<Url>,
    /// The scopes that it knows; empty where it does not say.
    pub scopes: Vec<String>,
    /// How clients may prove who they are at the token endpoint.
    pub methods: Vec<String>,
    /// PKCE with S256 is offered.
    pub proves_codes: bool,
    /// Answers of the authorization endpoint name the issuer (RFC 9207).
    pub names_itself: bool,
    /// A URL may be the id of a client (Client ID Metadata Documents).
    pub reads_documents: bool,
}

/// What is read of a protected resource's metadata.
#[derive(Deserialize)]
struct ResourceDocument {
    resource: String,
    #[serde(default)]
    authorization_servers: Vec<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// What is read of an authorization server's metadata.
#[derive(Deserialize)]
struct AuthorityDocument {
    issuer: String,
    authorization_endpoint: Option<String>,
    token_endpoint: Option<String>,
    registration_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
    #[serde(default)]
    scopes_supported: Vec<String>,
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    client_id_metadata_document_supported: bool,
}

/// Reads what servers publish of themselves.
#[derive(Debug, Clone, Copy)]
pub struct Discovery<'a> {
    /// How the network is reached.
    pub fetch: &'a dyn Fetch,
    /// What of it may be reached.
    pub reach: &'a Reach,
}

impl Discovery<'_> {
    /// How the server at `url` is protected, which answered with `challenge`: where that says, then at the well-known
    /// places for its path and for its origin.
    ///
    /// # Errors
    /// What is found cannot be read, is about another resource, or names no authorization server.
    pub async fn protection(
        &self,
        url: &Url,
        challenge: Option<&Challenge>,
    ) -> Result<Protection, OauthError> {
        if let Some(told) = challenge.and_then(|challenge| challenge.metadata.as_deref()) {
            let place = self.outside(told, "resource_metadata")?;
            let missing = || OauthError::discovery("the metadata that its challenge names is not there");
            let document = self.get(&place).await?.ok_or_else(missing)?;
            return protects(document, url);
        }
        for place in resource_places(url) {
            if let Some(document) = self.get(&place).await? {
                return protects(document, url);
            }
        }
        // Servers of 2025-03-26 do not describe themselves: their authorization server is at their own origin.
        let origin = url.origin().ascii_serialization();
        Ok(Protection { resource: identifier(url), issuers: vec![origin], scopes: Vec::new() })
    }

    /// What the authorization server of this name says of itself.
    ///
    /// # Errors
    /// Nothing is found, or what is found cannot be read or has another name.
    pub async fn authority(&self, issuer: &str) -> Result<Authority, OauthError> {
        let place = self.outside(issuer, "issuer")?;
        if place.query().is_some() || place.fragment().is_some() {
            return Err(OauthError::discovery("its issuer has a query or a fragment"));
        }
        for place in authority_places(&place) {
            if let Some(document) = self.get::<AuthorityDocument>(&place).await? {
                return self.understand(document, issuer);
            }
        }
        Err(OauthError::discovery("its authorization server does not describe itself"))
    }

    fn understand(&self, document: AuthorityDocument, issuer: &str) -> Result<Authority, OauthError> {
        // Compared as text (RFC 8414 section 3.3): whoever describes itself by another name may be somebody else.
        if document.issuer != issuer {
            return Err(OauthError::discovery("its authorization server calls itself by another name"));
        }
        let endpoint = |text: Option<String>, what| text.map(|text| self.outside(&text, what)).transpose();
        let token = endpoint(document.token_endpoint, "token_endpoint")?;
        // RFC 8414 section 2: where nothing is said, it is this one.
        let methods = document
            .token_endpoint_auth_methods_supported
            .unwrap_or_else(|| vec!["client_secret_basic".into()]);
        Ok(Authority {
            issuer: document.issuer,
            authorization_endpoint: endpoint(document.authorization_endpoint, "authorization_endpoint")?,
            token_endpoint: token
                .ok_or_else(|| OauthError::discovery("its authorization server names no token endpoint"))?,
            registration_endpoint: endpoint(document.registration_endpoint, "registration_endpoint")?,
            revocation_endpoint: endpoint(document.revocation_endpoint, "revocation_endpoint")?,
            scopes: words(document.scopes_supported),
            methods: words(methods),
            proves_codes: document.code_challenge_methods_supported.iter().any(|method| method == "S256"),
            names_itself: document.authorization_response_iss_parameter_supported,
            reads_documents: document.client_id_metadata_document_supported,
        })
    }

    /// A URL that somebody else wrote. What it leads to is checked again where the connection is made.
    fn outside(&self, text: &str, what: &str) -> Result<Url, OauthError> {
        let wrong = || OauthError::discovery(format!("its `{what}` is not a URL that may be used"));
        let url = Url::parse(text).ok().filter(|_| text.len() <= LONGEST).ok_or_else(wrong)?;
        let secure = url.scheme() == "https" || (url.scheme() == "http" && self.reach.private);
        let plain = url.has_host() && url.username().is_empty() && url.password().is_none();
        if secure && plain { Ok(url) } else { Err(wrong()) }
    }

    /// The document at `place`; `None` where there is none.
    async fn get<T: DeserializeOwned>(&self, place: &Url) -> Result<Option<T>, OauthError> {
        let request = http::Request::get(place.as_str())
            .header(http::header::ACCEPT, "application/json")
            .body(Bytes::new())
            .map_err(|_| OauthError::discovery("a metadata URL cannot be asked for"))?;
        let answer = self.fetch.fetch(request, self.reach).await.map_err(OauthError::of_fetch)?;
        match answer.status().as_u16() {
            200 => serde_json::from_slice(answer.body())
                .map(Some)
                .map_err(|_| OauthError::discovery("its metadata is not what it should be")),
            status if status >= 500 => {
                Err(OauthError::discovery(format!("its metadata was answered with status {status}")))
            }
            _ => Ok(None),
        }
    }
}

/// Checks that `document` is about the server at `url`.
fn protects(document: ResourceDocument, url: &Url) -> Result<Protection, OauthError> {
    if !covers(&document.resource, url) {
        // A token for another resource must not be had in its name (RFC 9728 section 3.3).
        return Err(OauthError::discovery("its metadata is about another resource"));
    }
    let mut issuers = document.authorization_servers;
    issuers.truncate(SERVERS);
    if issuers.is_empty() {
        return Err(OauthError::discovery("its metadata names no authorization server"));
    }
    Ok(Protection { resource: document.resource, issuers, scopes: words(document.scopes_supported) })
}

/// Whether `resource` is the server at `url`, or the part of its origin that the server lies in: what describes itself at the
/// root is named after the origin.
fn covers(resource: &str, url: &Url) -> bool {
    let Ok(resource) = Url::parse(resource) else {
        return false;
    };
    let (outer, inner) = (resource.path().trim_end_matches('/'), url.path().trim_end_matches('/'));
    let below = inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    resource.origin() == url.origin()
        && below
        && resource.fragment().is_none()
        && resource.username().is_empty()
        && resource.password().is_none()
        && resource.query().is_none_or(|query| Some(query) == url.query())
}

/// The name of a resource that does not name itself: its URL, without what names cannot have.
pub(crate) fn identifier(url: &Url) -> String {
    let mut url = url.clone();
    url.set_fragment(None);
    let text = String::from(url.clone());
    if url.path() == "/" && url.query().is_none() { text.trim_end_matches('/').to_owned() } else { text }
}

/// Where a protected resource describes itself: at the place for its path, then at that for its origin.
fn resource_places(url: &Url) -> Vec<Url> {
    const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";
    let path = url.path().trim_end_matches('/');
    let paths = [format!("{WELL_KNOWN}{path}"), WELL_KNOWN.to_owned()];
    let mut places: Vec<Url> = paths.iter().map(|path| at(url, path)).collect();
    if let Some(first) = places.first_mut() {
        first.set_query(url.query());
    }
    places.dedup();
    places
}

/// Where an authorization server describes itself, in the order in which clients have to look.
fn authority_places(issuer: &Url) -> Vec<Url> {
    const OAUTH: &str = "/.well-known/oauth-authorization-server";
    const OPENID: &str = "/.well-known/openid-configuration";
    let path = issuer.path().trim_end_matches('/');
    let paths = match path {
        "" => vec![OAUTH.to_owned(), OPENID.to_owned()],
        path => vec![format!("{OAUTH}{path}"), format!("{OPENID}{path}"), format!("{path}{OPENID}")],
    };
    paths.iter().map(|path| at(issuer, path)).collect()
}

fn at(url: &Url, path: &str) -> Url {
    let mut place = url.clone();
    place.set_path(path);
    place.set_query(None);
    place.set_fragment(None);
    place
}

fn words(mut words: Vec<String>) -> Vec<String> {
    words.retain(|word| is_scope(word));
    words.truncate(WORDS);
    words
}

#[cfg(test)]
mod tests;
