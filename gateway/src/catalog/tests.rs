mod properties;

use super::*;
use std::collections::BTreeMap;
use weir_backends::{Features, Inventory};
use weir_config::{Conflicts, Endpoint, Filter, Override};
use weir_protocol::item::{Item, split};
use weir_protocol::{Era, Revision};

fn items(json: &str) -> Vec<Item> {
    split(json.as_bytes()).unwrap().into_iter().collect::<Result<_, _>>().unwrap()
}

fn stock(name: &str, tools: &[&str], resources: &[&str], templates: &[&str]) -> Stock {
    let list = |key: &str, names: &[&str]| {
        let items: Vec<String> = names.iter().map(|name| format!(r#"{{"{key}":"{name}"}}"#)).collect();
        items.join(",")
    };
    let inventory = Inventory {
        features: Features {
            tools: true,
            resources: !resources.is_empty() || !templates.is_empty(),
            ..Features::bare(Revision::LATEST_LEGACY)
        },
        tools: items(&format!("[{}]", list("name", tools))),
        prompts: Vec::new(),
        resources: items(&format!("[{}]", list("uri", resources))),
        templates: items(&format!("[{}]", list("uriTemplate", templates))),
        freshness: [weir_backends::Freshness::STALE; 4],
        faults: Vec::new(),
    };
    Stock { name: name.to_owned(), inventory: Some(Arc::new(inventory)) }
}

fn endpoint(conflicts: Conflicts) -> Endpoint {
    let backends = ["a", "b"].map(String::from).to_vec();
    Endpoint { conflicts, ..Endpoint::over("e", "/mcp", backends) }
}

fn names(catalog: &Catalog, list: List) -> Vec<String> {
    catalog.shelf(list).entries.iter().map(|entry| entry.exposed.to_string()).collect()
}

fn two() -> Vec<Stock> {
    vec![
        stock("a", &["x", "y", "x"], &["r:1", "r:2"], &["t:{id}"]),
        stock("b", &["y", "z"], &["r:2", "s:1"], &[]),
    ]
}

#[test]
fn strategies() {
    let (catalog, conflicts) = build(&endpoint(Conflicts::Prefix("{backend}_".into())), &two(), 1).unwrap();
    assert_eq!(names(&catalog, List::Tools), ["a_x", "a_y", "b_y", "b_z"]);
    assert!(conflicts.is_empty());
    let Found::Entry(entry) = catalog.named(List::Tools, "b_y") else { panic!() };
    assert_eq!((entry.backend, &*entry.original, entry.rename.as_deref()), (1, "y", Some(&b"\"y\""[..])));
    assert!(matches!(catalog.named(List::Tools, "y"), Found::Nothing));

    let (catalog, conflicts) = build(&endpoint(Conflicts::Priority), &two(), 1).unwrap();
    assert_eq!(names(&catalog, List::Tools), ["x", "y", "z"]);
    assert_eq!(conflicts[0].to_string(), "tools \"y\" is offered by a, b");
    assert!(matches!(catalog.named(List::Tools, "y"), Found::Entry(Entry { backend: 0, .. })));

    let (catalog, _) = build(&endpoint(Conflicts::None), &two(), 1).unwrap();
    assert_eq!(names(&catalog, List::Tools), ["x", "z"]);
    assert!(matches!(catalog.named(List::Tools, "y"), Found::Ambiguous(backends) if backends == ["a", "b"]));

    assert_eq!(build(&endpoint(Conflicts::Manual), &two(), 1).unwrap_err().len(), 1);
    let mut resolved = endpoint(Conflicts::Manual);
    let change = Override { name: Some("y2".into()), title: Some("T".into()), ..Override::default() };
    resolved.tool_overrides = BTreeMap::from([("b".into(), BTreeMap::from([("y".into(), change)]))]);
    let (catalog, _) = build(&resolved, &two(), 1).unwrap();
    assert_eq!(names(&catalog, List::Tools), ["x", "y", "y2", "z"]);
    assert_eq!(catalog.shelf(List::Tools).entries[2].rendered, r#"{"title":"T","name":"y2"}"#);
}

#[test]
fn filters_and_hiding() {
    let mut spec = endpoint(Conflicts::Prefix("{backend}_".into()));
    spec.tools = Filter { allow: vec!["a_*".into(), "b_z".into()], deny: vec!["*_y".into()] };
    spec.resources = Filter { allow: Vec::new(), deny: vec!["r:2".into(), "t:secret*".into()] };
    let hidden = Override { hide: true, ..Override::default() };
    spec.tool_overrides = BTreeMap::from([("b".into(), BTreeMap::from([("z".into(), hidden)]))]);
    let (catalog, _) = build(&spec, &two(), 1).unwrap();
    assert_eq!(names(&catalog, List::Tools), ["a_x"]);
    assert_eq!(names(&catalog, List::Resources), ["r:1", "s:1"]);
    assert!(
        matches!(catalog.resource("r:2"), Found::Nothing),
        "a denied URI is not reached by its scheme either"
    );
    assert!(matches!(catalog.resource("t:secret/1"), Found::Nothing));
    assert!(matches!(catalog.resource("T:%73ecret"), Found::Nothing), "however it is written");
    assert!(matches!(catalog.resource("t:7"), Found::Owner(0)));
}

#[test]
fn no_spelling_gets_around_a_filter() {
    let mut spec = endpoint(Conflicts::Priority);
    let denied = ["file:///secret/**", "file:///my%20docs/**", "file:///a(b)/*"];
    spec.resources = Filter { allow: Vec::new(), deny: denied.map(String::from).to_vec() };
    let stocks = vec![stock("a", &[], &[], &["file:///{+path}"]), stock("b", &["x"], &[], &[])];
    let (catalog, _) = build(&spec, &stocks, 1).unwrap();
    for uri in [
        "file:///secret/a",
        "file:/secret/a",
        "file://localhost/secret/a",
        "file:////secret/a",
        "FILE:///public/../secret/a",
        "file:///%73ecret/a",
        "file:///secret/a?x",
        "file:///my docs/a",
        "file:///my%20docs/a",
        "file:///a%28b%29/c",
        "file:///secret%2fa",
        "file://elsewhere/secret/a",
    ] {
        assert!(matches!(catalog.resource(uri), Found::Nothing), "{uri}");
    }
    assert!(matches!(catalog.resource("file:///public/a%20b"), Found::Owner(0)));
    spec.resources = Filter { allow: vec!["file:///public/*".into()], deny: Vec::new() };
    let (catalog, _) = build(&spec, &stocks, 1).unwrap();
    assert!(matches!(catalog.resource("file:///public/../secret/a"), Found::Nothing));
    spec.resources = Filter::default();
    let (catalog, _) = build(&spec, &stocks, 1).unwrap();
    let odd = catalog.resource("file:////odd//a");
    assert!(matches!(odd, Found::Owner(0)), "nothing is filtered, nothing is judged");
}

#[test]
fn resources_route_by_owner_template_and_scheme() {
    let mut spec = endpoint(Conflicts::Priority);
    let owner = |catalog: &Catalog, uri: &str| match catalog.resource(uri) {
        Found::Entry(entry) => Some(entry.backend),
        Found::Owner(owner) => Some(owner),
        _ => None,
    };
    let (catalog, _) = build(&spec, &two(), 1).unwrap();
    let table = [
        ("r:1", Some(0)),
        ("r:2", Some(0)),
        ("s:1", Some(1)),
        ("t:9", Some(0)),
        ("s:9", Some(1)),
        ("u:1", None),
    ];
    for (uri, expected) in table {
        assert_eq!(owner(&catalog, uri), expected, "{uri}");
    }
    spec.resource_order = vec!["b".into()];
    let (catalog, _) = build(&spec, &two(), 1).unwrap();
    assert_eq!(owner(&catalog, "r:2"), Some(1));
    assert_eq!(
        names(&catalog, List::Resources),
        ["r:1", "r:2", "s:1"],
        "one of each, in the backends' order"
    );
    let alone = vec![stock("a", &[], &["r:1"], &[]), stock("b", &["x"], &[], &[])];
    let (catalog, _) = build(&spec, &alone, 1).unwrap();
    assert_eq!(owner(&catalog, "other:1"), Some(0), "only one backend has resources");
}

#[test]
fn every_page_size_shows_every_item_once() {
    let many: Vec<String> = (0..23).map(|at| format!("t{at}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for page_size in [1, 2, 5, 22, 23, 24, 1000] {
        let spec = Endpoint { page_size, ..endpoint(Conflicts::Priority) };
        let (catalog, _) = build(&spec, &[stock("a", &many, &[], &[])], 1).unwrap();
        let (mut seen, mut at) = (Vec::new(), Some(0));
        while let Some(first) = at {
            let page = catalog.shelf(List::Tools).whole().at(first).unwrap();
            let body = format!("{}}}", std::str::from_utf8(page.body(Era::Modern)).unwrap());
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            seen.extend(
                body["tools"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|tool| tool["name"].as_str().unwrap().to_owned()),
            );
            at = page.next;
        }
        assert_eq!(seen, many, "page size {page_size}");
        assert!(catalog.shelf(List::Tools).whole().at(1).is_none() || page_size == 1);
        assert_eq!(
            catalog.shelf(List::Prompts).whole().at(0).unwrap().body(Era::Modern),
            &r#"{"prompts":[]"#
        );
    }
}

proptest::proptest! {
    /// Whoever sees some of a list gets just that, in its order, page by page; and from any place on what is left of it.
    #[test]
    fn pages_of_what_is_visible_hold_it_once(
        seen in proptest::collection::vec(proptest::bool::ANY, 0..40),
        page_size in 1usize..9,
        from in 0usize..45,
    ) {
        let names: Vec<String> = (0..seen.len()).map(|at| format!("t{at}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let spec = Endpoint { page_size, ..endpoint(Conflicts::Priority) };
        let (catalog, _) = build(&spec, &[stock("a", &all, &[], &[])], 1).unwrap();
        let shelf = catalog.shelf(List::Tools);
        let visible = Visible::of(seen.len(), |at| seen[at]);
        let wanted = |from: usize| -> Vec<&str> {
            all.iter().enumerate().filter(|(at, _)| *at >= from && seen[*at]).map(|(_, name)| *name).collect()
        };
        let read = |page: &Page| -> Vec<String> {
            let body = format!("{}}}", std::str::from_utf8(page.body(Era::Modern)).unwrap());
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let tools = body["tools"].as_array().unwrap();
            assert!(tools.len() <= page_size);
            tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
        };
        let pages = shelf.pages_of(&visible);
        let (mut whole, mut at) = (Vec::new(), Some(0));
        while let Some(first) = at {
            let page = pages.at(first).expect("each page leads to one");
            whole.extend(read(page));
            at = page.next;
        }
        proptest::prop_assert_eq!(&whole, &wanted(0));
        let (mut rest, mut at) = (Vec::new(), Some(from).filter(|from| *from < seen.len()));
        while let Some(first) = at {
            let page = shelf.page_from(&visible, first).expect("there is something");
            rest.extend(read(&page));
            at = page.next;
        }
        proptest::prop_assert_eq!(&rest, &wanted(from.min(seen.len())));
    }
}

#[test]
fn only_real_differences_count() {
    let spec = endpoint(Conflicts::Priority);
    let (first, _) = build(&spec, &two(), 1).unwrap();
    let (same, _) = build(&spec, &two(), 2).unwrap();
    assert!(same.differences(&first).is_empty());
    let mut changed = two();
    changed[1] = stock("b", &["y", "q"], &["r:2", "s:1"], &[]);
    let (other, _) = build(&spec, &changed, 3).unwrap();
    assert_eq!(other.differences(&first), [List::Tools]);
}

#[test]
fn overrides_reach_the_item_they_name_and_no_other() {
    let spec = weir_config::ParameterOverride { hide: true, ..weir_config::ParameterOverride::default() };
    let change = Override { parameters: BTreeMap::from([("p".into(), spec)]), ..Override::default() };
    let mut endpoint = endpoint(Conflicts::Priority);
    endpoint.tool_overrides = BTreeMap::from([("b".into(), BTreeMap::from([("z".into(), change)]))]);
    let (catalog, conflicts) = build(&endpoint, &two(), 1).unwrap();
    assert_eq!(conflicts.len(), 1);
    let changed = |name: &str| match catalog.named(List::Tools, name) {
        Found::Entry(entry) => entry.parameters.is_some(),
        _ => panic!("{name} is there"),
    };
    assert_eq!(["x", "y", "z"].map(changed), [false, false, true]);
    assert_eq!(catalog.unfit.len(), 1);
    assert_eq!(catalog.unfit[0].to_string(), "tools \"z\" of b: it has no parameter `p`");
}

#[test]
fn no_spelling_gets_around_a_filter_where_uris_have_a_prefix() {
    let mut spec = endpoint(Conflicts::Priority);
    spec.resource_uris = weir_config::Uris::Prefix;
    spec.resources =
        Filter { allow: Vec::new(), deny: vec!["file:///secret/**".into(), "weir+b:n:*".into()] };
    let stocks = vec![stock("a", &[], &["n:1"], &["file:///{+path}"]), stock("b", &[], &["n:1", "n:2"], &[])];
    let (catalog, _) = build(&spec, &stocks, 1).unwrap();
    assert_eq!(names(&catalog, List::Resources), ["weir+a:n:1"]);
    for uri in [
        "file:///secret/a",
        "weir+a:file:///secret/a",
        "WEIR+A:FILE:///public/../%73ecret/a",
        "weir+b:file:/secret/a",
        "weir+a:weir+x:file:///secret/a",
        "weir+x:file:///secret/a",
        "weir+b:n:1",
        "weir+b:N:1",
        "Weir+B:n:%32",
        "n:2",
    ] {
        let found = catalog.resource(uri);
        // The scheme `n` is first listed by a, which may know n:2; what b has of it stays out of reach.
        let allowed = uri == "n:2" && matches!(found, Found::Owner(0));
        assert!(matches!(found, Found::Nothing) || allowed, "{uri}: {found:?}");
    }
    assert!(matches!(catalog.resource("weir+a:file:///public/a"), Found::Owner(0)));
    assert!(matches!(catalog.resource("n:1"), Found::Entry(Entry { backend: 0, .. })));
    spec.resources = Filter { allow: vec!["weir+a:*".into()], deny: Vec::new() };
    let (catalog, _) = build(&spec, &stocks, 1).unwrap();
    assert!(matches!(catalog.resource("weir+a:file:///public/a"), Found::Owner(0)));
    assert!(matches!(catalog.resource("weir+b:n:1"), Found::Nothing));
}

#[test]
fn the_interface_of_a_tool_is_its_backends_also_where_it_is_not_listed() {
    let mut stocks = two();
    for (stock, uri) in stocks.iter_mut().zip(["ui://a", "ui://b"]) {
        let mut inventory = (**stock.inventory.as_ref().unwrap()).clone();
        let tool = |name: &str, uri: &str| {
            format!(r#"{{"name":"{name}","_meta":{{"ui":{{"resourceUri":"{uri}"}}}}}}"#)
        };
        let tools = [tool(&format!("{}1", stock.name), uri), tool(&format!("{}2", stock.name), "ui://both")];
        inventory.tools = items(&format!("[{}]", tools.join(",")));
        stock.inventory = Some(Arc::new(inventory));
    }
    let mut spec = endpoint(Conflicts::Priority);
    spec.resource_order = vec!["b".to_owned()];
    let owner = |spec: &Endpoint, uri: &str| match build(spec, &stocks, 1).unwrap().0.resource(uri) {
        Found::Owner(owner) => Some(owner),
        _ => None,
    };
    assert_eq!(
        ["ui://a", "ui://b", "ui://both", "ui://c"].map(|uri| owner(&spec, uri)),
        [Some(0), Some(1), Some(1), None]
    );
    spec.resources = Filter { allow: Vec::new(), deny: vec!["ui://a".into()] };
    assert_eq!(owner(&spec, "ui://a"), None, "hiding it is the operator's choice");
    spec.resources = Filter::default();
    spec.tools = Filter { allow: Vec::new(), deny: vec!["b1".into()] };
    assert_eq!(owner(&spec, "ui://b"), None, "nobody is shown a tool that has it");
}
