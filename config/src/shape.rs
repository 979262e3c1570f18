//! What a file may hold, read off its JSON Schema.

mod fit;

pub(crate) use fit::fit;

use crate::quantity::KIND;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

/// What may stand at one place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Shape {
    /// Anything.
    Any,
    /// A string.
    Text,
    /// A string that may be secret; numbers and booleans are taken as they are written.
    Secret,
    /// Anything that JSON can say; it may be secret.
    Json,
    /// A duration.
    Duration,
    /// A size.
    Size,
    /// `true` or `false`.
    Boolean,
    /// A whole number of a range.
    Integer { min: u64, max: u64 },
    /// One of a few words.
    Choice(Vec<String>),
    /// A list.
    List(Box<Shape>),
    /// A mapping of free keys.
    Map(Box<Shape>),
    /// A mapping of known keys.
    Table(Table),
    /// Text or a mapping.
    Either(Vec<Shape>),
}

/// A mapping of known keys.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Table {
    pub(crate) fields: BTreeMap<String, Shape>,
    pub(crate) required: Vec<String>,
    /// Unknown keys are errors; otherwise they are warned of and ignored.
    pub(crate) closed: bool,
}

impl Shape {
    /// The shape that a root schema describes.
    pub(crate) fn of(schema: &Value) -> Self {
        Self::of_part(schema, schema)
    }

    /// The shape that a part of a root schema describes.
    pub(crate) fn of_part(schema: &Value, root: &Value) -> Self {
        let Some(keywords) = schema.as_object() else {
            return Self::Any;
        };
        if let Some(definition) = definition(keywords, root) {
            return Self::of_part(definition, root);
        }
        if let Some(words) = choices(keywords) {
            return Self::Choice(words);
        }
        if let Some(Value::Array(variants)) = keywords.get("anyOf") {
            let read = |variant| Self::of_part(variant, root);
            let mut variants: Vec<_> =
                variants.iter().filter(|variant| !is_null(variant)).map(read).collect();
            return if variants.len() == 1 { variants.remove(0) } else { Self::Either(variants) };
        }
        match keywords.get(KIND).and_then(Value::as_str) {
            Some("duration") => return Self::Duration,
            Some("size") => return Self::Size,
            Some("text") => return Self::Secret,
            Some("json") => return Self::Json,
            _ => {}
        }
        match type_of(keywords) {
            Some("string") => Self::Text,
            Some("boolean") => Self::Boolean,
            Some("integer") => {
                let bound = |name| keywords.get(name).and_then(Value::as_u64);
                Self::Integer {
                    min: bound("minimum").unwrap_or(0),
                    max: bound("maximum").unwrap_or(u64::MAX),
                }
            }
            Some("array") => Self::List(Box::new(
                keywords.get("items").map_or(Self::Any, |items| Self::of_part(items, root)),
            )),
            Some("object") => Self::object(keywords, root),
            _ => Self::Any,
        }
    }

    fn object(keywords: &Map<String, Value>, root: &Value) -> Self {
        let Some(Value::Object(properties)) = keywords.get("properties") else {
            let values =
                keywords.get("additionalProperties").map_or(Self::Any, |values| Self::of_part(values, root));
            return Self::Map(Box::new(values));
        };
        let fields =
            properties.iter().map(|(key, schema)| (key.clone(), Self::of_part(schema, root))).collect();
        let required = keywords.get("required").and_then(Value::as_array);
        let required = required.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect();
        let closed = keywords.get("additionalProperties") == Some(&Value::Bool(false));
        Self::Table(Table { fields, required, closed })
    }

    /// What is expected, in words.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::Any | Self::Json => "a value".to_owned(),
            Self::Text | Self::Secret => "a string".to_owned(),
            Self::Duration => "a duration such as `30s`".to_owned(),
            Self::Size => "a size such as `4MiB`".to_owned(),
            Self::Boolean => "`true` or `false`".to_owned(),
            Self::Integer { min, max } => format!("a whole number from {min} to {max}"),
            Self::Choice(words) => {
                format!("one of {}", crate::report::quote_all(words.iter().map(String::as_str)))
            }
            Self::List(_) => "a list".to_owned(),
            Self::Map(_) | Self::Table(_) => "a mapping".to_owned(),
            Self::Either(shapes) => shapes.iter().map(Self::describe).collect::<Vec<_>>().join(", or "),
        }
    }
}

/// The definition that a `$ref` names.
pub(crate) fn definition<'s>(keywords: &Map<String, Value>, root: &'s Value) -> Option<&'s Value> {
    let name = keywords.get("$ref")?.as_str()?.strip_prefix("#/$defs/")?;
    root.get("$defs")?.get(name)
}

/// The words of an enumeration: `enum`, or a `oneOf` of `const`.
fn choices(keywords: &Map<String, Value>) -> Option<Vec<String>> {
    let word = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(Value::Array(words)) = keywords.get("enum") {
        return words.iter().filter(|value| !value.is_null()).map(word).collect();
    }
    keywords.get("oneOf")?.as_array()?.iter().map(|variant| variant.get("const").and_then(word)).collect()
}

/// The one type beside `null`; the first where there are several.
pub(crate) fn type_of(keywords: &Map<String, Value>) -> Option<&str> {
    match keywords.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    }
}

/// Whether a schema allows `null` alone.
pub(crate) fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}
