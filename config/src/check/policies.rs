//! `endpoints.*.policies`: the texts are read here, and understood by who decides.

use super::Checker;
use crate::expansion::{self, reason, resolve};
use crate::file;
use crate::model::{Policies, PolicySource};
use crate::report::quote;
use crate::tree::{self, Path};
use std::path::PathBuf;

/// Largest file of policies, in bytes.
const LARGEST: u64 = 4 << 20;
/// Most files of policies of one endpoint.
const MOST_FILES: usize = 1000;
/// Most claims that policies may read.
const MOST_CLAIMS: usize = 64;
/// What names of policy files end in.
const EXTENSION: &str = "cedar";

pub(super) fn policies(checker: &mut Checker<'_>, here: &Path, written: file::Policies) -> Policies {
    let claims = written.claims.unwrap_or_default();
    if claims.len() > MOST_CLAIMS {
        let message = format!("{} claims are named, and at most {MOST_CLAIMS} may be", claims.len());
        checker.error(checker.at_key(&here.key("claims"), message));
    }
    let nothing = written.files.is_none() && written.inline.is_none();
    if nothing && written.shadow.is_none() {
        let finding = checker.at_key(here, "there is no policy, so nobody may do anything");
        checker.warning(finding.help("name `files`, or write policies under `inline`"));
    }
    let shadowed = written.shadow.iter().flat_map(|shadow| shadow.files.iter().flatten());
    let named = written.files.iter().flatten().chain(shadowed);
    let named: Vec<PathBuf> = named.map(|written| resolve(checker.folder, written)).collect();
    let shadow = written
        .shadow
        .map(|shadow| sources(checker, &here.key("shadow"), shadow.files, shadow.inline, &named));
    Policies { sources: sources(checker, here, written.files, written.inline, &named), shadow, claims }
}

fn sources(
    checker: &mut Checker<'_>,
    here: &Path,
    files: Option<Vec<String>>,
    inline: Option<String>,
    named: &[PathBuf],
) -> Vec<PolicySource> {
    let mut sources = Vec::new();
    for (index, written) in files.unwrap_or_default().iter().enumerate() {
        let here = here.key("files").index(index);
        for path in files_at(checker, &here, written, named) {
            if sources.len() >= MOST_FILES {
                let message = format!("there are more than {MOST_FILES} files of policies");
                checker.error(checker.at(&here, message));
                return sources;
            }
            checker.watched.push(path.clone());
            match expansion::read(&path, LARGEST) {
                Ok(text) => sources.push(PolicySource { file: path, text, lines_before: 0, indented: 0 }),
                Err(problem) => {
                    let message = format!("cannot read {}: {problem}", quote(&path.display().to_string()));
                    checker.error(checker.at(&here, message));
                }
            }
        }
    }
    if let Some(text) = inline {
        sources.push(in_place(checker, &here.key("inline"), text));
    }
    sources
}

/// The file that is named, or the policy files of the folder, sorted; either is watched.
fn files_at(checker: &mut Checker<'_>, here: &Path, written: &str, named: &[PathBuf]) -> Vec<PathBuf> {
    let path = resolve(checker.folder, written);
    if !path.is_dir() {
        return vec![path];
    }
    checker.watched.push(path.clone());
    let entries = match std::fs::read_dir(&path) {
        Ok(entries) => entries,
        Err(error) => {
            let message = format!("cannot read {}: {}", quote(&path.display().to_string()), reason(&error));
            checker.error(checker.at(here, message));
            return Vec::new();
        }
    };
    let mut files = Vec::new();
    for entry in entries {
        match entry {
            Ok(entry) => files.push(entry.path()),
            Err(error) => {
                let message =
                    format!("cannot read {}: {}", quote(&path.display().to_string()), reason(&error));
                checker.error(checker.at(here, message));
            }
        }
    }
    files.sort();
    // Who moves policies into such a folder has to be told that they are in force no more.
    let unread =
        |folder: &&PathBuf| !named.iter().any(|named| named.starts_with(folder)) && holds_policies(folder);
    if let Some(folder) = files.iter().find(unread) {
        let folder = quote(&folder.display().to_string());
        let message = format!("the policies in {folder} are not read: only those of the folder itself are");
        checker.warning(checker.at(here, message).help("name that folder under `files` too"));
    }
    files.retain(|file| is_policies(file));
    if files.is_empty() {
        let message = format!("there is no file in it whose name ends in `.{EXTENSION}`");
        checker.warning(checker.at(here, message));
    }
    files
}

fn is_policies(file: &std::path::Path) -> bool {
    file.extension().is_some_and(|extension| extension == EXTENSION)
}

/// Whether it is a folder with policy files.
fn holds_policies(folder: &std::path::Path) -> bool {
    let within = std::fs::read_dir(folder).into_iter().flatten().flatten();
    within.take(MOST_FILES).any(|entry| is_policies(&entry.path()))
}

/// The policies under `inline`, and where in the configuration they stand.
fn in_place(checker: &Checker<'_>, here: &Path, text: String) -> PolicySource {
    let place = checker.root.locate(here);
    let file = checker.file.to_owned();
    let mut ahead = tree::lines(checker.text).skip(place.line.saturating_sub(1));
    let written = ahead.next().unwrap_or_default().chars().nth(place.column.saturating_sub(1));
    if !matches!(written, Some('|' | '>')) {
        let quoted = usize::from(matches!(written, Some('"' | '\'')));
        let (lines_before, indented) = (place.line.saturating_sub(1), place.column - 1 + quoted);
        return PolicySource { file, text, lines_before, indented };
    }
    // A block begins on the line below its `|`, indented as its first line is.
    let first = ahead.find(|line| !line.trim().is_empty()).unwrap_or_default();
    let indented = first.chars().take_while(|letter| *letter == ' ').count();
    PolicySource { file, text, lines_before: place.line, indented }
}
