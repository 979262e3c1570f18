//! Callers who could come in and cannot any more: what they opened is theirs no longer.

use crate::attack::{Fate, attack, run};
use crate::stage::{ALICE, ALL, MALLORY, RESOURCE, Stage, by, call, keys, plain, wait_for_lists};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use weir_tests::http::Events;
use weir_tests::{Legacy, Provider, Request, Speak, wait};

fn stream(session: &Legacy) -> Events<impl std::io::BufRead> {
    session.listen()
}

/// Tries what `session` was good for with what showed once who its owner is.
fn attempt(stage: &Stage, session: &Legacy, bearer: &str, owner: Option<&str>) {
    let bare = stage.weir.endpoint();
    let message = |method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 9, "method": method, "params": params}).to_string();
        by(bearer, session.within(Request::post(body)))
    };
    let refused = |name: &str, request: Request| attack(name, &bare, request, Fate::Challenged);
    let get = || session.within(Request::new("GET").header("accept", "text/event-stream"));
    let mut cases = vec![
        attack("somebody who may", &bare, by(MALLORY, call("open", json!({}))), Fate::Passes),
        refused("a call", message("tools/call", json!({"name": "open", "arguments": {}}))),
        refused("a ping", message("ping", json!({}))),
        refused("a GET", by(bearer, get())),
        refused("a GET from an event", by(bearer, get().header("last-event-id", "0"))),
        refused("a DELETE", by(bearer, session.within(Request::new("DELETE")))),
        refused("a modern call", by(bearer, call("open", json!({})))),
    ];
    if let Some(owner) = owner {
        let body = json!({"jsonrpc": "2.0", "id": 9, "method": "tools/call", "params": {"name": "open", "arguments": {}}});
        let request = by(owner, session.within(Request::post(body.to_string())));
        cases.push(attack("the owner, who logged in again", &bare, request, Fate::Passes));
    }
    run(stage, &cases, 6);
}

fn refused(session: &Legacy) -> bool {
    let ping = session.prepare("ping", json!({})).0.send(session.endpoint());
    ping.status == 401
}

#[test]
fn a_session_is_no_good_once_its_token_has_ended() {
    let provider = Provider::start();
    let stage = Stage::new(plain(json!({
        "auth": {
            "resource": RESOURCE, "api_keys": keys(),
            "issuers": [{"issuer": provider.issuer(), "private": true, "leeway": "0s"}],
        },
        "policies": {"inline": ALL},
    })));
    wait_for_lists(&stage.weir.endpoint(), MALLORY);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let token = |ends: u64| {
        let claims = json!({
            "iss": provider.issuer(), "aud": RESOURCE, "sub": "alice", "client_id": "desktop", "iat": now, "exp": now + ends,
        });
        provider.sign(json!({"claims": claims}))
    };
    let (short, long) = (token(4), token(600));
    let session = Legacy::new(stage.weir.endpoint().bearing(&short));
    let open = stream(&session);
    session.call("open", json!({})).text();
    wait::until_true("the token has ended", || refused(&session));
    // Reads to the end of the stream, which is there.
    assert!(open.count() < 100, "the stream ends with its token");
    attempt(&stage, &session, &short, Some(&long));
}

#[test]
fn a_session_is_no_good_once_its_key_is_taken_back() {
    let endpoint = |keys: Value| {
        plain(json!({
            "auth": {"resource": RESOURCE, "api_keys": keys},
            "policies": {"inline": ALL},
        }))
    };
    let stage = Stage::new(endpoint(keys()));
    wait_for_lists(&stage.weir.endpoint(), ALICE);
    let session = Legacy::new(stage.weir.endpoint().bearing(ALICE));
    let open = stream(&session);
    session.call("open", json!({})).text();
    let fewer: Vec<Value> =
        keys().as_array().expect("keys").iter().filter(|key| key["name"] != "alice").cloned().collect();
    stage.reconfigure(endpoint(json!(fewer)));
    wait::until_true("the key is taken back", || refused(&session));
    assert!(open.count() < 100, "the stream ends with its key");
    attempt(&stage, &session, ALICE, None);
}

#[test]
fn a_session_is_no_good_once_its_token_is_revoked() {
    let provider = Provider::with(json!({"opaque": [RESOURCE]}));
    let stage = Stage::new(plain(json!({
        "auth": {
            "resource": RESOURCE, "api_keys": keys(),
            "issuers": [{
                "issuer": provider.issuer(), "private": true,
                "introspection": {
                    "client_id": "service", "client_secret": Provider::secret("service"), "cache": "1s", "opaque": true,
                },
            }],
        },
        "policies": {"inline": ALL},
    })));
    wait_for_lists(&stage.weir.endpoint(), MALLORY);
    let token = provider.token("alice", RESOURCE);
    let session = Legacy::new(stage.weir.endpoint().bearing(&token));
    let open = stream(&session);
    session.call("open", json!({})).text();
    provider.forget("alice");
    wait::until_true("the token is revoked", || refused(&session));
    assert!(open.count() < 100, "the stream ends with its token");
    attempt(&stage, &session, &token, None);
    assert!(!stage.weir.log().contains(&Provider::secret("service")));
}
