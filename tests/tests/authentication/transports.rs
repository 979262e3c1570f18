//! Logging in and calling: every transport, either era, clients that find the way by themselves.

use crate::{Bench, EVERYTHING, RESOURCE, config, echo};
use serde_json::{Value, json};
use weir_tests::curl;
use weir_tests::driver::{self, SDKS};
use weir_tests::{Endpoint, Legacy, Modern, Paired, Provider, Request, Speak, Stdio, Weir, peers, weir};

/// What reached the backend of a call.
fn seen(text: &str) -> Value {
    serde_json::from_str(text).expect("the fixture shows JSON")
}

#[test]
fn who_is_known_calls_over_every_transport() {
    let bench = Bench::start();
    let to = bench.endpoint("alice");
    let modern = Modern::new(to.clone());
    assert_eq!(modern.tool_names().len(), 5);
    assert_eq!(seen(modern.call("params", json!({"a": 1})).text())["arguments"], json!({"a": 1}));
    for version in ["2025-03-26", "2025-06-18", "2025-11-25"] {
        let legacy = Legacy::open(to.clone(), version, json!({}));
        assert_eq!(seen(legacy.call("params", json!({"a": 2})).text())["arguments"], json!({"a": 2}));
        assert_eq!(legacy.delete().status, 204);
    }
    let batching = Legacy::open(to.clone(), "2025-03-26", json!({}));
    let one = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "folder"}});
    let other = json!({"jsonrpc": "2.0", "id": 2, "method": "ping"});
    let answers = batching.post(&json!([one, other]).to_string()).json();
    assert_eq!(answers.as_array().map(Vec::len), Some(2), "{answers}");
    assert!(
        answers.as_array().expect("answers").iter().all(|answer| answer.get("result").is_some()),
        "{answers}"
    );
    let mut paired = Paired::new(&to, "2024-11-05");
    let answer = paired.ask("tools/call", json!({"name": "folder"}));
    assert!(answer["result"]["content"].is_array(), "{answer}");
}

#[test]
fn http2_is_asked_too() {
    let bench = Bench::start();
    let to = bench.weir.endpoint();
    let token = format!("authorization: Bearer {}", bench.provider.token("alice", RESOURCE));
    let answered =
        curl::list_tools(&to, &["--http2-prior-knowledge", "--header", &token]).expect("an answer");
    assert_eq!((answered.status, &*answered.version), (200, "2"));
    let refused = curl::list_tools(&to, &["--http2-prior-knowledge"]).expect("an answer");
    assert_eq!((refused.status, &*refused.version), (401, "2"));
}

#[test]
fn what_a_client_shows_never_reaches_a_backend() {
    let bench = Bench::start();
    let token = bench.provider.token("alice", RESOURCE);
    let to = bench.weir.endpoint().bearing(&token);
    for line in [
        Modern::new(to.clone()).call("line", json!({})).text().to_owned(),
        Legacy::new(to.clone()).call("line", json!({})).text().to_owned(),
        Modern::new(to).call("environment", json!({"name": "HTTP_AUTHORIZATION"})).text().to_owned(),
    ] {
        assert!(!line.contains(&token) && !line.contains("eyJ"), "{line}");
    }
    assert!(!bench.weir.log().contains("eyJ"), "nor the log");
}

#[test]
fn whoever_starts_weir_has_shown_enough() {
    let provider = Provider::start();
    let config = config(json!({"echo": echo()}), crate::auth(&provider, json!({})));
    let mut stdio = Stdio::serve(config);
    stdio.initialize("2025-11-25");
    let id = stdio.request("tools/list", json!({}));
    let tools = stdio.answer(&id);
    assert_eq!(tools["result"]["tools"].as_array().map(Vec::len), Some(5), "{tools}");
}

#[test]
fn clients_find_the_way_by_themselves() {
    let provider = Provider::start();
    let port = peers::free_port();
    let mut config = weir::config(
        json!({"echo": echo()}),
        json!({
            "conflicts": "none",
            "auth": {"issuers": [{"issuer": provider.issuer(), "private": true, "scopes": ["mcp"]}]},
            "policies": {"inline": EVERYTHING},
        }),
    );
    // Its clients compare the resource with the URL that they were given.
    config["listener"]["address"] = json!(format!("127.0.0.1:{port}"));
    let weir = Weir::serve(config);
    for sdk in SDKS {
        for mode in ["legacy", "auto"] {
            let report = driver::login(sdk, mode, &weir.url(), "bob");
            assert_eq!(report["tools"].as_array().map(Vec::len), Some(5), "{sdk:?} {mode}: {report}");
            let asked = &report["authorization"];
            assert_eq!(asked["resource"], weir.url(), "{sdk:?} {mode}");
            assert_eq!(asked["code_challenge_method"], "S256");
            let scopes = asked["scope"].as_str().unwrap_or_default();
            assert!(scopes.split(' ').any(|scope| scope == "mcp"), "{sdk:?} {mode}: {scopes}");
            let origin = Endpoint::parse(provider.issuer()).at("").url();
            assert_eq!(report["origin"], origin.trim_end_matches('/'), "{sdk:?} {mode}");
        }
    }
    assert_eq!(Request::post("{}").send(&weir.endpoint()).status, 401, "nobody else got in");
}
