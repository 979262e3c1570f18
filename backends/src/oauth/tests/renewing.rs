//! Grants that are renewed, refused, or too small.

use super::*;
use crate::CredentialError;
use crate::oauth::grant::seconds;
use std::time::SystemTime;

fn tokens(access: &str, refresh: Option<&str>, life: u64) -> Value {
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
async fn age(connector: &Connector) {
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
async fn two_connectors_renew_a_grant_once() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", Some("r1"), 0));
    network.put(TOKEN, 200, &tokens("a2", Some("r2"), 3600));
    let grants: Arc<dyn Grants> = Arc::new(MemoryGrants::default());
    // As when a reload puts one in the place of the other, whose calls run on.
    let two = [(); 2].map(|()| lending(&network, &grants));
    connect(&two[0], &ada()).await.unwrap();
    age(&two[0]).await;
    let closed = network.gate.write().await;
    let waiting = two.clone().map(|connector| tokio::spawn(async move { token(&connector, &ada()).await }));
    while network.sent(TOKEN).len() < 2 {
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    drop(closed);
    for call in waiting {
        assert_eq!(call.await.unwrap().unwrap().expose_secret(), "a2");
    }
    assert_eq!(network.sent(TOKEN).len(), 2, "the code and one renewal");
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
async fn lists_are_asked_for_with_a_grant_that_is_good() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("good", None, 3600));
    let connector = connector(&network, weir_config::Oauth::default());
    let user = |name: &str| Principal::of("https://idp.example", name);
    connect(&connector, &user("z")).await.unwrap();
    let good = (*connector.grants.get(&connector.holder(&user("z"))).unwrap()).clone();
    for number in 0..9 {
        let elsewhere = Grant { url: "https://old.example/mcp".to_owned(), ..good.clone() };
        connector.grants.put(connector.holder(&user(&format!("a{number}"))), elsewhere).await.unwrap();
        let over = Grant { until: Some(0), refresh: Some("r".into()), ..good.clone() };
        connector.grants.put(connector.holder(&user(&format!("b{number}"))), over).await.unwrap();
        let holder = connector.holder(&user(&format!("c{number}")));
        connector.grants.put(holder.clone(), Grant { access: "bad".into(), ..good.clone() }).await.unwrap();
        connector.distrust(&holder, &"bad".into());
    }
    let (holder, token) = connector.any_token().await.unwrap();
    assert_eq!((&*holder.subject, token.expose_secret()), ("z", "good"));
    assert_eq!(network.sent(TOKEN).len(), 1, "nothing was renewed for it");
}

#[tokio::test]
async fn who_was_not_let_use_a_backend_lately_lends_nothing() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", Some("r1"), 3600));
    network.put(TOKEN, 200, &tokens("a2", Some("r2"), 3600));
    let spec = weir_config::Oauth { lists: weir_config::OauthLists::Granted, ..Default::default() };
    let connector = connector(&network, spec);
    connect(&connector, &ada()).await.unwrap();
    let own = connector.holder(&ada());
    let fresh = (*connector.grants.get(&own).unwrap()).clone();
    assert!(connector.any_token().await.is_some(), "the pages let them in");
    let long_ago = seconds(SystemTime::now()) - ABSENCE.as_secs();
    for seen in [0, long_ago] {
        let left = Grant { seen, until: Some(0), ..fresh.clone() };
        connector.grants.put(own.clone(), left).await.unwrap();
        assert!(connector.any_token().await.is_none(), "{seen}");
        assert_eq!(network.sent(TOKEN).len(), 1, "nor is anything renewed for it");
    }
    // A call that was allowed shows that they are still there; that is put down.
    let mut moves = connector.moves();
    moves.mark_unchanged();
    connector.see(&ada());
    assert!(moves.has_changed().unwrap(), "there is something to list with again");
    assert!(connector.any_token().await.is_some());
    assert!(connector.grants.get(&own).unwrap().seen > long_ago, "which the renewal puts down");
    moves.mark_unchanged();
    connector.see(&ada());
    assert!(!moves.has_changed().unwrap(), "that was known");
}

/// A connector over these grants that lists by them.
fn lending(network: &Arc<Network>, grants: &Arc<dyn Grants>) -> Arc<Connector> {
    let spec = weir_config::Oauth { lists: weir_config::OauthLists::Granted, ..Default::default() };
    Connector::new("b", &http(SERVER), &spec, network.clone(), grants.clone(), Handle::current())
}

#[tokio::test]
async fn who_was_seen_outlives_a_reload() {
    let network = network(json!({}));
    // Without an end, so never renewed.
    network.put(TOKEN, 200, &json!({"access_token": "a1", "token_type": "Bearer"}));
    let grants: Arc<dyn Grants> = Arc::new(MemoryGrants::default());
    let old = lending(&network, &grants);
    connect(&old, &ada()).await.unwrap();
    let own = old.holder(&ada());
    let long_ago = seconds(SystemTime::now()) - ABSENCE.as_secs() - 24 * 3600;
    let aged = Grant { seen: long_ago, ..(*grants.get(&own).unwrap()).clone() };
    grants.put(own.clone(), aged).await.unwrap();
    old.see(&ada());
    assert!(lending(&network, &grants).any_token().await.is_none(), "nothing was noted yet");
    old.note_seen().await;
    assert!(lending(&network, &grants).any_token().await.is_some());
    // A call each day is noted, too: what is known of the last one does not stand in the way.
    let two_days_ago = seconds(SystemTime::now()) - 2 * 24 * 3600;
    let aged = Grant { seen: two_days_ago, ..(*grants.get(&own).unwrap()).clone() };
    grants.put(own.clone(), aged).await.unwrap();
    old.seen.insert(own.clone(), two_days_ago);
    old.see(&ada());
    old.note_seen().await;
    assert!(grants.get(&own).unwrap().seen > two_days_ago);
}

#[tokio::test]
async fn renewals_do_not_show_that_somebody_is_still_there() {
    let network = network(json!({}));
    network.put(TOKEN, 200, &tokens("a1", Some("r1"), 3600));
    network.put(TOKEN, 200, &tokens("a2", Some("r2"), 3600));
    let grants: Arc<dyn Grants> = Arc::new(MemoryGrants::default());
    let connector = lending(&network, &grants);
    connect(&connector, &ada()).await.unwrap();
    let own = connector.holder(&ada());
    let last = seconds(SystemTime::now()) - ABSENCE.as_secs() + 3600;
    let aged = Grant { seen: last - 24 * 3600, until: Some(0), ..(*grants.get(&own).unwrap()).clone() };
    grants.put(own.clone(), aged).await.unwrap();
    connector.seen.insert(own.clone(), last);
    assert_eq!(connector.any_token().await.unwrap().1.expose_secret(), "a2", "it is renewed");
    assert_eq!(grants.get(&own).unwrap().seen, last);
    // An hour later.
    connector.seen.insert(own.clone(), last - 3600);
    let aged = Grant { seen: last - 3600, ..(*grants.get(&own).unwrap()).clone() };
    grants.put(own, aged).await.unwrap();
    assert!(connector.any_token().await.is_none());
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
