//! Items of lists: tools, prompts, resources and templates, kept as the raw JSON their backend sent.

use crate::members::{self, Member};
use crate::mirror::{AnnotationError, Mirrors};
use crate::object::Object;
use crate::scan::{KeySeed, fill};
use crate::{Span, Splice, json, uris};
use bytes::Bytes;
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// The members of an item that weir reads.
#[derive(Debug, Clone, Default)]
pub struct ItemHead {
    /// Right behind the `{`.
    start: usize,
    members: usize,
    name: Option<Span>,
    title: Option<Span>,
    description: Option<Span>,
    annotations: Option<Span>,
    uri: Option<Span>,
    uri_template: Option<Span>,
    input_schema: Option<Span>,
    arguments: Option<Span>,
    output_schema: Option<Member>,
    /// `outputSchema` is of the type `object`; found out once, since lists are built anew more often than they are read.
    output_is_object: bool,
    icons: Option<Member>,
    execution: Option<Member>,
    meta: Option<Span>,
}

/// Whether a legacy server carries a tool out as a task (2025-11-25 `server/tools` `execution.taskSupport`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TaskSupport {
    /// Never.
    #[default]
    Forbidden,
    /// Where the client wants it.
    Optional,
    /// Always.
    Required,
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
    /// The new `inputSchema` of a tool, which must be there.
    pub input_schema: Option<Bytes>,
    /// The new `arguments` of a prompt, which must be there.
    pub arguments: Option<Bytes>,
    /// Put before `uri` and `uriTemplate`.
    pub uri_prefix: Option<String>,
    /// Put before the URI of a tool's user interface (`_meta.ui.resourceUri` of MCP Apps).
    pub interface_prefix: Option<String>,
    /// Leave `icons` out.
    pub without_icons: bool,
    /// Leave `outputSchema` out.
    pub without_output_schema: bool,
    /// Leave `execution` out.
    pub without_execution: bool,
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
        let start = source.find('{').map_or(0, |at| at + 1);
        let head =
            serde_json::Deserializer::from_str(source).deserialize_map(HeadVisitor { source, start })?;
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

    /// The `inputSchema` of a tool, as it is written.
    pub fn input_schema(&self) -> Option<&str> {
        self.head.input_schema.map(|span| span.text(&self.raw))
    }

    /// The `arguments` of a prompt, as they are written.
    pub fn arguments(&self) -> Option<&str> {
        self.head.arguments.map(|span| span.text(&self.raw))
    }

    /// The value of `icons`.
    pub(crate) fn icons(&self) -> Option<Span> {
        self.head.icons.map(|member| member.value)
    }

    /// Whether clients of the legacy era can read the tool: their revisions know only output schemas of objects.
    pub fn has_legacy_output_schema(&self) -> bool {
        self.head.output_schema.is_none() || self.head.output_is_object
    }

    /// Whether the annotation `key` is `true`, each time where it is there several times.
    pub fn has_hint(&self, key: &str) -> bool {
        let members = self.annotations().0;
        let mut values = members.iter().filter(|member| member.is(key)).map(|member| member.value).peekable();
        values.peek().is_some() && values.all(|value| value == "true")
    }

    /// What the annotation `key` says; `None` where it is not there, is no boolean, or contradicts itself.
    pub fn hint(&self, key: &str) -> Option<bool> {
        let members = self.annotations().0;
        let mut values = members.iter().filter(|member| member.is(key)).map(|member| member.value);
        let first = values.next()?;
        match first {
            "true" | "false" if values.all(|value| value == first) => Some(first == "true"),
            _ => None,
        }
    }

    /// None where `annotations` is missing or no object.
    fn annotations(&self) -> Members<'_> {
        self.head.annotations.and_then(|span| Members::read(span.of(&self.raw)).ok()).unwrap_or_default()
    }

    /// The parameters of a tool that headers mirror; `None` where it has none.
    ///
    /// # Errors
    /// Its annotations break a rule: such a tool must not be shown (2026-07-28 `server/tools` "x-mcp-header").
    pub fn mirrors(&self) -> Result<Option<Mirrors>, AnnotationError> {
        self.head.input_schema.map_or(Ok(None), |schema| Mirrors::of_schema(schema.of(&self.raw)))
    }

    /// Whether the tool says that it is carried out as a task.
    pub fn task_support(&self) -> TaskSupport {
        let said = || {
            let source = std::str::from_utf8(&self.raw).ok()?;
            let execution = Object::read(source, self.head.execution?.value).ok()?;
            json::as_str(execution.get("taskSupport")?.value().of(&self.raw))
        };
        match said().as_deref() {
            Some("required") => TaskSupport::Required,
            Some("optional") => TaskSupport::Optional,
            _ => TaskSupport::Forbidden,
        }
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
        let schemas =
            [(self.head.input_schema, &change.input_schema), (self.head.arguments, &change.arguments)];
        for (span, new) in schemas.into_iter().filter_map(|(span, new)| Some((span?, new.as_ref()?))) {
            splice.replace(span, &new[..]);
        }
        if let Some(prefix) = &change.uri_prefix {
            for span in [self.head.uri, self.head.uri_template].into_iter().flatten() {
                uris::prefix(&mut splice, &self.raw, span, prefix);
            }
        }
        if let (Some(prefix), Some(meta)) = (&change.interface_prefix, self.head.meta) {
            let source = std::str::from_utf8(&self.raw).unwrap_or_default();
            uris::prefix_interface(&mut splice, source, meta, prefix);
        }
        let icons = self.head.icons.filter(|_| change.without_icons);
        let output_schema = self.head.output_schema.filter(|_| change.without_output_schema);
        let execution = self.head.execution.filter(|_| change.without_execution);
        let mut gone: Vec<Member> = icons.into_iter().chain(output_schema).chain(execution).collect();
        if self.head.members == gone.len() {
            added.pop();
        }
        members::delete(&mut splice, &self.raw, self.head.start, &mut gone);
        if !added.is_empty() {
            splice.insert(self.head.start, added);
        }
        if splice.is_untouched() { self.raw.clone() } else { splice.finish() }
    }

    /// The annotations with `set` in place of or behind what is there, in the order of the backend. Of those that are
    /// set and that the backend repeats, one is left: readers differ in which of several they believe.
    fn merged_annotations(&self, set: &[(String, String)]) -> Option<Vec<u8>> {
        if set.is_empty() {
            return None;
        }
        let mut members = self.annotations().0;
        let added: Vec<(Vec<u8>, &str)> =
            set.iter().map(|(key, value)| (json::string(key), value.as_str())).collect();
        for ((key, value), (raw, _)) in set.iter().zip(&added) {
            let mut found = false;
            members.retain_mut(|member| {
                let is_it = member.is(key);
                if is_it {
                    member.value = value;
                }
                !(is_it && std::mem::replace(&mut found, true))
            });
            if !found {
                members.push(RawMember { key: raw, value });
            }
        }
        let mut out = vec![b'{'];
        for (at, member) in members.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            out.extend_from_slice(member.key);
            out.push(b':');
            out.extend_from_slice(member.value.as_bytes());
        }
        out.push(b'}');
        Some(out)
    }
}

struct HeadVisitor<'de> {
    source: &'de str,
    /// Right behind the `{`.
    start: usize,
}

impl<'de> Visitor<'de> for HeadVisitor<'de> {
    type Value = ItemHead;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an item, which is an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut head = ItemHead { start: self.start, ..ItemHead::default() };
        let mut after = self.start;
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let raw: &RawValue = map.next_value()?;
            let value = Span::within(self.source, raw.get());
            let member = Member::new(after, value);
            head.members += 1;
            after = value.end();
            let slot = match &*key.text {
                "name" => &mut head.name,
                "title" => &mut head.title,
                "description" => &mut head.description,
                "annotations" => &mut head.annotations,
                "uri" => &mut head.uri,
                "uriTemplate" => &mut head.uri_template,
                "inputSchema" => &mut head.input_schema,
                "arguments" => &mut head.arguments,
                "_meta" => &mut head.meta,
                "outputSchema" => {
                    head.output_is_object = is_object_schema(self.source, value);
                    fill(&mut head.output_schema, member, &key.text)?;
                    continue;
                }
                "icons" => {
                    fill(&mut head.icons, member, &key.text)?;
                    continue;
                }
                "execution" => {
                    fill(&mut head.execution, member, &key.text)?;
                    continue;
                }
                _ => continue,
            };
            fill(slot, value, &key.text)?;
        }
        Ok(head)
    }
}

/// A member of an object as raw JSON.
struct RawMember<'a> {
    key: &'a [u8],
    value: &'a str,
}

/// Whether the schema at `span` is one of an object, by its `type`.
fn is_object_schema(source: &str, span: Span) -> bool {
    let schema = Object::read(source, span).ok();
    let kind =
        schema.as_ref().and_then(|schema| schema.get("type")).map(|kind| kind.value().of(source.as_bytes()));
    kind.is_some_and(|kind| json::as_str(kind).as_deref() == Some("object"))
}

impl RawMember<'_> {
    fn is(&self, key: &str) -> bool {
        json::as_str(self.key).is_some_and(|text| text == key)
    }
}

/// The members of an object in their order.
#[derive(Default)]
struct Members<'a>(Vec<RawMember<'a>>);

impl<'a> Members<'a> {
    fn read(object: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::Deserializer::from_slice(object).deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((key, value)) = map.next_entry::<&RawValue, &RawValue>()? {
            members.push(RawMember { key: key.get().as_bytes(), value: value.get() });
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
    fn repeated_hints_are_not_believed() {
        let twice = item(r#"{"annotations":{"a":true,"\u0061":false,"b":true,"b":true,"\ud800":1}}"#);
        assert!(!twice.has_hint("a") && twice.has_hint("b") && !twice.has_hint("c"));
        let said =
            item(r#"{"annotations":{"a":true,"\u0061":false,"b":true,"b":true,"c":false,"d":"true"}}"#);
        let hints = ["a", "b", "c", "d", "e"].map(|key| said.hint(key));
        assert_eq!(hints, [None, Some(true), Some(false), None, None]);
        let change = ItemChange { annotations: vec![("a".into(), "true".into())], ..ItemChange::default() };
        assert_eq!(
            std::str::from_utf8(&twice.changed(&change)).unwrap(),
            r#"{"annotations":{"a":true,"b":true,"b":true,"\ud800":1}}"#,
            "what is not changed stays, even where it is odd"
        );
    }

    #[test]
    fn members_are_left_out_and_uris_get_a_prefix() {
        let tool = item(
            r#"{"icons":[{"src":"x"}] ,"name":"a","inputSchema":{"x":1}, "outputSchema" : {"type":"array"},"_meta":{"ui":{"resourceUri":"ui://w"},"k":"ui://w"}}"#,
        );
        assert!(!tool.has_legacy_output_schema());
        let change = ItemChange {
            title: Some("T".into()),
            input_schema: Some("{}".into()),
            uri_prefix: Some("weir+b:".into()),
            interface_prefix: Some("weir+b:".into()),
            without_icons: true,
            without_output_schema: true,
            ..ItemChange::default()
        };
        assert_eq!(
            tool.changed(&change),
            r#"{"title":"T","name":"a","inputSchema":{},"_meta":{"ui":{"resourceUri":"weir+b:ui://w"},"k":"ui://w"}}"#
        );
        let resource = item(r#"{"uri":"a:\"b", "icons":[]}"#);
        assert_eq!(resource.changed(&change), r#"{"title":"T","uri":"weir+b:a:\"b"}"#);
        assert_eq!(item(r#"{ "icons":[] }"#).changed(&ItemChange { title: None, ..change }), "{ }");
        for (schema, fits) in [
            (r#"{"type":"object"}"#, true),
            ("{}", false),
            (r#"{"type":["object"]}"#, false),
            ("true", false),
        ] {
            let tool = Item::parse(format!(r#"{{"outputSchema":{schema}}}"#).into()).unwrap();
            assert_eq!(tool.has_legacy_output_schema(), fits, "{schema}");
        }
        assert!(item("{}").has_legacy_output_schema());
        for (execution, support) in [
            (r#"{"taskSupport":"required"}"#, TaskSupport::Required),
            (r#"{"taskSupport":"optional"}"#, TaskSupport::Optional),
            (r#"{"taskSupport":"forbidden"}"#, TaskSupport::Forbidden),
            ("{}", TaskSupport::Forbidden),
            (r#""taskSupport""#, TaskSupport::Forbidden),
        ] {
            let tool = Item::parse(format!(r#"{{"name":"t","execution":{execution}}}"#).into()).unwrap();
            assert_eq!(tool.task_support(), support, "{execution}");
            let plain = tool.changed(&ItemChange { without_execution: true, ..ItemChange::default() });
            assert_eq!(plain, r#"{"name":"t"}"#);
        }
        let described = item(r#"{"description":"execution","inputSchema":{"taskSupport":"required"}}"#);
        assert_eq!(described.task_support(), TaskSupport::Forbidden);
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
