//! Sending a user to an authorization server, and what comes back.
//!
//! S: RFC 6749 section 4.1; RFC 7636; RFC 8707 section 2.1; RFC 9207 section 2.4; MCP 2026-07-28 `basic/authorization`.

use super::discovery::Authority;
use super::error::{OauthError, shown};
use super::registration::Client;
use oauth2::{PkceCodeChallenge, PkceCodeVerifier};
use secrecy::{ExposeSecret, SecretString};
use url::Url;

/// The longest code that is taken.
const LONGEST: usize = 8 << 10;
/// The scope by which refresh tokens are asked for (OpenID Connect Core 1.0 section 11).
const OFFLINE: &str = "offline_access";

/// A user on the way to an authorization server. It is kept by weir, and meets one answer.
#[derive(Debug)]
pub struct Departure {
    /// What the user is to grant.
    pub(super) plan: Plan,
    verifier: SecretString,
}

/// What a user is asked to grant, and where.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The authorization server.
    pub authority: Authority,
    /// weir, as the server knows it.
    pub(super) client: Client,
    /// The resource; empty for a login.
    pub resource: String,
    /// The scopes.
    pub scopes: Vec<String>,
}

/// What the browser brings back from an authorization server: each parameter at most once.
#[derive(Default)]
pub struct Answer {
    /// `code`.
    pub code: Option<String>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `error`.
    pub error: Option<String>,
}

impl std::fmt::Debug for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer")
            .field("issuer", &self.issuer)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

impl Plan {
    /// With the scope that lets grants live on.
    pub(super) fn new(
        authority: Authority,
        client: Client,
        resource: String,
        mut scopes: Vec<String>,
    ) -> Self {
        // Without it many servers give nothing that outlives the first hour. It is asked for only where it is known, and not
        // in place of what a server gives to those who name no scope.
        let offers = authority.scopes.iter().any(|scope| scope == OFFLINE);
        if offers && !scopes.is_empty() && !scopes.iter().any(|scope| scope == OFFLINE) {
            scopes.push(OFFLINE.to_owned());
        }
        Self { authority, client, resource, scopes }
    }

    /// Where the user is sent to with this `state`, and what is to be kept until the answer.
    ///
    /// # Errors
    /// Users cannot authorize there.
    pub fn depart(self, state: &str) -> Result<(Url, Departure), OauthError> {
        let (_, verifier) = PkceCodeChallenge::new_random_sha256();
        let departure = Departure { plan: self, verifier: SecretString::from(verifier.into_secret()) };
        Ok((departure.url(state)?, departure))
    }
}

impl Departure {
    /// With a verifier that somebody else keeps.
    pub(super) fn with(plan: Plan, verifier: &str) -> Self {
        Self { plan, verifier: SecretString::from(verifier.to_owned()) }
    }

    /// Where the user is sent to with this `state`.
    pub(super) fn url(&self, state: &str) -> Result<Url, OauthError> {
        let verifier = PkceCodeVerifier::new(self.verifier.expose_secret().to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let Plan { authority, client, resource, scopes } = &self.plan;
        let endpoint = authority.authorization_endpoint.as_ref();
        let mut url =
            endpoint.cloned().ok_or(OauthError::Unusable("users cannot authorize anything there"))?;
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", &client.redirect)
            .append_pair("state", state)
            .append_pair("code_challenge", challenge.as_str())
            .append_pair("code_challenge_method", "S256");
        // A login is for no resource.
        if !resource.is_empty() {
            query.append_pair("resource", resource);
        }
        if !scopes.is_empty() {
            query.append_pair("scope", &scopes.join(" "));
        }
        // Without consent some servers give no refresh token (OpenID Connect Core 1.0 section 11).
        if scopes.iter().any(|scope| scope == OFFLINE) {
            query.append_pair("prompt", "consent");
        }
        drop(query);
        Ok(url)
    }
}

/// Whether weir may send users to a server for a grant.
pub(super) fn usable(authority: &Authority) -> Result<(), OauthError> {
    if authority.authorization_endpoint.is_none() {
        return Err(OauthError::Unusable("users cannot authorize anything there"));
    }
    if !authority.proves_codes {
        return Err(OauthError::Unusable("it does not say that it knows PKCE with S256"));
    }
    Ok(())
}

impl Departure {
    /// The code in an answer of the server that the user was sent to.
    ///
    /// # Errors
    /// The answer is somebody else's, a refusal, or brings no code.
    pub(super) fn code(&self, answer: Answer) -> Result<String, OauthError> {
        // First of all: even the error of another server is not shown (RFC 9207 section 2.4). Compared as text.
        match &answer.issuer {
            Some(issuer) if *issuer != self.plan.authority.issuer => {
                return Err(OauthError::Answer("it comes from another authorization server"));
            }
            None if self.plan.authority.names_itself => {
                return Err(OauthError::Answer("it does not say which authorization server it comes from"));
            }
            _ => {}
        }
        if let Some(error) = answer.error {
            let stranger = matches!(error.as_str(), "invalid_client" | "unauthorized_client");
            let of = if stranger { OauthError::Client } else { OauthError::Refused };
            return Err(of(shown(&error)));
        }
        let code = answer.code.filter(|code| !code.is_empty() && code.len() <= LONGEST);
        code.ok_or(OauthError::Answer("it brings no code"))
    }

    pub(super) fn verifier(&self) -> SecretString {
        SecretString::from(self.verifier.expose_secret().to_owned())
    }
}
