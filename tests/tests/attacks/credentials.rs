//! Credentials that are written in odd ways, stand in odd places, or are nearly right.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{
    ALICE, ALICE_DIGEST, ALL, LATE, MALLORY, RESOURCE, Stage, by, call, keys, plain, wait_for_lists,
};
use serde_json::json;
use std::io::Read;
use weir_tests::{Provider, Request};

/// `alice:` and her key, as Basic writes them.
const BASIC: &str = "YWxpY2U6d2Vpcl9hbGljZS0wMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMDAwMA==";

fn open() -> Request {
    call("open", json!({}))
}

#[test]
fn credentials_that_are_not_in_order_are_refused() {
    let provider = Provider::start();
    let stage = Stage::new(plain(json!({
        "auth": {
            "resource": RESOURCE,
            "issuers": [{"issuer": provider.issuer(), "private": true}],
            "api_keys": keys(),
        },
        "policies": {"inline": ALL},
    })));
    let token = provider.token("alice", RESOURCE);
    wait_for_lists(&stage.weir.endpoint(), ALICE);

    let to = stage.weir.endpoint();
    let case = |name: &str, request: Request, fate: Fate| attack(name, &to, request, fate);
    let header = |name: &str, value: &str| {
        case(
            &format!("{name}: {}", &value[..value.len().min(40)]),
            open().header(name, value),
            Fate::Challenged,
        )
    };
    let twice = Fate::Refused(400, None);
    let mut cases = vec![
        case("a token", open().header("authorization", &format!("Bearer {token}")), Fate::Passes),
        case(
            "the scheme in small letters",
            open().header("authorization", &format!("bearer {token}")),
            Fate::Passes,
        ),
        case(
            "two blanks before it",
            open().header("authorization", &format!("Bearer  {ALICE}")),
            Fate::Passes,
        ),
        case("a key as a bearer", by(ALICE, open()), Fate::Passes),
        case("a key in its own header", open().header("x-api-key", ALICE), Fate::Passes),
        case("nothing", open(), Fate::Challenged),
        case("two tokens", by(&token, by(&token, open())), twice.clone()),
        case("a token and a key, each as a bearer", by(ALICE, by(&token, open())), twice.clone()),
        case("two keys", open().header("x-api-key", ALICE).header("x-api-key", ALICE), twice.clone()),
        case("a key beside another's token", by(&token, open()).header("x-api-key", MALLORY), twice.clone()),
        case("a key beside a token that is none", by("x", open()).header("x-api-key", ALICE), twice.clone()),
        case("an ended key", by(LATE, open()), Fate::Challenged),
        case("an ended key in its own header", open().header("x-api-key", LATE), Fate::Challenged),
    ];
    let (near, longer) = (&ALICE[..ALICE.len() - 1], format!("{ALICE}0"));
    let last = format!("{near}1");
    let upper = ALICE.to_uppercase();
    for key in
        [near, &longer, &last, &upper, "weir_", "", ALICE_DIGEST, "alice", &token, "*", "null", "undefined"]
    {
        cases.push(header("x-api-key", key));
        if *key != *token {
            cases.push(malformed(header("authorization", &format!("Bearer {key}"))));
        }
    }
    let escaped = ALICE.replace("weir_", "weir%5F");
    for (name, value) in [
        ("authorization", format!("Basic {BASIC}")),
        ("authorization", format!("Digest username=\"alice\", response=\"{ALICE}\"")),
        ("authorization", format!("Token {ALICE}")),
        ("authorization", ALICE.to_owned()),
        ("authorization", "Bearer".to_owned()),
        ("authorization", format!("Bearer{ALICE}")),
        ("authorization", format!("Bearer:{ALICE}")),
        ("authorization", format!("Bearer \"{ALICE}\"")),
        ("authorization", format!("Bearer {escaped}")),
        ("proxy-authorization", format!("Bearer {ALICE}")),
        ("x-authorization", format!("Bearer {ALICE}")),
        ("x-forwarded-user", "alice".to_owned()),
        ("x-remote-user", "alice".to_owned()),
        ("cookie", format!("access_token={ALICE}; token={token}")),
        ("x-forwarded-client-cert", "Subject=\"CN=alice\"".to_owned()),
        ("ssl-client-verify", "SUCCESS".to_owned()),
    ] {
        cases.push(malformed(header(name, &value)));
    }
    for (what, value) in [
        ("a tab", format!("Bearer\t{ALICE}")),
        ("a word behind it", format!("Bearer {ALICE} x")),
        ("a comma behind it", format!("Bearer {ALICE},")),
        ("two with a comma", format!("Bearer {ALICE}, Bearer {token}")),
        ("a parameter before it", format!("Bearer realm=\"x\", {ALICE}")),
        ("letters beyond ASCII", format!("Bearer {ALICE}\u{e9}")),
    ] {
        cases.push(malformed(case(what, open().header("authorization", &value), Fate::Challenged)));
    }
    for query in [
        format!("access_token={token}"),
        format!("access_token={ALICE}"),
        format!("a=b&access_token={token}"),
        format!("access%5Ftoken={token}"),
        format!("ACCESS_TOKEN={token}"),
        "access_token=".to_owned(),
    ] {
        let name = format!("in the query: {}", &query[..query.len().min(20)]);
        let to = to.at(&format!("/mcp?{query}"));
        cases.push(attack(format!("{name}, alone"), &to, open(), Fate::Refused(400, None)));
        cases.push(attack(
            format!("{name}, beside a good one"),
            &to,
            by(&token, open()),
            Fate::Refused(400, None),
        ));
    }
    for query in [format!("token={token}"), format!("api_key={ALICE}"), format!("x-api-key={ALICE}")] {
        let name = format!("in the query: {}", &query[..query.len().min(20)]);
        cases.push(attack(name, &to.at(&format!("/mcp?{query}")), open(), Fate::Challenged));
    }
    let form = Request::new("POST").header("content-type", "application/x-www-form-urlencoded");
    cases.push(case("in a form", form.body(format!("access_token={token}")), Fate::Challenged));
    // A way round through another method or transport.
    let sse = to.at("/mcp/sse");
    cases.push(attack("the stream of HTTP+SSE", &sse, Request::new("GET"), Fate::Challenged));
    cases.push(case("GET", Request::new("GET").header("accept", "text/event-stream"), Fate::Challenged));
    cases.push(case("DELETE", Request::new("DELETE").header("mcp-session-id", "x"), Fate::Challenged));
    cases.push(case("PUT", Request::new("PUT").body("{}"), Fate::Challenged));
    for method in ["X-HTTP-Method-Override", "X-Method-Override"] {
        cases.push(case(method, open().header(method, "OPTIONS"), Fate::Challenged));
    }
    run(&stage, &cases, 70);
    // More than any head may hold: refused before all of it is there, or the connection ends.
    let before = stage.executed();
    let mut connection = by(&"x".repeat(1 << 20), open()).begin(&to);
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
    assert_eq!(stage.executed(), before);
    let log = stage.weir.log();
    for secret in [ALICE, LATE, MALLORY, &token[token.len() - 40..], BASIC] {
        assert!(!log.contains(secret), "a credential stands in the log");
    }
}

/// Also told as a mistake of form, which it is.
fn malformed(attack: Attack) -> Attack {
    Attack { fate: Fate::Unreadable, ..attack }
}
