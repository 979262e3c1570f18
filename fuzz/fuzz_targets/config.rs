//! Configurations: any text is read or refused in bounded time, and every finding points into the text.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::Path;
use weir_config::{Diagnostic, parse};

/// A value of the environment, which no finding shows.
const SECRET: &str = "hunter2";

fuzz_target!(|text: &str| {
    let environment = |name: &str| match name {
        "TOKEN" => Some(SECRET.to_owned()),
        "PORT" => Some("9000".to_owned()),
        "EMPTY" => Some(String::new()),
        _ => None,
    };
    // Files are read beside the configuration: in a folder that is not there, nothing is.
    match parse(text, Path::new("/nonexistent/weir.yaml"), &environment) {
        Ok(loaded) => loaded.warnings.iter().for_each(|warning| check(text, warning)),
        Err(errors) => {
            assert!(!errors.diagnostics().is_empty());
            errors.diagnostics().iter().for_each(|error| check(text, error));
        }
    }
});

fn check(text: &str, found: &Diagnostic) {
    let shown = found.to_string();
    assert!(text.contains(SECRET) || !shown.contains(SECRET), "{shown}");
    assert!(!found.message.is_empty());
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n");
    let lines: Vec<&str> = text.split(['\n', '\r']).collect();
    assert!((1..=lines.len()).contains(&found.line), "line {} of {}: {shown}", found.line, lines.len());
    let width = lines[found.line - 1].chars().count();
    assert!((1..=width + 1).contains(&found.column), "column {} of {width}: {shown}", found.column);
    assert!((1..=found.snippet.chars().count() + 1).contains(&found.caret), "caret {}: {shown}", found.caret);
    assert!(found.snippet.chars().count() <= 162 && !found.snippet.contains(char::is_control));
}
