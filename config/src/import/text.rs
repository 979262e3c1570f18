//! Text of the source in weir's words: references of other programs become `${NAME}`.

use super::inputs::Inputs;
use super::notes::{Notes, upper};
use super::part::Part;
use super::secrets::looks_secret;
use crate::expansion::is_variable;
use crate::report::quote;

/// What stands for a reference where a text is judged.
pub(super) const REFERENCE: char = '\u{1}';

/// One piece of a text.
enum Piece<'s> {
    Literal(&'s str),
    /// What stands between `${` and `}`.
    Reference(&'s str),
}

/// Reads a text with `${NAME}`, `${env:NAME}`, `${input:ID}` and an editor's own variables.
pub(super) fn translate(text: &str, part: &Part<'_>, inputs: &Inputs, notes: &mut Notes) -> String {
    let mut translated = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Literal(piece) => translated.push_str(&piece.replace("${", "$${")),
            Piece::Reference("pathSeparator" | "/") => translated.push('/'),
            Piece::Reference(inner) => {
                if translated.ends_with('$') {
                    // `$${` would be a literal `${`.
                    let message = "a `$` directly before a reference cannot be written, and was left out";
                    notes.remark(part, message, "put it into the variable's value");
                    translated.truncate(translated.trim_end_matches('$').len());
                }
                translated.push_str(&reference(inner, part, inputs, notes));
            }
        }
    }
    translated
}

/// The literal pieces of a text, with [`REFERENCE`] between them. A default is one, unless it is not copied anyway.
pub(super) fn skeleton(text: &str) -> String {
    let mut skeleton = String::with_capacity(text.len());
    for piece in pieces(text) {
        match piece {
            Piece::Literal(piece) => skeleton.push_str(piece),
            Piece::Reference(inner) => match inner.split_once(":-") {
                Some((name, default)) if !looks_secret(name, default) => skeleton.push_str(default),
                _ => skeleton.push(REFERENCE),
            },
        }
    }
    skeleton
}

/// The characters that stand in no reference, with their positions.
pub(super) fn outside(text: &str) -> impl Iterator<Item = (usize, char)> {
    let mut end = 0;
    text.char_indices().filter(move |(at, _)| {
        let inner = || {
            let (inner, _) = text.get(*at..)?.strip_prefix("${")?.split_once('}')?;
            is_reference(inner).then_some(inner)
        };
        if *at < end {
            return false;
        }
        let inner = inner();
        end = inner.map_or(end, |inner| at + inner.len() + "${}".len());
        inner.is_none()
    })
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("${") {
        let Some((inner, after)) = from.split_once('}').filter(|(inner, _)| is_reference(inner)) else {
            // No reference: the two characters and what follows are text.
            let end = before.len() + 2;
            pieces.extend(rest.get(..end).map(Piece::Literal));
            rest = from;
            continue;
        };
        pieces.push(Piece::Literal(before));
        pieces.push(Piece::Reference(inner));
        rest = after;
    }
    pieces.push(Piece::Literal(rest));
    pieces.retain(|piece| !matches!(piece, Piece::Literal("")));
    pieces
}

/// Whether a text between `${` and `}` names something.
fn is_reference(inner: &str) -> bool {
    let name = inner.split_once(":-").map_or(inner, |(name, _)| name);
    let name = name.split_once(':').map_or(name, |(_, name)| name);
    name == "/" || (!name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.- ".contains(c)))
}

/// What takes the place of `${inner}`.
fn reference(inner: &str, part: &Part<'_>, inputs: &Inputs, notes: &mut Notes) -> String {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let (kind, name) = name.split_once(':').unwrap_or(("env", name));
    match (kind, name) {
        ("input", id) => inputs.reference(id, part, notes),
        // Every process has it: it need not be set.
        ("env", "userHome") => "${HOME}".to_owned(),
        ("env", "workspaceFolder" | "workspaceRoot" | "CLAUDE_PROJECT_DIR") | ("workspaceFolder", _) => {
            let variable =
                variable("WORKSPACE_FOLDER", default, "the folder that the client has open", part, notes);
            notes.remark(
                part,
                format!(
                    "{} is a folder of the client's, which a gateway has not",
                    quote(&format!("${{{inner}}}"))
                ),
                "set WORKSPACE_FOLDER to it before weir starts, or write the folder",
            );
            variable
        }
        ("env", name) if is_variable(name) => {
            let purpose = "named by the file that was imported";
            variable(name, default, purpose, part, notes)
        }
        _ => {
            let name = upper(&inner.replace(":-", "_"));
            let written = quote(&format!("${{{inner}}}"));
            notes.remark(
                part,
                format!("{written} means something to the client only: it became `${{{name}}}`"),
                format!("set the environment variable {} to what is meant", quote(&name)),
            );
            variable(&name, None, &format!("what {written} stood for"), part, notes)
        }
    }
}

/// A reference to a variable; a default that looks secret is not kept.
fn variable(name: &str, default: Option<&str>, purpose: &str, part: &Part<'_>, notes: &mut Notes) -> String {
    let secret = default.is_some_and(|default| looks_secret(name, default));
    if secret {
        notes.remark(
            part,
            format!("the default of `${{{name}}}` looks like a secret and was not copied"),
            format!("set the environment variable {} before weir starts", quote(name)),
        );
    }
    let default = default.filter(|_| !secret);
    notes.refer(name, purpose, default.is_some());
    match default {
        Some(default) => format!("${{{name}:-{default}}}"),
        None => format!("${{{name}}}"),
    }
}
