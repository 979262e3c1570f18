//! Every value and every key stands where the tree says.

use super::*;
use crate::report::Report;
use proptest::prelude::*;
use std::path::PathBuf;

/// A document before it is written.
#[derive(Debug, Clone)]
enum Draft {
    /// A scalar as it is written, and its text.
    Scalar(String, String),
    List(Vec<Draft>),
    Table(Vec<((String, String), Draft)>),
}

/// A scalar that is written on one line.
fn scalar() -> impl Strategy<Value = (String, String)> {
    prop_oneof![
        "[a-zé世🦀][a-z0-9_é🦀]{0,6}".prop_map(|text| (text.clone(), text)),
        prop_oneof![Just("true"), Just("~"), Just("-7"), Just("1e3"), Just("null")]
            .prop_map(|text| (text.to_owned(), text.to_owned())),
        "[ -~é世🦀\\n\\t]{0,8}".prop_map(|text| (serde_json::to_string(&text).unwrap(), text)),
        "[ -~é世🦀]{0,8}".prop_map(|text| (format!("'{}'", text.replace('\'', "''")), text)),
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let leaf = scalar().prop_map(|(written, text)| Draft::Scalar(written, text));
    leaf.prop_recursive(4, 24, 4, |inner| {
        let entries = prop::collection::vec((scalar(), inner.clone()), 0..4).prop_map(|mut entries| {
            let mut keys = std::collections::BTreeSet::new();
            entries.retain(|((_, text), _)| keys.insert(text.clone()));
            Draft::Table(entries)
        });
        prop_oneof![prop::collection::vec(inner, 0..4).prop_map(Draft::List), entries]
    })
}

/// Writes a value in braces and brackets.
fn flow(draft: &Draft, blank: &str) -> String {
    match draft {
        Draft::Scalar(written, _) => written.clone(),
        Draft::List(items) => {
            let items: Vec<String> =
                items.iter().map(|item| format!("{blank}{}", flow(item, blank))).collect();
            format!("[{}{blank}]", items.join(","))
        }
        Draft::Table(entries) => {
            let entry = |((key, _), value): &((String, String), Draft)| {
                format!("{blank}{key}: {}", flow(value, blank))
            };
            let entries: Vec<String> = entries.iter().map(entry).collect();
            format!("{{{}{blank}}}", entries.join(","))
        }
    }
}

/// Writes a value by indentation; each line begins with its end.
fn block(draft: &Draft, indent: usize) -> String {
    let margin = " ".repeat(indent);
    match draft {
        Draft::List(items) if !items.is_empty() => {
            items.iter().map(|item| format!("\n{margin}-{}", block(item, indent + 2))).collect()
        }
        Draft::Table(entries) if !entries.is_empty() => entries
            .iter()
            .map(|((key, _), value)| format!("\n{margin}{key}:{}", block(value, indent + 1)))
            .collect(),
        other => format!(" {} # comment", flow(other, "")),
    }
}

/// The text of an extent within one line.
fn cut(text: &str, extent: Extent) -> String {
    assert_eq!(extent.start.line, extent.end.line);
    let line = lines(text).nth(extent.start.line - 1).unwrap();
    line.chars().skip(extent.start.column - 1).take(extent.end.column - extent.start.column).collect()
}

/// The node and the draft say the same, and its places are those of the text.
fn compare(text: &str, node: &Node, draft: &Draft) {
    match (&node.value, draft) {
        (Value::Scalar { text: read, plain }, Draft::Scalar(written, meant)) => {
            assert_eq!(read, meant);
            assert_eq!(&cut(text, node.extent), written);
            assert_eq!(*plain, !written.starts_with(['"', '\'']));
        }
        (Value::List(items), Draft::List(drafts)) => {
            assert_eq!(items.len(), drafts.len());
            items.iter().zip(drafts).for_each(|(item, draft)| compare(text, item, draft));
        }
        (Value::Table(entries), Draft::Table(drafts)) => {
            assert_eq!(entries.iter().len(), drafts.len());
            for ((key, value), ((written, meant), draft)) in entries.iter().zip(drafts) {
                assert_eq!(&key.text, meant);
                assert_eq!(&cut(text, key.extent), written);
                assert!(std::ptr::eq(node.get(meant).unwrap().1, value));
                compare(text, value, draft);
            }
        }
        _ => panic!("another kind of value: {}", node.describe()),
    }
}

proptest! {
    #[test]
    fn everything_stands_where_the_tree_says(
        draft in draft(),
        in_block in any::<bool>(),
        blank in prop_oneof![Just(""), Just(" "), Just("\n  ")],
        end in prop_oneof![Just("\n"), Just("\r\n"), Just("\r")],
    ) {
        let text = if in_block { block(&draft, 0) } else { flow(&draft, blank) };
        let text = format!("# é\n{text}\n").replace('\n', end);
        let mut report = Report::new(PathBuf::new());
        let tree = parse(&text, &mut report);
        prop_assert!(!report.has_errors(), "{:?}: {:?}", text, report.render(&text, None).0);
        compare(&text, &tree.unwrap(), &draft);
    }

    #[test]
    fn lines_are_those_of_yaml(text in "[a\\n\\r]{0,12}") {
        let plain = text.replace("\r\n", "\n").replace('\r', "\n");
        prop_assert!(lines(&text).eq(plain.lines()), "{:?}", text);
    }
}

/// With a pass over the line for each value this would take minutes.
#[test]
fn a_long_line_is_read_once() {
    let item = "\"0123456789abcdef\",".repeat(55_000);
    let text = format!("{{\"list\":[{item}'a''b']}}");
    let mut report = Report::new(PathBuf::new());
    let tree = parse(&text, &mut report).unwrap();
    let Value::List(items) = &tree.get("list").unwrap().1.value else { panic!("no list") };
    assert_eq!(items.len(), 55_001);
    assert_eq!(items[55_000].extent.end.column, text.len() - 1);
}
