//! The issuer: its keys change, it goes and comes back, and it takes tokens back.

use crate::{Bench, RESOURCE, auth, challenge, config, echo, ping};
use serde_json::json;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use weir_tests::{Modern, Provider, Speak, Weir, wait};

#[test]
fn every_algorithm_that_is_allowed_lets_in() {
    let bench = Bench::start();
    for algorithm in ["RS256", "PS256", "ES256", "EdDSA"] {
        bench.provider.set(json!({"algorithm": algorithm}));
        assert_eq!(Modern::new(bench.endpoint("alice")).tool_names().len(), 5, "{algorithm}");
    }
    let only = Bench::over(Provider::start(), json!({"echo": echo()}), json!({"algorithms": ["ES256"]}));
    assert_eq!(ping().send(&only.endpoint("alice")).status, 401, "RS256");
    only.provider.set(json!({"algorithm": "ES256"}));
    assert_eq!(Modern::new(only.endpoint("alice")).tool_names().len(), 5);
}

#[test]
fn keys_change_while_calls_run() {
    let bench = Bench::start();
    let (done, calls, failed) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for account in ["alice", "bob"] {
            let (bench, done, calls, failed) = (&bench, &done, &calls, &failed);
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    // Always the newest key, which weir may not have seen.
                    let answer = Modern::new(bench.endpoint(account)).call("folder", json!({}));
                    calls.fetch_add(1, Ordering::SeqCst);
                    if answer.message.get("result").is_none() {
                        failed.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
        let before = calls.load(Ordering::SeqCst);
        wait::until_true("calls run", || calls.load(Ordering::SeqCst) > before + 4);
        let old = bench.endpoint("carol");
        bench.provider.rotate(1);
        let before = calls.load(Ordering::SeqCst);
        wait::until_true("calls go on", || calls.load(Ordering::SeqCst) > before + 8);
        assert_eq!(ping().send(&old).status, 400, "the older key still holds: only a session is missing");
        done.store(true, Ordering::SeqCst);
    });
    assert_eq!(failed.load(Ordering::SeqCst), 0, "of {} calls", calls.load(Ordering::SeqCst));
}

#[test]
fn without_the_issuer_known_keys_hold_and_unknown_ones_are_not_asked_for_in_vain() {
    let mut bench = Bench::start();
    let (before, foreign) = {
        let provider = &bench.provider;
        let header = json!({"kid": "never-seen"});
        let claims = json!({"iss": provider.issuer(), "aud": RESOURCE, "sub": "x", "exp": 4_000_000_000_u64});
        (bench.endpoint("alice"), provider.sign(json!({"claims": claims, "header": header})))
    };
    assert_eq!(Modern::new(before.clone()).tool_names().len(), 5);
    let later = bench.endpoint("bob");
    bench.provider.down(true);
    assert_eq!(Modern::new(before).tool_names().len(), 5, "who is known");
    assert_eq!(Modern::new(later).tool_names().len(), 5, "who comes with a key that is known");
    let unknown = ping().send(&bench.weir.endpoint().bearing(&foreign));
    assert!([401, 503].contains(&unknown.status), "{}", unknown.text());
    bench.provider.down(false);
    bench.provider.restart();
    assert_eq!(Modern::new(bench.endpoint("carol")).tool_names().len(), 5, "it is back");
}

#[test]
fn an_issuer_that_is_down_from_the_start_is_asked_again() {
    let provider = Provider::start();
    let token = provider.token("alice", RESOURCE);
    provider.down(true);
    let weir = Weir::serve(config(json!({"echo": echo()}), auth(&provider, json!({}))));
    let refused = ping().send(&weir.endpoint().bearing(&token));
    assert_eq!(refused.status, 503, "it is not the client's fault: {}", refused.text());
    assert!(refused.header("retry-after").is_some() && challenge(&refused).is_empty());
    provider.down(false);
    wait::until_true("it lets in", || ping().send(&weir.endpoint().bearing(&token)).status == 400);
}

#[test]
fn opaque_tokens_are_asked_for_and_taken_back() {
    let provider = Provider::with(json!({"opaque": [RESOURCE]}));
    let introspection = json!({
        "client_id": "service", "client_secret": Provider::secret("service"), "cache": "1s",
    });
    let bench = Bench::over(provider, json!({"echo": echo()}), json!({"introspection": introspection}));
    let (alice, bob) = (bench.endpoint("alice"), bench.endpoint("bob"));
    assert_eq!(Modern::new(alice.clone()).tool_names().len(), 5);
    assert_eq!(Modern::new(bob.clone()).tool_names().len(), 5);
    let asked = bench.provider.requests("/token/introspection");
    assert_eq!(asked, 2, "each once");
    assert_eq!(ping().send(&bench.weir.endpoint().bearing("made-up")).status, 401);
    bench.provider.forget("bob");
    wait::until_true("the answer is asked for again", || ping().send(&bob).status == 401);
    assert_ne!(ping().send(&alice).status, 401, "hers holds");
}
