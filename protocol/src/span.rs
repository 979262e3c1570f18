//! Byte ranges into a message.

/// A byte range of the message it was read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// An empty range at `at`: where something may be inserted.
    pub fn at(at: usize) -> Self {
        Self { start: at, end: at }
    }

    /// The bytes of `source` in this range; empty where the range does not lie in `source`.
    pub fn of<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        source.get(self.start..self.end).unwrap_or_default()
    }

    /// The same range as text; empty where it is no range of `source` or no UTF-8.
    pub fn text<'a>(&self, source: &'a [u8]) -> &'a str {
        std::str::from_utf8(self.of(source)).unwrap_or_default()
    }

    /// This range seen from a message in which the range's source begins at `offset`.
    pub fn shifted(&self, offset: usize) -> Self {
        Self {
            start: self.start + offset,
            end: self.end + offset,
        }
    }

    /// The range that `part` takes in `source`; `part` must be borrowed from `source`.
    pub(crate) fn within(source: &str, part: &str) -> Self {
        let start = (part.as_ptr() as usize).saturating_sub(source.as_ptr() as usize);
        Self {
            start,
            end: start + part.len(),
        }
    }
}
