//! What goes on over reloads, and what does not.

use super::idp::{Bench, ISSUER, Idp, Key, with};
use super::{api_key, certificate};
use crate::{Authenticator, Evidence, Fetch, Principal, RejectionKind};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use weir_config::{
    Algorithm, Auth, CertificateSubject, Certificates, ClientAuthentication, Introspection, Secret,
};

fn after(bench: &Bench, auth: &Auth) -> Authenticator {
    let (idp, clock) = (bench.idp.clone(), bench.clock.clone());
    Authenticator::with_clock(auth, idp, clock, Some(&bench.authenticator)).unwrap()
}

#[tokio::test]
async fn an_equal_configuration_knows_what_the_last_one_knew() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    let token = format!("Bearer {}", key.token(r#"{"alg":"ES256","kid":"a"}"#, &bench.claims().to_string()));
    let evidence = Evidence { authorization: Some(token.as_bytes()), ..Evidence::default() };
    let principal = bench.authenticator.authenticate(&evidence).await.unwrap();

    let same = after(&bench, &bench.auth);
    assert_eq!(same.recall(&evidence), Some(principal.clone()));

    // Something else of the endpoint changes: keys stay, nothing is recalled.
    let scoped = Auth { resource: Some("https://else.example.com".to_owned()), ..bench.auth.clone() };
    let other = after(&bench, &scoped);
    assert_eq!(other.recall(&evidence), None);
    assert_eq!(other.authenticate(&evidence).await, Ok(principal.clone()));
    assert_eq!(bench.asked("/keys"), 1);
    assert!(other.vouches(&principal));

    // The issuer's own section changes: its keys go too, and a token that was good is not.
    let mut strict = bench.auth.clone();
    strict.issuers[0].algorithms = vec![Algorithm::RS256];
    let strict = after(&bench, &strict);
    assert_eq!(strict.recall(&evidence), None);
    assert_eq!(strict.authenticate(&evidence).await.unwrap_err().kind, RejectionKind::Invalid);

    // It goes: nobody vouches for its callers.
    let none = after(&bench, &Auth::default());
    assert!(!none.vouches(&Principal::of(ISSUER, "ada")));

    // Another way to the network: nothing is taken over.
    let fetch: Arc<dyn Fetch> = Arc::new(Idp::default());
    let elsewhere =
        Authenticator::with_clock(&bench.auth, fetch, bench.clock.clone(), Some(&bench.authenticator))
            .unwrap();
    assert_eq!(elsewhere.recall(&evidence), None);
    assert_eq!(elsewhere.authenticate(&evidence).await.unwrap_err().kind, RejectionKind::Unavailable);
}

#[tokio::test]
async fn a_key_replaced_in_place_is_another_key() {
    let bench = Bench::new(&[], |auth| {
        *auth = Auth { api_keys: vec![api_key("ci", "weir_leaked", None)], ..Auth::default() };
    });
    let evidence = Evidence { api_key: Some(b"weir_leaked"), ..Evidence::default() };
    let thief = bench.authenticator.authenticate(&evidence).await.unwrap();
    let keys = |key| Auth { api_keys: vec![key], ..Auth::default() };
    let now = crate::Clock::now(&*bench.clock);
    for (what, key, expected) in [
        ("the same", api_key("ci", "weir_leaked", None), true),
        ("another key under the name", api_key("ci", "weir_new", None), false),
        (
            "an end that was not there",
            api_key("ci", "weir_leaked", Some(now + Duration::from_secs(60))),
            false,
        ),
        ("another name", api_key("di", "weir_leaked", None), false),
    ] {
        assert_eq!(after(&bench, &keys(key)).vouches(&thief), expected, "{what}");
    }
    // An end that is put off leaves what was opened until the old one.
    let ends = |seconds| api_key("ci", "weir_leaked", Some(now + Duration::from_secs(seconds)));
    let before = after(&bench, &keys(ends(60)));
    let holder = before.authenticate(&evidence).await.unwrap();
    let vouched = [30, 60, 90].map(|seconds| after(&bench, &keys(ends(seconds))).vouches(&holder));
    assert_eq!(vouched, [false, true, true]);
}

#[tokio::test]
async fn a_certificate_that_is_allowed_no_more_is_not_vouched_for() {
    let allow = |subject, pattern: &str| Auth {
        certificates: Some(Certificates { subject, allow: vec![pattern.to_owned()], groups: Vec::new() }),
        ..Auth::default()
    };
    let bench = Bench::new(&[], |auth| *auth = allow(CertificateSubject::Uri, "spiffe://example.com/*"));
    let own = certificate(1);
    let evidence = Evidence { certificate: Some(&own), ..Evidence::default() };
    let holder = bench.authenticator.authenticate(&evidence).await.unwrap();
    for (subject, pattern, expected) in [
        (CertificateSubject::Uri, "spiffe://example.com/1", true),
        (CertificateSubject::Uri, "spiffe://example.com/2", false),
        (CertificateSubject::Name, "CN=agent", false),
    ] {
        assert_eq!(after(&bench, &allow(subject, pattern)).vouches(&holder), expected, "{pattern}");
    }
}

#[tokio::test]
async fn what_the_configuration_makes_of_a_token_may_change() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    let mut claims = bench.claims();
    claims["groups"] = json!(["a"]);
    claims["roles"] = json!(["b"]);
    let token = key.token(r#"{"alg":"ES256","kid":"a"}"#, &claims.to_string());
    let holder = bench.bearer(&token).await.unwrap();
    let describes = |change: fn(&mut Auth)| {
        let mut auth = bench.auth.clone();
        change(&mut auth);
        after(&bench, &auth).describes(&holder)
    };
    assert!(describes(|_| {}));
    assert!(describes(|auth| auth.issuers[0].leeway = Duration::from_secs(9)), "nothing about the caller");
    assert!(!describes(|auth| auth.issuers[0].claims.groups = "roles".to_owned()));
    assert!(!describes(|auth| auth.issuers[0].claims.roles = "nothing".to_owned()));
    assert!(!describes(|auth| auth.issuers[0].audiences = vec!["else".to_owned()]));
    assert!(!describes(|auth| auth.issuers[0].clients = vec!["app".to_owned()]));
    assert!(!describes(|auth| auth.issuers[0].scopes = vec!["more".to_owned()]));
    assert!(!describes(|auth| auth.issuers.clear()));
    // A session outlives the token that it began with, until one comes that is newer.
    bench.clock.pass(Duration::from_secs(3600));
    assert!(describes(|_| {}));
}

#[tokio::test]
async fn a_token_that_was_good_is_no_strangers_after_a_reload() {
    let bench = Bench::new(&[], |auth| {
        auth.issuers[0].introspection = Some(Introspection {
            url: None,
            client_id: "weir".to_owned(),
            client_secret: Secret::new("secret".to_owned()),
            method: ClientAuthentication::Basic,
            opaque: true,
            cache: Duration::from_secs(30),
            every: None,
        });
    });
    let ask = "https://idp.example.com/ask";
    let good = with(with(bench.claims(), "active", json!(true)), "token_type", json!("Bearer"));
    bench.page(ask, 200, &good.to_string());
    assert!(bench.bearer("opaque").await.is_ok());
    bench.page(ask, 200, r#"{"active":false}"#);
    for number in 0..64 {
        assert_eq!(bench.bearer(&format!("garbage{number}")).await.unwrap_err().kind, RejectionKind::Invalid);
    }
    let more = Auth { api_keys: vec![api_key("ci", "weir_new", None)], ..bench.auth.clone() };
    let bench = Bench { authenticator: after(&bench, &more), auth: more, ..bench };
    bench.page(ask, 200, &good.to_string());
    assert_eq!(
        bench.bearer("new").await.unwrap_err().kind,
        RejectionKind::Unavailable,
        "the budget is spent"
    );
    assert!(bench.bearer("opaque").await.is_ok());
    assert_eq!(bench.asked("/ask"), 1 + 64 + 1);
}
