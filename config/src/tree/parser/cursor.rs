//! A place of the text with what stands behind it.

use super::super::Place;

/// Moves through the text as events come, so that a file is read once however long its lines are.
#[derive(Clone, Copy)]
pub(super) struct Cursor<'a> {
    text: &'a str,
    rest: &'a str,
    place: Place,
}

impl<'a> Cursor<'a> {
    /// At the first character.
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, rest: text, place: Place::START }
    }

    /// Goes to a place. Events come in the order of the text: going back begins anew.
    pub(super) fn seek(&mut self, place: Place) {
        if place < self.place {
            *self = Self::new(self.text);
        }
        while self.place < place && self.next().is_some() {}
    }

    /// The place behind the quote that closes what the one at the cursor opens.
    pub(super) fn closing(mut self, quote: char) -> Option<Place> {
        self.next()?;
        loop {
            let character = self.next()?;
            if character == '\\' && quote == '"' {
                // A line end may be escaped too.
                self.next()?;
            } else if character == quote {
                // Two single quotes stand for one.
                if quote == '"' || !self.rest.starts_with(quote) {
                    return Some(self.place);
                }
                self.next()?;
            }
        }
    }

    /// The next character; every end of a line is `\n`.
    fn next(&mut self) -> Option<char> {
        let character = self.rest.chars().next()?;
        let length = if self.rest.starts_with("\r\n") { 2 } else { character.len_utf8() };
        self.rest = self.rest.get(length..).unwrap_or_default();
        if matches!(character, '\n' | '\r') {
            self.place = Place { line: self.place.line + 1, column: 1 };
            return Some('\n');
        }
        self.place.column += 1;
        Some(character)
    }
}
