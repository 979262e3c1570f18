//! From a draft to a text that `weir check` accepts: what weir would refuse is taken out and remarked.

use super::draft::{Draft, Value};
use super::notes::{Notes, Spot};
use super::writer::{self, Written};
use crate::diagnostic::Diagnostic;
use crate::load;
use crate::tree::{Path, Place};
use std::path::Path as FilePath;

/// Most rounds of taking something out; each takes out all that is found.
const ROUNDS: usize = 32;

/// The text of the file; `None` where nothing is left of it.
pub(super) fn settle(mut draft: Draft, source: &str, notes: &mut Notes) -> Option<String> {
    for _ in 0..ROUNDS {
        notes.retain_variables(|name| refers(&draft, name));
        let written = writer::write(&draft, &head(source, notes));
        // Every variable has a value that suits headers, arguments and most addresses.
        let stand_in = |_: &str| Some("1".to_owned());
        let errors = match load::parse(&written.text, FilePath::new("weir.yaml"), &stand_in) {
            Ok(_) => return Some(written.text),
            Err(errors) => errors,
        };
        let mut ways: Vec<(Vec<usize>, &Diagnostic)> = Vec::new();
        for diagnostic in errors.diagnostics() {
            let Some(way) = written.way(diagnostic.line) else { continue };
            match judge(&draft, &way) {
                Verdict::Stays => {}
                Verdict::Goes(way) => ways.push((way, diagnostic)),
                Verdict::Hopeless => return None,
            }
        }
        if ways.is_empty() {
            return Some(written.text);
        }
        // From the end on, so that positions before it stay what they are.
        ways.sort_by(|(a, _), (b, _)| b.cmp(a));
        ways.dedup_by(|(a, _), (b, _)| a == b);
        for (way, diagnostic) in ways {
            let Spot { at, path } = spot(&draft, &way);
            let help =
                diagnostic.suggestion.clone().unwrap_or_else(|| "write it into weir's file yourself".into());
            notes.remark(Spot { at, path }, format!("this was left out: {}", diagnostic.message), help);
            keep_as_comment(&mut draft, &way);
            draft.remove(&way);
        }
    }
    None
}

/// The head of the file.
fn head(source: &str, notes: &Notes) -> Vec<String> {
    let mut head = vec![format!("Carried over from {source} by `weir import`.")];
    let variables = notes.variables();
    for (optional, title) in
        [(false, "Environment variables to set before weir starts:"), (true, "Variables that may be set:")]
    {
        let of = || variables.iter().filter(|variable| variable.optional == optional);
        if of().next().is_some() {
            head.push(title.to_owned());
        }
        head.extend(of().map(|variable| format!("  {}: {}", variable.name, variable.purpose)));
    }
    head.push("`weir check --connect` tries it: it starts and asks every backend.".to_owned());
    head
}

/// Whether a draft refers to a variable.
fn refers(draft: &Draft, name: &str) -> bool {
    match &draft.value {
        Value::Text(text) => text.contains(&format!("${{{name}}}")) || text.contains(&format!("${{{name}:-")),
        Value::Bare(_) => false,
        Value::List(items) => items.iter().any(|item| refers(item, name)),
        Value::Table(entries) => entries.iter().any(|(_, value)| refers(value, name)),
    }
}

/// What is to be done about something that weir refuses.
enum Verdict {
    /// It depends on this machine or on a variable: the operator sees it in `weir check`.
    Stays,
    /// This is taken out.
    Goes(Vec<usize>),
    /// The file is nothing without it.
    Hopeless,
}

fn judge(draft: &Draft, way: &[usize]) -> Verdict {
    let keys = keys(draft, way);
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    match keys.as_slice() {
        [] | [_] => Verdict::Hopeless,
        ["backends", _, "url" | "cwd" | "ca"] if holds_reference(draft, way) => Verdict::Stays,
        ["backends", _, "command" | "url"] | ["endpoints", _, "path"] => {
            Verdict::Goes(way.get(..2).unwrap_or(way).to_vec())
        }
        _ => Verdict::Goes(way.to_vec()),
    }
}

/// Leaves a comment in the place of a file or folder that is not there: it may be there where weir is going to run.
fn keep_as_comment(draft: &mut Draft, way: &[usize]) {
    let keys = keys(draft, way);
    let (Some(key @ ("cwd" | "ca")), [backends, backend, _]) = (keys.last().map(String::as_str), way) else {
        return;
    };
    let Some(backend) = draft.member_mut(*backends).and_then(|backends| backends.member_mut(*backend)) else {
        return;
    };
    if let Some(Value::Text(text)) = backend.get(key).map(|draft| &draft.value) {
        let comment = format!("{key}: {} (left out: it is not there)", writer::scalar(text));
        backend.comment(comment);
    }
}

/// Whether the text at the end of a way holds a reference.
fn holds_reference(draft: &Draft, way: &[usize]) -> bool {
    let value = way.iter().try_fold(draft, |draft, at| draft.member(*at).map(|(_, member)| member));
    value.is_some_and(
        |value| matches!(&value.value, Value::Text(text) if text.replace("$${", "").contains("${")),
    )
}

/// The keys on a way; items of lists have none.
fn keys(draft: &Draft, way: &[usize]) -> Vec<String> {
    let mut draft = draft;
    let mut keys = Vec::with_capacity(way.len());
    for at in way {
        let Some((key, member)) = draft.member(*at) else { break };
        keys.push(key.unwrap_or_default().to_owned());
        draft = member;
    }
    keys
}

/// Where the value at the end of a way comes from, or the nearest thing around it.
fn spot(draft: &Draft, way: &[usize]) -> Spot {
    let mut draft = draft;
    let mut spot = Spot { at: Place::START, path: Path::default() };
    for at in way {
        let Some((_, member)) = draft.member(*at) else { break };
        spot = member.spot.clone().unwrap_or(spot);
        draft = member;
    }
    spot
}

impl Written {
    /// The way to the value in a line, from 1.
    fn way(&self, line: usize) -> Option<Vec<usize>> {
        self.lines.get(line.checked_sub(1)?).cloned()
    }
}
