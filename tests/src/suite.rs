//! The MCP conformance suite.

use crate::peers;
use crate::process::{Exit, Process};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// The newest revision of the legacy era.
pub const LEGACY: &str = "2025-11-25";
/// The revision of the modern era.
pub const MODERN: &str = "2026-07-28";

/// Runs scenarios against the server at `url`.
pub fn server(url: &str, choice: &[&str]) -> Exit {
    Process::run(command().args(["server", "--url", url]).args(choice), "")
}

/// Runs one scenario of a revision against the client that `line` starts, and returns the checks that it does not pass.
pub fn client(line: &str, scenario: &str, revision: &str) -> Vec<Check> {
    let results = tempfile::tempdir().expect("a directory can be made");
    let mut command = command();
    command.args(["client", "--command", line, "--scenario", scenario, "--spec-version", revision]);
    // Extensions belong to no revision, and are tried all the same.
    command.arg("--force");
    let exit = Process::run(command.arg("--output-dir").arg(results.path()), "");
    let checks = checks(results.path());
    assert!(!checks.is_empty(), "{scenario} checked nothing:\n{}{}", exit.stdout, exit.stderr);
    checks.into_iter().filter(|check| check.is_failed()).collect()
}

/// What the suite says of the checks that failed; everything when it never got that far.
pub fn failures(exit: &Exit) -> String {
    let said = format!("{}{}", exit.stdout, exit.stderr);
    let telling =
        said.lines().filter(|line| line.contains('✗') || line.contains("Error:") || line.starts_with("  - "));
    let telling = telling.collect::<Vec<_>>().join("\n");
    if telling.is_empty() { said } else { telling }
}

/// One check, as the suite reports it.
#[derive(Debug)]
pub struct Check(Value);

impl Check {
    /// Its name in lists of expected failures.
    pub fn id(&self) -> &str {
        self.0["id"].as_str().unwrap_or_default()
    }

    /// A number that it measured.
    pub fn measured(&self, name: &str) -> f64 {
        self.0["details"][name].as_f64().unwrap_or_else(|| panic!("no {name} in {self}"))
    }

    /// A warning counts: weir does what is only recommended, too.
    fn is_failed(&self) -> bool {
        matches!(self.0["status"].as_str(), Some("FAILURE" | "WARNING") | None)
    }
}

impl std::fmt::Display for Check {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}: {}", self.id(), self.0["errorMessage"])
    }
}

/// All checks of the runs whose results lie below a directory: a run's has the path of its scenario's name.
fn checks(results: &Path) -> Vec<Check> {
    if let Ok(text) = std::fs::read(results.join("checks.json")) {
        let checks = serde_json::from_slice::<Vec<Value>>(&text).expect("checks are a list");
        return checks.into_iter().map(Check).collect();
    }
    let entries = std::fs::read_dir(results).expect("the results can be read").flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).flat_map(|path| checks(&path)).collect()
}

fn command() -> Command {
    let mut command = peers::node();
    command.arg(peers::node_module("@modelcontextprotocol/conformance/dist/index.js"));
    command
}
