//! Grants that nothing needs any more.

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);
const REVOKE: &str = "https://as.example/revoke";

/// A connector at `url`, over the same grants.
fn at(network: &Arc<Network>, grants: &Arc<dyn Grants>, url: &str) -> Vec<Arc<Connector>> {
    let spec = weir_config::Oauth::default();
    vec![Connector::new("b", &http(url), &spec, network.clone(), grants.clone(), Handle::current())]
}

/// A network, a user who has connected there, and all grants.
async fn connected() -> (Arc<Network>, Arc<dyn Grants>) {
    let network = network(json!({}));
    let answer =
        json!({"access_token": "a1", "refresh_token": "r1", "token_type": "bearer", "expires_in": 3600});
    network.put(TOKEN, 200, &answer);
    let grants: Arc<dyn Grants> = Arc::new(MemoryGrants::default());
    connect(&at(&network, &grants, SERVER)[0], &ada()).await.unwrap();
    (network, grants)
}

#[tokio::test]
async fn what_no_backend_is_there_for_is_forgotten_and_revoked_after_thirty_days() {
    for elsewhere in [Some("https://elsewhere.example/mcp"), None] {
        let (network, grants) = connected().await;
        let now = SystemTime::now();
        let there = elsewhere.map(|url| at(&network, &grants, url)).unwrap_or_default();
        for day in [0, 1, 29] {
            purge(&*grants, &there, &*network, now + day * DAY).await;
            assert_eq!(grants.page(None).len(), 1, "day {day}");
        }
        assert!(network.sent(REVOKE).is_empty());
        purge(&*grants, &there, &*network, now + 30 * DAY).await;
        assert!(grants.page(None).is_empty());
        assert_eq!(form(&network.sent(REVOKE)[0])["token"], "r1");
    }
}

#[tokio::test]
async fn a_url_that_was_another_for_a_while_costs_no_grant() {
    let (network, grants) = connected().await;
    let now = SystemTime::now();
    let (here, there) =
        (at(&network, &grants, SERVER), at(&network, &grants, "https://elsewhere.example/mcp"));
    purge(&*grants, &there, &*network, now).await;
    purge(&*grants, &here, &*network, now + 29 * DAY).await;
    // The thirty days begin anew.
    purge(&*grants, &there, &*network, now + 31 * DAY).await;
    purge(&*grants, &there, &*network, now + 60 * DAY).await;
    assert!(here[0].is_connected(&ada()));
    for day in 60..200 {
        purge(&*grants, &here, &*network, now + day * DAY).await;
    }
    assert!(here[0].is_connected(&ada()), "what can be renewed is in use");
    assert!(network.sent(REVOKE).is_empty());
}

#[tokio::test]
async fn a_new_consent_takes_the_place_of_what_was_for_another_url() {
    let (network, grants) = connected().await;
    let old = (*grants.page(None)[0].1).clone();
    let stale = Grant { url: "https://elsewhere.example/mcp".to_owned(), refresh: Some("r0".into()), ..old };
    let here = at(&network, &grants, SERVER);
    grants.put(here[0].holder(&ada()), stale).await.unwrap();
    assert!(!here[0].is_connected(&ada()));
    for _ in 0..2 {
        connect(&here[0], &ada()).await.unwrap();
    }
    let revoked = network.sent(REVOKE).iter().map(|body| form(body)["token"].clone()).collect::<Vec<_>>();
    assert_eq!(revoked, ["r0"], "and nothing else is");
    assert_eq!(grants.page(None).len(), 1);
}

#[tokio::test]
async fn what_is_over_and_cannot_be_renewed_is_forgotten() {
    let (network, grants) = connected().await;
    let here = at(&network, &grants, SERVER);
    let old = (*grants.get(&here[0].holder(&ada())).unwrap()).clone();
    grants.put(here[0].holder(&ada()), Grant { refresh: None, ..old }).await.unwrap();
    let now = SystemTime::now();
    for day in [0, 1, 30] {
        purge(&*grants, &here, &*network, now + day * DAY).await;
        assert!(here[0].is_connected(&ada()), "over since less than thirty days");
    }
    purge(&*grants, &here, &*network, now + 31 * DAY).await;
    assert!(!here[0].is_connected(&ada()));
}

#[tokio::test]
async fn what_is_over_and_whose_client_is_gone_is_forgotten() {
    let (network, grants) = connected().await;
    let with = |id: &str| {
        let client = weir_config::OauthClient { issuer: ISSUER.to_owned(), id: id.to_owned(), secret: None };
        let spec = weir_config::Oauth { clients: vec![client], ..Default::default() };
        Connector::new("b", &http(SERVER), &spec, network.clone(), grants.clone(), Handle::current())
    };
    // The operator's own client, whose secret is never in the store.
    let mine = with("mine");
    let holder = mine.holder(&ada());
    let old = (*grants.get(&holder).unwrap()).clone();
    let client = Client { id: "mine".to_owned(), secret: None, ..old.client.clone() };
    grants.put(holder.clone(), Grant { client, ..old }).await.unwrap();
    assert!(grants.get(&holder).unwrap().client.lacks_secret());
    let now = SystemTime::now();
    let (there, gone) = ([mine], [with("other")]);
    for (day, connectors) in [(1, &there), (40, &there), (41, &gone), (70, &gone)] {
        purge(&*grants, connectors, &*network, now + day * DAY).await;
        assert!(grants.get(&holder).is_some(), "day {day}");
    }
    purge(&*grants, &gone, &*network, now + 72 * DAY).await;
    assert!(grants.get(&holder).is_none());
}
