//! What clients are told who want to log in: protected resource metadata (RFC 9728), and nothing that a stranger can change.

use crate::{Bench, EVERYTHING, RESOURCE, auth, challenge, config, echo, ping};
use serde_json::json;
use weir_tests::{Provider, Request, Response, Weir, peers};

const WELL_KNOWN: &str = "/.well-known/oauth-protected-resource";

fn get(weir: &Weir, path: &str) -> Response {
    Request::new("GET").send(&weir.endpoint().at(path))
}

#[test]
fn metadata_stands_where_clients_look_for_it() {
    let bench = Bench::over(Provider::start(), json!({"echo": echo()}), json!({"scopes": ["mcp"]}));
    let expected = json!({
        "resource": "https://weir.test/mcp",
        "authorization_servers": [bench.provider.issuer()],
        "scopes_supported": ["mcp"],
        "bearer_methods_supported": ["header"],
        "resource_name": "weir: main",
    });
    for path in [format!("{WELL_KNOWN}/mcp"), WELL_KNOWN.to_owned(), format!("{WELL_KNOWN}/mcp/sse")] {
        let document = get(&bench.weir, &path);
        assert_eq!((document.status, document.json()), (200, expected.clone()), "{path}");
        assert_eq!(document.header("content-type"), Some("application/json"));
        assert_eq!(document.header("cache-control"), Some("public, max-age=300"));
    }
    let at = bench.weir.endpoint().at(&format!("{WELL_KNOWN}/mcp"));
    let head = Request::new("HEAD").open(&at);
    assert_eq!((head.status, head.header("content-length").is_some_and(|length| length != "0")), (200, true));
    let from = |method: &str| Request::new(method).header("origin", "http://localhost:6274").send(&at);
    assert_eq!(from("GET").header("access-control-allow-origin"), Some("http://localhost:6274"));
    assert_eq!(from("OPTIONS").status, 204);
    let posted = Request::post("{}").send(&at);
    assert_eq!((posted.status, posted.header("allow")), (405, Some("GET, HEAD")));
    for path in ["/other", "/mcp/", "/mcp/messages", "/mcpx"] {
        assert_eq!(get(&bench.weir, &format!("{WELL_KNOWN}{path}")).status, 404, "{path}");
    }
    // weir is no authorization server and does not play one.
    for name in ["oauth-authorization-server", "openid-configuration"] {
        assert_eq!(get(&bench.weir, &format!("/.well-known/{name}")).status, 404, "{name}");
    }
}

#[test]
fn nobody_but_the_operator_says_where_weir_is() {
    let bench = Bench::start();
    let forged = |request: Request| {
        request
            .header("x-forwarded-host", "evil.test")
            .header("x-forwarded-proto", "https")
            .header("x-forwarded-prefix", "/evil")
            .header("forwarded", "host=evil.test;proto=https")
            .header("x-original-url", "/evil")
    };
    let document = forged(Request::new("GET")).send(&bench.weir.endpoint().at(WELL_KNOWN));
    assert_eq!(document.json()["resource"], "https://weir.test/mcp");
    assert!(!document.text().contains("evil"));
    let refused = forged(ping()).send(&bench.weir.endpoint());
    let url = "resource_metadata=\"https://weir.test/.well-known/oauth-protected-resource/mcp\"";
    assert!(challenge(&refused).contains(url) && !challenge(&refused).contains("evil"));
    for path in [WELL_KNOWN, "/mcp"] {
        let rebound = ping().header("host", "evil.test").send(&bench.weir.endpoint().at(path));
        assert_eq!(rebound.status, 403);
        assert!(!rebound.text().contains("weir.test"));
    }
}

#[test]
fn each_endpoint_has_its_own_and_the_first_one_the_root() {
    let provider = Provider::start();
    let mut config = config(json!({"echo": echo()}), auth(&provider, json!({})));
    let policies = json!({"inline": EVERYTHING});
    let other = |path: &str, auth: serde_json::Value| json!({"path": path, "backends": ["echo"], "conflicts": "none", "auth": auth, "policies": policies});
    let mut behind = auth(&provider, json!({}));
    behind["resource"] = json!("https://public.test/seen/from/outside");
    config["endpoints"]["behind"] = other("/behind", behind);
    let keys = json!({"api_keys": [{"name": "ci", "sha256": "0".repeat(64)}]});
    config["endpoints"]["keys"] = other("/keys", keys);
    config["endpoints"]["open"] = json!({"path": "/open", "backends": ["echo"]});
    let weir = Weir::serve(config);
    let resource = |path: &str| get(&weir, &format!("{WELL_KNOWN}{path}")).json()["resource"].clone();
    assert_eq!(resource("/mcp"), "https://weir.test/mcp");
    for path in ["/behind", "/seen/from/outside"] {
        assert_eq!(resource(path), "https://public.test/seen/from/outside", "{path}");
    }
    for path in ["/keys", "/open"] {
        assert_eq!(get(&weir, &format!("{WELL_KNOWN}{path}")).status, 404, "{path}");
    }
    let first = resource("");
    assert!(
        ["https://weir.test/mcp", "https://public.test/seen/from/outside"]
            .contains(&first.as_str().unwrap_or_default())
    );
    let told = challenge(&ping().send(&weir.endpoint().at("/behind"))).to_owned();
    assert!(
        told.contains("\"https://public.test/.well-known/oauth-protected-resource/seen/from/outside\""),
        "{told}"
    );
}

#[test]
fn clients_hear_of_scopes_that_their_own_issuer_has() {
    let (one, two) = (Provider::start(), Provider::start());
    let mut both = auth(&one, json!({"scopes": ["mcp"]}));
    both["issuers"].as_array_mut().expect("a list").push(json!({
        "issuer": two.issuer(), "private": true, "scopes": ["weir.call"],
    }));
    let weir = Weir::serve(config(json!({"echo": echo()}), both));
    assert_eq!(get(&weir, WELL_KNOWN).json()["scopes_supported"], json!(["mcp", "weir.call"]));
    let nobody = ping().send(&weir.endpoint());
    assert_eq!((nobody.status, challenge(&nobody).contains("scope=")), (401, false));
    for (provider, needed) in [(&one, "mcp"), (&two, "weir.call")] {
        let claims = json!({
            "iss": provider.issuer(), "aud": RESOURCE, "sub": "alice", "scope": "other", "exp": 4_000_000_000_u64,
        });
        let token = provider.sign(json!({"claims": claims}));
        let refused = ping().send(&weir.endpoint().bearing(&token));
        let named = challenge(&refused).ends_with(&format!("scope=\"{needed}\""));
        assert_eq!((refused.status, named), (403, true), "{}", challenge(&refused));
    }
}

#[test]
fn a_reload_changes_it() {
    let bench = Bench::start();
    let mut changed = auth(&bench.provider, json!({"scopes": ["mcp:write"]}));
    changed["resource"] = json!("https://other.test/mcp");
    bench.weir.reconfigure(config(json!({"echo": echo()}), changed));
    bench.weir.hang_up();
    weir_tests::wait::until_true("the document changes", || {
        get(&bench.weir, WELL_KNOWN).json()["resource"] == "https://other.test/mcp"
    });
    assert_eq!(get(&bench.weir, WELL_KNOWN).json()["scopes_supported"], json!(["mcp:write"]));
    bench.weir.reconfigure(weir_tests::weir::config(
        json!({"echo": peers::fixture("echo.py", &["legacy"])}),
        json!({}),
    ));
    bench.weir.hang_up();
    weir_tests::wait::until_true("the document goes", || get(&bench.weir, WELL_KNOWN).status == 404);
}
