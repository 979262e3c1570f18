//! Addresses that weir must not be led to: by an operator's slip, by a provider's answer, or by a token.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALICE, ALL, RESOURCE, Stage, by, call, keys, plain, wait_for_lists};
use crate::trap::Trap;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use weir_tests::{Request, Scripted, weir};

/// A call with a token of an issuer, with a signature that nobody made.
fn open(issuer: &str) -> Request {
    let header = json!({"alg": "RS256", "kid": "k", "typ": "at+jwt"});
    let claims = json!({"iss": issuer, "aud": RESOURCE, "sub": "alice", "exp": 9_999_999_999_u64});
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    by(&format!("{header}.{claims}.{}", "A".repeat(342)), call("open", json!({})))
}

fn name(place: usize) -> String {
    format!("https://idp{place}.test")
}

/// Spellings of addresses of this machine and its surroundings.
fn hosts(port: u16) -> Vec<String> {
    let hosts = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.0.0.1",
        "0177.0.0.1",
        "017700000001",
        "127.0.0.1.",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "0.0.0.0",
        "0",
        "[::1]",
        "[::]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
        "127.255.255.254",
        "%31%32%37.0.0.1",
        "\u{2460}\u{2461}\u{2466}.0.0.1",
        "\u{ff11}\u{ff12}\u{ff17}.0.0.1",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00::1]",
        "10.0.0.1",
        "172.16.0.1",
        "192.168.0.1",
        "100.64.0.1",
        "224.0.0.1",
        "255.255.255.255",
    ];
    hosts.into_iter().map(|host| format!("https://{host}:{port}/jwks")).collect()
}

/// Which of these addresses of keys weir does not even let an operator write.
fn refused(urls: &[String]) -> Vec<usize> {
    let issuer = |(at, url): (usize, &String)| json!({"issuer": name(at), "jwks": url}).to_string();
    let issuers: Vec<String> = urls.iter().enumerate().map(issuer).collect();
    // Issuer 0 stands in the second line.
    let auth = format!("{{\"resource\":\"{RESOURCE}\",\"issuers\":[\n{}\n]}}", issuers.join(",\n"));
    let endpoints = format!("{{\"main\":{{\"path\":\"/mcp\",\"auth\":{auth}}}}}");
    let text = format!("{{\"backends\":{{\"main\":{{\"command\":\"true\"}}}},\"endpoints\":{endpoints}}}");
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = weir::write_config(directory.path(), &text);
    let file = file.to_str().expect("a path");
    let told = weir::run(&["check", file]);
    let told = told.stdout + &told.stderr;
    let line = |text: &str| text.strip_prefix(&format!("{file}:"))?.split(':').next()?.parse().ok();
    told.lines().filter_map(line).filter(|line| *line > 1).map(|line: usize| line - 2).collect()
}

fn stage(issuers: Vec<Value>) -> Stage {
    let stage = Stage::new(plain(json!({
        "auth": {"resource": RESOURCE, "api_keys": keys(), "issuers": issuers},
        "policies": {"inline": ALL},
    })));
    wait_for_lists(&stage.weir.endpoint(), ALICE);
    stage
}

#[test]
fn keys_are_not_fetched_from_within() {
    let trap = Trap::new();
    let urls = hosts(trap.port);
    let refused = refused(&urls);
    let taken = || urls.iter().enumerate().filter(|(at, _)| !refused.contains(at));
    let stage = stage(taken().map(|(at, url)| json!({"issuer": name(at), "jwks": url})).collect());
    let to = stage.weir.endpoint();
    let unavailable = |(at, url): (usize, &String)| {
        attack(format!("keys at {url}"), &to, open(&name(at)), Fate::Refused(503, None))
    };
    let mut cases: Vec<Attack> = taken().map(unavailable).collect();
    cases.push(attack("a key", &to, by(ALICE, call("open", json!({}))), Fate::Passes));
    run(&stage, &cases, 15);
    assert_eq!(trap.count(), 0, "weir connected to where it must not");
}

/// A server that answers everything with a redirect.
fn redirecting(status: u16, to: String) -> Scripted {
    Scripted::start(move |_, reply| {
        reply.raw(format!("HTTP/1.1 {status} X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"));
    })
}

/// What providers answer that want weir to go on elsewhere, or to take what is no key, and what becomes of a token.
fn answers(trap: &str) -> Vec<(String, Scripted, Fate)> {
    let unavailable = || Fate::Refused(503, None);
    let mut servers: Vec<(String, Scripted, Fate)> = [301, 302, 303, 307, 308]
        .map(|status| {
            (format!("keys behind a {status}"), redirecting(status, trap.to_owned()), unavailable())
        })
        .into();
    let bodies: [(&str, Vec<u8>); 5] = [
        ("keys that never end", vec![b' '; 4 << 20]),
        ("keys that are no JSON", b"<html>".to_vec()),
        ("a list of no keys", br#"{"keys":[]}"#.to_vec()),
        ("a shared secret", br#"{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"AAAA"}]}"#.to_vec()),
        (
            "a key of 24 bits",
            br#"{"keys":[{"kty":"RSA","kid":"k","alg":"RS256","e":"AQAB","n":"AQAB"}]}"#.to_vec(),
        ),
    ];
    servers.extend(bodies.into_iter().map(|(name, body)| {
        (name.to_owned(), Scripted::start(move |_, reply| reply.json(&body)), Fate::Failed)
    }));
    servers
}

#[test]
fn providers_lead_nowhere_else() {
    let trap = Scripted::start(|_, reply| reply.json(r#"{"keys":[]}"#));
    let servers = answers(&trap.url());
    // Where keys are is told, or looked up in what the provider says of itself.
    let told = |(at, (_, server, _)): (usize, &(String, Scripted, Fate))| json!({"issuer": name(at), "jwks": server.url(), "private": true});
    let mut issuers: Vec<Value> = servers.iter().enumerate().map(told).collect();
    let elsewhere = json!({"issuer": "https://evil.test", "jwks_uri": trap.url()}).to_string();
    let leading = [redirecting(302, trap.url()), Scripted::start(move |_, reply| reply.json(&elsewhere))];
    let lost = leading.each_ref().map(|server| server.url().trim_end_matches("/mcp").to_owned());
    issuers.extend(lost.iter().map(|issuer| json!({"issuer": issuer, "private": true})));
    let stage = stage(issuers);
    let to = stage.weir.endpoint();
    let mut cases: Vec<Attack> = servers
        .iter()
        .enumerate()
        .map(|(at, (what, _, fate))| attack(what, &to, open(&name(at)), fate.clone()))
        .collect();
    cases.extend(lost.iter().zip(["a redirect", "another name"]).map(|(issuer, what)| {
        attack(format!("metadata with {what}"), &to, open(issuer), Fate::Refused(503, None))
    }));
    cases.push(attack("a key", &to, by(ALICE, call("open", json!({}))), Fate::Passes));
    run(&stage, &cases, 12);
    assert!(trap.received().is_empty(), "weir went where it was sent: {:?}", trap.received());
    assert!(servers.iter().all(|(_, server, _)| !server.received().is_empty()), "the providers were asked");
}
