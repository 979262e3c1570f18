//! Changing a message without re-serialising it.

use crate::Span;
use bytes::Bytes;
use std::borrow::Cow;

/// A message and the changes to make to it. Bytes that no edit names reach the other side untouched.
#[derive(Debug)]
pub struct Splice<'a> {
    source: &'a [u8],
    edits: Vec<(Span, Cow<'a, [u8]>)>,
}

impl<'a> Splice<'a> {
    /// No changes yet.
    pub fn new(source: &'a [u8]) -> Self {
        Self { source, edits: Vec::with_capacity(8) }
    }

    /// Puts `bytes` in place of `span`. Two edits must not overlap; of two that do, the later one is dropped.
    pub fn replace(&mut self, span: Span, bytes: impl Into<Cow<'a, [u8]>>) -> &mut Self {
        self.edits.push((span, bytes.into()));
        self
    }

    /// Puts `bytes` before the byte at `at`. Several insertions at one place keep their order.
    pub fn insert(&mut self, at: usize, bytes: impl Into<Cow<'a, [u8]>>) -> &mut Self {
        self.replace(Span::at(at), bytes)
    }

    /// Leaves `span` out.
    pub fn delete(&mut self, span: Span) -> &mut Self {
        self.replace(span, &b""[..])
    }

    /// Whether nothing was changed.
    pub fn is_untouched(&self) -> bool {
        self.edits.is_empty()
    }

    /// The changed message.
    pub fn finish(mut self) -> Bytes {
        self.edits.sort_by_key(|(span, _)| *span);
        let added: usize = self.edits.iter().map(|(_, bytes)| bytes.len()).sum();
        let mut out = Vec::with_capacity(self.source.len() + added);
        let mut done = 0;
        for (span, bytes) in &self.edits {
            let Some(kept) = self.source.get(done..span.start()) else {
                continue;
            };
            out.extend_from_slice(kept);
            out.extend_from_slice(bytes);
            done = span.end();
        }
        out.extend_from_slice(self.source.get(done..).unwrap_or_default());
        out.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_apply_in_order_of_place() {
        let mut splice = Splice::new(b"0123456789");
        splice.replace(Span::new(7, 9), &b"xyz"[..]);
        splice.insert(3, &b"<"[..]).insert(3, &b">"[..]);
        splice.delete(Span::new(0, 1));
        assert_eq!(&splice.finish()[..], b"12<>3456xyz9");
        assert!(Splice::new(b"x").is_untouched());
    }
}
