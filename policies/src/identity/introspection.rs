//! Asking an issuer whether a token is good (RFC 7662).

use super::claims::{Claims, invalid};
use super::discovery::Provider;
use super::flight::Flights;
use super::strict;
use super::verdicts::Mark;
use crate::{Rejection, RejectionKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::sync::Arc;
use url::form_urlencoded;
use weir_config::{ClientAuthentication, Introspection};

/// Most questions to one issuer at once.
const MOST: usize = 64;

/// The questions to one issuer.
#[derive(Debug)]
pub(crate) struct Asking {
    provider: Arc<Provider>,
    config: Introspection,
    flights: Flights<Mark, Result<Arc<Claims>, Rejection>>,
}

impl Asking {
    pub(crate) fn new(provider: Arc<Provider>, config: Introspection) -> Self {
        Self { provider, config, flights: Flights::new(MOST) }
    }

    pub(crate) fn config(&self) -> &Introspection {
        &self.config
    }

    /// What the issuer says of a good token; `mark` is the token's. Those who ask about one token share one question.
    pub(crate) async fn ask(&self, mark: Mark, token: &str) -> Result<Arc<Claims>, Rejection> {
        let begin = || {
            let (provider, config, token) =
                (self.provider.clone(), self.config.clone(), SecretString::from(token));
            async move { introspect(&provider, &config, &token).await.map(Arc::new) }
        };
        self.flights.join(mark, begin).await.map_err(|why| unavailable(why.to_string()))?
    }
}

fn unavailable(why: String) -> Rejection {
    Rejection::new(RejectionKind::Unavailable, format_args!("the issuer cannot be asked: {why}"))
}

async fn introspect(
    provider: &Provider,
    config: &Introspection,
    token: &SecretString,
) -> Result<Claims, Rejection> {
    let url = match &config.url {
        Some(url) => url.clone(),
        None => {
            let metadata = provider.metadata().await.map_err(unavailable)?;
            let missing = || unavailable("its metadata names no `introspection_endpoint`".to_owned());
            metadata.introspection.clone().ok_or_else(missing)?
        }
    };
    let request =
        request(config, token).ok_or_else(|| unavailable("the client's name cannot be sent".to_owned()))?;
    let answer = provider.ask(request, &url).await.map_err(unavailable)?;
    if answer.status() != StatusCode::OK {
        // Also where it does not take weir's own credential: no fault of the caller's.
        return Err(unavailable(format!("status {}", answer.status().as_u16())));
    }
    let claims = strict::object(answer.body())
        .ok_or_else(|| unavailable("its answer is not an object with each name once".to_owned()))?;
    accept(&provider.config.issuer, claims)
}

/// Refuses what is not good, not an access token, or another's. What else the answer says is held against the configuration
/// as the claims of a signed token are.
fn accept(issuer: &str, claims: Claims) -> Result<Claims, Rejection> {
    match claims.get("active") {
        Some(Value::Bool(true)) => {}
        Some(Value::Bool(false)) => return Err(invalid("the issuer says that the token is not good")),
        _ => return Err(unavailable("its answer does not say whether the token is good".to_owned())),
    }
    if claims.get("iss").is_some_and(|named| named != issuer) {
        return Err(invalid("the token is of another issuer"));
    }
    let kind = claims.get("token_type").map(|kind| kind.as_str().unwrap_or_default().to_ascii_lowercase());
    // By the type of RFC 6749 section 7.1, or by the words of the hint of RFC 7009.
    if kind.is_some_and(|kind| kind != "bearer" && kind != "access_token") {
        return Err(invalid("the token is not a bearer's access token"));
    }
    Ok(claims)
}

/// The question, with weir's own credential: RFC 6749 section 2.3.1.
fn request(config: &Introspection, token: &SecretString) -> Option<Request<Bytes>> {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("token", token.expose_secret()).append_pair("token_type_hint", "access_token");
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::POST;
    let headers = request.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    match config.method {
        ClientAuthentication::Basic => {
            let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
            let pair = format!("{}:{}", encode(&config.client_id), encode(config.client_secret.expose()));
            let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair))).ok()?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        ClientAuthentication::Post => {
            form.append_pair("client_id", &config.client_id);
            form.append_pair("client_secret", config.client_secret.expose());
        }
    }
    *request.body_mut() = Bytes::from(form.finish());
    Some(request)
}
