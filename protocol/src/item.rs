//! Items of lists: tools, prompts, resources and templates, kept as the raw JSON their backend sent.

use crate::scan::{KeySeed, fill};
use crate::{Span, Splice, json};
use bytes::Bytes;
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The members of an item that weir reads.
#[derive(Debug, Clone, Default)]
pub struct ItemHead {
    is_empty: bool,
    name: Option<Span>,
    title: Option<Span>,
    description: Option<Span>,
    annotations: Option<Span>,
    uri: Option<Span>,
    uri_template: Option<Span>,
}

/// One item: its raw JSON object and what weir reads of it.
#[derive(Debug, Clone)]
pub struct Item {
    /// The object.
    pub raw: Bytes,
    head: ItemHead,
}

/// What to change of an item; `None` leaves a member as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ItemChange {
    /// The new `name`.
    pub name: Option<String>,
    /// The new `title`.
    pub title: Option<String>,
    /// The new `description`.
    pub description: Option<String>,
    /// Members to set in `annotations`: name and raw JSON value.
    pub annotations: Vec<(String, String)>,
}

/// Takes the array of a list result apart. An element that is no object, or repeats a key that weir reads, is an error of
/// its own.
///
/// # Errors
/// It is no array.
pub fn split(array: &[u8]) -> Result<Vec<Result<Item, serde_json::Error>>, serde_json::Error> {
    let raw: Vec<&RawValue> = serde_json::from_slice(array)?;
    Ok(raw.into_iter().map(|item| Item::parse(Bytes::copy_from_slice(item.get().as_bytes()))).collect())
}

impl Item {
    /// Reads one object.
    pub fn parse(raw: Bytes) -> Result<Self, serde_json::Error> {
        let source = std::str::from_utf8(&raw).map_err(serde::de::Error::custom)?;
        let head = serde_json::Deserializer::from_str(source).deserialize_map(HeadVisitor { source })?;
        Ok(Self { head, raw })
    }

    /// The `name`; `None` where it is missing or no string.
    pub fn name(&self) -> Option<String> {
        self.string(self.head.name)
    }

    /// The `uri` of a resource.
    pub fn uri(&self) -> Option<String> {
        self.string(self.head.uri)
    }

    /// The `uriTemplate` of a template.
    pub fn uri_template(&self) -> Option<String> {
        self.string(self.head.uri_template)
    }

    /// Whether the annotation `key` is `true`.
    pub fn has_hint(&self, key: &str) -> bool {
        let Some(span) = self.head.annotations else {
            return false;
        };
        let members = Members::read(span.of(&self.raw)).unwrap_or_default().0;
        members.iter().any(|(name, value)| name == key && value == "true")
    }

    fn string(&self, span: Option<Span>) -> Option<String> {
        json::as_str(span?.of(&self.raw)).map(|text| text.into_owned())
    }

    /// The object with `change` made; every byte that the change does not name stays.
    pub fn changed(&self, change: &ItemChange) -> Bytes {
        let mut splice = Splice::new(&self.raw);
        let mut added = Vec::new();
        let annotations = self.merged_annotations(&change.annotations);
        let strings = [
            ("name", self.head.name, &change.name),
            ("title", self.head.title, &change.title),
            ("description", self.head.description, &change.description),
        ];
        let members = strings
            .into_iter()
            .filter_map(|(key, span, value)| Some((key, span, json::string(value.as_ref()?))))
            .chain(annotations.map(|value| ("annotations", self.head.annotations, value)));
        for (key, span, value) in members {
            match span {
                Some(span) => {
                    splice.replace(span, value);
                }
                None => {
                    json::write_string(&mut added, key);
                    added.push(b':');
                    added.extend_from_slice(&value);
                    added.push(b',');
                }
            }
        }
        if self.head.is_empty {
            added.pop();
        }
        if !added.is_empty() {
            splice.insert(1, added);
        }
        if splice.is_untouched() { self.raw.clone() } else { splice.finish() }
    }

    /// The annotations with `set` in place of or behind what is there, in the order of the backend.
    fn merged_annotations(&self, set: &[(String, String)]) -> Option<Vec<u8>> {
        if set.is_empty() {
            return None;
        }
        let present = self.head.annotations.map_or(&b"{}"[..], |span| span.of(&self.raw));
        let mut members: Vec<(String, String)> = Members::read(present).unwrap_or_default().0;
        for (key, value) in set {
            match members.iter_mut().find(|(present, _)| present == key) {
                Some(member) => member.1.clone_from(value),
                None => members.push((key.clone(), value.clone())),
            }
        }
        let mut out = vec![b'{'];
        for (at, (key, value)) in members.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            json::write_string(&mut out, key);
            out.push(b':');
            out.extend_from_slice(value.as_bytes());
        }
        out.push(b'}');
        Some(out)
    }
}

struct HeadVisitor<'de> {
    source: &'de str,
}

impl<'de> Visitor<'de> for HeadVisitor<'de> {
    type Value = ItemHead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut head = ItemHead { is_empty: true, ..ItemHead::default() };
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let raw: &RawValue = map.next_value()?;
            head.is_empty = false;
            let slot = match &*key.text {
                "name" => &mut head.name,
                "title" => &mut head.title,
                "description" => &mut head.description,
                "annotations" => &mut head.annotations,
                "uri" => &mut head.uri,
                "uriTemplate" => &mut head.uri_template,
                _ => continue,
            };
            fill(slot, Span::within(self.source, raw.get()), &key.text)?;
        }
        Ok(head)
    }
}

/// The members of an object in their order, values as raw JSON.
#[derive(Default)]
struct Members(Vec<(String, String)>);

impl Members {
    fn read(object: &[u8]) -> Result<Self, serde_json::Error> {
        serde_json::Deserializer::from_slice(object).deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(key) = map.next_key::<String>()? {
            let raw: &RawValue = map.next_value()?;
            members.push((key, raw.get().to_owned()));
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(raw: &'static str) -> Item {
        Item::parse(Bytes::from_static(raw.as_bytes())).unwrap()
    }

    #[test]
    fn changes_touch_nothing_else() {
        let tool = item(
            r#"{ "z" : 1e400,"name":"a\"b","annotations":{"readOnlyHint":false,"x":[1]},"b":{"name":"n"}}"#,
        );
        assert_eq!(tool.name().as_deref(), Some("a\"b"));
        assert_eq!(tool.changed(&ItemChange::default()), tool.raw);
        let change = ItemChange {
            name: Some("p_a".into()),
            title: Some("T \"q\"".into()),
            annotations: vec![("readOnlyHint".into(), "true".into()), ("y".into(), "2".into())],
            ..ItemChange::default()
        };
        assert_eq!(
            std::str::from_utf8(&tool.changed(&change)).unwrap(),
            r#"{"title":"T \"q\"", "z" : 1e400,"name":"p_a","annotations":{"readOnlyHint":true,"x":[1],"y":2},"b":{"name":"n"}}"#
        );
        assert_eq!(
            &item("{}").changed(&ItemChange { name: Some("n".into()), ..ItemChange::default() })[..],
            br#"{"name":"n"}"#
        );
    }

    #[test]
    fn lists_come_apart() {
        let text = br#"[{"uri":"a:b"}, 1, {"name":"a","name":"b"}, {"uriTemplate":"x:{y}","name":"t"}]"#;
        let items = split(text).unwrap();
        assert_eq!(items.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, false, true]);
        assert_eq!(items[0].as_ref().unwrap().uri().as_deref(), Some("a:b"));
        assert_eq!(items[3].as_ref().unwrap().uri_template().as_deref(), Some("x:{y}"));
        assert!(split(b"{}").is_err());
        assert_eq!(item(r#"{"name":7}"#).name(), None);
    }
}
