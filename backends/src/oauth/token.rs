//! Tokens: in exchange for a code, renewed, revoked.
//!
//! S: RFC 6749 sections 4.1.3, 5 and 6; RFC 7636; RFC 7009; RFC 8707 section 2.2; OAuth 2.1 section 4.3.

use super::access::Access;
use super::authorization::Departure;
use super::discovery::Authority;
use super::error::{OauthError, shown};
use super::grant::{Grant, seconds};
use super::registration::{Client, Method};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use oauth2::basic::{
    BasicErrorResponse, BasicErrorResponseType, BasicRevocationErrorResponse,
    BasicTokenIntrospectionResponse, BasicTokenType,
};
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet,
    ExtraTokenFields, HttpRequest, HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken,
    RequestTokenError, StandardRevocableToken, StandardTokenResponse, TokenResponse, TokenUrl,
};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::time::SystemTime;
use url::Url;
use weir_policies::{Fetch, FetchError, Reach};

/// The longest token that is taken, in bytes: it has to fit into a header.
const LONGEST: usize = 32 << 10;
/// What is wrong with a token that has no place in a header.
const UNSENDABLE: &str = "it gives tokens that cannot be sent";
/// The longest life that is believed, in seconds, and the shortest: what is over at once would be renewed for each call.
const LIFE: u64 = 366 * 24 * 3600;
const BRIEF: u64 = 30;

/// A token endpoint as a client sees it.
type TokenClient<E = EndpointSet> = oauth2::Client<
    BasicErrorResponse,
    Tokens,
    BasicTokenIntrospectionResponse,
    StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    E,
>;

/// What a token endpoint gives.
type Tokens = StandardTokenResponse<Identity, BasicTokenType>;

/// What it says beside, where somebody logs in.
#[derive(Serialize, Deserialize)]
struct Identity {
    id_token: Option<String>,
}

impl ExtraTokenFields for Identity {}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity")
    }
}

/// How token endpoints are reached.
#[derive(Debug, Clone, Copy)]
pub(super) struct Endpoint<'a> {
    pub(super) fetch: &'a dyn Fetch,
    pub(super) reach: &'a Reach,
}

/// What users agreed to, and where the code for it is exchanged.
#[derive(Debug)]
pub(super) struct Agreed<'a> {
    pub(super) client: &'a Client,
    pub(super) authority: &'a Authority,
    pub(super) resource: &'a str,
    pub(super) url: &'a str,
    pub(super) asked: &'a [String],
}

impl Endpoint<'_> {
    /// Exchanges a code.
    pub(super) async fn exchange(
        &self,
        agreed: Agreed<'_>,
        code: String,
        verifier: &SecretString,
    ) -> Result<Grant, OauthError> {
        let Agreed { client, authority, resource, url, asked } = agreed;
        let redirect = RedirectUrl::new(client.redirect.clone())
            .map_err(|_| OauthError::Answer("the way back is no URL"))?;
        let own = of(client, &authority.token_endpoint).set_redirect_uri(redirect);
        let request = own
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()))
            .add_extra_param("resource", resource.to_owned());
        let answer = request.request_async(self).await.map_err(failed)?;
        let now = SystemTime::now();
        let access = access(&answer)?;
        Ok(Grant {
            url: url.to_owned(),
            resource: resource.to_owned(),
            client: client.clone(),
            token_endpoint: authority.token_endpoint.clone(),
            revocation_endpoint: authority.revocation_endpoint.clone(),
            asked: asked.to_vec(),
            access,
            refresh: refresh(&answer)?,
            given: seconds(now),
            until: until(&answer, now),
            orphaned: None,
            seen: seconds(now),
        })
    }

    /// Exchanges a code for what says who logged in.
    pub(super) async fn identify(&self, departure: &Departure, code: String) -> Result<String, OauthError> {
        let plan = &departure.plan;
        let redirect = RedirectUrl::new(plan.client.redirect.clone())
            .map_err(|_| OauthError::Answer("the way back is no URL"))?;
        let own = of(&plan.client, &plan.authority.token_endpoint).set_redirect_uri(redirect);
        let request = own
            .exchange_code(AuthorizationCode::new(code))
            .set_pkce_verifier(PkceCodeVerifier::new(departure.verifier().expose_secret().to_owned()));
        let answer = request.request_async(self).await.map_err(failed)?;
        let id_token = answer.extra_fields().id_token.clone();
        id_token.ok_or(OauthError::Answer("it does not say who logged in"))
    }

    /// Renews a grant as `client`.
    ///
    /// # Errors
    /// [`OauthError::Dead`] where the grant is good no more.
    pub(super) async fn renew(&self, grant: &Grant, client: &Client) -> Result<Grant, OauthError> {
        let old = grant.refresh.as_ref().ok_or(OauthError::Dead)?;
        let own = of(client, &grant.token_endpoint);
        let token = RefreshToken::new(old.expose_secret().to_owned());
        let request = own.exchange_refresh_token(&token).add_extra_param("resource", grant.resource.clone());
        let answer = request.request_async(self).await.map_err(|error| match error {
            // What is wrong with weir as a client says nothing of the grant.
            RequestTokenError::ServerResponse(refusal)
                if *refusal.error() == BasicErrorResponseType::InvalidGrant =>
            {
                OauthError::Dead
            }
            error => failed(error),
        })?;
        let now = SystemTime::now();
        Ok(Grant {
            access: access(&answer)?,
            // A server that gives no new one lets the old one be used again.
            refresh: refresh(&answer)?.or_else(|| grant.refresh.clone()),
            given: seconds(now),
            until: until(&answer, now),
            ..grant.clone()
        })
    }

    /// Revokes what a grant holds as `client`, as far as the server lets it. Nothing waits for it to succeed.
    pub(super) async fn revoke(&self, grant: &Grant, client: &Client) {
        let Some(request) = revocation(grant, client) else {
            return;
        };
        if let Err(error) = self.fetch.fetch(request, self.reach).await {
            tracing::debug!(%error, "a grant could not be revoked");
        }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, FetchError> {
        let (head, body) = request.into_parts();
        let request = http::Request::from_parts(head, Bytes::from(body));
        Ok(self.fetch.fetch(request, self.reach).await?.map(|body| body.to_vec()))
    }
}

impl<'c> AsyncHttpClient<'c> for Endpoint<'_> {
    type Error = FetchError;
    type Future = BoxFuture<'c, Result<HttpResponse, FetchError>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        self.send(request).boxed()
    }
}

/// What revokes a grant (RFC 7009 section 2.1): the refresh token, and with it the rest; `None` where the server takes none.
fn revocation(grant: &Grant, client: &Client) -> Option<http::Request<Bytes>> {
    let Client { id, secret, method, .. } = client;
    let mut request = http::Request::post(grant.revocation_endpoint.as_ref()?.as_str())
        .header(http::header::CONTENT_TYPE, "application/x-www-form-urlencoded");
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    let token = grant.refresh.as_ref().map_or(grant.access.expose_secret(), ExposeSecret::expose_secret);
    form.append_pair("token", token);
    match (method, secret) {
        (Method::ClientSecretBasic, Some(secret)) => {
            request = request.header(http::header::AUTHORIZATION, basic(id, secret));
        }
        (Method::ClientSecretPost, Some(secret)) => {
            form.append_pair("client_id", id).append_pair("client_secret", secret.expose_secret());
        }
        _ => {
            form.append_pair("client_id", id);
        }
    }
    request.body(Bytes::from(form.finish())).ok()
}

/// The client at its token endpoint.
fn of(client: &Client, endpoint: &Url) -> TokenClient {
    let own = TokenClient::<EndpointNotSet>::new(ClientId::new(client.id.clone())).set_auth_type(
        match client.method {
            Method::ClientSecretBasic => AuthType::BasicAuth,
            Method::ClientSecretPost | Method::None => AuthType::RequestBody,
        },
    );
    let own = match &client.secret {
        Some(secret) => own.set_client_secret(ClientSecret::new(secret.expose_secret().to_owned())),
        None => own,
    };
    own.set_token_uri(TokenUrl::from_url(endpoint.clone()))
}

/// HTTP Basic for a client (RFC 6749 section 2.3.1): both halves are form-encoded first.
fn basic(id: &str, secret: &SecretString) -> String {
    use base64::Engine;
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let both = format!("{}:{}", encoded(id), encoded(secret.expose_secret()));
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both))
}

fn access(answer: &Tokens) -> Result<Access, OauthError> {
    if *answer.token_type() != BasicTokenType::Bearer {
        return Err(OauthError::Unusable("it gives tokens of a kind that weir cannot send"));
    }
    let token = fit(answer.access_token().secret())?;
    Access::new(token.expose_secret()).ok_or(OauthError::Unusable(UNSENDABLE))
}

fn refresh(answer: &Tokens) -> Result<Option<SecretString>, OauthError> {
    answer.refresh_token().map(|token| fit(token.secret())).transpose()
}

/// A token as it may stand in a header (RFC 6750 section 2.1).
fn fit(token: &str) -> Result<SecretString, OauthError> {
    let printable = token.bytes().all(|byte| byte.is_ascii_graphic());
    if token.is_empty() || token.len() > LONGEST || !printable {
        return Err(OauthError::Unusable(UNSENDABLE));
    }
    Ok(SecretString::from(token.to_owned()))
}

fn until(answer: &Tokens, now: SystemTime) -> Option<u64> {
    answer.expires_in().map(|life| seconds(now) + life.as_secs().clamp(BRIEF, LIFE))
}

fn failed(error: RequestTokenError<FetchError, BasicErrorResponse>) -> OauthError {
    match error {
        RequestTokenError::ServerResponse(refusal) => match refusal.error() {
            BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => {
                OauthError::Client(shown(refusal.error().as_ref()))
            }
            error => OauthError::Refused(shown(error.as_ref())),
        },
        RequestTokenError::Request(error) => OauthError::of_fetch(error),
        // What it said may hold a token.
        RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
            OauthError::Unavailable("its token endpoint gave an answer that is none".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_fit_into_a_header() {
        assert!(fit("abc.DEF-_~+/=").is_ok());
        for token in ["", "a b", "a\nb", "a\u{e9}", &"a".repeat(LONGEST + 1)] {
            assert!(fit(token).is_err());
        }
    }

    #[test]
    fn basic_is_encoded_twice() {
        assert_eq!(basic("a:b", &SecretString::from("c d")), "Basic YSUzQWI6Yytk");
    }
}
