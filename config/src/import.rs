//! Configurations of other programs, carried over into weir's own.

mod clients;
mod draft;
mod endpoint;
mod file;
mod inputs;
mod manifests;
mod notes;
mod part;
mod secrets;
mod server;
mod settle;
mod text;
mod toolhive;
mod values;
mod workloads;
mod writer;

use crate::diagnostic::{ConfigErrors, Diagnostic};
use crate::expansion;
use crate::report::{Finding, Report};
use crate::tree::{self, Place};
use notes::Notes;
use part::Part;
use std::path::Path;

/// Largest file that is imported, in bytes: clients keep much beside their servers.
const LARGEST: u64 = 16 << 20;

/// What kind of file is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The servers of an MCP client: `mcpServers`, VS Code's `servers` or `mcp.servers`, Claude Code's `projects`.
    McpServers,
    /// ToolHive's `vmcp` configuration, or its Kubernetes manifests.
    ToolHive,
}

/// A file that was carried over.
#[derive(Debug, Clone, PartialEq)]
pub struct Imported {
    /// What kind of file it was.
    pub origin: Origin,
    /// The text of weir's configuration; the same source gives the same text.
    pub text: String,
    /// What could not be carried over, and what needs the operator's hand, in the order of the source.
    pub remarks: Vec<Diagnostic>,
    /// The environment variables that the text refers to, by name.
    pub variables: Vec<Variable>,
}

/// An environment variable that must be set before weir starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// What its value is.
    pub purpose: String,
    /// The text has a default for it, so that it may stay unset.
    pub optional: bool,
}

/// Carries a file of another program over; without `origin` its content tells what it is.
///
/// # Errors
/// It cannot be read, is larger than 16 MiB, is no valid YAML or JSON, is not of a known kind, or names no server that
/// weir could use.
pub fn import(path: &Path, origin: Option<Origin>) -> Result<Imported, ConfigErrors> {
    match expansion::read(path, LARGEST) {
        Ok(text) => import_text(&text, path, origin),
        Err(problem) => {
            let mut report = Report::new(path.to_owned());
            let message = format!("cannot read the file: {problem}");
            report.error(Finding::new(Place::START, &tree::Path::default(), message));
            Err(ConfigErrors(report.render("", None).0))
        }
    }
}

/// Carries the text of such a file over; `file` is its name in messages.
///
/// # Errors
/// As [`import`].
pub fn import_text(text: &str, file: &Path, origin: Option<Origin>) -> Result<Imported, ConfigErrors> {
    let text = file::as_yaml(text);
    let mut report = Report::unbounded(file.to_owned());
    let documents = tree::parse_all(&text, &mut report);
    let carried = match documents.as_slice() {
        _ if report.has_errors() => None,
        documents => carry(&text, documents, file, origin, &mut report),
    };
    // Of several documents no line is repeated: snippets know the values of one tree only.
    let (shown, tree) = match documents.as_slice() {
        [tree] => (&*text, Some(tree)),
        _ => ("", None),
    };
    let (errors, remarks) = report.render(shown, tree);
    match carried {
        Some((origin, text, variables)) if errors.is_empty() => {
            Ok(Imported { origin, text, remarks, variables })
        }
        _ => Err(ConfigErrors(errors)),
    }
}

/// The text and its variables; `None` where nothing usable was found, which is reported.
fn carry(
    text: &str,
    documents: &[tree::Node],
    file: &Path,
    origin: Option<Origin>,
    report: &mut Report,
) -> Option<(Origin, String, Vec<Variable>)> {
    let roots: Vec<Part<'_>> = documents.iter().map(Part::root).collect();
    let Some(origin) = origin.or_else(|| roots.iter().find_map(file::origin)) else {
        let first = roots.first()?;
        report.error(file::unknown(first));
        return None;
    };
    let mut notes = Notes::new(text);
    let draft = match origin {
        Origin::McpServers => roots.iter().find_map(|root| clients::read(root, &mut notes)),
        Origin::ToolHive => toolhive::read(&roots, &mut notes),
    };
    let name = file.file_name().map_or_else(|| "a file".into(), |name| name.to_string_lossy());
    let settled = draft.and_then(|draft| settle::settle(draft, &name, &mut notes));
    let (findings, variables) = notes.into_parts();
    if settled.is_none() {
        let place = roots.first().map_or(Place::START, |root| root.at);
        let message = "it names no server that weir could use";
        let help = "write weir's own file: `docs/add-a-backend.md` shows how";
        report.error(Finding::new(place, &tree::Path::default(), message).help(help));
        // Why none of them could be used is what the reader needs to know.
        findings.into_iter().for_each(|finding| report.error(finding));
        return None;
    }
    findings.into_iter().for_each(|finding| report.warning(finding));
    settled.map(|text| (origin, text, variables))
}
