//! URLs that lead where weir's secrets must not go.

use crate::secret;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use weir_tests::{Scripted, Weir, wait, weir};

/// A port at which connections are counted.
fn inner() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be bound");
    let port = listener.local_addr().expect("an address").port();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    std::thread::spawn(move || {
        for _stream in listener.incoming().flatten() {
            counted.fetch_add(1, Ordering::SeqCst);
        }
    });
    (port, count)
}

/// weir over backends with these authorization servers. Nothing of them can be listed, so none is waited for.
fn over(servers: &[Value]) -> Weir {
    let backend = |server: &Value| {
        let mut server = server.clone();
        server["client_id"] = json!("service");
        server["client_secret"] = json!(secret());
        json!({"url": "http://127.0.0.1:9/mcp", "auth": {"client_credentials": {"server": server}}})
    };
    let backends = servers.iter().enumerate();
    let backends: serde_json::Map<_, _> =
        backends.map(|(index, server)| (format!("b{index}-"), backend(server))).collect();
    let mut config = weir::config(Value::Object(backends), json!({"conflicts": "none"}));
    config["timeouts"]["start"] = json!("0s");
    Weir::serve(config)
}

/// Waits until every backend has been told why there is no credential.
fn told(weir: &Weir, count: usize, why: &str) {
    wait::until_true(why, || {
        let log = weir.log();
        (0..count).all(|index| {
            let backend = format!("b{index}-");
            log.lines().any(|line| {
                line.contains(&backend) && line.contains("no credential could be had") && line.contains(why)
            })
        })
    });
    assert!(!weir.log().contains(&secret()), "{}", weir.log());
}

#[test]
fn no_spelling_of_a_private_address_gets_a_secret() {
    let (port, count) = inner();
    let hosts = [
        "127.0.0.1",
        "127.0.0.1.",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "localhost",
        "LocalHost",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "[::ffff:127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "10.0.0.1",
        "192.168.0.1",
        "172.16.0.1",
        "100.64.0.1",
        "169.254.169.254",
        "0xa9fea9fe",
        "[fd00:ec2::254]",
        "[fe80::1]",
        "[fc00::1]",
        "224.0.0.1",
        "255.255.255.255",
    ];
    let by_url = hosts.map(|host| json!({"token_url": format!("https://{host}:{port}/token")}));
    let by_issuer = hosts.map(|host| json!({"issuer": format!("https://{host}:{port}")}));
    let direct = over(&by_url);
    told(&direct, by_url.len(), "weir does not send secrets to");
    let looked_up = over(&by_issuer);
    told(&looked_up, by_issuer.len(), "its address is not allowed");
    assert_eq!(count.load(Ordering::SeqCst), 0, "nobody was connected to");
}

#[test]
fn metadata_leads_to_no_place_inside() {
    // Somebody whose word is taken names endpoints that are not theirs.
    let named = [
        "http://169.254.169.254/latest/meta-data/iam/security-credentials/role",
        "http://[fd00:ec2::254]/latest",
        "http://0.0.0.0:1/",
        "ftp://127.0.0.1/",
        "http://user:password@127.0.0.1:1/token",
    ];
    let servers = named.map(|place| {
        Scripted::start(move |request, reply| {
            let issuer = format!("http://{}", request.header("host").unwrap_or_default());
            reply.json(json!({"issuer": issuer, "token_endpoint": place}).to_string());
        })
    });
    let origins = servers.each_ref().map(|server| server.url().trim_end_matches("/mcp").to_owned());
    let weir = over(&origins.each_ref().map(|issuer| json!({"issuer": issuer, "private": true})));
    told(&weir, named.len(), "its authorization server");
    for server in &servers {
        assert!(server.received().iter().all(|request| request.method == "GET"), "{:?}", server.received());
    }
}

#[test]
fn a_secret_follows_no_redirect() {
    let (port, count) = inner();
    let statuses = [301, 302, 303, 307, 308];
    let servers = statuses.map(|status| {
        Scripted::start(move |_, reply| {
            reply.raw(format!(
                "HTTP/1.1 {status} X\r\nlocation: http://127.0.0.1:{port}/token\r\ncontent-length: 0\r\n\r\n"
            ));
        })
    });
    let urls = servers.each_ref().map(|server| json!({"token_url": server.url(), "private": true}));
    let weir = over(&urls);
    told(&weir, urls.len(), "answered with a redirect, which is not followed");
    assert_eq!(count.load(Ordering::SeqCst), 0);
}

#[test]
fn answers_that_are_none_are_told_of_without_their_words() {
    let large = format!(r#"{{"access_token":"{}"}}"#, "x".repeat(2 << 20));
    let answers = [
        (200, "text/html".to_owned(), "<html>s3cret</html>".to_owned()),
        (200, "application/json".to_owned(), r#"{"access_token":"s3cret","token_type":"mac"}"#.to_owned()),
        (
            200,
            "application/json".to_owned(),
            r#"{"access_token":"s3cret\r\nx: y","token_type":"Bearer"}"#.to_owned(),
        ),
        (200, "application/json".to_owned(), large),
        (500, "application/json".to_owned(), r#"{"access_token":"s3cret"}"#.to_owned()),
        (201, "application/json".to_owned(), r#"{"access_token":"s3cret","token_type":"Bearer"}"#.to_owned()),
    ];
    let servers = answers
        .clone()
        .map(|(status, media, body)| Scripted::start(move |_, reply| reply.body(status, &media, &body)));
    let urls = servers.each_ref().map(|server| json!({"token_url": server.url(), "private": true}));
    let weir = over(&urls);
    told(&weir, urls.len(), "its authorization server");
    assert!(!weir.log().contains("s3cret"), "{}", weir.log());
}
