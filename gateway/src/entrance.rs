//! Where callers come in at an endpoint: finding out who they are, and what those are told who may not come in.
//!
//! S: MCP 2026-07-28 `basic/authorization`; RFC 6750 sections 2 and 3; RFC 9728 sections 3 and 5.

use crate::client::Http;
use crate::rescue::Fault;
use bytes::Bytes;
use http::header::{AUTHORIZATION, AsHeaderName};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use url::{Url, form_urlencoded};
use weir_policies::{Authenticator, Challenge, Evidence, Principal, Rejection, RejectionKind};
use weir_protocol::code;
use weir_telemetry::Kind;

/// Where RFC 9728 puts what a client has to know.
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The header that an API key may stand in.
const API_KEY: &str = "x-api-key";

/// The way into one endpoint.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) authenticator: Arc<Authenticator>,
    /// Who comes, where nobody is asked.
    anonymous: Option<Arc<Principal>>,
    login: Option<Login>,
}

/// What a client has to know in order to log in.
#[derive(Debug)]
struct Login {
    /// Where the metadata of the endpoint is, as the world sees it.
    url: String,
    /// The path of the resource, as the world sees it.
    path: String,
    scopes: Vec<String>,
    /// The metadata.
    document: Bytes,
}

impl Login {
    fn of(challenge: &Challenge, name: &str) -> Option<Self> {
        let resource = challenge.resource.as_deref()?;
        // Only what the operator wrote says where weir is: neither `Host` nor what a proxy adds may lead clients elsewhere.
        let mut url = Url::parse(resource).ok()?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{WELL_KNOWN}{path}"));
        let mut document = json!({
            "resource": resource,
            "authorization_servers": challenge.issuers,
            "bearer_methods_supported": ["header"],
            "resource_name": format!("weir: {name}"),
        });
        if let Some(members) = document.as_object_mut().filter(|_| !challenge.scopes.is_empty()) {
            members.insert("scopes_supported".to_owned(), json!(challenge.scopes));
        }
        let document = document.to_string().into();
        Some(Self { url: url.into(), path, scopes: challenge.scopes.clone(), document })
    }
}

impl Entrance {
    /// The way into the endpoint called `name`.
    pub(crate) fn new(authenticator: Arc<Authenticator>, name: &str) -> Self {
        let login = authenticator.challenge().and_then(|challenge| Login::of(challenge, name));
        let anonymous = authenticator.recall(&Evidence::default());
        Self { authenticator, anonymous, login }
    }

    /// What a client has to know in order to log in (RFC 9728 section 2); `None` where there is nothing to log in at.
    pub(crate) fn metadata(&self) -> Option<&Bytes> {
        self.login.as_ref().map(|login| &login.document)
    }

    /// The path of the resource, as the world sees it; empty for the root.
    pub(crate) fn resource_path(&self) -> Option<&str> {
        self.login.as_ref().map(|login| &*login.path)
    }

    /// Finds out who sends this request, before its body is read.
    ///
    /// # Errors
    /// Nobody whom this endpoint knows, or it cannot be found out within `patience`.
    pub(crate) async fn admit(
        &self,
        http: &Http<'_>,
        certificate: Option<&weir_policies::ClientCertificate>,
        patience: Duration,
    ) -> Result<Arc<Principal>, Fault> {
        if http.uri().query().is_some_and(brings_token) {
            let why = "a token in the query string is never taken, send it in the header `Authorization`";
            return Err(self.refuse(400, code::INVALID_REQUEST, why, Some("invalid_request"), &[]));
        }
        if let Some(anonymous) = &self.anonymous {
            return Ok(anonymous.clone());
        }
        let evidence = Evidence {
            authorization: self.single(http, AUTHORIZATION)?,
            api_key: self.single(http, API_KEY)?,
            certificate,
        };
        if let Some(principal) = self.authenticator.recall(&evidence) {
            return Ok(principal);
        }
        // Boxed, so that what is rare does not make the future of every request larger.
        Box::pin(self.find_out(&evidence, patience)).await
    }

    async fn find_out(&self, evidence: &Evidence<'_>, patience: Duration) -> Result<Arc<Principal>, Fault> {
        let found = tokio::time::timeout(patience, self.authenticator.authenticate(evidence)).await;
        let late = || Err(Rejection::new(RejectionKind::Unavailable, "the issuer took too long"));
        found.unwrap_or_else(|_| late()).map_err(|rejection| self.rejected(rejection))
    }

    /// The one value of a header.
    fn single<'a>(&self, http: &'a Http<'_>, name: impl AsHeaderName) -> Result<Option<&'a [u8]>, Fault> {
        let mut values = http.headers().get_all(name).iter();
        let first = values.next();
        if values.next().is_some() {
            let why = "a header that shows who calls is sent more than once";
            return Err(self.refuse(400, code::INVALID_REQUEST, why, Some("invalid_request"), &[]));
        }
        Ok(first.map(|value| value.as_bytes()))
    }

    /// What a caller is told who was not let in. Why is for the log alone.
    fn rejected(&self, rejection: Rejection) -> Fault {
        let reason = &rejection.reason;
        match &rejection.kind {
            RejectionKind::Missing | RejectionKind::Malformed => tracing::debug!(reason, "not let in"),
            RejectionKind::Unavailable => tracing::warn!(reason, "cannot find out who calls"),
            RejectionKind::Invalid | RejectionKind::Scopes(_) => tracing::info!(reason, "not let in"),
        }
        let invalid = code::INVALID_REQUEST;
        match rejection.kind {
            RejectionKind::Missing => self.refuse(401, invalid, "show who you are", None, &[]),
            RejectionKind::Malformed => {
                let why = "what shows who calls cannot be read";
                self.refuse(400, invalid, why, Some("invalid_request"), &[])
            }
            RejectionKind::Invalid => {
                let why = "what shows who calls is not good here, or no longer";
                self.refuse(401, invalid, why, Some("invalid_token"), &[])
            }
            RejectionKind::Scopes(scopes) => self.lacks(&scopes),
            RejectionKind::Unavailable => {
                let why = "who calls cannot be found out at the moment, try again later";
                Fault { kind: Kind::Gateway, ..Fault::new(503, code::SERVER_ERROR, why) }
            }
        }
    }

    /// What a caller is told who may come in, but whose token lacks some of these scopes, which an operation needs.
    pub(crate) fn lacks(&self, scopes: &[String]) -> Fault {
        let why = "the token lacks a scope that this needs";
        self.refuse(403, code::INVALID_REQUEST, why, Some("insufficient_scope"), scopes)
    }

    fn refuse(&self, status: u16, code: i32, why: &str, error: Option<&str>, scopes: &[String]) -> Fault {
        let challenge = Some(self.challenge(error, why, scopes).into());
        Fault { kind: Kind::Denied, challenge, ..Fault::new(status, code, why) }
    }

    /// The value of `WWW-Authenticate`: where to find out how to log in, and with which scopes; those that every call needs
    /// beside `more`.
    fn challenge(&self, error: Option<&str>, why: &str, more: &[String]) -> String {
        let mut parameters = Vec::new();
        if let Some(error) = error {
            parameters
                .push(format!(r#"error="{error}", error_description="{}""#, why.replace(['"', '\\'], "'")));
        }
        if let Some(login) = &self.login {
            parameters.push(format!(r#"resource_metadata="{}""#, login.url));
        }
        let always = self.login.iter().flat_map(|login| &login.scopes);
        // RFC 6749 section 3.3; whatever else stands in a policy must not get out of the quotes.
        let plain = |scope: &&String| {
            let visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
            !scope.is_empty() && scope.bytes().all(visible)
        };
        let mut scopes: Vec<&str> = always.chain(more).filter(plain).map(String::as_str).collect();
        scopes.sort_unstable();
        scopes.dedup();
        if !scopes.is_empty() {
            parameters.push(format!(r#"scope="{}""#, scopes.join(" ")));
        }
        if parameters.is_empty() { "Bearer".to_owned() } else { format!("Bearer {}", parameters.join(", ")) }
    }
}

/// Whether a query holds a token, where it would end up in logs and histories (RFC 6750 section 2.3).
fn brings_token(query: &str) -> bool {
    form_urlencoded::parse(query.as_bytes()).any(|(key, _)| key.trim().eq_ignore_ascii_case("access_token"))
}

#[cfg(test)]
pub(crate) mod tests;
