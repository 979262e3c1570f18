//! Everybody who wants a grant that is not theirs.

use super::*;
use std::io::{Read, Write};
use std::net::TcpStream;

/// What every attempt that goes nowhere leaves behind.
fn nothing_came_of_it(bench: &Bench, account: &str) {
    wanted(&call(&bench.modern(account)));
}

/// Alice has connected it, so that there is something to call.
fn prepared() -> Bench {
    let bench = Bench::start();
    bench.connect("alice");
    bench.listed("alice");
    bench
}

#[test]
fn a_link_that_somebody_else_sent_leads_nowhere() {
    let bench = prepared();
    let (url, _) = wanted(&call(&bench.modern("bob")));
    let mut carol = bench.browser("carol");
    let refused = carol.open(&url);
    assert_eq!(refused.response.status, 403, "{}", refused.text());
    assert!(refused.text().contains("made for another user") && refused.field("consent").is_none());
    // Neither when she is already logged in, nor with the link changed.
    assert_eq!(carol.open(&url).response.status, 403);
    for changed in [format!("{url}x"), url.replace("ticket=", "ticket=A"), format!("{url}&ticket=x")] {
        assert!(matches!(carol.open(&changed).response.status, 400 | 403), "{changed}");
    }
    nothing_came_of_it(&bench, "carol");
    nothing_came_of_it(&bench, "bob");
}

#[test]
fn what_a_browser_brings_back_is_its_own_and_counts_once() {
    let bench = prepared();
    let mut bob = bench.browser("bob");
    let asked = bob.open(&format!("{}?backend=inner", bench.page()));
    let back = |url: &str| url.contains("/connect/-/callback/inner?");
    let mut replayed = bob.clone();
    let callback = bob.send_until(&asked, "consent", back);
    // The form was for once.
    let again = replayed.submit(&asked, "consent");
    assert_eq!(again.response.status, 400, "{}", again.text());
    // Another browser, be it the victim's, be it without any cookie.
    let before = bench.provider.requests("/token");
    for mut other in [bench.connect("carol"), Browser::new()] {
        let before = bench.provider.requests("/token");
        assert_eq!(other.open(&callback).response.status, 400);
        assert_eq!(bench.provider.requests("/token"), before, "no code is redeemed");
    }
    // Changed on the way.
    let state = callback.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state");
    for changed in [
        callback.replace("state=", "state=A"),
        callback.replace(&format!("state={state}"), "x=y"),
        format!("{callback}&state={state}"),
        format!("{callback}&code=other"),
        format!("{callback}&iss=https://evil.test"),
    ] {
        assert_eq!(bob.open(&changed).response.status, 400, "{changed}");
    }
    assert!(bench.provider.requests("/token") <= before + 2, "only carol's login and grant");
    let done = bob.open(&callback);
    assert!(done.text().contains("inner is connected"), "{}", done.text());
    assert_eq!(bob.open(&callback).response.status, 400, "it counted once");
    assert!(arrived(&call(&bench.modern("bob"))));
}

#[test]
fn another_issuer_in_the_answer_ends_it() {
    let bench = prepared();
    for (from, to) in [("iss=http", "iss=https"), ("iss=", "is=")] {
        let mut bob = bench.browser("bob");
        let asked = bob.open(&format!("{}?backend=inner", bench.page()));
        let callback = bob.send_until(&asked, "consent", |url| url.contains("/connect/-/callback/inner?"));
        assert!(callback.contains(from), "{callback}");
        let before = bench.provider.requests("/token");
        let refused = bob.open(&callback.replace(from, to));
        assert_eq!(refused.response.status, 400, "{}", refused.text());
        assert_eq!(bench.provider.requests("/token"), before, "no code is redeemed");
        assert_eq!(bob.open(&callback).response.status, 400, "nor is there another attempt");
    }
    nothing_came_of_it(&bench, "bob");
}

#[test]
fn a_form_of_another_site_is_not_taken() {
    let bench = prepared();
    let mut bob = bench.browser("bob");
    let asked = bob.open(&format!("{}?backend=inner", bench.page()));
    let (token, _) = asked.field("consent").expect("a form");
    let post = |origin: Option<&str>, body: &str| {
        let request = Request::new("POST").header("content-type", "application/x-www-form-urlencoded");
        let request = origin.map_or(request.clone(), |origin| request.header("origin", origin));
        request.body(body)
    };
    let own = asked.origin();
    let consent = format!("consent={token}");
    for origin in [
        None,
        Some("null"),
        Some("https://evil.test"),
        Some("http://localhost:1"),
        Some("http://127.0.0.1:1"),
    ] {
        let status = bob.clone().step(post(origin, &consent), &bench.page()).response.status;
        assert_eq!(status, 403, "{origin:?}");
    }
    // Without the cookie, with another's, and with what is no such form.
    assert_eq!(Browser::new().step(post(Some(&own), &consent), &bench.page()).response.status, 403);
    assert_eq!(bench.connect("carol").step(post(Some(&own), &consent), &bench.page()).response.status, 400);
    for body in
        ["", "consent=x", "consent=a&consent=b", &format!("{consent}&disconnect=x"), &"x".repeat(20_000)]
    {
        let status = bob.clone().step(post(Some(&own), body), &bench.page()).response.status;
        assert_eq!(status, 400, "{body:.40}");
    }
    nothing_came_of_it(&bench, "bob");
    let done = bob.send(&asked, "consent");
    assert!(done.text().contains("inner is connected"));
}

#[test]
fn a_login_that_somebody_else_began_logs_nobody_in() {
    let bench = prepared();
    // The attacker's login, in the victim's browser: the victim would connect for the attacker.
    let mut attacker = bench.browser("carol");
    let login = attacker.open_until(&bench.page(), |url| url.contains("/connect/-/login?"));
    let mut victim = bench.browser("bob");
    victim.open(&bench.page());
    assert_eq!(victim.open(&login).response.status, 400);
    assert!(victim.open(&bench.page()).text().contains("logged in as bob"));
    assert!(attacker.open(&login).text().contains("logged in as carol"));
    assert_eq!(attacker.open(&login).response.status, 400, "it counted once");
}

#[test]
fn strangers_learn_nothing_and_break_nothing() {
    let bench = prepared();
    let at = |path: &str| bench.outer.endpoint().at(path).url();
    let mut browser = Browser::new();
    for path in [
        "/connect/other",
        "/connect/-/client/inner.json",
        "/connect/main/x",
        "/connect/-/callback",
        "/connect/-/login?state=x&code=y",
        "/connect/-/callback/inner?state=AAAA&code=y",
        "/connect/-/callback/?state=AAAA&code=y",
    ] {
        let status = browser.open(&at(path)).response.status;
        assert!(matches!(status, 400 | 404), "{path}: {status}");
    }
    let long = at(&format!("/connect/main?ticket={}", "A".repeat(17 << 10)));
    assert!(matches!(browser.open(&long).response.status, 414 | 431));
    for method in ["PUT", "DELETE", "PATCH"] {
        assert_eq!(browser.step(Request::new(method), &bench.page()).response.status, 405);
    }
    let log = bench.outer.log();
    for secret in ["pages-secret", "access_token", "refresh_token"] {
        assert!(!log.contains(secret), "{secret} is in the log");
    }
}

#[test]
fn a_user_who_refuses_grants_nothing() {
    let bench = prepared();
    let mut bob = bench.browser("bob");
    let asked = bob.open(&format!("{}?backend=inner", bench.page()));
    bench.provider.set(json!({"refuse": true}));
    let refused = bob.send(&asked, "consent");
    assert_eq!(refused.response.status, 400);
    assert!(refused.text().contains("access_denied"), "{}", refused.text());
    nothing_came_of_it(&bench, "bob");
}

/// weir before two backends, of which the first may be anybody's.
fn two(oauth: Value) -> (Bench, Weir) {
    let provider = provider(json!({}));
    let (inner, other) = (protected(&provider), protected(&provider));
    let mut both = config(&provider, &inner, json!({"lists": "open"}));
    both["backends"]["other"] = config(&provider, &other, oauth)["backends"]["inner"].clone();
    both["endpoints"]["main"]["backends"] = json!(["inner", "other"]);
    both["endpoints"]["main"]["conflicts"] = json!("prefix");
    (Bench { outer: Weir::serve(both), provider, inner }, other)
}

#[test]
fn a_code_of_one_backends_server_is_not_taken_to_anothers() {
    let (bench, _other) = two(json!({"lists": "open"}));
    let mut bob = bench.browser("bob");
    let asked = bob.open(&format!("{}?backend=inner", bench.page()));
    let callback = bob.send_until(&asked, "consent", |url| url.contains("/connect/-/callback/inner?"));
    let before = bench.provider.requests("/token");
    // The server of `inner` sent the browser on to that of `other`, which brings it back by its own way.
    let mixed = callback.replace("/callback/inner?", "/callback/other?");
    assert_eq!(bob.open(&mixed).response.status, 400);
    assert_eq!(bench.provider.requests("/token"), before, "no code is redeemed");
    assert_eq!(bob.open(&callback).response.status, 400, "nor is there another attempt");
}

#[test]
fn a_configured_client_is_the_only_one() {
    let elsewhere = json!([{"issuer": "http://127.0.0.1:1", "client_id": "weir"}]);
    let (bench, _other) = two(json!({"lists": "open", "clients": elsewhere}));
    let mut bob = bench.browser("bob");
    bob.open(&bench.page());
    let metadata = "/.well-known/oauth-authorization-server";
    let before = (bench.provider.requests(metadata), bench.provider.requests("/reg"));
    let refused = bob.open(&format!("{}?backend=other", bench.page()));
    assert_eq!(refused.response.status, 502, "{}", refused.text());
    let text = refused.text();
    assert!(text.contains(bench.provider.issuer()) && text.contains("clients"), "{text}");
    assert!(refused.field("consent").is_none());
    let after = (bench.provider.requests(metadata), bench.provider.requests("/reg"));
    assert_eq!(after, before, "nothing is asked of it");
    // A backend without any goes wherever its server says.
    assert!(bob.open(&format!("{}?backend=inner", bench.page())).field("consent").is_some());
}

#[test]
fn nobody_is_waited_for_who_has_not_logged_in() {
    let bench = Bench::start();
    let mut stranger = Browser::new();
    stranger.open_until(&bench.page(), |url| url.starts_with(bench.provider.issuer()));
    let cookie = stranger.cookie(&bench.page(), "weir-connect").expect("a cookie");
    let to = Endpoint::parse(&bench.page());
    let mut connection = TcpStream::connect(to.address).expect("weir listens");
    let head = format!(
        "POST /connect/main HTTP/1.1\r\nhost: {host}\r\norigin: http://{host}\r\ncookie: weir-connect={cookie}\r\n\
         content-type: application/x-www-form-urlencoded\r\ncontent-length: 1000\r\n\r\nconsent=",
        host = to.address
    );
    connection.write_all(head.as_bytes()).expect("it is taken");
    let mut answer = Vec::new();
    while !String::from_utf8_lossy(&answer).contains("</html>") {
        let mut piece = [0; 4096];
        let length = connection.read(&mut piece).expect("an answer");
        assert!(length > 0, "{}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&piece[..length]);
    }
    // Not that the form did not arrive.
    assert!(String::from_utf8_lossy(&answer).contains("Begin anew"), "{}", String::from_utf8_lossy(&answer));
}

#[test]
fn a_login_under_way_is_kept_by_its_browser_alone() {
    let bench = Bench::start();
    let mut alice = bench.browser("alice");
    let login = alice.open_until(&bench.page(), |url| url.contains("/connect/-/login?"));
    let state = login.split("state=").nth(1).and_then(|rest| rest.split('&').next()).expect("a state");
    // Nothing of it can be read or changed, and no other browser brings it back.
    let plain = ["alice", "main", "verifier", "nonce"];
    assert!(plain.iter().all(|word| !state.contains(word)), "{state}");
    let before = bench.provider.requests("/token");
    let changed = login.replace("state=", "state=A");
    assert_eq!(alice.clone().open(&changed).response.status, 400);
    assert_eq!(bench.browser("alice").open(&login).response.status, 400);
    assert_eq!(bench.provider.requests("/token"), before, "no code is redeemed");
    let mut unchanged = alice.clone();
    assert!(alice.open(&login).text().contains("logged in as alice"));
    assert_eq!(alice.open(&login).response.status, 400, "it counted once");
    // Nor does one that keeps its old cookie make weir ask once more.
    let before = bench.provider.requests("/token");
    assert_eq!(unchanged.open(&login).response.status, 400);
    assert_eq!(bench.provider.requests("/token"), before);
}
