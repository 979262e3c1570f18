//! The reference of the configuration file, written from its schema.

use crate::file::File;
use crate::schema::{KEYS, raw};
use crate::shape::{Shape, definition};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fmt::Write;

/// What stands before the tables.
const INTRODUCTION: &str = include_str!("reference.md");

/// The reference as Markdown: a table of keys for every section of the file.
pub fn reference() -> String {
    let root = raw::<File>();
    let mut reference = INTRODUCTION.to_owned();
    let mut writer = Writer { root: &root, sections: BTreeMap::new(), nested: Vec::new() };
    let mut ahead = vec![(String::new(), &root)];
    while let Some((title, schema)) = ahead.pop() {
        reference.push_str(&writer.section(&title, schema));
        // A section is followed by those nested in it.
        ahead.extend(writer.nested.drain(..).rev());
    }
    reference
}

struct Writer<'s> {
    root: &'s Value,
    /// The section of every definition that has one.
    sections: BTreeMap<String, String>,
    /// Sections that the last one refers to and that are not written yet.
    nested: Vec<(String, &'s Value)>,
}

impl<'s> Writer<'s> {
    fn section(&mut self, title: &str, schema: &'s Value) -> String {
        let mut text = match title {
            "" => "\n## The file\n".to_owned(),
            _ => format!("\n## `{title}`\n\n{}\n", sentence(schema)),
        };
        text.push_str("\n| key | type | default | what it is |\n|---|---|---|---|\n");
        let required: Vec<&str> = array(schema, "required").filter_map(Value::as_str).collect();
        let properties = schema.get("properties").and_then(Value::as_object);
        let mut properties: Vec<_> = properties.into_iter().flatten().collect();
        // The order of a schema's keys depends on how serde_json is built; that of the reference must not.
        properties.sort_by_key(|(key, _)| (!required.contains(&key.as_str()), key.as_str()));
        for (key, schema) in properties {
            let path = if title.is_empty() { key.clone() } else { format!("{title}.{key}") };
            let mut keys = array(schema, KEYS).filter_map(Value::as_str);
            let kind = self.kind(&path, schema, &mut keys);
            let (what, default) = split_default(&sentence(schema));
            let default = match schema.get("default") {
                Some(Value::String(text)) => format!("`{text}`"),
                Some(value) => format!("`{value}`"),
                None if required.contains(&key.as_str()) => "required".to_owned(),
                None => default.unwrap_or_else(|| "–".to_owned()),
            };
            let what = format!("{what}{}", self.words(schema));
            // Writing to a string cannot fail.
            let _ = writeln!(text, "| `{key}` | {} | {} | {} |", cell(&kind), cell(&default), cell(&what));
        }
        text
    }

    /// A type in words; sections of nested keys are put down.
    fn kind(&mut self, path: &str, schema: &'s Value, keys: &mut dyn Iterator<Item = &'s str>) -> String {
        let (name, schema) = self.resolve(schema);
        if let Some(variants) = schema.get("anyOf").and_then(Value::as_array) {
            let kinds: Vec<_> = variants.iter().map(|variant| self.kind(path, variant, keys)).collect();
            return kinds.join(", or ");
        }
        match Shape::of_part(schema, self.root) {
            Shape::Any => "anything".to_owned(),
            Shape::Json => "any JSON value".to_owned(),
            Shape::Text => "string".to_owned(),
            Shape::Secret => "string, kept secret".to_owned(),
            Shape::Duration => "duration".to_owned(),
            Shape::Size => "size".to_owned(),
            Shape::Boolean => "boolean".to_owned(),
            Shape::Integer { min, max } => format!("whole number, {min} to {max}"),
            Shape::Choice(words) => {
                words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
            }
            Shape::List(_) => match schema.get("items") {
                Some(items) => format!("list of {}", self.kind(path, items, keys)),
                None => "list".to_owned(),
            },
            Shape::Map(_) => {
                let key = keys.next().unwrap_or("name");
                match schema.get("additionalProperties") {
                    Some(values) => {
                        format!("mapping of {key} to {}", self.kind(&format!("{path}.<{key}>"), values, keys))
                    }
                    None => "mapping".to_owned(),
                }
            }
            Shape::Table(_) | Shape::Either(_) => {
                let name = name.unwrap_or_else(|| path.to_owned());
                if !self.sections.contains_key(&name) {
                    self.sections.insert(name.clone(), path.to_owned());
                    self.nested.push((path.to_owned(), schema));
                }
                let section = self.sections.get(&name).map_or(path, String::as_str);
                let plain = |c: &char| c.is_ascii_alphanumeric() || *c == '_' || *c == '-';
                let anchor: String = section.chars().filter(plain).collect();
                format!("[`{section}`](#{})", anchor.to_lowercase())
            }
        }
    }

    /// The schema behind `$ref` and beside `null`, and the name of its definition.
    fn resolve(&self, schema: &'s Value) -> (Option<String>, &'s Value) {
        let Some(keywords) = schema.as_object() else {
            return (None, schema);
        };
        if let Some(definition) = definition(keywords, self.root) {
            let name = keywords.get("$ref").and_then(Value::as_str).map(str::to_owned);
            return (name, definition);
        }
        let variants: Vec<_> =
            array(schema, "anyOf").filter(|variant| !crate::shape::is_null(variant)).collect();
        match variants.as_slice() {
            [one] => self.resolve(one),
            _ => (None, schema),
        }
    }

    /// What each word of an enumeration means.
    fn words(&self, schema: &'s Value) -> String {
        let (_, schema) = self.resolve(schema);
        let word = |variant: &Map<String, Value>| {
            let what = variant.get("description").and_then(Value::as_str)?;
            Some(format!(" `{}`: {}", variant.get("const")?.as_str()?, one_line(what)))
        };
        let own: String = array(schema, "oneOf").filter_map(Value::as_object).filter_map(word).collect();
        if own.is_empty() {
            return array(schema, "anyOf").map(|variant| self.words(variant)).collect();
        }
        own
    }
}

/// The members of a keyword that is a list.
fn array<'s>(schema: &'s Value, keyword: &str) -> impl Iterator<Item = &'s Value> + use<'s> {
    schema.get(keyword).and_then(Value::as_array).into_iter().flatten()
}

fn sentence(schema: &Value) -> String {
    one_line(schema.get("description").and_then(Value::as_str).unwrap_or_default())
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A description and what it says about the default.
fn split_default(text: &str) -> (String, Option<String>) {
    match text.split_once("Default: ") {
        Some((what, default)) => (what.trim_end().to_owned(), Some(default.trim_end_matches('.').to_owned())),
        None => (text.to_owned(), None),
    }
}

/// Text that stands in a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
