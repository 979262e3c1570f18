//! Asking an issuer whether a token is good (RFC 7662).

use super::budget::Budget;
use super::claims::{self, Claims, Profiled, invalid};
use super::discovery::Provider;
use super::flight::Flights;
use super::outage::Outage;
use super::strict;
use super::verdicts::Mark;
use crate::{Rejection, RejectionKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, StatusCode};
use moka::sync::Cache;
use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use url::form_urlencoded;
use weir_config::{ClientAuthentication, Introspection};

/// Most questions to one issuer at once about tokens that are no strangers', and as many about those that may be.
const MOST: usize = 64;
/// Tokens of strangers that may turn out bad in a row,
const BURST: u32 = 64;
/// and then one in this time.
const REFILL: Duration = Duration::from_millis(100);
/// Tokens of which it is remembered that they were good.
const MOST_KNOWN: u64 = 65_536;
/// For how long a token is good at least whose issuer says that it is and does not say until when.
const SHORTEST: Duration = Duration::from_secs(60);

/// The questions to one issuer. Strangers can make weir ask as much as they like, so that what they bring waits for a place
/// apart from everybody else's, and bad tokens are asked about at a bounded pace.
#[derive(Debug)]
pub(crate) struct Asking {
    provider: Arc<Provider>,
    config: Introspection,
    known: Questions,
    strange: Questions,
    pace: Arc<Mutex<Budget>>,
    /// What strangers bring cannot begin one: there are words that no issuer answers.
    outage: Arc<Mutex<Outage>>,
    /// The tokens that were good, and this endpoint's, when their issuer was asked last.
    good: Cache<Mark, ()>,
}

type Questions = Flights<Mark, Result<Arc<Claims>, Rejection>>;

impl Asking {
    pub(crate) fn new(provider: Arc<Provider>, config: Introspection) -> Self {
        Self {
            provider,
            config,
            known: Flights::new(MOST),
            strange: Flights::new(MOST),
            pace: Arc::new(Mutex::new(Budget::new(BURST, REFILL))),
            outage: Arc::default(),
            good: Cache::new(MOST_KNOWN),
        }
    }

    pub(crate) fn config(&self) -> &Introspection {
        &self.config
    }

    /// Whether a token of this mark was good when its issuer was asked last.
    pub(crate) fn was_good(&self, mark: &Mark) -> bool {
        self.good.contains_key(mark)
    }

    /// What the issuer says of a good token that weir has verified; `mark` is the token's. Those who ask about one token share
    /// one question.
    pub(crate) async fn verified(&self, mark: Mark, token: &str) -> Result<Arc<Claims>, Rejection> {
        let answer = self.known(mark, token).await;
        self.remember(mark, &answer);
        answer
    }

    /// The same of one that weir cannot read, where it is good at this endpoint.
    pub(crate) async fn opaque(&self, mark: Mark, token: &str) -> Result<Arc<Claims>, Rejection> {
        let answer = if self.was_good(&mark) {
            let answer = self.known(mark, token).await;
            answer.and_then(|claims| own(&self.provider, &self.config, claims))
        } else {
            let begin = || self.strange_question(token);
            self.strange.join(mark, begin).await.map_err(|why| unavailable(why.to_string()))?
        };
        self.remember(mark, &answer);
        answer
    }

    async fn known(&self, mark: Mark, token: &str) -> Result<Arc<Claims>, Rejection> {
        let begin = || self.known_question(token);
        self.known.join(mark, begin).await.map_err(|why| unavailable(why.to_string()))?
    }

    fn remember(&self, mark: Mark, answer: &Result<Arc<Claims>, Rejection>) {
        match answer {
            Ok(_) => self.good.insert(mark, ()),
            Err(rejection) if rejection.kind == RejectionKind::Invalid => self.good.invalidate(&mark),
            Err(_) => {}
        }
    }

    fn question(&self, token: &str) -> impl Future<Output = Result<Arc<Claims>, Rejection>> + Send + use<> {
        let (provider, config, token) =
            (self.provider.clone(), self.config.clone(), SecretString::from(token));
        let outage = self.outage.clone();
        async move {
            let answer = introspect(&provider, &config, &token).await.map(Arc::new);
            if !is_missing(&answer) {
                outage.lock().end();
            }
            answer
        }
    }

    /// A question that is put off while the issuer does not answer such.
    fn known_question(
        &self,
        token: &str,
    ) -> impl Future<Output = Result<Arc<Claims>, Rejection>> + Send + use<> {
        let (clock, outage, question) =
            (self.provider.clock.clone(), self.outage.clone(), self.question(token));
        async move {
            if !outage.lock().may_ask(clock.steady()) {
                return Err(unavailable("it did not answer a moment ago".to_owned()));
            }
            let answer = question.await;
            if is_missing(&answer) {
                outage.lock().fail();
            }
            answer
        }
    }

    /// A question that counts until its answer is good at this endpoint: anybody may have tokens for another.
    fn strange_question(
        &self,
        token: &str,
    ) -> impl Future<Output = Result<Arc<Claims>, Rejection>> + Send + use<> {
        let (provider, config) = (self.provider.clone(), self.config.clone());
        let (pace, question) = (self.pace.clone(), self.question(token));
        async move {
            if !pace.lock().spend(provider.clock.steady()) {
                return Err(unavailable("too many tokens that were not good".to_owned()));
            }
            let answer = question.await.and_then(|claims| own(&provider, &config, claims));
            if answer.is_ok() {
                pace.lock().give_back();
            }
            answer
        }
    }
}

/// Whether a question was not answered.
fn is_missing(answer: &Result<Arc<Claims>, Rejection>) -> bool {
    answer.as_ref().is_err_and(|rejection| rejection.kind == RejectionKind::Unavailable)
}

/// What an opaque token stands for by what its issuer says.
pub(crate) fn profiled(
    provider: &Provider,
    config: &Introspection,
    claims: Claims,
) -> Result<Profiled, Rejection> {
    claims::kind(None, &claims)?;
    let now = provider.clock.now();
    claims::principal(&provider.config, claims, now, now.checked_add(config.cache.max(SHORTEST)))
}

/// Refuses what is good elsewhere alone. What only lacks scopes is nobody else's.
fn own(provider: &Provider, config: &Introspection, claims: Arc<Claims>) -> Result<Arc<Claims>, Rejection> {
    match profiled(provider, config, (*claims).clone()) {
        Err(rejection) if rejection.kind == RejectionKind::Invalid => Err(rejection),
        _ => Ok(claims),
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
