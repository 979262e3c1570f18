//! Sessions of users who grant, and grant again.

use super::server::live_stream;
use super::*;
use crate::{Client, ClientMethod, Grant, Holder};
use std::time::{SystemTime, UNIX_EPOCH};
use weir_policies::Principal;

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn grant(url: &str, access: &str) -> Grant {
    let client = Client {
        issuer: "https://as.example".to_owned(),
        id: "c".to_owned(),
        secret: None,
        method: ClientMethod::None,
        redirect: String::new(),
        until: None,
    };
    Grant {
        url: url.to_owned(),
        resource: url.to_owned(),
        client,
        token_endpoint: "https://as.example/token".parse().unwrap(),
        revocation_endpoint: None,
        asked: Vec::new(),
        access: access.into(),
        refresh: None,
        given: 0,
        until: None,
        orphaned: None,
        // Just now, so that weir may use it for its own.
        seen: now(),
    }
}

/// A backend over `server` that users connect, and their grants for it.
fn connected(server: &Server, oauth: weir_config::Oauth) -> (Arc<dyn Backend>, Arc<dyn crate::Grants>) {
    let mut spec = weir_config::Backend::http("scripted", server.url.parse().unwrap());
    if let weir_config::Transport::Http(http) = &mut spec.transport {
        http.auth = weir_config::Credentials::Oauth(Box::new(oauth));
    }
    let grants = grants();
    (crate::connect_http(&spec, http_of(&spec), &grants, &Handle::current()).unwrap(), grants)
}

fn user(name: &str) -> Principal {
    Principal::of("https://idp.example", name)
}

async fn agree(grants: &Arc<dyn crate::Grants>, server: &Server, name: &str) {
    let holder = Holder::new(&user(name), "scripted");
    grants.put(holder, grant(server.url.as_str(), name)).await.unwrap();
}

#[tokio::test]
async fn a_session_is_not_taken_over_by_another_account() {
    let sessions = AtomicU64::new(0);
    let server = Server::start(move |request| legacy(request, &sessions)).await;
    let (backend, grants) = connected(&server, weir_config::Oauth::default());
    let anonymous = Principal::anonymous();
    let holder = Holder::new(&anonymous, "scripted");
    grants.put(holder.clone(), grant(&server.url, "one")).await.unwrap();
    // The first was opened to find out what the server is.
    for _ in 0..2 {
        assert!(call(&backend, CLIENT).await.unwrap().contains(r#""text":"s2""#));
    }
    backend.connector().unwrap().disconnect(&anonymous).await.unwrap();
    grants.put(holder, grant(&server.url, "two")).await.unwrap();
    assert!(call(&backend, CLIENT).await.unwrap().contains(r#""text":"s3""#), "it is another account's");
    server.until("DELETE", 1).await;
    assert_eq!(server.ended(), ["s2"]);
    assert!(call(&backend, CLIENT).await.unwrap().contains(r#""text":"s3""#));
}

/// Who is at the server by the token of a request.
fn shown(request: &Request) -> String {
    request.header("authorization").unwrap_or_default().trim_start_matches("Bearer ").to_owned()
}

#[tokio::test]
async fn what_weir_opened_with_a_grant_ends_with_it() {
    let sessions = AtomicU64::new(0);
    // A stream lasts as long as the client wants it.
    let feeds = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start(move |request| {
        if request.verb() != "GET" {
            return legacy(request, &sessions);
        }
        let (feed, receiver) = tokio::sync::mpsc::unbounded_channel();
        feeds.lock().push(feed);
        live_stream(receiver)
    })
    .await;
    let granted = weir_config::Oauth { lists: weir_config::OauthLists::Granted, ..Default::default() };
    let (backend, grants) = connected(&server, granted);
    let connector = backend.connector().unwrap();
    agree(&grants, &server, "ada").await;
    agree(&grants, &server, "bob").await;
    backend.inventory().await.unwrap();
    server.until("GET", 1).await;
    assert!(server.requests().iter().all(|request| ["ada", ""].contains(&&*shown(request))));
    // As long as nothing changes, nor does the lender, whoever else connects.
    agree(&grants, &server, "abe").await;
    backend.inventory().await.unwrap();
    assert_eq!(server.count("initialize"), 1);

    connector.disconnect(&user("ada")).await.unwrap();
    server.until("DELETE", 1).await;
    server.until("CLOSED", 1).await;
    backend.inventory().await.unwrap();
    server.until("GET", 2).await;
    assert_eq!(server.ended(), ["s1"]);
    let of = |session: &str| {
        let in_it = |request: &Request| request.header("mcp-session-id") == Some(session);
        let all = server.requests().into_iter().filter(in_it).map(|request| shown(&request));
        all.collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!((of("s1"), of("s2")), (vec!["ada".to_owned()], vec!["abe".to_owned()]));

    // With nobody's grant nothing stays open.
    connector.disconnect(&user("bob")).await.unwrap();
    connector.disconnect(&user("abe")).await.unwrap();
    server.until("CLOSED", 2).await;
    server.until("DELETE", 2).await;
}

#[tokio::test]
async fn a_modern_stream_that_weir_opened_with_a_grant_ends_with_it() {
    let feeds = Arc::new(Mutex::new(Vec::new()));
    let server = Server::start(move |request| {
        if request.method() != "subscriptions/listen" {
            return modern(request);
        }
        let (feed, receiver) = tokio::sync::mpsc::unbounded_channel();
        feeds.lock().push(feed);
        live_stream(receiver)
    })
    .await;
    let granted = weir_config::Oauth { lists: weir_config::OauthLists::Granted, ..Default::default() };
    let (backend, grants) = connected(&server, granted);
    agree(&grants, &server, "ada").await;
    agree(&grants, &server, "bob").await;
    backend.inventory().await.unwrap();
    server.until("subscriptions/listen", 1).await;
    backend.connector().unwrap().disconnect(&user("ada")).await.unwrap();
    server.until("CLOSED", 1).await;
    // What is closed counts as the request that it answered.
    server.until("subscriptions/listen", 3).await;
    let listens = server.requests().into_iter().filter(|request| request.is("subscriptions/listen"));
    assert_eq!(listens.map(|request| shown(&request)).collect::<Vec<_>>(), ["ada", "ada", "bob"]);
}
