//! What is said of an endpoint over backends that offer this and that.

use super::endpoint::examine;
use super::{Finding, HiddenBy, Judged, Settled, Severity};
use crate::catalog::Stock;
use std::collections::BTreeMap;
use std::sync::Arc;
use weir_backends::{Features, Inventory};
use weir_config::{Conflicts, Endpoint, Filter, Override};
use weir_protocol::Revision;
use weir_protocol::item::{Item, split};

fn items(json: &str) -> Vec<Item> {
    split(json.as_bytes()).unwrap().into_iter().collect::<Result<_, _>>().unwrap()
}

/// A backend with tools of these names, all with a schema, and these resources.
fn stock(name: &str, tools: &[&str], resources: &[&str]) -> Stock {
    let tool = |name: &&str| format!(r#"{{"name":"{name}","inputSchema":{{"type":"object"}}}}"#);
    let tools: Vec<String> = tools.iter().map(tool).collect();
    let resources: Vec<String> = resources.iter().map(|uri| format!(r#"{{"uri":"{uri}"}}"#)).collect();
    let inventory = Inventory {
        features: Features {
            tools: true,
            prompts: true,
            resources: true,
            ..Features::bare(Revision::LATEST)
        },
        tools: items(&format!("[{}]", tools.join(","))),
        prompts: Vec::new(),
        resources: items(&format!("[{}]", resources.join(","))),
        templates: Vec::new(),
        freshness: [weir_backends::Freshness::STALE; 4],
        faults: Vec::new(),
    };
    Stock { name: name.to_owned(), inventory: Some(Arc::new(inventory)) }
}

fn endpoint(conflicts: Conflicts) -> Endpoint {
    Endpoint { conflicts, ..Endpoint::over("e", "/mcp", ["a", "b"]) }
}

fn texts(patterns: &[&str]) -> Vec<String> {
    patterns.iter().map(|pattern| (*pattern).to_owned()).collect()
}

fn found(spec: &Endpoint, stocks: &[Stock]) -> Vec<Judged> {
    examine(spec, stocks).findings
}

#[test]
fn conflicts_are_judged_by_their_strategy() {
    let stocks = [stock("a", &["x", "y"], &["r:1"]), stock("b", &["y"], &["r:1"])];
    let conflict = |settled| Finding::Conflict {
        list: "tools",
        name: "y".into(),
        backends: texts(&["a", "b"]),
        settled,
    };
    let shared = Judged::note(Finding::Conflict {
        list: "resources",
        name: "r:1".into(),
        backends: texts(&["a", "b"]),
        settled: Settled::First { backend: "a".into() },
    });
    for (strategy, expected, tools) in [
        (Conflicts::Priority, Judged::note(conflict(Settled::First { backend: "a".into() })), 2),
        (Conflicts::None, Judged::warning(conflict(Settled::Refused)), 1),
        (Conflicts::Manual, Judged::error(conflict(Settled::Unresolved)), 1),
    ] {
        let examined = examine(&endpoint(strategy), &stocks);
        assert_eq!(examined.findings, [expected, shared.clone()]);
        assert_eq!((examined.tools, examined.resources), (tools, 1));
    }
    assert_eq!(found(&endpoint(Conflicts::Prefix("{backend}_".into())), &stocks), [shared]);
}

#[test]
fn what_is_hidden_is_told_with_what_hides_it() {
    let mut spec = endpoint(Conflicts::Prefix("{backend}_".into()));
    spec.tools = Filter { allow: texts(&["a_*", "b_x"]), deny: texts(&["*_secret"]) };
    spec.resources.deny = texts(&["file:*"]);
    let hide = Override { hide: true, ..Override::default() };
    spec.tool_overrides = BTreeMap::from([("a".to_owned(), BTreeMap::from([("y".to_owned(), hide)]))]);
    let stocks = [stock("a", &["x", "y", "secret"], &["file:///x", "r:1"]), stock("b", &["x", "z"], &[])];
    let hidden = |list, backend: &str, name: &str, by| {
        Judged::note(Finding::Hidden { list, backend: backend.into(), name: name.into(), by })
    };
    let deny = |pattern: &str| HiddenBy::Deny { pattern: pattern.into() };
    assert_eq!(
        found(&spec, &stocks),
        [
            hidden("tools", "a", "y", HiddenBy::Override),
            hidden("tools", "a", "secret", deny("*_secret")),
            hidden("tools", "b", "z", HiddenBy::Allow),
            hidden("resources", "a", "file:///x", deny("file:*")),
        ]
    );
}

#[test]
fn rules_that_match_nothing_are_told_with_what_was_meant() {
    let mut spec = endpoint(Conflicts::Prefix("{backend}_".into()));
    spec.tools.deny = texts(&["get_time", "a_get_tmie", "c_*"]);
    let change = || Override { title: Some("T".into()), ..Override::default() };
    let changes = ["get_tiem", "a_get_time", "elsewhere"].map(|name| (name.to_owned(), change()));
    spec.tool_overrides = BTreeMap::from([("a".to_owned(), BTreeMap::from(changes))]);
    let override_of = |name: &str, nearest: Option<&str>| {
        let (name, nearest) = (name.to_owned(), nearest.map(str::to_owned));
        Judged::warning(Finding::UnknownOverride { list: "tools", backend: "a".into(), name, nearest })
    };
    let pattern = |pattern: &str, nearest: Option<&str>| {
        let (pattern, nearest) = (pattern.to_owned(), nearest.map(str::to_owned));
        Judged::warning(Finding::UnusedPattern { list: "tools", rule: "deny", pattern, nearest })
    };
    let overrides = [
        override_of("a_get_time", Some("get_time")),
        override_of("elsewhere", None),
        override_of("get_tiem", Some("get_time")),
    ];
    let patterns = [
        pattern("get_time", Some("a_get_time")),
        pattern("a_get_tmie", Some("a_get_time")),
        pattern("c_*", None),
    ];
    let a = stock("a", &["get_time"], &[]);
    assert_eq!(found(&spec, &[a.clone(), stock("b", &[], &[])]), [&overrides[..], &patterns[..]].concat());
    // A backend that did not answer may have what the patterns are for.
    let silent = Stock { name: "b".into(), inventory: None };
    assert_eq!(found(&spec, &[a, silent]), overrides);
}

#[test]
fn items_that_are_of_no_use_are_told() {
    let long = "x".repeat(65);
    let mut a = stock("a", &["x", "x", "two words", &long], &[]);
    if let Some(inventory) = a.inventory.as_mut().map(Arc::make_mut) {
        inventory.tools.extend(items(r#"[{"title":"nameless"},{"name":"bare"}]"#));
        inventory.templates = items(r#"[{"name":"no template"}]"#);
    }
    let findings = found(&endpoint(Conflicts::None), &[a]);
    assert!(findings.iter().all(|judged| judged.severity == Severity::Warning));
    let told: Vec<String> = findings.iter().map(|judged| format!("{:?}", judged.finding)).collect();
    let expected = [
        ("LeftOut", "lists the name twice"),
        ("Name", "other characters"),
        ("Name", "more than 64"),
        ("LeftOut", "it has no name"),
        ("Schema", "no `inputSchema`"),
        ("LeftOut", "it has no URI"),
    ];
    assert_eq!(told.len(), expected.len(), "{told:#?}");
    for (told, (kind, text)) in told.iter().zip(expected) {
        assert!(told.starts_with(kind) && told.contains(text), "{told}");
    }
}
