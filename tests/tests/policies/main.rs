//! What callers may do: every way to an item is decided, and lists show what their reader may use.

mod calls;
mod lists;
mod reload;
mod resources;
mod tricks;
mod trying;
mod who;

use serde_json::{Value, json};
use weir_tests::http::Response;
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Speak, Weir, peers};

/// The eras that a server may speak.
const ERAS: [&str; 2] = ["legacy", "modern"];

/// A key of `alice`, who is in the group `readers` and has the scope `mcp`.
const ALICE: &str = "weir_alice-0123456789abcdef0123456789abcdef";
/// A key of `bob`, who is in the group `writers`.
const BOB: &str = "weir_bob-0123456789abcdef0123456789abcdef00";
/// A key of `root`, who is in both.
const ROOT: &str = "weir_root-0123456789abcdef0123456789abcdef0";

/// Policies under which `root` may do everything, and the others what the rest says.
const ROOT_MAY: &str =
    "@id(\"root\") permit(principal, action, resource) when { principal.sub == \"root\" };\n";

/// How callers prove who they are.
fn auth() -> Value {
    json!({"api_keys": [
        {
            "name": "alice", "groups": ["readers"], "scopes": ["mcp"],
            "sha256": "427287bd859f2360f63ede489d1aac11dc30b769cd9ff3707b41346e616f5147",
        },
        {
            "name": "bob", "groups": ["writers"],
            "sha256": "f49e610e874e66bdedcae391c51a5cb2e6b38d53f3847f1c5f3979b2048fb6df",
        },
        {
            "name": "root", "groups": ["readers", "writers"],
            "sha256": "71a05d4693977ec31f837880bb155fe9f643af34cb1ca38a4e76818181d49254",
        },
    ]})
}

/// An endpoint over the backend `one`, which speaks `era`, where these policies decide. `more` adds members to the endpoint.
fn guarded(era: &str, policies: &str, more: Value) -> Value {
    let mut endpoint = json!({"auth": auth(), "policies": {"inline": format!("{ROOT_MAY}{policies}")}});
    for (key, value) in more.as_object().into_iter().flatten() {
        endpoint[key] = value.clone();
    }
    config(json!({"one": peers::fixture("guarded.py", &[era])}), endpoint)
}

fn legacy(weir: &Weir, key: &str) -> Legacy {
    Legacy::new(weir.endpoint().bearing(key))
}

fn modern(weir: &Weir, key: &str) -> Modern {
    Modern::new(weir.endpoint().bearing(key))
}

/// The holder of a key as a client of either era.
fn clients(weir: &Weir, key: &str) -> [Box<dyn Speak>; 2] {
    [Box::new(legacy(weir, key)), Box::new(modern(weir, key))]
}

/// What reached the server since it was asked that last, by whomever.
fn seen(weir: &Weir) -> Value {
    serde_json::from_str(modern(weir, ROOT).call("one_seen", json!({})).text()).expect("JSON")
}

/// The whole answer to a request, but for when it was sent and for `name`.
fn anonymous(response: &Response, name: &str) -> (u16, Vec<(String, String)>, String) {
    let headers = response.headers.iter().filter(|(name, _)| name != "date").cloned().collect();
    (response.status, headers, response.text().replace(name, "NAME"))
}

/// Whether a request for what is there and one for what is not have the same answer, byte for byte. Both names are equally
/// long.
fn looks_unknown(
    client: &dyn Speak,
    weir: &Weir,
    key: &str,
    method: &str,
    params: impl Fn(&str) -> Value,
    there: &str,
) {
    let nowhere: String = there.chars().rev().collect();
    assert_ne!(nowhere, there);
    let to = weir.endpoint().bearing(key);
    let [denied, unknown] = [there, &nowhere].map(|name| {
        let (request, id) = client.prepare(method, params(name));
        // Both requests have one id.
        let answer = request.rewrite(&format!("\"id\":{id}"), "\"id\":7").send(&to);
        anonymous(&answer, name)
    });
    assert_eq!(denied, unknown, "{method} of {there}");
    assert!(denied.2.contains("\"error\""), "{}", denied.2);
}

fn uris(items: &[Value], key: &str) -> Vec<String> {
    items.iter().map(|item| item[key].as_str().expect("a URI").to_owned()).collect()
}
