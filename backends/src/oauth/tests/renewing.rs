//! Grants that are renewed, refused, or too small.

use super::*;
use crate::CredentialError;

pub(super) fn tokens(access: &str, refresh: Option<&str>, life: u64) -> Value {
    let mut all = json!({"access_token": access, "token_type": "Bearer", "expires_in": life});
    if let Some(refresh) = refresh {
        all["refresh_token"] = Value::from(refresh);
    }
    all
}

/// A connected user whose token is over at once, and what the token endpoint answers then.
async fn over(then: &[(u16, Value)]) -> (Arc<Network>, Arc<Connector>) {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", Some("r1"), 0));
    for (status, body) in then {
        network.put(TOKEN, *status, body);
    }
    let connector = connector(&network, weir_config::Oauth::default());
    connect(&connector, &ada()).await.unwrap();
    age(&connector).await;
    (network, connector)
}

/// The user's token is over.
pub(super) async fn age(connector: &Connector) {
    let holder = connector.holder(&ada());
    let grant = (*connector.grants.get(&holder).unwrap()).clone();
    connector.grants.put(holder, Grant { until: Some(grant.given), ..grant }).await.unwrap();
}

#[tokio::test]
async fn however_many_wait_a_grant_is_renewed_once() {
    let (network, connector) = over(&[(200, tokens("a2", Some("r2"), 3600))]).await;
    let closed = network.gate.write().await;
    let waiting = (0..50).map(|_| {
        let connector = connector.clone();
        tokio::spawn(async move { token(&connector, &ada()).await })
    });
    let waiting = waiting.collect::<Vec<_>>();
    while network.sent(TOKEN).len() < 2 {
        tokio::task::yield_now().await;
    }
    drop(closed);
    for call in waiting {
        assert_eq!(call.await.unwrap().unwrap().expose_secret(), "a2");
    }
    let sent = network.sent(TOKEN);
    assert_eq!(sent.len(), 2, "the code and one renewal");
    let renewal = form(&sent[1]);
    assert_eq!((&*renewal["grant_type"], &*renewal["refresh_token"]), ("refresh_token", "r1"));
    assert_eq!(renewal["resource"], SERVER);
}

#[tokio::test]
async fn the_end_waits_for_renewals_and_begins_none() {
    let (network, connector) = over(&[(200, tokens("a2", Some("r2"), 3600))]).await;
    let closed = network.gate.write().await;
    let call = {
        let connector = connector.clone();
        tokio::spawn(async move { token(&connector, &ada()).await })
    };
    while network.sent(TOKEN).len() < 2 {
        tokio::task::yield_now().await;
    }
    let renewals = connector.grants.renewals();
    let mut end = Box::pin(renewals.finish());
    assert!(futures_util::poll!(&mut end).is_pending());
    drop(closed);
    end.await;
    let kept = connector.grants.get(&connector.holder(&ada())).unwrap();
    assert_eq!(kept.access.expose_secret(), "a2");
    assert_eq!(call.await.unwrap().unwrap().expose_secret(), "a2");
    age(&connector).await;
    assert_eq!(token(&connector, &ada()).await.unwrap_err(), BackendError::Stopping);
    assert_eq!(network.sent(TOKEN).len(), 2);
}

#[tokio::test]
async fn a_rotated_refresh_token_takes_the_place_of_the_old_one() {
    let last = tokens("a3", None, 0);
    let (network, connector) = over(&[(200, tokens("a2", Some("r2"), 0)), (200, last)]).await;
    assert_eq!(token(&connector, &ada()).await.unwrap().expose_secret(), "a2");
    age(&connector).await;
    assert_eq!(token(&connector, &ada()).await.unwrap().expose_secret(), "a3");
    age(&connector).await;
    assert_eq!(token(&connector, &ada()).await.unwrap().expose_secret(), "a3");
    let used = network
        .sent(TOKEN)
        .iter()
        .skip(1)
        .map(|body| form(body)["refresh_token"].clone())
        .collect::<Vec<_>>();
    assert_eq!(used, ["r1", "r2", "r2"], "one that is not replaced is used again");
}

#[tokio::test]
async fn a_dead_refresh_token_leads_back_to_connecting() {
    let dead = json!({"error": "invalid_grant", "error_description": "hunter2"});
    let (network, connector) = over(&[(400, dead)]).await;
    for _ in 0..3 {
        assert_eq!(token(&connector, &ada()).await.unwrap_err(), BackendError::Unconnected);
    }
    assert_eq!(network.sent(TOKEN).len(), 2, "it is not used again");
}

#[tokio::test]
async fn a_server_that_is_down_costs_no_grant() {
    let down = (0, Value::Null);
    let (network, connector) = over(&[down, (200, tokens("a2", None, 3600))]).await;
    let error = token(&connector, &ada()).await.unwrap_err();
    assert!(error.to_string().contains("cannot be called now"), "{error}");
    // It is not asked again at once, and the grant is still there.
    assert_eq!(token(&connector, &ada()).await.unwrap_err(), error);
    assert_eq!(network.sent(TOKEN).len(), 2);
    connector.failed.invalidate_all();
    assert_eq!(token(&connector, &ada()).await.unwrap().expose_secret(), "a2");
}

#[tokio::test]
async fn a_token_that_is_refused_is_renewed_once() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", Some("r1"), 3600));
    network.put(TOKEN, 200, &tokens("a2", Some("r2"), 3600));
    let connector = connector(&network, weir_config::Oauth::default());
    connect(&connector, &ada()).await.unwrap();
    let own = connector.holder(&ada());
    let first = token(&connector, &ada()).await.unwrap();
    connector.refused(&own, &first, None).await.unwrap();
    let second = token(&connector, &ada()).await.unwrap();
    assert_eq!(second.expose_secret(), "a2");
    // Whoever comes late with the first one renews nothing.
    connector.refused(&own, &first, None).await.unwrap();
    assert_eq!(network.sent(TOKEN).len(), 2);
}

#[tokio::test]
async fn a_server_that_refuses_every_token_costs_no_grant() {
    let rejected = BackendError::Credential(CredentialError::Rejected);
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", Some("r1"), 3600));
    network.put(TOKEN, 200, &tokens("a2", Some("r2"), 3600));
    let connector = connector(&network, weir_config::Oauth::default());
    connect(&connector, &ada()).await.unwrap();
    let (own, moves) = (connector.holder(&ada()), *connector.moves().borrow());
    let first = token(&connector, &ada()).await.unwrap();
    connector.refused(&own, &first, None).await.unwrap();
    let second = token(&connector, &ada()).await.unwrap();
    assert_eq!(connector.distrust(&own, &first), rejected);
    assert!(connector.failed.get(&own).is_none(), "another token was refused");
    assert_eq!(connector.distrust(&own, &second), rejected);
    // The next call renews nothing, and nobody is sent away.
    assert_eq!(connector.refused(&own, &second, None).await.unwrap_err(), rejected);
    assert_eq!(network.sent(TOKEN).len(), 2);
    assert!(connector.is_connected(&ada()));
    assert_eq!(*connector.moves().borrow(), moves, "no list is asked for because of it");
}

#[tokio::test]
async fn a_token_that_nothing_renews_stays_until_its_user_connects_anew() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", None, 3600));
    let connector = connector(&network, weir_config::Oauth::default());
    connect(&connector, &ada()).await.unwrap();
    let own = connector.holder(&ada());
    let first = token(&connector, &ada()).await.unwrap();
    // Just given, so another would be refused as well.
    let error = connector.refused(&own, &first, None).await.unwrap_err();
    assert_eq!(error, BackendError::Credential(CredentialError::Rejected));
    let old = Grant { given: 0, ..(*connector.grants.get(&own).unwrap()).clone() };
    connector.grants.put(own.clone(), old).await.unwrap();
    assert_eq!(connector.refused(&own, &first, None).await.unwrap_err(), BackendError::Unconnected);
    assert!(connector.is_connected(&ada()));
}

#[tokio::test]
async fn a_renewal_does_not_bring_back_what_was_disconnected() {
    let (network, connector) = over(&[(200, tokens("a2", Some("r2"), 3600))]).await;
    let closed = network.gate.write().await;
    let waiting = {
        let connector = connector.clone();
        tokio::spawn(async move { token(&connector, &ada()).await })
    };
    while network.sent(TOKEN).len() < 2 {
        tokio::task::yield_now().await;
    }
    let leaving = {
        let connector = connector.clone();
        tokio::spawn(async move { connector.disconnect(&ada()).await })
    };
    while connector.is_connected(&ada()) {
        tokio::task::yield_now().await;
    }
    drop(closed);
    assert_eq!(waiting.await.unwrap().unwrap_err(), BackendError::Unconnected);
    leaving.await.unwrap().unwrap();
    assert!(!connector.is_connected(&ada()));
    let revoked = network.sent("https://as.example/revoke");
    assert!(
        revoked.iter().any(|body| form(body)["token"] == "r2"),
        "what came too late is revoked: {revoked:?}"
    );
}

#[tokio::test]
async fn tokens_that_are_over_at_once_are_not_renewed_for_each_call() {
    for life in [0, 1] {
        let network = network(json!({}));
        network.put(TOKEN, 200, &tokens("a1", Some("r1"), life));
        let connector = connector(&network, weir_config::Oauth::default());
        connect(&connector, &ada()).await.unwrap();
        for _ in 0..10 {
            token(&connector, &ada()).await.unwrap();
        }
        assert_eq!(network.sent(TOKEN).len(), 1, "a life of {life} s");
    }
}

#[tokio::test]
async fn a_server_that_takes_each_token_once_does_not_make_weir_renew_for_each_call() {
    let network = network(json!({}));
    for number in 0..20 {
        network.put(TOKEN, 200, &tokens(&format!("a{number}"), Some("r"), 0));
    }
    let connector = connector(&network, weir_config::Oauth::default());
    connect(&connector, &ada()).await.unwrap();
    let own = connector.holder(&ada());
    let mut refused = 0;
    for _ in 0..10 {
        let shown = token(&connector, &ada()).await.unwrap();
        refused += u32::from(connector.refused(&own, &shown, None).await.is_err());
    }
    assert_eq!((network.sent(TOKEN).len(), refused), (2, 9), "the code, and one renewal");
    assert!(connector.is_connected(&ada()));
}

#[tokio::test]
async fn only_so_many_grants_are_renewed_at_once() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", Some("r1"), 3600));
    let connector = connector(&network, weir_config::Oauth::default());
    connect(&connector, &ada()).await.unwrap();
    age(&connector).await;
    let over = (*connector.grants.get(&connector.holder(&ada())).unwrap()).clone();
    let users = (0..3 * RENEWALS).map(|number| Principal::of("https://idp.example", &format!("u{number}")));
    let users = users.collect::<Vec<_>>();
    for user in &users {
        connector.grants.put(connector.holder(user), over.clone()).await.unwrap();
    }
    let closed = network.gate.write().await;
    let mut calls = users.iter().map(|user| Box::pin(token(&connector, user))).collect::<Vec<_>>();
    for call in &mut calls {
        assert!(futures_util::poll!(call).is_pending());
    }
    while network.sent(TOKEN).len() < 1 + RENEWALS {
        tokio::task::yield_now().await;
    }
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert_eq!(network.sent(TOKEN).len(), 1 + RENEWALS);
    drop(closed);
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(network.sent(TOKEN).len(), 1 + 3 * RENEWALS);
}

#[tokio::test]
async fn what_was_renewed_while_its_user_left_is_revoked() {
    let (network, connector) = over(&[(200, tokens("a2", Some("r2"), 3600))]).await;
    token(&connector, &ada()).await.unwrap();
    connector.disconnect(&ada()).await.unwrap();
    let revoked = network.sent("https://as.example/revoke");
    assert_eq!(revoked.iter().map(|body| form(body)["token"].clone()).collect::<Vec<_>>(), ["r2"]);
}

#[tokio::test]
async fn more_is_asked_for_once() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", None, 3600));
    let connector = connector(&network, weir_config::Oauth::default());
    connect(&connector, &ada()).await.unwrap();
    let lacks = |scopes: &[&str]| {
        let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
        connector.lacks(&connector.holder(&ada()), &Challenge { scopes, ..Challenge::default() })
    };
    assert_eq!(lacks(&["write"]), BackendError::Unconnected);
    assert!(connector.is_connected(&ada()), "what was granted still serves other calls");
    assert_eq!(connector.outline(&ada()).await.unwrap().scopes, ["read", "write"]);
    connect(&connector, &ada()).await.unwrap();
    // What was asked for is not asked for again and again.
    assert!(matches!(lacks(&["write"]), BackendError::Credential(_)));
    assert!(matches!(lacks(&[]), BackendError::Credential(_)));
}

#[tokio::test]
async fn a_secret_that_the_operator_changes_costs_no_grant() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", Some("r1"), 0));
    network.put(TOKEN, 200, &tokens("a2", Some("r2"), 0));
    let grants: Arc<dyn Grants> = Arc::new(MemoryGrants::default());
    let with = |id: &str, secret: &str| {
        let secret = Some(weir_config::Secret::new(secret.to_owned()));
        let client = weir_config::OauthClient { issuer: ISSUER.to_owned(), id: id.to_owned(), secret };
        let spec = weir_config::Oauth { clients: vec![client], ..Default::default() };
        Connector::new("b", &http(SERVER), &spec, network.clone(), grants.clone(), Handle::current())
    };
    let old = with("mine", "old");
    connect(&old, &ada()).await.unwrap();
    let kept = grants.get(&old.holder(&ada())).unwrap();
    assert!(kept.client.secret.is_none(), "the operator's secret is not in the store");
    let new = with("mine", "new");
    age(&new).await;
    assert_eq!(token(&new, &ada()).await.unwrap().expose_secret(), "a2");
    let sent = network.sent(TOKEN);
    assert_eq!((&*form(&sent[0])["client_secret"], &*form(&sent[1])["client_secret"]), ("old", "new"));
    assert!(grants.get(&new.holder(&ada())).unwrap().client.secret.is_none());
    // Another client cannot renew it, but the first may come back.
    age(&new).await;
    assert_eq!(token(&with("other", "x"), &ada()).await.unwrap_err(), BackendError::Unconnected);
    assert_eq!(network.sent(TOKEN).len(), 2);
    assert!(new.is_connected(&ada()));
    new.disconnect(&ada()).await.unwrap();
    assert_eq!(form(&network.sent("https://as.example/revoke")[0])["client_secret"], "new");
}

#[tokio::test]
async fn what_is_wrong_with_the_client_costs_no_grant() {
    for error in ["invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope"] {
        let (network, connector) =
            over(&[(401, json!({"error": error})), (200, tokens("a2", None, 3600))]).await;
        for _ in 0..2 {
            token(&connector, &ada()).await.unwrap_err();
        }
        assert_eq!(network.sent(TOKEN).len(), 2, "it is not asked again at once");
        assert!(connector.is_connected(&ada()), "{error}");
        connector.failed.invalidate_all();
        assert_eq!(token(&connector, &ada()).await.unwrap().expose_secret(), "a2", "{error}");
    }
}

#[tokio::test]
async fn a_server_that_forgot_weir_is_asked_to_register_it_anew() {
    let refused = json!({"error": "invalid_client"});
    // At a renewal.
    let (network, connector) = over(&[(401, refused.clone()), (200, tokens("a2", None, 3600))]).await;
    assert_eq!(token(&connector, &ada()).await.unwrap_err(), BackendError::Unconnected);
    assert!(connector.is_connected(&ada()), "the grant stays");
    connect(&connector, &ada()).await.unwrap();
    assert_eq!(network.sent(REGISTER).len(), 2);
    assert_eq!(token(&connector, &ada()).await.unwrap().expose_secret(), "a2");
    // At the exchange of a code, and at the authorization endpoint.
    let network = super::network(json!({}));
    network.put(TOKEN, 401, &refused);
    network.put(TOKEN, 200, &tokens("a1", None, 3600));
    let connector = super::connector(&network, weir_config::Oauth::default());
    assert!(matches!(connect(&connector, &ada()).await.unwrap_err(), OauthError::Client(_)));
    let depart = async || {
        let outline = connector.outline(&ada()).await.unwrap();
        connector.plan(outline, &way()).await.unwrap().depart("st").unwrap().1
    };
    let departure = depart().await;
    assert_eq!(network.sent(REGISTER).len(), 2);
    let error = Answer { error: Some("unauthorized_client".to_owned()), ..Answer::default() };
    connector.arrive(&ada(), departure, error).await.unwrap_err();
    connect(&connector, &ada()).await.unwrap();
    assert_eq!(network.sent(REGISTER).len(), 3);
    // Where nobody ever comes back.
    for _ in 0..3 {
        depart().await;
    }
    assert_eq!(network.sent(REGISTER).len(), 3);
    depart().await;
    assert_eq!(network.sent(REGISTER).len(), 4);
}
