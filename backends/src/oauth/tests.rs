//! A scripted network, and connecting over it.

mod lending;
mod purging;
mod renewing;
mod visits;

use super::*;
use async_trait::async_trait;
use bytes::Bytes;
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::time::SystemTime;
use weir_policies::FetchError;

/// What a request is answered with.
type Reply = (u16, Vec<(&'static str, String)>, String);

/// Servers by URL; each request takes the next of the URL's answers, the last again and again.
#[derive(Debug, Default)]
pub(super) struct Network {
    replies: Mutex<HashMap<String, VecDeque<Reply>>>,
    pub(super) requests: Mutex<Vec<(String, String)>>,
    /// Held by a test that wants requests to wait.
    pub(super) gate: tokio::sync::RwLock<()>,
}

impl Network {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn put(&self, url: &str, status: u16, body: &Value) {
        self.reply(url, status, &[], body.to_string());
    }

    pub(super) fn reply(&self, url: &str, status: u16, headers: &[(&'static str, &str)], body: String) {
        let headers = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.replies.lock().entry(url.to_owned()).or_default().push_back((status, headers, body));
    }

    /// The bodies of requests to `url`, in their order.
    pub(super) fn sent(&self, url: &str) -> Vec<String> {
        self.requests.lock().iter().filter(|(to, _)| to == url).map(|(_, body)| body.clone()).collect()
    }
}

#[async_trait]
impl Fetch for Network {
    async fn fetch(
        &self,
        request: http::Request<Bytes>,
        _reach: &Reach,
    ) -> Result<http::Response<Bytes>, FetchError> {
        let url = request.uri().to_string();
        let body = String::from_utf8_lossy(request.body()).into_owned();
        self.requests.lock().push((url.clone(), body));
        let _open = self.gate.read().await;
        let mut replies = self.replies.lock();
        let Some(own) = replies.get_mut(&url) else {
            return Ok(http::Response::builder().status(404).body(Bytes::new()).unwrap());
        };
        let (status, headers, body) =
            if own.len() > 1 { own.pop_front() } else { own.front().cloned() }.unwrap();
        if status == 0 {
            return Err(FetchError::Late);
        }
        let mut answer = http::Response::builder().status(status).header("content-type", "application/json");
        for (name, value) in headers {
            answer = answer.header(name, value);
        }
        Ok(answer.body(Bytes::from(body)).unwrap())
    }
}

pub(super) const SERVER: &str = "https://server.example/mcp";
pub(super) const ISSUER: &str = "https://as.example";
const METADATA: &str = "https://as.example/.well-known/oauth-authorization-server";
pub(super) const TOKEN: &str = "https://as.example/token";
const REGISTER: &str = "https://as.example/register";
const WAY: &str = "http://127.0.0.1:1/connect/-/callback";

pub(super) fn way() -> Way {
    Way { redirect: WAY.to_owned(), document: None }
}

/// What an authorization server says of itself.
pub(super) fn authority(more: Value) -> Value {
    let mut all = json!({
        "issuer": ISSUER,
        "authorization_endpoint": "https://as.example/authorize?tenant=x",
        "token_endpoint": TOKEN,
        "registration_endpoint": REGISTER,
        "revocation_endpoint": "https://as.example/revoke",
        "token_endpoint_auth_methods_supported": ["client_secret_post", "none"],
        "code_challenge_methods_supported": ["S256"],
    });
    for (key, value) in more.as_object().unwrap() {
        all[key] = value.clone();
    }
    all
}

/// A network with a server and its authorization server.
pub(super) fn network(more: Value) -> Arc<Network> {
    let network = Network::new();
    let challenge = r#"Bearer scope="read", resource_metadata="https://server.example/prm""#;
    network.reply(SERVER, 401, &[("www-authenticate", challenge)], String::new());
    let protection =
        json!({"resource": SERVER, "authorization_servers": [ISSUER], "scopes_supported": ["no"]});
    network.put("https://server.example/prm", 200, &protection);
    network.put(METADATA, 200, &authority(more));
    network.put(REGISTER, 201, &json!({"client_id": "c1", "client_secret": "s1"}));
    network
}

fn http(url: &str) -> weir_config::HttpBackend {
    match weir_config::Backend::http("b", url.parse().unwrap()).transport {
        weir_config::Transport::Http(http) => http,
        weir_config::Transport::Stdio(_) => unreachable!("it has a URL"),
    }
}

/// The token for a call of `principal`.
pub(super) async fn token(connector: &Arc<Connector>, principal: &Principal) -> Result<Access, BackendError> {
    connector.token(connector.holder(principal)).await
}

pub(super) fn connector(network: &Arc<Network>, spec: weir_config::Oauth) -> Arc<Connector> {
    Connector::new(
        "b",
        &http(SERVER),
        &spec,
        network.clone(),
        Arc::new(MemoryGrants::default()),
        Handle::current(),
    )
}

pub(super) fn ada() -> Principal {
    Principal::of("https://idp.example", "ada")
}

pub(super) fn answer(code: &str) -> Answer {
    Answer { code: Some(code.to_owned()), ..Answer::default() }
}

/// Lets `principal` connect; what the browser is sent to.
pub(super) async fn connect(connector: &Connector, principal: &Principal) -> Result<Url, OauthError> {
    let outline = connector.outline(principal).await?;
    let (url, departure) = connector.plan(outline, &way()).await?.depart("st")?;
    connector.arrive(principal, departure, answer("code1")).await?;
    Ok(url)
}

pub(super) fn query(url: &Url) -> HashMap<String, String> {
    url.query_pairs().into_owned().collect()
}

pub(super) fn form(body: &str) -> HashMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

#[tokio::test]
async fn a_user_connects_once() {
    let network = network(json!({"scopes_supported": ["read", "offline_access"]}));
    network.put(TOKEN, 200, &json!({"access_token": "a1", "token_type": "bearer", "expires_in": 3600}));
    let connector = connector(&network, weir_config::Oauth::default());
    assert_eq!(token(&connector, &ada()).await.unwrap_err(), BackendError::Unconnected);
    let url = connect(&connector, &ada()).await.unwrap();
    let query = query(&url);
    let of = |key: &str| query.get(key).map(String::as_str).unwrap_or_default();
    assert_eq!((of("tenant"), of("client_id"), of("state"), of("response_type")), ("x", "c1", "st", "code"));
    assert_eq!((of("resource"), of("code_challenge_method"), of("redirect_uri")), (SERVER, "S256", WAY));
    assert_eq!(of("scope"), "read offline_access", "the challenge's, and what renews them");
    let sent = network.sent(TOKEN);
    let sent = form(&sent[0]);
    assert_eq!((&*sent["code"], &*sent["resource"], &*sent["client_secret"]), ("code1", SERVER, "s1"));
    assert_eq!(sent["redirect_uri"], WAY);
    let registered: Value = serde_json::from_str(&network.sent(REGISTER)[0]).unwrap();
    assert_eq!(registered["application_type"], "native");
    assert_eq!(registered["token_endpoint_auth_method"], "client_secret_post");
    // The code is proven with what only weir knows.
    let digest = ring::digest::digest(&ring::digest::SHA256, sent["code_verifier"].as_bytes());
    use base64::Engine;
    assert_eq!(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(digest), of("code_challenge"));
    assert_eq!(token(&connector, &ada()).await.unwrap().expose_secret(), "a1");
    // Nobody else has anything of it.
    for other in [
        Principal::of("https://idp.example", "eve"),
        Principal::of("https://other", "ada"),
        Principal::anonymous(),
    ] {
        assert_eq!(token(&connector, &other).await.unwrap_err(), BackendError::Unconnected);
    }
    connector.disconnect(&ada()).await.unwrap();
    assert_eq!(form(&network.sent("https://as.example/revoke")[0])["token"], "a1");
    assert_eq!(token(&connector, &ada()).await.unwrap_err(), BackendError::Unconnected);
}

#[tokio::test]
async fn what_was_opened_by_one_consent_is_not_used_by_another() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &json!({"access_token": "a1", "token_type": "bearer", "expires_in": 3600}));
    let connector = connector(&network, weir_config::Oauth::default());
    let mark = |principal: Principal| {
        let mark = crate::credentials::Party::Caller(Arc::new(principal)).mark().unwrap();
        connector.consents().current(mark)
    };
    let eve = Principal::of("https://idp.example", "eve");
    let others = mark(eve.clone());
    let mut marks = vec![mark(ada())];
    connect(&connector, &ada()).await.unwrap();
    marks.push(mark(ada()));
    token(&connector, &ada()).await.unwrap();
    assert_eq!(marks[1], mark(ada()), "a call changes nothing");
    connect(&connector, &ada()).await.unwrap();
    marks.push(mark(ada()));
    connector.disconnect(&ada()).await.unwrap();
    marks.push(mark(ada()));
    for (at, one) in marks.iter().enumerate() {
        assert!(!marks[..at].contains(one), "{at}");
        assert_eq!(connector.consents().current(*one), marks[3]);
    }
    assert_eq!(others, mark(eve), "nobody else's changes");
}

#[tokio::test]
async fn a_server_of_the_same_name_elsewhere_gets_nothing() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &json!({"access_token": "a1", "token_type": "Bearer"}));
    let grants: Arc<dyn Grants> = Arc::new(MemoryGrants::default());
    let at = |url: &str| {
        let spec = weir_config::Oauth::default();
        Connector::new("b", &http(url), &spec, network.clone(), grants.clone(), Handle::current())
    };
    connect(&at(SERVER), &ada()).await.unwrap();
    assert!(at(SERVER).is_connected(&ada()));
    assert!(!at("https://evil.example/mcp").is_connected(&ada()));
    assert!(at("https://evil.example/mcp").any_token().await.is_none());
}

#[tokio::test]
async fn users_are_sent_nowhere_but_where_the_operator_registered_weir() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &json!({"access_token": "a1", "token_type": "Bearer"}));
    let grants: Arc<dyn Grants> = Arc::new(MemoryGrants::default());
    let with = |issuers: &[&str]| {
        let client = |issuer: &&str| weir_config::OauthClient {
            issuer: (*issuer).to_owned(),
            id: "mine".to_owned(),
            secret: None,
        };
        let spec = weir_config::Oauth { clients: issuers.iter().map(client).collect(), ..Default::default() };
        Connector::new("b", &http(SERVER), &spec, network.clone(), grants.clone(), Handle::current())
    };
    let (open, pinned) = (with(&[]), with(&["https://own.example"]));
    connect(&open, &ada()).await.unwrap();
    let before = network.requests.lock().len();
    let error = pinned.outline(&ada()).await.unwrap_err();
    assert_eq!(error, OauthError::Elsewhere(ISSUER.to_owned()));
    assert!(error.to_string().contains(ISSUER) && error.to_string().contains("`clients`"));
    let asked: Vec<_> = network.requests.lock()[before..].iter().map(|(url, _)| url.clone()).collect();
    assert!(asked.iter().all(|url| !url.starts_with(ISSUER)), "it is not even asked: {asked:?}");
    // What was found out under another configuration leads nowhere either, and what was granted there is not used.
    let outline = open.outline(&ada()).await.unwrap();
    assert_eq!(pinned.plan(outline, &way()).await.unwrap_err(), error);
    assert!(open.is_connected(&ada()) && !pinned.is_connected(&ada()));
    assert_eq!(token(&pinned, &ada()).await.unwrap_err(), BackendError::Unconnected);
    assert!(with(&["https://own.example", ISSUER]).is_connected(&ada()));
}

#[tokio::test]
async fn weir_is_the_client_that_it_is_told_to_be() {
    let clients = vec![weir_config::OauthClient {
        issuer: ISSUER.to_owned(),
        id: "mine".to_owned(),
        secret: Some(weir_config::Secret::new("s".to_owned())),
    }];
    let document: Option<Url> = Some("https://weir.example/c.json".parse().unwrap());
    let offers = json!({"client_id_metadata_document_supported": true});
    for (spec, id, registrations) in [
        (weir_config::Oauth { clients, document: document.clone(), ..Default::default() }, "mine", 0),
        (weir_config::Oauth { document, ..Default::default() }, "https://weir.example/c.json", 0),
        (weir_config::Oauth::default(), "c1", 1),
    ] {
        let network = network(offers.clone());
        network.put(TOKEN, 200, &json!({"access_token": "a1", "token_type": "Bearer"}));
        let connector = connector(&network, spec);
        let url = connect(&connector, &ada()).await.unwrap();
        connect(&connector, &Principal::anonymous()).await.unwrap();
        assert_eq!(query(&url)["client_id"], id);
        assert_eq!(network.sent(REGISTER).len(), registrations, "once for all users");
    }
}

#[tokio::test]
async fn another_authorization_server_never_sees_the_credentials_of_the_first() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &json!({"access_token": "a1", "token_type": "Bearer"}));
    let connector = connector(&network, weir_config::Oauth::default());
    connect(&connector, &ada()).await.unwrap();
    let protection = json!({"resource": SERVER, "authorization_servers": ["https://as2.example"]});
    network.replies.lock().remove("https://server.example/prm");
    network.put("https://server.example/prm", 200, &protection);
    let second = json!({
        "issuer": "https://as2.example",
        "authorization_endpoint": "https://as2.example/authorize",
        "token_endpoint": "https://as2.example/token",
        "registration_endpoint": "https://as2.example/register",
        "token_endpoint_auth_methods_supported": ["none"],
        "code_challenge_methods_supported": ["S256"],
    });
    network.put("https://as2.example/.well-known/oauth-authorization-server", 200, &second);
    network.put("https://as2.example/register", 201, &json!({"client_id": "c2"}));
    network.put("https://as2.example/token", 200, &json!({"access_token": "a2", "token_type": "Bearer"}));
    let url = connect(&connector, &ada()).await.unwrap();
    assert_eq!(query(&url)["client_id"], "c2");
    let sent = network.requests.lock().clone();
    let to_second = sent.iter().filter(|(url, _)| url.starts_with("https://as2.example"));
    assert!(to_second.clone().count() >= 3);
    for (url, body) in to_second {
        // Whole values: a random verifier may well contain two letters in a row.
        let mut words = body.split(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_');
        assert!(!words.any(|word| ["c1", "s1", "a1"].contains(&word)), "{url}: {body}");
    }
    assert_eq!(token(&connector, &ada()).await.unwrap().expose_secret(), "a2");
}

#[tokio::test]
async fn answers_of_others_are_not_taken() {
    let refused = |error: &OauthError| matches!(error, OauthError::Answer(_));
    for (offers, answer) in [
        (json!({}), Answer { issuer: Some("https://evil.example".into()), ..answer("c") }),
        (json!({}), Answer { issuer: Some(format!("{ISSUER}/")), ..answer("c") }),
        (json!({}), Answer { issuer: Some("HTTPS://as.example".into()), ..answer("c") }),
        (json!({"authorization_response_iss_parameter_supported": true}), answer("c")),
        (json!({}), Answer::default()),
        (json!({}), answer("")),
        (json!({}), answer(&"c".repeat(9000))),
        // Not even what another one says of an error.
        (
            json!({}),
            Answer {
                issuer: Some("https://evil.example".into()),
                error: Some("x".into()),
                ..Answer::default()
            },
        ),
    ] {
        let network = network(offers);
        let connector = connector(&network, weir_config::Oauth::default());
        let outline = connector.outline(&ada()).await.unwrap();
        let (_, departure) = connector.plan(outline, &way()).await.unwrap().depart("st").unwrap();
        let error = connector.arrive(&ada(), departure, answer).await.unwrap_err();
        assert!(refused(&error), "{error}");
        assert!(network.sent(TOKEN).is_empty(), "no code is redeemed");
    }
}

#[tokio::test]
async fn what_the_server_says_of_an_error_is_shown_as_plain_text() {
    let network = network(json!({}));
    let connector = connector(&network, weir_config::Oauth::default());
    let outline = connector.outline(&ada()).await.unwrap();
    let (_, departure) = connector.plan(outline, &way()).await.unwrap().depart("st").unwrap();
    let error = Some(format!("no\n\u{202e}{}", "x".repeat(5000)));
    let error = connector.arrive(&ada(), departure, Answer { error, ..Answer::default() }).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no\\u{a}\\u{202e}xx") && text.len() < 400, "{text}");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused() {
    for (offers, said) in [
        (json!({"code_challenge_methods_supported": ["plain"]}), "PKCE"),
        (json!({"code_challenge_methods_supported": []}), "PKCE"),
        (json!({"authorization_endpoint": null}), "cannot authorize"),
        (json!({"registration_endpoint": null}), "neither registers"),
        (json!({"token_endpoint_auth_methods_supported": ["private_key_jwt"]}), "prove who a client is"),
        (json!({"authorization_endpoint": "javascript:alert(1)"}), "authorization_endpoint"),
        (json!({"authorization_endpoint": "http://as.example/a"}), "authorization_endpoint"),
        (json!({"token_endpoint": "https://u:p@as.example/t"}), "token_endpoint"),
        (json!({"token_endpoint": null}), "no token endpoint"),
        (json!({"issuer": "https://as.example/"}), "another name"),
    ] {
        let network = network(offers.clone());
        let connector = connector(&network, weir_config::Oauth::default());
        let error = connect(&connector, &ada()).await.unwrap_err().to_string();
        assert!(error.contains(said), "{offers}: {error}");
    }
    for (token, said) in [
        (json!({"access_token": "a", "token_type": "DPoP"}), "cannot send"),
        (json!({"access_token": "a b", "token_type": "Bearer"}), "cannot be sent"),
        (json!({"token_type": "Bearer"}), "is none"),
        (json!({"error": "x"}), "is none"),
    ] {
        let network = network(json!({}));
        network.put(TOKEN, 200, &token);
        let error = connect(&connector(&network, weir_config::Oauth::default()), &ada()).await.unwrap_err();
        assert!(error.to_string().contains(said), "{token}: {error}");
    }
}
