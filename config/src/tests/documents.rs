//! The files beside the code that it must agree with.

use crate::shape::Shape;
use crate::{Transport, load, parse, reference, schema};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// A file of the repository.
fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name)
}

#[test]
fn the_reference_is_what_the_schema_says() {
    let path = file("docs/configuration.md");
    if std::env::var_os("WEIR_BLESS").is_some() {
        fs::write(&path, reference()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == reference(),
        "docs/configuration.md is out of date: WEIR_BLESS=1 cargo test -p weir-config writes it"
    );
}

#[test]
fn the_example_of_policies_is_in_order() {
    let loaded =
        load(&file("examples/policies.yaml"), &|_: &str| None).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.warnings, []);
    let cases = crate::policy_cases(&file("examples/policies/cases.yaml"), &|_: &str| None);
    let cases = cases.unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(cases.cases.len(), 6);
    let first = &cases.cases[0];
    assert_eq!((first.line, first.allowed, first.claims.as_ref()), (5, true, None));
    assert_eq!(cases.cases[3].arguments, Some(serde_json::json!({"repo_path": ["/srv/secret/plans"]})));
}

#[test]
fn the_examples_are_in_order() {
    let unset = |_: &str| None;
    for (name, endpoints) in [("examples/weir.yaml", 2), ("examples/mcp.json", 1)] {
        let loaded = load(&file(name), &unset).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(loaded.warnings, [], "{name}");
        let names: Vec<_> = loaded.config.backends.iter().map(|backend| backend.name.as_str()).collect();
        assert_eq!(names, ["time", "git"], "{name}");
        assert!(
            loaded.config.backends.iter().all(|backend| matches!(backend.transport, Transport::Stdio(_)))
        );
        assert_eq!(loaded.config.endpoints.len(), endpoints, "{name}");
    }
}

/// Calls back with every schema inside a schema.
fn visit(schema: &Value, path: &str, see: &mut dyn FnMut(&str, &Value)) {
    see(path, schema);
    match schema {
        Value::Object(keywords) => {
            keywords.iter().for_each(|(key, value)| visit(value, &format!("{path}/{key}"), see))
        }
        Value::Array(values) => values.iter().for_each(|value| visit(value, path, see)),
        _ => {}
    }
}

#[test]
fn every_key_is_documented_and_every_type_is_understood() {
    let schema = crate::schema::raw::<crate::file::File>();
    visit(&schema, "", &mut |path, value| {
        let Some(Value::Object(properties)) = value.get("properties") else {
            return;
        };
        for (key, property) in properties {
            assert!(property.get("description").is_some(), "{path}/{key} has no documentation");
            assert_ne!(Shape::of_part(property, &schema), Shape::Any, "{path}/{key}");
        }
    });
}

#[test]
fn the_schema_is_for_editors() {
    let schema = schema();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["$defs"]["Timeouts"]["properties"]["read"]["default"], "30s");
    visit(&schema, "", &mut |path, value| {
        let name = path.rsplit('/').next().unwrap_or_default();
        assert!(!name.starts_with("x-"), "{path}");
        let Some(reference) = value.get("$ref").and_then(Value::as_str) else {
            return;
        };
        assert!(schema.pointer(reference.trim_start_matches('#')).is_some(), "{path} refers to {reference}");
    });
}

#[test]
fn every_example_in_the_reference_is_a_reference() {
    // The introduction promises that these work.
    let text = "backends: {a: {command: '${A:-x}', args: ['$${A}'], env: {E: {env: A}}}}";
    let environment = |name: &str| (name == "A").then(|| "value".to_owned());
    assert!(parse(text, Path::new("weir.yaml"), &environment).is_ok());
}
