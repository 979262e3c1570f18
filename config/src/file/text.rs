//! Text that may be written without quotes even where it looks like a number.

use crate::model::Secret;
use crate::quantity::KIND;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A word of a command line; it may hold a token and is kept out of snippets.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Text(pub(crate) String);

/// A value that may be secret.
pub(crate) struct SecretText(pub(crate) Secret);

impl<'de> Deserialize<'de> for SecretText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

/// Any JSON value; it may be secret.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct AnyJson(pub(crate) serde_json::Value);

impl JsonSchema for AnyJson {
    fn schema_name() -> Cow<'static, str> {
        "AnyJson".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ KIND: "json", "writeOnly": true })
    }
}

/// `writeOnly` is JSON Schema's word for what is never shown.
fn schema() -> Schema {
    json_schema!({ "type": ["string", "number", "boolean"], KIND: "text", "writeOnly": true })
}

impl JsonSchema for Text {
    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema()
    }
}

impl JsonSchema for SecretText {
    fn schema_name() -> Cow<'static, str> {
        "SecretText".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema()
    }
}
