//! Addresses that weir must not be led to: by an operator's slip, by a provider's answer, or by a token.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALICE, ALL, RESOURCE, Stage, by, call, keys, wait_for_lists};
use crate::trap::Trap;
use serde_json::{Value, json};
use weir_tests::scripted::{Received, Reply};
use weir_tests::{Scripted, weir};

/// The header and claims of an unsigned token whose issuer is `https://idp.test` and whose audience is the resource.
const TOKEN: &str = concat!(
    "eyJhbGciOiJSUzI1NiIsImtpZCI6ImsiLCJ0eXAiOiJhdCtqd3QifQ.",
    "eyJpc3MiOiJodHRwczovL2lkcC50ZXN0IiwiYXVkIjoiaHR0cHM6Ly93ZWlyLnRlc3QvbWNwIiwic3ViIjoiYWxpY2UiLCJleHAiOjk5OTk5OTk5OTl9.",
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
);

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

#[test]
fn keys_are_not_fetched_from_within() {
    let trap = Trap::new();
    let mut endpoints = json!({});
    let urls = hosts(trap.port);
    let mut taken = Vec::new();
    for (place, url) in urls.iter().enumerate() {
        let endpoint = json!({
            "path": format!("/at{place}"), "conflicts": "priority",
            "auth": {"resource": RESOURCE, "api_keys": keys(), "issuers": [{"issuer": "https://idp.test", "jwks": url}]},
            "policies": {"inline": ALL},
        });
        // What weir refuses to be told is not even tried.
        let alone =
            json!({"backends": {"main": {"url": "http://127.0.0.1:1/mcp"}}, "endpoints": {"at": endpoint}});
        let directory = tempfile::tempdir().expect("a directory can be made");
        let file = weir::write_config(directory.path(), &alone.to_string());
        if weir::run(&["check", file.to_str().expect("a path")]).status.success() {
            endpoints[format!("at{place}")] = endpoint;
            taken.push((place, url));
        }
    }
    assert!(taken.len() > 15, "most are well written: {taken:?}");
    let stage = Stage::of(endpoints);
    let to = |place: usize| stage.weir.endpoint().at(&format!("/at{place}"));
    wait_for_lists(&to(taken[0].0), ALICE);
    let mut cases: Vec<Attack> = taken
        .iter()
        .map(|(place, url)| {
            attack(
                format!("keys at {url}"),
                &to(*place),
                by(TOKEN, call("open", json!({}))),
                Fate::Refused(503, None),
            )
        })
        .collect();
    cases.push(attack("a key", &to(taken[0].0), by(ALICE, call("open", json!({}))), Fate::Passes));
    run(&stage, &cases, 15);
    assert_eq!(trap.count(), 0, "weir connected to where it must not");
}

/// An issuer whose metadata and keys are `answer`'s.
fn issuer(answer: impl Fn(&Received, &mut Reply<'_>) + Send + Sync + 'static) -> Scripted {
    Scripted::start(answer)
}

fn redirect(reply: &mut Reply<'_>, status: u16, to: &str) {
    reply.raw(format!("HTTP/1.1 {status} X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"));
}

#[test]
fn providers_lead_nowhere_else() {
    let trap = Scripted::start(|_, reply| reply.json(r#"{"keys":[]}"#));
    let mut endpoints = json!({});
    let mut cases: Vec<(String, String, u16)> = Vec::new();
    let mut servers = Vec::new();
    let mut add = |name: String, server: Scripted, spec: Value, status: u16| {
        let path = format!("/at{}", servers.len());
        let mut spec = spec;
        spec["issuer"] = json!("https://idp.test");
        spec["private"] = json!(true);
        endpoints[format!("at{}", servers.len())] = json!({
            "path": path, "conflicts": "priority",
            "auth": {"resource": RESOURCE, "api_keys": keys(), "issuers": [spec]},
            "policies": {"inline": ALL},
        });
        cases.push((name, path, status));
        servers.push(server);
    };
    for status in [301, 302, 303, 307, 308] {
        let to = trap.url();
        let server = issuer(move |_, reply| redirect(reply, status, &to));
        let url = server.url();
        add(format!("keys behind a {status}"), server, json!({"jwks": url}), 503);
    }
    let bodies: [(&str, Vec<u8>); 5] = [
        ("keys that never end", vec![b' '; 4 << 20]),
        ("keys that are no JSON", b"<html>".to_vec()),
        ("a list of no keys", br#"{"keys":[]}"#.to_vec()),
        ("a shared secret", br#"{"keys":[{"kty":"oct","kid":"k","alg":"HS256","k":"AAAA"}]}"#.to_vec()),
        (
            "a key of 512 bits",
            br#"{"keys":[{"kty":"RSA","kid":"k","alg":"RS256","e":"AQAB","n":"AQAB"}]}"#.to_vec(),
        ),
    ];
    for (name, body) in bodies {
        let server = issuer(move |_, reply| reply.json(&body));
        let url = server.url();
        add(name.to_owned(), server, json!({"jwks": url}), 0);
    }
    let stage = Stage::of(endpoints);
    let to = |path: &str| stage.weir.endpoint().at(path);
    wait_for_lists(&to("/at0"), ALICE);
    let mut attacks: Vec<Attack> = cases
        .iter()
        .map(|(name, path, status)| {
            let fate = if *status == 0 { Fate::Failed } else { Fate::Refused(*status, None) };
            attack(name, &to(path), by(TOKEN, call("open", json!({}))), fate)
        })
        .collect();
    attacks.push(attack("a key", &to("/at0"), by(ALICE, call("open", json!({}))), Fate::Passes));
    run(&stage, &attacks, 10);
    assert!(trap.received().is_empty(), "weir went where it was sent: {:?}", trap.received());
    assert!(servers.iter().take(5).all(|server| !server.received().is_empty()), "the providers were asked");
}
