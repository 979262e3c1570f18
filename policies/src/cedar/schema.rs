//! The schema that policies are checked against.

use super::kind::{Field, Kind, Record};
use cedar_policy::Schema;
use std::collections::BTreeMap;
use std::str::FromStr;
use weir_config::ClaimKind;

/// What is shipped.
const SHIPPED: &str = include_str!("weir.cedarschema");

/// The schema of an endpoint, as text.
pub(crate) fn text(claims: &BTreeMap<String, ClaimKind>, tool: &Record, prompt: &Record) -> String {
    let line = |name: &str, record: &Record| {
        (format!("type {name} = {{}};"), format!("type {name} = {};", record.cedar()))
    };
    let parts =
        [line("Claims", &of_claims(claims)), line("ToolArguments", tool), line("PromptArguments", prompt)];
    parts.iter().fold(SHIPPED.to_owned(), |text, (from, to)| text.replacen(from, to, 1))
}

/// The same, read.
///
/// # Errors
/// A name cannot stand in a schema.
pub(crate) fn read(
    claims: &BTreeMap<String, ClaimKind>,
    tool: &Record,
    prompt: &Record,
) -> Result<Schema, Box<cedar_policy::CedarSchemaError>> {
    Ok(Schema::from_str(&text(claims, tool, prompt))?)
}

/// Claims that may be missing, each.
fn of_claims(claims: &BTreeMap<String, ClaimKind>) -> Record {
    let field = |(name, kind): (&String, &ClaimKind)| {
        (name.clone(), Field { kind: of_claim(*kind), optional: true, nullable: true })
    };
    Record { fields: claims.iter().map(field).collect(), rest: None }
}

/// What a claim is to policies.
pub(crate) fn of_claim(kind: ClaimKind) -> Kind {
    match kind {
        ClaimKind::String => Kind::String,
        ClaimKind::Integer => Kind::Long,
        ClaimKind::Boolean => Kind::Bool,
        ClaimKind::Strings => Kind::Set(Box::new(Kind::String)),
    }
}
