//! What users granted: how it is renewed, how it ends, and how it outlives weir.

use super::*;
use std::thread;

#[test]
fn however_many_calls_wait_a_grant_is_renewed_once() {
    // Every token is over at once, so that every round of calls needs a new one.
    let bench = Bench::with(json!({"ttl": 2}), json!({"scopes": ["offline_access"]}));
    bench.connect("alice");
    bench.listed("alice");
    let long = |account: &str| {
        let request = json!({"account": account, "resource": RESOURCE, "ttl": 600});
        Modern::new(bench.outer.endpoint().bearing(&bench.provider.mint(request)))
    };
    let client = long("alice");
    let before = bench.provider.requests("/token");
    wait::until("the grant was renewed", || {
        assert!(arrived(&call(&client)));
        (bench.provider.requests("/token") > before).then_some(())
    });
    bench.provider.set(json!({"ttl": 600}));
    wait::until("the grant lives long", || {
        let before = bench.provider.requests("/token");
        thread::scope(|scope| {
            let calls: Vec<_> = (0..20).map(|_| scope.spawn(|| arrived(&call(&client)))).collect();
            assert!(calls.into_iter().all(|call| call.join().expect("a call ends")));
        });
        let renewals = bench.provider.requests("/token") - before;
        assert!(renewals <= 1, "{renewals} renewals for twenty calls");
        (renewals == 0).then_some(())
    });
}

#[test]
fn a_dead_grant_leads_back_to_the_page() {
    let bench = Bench::with(json!({"ttl": 2}), json!({"scopes": ["offline_access"]}));
    bench.connect("alice");
    bench.listed("alice");
    let request = json!({"account": "alice", "resource": RESOURCE, "ttl": 600});
    let capabilities = serde_json::from_str(PAGES).expect("capabilities");
    let endpoint = bench.outer.endpoint().bearing(&bench.provider.mint(request));
    let alice = Modern::with_capabilities(endpoint, capabilities);
    assert!(arrived(&call(&alice)));
    bench.provider.forget("alice");
    bench.provider.set(json!({"ttl": 600}));
    let answer = wait::until("the grant is over", || {
        let answer = call(&alice);
        (!arrived(&answer)).then_some(answer)
    });
    let (url, _) = wanted(&answer);
    let mut browser = bench.browser("alice");
    let asked = browser.open(&url);
    browser.send(&asked, "consent");
    assert!(arrived(&call(&alice)));
}

#[test]
fn disconnecting_ends_it_for_one_user() {
    let bench = Bench::start();
    let mut alice = bench.connect("alice");
    bench.connect("bob");
    bench.listed("alice");
    let listed = alice.open(&bench.page());
    let left = alice.send(&listed, "disconnect");
    assert!(left.text().contains("not connected"), "{}", left.text());
    assert!(bench.provider.requests("/token/revocation") >= 1);
    wanted(&call(&bench.modern("alice")));
    assert!(arrived(&call(&bench.modern("bob"))));
    // The form of one user does nothing for another.
    let mut bob = bench.connect("bob");
    let (token, _) = listed.field("disconnect").expect("a form");
    let mut page = bob.open(&bench.page());
    let (own, _) = page.field("disconnect").expect("a form");
    let text = page.text().replace(&own, &token);
    page.response.body = text.into_bytes();
    assert_eq!(bob.submit(&page, "disconnect").response.status, 400);
    assert!(arrived(&call(&bench.modern("bob"))));
}

#[test]
fn a_store_outlives_weir_and_opens_with_its_key_alone() {
    let provider = provider(json!({}));
    let inner = protected(&provider);
    let folder = tempfile::tempdir().expect("a directory can be made");
    let file = folder.path().join("grants");
    let with = |key: &str| {
        let mut config = config(&provider, &inner, json!({}));
        config["oauth"] = json!({"store": {"file": file, "key": key}});
        config
    };
    let key = "0123456789abcdef0123456789abcdef";
    let outer = Weir::serve(with(key));
    let bench = Bench { provider, inner, outer };
    bench.connect("alice");
    bench.listed("alice");
    let Bench { provider, inner, outer } = bench;
    outer.terminate();
    outer.finish();
    let sealed = std::fs::read(&file).expect("the store is there");

    let mut config = config(&provider, &inner, json!({}));
    config["oauth"] = json!({"store": {"file": file, "key": "another key with thirty-two chars"}});
    config["listener"]["address"] = json!("127.0.0.1:0");
    let wrong = weir::write_config(folder.path(), &config.to_string());
    let refused = weir::run(&["serve", "--config", wrong.to_str().expect("a path")]);
    assert!(refused.stderr.contains("does not open with this key"), "{}", refused.stderr);
    assert_eq!(std::fs::read(&file).expect("the store is there"), sealed, "nothing was written over");

    let mut config = super::config(&provider, &inner, json!({}));
    config["oauth"] = json!({"store": {"file": file, "key": key}});
    let bench = Bench { outer: Weir::serve(config), provider, inner };
    bench.listed("alice");
    assert!(arrived(&call(&bench.modern("alice"))));
    wanted(&call(&bench.modern("bob")));
    let registered = bench.provider.requests("/reg");
    bench.connect("bob");
    assert!(bench.provider.requests("/reg") <= registered + 1);
}
