//! Resources that a caller may not read, by every other spelling of their URIs.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALICE, MALLORY, RESOURCE, Stage, by, keys, request, wait_for_lists};
use serde_json::{Value, json};
use weir_tests::{Endpoint, Request, modern};

/// Everybody may read all but what is secret.
const LOOSE: &str = r#"
    permit(principal, action, resource);
    forbid(principal, action, resource is Resource) when {
        resource.uri like "file:///srv/secret*" || resource.uri like "doc://secret.test/*"
            || resource.uri like "https://files.test/secret*"
    } unless { principal.groups.contains("developers") };
"#;

/// Nobody may read but what is open.
const TIGHT: &str = r#"
    permit(principal, action, resource) when { principal.groups.contains("developers") };
    permit(principal, action == Action::"call_tool", resource);
    permit(principal, action, resource is Resource) when {
        resource.uri like "file:///srv/open*" || resource.uri like "doc://open.test/*"
            || resource.uri like "https://files.test/open/*"
    };
"#;

/// Spellings of what is secret, under either kind of policy.
const SECRET: [&str; 46] = [
    "FILE:///srv/secret.txt",
    "File:///srv/secret.txt",
    "file:/srv/secret.txt",
    "file:srv/secret.txt",
    "file://localhost/srv/secret.txt",
    "file://LOCALHOST/srv/secret.txt",
    "file://127.0.0.1/srv/secret.txt",
    "file:////srv/secret.txt",
    "file:///srv//secret.txt",
    "file:///srv/./secret.txt",
    "file:///srv/open/../secret.txt",
    "file:///srv/open.txt/../secret.txt",
    "file:///srv/open/..%2fsecret.txt",
    "file:///srv/open%2f..%2fsecret.txt",
    "file:///srv/open/%2e%2e/secret.txt",
    "file:///srv/open/%2E./secret.txt",
    "file:///srv/open/..%5csecret.txt",
    "file:///srv/open\\..\\secret.txt",
    "file:///../srv/secret.txt",
    "file:///srv/%73ecret.txt",
    "file:///srv/%73%65%63%72%65%74.txt",
    "file:///%73rv/secret.txt",
    "file:///srv/secret%2Etxt",
    "file:///srv/secret.txt%00",
    "file:///srv/secret.txt\u{0}",
    "file:///srv/secret.txt?open",
    "file:///srv/secret.txt#open",
    "file:///srv/secret.txt/",
    "file:///srv/secret.txt/.",
    "file:///srv/x/../secret.txt",
    "doc://SECRET.test/a",
    "doc://secret.TEST/a",
    "DOC://secret.test/a",
    "doc://secret%2Etest/a",
    "doc://secret.test/./a",
    "doc://secret.test/b/../a",
    "doc://open.test/../secret.test/a",
    "doc://open.test/made/../../secret.test/a",
    "doc://secret.test/%61",
    "doc://secret.test:/a",
    "https://files.test:443/secret/a",
    "https://FILES.test/secret/a",
    "https://files.test./secret/a",
    "https://user@files.test/secret/a",
    "https://files.test/open/../secret/a",
    "https://files.test//secret/a",
];

fn read(uri: &str) -> Request {
    request_of("resources/read", uri)
}

/// A request whose URI stands in it as it is, and in the header in the form that the revision has for it.
fn request_of(method: &str, uri: &str) -> Request {
    let request = request(method, json!({"uri": uri}));
    let plain = uri.bytes().all(|byte| (0x20..0x7f).contains(&byte));
    if plain { request } else { request.replace("mcp-name", Some(&crate::names::encoded(uri))) }
}

fn complete(uri: &str) -> Request {
    let argument = json!({"name": "id", "value": "a"});
    request("completion/complete", json!({"ref": {"type": "ref/resource", "uri": uri}, "argument": argument}))
}

fn stage(policies: &str, uris: &str) -> Stage {
    let stage = Stage::new(json!({
        "auth": {"resource": RESOURCE, "api_keys": keys()},
        "policies": {"inline": policies},
        "conflicts": "priority",
        "resources": {"uris": uris},
    }));
    wait_for_lists(&stage.weir.endpoint(), MALLORY);
    stage
}

/// The attacks on a stage whose clients see URIs as `shown` writes them.
fn cases(to: &Endpoint, policies: &str, shown: &dyn Fn(&str) -> String) -> Vec<Attack> {
    let mut cases = Vec::new();
    // Under the loose policies what nobody lists may be read, and is left to its server.
    let unknown = || if policies == TIGHT { Fate::Unknown } else { Fate::Failed };
    let pass = |name: String, who: &str, request: Request| attack(name, to, by(who, request), Fate::Passes);
    for uri in ["doc://open.test/a", "file:///srv/open.txt", "doc://open.test/made/1"] {
        cases.push(pass(format!("mallory reads {uri}"), MALLORY, read(&shown(uri))));
    }
    cases.push(pass("alice reads what is secret".to_owned(), ALICE, read(&shown("file:///srv/secret.txt"))));
    cases.push(pass("completion".to_owned(), MALLORY, complete(&shown("doc://open.test/made/{id}"))));
    let refused = |name: String, request: Request, fate: Fate| attack(name, to, by(MALLORY, request), fate);
    for uri in [
        "file:///srv/secret.txt",
        "doc://secret.test/a",
        "doc://secret.test/made/1",
        "https://files.test/secret/a",
    ] {
        cases.push(refused(format!("reading {uri}"), read(&shown(uri)), unknown()));
    }
    for uri in ["doc://secret.test/made/{id}", "doc://secret.test/a"] {
        cases.push(refused(format!("completion of {uri}"), complete(&shown(uri)), unknown()));
    }
    for uri in SECRET {
        cases.push(refused(format!("reading {uri:?}"), read(&shown(uri)), Fate::Failed));
    }
    for uri in [
        "doc://SECRET.test/made/{id}",
        "DOC://SECRET.test/loud/{id}",
        "doc://secret.test/made/%7Bid%7D",
        "doc://secret.test/./made/{id}",
    ] {
        cases.push(refused(format!("completion of {uri}"), complete(&shown(uri)), Fate::Failed));
    }
    // With the backend before URIs, one more says that the server is a weir as well, whose URIs are its own.
    let wraps = shown("x:").starts_with("weir+");
    let known =
        ["weir+main:", "WEIR+MAIN:", "weir+other:", "weir+main:weir+main:"].into_iter().filter(|_| !wraps);
    for prefix in known.chain(["weir+nobody:", "weir:", "main:", "weir+ma\u{131}n:"]) {
        let uri = format!("{prefix}{}", shown("file:///srv/secret.txt"));
        cases.push(refused(format!("reading {uri}"), read(&uri), Fate::Failed));
    }
    let (open, secret) = (shown("file:///srv/open.txt"), shown("file:///srv/secret.txt"));
    let meta = modern::with_meta(json!({}), &json!({}))["_meta"].to_string();
    for (name, members) in [
        ("`uri` twice", format!(r#""uri":"{open}","uri":"{secret}""#)),
        ("`uri` twice, once in escapes", format!(r#""uri":"{open}","\u0075ri":"{secret}""#)),
        ("`URI` beside `uri`", format!(r#""uri":"{open}","URI":"{secret}""#)),
    ] {
        let body = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{{{members},"_meta":{meta}}}}}"#
        );
        cases.push(refused(
            name.to_owned(),
            modern::post(&body, "resources/read", Some(&open)),
            Fate::Failed,
        ));
    }
    let mismatch = read(&secret).replace("mcp-name", Some(&open));
    cases.push(refused("Mcp-Name of an open one".to_owned(), mismatch, Fate::Refused(400, Some(-32020))));
    let reference = format!(
        r#"{{"type":"ref/resource","uri":"{}","uri":"{secret}"}}"#,
        shown("doc://open.test/made/{id}")
    );
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"completion/complete","params":{{"ref":{reference},"argument":{{"name":"id","value":"a"}},"_meta":{meta}}}}}"#
    );
    cases.push(refused(
        "two URIs to complete".to_owned(),
        modern::post(&body, "completion/complete", None),
        Fate::Failed,
    ));
    cases
}

/// What a stream of announcements is opened for.
fn watched(to: &Endpoint, who: &str, uris: &[&str]) -> Value {
    let wanted = json!({"toolsListChanged": true, "resourceSubscriptions": uris});
    let listen = by(who, request("subscriptions/listen", json!({"notifications": wanted})));
    let mut events = listen.open(to).events();
    events.message()["params"]["notifications"]["resourceSubscriptions"].clone()
}

fn attempt(policies: &str, uris: &str, shown: &dyn Fn(&str) -> String) {
    let stage = stage(policies, uris);
    let to = stage.weir.endpoint();
    run(&stage, &cases(&to, policies, shown), 62);
    for method in ["resources/list", "resources/templates/list"] {
        let listed = |key: &str| by(key, request(method, json!({}))).send(&to).text();
        let (seen, all) = (listed(MALLORY), listed(ALICE));
        assert!(!seen.contains("secret") && seen.contains("open"), "{method}: {seen}");
        assert!(all.contains("secret"), "{method}: {all}");
    }
    let before = stage.executed();
    for uri in SECRET.into_iter().chain(["file:///srv/secret.txt", "doc://secret.test/made/1"]) {
        let told = watched(&to, MALLORY, &[&shown(uri)]);
        assert!(told.as_array().is_none_or(Vec::is_empty), "{uri:?} is watched: {told}");
    }
    assert_eq!(stage.executed(), before, "no server was asked to announce what is secret");
    let both = [shown("doc://open.test/a"), shown("doc://secret.test/a")];
    let told = watched(&to, MALLORY, &both.each_ref().map(String::as_str));
    assert_eq!(told, json!([both[0]]), "only what may be watched");
    let secret = stage.reached().iter().filter(|request| request.text().contains("secret")).count();
    assert_eq!(secret, 1, "only what alice read");
}

#[test]
fn what_is_forbidden_is_so_in_every_spelling() {
    attempt(LOOSE, "keep", &|uri| uri.to_owned());
}

#[test]
fn what_is_not_permitted_is_in_no_spelling() {
    attempt(TIGHT, "keep", &|uri| uri.to_owned());
}

#[test]
fn what_is_forbidden_is_so_with_the_backend_before_it() {
    attempt(LOOSE, "prefix", &|uri| format!("weir+main:{uri}"));
}
