//! Before anybody is asked: names that weir does not answer to, pages that may not call, and metadata that is not to be led
//! astray.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALICE, ALL, RESOURCE, Stage, by, call, keys, plain, wait_for_lists};
use serde_json::json;
use weir_tests::{Endpoint, Provider, Request};

const METADATA: &str = "/.well-known/oauth-protected-resource";

fn open() -> Request {
    by(ALICE, call("open", json!({})))
}

/// Names in `Host` that are not weir's (DNS rebinding), and pages that are not the operator's.
fn rebinding(to: &Endpoint) -> Vec<Attack> {
    let mut cases = Vec::new();
    let hosts = [
        "evil.test",
        "evil.test:80",
        "weir.test",
        "127.0.0.1.evil.test",
        "localhost.evil.test",
        "evil.test#127.0.0.1",
        "127.0.0.1@evil.test",
        "evil.test, 127.0.0.1",
        "127.0.0.1 evil.test",
        "",
        "0.0.0.0",
        "169.254.169.254",
        "[::]",
        "localhost\u{0}.evil.test",
        "2130706434",
    ];
    for host in hosts {
        cases.push(attack(format!("Host {host:?}"), to, open().header("host", host), Fate::Failed));
    }
    let twice = open().header("host", "127.0.0.1").header("host", "evil.test");
    cases.push(attack("two of Host", to, twice, Fate::Failed));
    let absolute = to.at("http://evil.test/mcp");
    cases.push(attack(
        "a request line with another host",
        &absolute,
        open().header("host", "127.0.0.1"),
        Fate::Failed,
    ));
    let origins = [
        "http://evil.test",
        "https://evil.test",
        "null",
        "http://127.0.0.1.evil.test",
        "http://localhost.evil.test",
        "http://localhost@evil.test",
        "http://evil.test:80",
        "https://evil.test#localhost",
        "file://",
        "https://weir.test",
        "http://evil.test http://localhost",
        "localhost",
        "http:localhost",
        "http://localhost:80.evil.test",
        "",
        "chrome-extension://abcdefghijklmnop",
        "javascript://localhost",
    ];
    for origin in origins {
        cases.push(attack(
            format!("Origin {origin:?}"),
            to,
            open().header("origin", origin),
            Fate::Refused(403, None),
        ));
        let stream =
            by(ALICE, Request::new("GET").header("accept", "text/event-stream").header("origin", origin));
        cases.push(attack(format!("Origin {origin:?} on GET"), to, stream, Fate::Refused(403, None)));
    }
    let twice = open().header("origin", "http://localhost").header("origin", "http://evil.test");
    cases.push(attack("two of Origin", to, twice, Fate::Refused(403, None)));
    let simple = open().replace("content-type", Some("text/plain"));
    cases.push(attack("a form that needs no preflight", to, simple, Fate::Refused(415, None)));
    cases
}

/// Other ways to write the path, by nobody.
fn paths(to: &Endpoint) -> Vec<Attack> {
    let paths = [
        "/mcp",
        "/mcp/",
        "//mcp",
        "/MCP",
        "/./mcp",
        "/x/../mcp",
        "/mcp%2f",
        "/%6dcp",
        "/mcp;x",
        "/mcp?x",
        "/mcp#x",
        "/mcp/sse",
        "/mcp/message",
        "/mcp/messages",
        "/mcp/sse/../",
        "/.well-known/../mcp",
        "/.well-known/oauth-protected-resource/../mcp",
        "/.well-known/oauth-protected-resource/mcp",
        "*",
        "/mcp/.well-known/oauth-protected-resource",
    ];
    let open = || call("open", json!({}));
    paths
        .into_iter()
        .map(|path| attack(format!("the path {path}"), &to.at(path), open(), Fate::Failed))
        .collect()
}

/// Headers by which a proxy, or whoever pretends to be one, says where weir is.
const SAID: [(&str, &str); 10] = [
    ("x-forwarded-host", "evil.test"),
    ("x-forwarded-proto", "gopher"),
    ("x-forwarded-port", "666"),
    ("x-forwarded-prefix", "/evil"),
    ("x-forwarded-for", "10.0.0.1"),
    ("forwarded", "for=10.0.0.1;host=evil.test;proto=gopher"),
    ("x-original-host", "evil.test"),
    ("x-original-url", "/evil"),
    ("x-rewrite-url", "/evil"),
    ("x-host", "evil.test"),
];

#[test]
fn the_door_does_not_open_for_whoever_asks_in_another_name() {
    let provider = Provider::start();
    let issuer = provider.issuer().to_owned();
    let stage = Stage::new(plain(json!({
        "auth": {"resource": RESOURCE, "issuers": [{"issuer": issuer, "private": true}], "api_keys": keys()},
        "policies": {"inline": ALL},
    })));
    wait_for_lists(&stage.weir.endpoint(), ALICE);
    let to = stage.weir.endpoint();
    let mut cases = vec![
        attack("the owner", &to, open(), Fate::Passes),
        attack("a page of this machine", &to, open().header("origin", "http://localhost:8080"), Fate::Passes),
    ];
    cases.extend(rebinding(&to));
    cases.extend(paths(&to));
    for (name, value) in SAID {
        cases.push(attack(
            format!("nobody with {name}"),
            &to,
            call("open", json!({})).header(name, value),
            Fate::Challenged,
        ));
    }
    run(&stage, &cases, 70);

    // What clients are told to log in with is what the operator wrote, whatever a request says.
    let metadata = to.at(&format!("{METADATA}/mcp"));
    let bare = Request::new("GET").send(&metadata);
    assert_eq!(bare.status, 200, "{}", bare.text());
    assert_eq!(bare.json()["resource"], RESOURCE);
    assert_eq!(bare.json()["authorization_servers"], json!([issuer]));
    let challenge =
        call("open", json!({})).send(&to).header("www-authenticate").expect("a challenge").to_owned();
    assert!(
        challenge.contains(&format!("resource_metadata=\"https://weir.test{METADATA}/mcp\"")),
        "{challenge}"
    );
    for (name, value) in SAID.into_iter().chain([("host", "localhost")]) {
        let told = Request::new("GET").header(name, value).send(&metadata);
        assert_eq!((told.status, told.text()), (200, bare.text()), "{name}");
        let refused = call("open", json!({})).header(name, value).send(&to);
        assert_eq!(refused.header("www-authenticate"), Some(&*challenge), "{name}");
        assert!(!format!("{:?}", told.headers).contains("evil"), "{name}");
    }
    for path in ["/mcp2", "/evil", "/mcp/x", "/%6dcp", "//evil.test", "/mcp?resource=https://evil.test"] {
        let told = Request::new("GET").send(&to.at(&format!("{METADATA}{path}"))).text();
        assert!(!told.contains("evil"), "{path}: {told}");
    }
}
