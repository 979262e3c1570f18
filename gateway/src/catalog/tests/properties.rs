//! What holds for every catalog, whatever the backends offer and however the endpoint is configured.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;
use weir_config::Uris;

fn offers() -> impl Strategy<Value = Vec<Stock>> {
    let one_of =
        |items: &'static [&'static str]| proptest::collection::vec(proptest::sample::select(items), 0..5);
    let tools = one_of(&["x", "y", "z", "b_x", "x_b"]);
    let resources = one_of(&["r:1", "r:2", "s:1", "weir+a:r:1"]);
    let templates = one_of(&["t:{id}", "r:{id}"]);
    let backend = |name: &'static str| {
        (any::<bool>(), tools.clone(), resources.clone(), templates.clone()).prop_map(
            move |(known, tools, resources, templates)| {
                let stock = stock(name, &tools, &resources, &templates);
                if known { stock } else { Stock { inventory: None, ..stock } }
            },
        )
    };
    (backend("a"), backend("b"), backend("c")).prop_map(|(a, b, c)| vec![a, b, c])
}

fn specs() -> impl Strategy<Value = Endpoint> {
    let conflicts = prop_oneof![
        Just(Conflicts::Prefix("{backend}_".into())),
        Just(Conflicts::Priority),
        Just(Conflicts::None),
    ];
    let uris = prop_oneof![Just(Uris::Keep), Just(Uris::Prefix)];
    let order = Just(["a", "b", "c"].map(String::from).to_vec()).prop_shuffle();
    let renamed = proptest::option::of(proptest::sample::select(&["x", "y", "new"][..]));
    (conflicts, uris, order, renamed, 1..6_usize).prop_map(
        |(conflicts, resource_uris, order, renamed, page_size)| {
            let change = |name: &str| Override { name: Some(name.into()), ..Override::default() };
            let overrides = renamed.map(|name| ("b".into(), BTreeMap::from([("z".into(), change(name))])));
            Endpoint {
                conflicts,
                resource_uris,
                resource_order: order,
                page_size,
                tool_overrides: overrides.into_iter().collect(),
                ..Endpoint::over("e", "/mcp", ["a", "b", "c"])
            }
        },
    )
}

/// All pages of a list, one after the other.
fn paged(catalog: &Catalog, list: List) -> Vec<serde_json::Value> {
    let (mut seen, mut at) = (Vec::new(), Some(0));
    while let Some(first) = at {
        let page = catalog.shelf(list).whole().at(first).unwrap();
        let body = format!("{}}}", std::str::from_utf8(page.body(View::Modern)).unwrap());
        let body: serde_json::Value = serde_json::from_str(&body).unwrap();
        seen.extend(body[list.key()].as_array().unwrap().iter().cloned());
        at = page.next;
    }
    seen
}

fn key(list: List) -> &'static str {
    match list {
        List::Tools | List::Prompts => "name",
        List::Resources => "uri",
        List::Templates => "uriTemplate",
    }
}

proptest! {
    /// The last catalog knows what is offered, not in which order that was learnt.
    #[test]
    fn the_order_of_arrival_changes_nothing(
        spec in specs(),
        stocks in offers(),
        arrivals in Just([0_usize, 1, 2]).prop_shuffle(),
    ) {
        let (expected, conflicts) = build(&spec, &stocks, 1).unwrap();
        let mut known: Vec<Stock> = stocks.iter().map(|stock| Stock { inventory: None, ..stock.clone() }).collect();
        let mut last = None;
        for at in arrivals {
            known[at] = stocks[at].clone();
            last = Some(build(&spec, &known, 1).unwrap());
        }
        let (catalog, told) = last.unwrap();
        prop_assert!(catalog.differences(&expected).is_empty());
        prop_assert_eq!(told, conflicts);
        for uri in ["r:1", "r:9", "t:1", "s:9", "weir+b:r:1", "weir+a:q:1", "u:1"] {
            prop_assert_eq!(format!("{:?}", catalog.resource(uri)), format!("{:?}", expected.resource(uri)));
        }
    }

    /// What clients see leads to one item of one backend, and to no two of them by two names.
    #[test]
    fn names_and_items_belong_together(spec in specs(), stocks in offers()) {
        let (catalog, _) = build(&spec, &stocks, 1).unwrap();
        for list in List::ALL {
            let entries = &catalog.shelf(list).entries;
            let exposed: HashSet<&str> = entries.iter().map(|entry| &*entry.exposed).collect();
            let originals: HashSet<_> = entries.iter().map(|entry| (entry.backend, &*entry.original)).collect();
            prop_assert_eq!((exposed.len(), originals.len()), (entries.len(), entries.len()));
            for entry in entries {
                let found = match list {
                    List::Tools | List::Prompts => catalog.named(list, &entry.exposed),
                    List::Resources => catalog.resource(&entry.exposed),
                    List::Templates => catalog.template(&entry.exposed),
                };
                let Found::Entry(found) = found else { panic!("{} is not found", entry.exposed) };
                prop_assert_eq!((found.backend, &found.original), (entry.backend, &entry.original));
                if matches!(list, List::Resources | List::Templates) && spec.resource_uris == Uris::Prefix {
                    prop_assert_eq!(catalog.original_uri(&entry.exposed), Some((entry.backend, &*entry.original)));
                    prop_assert_eq!(catalog.exposed_uri(entry.backend, &entry.original), &*entry.exposed);
                }
            }
        }
    }

    /// Every page size shows every item once, in the order of the list.
    #[test]
    fn pages_hold_every_item_once(spec in specs(), stocks in offers()) {
        let (catalog, _) = build(&spec, &stocks, 1).unwrap();
        for list in List::ALL {
            let seen: Vec<String> = paged(&catalog, list)
                .iter()
                .map(|item| item[key(list)].as_str().unwrap().to_owned())
                .collect();
            prop_assert_eq!(seen, names(&catalog, list));
        }
    }
}
