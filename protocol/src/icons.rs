//! Icons of items as `data:` URIs.
//!
//! S: MCP 2025-11-25 and 2026-07-28 `basic` "Icons": clients take icons from `data:` URIs and from the server's own origin.

use crate::item::{Item, ItemChange};
use crate::object::{self, Object};
use crate::{Span, Splice, json};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::collections::HashMap;
use std::sync::Arc;

/// Images as `data:` URIs, by the addresses that items have of them.
pub type Embedded = HashMap<String, Arc<str>>;

/// An image as a `data:` URI. `media` must hold nothing that JSON or a URI escapes.
pub fn data_uri(media: &str, image: &[u8]) -> String {
    let mut uri = format!("data:{media};base64,");
    STANDARD.encode_string(image, &mut uri);
    uri
}

/// The addresses of an item's icons, each as often as it is there; icons that are data already have none.
pub fn addresses(item: &Item) -> Vec<String> {
    let source = std::str::from_utf8(&item.raw).unwrap_or_default();
    let elements = item.icons().and_then(|span| object::elements(source, span).ok()).unwrap_or_default();
    let objects = elements.into_iter().filter_map(|element| Object::read(source, element).ok());
    let addresses = objects.filter_map(|icon| Some(address(source, &icon)?.1));
    addresses.filter(|address| !is_data(address)).collect()
}

/// The item with its icons embedded. An icon that is data stays, one that is not among `embedded` is left out, and so is
/// the whole member where none stays. Everything else keeps its bytes.
pub fn embed(item: &Item, embedded: &Embedded) -> Item {
    let Some(span) = item.icons() else {
        return item.clone();
    };
    let source = std::str::from_utf8(&item.raw).unwrap_or_default();
    let mut splice = Splice::new(&item.raw);
    let elements = object::elements(source, span);
    let raw = match &elements {
        Ok(elements) => {
            let gone: Vec<bool> = elements
                .iter()
                .map(|&element| {
                    let icon = Object::read(source, element).ok();
                    let Some((span, address)) = icon.and_then(|icon| address(source, &icon)) else {
                        return true;
                    };
                    let uri = embedded.get(&address);
                    if let Some(uri) = uri {
                        splice.replace(span, format!("\"{uri}\"").into_bytes());
                    }
                    uri.is_none() && !is_data(&address)
                })
                .collect();
            if elements.is_empty() || gone.contains(&false) {
                let is_gone = |at: usize| gone.get(at).is_some_and(|gone| *gone);
                object::delete_elements(&mut splice, source, span, elements, is_gone);
                if splice.is_untouched() { item.raw.clone() } else { splice.finish() }
            } else {
                without(item)
            }
        }
        Err(_) => without(item),
    };
    if raw == item.raw { item.clone() } else { Item::parse(raw).unwrap_or_else(|_| item.clone()) }
}

fn without(item: &Item) -> bytes::Bytes {
    item.changed(&ItemChange { without_icons: true, ..ItemChange::default() })
}

/// The `src` of an icon: its place and its text.
fn address(source: &str, icon: &Object<'_>) -> Option<(Span, String)> {
    let span = icon.get("src")?.value();
    Some((span, json::as_str(span.of(source.as_bytes()))?.into_owned()))
}

/// S: RFC 3986 section 3.1: schemes are read without regard to case.
fn is_data(address: &str) -> bool {
    address.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("data:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(raw: &str) -> Item {
        Item::parse(raw.to_owned().into()).unwrap()
    }

    #[test]
    fn icons_are_embedded_and_nothing_else_changes() {
        assert_eq!(data_uri("image/png", &[0xfb, 0xff]), "data:image/png;base64,+/8=");
        let embedded = Embedded::from([("http://s/a".to_owned(), "data:image/png;base64,AA==".into())]);
        for (raw, expected) in [
            (
                r#"{"icons" : [ {"sizes":["1x1"], "src" : "http:\/\/s/a","x":1.0E2},{"src":"http://s/b"} ] ,"name":"t"}"#,
                r#"{"icons" : [ {"sizes":["1x1"], "src" : "data:image/png;base64,AA==","x":1.0E2} ] ,"name":"t"}"#,
            ),
            (
                r#"{"name":"t","icons":[{"src":"http://s/b"},{"src":"DATA:,x"},7,{"src":7},{},{"src":"http://s/a","src":"y"}]}"#,
                r#"{"name":"t","icons":[{"src":"DATA:,x"}]}"#,
            ),
            (r#"{"name":"t", "icons":[{"src":"http://s/b"}], "z":1e400}"#, r#"{"name":"t", "z":1e400}"#),
            (r#"{"icons":{"src":"http://s/a"}}"#, "{}"),
            (r#"{"icons":[ ]}"#, r#"{"icons":[ ]}"#),
            (r#"{"icons":[{ "src":"data:,x" }]}"#, r#"{"icons":[{ "src":"data:,x" }]}"#),
            (r#"{"name":"t"}"#, r#"{"name":"t"}"#),
        ] {
            let changed = embed(&item(raw), &embedded);
            assert_eq!(changed.raw, expected);
            assert_eq!(changed.name(), item(raw).name());
        }
    }

    #[test]
    fn addresses_are_told_as_often_as_they_are_there() {
        let icons =
            r#"{"icons":[{"src":"http://s/a"},{"src":"data:,x"},{"src":"http:\/\/s/a"},{"src":"s"},1]}"#;
        assert_eq!(addresses(&item(icons)), ["http://s/a", "http://s/a", "s"]);
        assert!(addresses(&item(r#"{"icons":1}"#)).is_empty() && addresses(&item("{}")).is_empty());
    }
}
