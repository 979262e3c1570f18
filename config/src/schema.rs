//! The JSON Schema of weir's configuration file.

use crate::file::File;
use crate::quantity::KIND;
use crate::shape::Shape;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// What a reference to a value elsewhere looks like; every string, number and boolean may be one.
const REFERENCE: &str = "Reference";
/// Keywords that hold several schemas by name.
const NAMED: [&str; 2] = ["properties", "$defs"];

/// The JSON Schema (draft 2020-12) of the YAML file, for editors.
pub fn schema() -> Value {
    let raw = raw::<File>();
    let mut schema = publish(&raw, &raw);
    if let Some(Value::Object(definitions)) = schema.get_mut("$defs") {
        definitions.insert(REFERENCE.to_owned(), reference());
    }
    schema
}

/// The schema of a type as it is derived, with the keywords that only weir reads.
pub(crate) fn raw<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

/// A reference to a value elsewhere.
fn reference() -> Value {
    let one = |key: &str, what: &str| {
        json!({
            "type": "object",
            "properties": { key: { "type": "string", "description": what } },
            "required": [key],
            "additionalProperties": false,
        })
    };
    json!({
        "description": "A value from elsewhere.",
        "anyOf": [
            { "type": "string", "pattern": "\\$\\{", "description": "Text with `${NAME}` or `${NAME:-default}`." },
            one("env", "The name of an environment variable."),
            one("file", "A file whose content, without its last line end, is the value."),
        ],
    })
}

/// A schema without weir's own keywords, where every scalar may be a reference too.
fn publish(schema: &Value, root: &Value) -> Value {
    let Value::Object(keywords) = schema else {
        return schema.clone();
    };
    let mut published = Map::new();
    for (keyword, value) in keywords.iter().filter(|(keyword, _)| *keyword != KIND && *keyword != KEYS) {
        let value = match (keyword.as_str(), value) {
            (name, Value::Object(schemas)) if NAMED.contains(&name) => {
                let open = |schema| {
                    if name == "$defs" { publish(schema, root) } else { place(schema, root) }
                };
                schemas.iter().map(|(key, schema)| (key.clone(), open(schema))).collect()
            }
            ("items" | "additionalProperties", schema) => place(schema, root),
            ("anyOf", Value::Array(variants)) => {
                variants.iter().map(|schema| publish(schema, root)).collect()
            }
            _ => value.clone(),
        };
        published.insert(keyword.clone(), value);
    }
    Value::Object(published)
}

/// The keyword that names the free keys of a mapping, outermost first.
pub(crate) const KEYS: &str = "x-keys";

/// The schema of a place where a value stands.
fn place(schema: &Value, root: &Value) -> Value {
    let published = publish(schema, root);
    let scalar = match Shape::of_part(schema, root) {
        Shape::Any | Shape::Json | Shape::List(_) | Shape::Map(_) | Shape::Table(_) | Shape::Either(_) => {
            false
        }
        Shape::Text | Shape::Secret | Shape::Duration | Shape::Size => true,
        Shape::Boolean | Shape::Integer { .. } | Shape::Choice(_) => true,
    };
    let (true, Value::Object(mut keywords)) = (scalar, published.clone()) else {
        return published;
    };
    let mut outer = Map::new();
    for annotation in ["description", "default", "writeOnly"] {
        outer.extend(keywords.remove(annotation).map(|value| (annotation.to_owned(), value)));
    }
    outer.insert("anyOf".to_owned(), json!([keywords, { "$ref": format!("#/$defs/{REFERENCE}") }]));
    Value::Object(outer)
}
