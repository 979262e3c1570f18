//! Whole files, read as an operator's would be.

mod accepted;
mod auth;
mod broken;
mod credentials;
mod documents;
mod imported_clients;
mod imported_faults;
mod imported_toolhive;
mod mcp_servers;
mod oauth;
mod refused;
mod secrets;

use crate::{ConfigErrors, Diagnostic, Environment, Loaded, parse};
use std::path::Path;

/// The variables of every test.
struct Variables;

impl Environment for Variables {
    fn variable(&self, name: &str) -> Option<String> {
        let value = match name {
            "PORT" => "9000",
            "FLAG" => "false",
            "TOKEN" => "hunter2",
            "EMPTY" => "",
            _ => return None,
        };
        Some(value.to_owned())
    }
}

/// Reads a file that stands nowhere.
fn read(text: &str) -> Result<Loaded, ConfigErrors> {
    parse(text, Path::new("weir.yaml"), &Variables)
}

/// What is wrong with a file, as it is printed.
fn errors(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("the file is in order:\n{text}"),
        Err(errors) => errors.to_string(),
    }
}

/// What is odd about a file, as it is printed.
fn warnings(text: &str) -> String {
    let loaded = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    loaded.warnings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n\n")
}

/// A file of two backends and a section.
fn with(section: &str) -> String {
    format!("backends: {{a: {{command: x}}, b: {{command: y}}}}\n{section}\n")
}

/// A file whose one backend is written like this.
fn backend(keys: &str) -> String {
    format!("backends: {{a: {{{keys}}}}}\n")
}

/// A file whose one endpoint is written like this.
fn endpoint(keys: &str) -> String {
    with(&format!("endpoints: {{main: {{path: /m, {keys}}}}}"))
}

/// The messages and their places, without source lines.
fn messages(text: &str) -> Vec<String> {
    let errors = read(text).expect_err("the file is in order");
    let message = |diagnostic: &Diagnostic| {
        let Diagnostic { line, column, path, message, suggestion, .. } = diagnostic;
        let help = suggestion.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
        format!("{line}:{column} {path}: {message}{help}")
    };
    errors.diagnostics().iter().map(message).collect()
}

fn check(cases: &[(String, &[&str])]) {
    for (text, expected) in cases {
        assert_eq!(messages(text), *expected, "in\n{text}");
    }
}
