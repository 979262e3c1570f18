//! Keys that change, providers that are down or lie.

use super::idp::{Bench, ISSUER, Key};
use crate::RejectionKind;
use crate::identity::issuer::REMEMBERED;
use crate::identity::keys::{LONGEST_AGE, REFRESH};
use serde_json::json;
use std::time::Duration;

const METADATA: &str = "https://idp.example.com/realm/.well-known/openid-configuration";
const OTHER_METADATA: &str = "https://idp.example.com/.well-known/oauth-authorization-server/realm";
const KEYS: &str = "https://idp.example.com/keys";

fn token(bench: &Bench, key: &Key, id: &str) -> String {
    key.token(&format!(r#"{{"alg":"ES256","kid":"{id}"}}"#), &bench.claims().to_string())
}

/// A token of another moment, so that nothing is recalled.
fn again(bench: &Bench, key: &Key, id: &str) -> String {
    bench.clock.pass(Duration::from_secs(1));
    token(bench, key, id)
}

/// Lets what was begun beside the requests come to its end.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_new_key_is_found_at_once_and_an_old_one_goes() {
    let (old, new) = (Key::p256(), Key::p256());
    let bench = Bench::new(&[old.public("old")], |_| {});
    assert!(bench.bearer(&token(&bench, &old, "old")).await.is_ok());
    bench.publish(&[new.public("new")]);
    assert!(bench.bearer(&token(&bench, &new, "new")).await.is_ok());
    assert_eq!(bench.asked("/keys"), 2);
    let kind = bench.bearer(&again(&bench, &old, "old")).await.unwrap_err().kind;
    assert_eq!(kind, RejectionKind::Invalid);
}

#[tokio::test]
async fn a_token_does_not_outlive_its_key_for_long() {
    let (old, new) = (Key::p256(), Key::p256());
    let bench = Bench::new(&[old.public("old")], |_| {});
    let long = super::idp::with(bench.claims(), "exp", json!(bench.clock.seconds() + 100_000));
    let token = old.token(r#"{"alg":"ES256","kid":"old"}"#, &long.to_string());
    let holder = bench.bearer(&token).await.unwrap();
    assert_eq!(bench.authenticator.due(&holder).map(|due| due.after), Some(REMEMBERED));
    bench.publish(&[new.public("new")]);
    bench.clock.pass(REFRESH);
    // Whoever comes first has the keys fetched, and does not wait for them.
    assert!(bench.bearer(&token).await.is_ok());
    settle().await;
    assert!(bench.review(&holder).await.is_ok());
    bench.clock.pass(REMEMBERED);
    // Nor does what the token opened.
    assert_eq!(bench.review(&holder).await.unwrap_err().kind, RejectionKind::Invalid);
    assert_eq!(bench.bearer(&token).await.unwrap_err().kind, RejectionKind::Invalid);
}

#[tokio::test]
async fn a_provider_that_is_down_is_not_missed_until_its_keys_are_old() {
    let (key, new) = (Key::p256(), Key::p256());
    let bench = Bench::new(&[key.public("a")], |_| {});
    assert!(bench.bearer(&token(&bench, &key, "a")).await.is_ok());
    let pages = std::mem::take(&mut *bench.idp.pages.lock());
    // What is known serves; what is not cannot be found out, which is no fault of the caller's.
    assert!(bench.bearer(&again(&bench, &key, "a")).await.is_ok());
    let kind = bench.bearer(&token(&bench, &new, "new")).await.unwrap_err().kind;
    assert_eq!(kind, RejectionKind::Unavailable);
    bench.clock.pass(REFRESH);
    assert!(bench.bearer(&again(&bench, &key, "a")).await.is_ok());
    settle().await;
    bench.clock.pass(LONGEST_AGE - REFRESH);
    let kind = bench.bearer(&again(&bench, &key, "a")).await.unwrap_err().kind;
    assert_eq!(kind, RejectionKind::Unavailable);
    *bench.idp.pages.lock() = pages;
    bench.clock.pass(Duration::from_secs(10));
    assert!(bench.bearer(&again(&bench, &key, "a")).await.is_ok());
}

#[tokio::test]
async fn a_provider_that_is_down_is_not_asked_by_every_caller() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    bench.idp.pages.lock().clear();
    for _ in 0..100 {
        let kind = bench.bearer(&token(&bench, &key, "a")).await.unwrap_err().kind;
        assert_eq!(kind, RejectionKind::Unavailable);
    }
    assert_eq!(bench.idp.asked.lock().len(), 1);
}

#[tokio::test]
async fn keys_are_fetched_again_before_they_are_old() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    assert!(bench.bearer(&token(&bench, &key, "a")).await.is_ok());
    bench.clock.pass(REFRESH);
    assert!(bench.bearer(&again(&bench, &key, "a")).await.is_ok());
    settle().await;
    assert_eq!(bench.asked("/keys"), 2);
    bench.clock.pass(LONGEST_AGE - Duration::from_secs(10));
    bench.idp.pages.lock().clear();
    assert!(bench.bearer(&again(&bench, &key, "a")).await.is_ok(), "the keys are those of the second time");
}

#[tokio::test]
async fn those_who_come_at_once_share_one_fetch() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    let tokens: Vec<String> = (0..20).map(|_| again(&bench, &key, "a")).collect();
    let (first, rest) = tokens.split_first().unwrap();
    let all = tokio::join!(
        bench.bearer(first),
        bench.bearer(&rest[0]),
        bench.bearer(&rest[1]),
        bench.bearer(&rest[2])
    );
    assert!(all.0.is_ok() && all.1.is_ok() && all.2.is_ok() && all.3.is_ok());
    assert_eq!(bench.asked("/keys"), 1);
}

#[tokio::test]
async fn names_of_keys_that_nobody_has_do_not_keep_weir_asking() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    for round in 0..50 {
        let name = format!("made up {round}");
        let kind = bench.bearer(&token(&bench, &key, &name)).await.unwrap_err().kind;
        assert_eq!(kind, RejectionKind::Invalid);
    }
    assert_eq!(bench.asked("/keys"), 1 + 4);
    // Later again, but not for a name that was looked for lately.
    bench.clock.pass(Duration::from_secs(10));
    assert!(bench.bearer(&token(&bench, &key, "made up 0")).await.is_err());
    assert_eq!(bench.asked("/keys"), 1 + 4);
    assert!(bench.bearer(&token(&bench, &key, "made up 99")).await.is_err());
    assert_eq!(bench.asked("/keys"), 1 + 5);
}

#[tokio::test]
async fn keys_without_a_name_change_too() {
    let (old, new) = (Key::p256(), Key::p256());
    let bench = Bench::new(&[nameless(&old)], |_| {});
    let token = |key: &Key| key.token(r#"{"alg":"ES256"}"#, &bench.claims().to_string());
    assert!(bench.bearer(&token(&old)).await.is_ok());
    bench.publish(&[nameless(&new)]);
    assert!(bench.bearer(&token(&new)).await.is_ok());
}

/// A key as an issuer publishes it that does not name its keys.
fn nameless(key: &Key) -> serde_json::Value {
    super::idp::without(key.public("x"), "kid")
}

/// A token of another moment that names no key.
fn unnamed(bench: &Bench, key: &Key) -> String {
    bench.clock.pass(Duration::from_secs(1));
    key.token(r#"{"alg":"ES256"}"#, &bench.claims().to_string())
}

#[tokio::test]
async fn an_issuer_may_have_many_keys_without_a_name() {
    let keys: Vec<Key> = (0..17).map(|_| Key::p256()).collect();
    let public: Vec<_> = keys.iter().map(nameless).collect();
    let bench = Bench::new(&public, |_| {});
    for (index, key) in keys.iter().enumerate() {
        assert_eq!(bench.bearer(&unnamed(&bench, key)).await.is_ok(), index < 16, "{index}");
    }
}

#[tokio::test]
async fn a_forged_token_without_a_keys_name_does_not_make_good_ones_bad() {
    let (old, new, newer, own) = (Key::p256(), Key::p256(), Key::p256(), Key::p256());
    let bench = Bench::new(&[nameless(&old)], |_| {});
    assert!(bench.bearer(&unnamed(&bench, &old)).await.is_ok());
    assert_eq!(bench.bearer(&unnamed(&bench, &own)).await.unwrap_err().kind, RejectionKind::Invalid);
    bench.publish(&[nameless(&new)]);
    assert!(bench.bearer(&unnamed(&bench, &new)).await.is_ok(), "the keys changed a moment after");
    // However many come, weir asks no oftener than it may, and nobody is told that a good token is bad.
    let asked = bench.asked("/keys");
    let forged = unnamed(&bench, &own);
    for _ in 0..3 {
        assert_eq!(bench.bearer(&forged).await.unwrap_err().kind, RejectionKind::Invalid);
    }
    assert_eq!(bench.asked("/keys"), asked + 1, "what was held against new keys is known");
    while bench.bearer(&unnamed(&bench, &own)).await.unwrap_err().kind == RejectionKind::Invalid {}
    bench.publish(&[nameless(&newer)]);
    let good = unnamed(&bench, &newer);
    assert_eq!(bench.bearer(&good).await.unwrap_err().kind, RejectionKind::Unavailable);
    bench.clock.pass(Duration::from_secs(10));
    assert!(bench.bearer(&good).await.is_ok());
}

#[tokio::test]
async fn metadata_must_be_the_issuers_own() {
    let key = Key::p256();
    let document = |issuer: &str, keys: &str| json!({"issuer": issuer, "jwks_uri": keys}).to_string();
    for (name, page, works) in [
        ("its own", (200, document(ISSUER, KEYS)), true),
        ("another's", (200, document("https://evil.example.com", KEYS)), false),
        ("with a slash more", (200, document(&format!("{ISSUER}/"), KEYS)), false),
        ("two issuers", (200, format!(r#"{{"issuer":"x",{}"#, &document(ISSUER, KEYS)[1..])), false),
        ("plain keys", (200, document(ISSUER, "http://idp.example.com/keys")), false),
        ("keys in a file", (200, document(ISSUER, "file:///etc/passwd")), false),
        ("keys with a password", (200, document(ISSUER, "https://u:p@idp.example.com/keys")), false),
        ("no keys", (200, json!({"issuer": ISSUER}).to_string()), false),
        ("a redirect", (302, String::new()), false),
        ("an error", (500, document(ISSUER, KEYS)), false),
        ("no JSON", (200, "<html>".to_owned()), false),
    ] {
        let bench = Bench::new(&[key.public("a")], |_| {});
        bench.page(METADATA, page.0, &page.1);
        let answer = bench.bearer(&token(&bench, &key, "a")).await;
        match answer {
            Ok(_) => assert!(works, "{name}"),
            Err(rejection) => {
                assert!(
                    !works && rejection.kind == RejectionKind::Unavailable,
                    "{name}: {}",
                    rejection.reason
                );
            }
        }
        let plain = |url: &&(String, String, Option<String>)| !url.0.starts_with("https://idp.example.com/");
        assert_eq!(bench.idp.asked.lock().iter().find(plain), None, "{name}");
    }
    // The second place counts where the first has nothing.
    let bench = Bench::new(&[key.public("a")], |_| {});
    bench.page(METADATA, 404, "");
    bench.page(OTHER_METADATA, 200, &document(ISSUER, KEYS));
    assert!(bench.bearer(&token(&bench, &key, "a")).await.is_ok());
}

#[tokio::test]
async fn a_bad_document_of_keys_does_not_replace_a_good_one() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    assert!(bench.bearer(&token(&bench, &key, "a")).await.is_ok());
    for page in [(200, "[]"), (200, r#"{"keys":[],"keys":[]}"#), (500, "{}"), (200, "")] {
        bench.page(KEYS, page.0, page.1);
        bench.clock.pass(Duration::from_secs(20));
        assert!(bench.bearer(&token(&bench, &key, "other")).await.is_err());
        assert!(bench.bearer(&again(&bench, &key, "a")).await.is_ok(), "{page:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn upkeep_fetches_before_anybody_comes_and_ends_with_the_authenticator() {
    let key = Key::p256();
    let bench = Bench::new(&[key.public("a")], |_| {});
    let upkeep = tokio::spawn(bench.authenticator.upkeep());
    settle().await;
    assert_eq!(bench.asked("/keys"), 1);
    drop(bench);
    assert!(upkeep.await.is_ok());
}
