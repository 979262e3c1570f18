//! The annotations of an input schema, and the rules that they keep to.

use super::{Mirror, PREFIX};
use serde_json::{Map, Value};

/// The annotation.
pub(super) const KEYWORD: &str = "x-mcp-header";
/// So many parameters of one tool may be mirrored: more make no head that a server would read.
const MOST: usize = 64;

/// Keywords that hold one schema.
const SINGLE: [&str; 13] = [
    "items",
    "additionalItems",
    "contains",
    "unevaluatedItems",
    "additionalProperties",
    "propertyNames",
    "unevaluatedProperties",
    "not",
    "if",
    "then",
    "else",
    "contentSchema",
    "extends",
];
/// Keywords that hold a list of schemas. `items` did so in older drafts.
const LISTS: [&str; 5] = ["allOf", "anyOf", "oneOf", "prefixItems", "items"];
/// Keywords that hold schemas by name.
const MAPS: [&str; 5] = ["patternProperties", "dependentSchemas", "dependencies", "$defs", "definitions"];

/// Why a tool's `x-mcp-header` annotations are not valid. Texts of the schema are quoted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnnotationError {
    /// The schema is no JSON that can be read.
    #[error("its input schema cannot be read: {0}")]
    Schema(String),
    /// An annotation stands where no chain of `properties` leads.
    #[error("`{KEYWORD}` stands outside of what `properties` lead to")]
    Unreachable,
    /// The annotation is no string that can be part of a header's name.
    #[error("`{KEYWORD}` of parameter {0} is no name for a header")]
    Name(String),
    /// The parameter is no integer, string or boolean.
    #[error("`{KEYWORD}` of parameter {0} needs the type integer, string or boolean")]
    Type(String),
    /// Two parameters have one header.
    #[error("`{KEYWORD}` of parameter {0} is that of another one too")]
    Twice(String),
    /// There are too many.
    #[error("more than {MOST} parameters have `{KEYWORD}`")]
    TooMany,
}

/// All annotations of a schema.
pub(super) fn read(schema: &[u8]) -> Result<Vec<Mirror>, AnnotationError> {
    let schema: Value =
        serde_json::from_slice(schema).map_err(|error| AnnotationError::Schema(error.to_string()))?;
    let mut found = Vec::new();
    walk(&schema, Some(&mut Vec::new()), &mut found)?;
    Ok(found)
}

/// Reads a schema and those in it. `path` is `None` where something else than `properties` led here. The parser of JSON
/// bounds the depth.
fn walk<'a>(
    schema: &'a Value,
    path: Option<&mut Vec<&'a str>>,
    found: &mut Vec<Mirror>,
) -> Result<(), AnnotationError> {
    let Value::Object(members) = schema else {
        return Ok(());
    };
    if let Some(annotation) = members.get(KEYWORD) {
        let path = path.as_deref().filter(|path| !path.is_empty()).ok_or(AnnotationError::Unreachable)?;
        let mirror = mirror(members, annotation, path)?;
        if found.iter().any(|other| other.header == mirror.header) {
            return Err(AnnotationError::Twice(shown(path)));
        }
        if found.len() == MOST {
            return Err(AnnotationError::TooMany);
        }
        found.push(mirror);
    }
    let mut path = path;
    for (keyword, value) in members {
        match value {
            Value::Object(named) if keyword == "properties" => {
                for (name, inner) in named {
                    match path.as_deref_mut() {
                        Some(path) => {
                            path.push(name);
                            walk(inner, Some(path), found)?;
                            path.pop();
                        }
                        None => walk(inner, None, found)?,
                    }
                }
            }
            Value::Object(named) if MAPS.contains(&keyword.as_str()) => {
                named.values().try_for_each(|inner| walk(inner, None, found))?;
            }
            Value::Object(_) if SINGLE.contains(&keyword.as_str()) => walk(value, None, found)?,
            Value::Array(list) if LISTS.contains(&keyword.as_str()) => {
                list.iter().try_for_each(|inner| walk(inner, None, found))?;
            }
            _ => {}
        }
    }
    Ok(())
}

fn mirror(schema: &Map<String, Value>, annotation: &Value, path: &[&str]) -> Result<Mirror, AnnotationError> {
    let name = annotation.as_str().filter(|name| is_token(name));
    let name = name.ok_or_else(|| AnnotationError::Name(shown(path)))?;
    let integer = match schema.get("type").and_then(Value::as_str) {
        Some("integer") => true,
        Some("string" | "boolean") => false,
        _ => return Err(AnnotationError::Type(shown(path))),
    };
    let header = format!("{PREFIX}{}", name.to_ascii_lowercase());
    Ok(Mirror { header, path: path.iter().map(|&key| key.to_owned()).collect(), integer })
}

/// Whether `name` may be part of a header's name (RFC 9110 section 5.6.2).
fn is_token(name: &str) -> bool {
    let is_tchar = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !name.is_empty() && name.bytes().all(is_tchar)
}

/// A path for people; quoted, so that it cannot write lines of its own into a log.
fn shown(path: &[&str]) -> String {
    format!("{:?}", path.join("."))
}
