//! Where callers come in at an endpoint: finding out who they are, and what those are told who may not come in.
//!
//! S: MCP 2026-07-28 `basic/authorization`; RFC 6750 sections 2 and 3; RFC 9728 sections 3 and 5.

use crate::client::Http;
use crate::drain::{Room, Waiting};
use crate::rescue::Fault;
use bytes::Bytes;
use futures_util::poll;
use http::header::{AUTHORIZATION, AsHeaderName};
use serde_json::json;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use url::{Url, form_urlencoded};
use weir_policies::{Authenticator, Challenge, Evidence, Principal, Rejection, RejectionKind};
use weir_protocol::code;
use weir_telemetry::{Kind, Throttle};

/// Where RFC 9728 puts what a client has to know.
pub(crate) const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

/// The header that an API key may stand in.
const API_KEY: &str = "x-api-key";

/// The way into one endpoint.
#[derive(Debug)]
pub(crate) struct Entrance {
    name: String,
    pub(crate) authenticator: Arc<Authenticator>,
    /// Who comes, where nobody is asked.
    anonymous: Option<Arc<Principal>>,
    login: Option<Login>,
    /// The scopes that a client asks for who is not known.
    scopes: Vec<String>,
    /// Where those wait who were good when their credentials were looked at last,
    known: Room,
    /// and where others do, so that they keep none of them out.
    strangers: Room,
    refused: Throttle,
    lacking: Throttle,
    unavailable: Throttle,
    left: Throttle,
}

/// Somebody who came in, with the place in which it was waited until that was known.
pub(crate) type Arrival = (Arc<Principal>, Option<Waiting>);

/// What a client has to know in order to log in.
#[derive(Debug)]
struct Login {
    /// Where the metadata of the endpoint is, as the world sees it.
    url: String,
    /// The path of the resource, as the world sees it.
    path: String,
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
        let mut document = serde_json::Map::new();
        let mut say = |name: &str, value| document.insert(name.to_owned(), value);
        say("resource", json!(resource));
        say("authorization_servers", json!(challenge.issuers));
        say("bearer_methods_supported", json!(["header"]));
        say("resource_name", json!(format!("weir: {name}")));
        if !challenge.scopes.is_empty() {
            say("scopes_supported", json!(challenge.scopes));
        }
        let document = serde_json::Value::Object(document).to_string().into();
        Some(Self { url: url.into(), path, document })
    }
}

impl Entrance {
    /// The way into the endpoint called `name`.
    pub(crate) fn new(authenticator: Arc<Authenticator>, name: &str) -> Self {
        let login = authenticator.challenge().and_then(|challenge| Login::of(challenge, name));
        let scopes = authenticator.challenge().filter(|_| login.is_some());
        let scopes = scopes.map(|challenge| challenge.common.clone()).unwrap_or_default();
        let anonymous = authenticator.recall(&Evidence::default());
        Self {
            name: name.to_owned(),
            authenticator,
            anonymous,
            login,
            scopes,
            known: Room::default(),
            strangers: Room::default(),
            refused: Throttle::default(),
            lacking: Throttle::default(),
            unavailable: Throttle::default(),
            left: Throttle::default(),
        }
    }

    /// What a client has to know in order to log in (RFC 9728 section 2); `None` where there is nothing to log in at.
    pub(crate) fn metadata(&self) -> Option<&Bytes> {
        self.login.as_ref().map(|login| &login.document)
    }

    /// The path of the resource, as the world sees it; empty for the root.
    pub(crate) fn resource_path(&self) -> Option<&str> {
        self.login.as_ref().map(|login| &*login.path)
    }

    /// Finds out who sends this request, before its body is read. Where others have to be asked for that, the request waits
    /// where `wait` gives it a place in one of the entrance's rooms.
    ///
    /// # Errors
    /// Nobody whom this endpoint knows, or it cannot be found out within `patience`, or there is no room.
    pub(crate) async fn admit(
        &self,
        http: &Http<'_>,
        certificate: Option<&weir_policies::ClientCertificate>,
        patience: Duration,
        wait: impl FnOnce(&Room) -> Result<Waiting, Fault>,
    ) -> Result<Arrival, Fault> {
        if http.uri().query().is_some_and(brings_token) {
            let why = "a token in the query string is never taken, send it in the header `Authorization`";
            return Err(self.refuse(400, why, Some("invalid_request")));
        }
        if let Some(anonymous) = &self.anonymous {
            return Ok((anonymous.clone(), None));
        }
        let evidence = Evidence {
            authorization: self.single(http, AUTHORIZATION)?,
            api_key: self.single(http, API_KEY)?,
            certificate,
        };
        if let Some(principal) = self.authenticator.recall(&evidence) {
            return Ok((principal, None));
        }
        // Boxed, so that what is rare does not make the future of every request larger.
        Box::pin(self.find_out(&evidence, patience, wait)).await
    }

    async fn find_out(
        &self,
        evidence: &Evidence<'_>,
        patience: Duration,
        wait: impl FnOnce(&Room) -> Result<Waiting, Fault>,
    ) -> Result<Arrival, Fault> {
        let mut finding = pin!(tokio::time::timeout(patience, self.authenticator.authenticate(evidence)));
        // What weir can tell by itself needs no room.
        let (found, waited) = match poll!(&mut finding) {
            Poll::Ready(found) => (found, None),
            Poll::Pending => {
                let was_good = self.authenticator.was_good(evidence);
                let waiting = wait(if was_good { &self.known } else { &self.strangers })?;
                (finding.await, Some(waiting))
            }
        };
        let late = || Err(Rejection::new(RejectionKind::Unavailable, "the issuer took too long"));
        let principal = found.unwrap_or_else(|_| late()).map_err(|rejection| self.rejected(rejection))?;
        Ok((principal, waited))
    }

    /// The one value of a header.
    fn single<'a>(&self, http: &'a Http<'_>, name: impl AsHeaderName) -> Result<Option<&'a [u8]>, Fault> {
        let mut values = http.headers().get_all(name).iter();
        let first = values.next();
        if values.next().is_some() {
            let why = "a header that shows who calls is sent more than once";
            return Err(self.refuse(400, why, Some("invalid_request")));
        }
        Ok(first.map(|value| value.as_bytes()))
    }

    /// What a caller is told who was not let in. Why is for the log alone, and in it for one of a second: whoever is refused may
    /// come back as often as they like.
    fn rejected(&self, rejection: Rejection) -> Fault {
        let (endpoint, reason) = (&self.name, &rejection.reason);
        let throttle = match &rejection.kind {
            RejectionKind::Missing | RejectionKind::Malformed => None,
            RejectionKind::Invalid => Some(&self.refused),
            RejectionKind::Scopes(_) => Some(&self.lacking),
            RejectionKind::Unavailable => Some(&self.unavailable),
        };
        match throttle.and_then(Throttle::admit) {
            None => tracing::debug!(endpoint, reason, "not let in"),
            Some(before) => {
                let left_out = (before > 0).then_some(before);
                if rejection.kind == RejectionKind::Unavailable {
                    tracing::warn!(endpoint, reason, left_out, "cannot find out who calls");
                } else {
                    tracing::info!(endpoint, reason, left_out, "not let in");
                }
            }
        }
        match rejection.kind {
            RejectionKind::Missing => self.refuse(401, "show who you are", None),
            RejectionKind::Malformed => {
                self.refuse(400, "what shows who calls cannot be read", Some("invalid_request"))
            }
            RejectionKind::Invalid => {
                let why = "what shows who calls is not good here, or no longer";
                self.refuse(401, why, Some("invalid_token"))
            }
            RejectionKind::Scopes(scopes) => self.insufficient(&scopes, &[]),
            RejectionKind::Unavailable => {
                let why = "who calls cannot be found out at the moment, try again later";
                Fault { kind: Kind::Gateway, ..Fault::new(503, code::SERVER_ERROR, why) }
            }
        }
    }

    /// Says in the log why what a token opened ends, of one in a second: a token may open very much.
    pub(crate) fn left(&self, why: &str) {
        let endpoint = &self.name;
        match self.left.admit() {
            None => tracing::debug!(endpoint, why, "what a token opened ends"),
            Some(before) => {
                let left_out = (before > 0).then_some(before);
                tracing::info!(endpoint, why, left_out, "what a token opened ends");
            }
        }
    }

    /// What `principal` is told, who may come in, but whose token lacks some of these scopes, which an operation needs.
    pub(crate) fn lacks(&self, principal: &Principal, scopes: &[String]) -> Fault {
        self.insufficient(self.authenticator.needed(principal), scopes)
    }

    /// Names what every call of a caller needs and what one needs beside that, and nothing that only another issuer knows: a
    /// client that asks its own for such a scope is refused.
    fn insufficient(&self, always: &[String], more: &[String]) -> Fault {
        let why = "the token lacks a scope that this needs";
        let scopes = always.iter().chain(more);
        self.challenged(403, why, Some("insufficient_scope"), scopes)
    }

    /// What somebody is told who is not known, and who may be any issuer's.
    fn refuse(&self, status: u16, why: &str, error: Option<&str>) -> Fault {
        self.challenged(status, why, error, self.scopes.iter())
    }

    fn challenged<'s>(
        &self,
        status: u16,
        why: &str,
        error: Option<&str>,
        scopes: impl Iterator<Item = &'s String>,
    ) -> Fault {
        let challenge = Some(self.challenge(error, why, scopes).into());
        Fault { kind: Kind::Denied, challenge, ..Fault::new(status, code::INVALID_REQUEST, why) }
    }

    /// The value of `WWW-Authenticate`: where to find out how to log in, and with which scopes.
    fn challenge<'s>(
        &self,
        error: Option<&str>,
        why: &str,
        scopes: impl Iterator<Item = &'s String>,
    ) -> String {
        let mut parameters = Vec::new();
        if let Some(error) = error {
            parameters
                .push(format!(r#"error="{error}", error_description="{}""#, why.replace(['"', '\\'], "'")));
        }
        if let Some(login) = &self.login {
            parameters.push(format!(r#"resource_metadata="{}""#, login.url));
        }
        // RFC 6749 section 3.3; whatever else stands in a policy must not get out of the quotes.
        let plain = |scope: &&String| {
            let visible = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
            !scope.is_empty() && scope.bytes().all(visible)
        };
        let mut scopes: Vec<&str> = scopes.filter(plain).map(String::as_str).collect();
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
