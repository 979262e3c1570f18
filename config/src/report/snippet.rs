//! Source lines without what may be secret.

use crate::tree::{Extent, Node, Place, Value, lines};
use std::collections::HashSet;

/// Widest line that is shown in full, in characters; of a longer one, the part around the place.
const WIDEST: usize = 160;
/// How much of a long line stands before the place.
const BEFORE: usize = 60;

/// The lines of a file, ready to be shown.
pub(crate) struct Snippets<'t> {
    lines: Vec<&'t str>,
    /// Every scalar value, in the order of the file, and whether it may be shown; `None` when the file is not
    /// valid YAML.
    scalars: Option<Vec<(Extent, bool)>>,
}

impl<'t> Snippets<'t> {
    /// `shown` are the starts of harmless scalars, `hidden` the extents of what the tree left out.
    pub(crate) fn new(text: &'t str, tree: Option<&Node>, shown: &HashSet<Place>, hidden: &[Extent]) -> Self {
        let scalars = tree.map(|tree| {
            let mut scalars: Vec<_> = hidden.iter().map(|extent| (*extent, false)).collect();
            collect(tree, shown, &mut scalars);
            scalars.sort_by_key(|(extent, _)| extent.start);
            scalars
        });
        Self { lines: lines(text).collect(), scalars }
    }

    /// The line of a place and the column of the place in it.
    pub(crate) fn line(&self, place: Place) -> (String, usize) {
        let Some(text) = self.lines.get(place.line.saturating_sub(1)) else {
            return (String::new(), 1);
        };
        let cells = match &self.scalars {
            Some(scalars) => mask_scalars(text, place.line, scalars),
            None => mask_words(text),
        };
        frame(cells, place.column)
    }
}

/// One character that is shown, with the column it stands for.
type Cell = (usize, char);

fn collect(node: &Node, shown: &HashSet<Place>, scalars: &mut Vec<(Extent, bool)>) {
    match &node.value {
        Value::Scalar { text, .. } => {
            // A URL may carry a password or a token.
            let sensitive = text.contains('@') || (text.contains("://") && text.contains('?'));
            scalars.push((node.extent, !sensitive && shown.contains(&node.extent.start)));
        }
        Value::List(items) => items.iter().for_each(|item| collect(item, shown, scalars)),
        Value::Table(entries) => entries.iter().for_each(|(_, node)| collect(node, shown, scalars)),
    }
}

/// The line with `…` for every value that is not known to be harmless, and without its comment.
fn mask_scalars(text: &str, line: usize, scalars: &[(Extent, bool)]) -> Vec<Cell> {
    let begin = scalars.partition_point(|(extent, _)| extent.end.line < line);
    let mut ahead = scalars.iter().skip(begin).peekable();
    let mut cells = Vec::new();
    let mut previous = ' ';
    for (column, character) in (1..).zip(text.chars()) {
        let here = Place { line, column };
        while ahead.next_if(|(extent, _)| extent.end <= here).is_some() {}
        match ahead.peek().filter(|(extent, _)| extent.start <= here) {
            Some((extent, false)) => {
                if column == 1 || extent.start == here {
                    cells.push((column, '…'));
                }
            }
            None if character == '#' && previous.is_whitespace() => break,
            _ => cells.push((column, character)),
        }
        previous = character;
    }
    cells
}

/// The line with its key and its punctuation, but every other letter and digit hidden: without a tree nothing
/// tells which of them are secret.
fn mask_words(text: &str) -> Vec<Cell> {
    let key = text.find(": ").or_else(|| text.strip_suffix(':').map(str::len)).unwrap_or(0);
    let name = text.get(..key).unwrap_or_default();
    let is_key =
        name.trim_start_matches([' ', '-']).chars().all(|c| c.is_ascii_alphanumeric() || "_-.\"".contains(c));
    let keep = if is_key { name.chars().count() } else { 0 };
    let hide = |(index, character): (usize, char)| {
        let hidden = index >= keep && !(character.is_ascii_punctuation() || character.is_whitespace());
        (index + 1, if hidden { '·' } else { character })
    };
    text.chars().enumerate().map(hide).collect()
}

/// The cells as text, cut around the column where they are many.
fn frame(mut cells: Vec<Cell>, column: usize) -> (String, usize) {
    while cells.last().is_some_and(|(_, character)| character.is_whitespace()) {
        cells.pop();
    }
    let caret = cells.iter().take_while(|(found, _)| *found < column).count();
    // A place inside a hidden value points at its `…`.
    let hidden = cells.get(caret).is_none_or(|(found, _)| *found > column);
    let caret = if hidden && caret > 0 && cells.get(caret - 1).is_some_and(|(_, c)| *c == '…') {
        caret - 1
    } else {
        caret
    };
    let printable = |character: char| if character.is_control() { ' ' } else { character };
    if cells.len() <= WIDEST {
        return (cells.into_iter().map(|(_, character)| printable(character)).collect(), caret + 1);
    }
    let skip = caret.saturating_sub(BEFORE);
    let mut text = String::new();
    if skip > 0 {
        text.push('…');
    }
    text.extend(cells.iter().skip(skip).take(WIDEST).map(|(_, character)| printable(*character)));
    if skip + WIDEST < cells.len() {
        text.push('…');
    }
    (text, caret - skip + 1 + usize::from(skip > 0))
}
