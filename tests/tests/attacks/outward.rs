//! Authorization servers of backends that lead weir astray, and callers who would use what is not theirs.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALICE, ALL, RESOURCE, Stage, by, call, keys, request};
use crate::trap::Trap;
use serde_json::{Value, json};
use weir_tests::scripted::{Received, Reply};
use weir_tests::{Provider, Scripted, wait};

const WEIRS_SECRET: &str = "client-secret-of-weir";
const LISTING: &str = "token-for-lists-alone";
const EXCHANGED: &str = "token-for-the-backend";

/// Answers a request for a token.
type Answer = Box<dyn Fn(&Received, &mut Reply<'_>) + Send + Sync>;

fn json_of(status: u16, body: Value) -> Answer {
    Box::new(move |_, reply| reply.body(status, "application/json", body.to_string()))
}

fn redirect(status: u16, to: String) -> Answer {
    Box::new(move |_, reply| {
        reply.raw(format!("HTTP/1.1 {status} X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n"));
    })
}

/// Answers that no token is to be taken from.
fn answers(trap: &str) -> Vec<(&'static str, Answer)> {
    let token = |token: Value| json!({"access_token": token, "token_type": "Bearer", "expires_in": 600, "issued_token_type": "urn:ietf:params:oauth:token-type:access_token"});
    let told =
        json!({"error": "invalid_request", "error_description": format!("x\r\nFORGED {WEIRS_SECRET}")});
    vec![
        ("a redirect, 302", redirect(302, trap.to_owned())),
        ("a redirect, 307", redirect(307, trap.to_owned())),
        ("a redirect, 308", redirect(308, trap.to_owned())),
        ("a token that is no text", json_of(200, token(json!({"x": 1})))),
        ("an empty token", json_of(200, token(json!("")))),
        ("a token with a line end", json_of(200, token(json!("x\r\nx-injected: 1")))),
        ("a token with a NUL", json_of(200, token(json!("x\u{0}y")))),
        ("a token with letters beyond ASCII", json_of(200, token(json!("x\u{e9}")))),
        ("a token of 2 MB", json_of(200, token(json!("x".repeat(2 << 20))))),
        ("no token", json_of(200, json!({"token_type": "Bearer"}))),
        ("another type of token", json_of(200, json!({"access_token": "x", "token_type": "mac"}))),
        ("a page", Box::new(|_, reply| reply.body(200, "text/html", "<html>"))),
        ("a refusal", json_of(400, told)),
        ("a failure", json_of(500, json!({}))),
        ("nothing", Box::new(|_, reply| reply.close())),
    ]
}

#[test]
fn no_token_is_taken_from_whoever_gives_none() {
    let provider = Provider::start();
    let trap = Scripted::start(|_, reply| {
        reply.json(json!({"access_token": "from the trap", "token_type": "Bearer"}).to_string());
    });
    let good = json_of(
        200,
        json!({
            "access_token": EXCHANGED, "token_type": "Bearer", "expires_in": 600,
            "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        }),
    );
    let mut servers: Vec<(String, Scripted)> = vec![("good".to_owned(), Scripted::start(good))];
    servers.extend(
        answers(&trap.url()).into_iter().map(|(name, answer)| (name.to_owned(), Scripted::start(answer))),
    );
    let exchange = |url: String, private: bool| {
        let server =
            json!({"token_url": url, "client_id": "weir", "client_secret": WEIRS_SECRET, "private": private});
        json!({"token_exchange": {"server": server, "listing": {"bearer": LISTING}}})
    };
    let mut auths: Vec<(String, Value)> =
        servers.iter().map(|(name, server)| (name.clone(), exchange(server.url(), true))).collect();
    let within = Trap::new();
    for host in ["127.0.0.1", "localhost", "[::1]", "127.1", "0.0.0.0"] {
        auths.push((
            format!("within, at {host}"),
            exchange(format!("https://{host}:{}/token", within.port), false),
        ));
    }
    let values: Vec<Value> = auths.iter().map(|(_, auth)| auth.clone()).collect();
    let stage = Stage::authorized(
        json!({
            "auth": {"resource": RESOURCE, "issuers": [{"issuer": provider.issuer(), "private": true}], "api_keys": keys()},
            "policies": {"inline": ALL},
        }),
        &values,
    );
    let (to, token) = (stage.weir.endpoint(), provider.token("alice", RESOURCE));
    wait::until_true("all lists are there", || {
        let listed = by(&token, request("tools/list", json!({}))).send(&to).text();
        (0..auths.len()).all(|place| listed.contains(&format!("at{place}_open\"")))
    });
    let open = |place: usize| call(&format!("at{place}_open"), json!({}));
    let mut cases: Vec<Attack> = vec![attack("a good server", &to, by(&token, open(0)), Fate::Passes)];
    for (place, (name, _)) in auths.iter().enumerate().skip(1) {
        cases.push(attack(name, &to, by(&token, open(place)), Fate::Failed));
    }
    cases.push(attack("a caller without a token", &to, by(ALICE, open(0)), Fate::Failed));
    run(&stage, &cases, 20);
    assert!(trap.received().is_empty(), "weir went where it was sent: {:?}", trap.received());
    assert_eq!(within.count(), 0, "weir connected to where it must not");

    let tail = &token[token.len() - 60..];
    for received in stage.received() {
        let text = format!("{:?} {}", received.headers, received.text());
        for secret in [tail, WEIRS_SECRET, ALICE] {
            assert!(!text.contains(secret), "{secret} went to a backend");
        }
        // What lists are fetched with is good for no caller's call.
        let bearer = received.header("authorization").unwrap_or_default();
        let own = if received.rpc_method() == "tools/call" { EXCHANGED } else { LISTING };
        assert_eq!(bearer, format!("Bearer {own}"), "{}", received.rpc_method());
    }
    let log = stage.weir.log();
    for secret in [tail, WEIRS_SECRET, EXCHANGED, LISTING, "from the trap"] {
        assert!(!log.contains(secret), "{secret} stands in the log: {log}");
    }
    assert!(!log.lines().any(|line| line.starts_with("FORGED")), "{log}");
}
