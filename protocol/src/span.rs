//! Byte ranges into a message.

/// A byte range of the message it was read from. Messages are far smaller than 4 GiB, and heads of spans are moved
/// about on every call, so each end takes 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// The range from the byte at `start` to before the one at `end`.
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end) }
    }

    /// An empty range at `at`: where something may be inserted.
    pub fn at(at: usize) -> Self {
        Self::new(at, at)
    }

    /// First byte.
    pub fn start(&self) -> usize {
        self.start as usize
    }

    /// One past the last byte.
    pub fn end(&self) -> usize {
        self.end as usize
    }

    /// The bytes of `source` in this range; empty where the range does not lie in `source`.
    pub fn of<'a>(&self, source: &'a [u8]) -> &'a [u8] {
        source.get(self.start()..self.end()).unwrap_or_default()
    }

    /// The same range as text; empty where it is no range of `source` or no UTF-8.
    pub fn text<'a>(&self, source: &'a [u8]) -> &'a str {
        std::str::from_utf8(self.of(source)).unwrap_or_default()
    }

    /// This range seen from a message in which the range's source begins at `offset`.
    pub fn shifted(&self, offset: usize) -> Self {
        Self::new(self.start() + offset, self.end() + offset)
    }

    /// The range that `part` takes in `source`; `part` must be borrowed from `source`.
    pub(crate) fn within(source: &str, part: &str) -> Self {
        let start = (part.as_ptr() as usize).saturating_sub(source.as_ptr() as usize);
        Self::new(start, start + part.len())
    }
}
