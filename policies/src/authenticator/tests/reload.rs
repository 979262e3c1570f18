//! What goes on over reloads, and what does not.

use super::idp::{Bench, ISSUER, Idp, Key};
use crate::{Authenticator, Evidence, Fetch, Principal, RejectionKind};
use std::sync::Arc;
use weir_config::{Algorithm, Auth};

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
