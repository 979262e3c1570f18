//! Who may see and connect a backend at the pages: whom policies let do something of it.

use super::*;

/// A weir before `inner` that lets callers do what `policies` say, with `login` beside its client and `oauth` as in [`config`].
fn bench(policies: &str, login: Value, oauth: impl FnOnce(&Provider, &Weir) -> Value) -> Bench {
    let provider = provider(json!({}));
    let inner = protected(&provider);
    let oauth = oauth(&provider, &inner);
    let mut config = config(&provider, &inner, oauth);
    let endpoint = &mut config["endpoints"]["main"];
    endpoint["policies"]["inline"] = json!(policies);
    for (key, value) in login.as_object().expect("settings") {
        endpoint["auth"]["login"][key] = value.clone();
    }
    Bench { outer: Weir::serve(config), provider, inner }
}

/// That the backend is nothing to this account: what its page says of it is what it says of any name.
fn is_nothing_to(bench: &Bench, account: &str) {
    let (registered, mut browser) = (bench.provider.requests("/reg"), bench.browser(account));
    let page = browser.open(&bench.page());
    assert!(page.response.status == 200 && page.text().contains(account), "{}", page.text());
    assert!(page.text().contains("nothing that you can connect") && !page.text().contains("inner"));
    let asked = browser.open(&format!("{}?backend=inner", bench.page()));
    let unknown = browser.open(&format!("{}?backend=unknown", bench.page()));
    assert_eq!((asked.response.status, asked.text()), (404, unknown.text()));
    assert_eq!(bench.provider.requests("/reg"), registered);
}

#[test]
fn a_backend_exists_for_those_whom_policies_let_use_it() {
    let developers = r#"permit(principal in Group::"developers", action, resource == Tool::"params");"#;
    let bench = bench(developers, json!({"scopes": ["groups"]}), |_, _| json!({}));
    // Before anything is known of its items, and after.
    is_nothing_to(&bench, "bob");
    bench.connect("alice");
    bench.listed("alice");
    assert!(arrived(&call(&bench.modern("alice"))));
    is_nothing_to(&bench, "bob");
    is_nothing_to(&bench, "carol");
    assert!(bench.browser("alice").open(&bench.page()).text().contains("Connect again"));
}

#[test]
fn of_the_items_that_are_known_one_has_to_be_for_the_user() {
    let elsewhere = r#"permit(principal in Group::"developers", action, resource);
        permit(principal in Group::"support", action, resource == Tool::"of another backend");"#;
    let bench = bench(elsewhere, json!({"scopes": ["groups"]}), |_, _| json!({}));
    // It could be this backend's.
    assert!(bench.browser("bob").open(&bench.page()).text().contains("inner"));
    is_nothing_to(&bench, "carol");
    bench.connect("alice");
    bench.listed("alice");
    is_nothing_to(&bench, "bob");
}

#[test]
fn what_only_tokens_say_keeps_nobody_out() {
    let scoped = r#"permit(principal, action, resource) when { principal.scopes.contains("mcp") };"#;
    let bench = bench(scoped, json!({}), |_, _| json!({}));
    bench.connect("alice");
    bench.listed("alice");
    assert!(arrived(&call(&bench.modern("alice"))));
}

#[test]
fn a_call_that_was_allowed_leads_in_where_a_login_says_too_little() {
    // Without the scope the ID tokens say nothing of groups.
    let developers = r#"permit(principal in Group::"developers", action, resource);"#;
    let bench = bench(
        developers,
        json!({}),
        |provider, inner| json!({"lists": "open", "listing": {"bearer": provider.token("service", &inner.url())}}),
    );
    is_nothing_to(&bench, "alice");
    bench.listed("alice");
    let alice = bench.modern("alice");
    let (url, _) = wanted(&call(&alice));
    let mut browser = bench.browser("alice");
    let asked = browser.open(&url);
    let done = browser.send(&asked, "consent");
    assert!(done.text().contains("inner is connected"), "{}", done.text());
    assert!(arrived(&call(&alice)));
    // What is connected can be disconnected.
    let left = browser.send(&done, "disconnect");
    assert!(left.text().contains("nothing that you can connect"), "{}", left.text());
    wanted(&call(&alice));
}

#[test]
fn a_link_is_good_under_the_policies_that_it_was_made_under() {
    let group = |name: &str| format!(r#"permit(principal in Group::"{name}", action, resource);"#);
    let provider = provider(json!({}));
    let inner = protected(&provider);
    let listing = json!({"bearer": provider.token("service", &inner.url())});
    let with = |policies: &str| {
        let mut config = config(&provider, &inner, json!({"lists": "open", "listing": listing}));
        config["endpoints"]["main"]["policies"]["inline"] = json!(policies);
        config
    };
    let (before, after) = (with(&group("developers")), with(&group("support")));
    let bench = Bench { outer: Weir::serve(before), provider, inner };
    bench.listed("alice");
    let (url, _) = wanted(&call(&bench.modern("alice")));
    let mut browser = bench.browser("alice");
    let asked = browser.open(&url);
    assert!(asked.field("consent").is_some(), "{}", asked.text());
    bench.outer.reconfigure(after);
    // The policies are taken.
    bench.listed("bob");
    assert_eq!(browser.open(&url).response.status, 404);
    assert_eq!(browser.submit(&asked, "consent").response.status, 404, "nor does it go on");
}
