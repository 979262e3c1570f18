//! A text of policies: taken apart into single ones, each of which knows its place.

use crate::PolicyProblem;
use miette::Diagnostic as _;
use std::path::PathBuf;
use weir_config::{Diagnostic, PolicySource};

/// Widest line of a policy that a finding shows, in characters.
const WIDEST: usize = 160;
/// Longest message of a finding, in characters.
const LONGEST: usize = 400;

/// Where a policy stands, and its text.
#[derive(Debug, Clone)]
pub(crate) struct Piece<'s> {
    source: &'s PolicySource,
    /// Where in the source it begins, in bytes.
    start: usize,
    pub(crate) text: &'s str,
}

/// A place that outlives the text, with the lines of one policy.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    file: PathBuf,
    /// The line of the policy's first character, from 1, and the characters before it.
    line: usize,
    before: usize,
    indented: usize,
    text: String,
}

impl<'s> Piece<'s> {
    /// The policies of a text. Cedar ends each with a semicolon, which stands nowhere else but in strings and comments.
    pub(crate) fn all(source: &'s PolicySource) -> Vec<Self> {
        let mut pieces = Vec::new();
        let mut start = None;
        let mut letters = source.text.char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '/' if letters.peek().is_some_and(|(_, next)| *next == '/') => {
                    while letters.next_if(|(_, next)| *next != '\n').is_some() {}
                    continue;
                }
                '"' => {
                    start.get_or_insert(at);
                    while let Some((_, inner)) = letters.next() {
                        match inner {
                            '\\' => drop(letters.next()),
                            '"' => break,
                            _ => {}
                        }
                    }
                }
                ';' => {
                    let start = start.take().unwrap_or(at);
                    let text = source.text.get(start..=at).unwrap_or_default();
                    pieces.push(Self { source, start, text });
                }
                letter if letter.is_whitespace() => {}
                _ => drop(start.get_or_insert(at)),
            }
        }
        if let Some(start) = start {
            let text = source.text.get(start..).unwrap_or_default();
            pieces.push(Self { source, start, text });
        }
        pieces
    }

    /// Where it stands.
    pub(crate) fn place(&self) -> Place {
        let before = self.source.text.get(..self.start).unwrap_or_default();
        let line = before.matches('\n').count() + 1 + self.source.lines_before;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count();
        Place {
            file: self.source.file.clone(),
            line,
            before: column,
            indented: self.source.indented,
            text: self.text.to_owned(),
        }
    }
}

impl Place {
    /// The file and the line, by which a policy without an id is known.
    pub(crate) fn id(&self) -> String {
        format!("{}:{}", self.file.display(), self.line)
    }

    /// The same with the column, for the second policy of a line.
    pub(crate) fn exact_id(&self) -> String {
        format!("{}:{}", self.id(), self.before + self.indented + 1)
    }

    /// Where in the policy a word stands first that is read of the context, in bytes; its beginning, where none is.
    pub(crate) fn find(&self, word: &str) -> usize {
        // Before that, it may be a part of an id.
        let from = self.text.find("context").unwrap_or_default();
        let rest = self.text.get(from..).unwrap_or_default();
        rest.find(word).map_or(0, |at| from + at)
    }

    /// Something about the policy that stands here, at so many bytes into it.
    pub(crate) fn problem(
        &self,
        id: Option<&str>,
        offset: usize,
        message: impl Into<String>,
        suggestion: Option<String>,
    ) -> PolicyProblem {
        let offset = (0..=offset.min(self.text.len())).rfind(|at| self.text.is_char_boundary(*at));
        let before = self.text.get(..offset.unwrap_or_default()).unwrap_or_default();
        let line = before.matches('\n').count();
        let into = before.rsplit('\n').next().unwrap_or_default().chars().count();
        let into = if line == 0 { into + self.before } else { into };
        let padding = if line == 0 { " ".repeat(self.before) } else { String::new() };
        let shown = self.text.lines().nth(line).unwrap_or_default();
        let (snippet, caret) = frame(&format!("{padding}{shown}"), into);
        PolicyProblem {
            id: id.map(str::to_owned),
            diagnostic: Diagnostic {
                file: self.file.clone(),
                line: self.line + line,
                column: into + self.indented + 1,
                path: String::new(),
                message: one_line(&message.into()),
                snippet,
                caret,
                suggestion: suggestion.map(|text| one_line(&text)),
            },
        }
    }

    /// What Cedar found about it.
    pub(crate) fn found(&self, id: Option<&str>, found: &dyn miette::Diagnostic) -> PolicyProblem {
        let offset = found.labels().and_then(|mut labels| labels.next()).map_or(0, |label| label.offset());
        self.problem(id, offset, found.to_string(), found.help().map(|help| help.to_string()))
    }
}

/// Every finding of Cedar's parser, which may hold several.
pub(crate) fn parse_problems(place: &Place, errors: &cedar_policy::ParseErrors) -> Vec<PolicyProblem> {
    let mut problems = vec![place.found(None, errors)];
    problems.extend(errors.related().into_iter().flatten().map(|error| place.found(None, error)));
    problems
}

fn one_line(text: &str) -> String {
    let flat = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    flat.take(LONGEST).collect()
}

/// The line, cut around the character at `at`, and the column that shows it, from 1.
fn frame(line: &str, at: usize) -> (String, usize) {
    let letters: Vec<char> =
        line.trim_end().chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let skip = if letters.len() <= WIDEST { 0 } else { at.saturating_sub(WIDEST / 2) };
    (letters.into_iter().skip(skip).take(WIDEST).collect(), at - skip + 1)
}
