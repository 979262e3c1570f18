//! What attackers say of themselves ends up in the log as text and nowhere else, and what they must not learn in neither.

use crate::attack::{Fate, attack, run};
use crate::stage::{
    ALICE, ALL, LATE, MALLORY, RESOURCE, Stage, by, call, keys, plain, request, wait_for_lists,
};
use serde_json::{Value, json};
use weir_tests::{Provider, Request};

/// What would begin a line of its own, colour a terminal, or turn its text around.
const NASTY: [&str; 7] = [
    "x\r\nFORGED level=ERROR",
    "x\nFORGED",
    "\u{1b}[31mFORGED\u{1b}[0m",
    "\u{1b}]0;FORGED\u{7}",
    "\u{202e}FORGED",
    "\u{2028}FORGED",
    "\u{85}FORGED\u{9b}31m",
];

#[test]
fn a_line_of_the_log_stays_a_line() {
    let provider = Provider::start();
    let stage = Stage::logging(plain(json!({
        "auth": {
            "resource": RESOURCE, "api_keys": keys(),
            "issuers": [{"issuer": provider.issuer(), "private": true, "clients": ["desktop"]}],
        },
        "policies": {"inline": format!("{ALL} forbid(principal, action, resource) when {{ resource.original == \"secret\" }};")},
    })));
    wait_for_lists(&stage.weir.endpoint(), ALICE);
    let to = stage.weir.endpoint();
    let mut cases = vec![attack("a good call", &to, by(ALICE, call("open", json!({}))), Fate::Passes)];
    for (place, text) in NASTY.into_iter().enumerate() {
        let case =
            |name: &str, request: Request, fate: Fate| attack(format!("{name}, {place}"), &to, request, fate);
        let claims = json!({
            "iss": provider.issuer(), "aud": RESOURCE, "sub": "alice", "client_id": "desktop", "iat": 1, "exp": 9_999_999_999_u64,
        });
        for claim in ["iss", "aud", "client_id", "azp", "exp", "nbf", "jti"] {
            let mut claims = claims.clone();
            claims[claim] = json!(text);
            if claim == "jti" {
                claims["exp"] = json!(1);
            }
            let token = provider.sign(json!({"claims": claims}));
            cases.push(case(
                &format!("the claim {claim}"),
                by(&token, call("open", json!({}))),
                Fate::Challenged,
            ));
        }
        // Who is let in by the issuer's own word is written too, when something is denied.
        let mut named = claims.clone();
        for claim in ["email", "groups", "name"] {
            named[claim] = json!(text);
        }
        let token = provider.sign(json!({"claims": named}));
        cases.push(case("a denied caller", by(&token, call("secret", json!({}))), Fate::Unknown));
        for header in [
            json!({"alg": "RS256", "kid": text}),
            json!({"alg": text, "kid": "$KID"}),
            json!({"alg": "RS256", "typ": text}),
        ] {
            let forged = json!({"header": header.to_string(), "claims": claims.to_string(), "alg": "RS256", "generation": -1});
            let token = provider.forge(forged);
            cases.push(case(
                &format!("a header {header}"),
                by(&token, call("open", json!({}))),
                Fate::Challenged,
            ));
        }
        let tool = request("tools/call", json!({"name": text}))
            .replace("mcp-name", Some(&crate::names::encoded(text)));
        cases.push(case("a tool", by(ALICE, tool), Fate::Failed));
        let uri = request("resources/read", json!({"uri": text}))
            .replace("mcp-name", Some(&crate::names::encoded(text)));
        cases.push(case("a resource", by(ALICE, uri), Fate::Failed));
        let prompt = request("prompts/get", json!({"name": text}))
            .replace("mcp-name", Some(&crate::names::encoded(text)));
        cases.push(case("a prompt", by(ALICE, prompt), Fate::Failed));
        let method = request(text, json!({})).replace("mcp-method", Some(&crate::names::encoded(text)));
        cases.push(case("a method", by(ALICE, method), Fate::Failed));
        let about = json!({"io.modelcontextprotocol/clientInfo": {"name": text, "version": text}});
        let introduced = request("tools/call", json!({"name": "secret", "_meta": about}));
        cases.push(case("the client's own name", by(ALICE, introduced), Fate::Failed));
        let state =
            request("tools/call", json!({"name": "open", "requestState": text, "inputResponses": {}}));
        cases.push(case("a state", by(ALICE, state), Fate::Failed));
        let cursor = request("tools/list", json!({"cursor": text}));
        cases.push(case("a cursor", by(ALICE, cursor), Fate::Failed));
        let flat: String = text.chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
        for header in
            ["user-agent", "x-request-id", "traceparent", "mcp-session-id", "last-event-id", "x-api-key"]
        {
            cases.push(case(header, call("open", json!({})).header(header, &flat), Fate::Failed));
        }
        cases.push(case(
            "the origin",
            by(ALICE, call("open", json!({}))).header("origin", &flat),
            Fate::Failed,
        ));
        cases.push(attack(
            format!("the path, {place}"),
            &to.at(&format!("/{}", flat.replace(' ', ""))),
            call("open", json!({})),
            Fate::Failed,
        ));
    }
    run(&stage, &cases, 150);
    let log = stage.weir.log();
    assert!(log.lines().count() > 50, "the log tells of it: {log}");
    for line in log.lines() {
        assert!(is_line(line), "not a line of weir's: {line:?}");
        let odd =
            line.chars().find(|letter| letter.is_control() || ('\u{202a}'..='\u{202e}').contains(letter));
        assert_eq!(odd, None, "in {line:?}");
    }
}

/// Whether a line begins as those of weir's log do: with the time.
fn is_line(line: &str) -> bool {
    let time: String = line.chars().take(11).collect();
    time.starts_with("20") && time.ends_with('T') && time.matches('-').count() == 2
}

#[test]
fn no_credential_goes_on_or_is_told() {
    let provider = Provider::start();
    let stage = Stage::logging(plain(json!({
        "auth": {
            "resource": RESOURCE, "api_keys": keys(),
            "issuers": [{"issuer": provider.issuer(), "private": true}],
        },
        "policies": {"inline": ALL},
    })));
    wait_for_lists(&stage.weir.endpoint(), ALICE);
    let to = stage.weir.endpoint();
    let token = provider.token("alice", RESOURCE);
    let tail = token[token.len() - 60..].to_owned();
    let carried: [(&str, &str); 9] = [
        ("cookie", "session=COOKIE-SECRET"),
        ("proxy-authorization", "Basic PROXY-SECRET"),
        ("x-forwarded-access-token", "FORWARDED-SECRET"),
        ("x-amzn-oidc-accesstoken", "AMAZON-SECRET"),
        ("x-auth-request-access-token", "REQUEST-SECRET"),
        ("x-custom", "CUSTOM-SECRET"),
        ("x-real-ip", "CALLER-SECRET"),
        ("mcp-session-id", "SESSION-SECRET"),
        ("last-event-id", "EVENT-SECRET"),
    ];
    for proof in [
        ("authorization", format!("Bearer {token}")),
        ("authorization", format!("Bearer {ALICE}")),
        ("x-api-key", ALICE.to_owned()),
    ] {
        for (method, params) in every() {
            let mut request = request(method, params);
            for (name, value) in carried {
                request = request.header(name, value);
            }
            request.header(proof.0, &proof.1).send(&to);
        }
    }
    assert!(stage.executed() >= 12, "requests got through: {}", stage.executed());
    let secrets = ["-SECRET", ALICE, MALLORY, LATE, &*tail];
    for received in stage.received() {
        let text = format!("{} {:?} {}", received.path, received.headers, received.text());
        for secret in secrets {
            assert!(!text.contains(secret), "{secret} went to a server: {text}");
        }
    }
    let log = stage.weir.log();
    assert!(!log.is_empty());
    for secret in secrets {
        assert!(!log.contains(secret), "{secret} stands in the log: {log}");
    }
}

/// A request of every kind that reaches a server.
fn every() -> Vec<(&'static str, Value)> {
    let reference = json!({"type": "ref/prompt", "name": "open"});
    vec![
        ("tools/call", json!({"name": "open", "arguments": {}})),
        ("prompts/get", json!({"name": "open"})),
        ("resources/read", json!({"uri": "doc://open.test/a"})),
        ("completion/complete", json!({"ref": reference, "argument": {"name": "who", "value": "a"}})),
        ("tools/list", json!({})),
    ]
}
