//! With whose grant lists are asked for, and several connectors over the same grants.

use super::renewing::{age, tokens};
use super::*;
use crate::oauth::grant::seconds;

/// A connector over these grants that lists by them.
fn lending(network: &Arc<Network>, grants: &Arc<dyn Grants>) -> Arc<Connector> {
    let spec = weir_config::Oauth { lists: weir_config::OauthLists::Granted, ..Default::default() };
    Connector::new("b", &http(SERVER), &spec, network.clone(), grants.clone(), Handle::current())
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
