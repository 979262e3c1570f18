//! From what is written to what is meant: every rule that a schema cannot say, all violations at once.

mod auth;
mod backend;
mod credentials;
mod endpoint;
mod exposure;
mod limits;
mod listener;
mod names;
mod oauth;
mod parameter;
mod policies;
mod prefix;
mod roots;

pub(crate) use backend::backend;
pub(crate) use limits::BackendDefaults;
pub(crate) use names::{as_name, is_name_character};
pub(crate) use prefix::Format;

use crate::expansion::{reason, resolve};
use crate::file;
use crate::model::{Config, Conflicts, Endpoint, Limits, Listener, Timeouts};
use crate::report::{Finding, Report, quote};
use crate::tree::{Node, Path};
use std::collections::HashSet;
use std::path::PathBuf;

/// Most backends, and most endpoints, of one file.
const MOST_MEMBERS: usize = 1000;

/// Where rules report to.
pub(crate) struct Checker<'a> {
    pub(crate) root: &'a Node,
    pub(crate) report: &'a mut Report,
    /// The file, and what stands in it.
    pub(crate) file: &'a std::path::Path,
    pub(crate) text: &'a str,
    /// What relative paths are relative to.
    pub(crate) folder: &'a std::path::Path,
    /// Files beside the configuration whose change matters.
    pub(crate) watched: Vec<PathBuf>,
}

impl Checker<'_> {
    /// A finding at the value of a path; not yet reported.
    pub(crate) fn at(&self, path: &Path, message: impl Into<String>) -> Finding {
        Finding::new(self.root.locate(path), path, message)
    }

    /// A finding at the key of a path; not yet reported.
    pub(crate) fn at_key(&self, path: &Path, message: impl Into<String>) -> Finding {
        Finding::new(self.root.locate_key(path), path, message)
    }

    pub(crate) fn error(&mut self, finding: Finding) {
        self.report.error(finding);
    }

    pub(crate) fn warning(&mut self, finding: Finding) {
        self.report.warning(finding);
    }

    /// A file that must exist; its change is watched for.
    fn existing_file(&mut self, here: &Path, written: &str) -> PathBuf {
        let path = resolve(self.folder, written);
        let problem = match std::fs::File::open(&path).and_then(|file| file.metadata()) {
            Ok(metadata) if metadata.is_file() => None,
            Ok(_) => Some("it is not a file".to_owned()),
            Err(error) => Some(reason(&error)),
        };
        if let Some(problem) = problem {
            let message = format!("cannot read {}: {problem}", quote(&path.display().to_string()));
            self.error(self.at(here, message));
        }
        self.watched.push(path.clone());
        path
    }
}

/// The configuration of weir's own file. It is only good where nothing was reported.
pub(crate) fn config(checker: &mut Checker<'_>, file: file::File) -> Config {
    let file::File { listener, mut backends, endpoints, oauth, defaults, limits, timeouts } = file;
    let listener = listener::listener(checker, listener.unwrap_or_default());
    let defaults = BackendDefaults::new(checker, defaults.unwrap_or_default());

    let here = Path::root("backends");
    let names = members(checker, &here, "backends");
    if names.is_empty() {
        checker.error(checker.at_key(&here, "no backend is configured").help("name at least one MCP server"));
    }
    let mut checked = Vec::new();
    for name in &names {
        let here = here.key(name);
        names::check(checker, &here, name, "a backend");
        if let Some(written) = backends.remove(name) {
            checked.extend(backend(checker, &here, name, written, &defaults));
        }
    }

    let endpoints = match endpoints {
        Some(written) => endpoint::endpoints(checker, written, &names, &listener),
        None => vec![default_endpoint(checker, &here, names, Conflicts::default())],
    };
    exposure::check(checker, &listener, &endpoints);
    auth::namesakes::check(checker, &endpoints);
    let limits = limits::front(checker, limits.unwrap_or_default());
    let timeouts = limits::front_timeouts(checker, timeouts.unwrap_or_default());
    oauth::endpoints(checker, &endpoints, &checked, &listener);
    let grants = oauth::store(checker, &Path::root("oauth"), oauth.unwrap_or_default());
    Config { listener, backends: checked, endpoints, grants, limits, timeouts }
}

/// A configuration of backends alone: everything else has its default.
pub(crate) fn of_backends(backends: Vec<crate::model::Backend>, endpoint: Endpoint) -> Config {
    Config {
        listener: Listener::default(),
        backends,
        endpoints: vec![endpoint],
        grants: None,
        limits: Limits::default(),
        timeouts: Timeouts::default(),
    }
}

/// The endpoint of a file that names none; `here` is where its backends stand.
fn default_endpoint(
    checker: &mut Checker<'_>,
    here: &Path,
    backends: Vec<String>,
    conflicts: Conflicts,
) -> Endpoint {
    if let Conflicts::Prefix(format) = &conflicts {
        prefix::check(checker, format, &backends, |name| here.key(name));
    }
    Endpoint { conflicts, ..Endpoint::over(Endpoint::NAME, Endpoint::PATH, backends) }
}

/// The keys of `backends`, `endpoints` or `mcpServers`, in the order of the file; too many of them are
/// reported.
pub(crate) fn members(checker: &mut Checker<'_>, here: &Path, what: &str) -> Vec<String> {
    let mut names = keys(checker.root, here);
    if names.len() > MOST_MEMBERS {
        let message = format!("{} {what} are configured, and at most {MOST_MEMBERS} may be", names.len());
        checker.error(checker.at_key(here, message));
        names.truncate(MOST_MEMBERS);
    }
    names
}

/// The keys of a mapping in the order of the file.
fn keys(root: &Node, path: &Path) -> Vec<String> {
    match root.find(path).map(|node| &node.value) {
        Some(crate::tree::Value::Table(entries)) => entries.iter().map(|(key, _)| key.text.clone()).collect(),
        _ => Vec::new(),
    }
}

/// The positions of the items that stand earlier in a list already.
fn repeated(items: &[String]) -> Vec<usize> {
    let mut seen = HashSet::new();
    items.iter().enumerate().filter(|(_, item)| !seen.insert(item.as_str())).map(|(index, _)| index).collect()
}
