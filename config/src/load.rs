//! From a file to a configuration.

use crate::check::{self, Checker};
use crate::diagnostic::{ConfigErrors, Diagnostic};
use crate::environment::Environment;
use crate::expansion::{self, Dialect, Expander};
use crate::model::Config;
use crate::report::{Finding, Report};
use crate::shape::{Shape, fit};
use crate::tree::{self, Node, Place};
use crate::{file, mcp_servers, schema};
use serde::de::DeserializeOwned;
use std::borrow::Cow;
use std::path::{Path, PathBuf};

/// Largest file, in bytes.
const LARGEST: u64 = 1 << 20;

/// A file that is in order.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// What is odd about it without being wrong, in the order of the file.
    pub warnings: Vec<Diagnostic>,
    /// Every file whose change calls for a reload: the file itself, those that references name, certificates
    /// and keys.
    pub watched: Vec<PathBuf>,
}

/// Reads a configuration: weir's own YAML, or an `mcpServers` JSON file, told by its content.
///
/// # Errors
/// Everything that is wrong, with its place: the file cannot be read or is larger than 1 MiB, is not valid
/// YAML, does not fit the schema, refers to something that is not there, or breaks a rule.
pub fn load(path: &Path, environment: &dyn Environment) -> Result<Loaded, ConfigErrors> {
    match expansion::read(path, LARGEST) {
        Ok(text) => parse(&text, path, environment),
        Err(problem) => {
            let mut report = Report::new(path.to_owned());
            let message = format!("cannot read the configuration: {problem}");
            report.error(Finding::new(Place::START, &tree::Path::default(), message));
            Err(ConfigErrors(report.render("", None).0))
        }
    }
}

/// Reads a configuration from its text; `file` gives the folder that relative paths start at, and the name in
/// messages.
///
/// # Errors
/// As [`load`].
pub fn parse(text: &str, file: &Path, environment: &dyn Environment) -> Result<Loaded, ConfigErrors> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let text = join_surrogates(text);
    let mut report = Report::new(file.to_owned());
    let mut tree = tree::parse(&text, &mut report);
    let read = tree.as_mut().and_then(|tree| read(tree, &text, file, environment, &mut report));
    let failed = report.has_errors();
    let (errors, warnings) = report.render(&text, tree.as_ref());
    match read {
        Some((config, watched)) if !failed => Ok(Loaded { config, warnings, watched }),
        _ => Err(ConfigErrors(errors)),
    }
}

/// The configuration and the watched files; good only if nothing is reported.
fn read(
    root: &mut Node,
    text: &str,
    path: &Path,
    environment: &dyn Environment,
    report: &mut Report,
) -> Option<(Config, Vec<PathBuf>)> {
    let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
    let clients = root.get(mcp_servers::ROOT).is_some();
    let dialect = if clients { Dialect::McpServers } else { Dialect::Weir };
    let mut expander = Expander { environment, folder, dialect, files: vec![path.to_owned()] };
    let own = Shape::of(&schema::raw::<file::File>());
    let written = if clients {
        if let Shape::Table(table) = &own {
            mcp_servers::refuse_mixture(root, table.fields.keys(), report);
        }
        mcp_servers::leave_out_disabled(root, report);
        let shape = Shape::of(&schema::raw::<mcp_servers::File>());
        Written::Clients(typed(root, &shape, &mut expander, report)?)
    } else {
        Written::Own(typed(root, &own, &mut expander, report)?)
    };
    let Expander { folder, files, .. } = expander;
    let mut rules = Report::new(path.to_owned());
    let mut checker = Checker { root, report: &mut rules, file: path, text, folder: &folder, watched: files };
    let config = match written {
        Written::Own(written) => check::config(&mut checker, *written),
        Written::Clients(written) => mcp_servers::config(&mut checker, written),
    };
    let mut watched = checker.watched;
    report.absorb(rules);
    watched.sort();
    watched.dedup();
    Some((config, watched))
}

/// Either kind of file.
enum Written {
    Own(Box<file::File>),
    Clients(mcp_servers::File),
}

/// The tree as its type. What does not fit its shape is reported and left out; `None` where too little remains.
pub(crate) fn typed<T: DeserializeOwned>(
    root: &Node,
    shape: &Shape,
    expander: &mut Expander<'_>,
    report: &mut Report,
) -> Option<T> {
    let value = fit(root, shape, expander, report);
    match serde_json::from_value(value?) {
        Ok(typed) => Some(typed),
        Err(_) if report.has_errors() => None,
        Err(_) => {
            // serde's own text may repeat a value. What fits the shape always has the type; tests hold both
            // together.
            let message = "the file does not fit its schema";
            report.error(Finding::new(Place::START, &tree::Path::default(), message));
            None
        }
    }
}

/// JSON writes characters beyond U+FFFF as two `\u` escapes, YAML as one `\U`: rewrites the former in a JSON
/// file.
pub(crate) fn join_surrogates(text: &str) -> Cow<'_, str> {
    if !text.trim_start().starts_with('{') || !text.contains("\\u") {
        return Cow::Borrowed(text);
    }
    let unit = |text: &str| u16::from_str_radix(text.strip_prefix("\\u")?.get(..4)?, 16).ok();
    let mut joined = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        joined.push_str(before);
        let pair = unit(escape).zip(escape.get(6..).and_then(unit));
        let character = pair.and_then(|(high, low)| char::decode_utf16([high, low]).next()?.ok());
        match character.filter(|character| character.len_utf16() == 2) {
            Some(character) => {
                joined.push_str(&format!("\\U{:08X}", u32::from(character)));
                rest = escape.get(12..).unwrap_or_default();
            }
            None => {
                // The escape and the character it escapes, so that `\\u` is not taken for an escape.
                let length = escape.chars().take(2).map(char::len_utf8).sum();
                let (escape, after) = escape.split_at(length);
                joined.push_str(escape);
                rest = after;
            }
        }
    }
    joined.push_str(rest);
    Cow::Owned(joined)
}
