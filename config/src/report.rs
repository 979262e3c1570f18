//! Collects what is wrong with a file and renders it without showing what may be secret.

mod snippet;

use crate::diagnostic::Diagnostic;
use crate::tree::{self, Extent, Node, Path, Place};
use snippet::Snippets;
use std::collections::HashSet;
use std::path::PathBuf;

/// Longest piece of a file that a message repeats, in characters.
const LONGEST_QUOTE: usize = 64;
/// Most names that a message lists.
const MOST_NAMES: usize = 16;
/// Most findings that are kept; a file that has more is not worth a longer list.
const MOST_FINDINGS: usize = 100;

/// Something wrong at a place.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    place: Place,
    path: String,
    message: String,
    suggestion: Option<String>,
}

impl Finding {
    pub(crate) fn new(place: Place, path: &Path, message: impl Into<String>) -> Self {
        Self { place, path: path.to_string(), message: message.into(), suggestion: None }
    }

    /// Adds advice: what to write instead.
    pub(crate) fn help(mut self, advice: impl Into<String>) -> Self {
        self.suggestion = Some(advice.into());
        self
    }

    /// Adds the known name nearest to what was written, if one is near.
    pub(crate) fn guess<'n>(mut self, written: &str, known: impl IntoIterator<Item = &'n str>) -> Self {
        self.suggestion =
            nearest(written, known).map(|name| format!("did you mean {}?", quote(name))).or(self.suggestion);
        self
    }
}

/// The findings of one file.
pub(crate) struct Report {
    file: PathBuf,
    errors: Vec<Finding>,
    warnings: Vec<Finding>,
    /// How many of either are kept.
    most: usize,
    /// Where the scalars begin that are known not to be secret.
    shown: HashSet<Place>,
    /// What was read but is not part of the tree.
    hidden: Vec<Extent>,
}

impl Report {
    pub(crate) fn new(file: PathBuf) -> Self {
        Self::keeping(file, MOST_FINDINGS)
    }

    /// A report of which nothing is left out.
    pub(crate) fn unbounded(file: PathBuf) -> Self {
        Self::keeping(file, usize::MAX)
    }

    fn keeping(file: PathBuf, most: usize) -> Self {
        let (errors, warnings) = (Vec::new(), Vec::new());
        Self { file, errors, warnings, most, shown: HashSet::new(), hidden: Vec::new() }
    }

    pub(crate) fn error(&mut self, finding: Finding) {
        if self.errors.len() < self.most {
            self.errors.push(finding);
        }
    }

    pub(crate) fn warning(&mut self, finding: Finding) {
        if self.warnings.len() < self.most {
            self.warnings.push(finding);
        }
    }

    /// Allows a scalar to be repeated in snippets: its place in the schema says that it is no secret.
    pub(crate) fn show(&mut self, start: Place) {
        self.shown.insert(start);
    }

    /// Keeps a value out of snippets that is left out of the tree.
    pub(crate) fn hide(&mut self, extent: Extent) {
        self.hidden.push(extent);
    }

    /// Takes in what the rules found in a file that may not fit its schema. Of the errors only those count that are not
    /// about, or above, or below something that does not fit: what was left out there cannot be judged.
    pub(crate) fn absorb(&mut self, rules: Self) {
        let fits = !self.has_errors();
        let related = |found: &Finding| {
            self.errors
                .iter()
                .any(|misfit| misfit.path.starts_with(&found.path) || found.path.starts_with(&misfit.path))
        };
        let found: Vec<Finding> = rules.errors.into_iter().filter(|found| !related(found)).collect();
        found.into_iter().for_each(|found| self.error(found));
        if fits {
            rules.warnings.into_iter().for_each(|found| self.warning(found));
        }
        self.shown.extend(rules.shown);
        self.hidden.extend(rules.hidden);
    }

    pub(crate) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Errors and warnings in the order of the file, each with its source line.
    pub(crate) fn render(self, text: &str, root: Option<&Node>) -> (Vec<Diagnostic>, Vec<Diagnostic>) {
        let snippets = Snippets::new(text, root, &self.shown, &self.hidden);
        // A text that is not shown has no end that could be told.
        let end = (!text.is_empty()).then(|| tree::end(text));
        let render = |mut findings: Vec<Finding>| {
            findings.sort_by(|a, b| (a.place, &a.message).cmp(&(b.place, &b.message)));
            findings.dedup();
            let diagnostic = |finding: Finding| {
                // The parser ends every file with a line end, and what is missing may be missing behind that.
                let place = end.map_or(finding.place, |end| finding.place.min(end));
                let (snippet, caret) = snippets.line(place);
                Diagnostic {
                    file: self.file.clone(),
                    line: place.line,
                    column: place.column,
                    path: finding.path,
                    message: finding.message,
                    snippet,
                    caret,
                    suggestion: finding.suggestion,
                }
            };
            findings.into_iter().map(diagnostic).collect()
        };
        (render(self.errors), render(self.warnings))
    }
}

/// A piece of the file in a message: bounded, and without control characters.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted: String = text.chars().take(LONGEST_QUOTE).flat_map(char::escape_debug).collect();
    if text.chars().count() > LONGEST_QUOTE {
        quoted.push('…');
    }
    format!("`{quoted}`")
}

/// Names as a list in a message; of very many, the first.
pub(crate) fn quote_all<'n>(names: impl IntoIterator<Item = &'n str>) -> String {
    let mut names = names.into_iter();
    let mut list = names.by_ref().take(MOST_NAMES).map(quote).collect::<Vec<_>>().join(", ");
    match names.count() {
        0 => {}
        more => list.push_str(&format!(" and {more} more")),
    }
    list
}

/// The known name that is most likely meant by what was written; `None` where none is near.
pub fn nearest<'n>(written: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    const ENOUGH: f64 = 0.7;
    let plain = |name: &str| name.to_lowercase().replace(['-', '_'], "");
    // A long text costs its square to compare and is no typing mistake.
    let written = plain(written.get(..LONGEST_QUOTE).unwrap_or(written));
    if written.len() > LONGEST_QUOTE {
        return None;
    }
    let score = |name: &'n str| {
        let known = plain(name);
        let part = known.len() > 2
            && written.len() > 2
            && (known.starts_with(&written) || written.starts_with(&known));
        let score = strsim::damerau_levenshtein(&written, &known);
        let longest = written.chars().count().max(known.chars().count()).max(1);
        #[expect(clippy::cast_precision_loss, reason = "both are lengths of short names")]
        let likeness = 1.0 - score as f64 / longest as f64;
        (if part { likeness.max(ENOUGH) } else { likeness }, name)
    };
    let best = known.into_iter().map(score).max_by(|a, b| a.0.total_cmp(&b.0))?;
    // Half of a very short name may be mistyped: `url` for `uri`.
    let enough = if best.1.len() <= 4 { 0.5 } else { 0.6 };
    (best.0 >= enough).then_some(best.1)
}
