//! Tokens, keys and certificates at an endpoint, with a provider in memory.

mod attacks;
mod idp;
mod introspection;
mod keys;
mod reload;

use crate::identity::issuer::REMEMBERED;
use crate::{CertificateName, ClientCertificate, Evidence, Principal, RejectionKind};
use idp::{Bench, ISSUER, Key, with};
use ring::digest::{SHA256, digest};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use weir_config::{Algorithm, ApiKey, Auth, CertificateSubject, Certificates, KeySource};

#[tokio::test]
async fn a_token_of_every_kind_of_key_is_good() {
    let keys = [("r", Key::rsa()), ("a", Key::p256()), ("b", Key::p384()), ("e", Key::ed())];
    let public: Vec<Value> = keys.iter().map(|(id, key)| key.public(id)).collect();
    let bench = Bench::new(&public, |auth| auth.issuers[0].algorithms.push(Algorithm::ES384));
    for (index, algorithm) in [(0, "RS256"), (0, "PS256"), (1, "ES256"), (2, "ES384"), (3, "EdDSA")] {
        let (id, key) = &keys[index];
        for kind in ["", r#","typ":"JWT""#, r#","typ":"at+jwt""#, r#","typ":"application/at+JWT""#] {
            let token = key.token(
                &format!(r#"{{"alg":"{algorithm}","kid":"{id}"{kind}}}"#),
                &bench.claims().to_string(),
            );
            let principal =
                bench.bearer(&token).await.unwrap_or_else(|why| panic!("{algorithm} {kind}: {why}"));
            assert_eq!((principal.issuer(), principal.subject()), (ISSUER, "ada"));
            assert_eq!(principal.token().map(ExposeSecret::expose_secret), Some(token.as_str()));
        }
    }
    assert_eq!(bench.asked("/keys"), 1);
}

#[tokio::test]
async fn what_a_token_says_reaches_the_principal() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |auth| {
        auth.issuers[0].claims.roles = "realm_access.roles".to_owned();
        auth.issuers[0].clients = vec!["app".to_owned()];
        auth.issuers[0].leeway = Duration::from_secs(7);
    });
    let mut claims = bench.claims();
    for (name, value) in [
        ("groups", json!(["b", "a", "b"])),
        ("realm_access", json!({"roles": ["admin"]})),
        ("email", json!("ada@example.com")),
        ("azp", json!("app")),
        ("scp", json!(["read"])),
        ("scope", json!("mcp read")),
        ("aud", json!(["other", idp::AUDIENCE])),
    ] {
        claims = with(claims, name, value);
    }
    let token = |claims: &Value| key.token(r#"{"alg":"ES256","kid":"a"}"#, &claims.to_string());
    let principal = bench.bearer(&token(&claims)).await.unwrap();
    assert_eq!(principal.groups(), ["a", "b"]);
    assert_eq!(principal.roles(), ["admin"]);
    assert_eq!(principal.scopes(), ["mcp", "read"]);
    assert_eq!((principal.email(), principal.client()), (Some("ada@example.com"), Some("app")));
    assert_eq!(principal.claims(), claims.as_object().unwrap());
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(bench.clock.seconds() + 607);
    assert_eq!(principal.until(), Some(end));
    let unverified = with(claims, "email_verified", json!(false));
    assert_eq!(bench.bearer(&token(&unverified)).await.unwrap().email(), None);
}

#[tokio::test]
async fn a_good_token_is_recalled_until_it_ends() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    let token = format!("Bearer {}", key.token(r#"{"alg":"ES256","kid":"a"}"#, &bench.claims().to_string()));
    let evidence = Evidence { authorization: Some(token.as_bytes()), ..Evidence::default() };
    let recall = || bench.authenticator.recall(&evidence);
    assert_eq!(recall(), None);
    let principal = bench.authenticator.authenticate(&evidence).await.unwrap();
    assert_eq!(recall().as_ref(), Some(&principal));
    assert!(std::sync::Arc::ptr_eq(&principal, &bench.authenticator.authenticate(&evidence).await.unwrap()));
    // It is verified again from time to time, while its issuer still has the key.
    bench.clock.pass(REMEMBERED - Duration::from_secs(1));
    assert!(recall().is_some());
    bench.clock.pass(Duration::from_secs(1));
    assert_eq!(recall(), None);
    assert_eq!(bench.authenticator.authenticate(&evidence).await.as_ref(), Ok(&principal));
    bench.clock.pass(Duration::from_secs(600) - REMEMBERED - Duration::from_secs(1));
    assert!(recall().is_some());
    bench.clock.pass(Duration::from_secs(1));
    assert_eq!(recall(), None);
    assert_eq!(bench.authenticator.authenticate(&evidence).await.unwrap_err().kind, RejectionKind::Invalid);
}

#[tokio::test]
async fn scopes_that_every_call_needs_are_named_to_holders_of_good_tokens_alone() {
    let (key, other) = (Key::p256(), Key::p256());
    let bench = Bench::new(&[key.public("a")], |auth| {
        auth.issuers[0].scopes = vec!["mcp".to_owned(), "tools".to_owned()];
    });
    let of = |key: &Key| key.token(r#"{"alg":"ES256","kid":"a"}"#, &bench.claims().to_string());
    let kind = bench.bearer(&of(&key)).await.unwrap_err().kind;
    assert_eq!(kind, RejectionKind::Scopes(vec!["mcp".to_owned(), "tools".to_owned()]));
    assert_eq!(bench.bearer(&of(&other)).await.unwrap_err().kind, RejectionKind::Invalid);
    let enough = with(bench.claims(), "scope", json!("tools mcp more"));
    let token = key.token(r#"{"alg":"ES256","kid":"a"}"#, &enough.to_string());
    assert!(bench.bearer(&token).await.is_ok());
    let challenge = bench.authenticator.challenge().unwrap();
    assert_eq!(challenge.scopes, ["mcp", "tools"]);
    assert_eq!(
        (&challenge.issuers[..], challenge.resource.as_deref()),
        (&[ISSUER.to_owned()][..], Some(idp::AUDIENCE))
    );
}

#[tokio::test]
async fn service_accounts_of_a_cluster_are_in_its_groups() {
    const CLUSTER: &str = "https://kubernetes.default.svc.cluster.local";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "pod-token\n").unwrap();
    let key = Key::rsa();
    let bench = Bench::new(&[key.public("r")], |auth| {
        let issuer = &mut auth.issuers[0];
        issuer.issuer = CLUSTER.to_owned();
        issuer.keys =
            KeySource::Kubernetes { url: "https://idp.example.com/keys".to_owned(), token: file.clone() };
        issuer.audiences = vec!["weir".to_owned()];
        issuer.private = true;
    });
    let claims = |subject: &str, account: &str| {
        let claims = with(with(bench.claims(), "iss", json!(CLUSTER)), "aud", json!(["weir"]));
        let about = json!({"namespace": "prod", "serviceaccount": {"name": account, "uid": "1"}});
        with(with(claims, "sub", json!(subject)), "kubernetes.io", about).to_string()
    };
    let token =
        |subject: &str, account: &str| key.token(r#"{"alg":"RS256","kid":"r"}"#, &claims(subject, account));
    let principal = bench.bearer(&token("system:serviceaccount:prod:agent", "agent")).await.unwrap();
    assert_eq!(principal.groups(), ["system:serviceaccounts", "system:serviceaccounts:prod"]);
    assert_eq!(principal.subject(), "system:serviceaccount:prod:agent");
    assert_eq!(bench.idp.asked.lock()[0].2.as_deref(), Some("Bearer pod-token"));
    for (subject, account) in [
        ("system:serviceaccount:prod:agent", "other"),
        ("system:serviceaccount:dev:agent", "agent"),
        ("system:serviceaccount:prod:", ""),
        ("system:serviceaccount:prod:agent:x", "agent"),
        ("system:node:prod:agent", "agent"),
        ("system:admin", "agent"),
        ("agent", "agent"),
    ] {
        let rejection = bench.bearer(&token(subject, account)).await.unwrap_err();
        assert_eq!(rejection.kind, RejectionKind::Invalid, "{subject} {account}");
    }
    assert!(bench.authenticator.challenge().is_some_and(|challenge| challenge.resource.is_none()));
}

fn api_key(name: &str, key: &str, expires: Option<SystemTime>) -> ApiKey {
    let words = |word: &str| vec![word.to_owned()];
    let sha256 = digest(&SHA256, key.as_bytes()).as_ref().try_into().unwrap();
    ApiKey {
        name: name.to_owned(),
        sha256,
        groups: words("g"),
        roles: words("r"),
        scopes: words("s"),
        expires,
    }
}

#[tokio::test]
async fn api_keys_come_in_either_header_until_they_end() {
    let bench = Bench::new(&[], |auth| {
        *auth = Auth::default();
        let end = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_100);
        auth.api_keys = vec![api_key("ci", "weir_abc", Some(end)), api_key("own", "made by hand", None)];
    });
    let come = async |authorization: Option<&str>, key: Option<&str>| {
        let evidence = Evidence {
            authorization: authorization.map(str::as_bytes),
            api_key: key.map(str::as_bytes),
            certificate: None,
        };
        let found = bench.authenticator.authenticate(&evidence).await;
        assert_eq!(bench.authenticator.recall(&evidence), found.clone().ok());
        found.map(|principal| principal.subject().to_owned()).map_err(|rejection| rejection.kind)
    };
    assert_eq!(come(Some("Bearer weir_abc"), None).await.as_deref(), Ok("ci"));
    assert_eq!(come(None, Some("weir_abc")).await.as_deref(), Ok("ci"));
    assert_eq!(come(None, Some("made by hand")).await.as_deref(), Ok("own"));
    assert_eq!(come(None, Some("weir_abd")).await, Err(RejectionKind::Invalid));
    assert_eq!(come(None, Some("")).await, Err(RejectionKind::Invalid));
    assert_eq!(come(Some("Bearer weir_"), None).await, Err(RejectionKind::Invalid));
    assert_eq!(come(Some("Bearer abc"), None).await, Err(RejectionKind::Invalid));
    assert_eq!(come(Some("Bearer weir_abc"), Some("weir_abc")).await, Err(RejectionKind::Malformed));
    assert_eq!(come(None, None).await, Err(RejectionKind::Missing));
    let holder = |key: &'static str| Evidence { api_key: Some(key.as_bytes()), ..Evidence::default() };
    let recall = |key| bench.authenticator.recall(&holder(key)).unwrap();
    let (ci, own) = (recall("weir_abc"), recall("made by hand"));
    let vouches = |principal: &Principal| bench.authenticator.vouches(principal);
    assert_eq!((vouches(&ci), vouches(&own)), (true, true));
    assert!(!vouches(&Principal::of(Principal::API_KEYS, "ci")), "a name is no key");
    assert!(!ci.needs_certificate() && bench.authenticator.due(&ci).is_none());
    bench.clock.pass(Duration::from_secs(100));
    assert_eq!(come(Some("Bearer weir_abc"), None).await, Err(RejectionKind::Invalid));
    assert_eq!((vouches(&ci), vouches(&own)), (false, true));
    assert!(bench.authenticator.challenge().is_none());
}

fn certificate(fingerprint: u8) -> ClientCertificate {
    let names = vec![CertificateName::Uri(format!("spiffe://example.com/{fingerprint}"))];
    ClientCertificate { subject: "CN=agent".to_owned(), names, fingerprint: [fingerprint; 32], until: None }
}

#[tokio::test]
async fn a_certificate_counts_where_the_request_brings_nothing() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |auth| {
        auth.certificates = Some(Certificates {
            subject: CertificateSubject::Uri,
            allow: vec!["spiffe://example.com/[0-5]".to_owned()],
            groups: vec!["mesh".to_owned()],
        });
    });
    let (good, bad) = (certificate(1), certificate(7));
    let alone = Evidence { certificate: Some(&good), ..Evidence::default() };
    let principal = bench.authenticator.authenticate(&alone).await.unwrap();
    assert!(principal.needs_certificate() && bench.authenticator.due(&principal).is_none());
    assert_eq!(
        (principal.issuer(), principal.subject()),
        (Principal::CERTIFICATES, "spiffe://example.com/1")
    );
    assert_eq!(
        (principal.groups(), bench.authenticator.recall(&alone)),
        (&["mesh".to_owned()][..], Some(principal.clone()))
    );
    let refused = Evidence { certificate: Some(&bad), ..Evidence::default() };
    assert_eq!(bench.authenticator.authenticate(&refused).await.unwrap_err().kind, RejectionKind::Invalid);
    // A bad token does not become good by the certificate beside it.
    for (token, kind) in [("Bearer x", RejectionKind::Invalid), ("Basic x", RejectionKind::Missing)] {
        let both = Evidence { authorization: Some(token.as_bytes()), ..alone };
        assert_eq!(bench.authenticator.authenticate(&both).await.unwrap_err().kind, kind);
    }
    assert!(bench.authenticator.vouches(&principal));
}

#[tokio::test]
async fn a_token_that_is_bound_to_a_certificate_needs_it() {
    use base64::Engine;
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    let thumbprint = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([1; 32]);
    let bound = with(bench.claims(), "cnf", json!({"x5t#S256": thumbprint}));
    let token = format!("Bearer {}", key.token(r#"{"alg":"ES256","kid":"a"}"#, &bound.to_string()));
    let (own, other) = (certificate(1), certificate(2));
    let mut kinds = Vec::new();
    // In turns, so that nothing that was found once is taken for the other.
    for certificate in [None, Some(&own), None, Some(&other), Some(&own), Some(&other)] {
        let evidence = Evidence { authorization: Some(token.as_bytes()), api_key: None, certificate };
        kinds.push(bench.authenticator.authenticate(&evidence).await.is_ok());
        assert_eq!(bench.authenticator.recall(&evidence).is_some(), kinds.last() == Some(&true));
    }
    assert_eq!(kinds, [false, true, false, false, true, false]);
    let evidence = Evidence { authorization: Some(token.as_bytes()), api_key: None, certificate: Some(&own) };
    let holder = bench.authenticator.recall(&evidence).unwrap();
    assert!(holder.needs_certificate());
    // Nor does the token become somebody else's where only it is looked at.
    assert!(bench.review(&holder).await.is_ok());
}

#[tokio::test]
async fn an_endpoint_that_asks_for_nothing_looks_at_nothing() {
    let bench = Bench::new(&[], |auth| *auth = Auth::default());
    let evidence = Evidence { authorization: Some(b"Bearer x"), api_key: Some(b"y"), certificate: None };
    let anonymous = Principal::anonymous();
    assert_eq!(bench.authenticator.recall(&evidence).as_deref(), Some(&anonymous));
    assert_eq!(bench.authenticator.authenticate(&evidence).await.as_deref(), Ok(&anonymous));
    assert!(bench.authenticator.vouches(&anonymous) && bench.authenticator.challenge().is_none());
    assert!(!bench.authenticator.vouches(&Principal::of("https://issuer", "ada")));
}

#[test]
fn signing_keys_are_known_by_what_they_are() {
    use crate::{SigningError, SigningKey};
    let claims = json!({"iss": "weir"});
    let claims = claims.as_object().unwrap();
    let key = SigningKey::from_pem(idp::RSA_PEM.as_bytes(), None, Some("k".to_owned())).unwrap();
    assert_eq!(key.algorithm(), Algorithm::RS256);
    let token = key.sign("JWT", claims).unwrap();
    let read = crate::Token::read(token.expose_secret()).unwrap();
    assert_eq!((read.algorithm.as_str(), read.key_id.as_deref(), &read.claims), ("RS256", Some("k"), claims));
    let unfit = SigningKey::from_pem(idp::RSA_PEM.as_bytes(), Some(Algorithm::ES256), None).unwrap_err();
    assert_eq!(unfit, SigningError::Unfit(Algorithm::ES256));
    assert_eq!(SigningKey::from_pem(b"", None, None).unwrap_err(), SigningError::Unreadable);
    assert!(!format!("{key:?}").contains("MII"), "{key:?}");
    for (pem, expected) in [
        (include_str!("tests/p256.pem"), Algorithm::ES256),
        (include_str!("tests/p384.pem"), Algorithm::ES384),
        (include_str!("tests/ed25519.pem"), Algorithm::EdDSA),
    ] {
        let key = SigningKey::from_pem(pem.as_bytes(), None, None).unwrap();
        assert_eq!(key.algorithm(), expected);
        assert!(key.sign("JWT", claims).is_ok());
    }
}
