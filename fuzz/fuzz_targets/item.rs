//! Items of lists: taken apart, changed and put together, they read as their edited trees would.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use weir_fuzz::tree::means;
use weir_fuzz::{Dice, Tree};
use weir_protocol::item::{Item, ItemChange, split};
use weir_protocol::{json, list};

fuzz_target!(|array: &[u8]| {
    let Ok(items) = split(array) else {
        return;
    };
    let Some(Tree::List(trees)) = Tree::parse(array) else {
        return;
    };
    assert_eq!(items.len(), trees.len());
    let mut dice = Dice::of(array);
    let mut rendered: Vec<Bytes> = Vec::new();
    let mut expected = Vec::new();
    for (item, mut tree) in items.into_iter().zip(trees) {
        let Ok(item) = item else {
            continue;
        };
        let _ = (item.name(), item.uri(), item.uri_template());
        let change = any_change(&mut dice);
        rendered.push(item.changed(&change));
        if change == ItemChange::default() {
            assert_eq!(rendered.last(), Some(&item.raw));
        }
        edit(&mut tree, &change);
        if let Some((key, value)) = change.annotations.last() {
            let changed = Item::parse(rendered[rendered.len() - 1].clone()).expect("it is still an item");
            assert_eq!(changed.has_hint(key), value == "true");
        }
        expected.push(tree);
    }
    let page = list::write_page("tools", rendered.iter().map(|item| &item[..]));
    let page = [&page[..], b"}"].concat();
    assert_eq!(
        Tree::parse(&page).expect("it is hardly deeper").get("tools"),
        Some(&mut Tree::List(expected))
    );
});

fn any_change(dice: &mut Dice) -> ItemChange {
    let mut text = || dice.flip().then(|| dice.pick(&["n", "a\"b\\", "", "世界\n", "{name}"]).to_owned());
    let (name, title, description) = (text(), text(), text());
    let annotations = match dice.roll(4) {
        0 => vec![],
        1 => vec![("readOnlyHint".to_owned(), "true".to_owned())],
        2 => vec![("idempotentHint".to_owned(), "false".to_owned()), ("x\"y".to_owned(), "1".to_owned())],
        _ => vec![("title".to_owned(), "\"T\"".to_owned()), ("readOnlyHint".to_owned(), "false".to_owned())],
    };
    ItemChange { name, title, description, annotations, ..ItemChange::default() }
}

/// The edits of `change` on the tree.
fn edit(tree: &mut Tree, change: &ItemChange) {
    let mut added = Vec::new();
    let quoted = |text: &str| Tree::Scalar(String::from_utf8(json::string(text)).expect("it is text"));
    let strings = [("name", &change.name), ("title", &change.title), ("description", &change.description)];
    for (key, value) in strings {
        let Some(value) = value else {
            continue;
        };
        match tree.get(key) {
            Some(old) => *old = quoted(value),
            None => added.push((key, quoted(value))),
        }
    }
    if !change.annotations.is_empty() {
        let mut merged = match tree.get("annotations") {
            Some(Tree::Object(members)) => members.clone(),
            _ => Vec::new(),
        };
        for (key, value) in &change.annotations {
            let first = merged.iter().position(|(present, _)| means(present, key));
            let mut at = 0;
            // Of a key that is there twice, one is left: readers differ in which they believe.
            merged.retain(|(present, _)| {
                at += 1;
                !means(present, key) || Some(at - 1) == first
            });
            match first {
                Some(first) => merged[first].1 = Tree::scalar(value),
                None => merged
                    .push((String::from_utf8(json::string(key)).expect("it is text"), Tree::scalar(value))),
            }
        }
        match tree.get("annotations") {
            Some(old) => *old = Tree::Object(merged),
            None => added.push(("annotations", Tree::Object(merged))),
        }
    }
    tree.prepend(added);
}
