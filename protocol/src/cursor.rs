//! Opaque cursors over the pages of one immutable list.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::hash::{BuildHasher, RandomState};

/// A place in one generation of one list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Cursor {
    /// Which list: a number that the caller gives to each.
    pub list: u32,
    /// Which generation of it.
    pub generation: u64,
    /// Index of the next item.
    pub offset: u32,
}

/// Writes cursors and reads back only those that it wrote itself.
#[derive(Debug, Default)]
pub struct CursorCodec {
    key: RandomState,
}

impl CursorCodec {
    /// The cursor as the client `owner` sees it: 32 characters of the URL-safe base64 alphabet.
    pub fn encode(&self, cursor: Cursor, owner: &[u8]) -> String {
        let mut bytes = [0u8; 24];
        let fields = cursor.list.to_be_bytes().into_iter();
        let fields = fields.chain(cursor.generation.to_be_bytes()).chain(cursor.offset.to_be_bytes());
        let tag = self.key.hash_one((cursor, owner)).to_be_bytes();
        for (slot, byte) in bytes.iter_mut().zip(fields.chain(tag)) {
            *slot = byte;
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// Reads a cursor; `None` where this codec did not write it for this `owner`.
    pub fn decode(&self, text: &str, owner: &[u8]) -> Option<Cursor> {
        if text.len() != 32 {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (list, rest) = bytes.split_first_chunk::<4>()?;
        let (generation, rest) = rest.split_first_chunk::<8>()?;
        let (offset, tag) = rest.split_first_chunk::<4>()?;
        let cursor = Cursor {
            list: u32::from_be_bytes(*list),
            generation: u64::from_be_bytes(*generation),
            offset: u32::from_be_bytes(*offset),
        };
        (self.key.hash_one((cursor, owner)).to_be_bytes() == tag).then_some(cursor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_cursors_are_read() {
        let codec = CursorCodec::default();
        let cursor = Cursor { list: 3, generation: u64::MAX - 1, offset: 77 };
        let text = codec.encode(cursor, b"alice");
        assert_eq!(codec.decode(&text, b"alice"), Some(cursor));
        for other in [&b""[..], b"bob", b"alic", b"alice "] {
            assert_eq!(codec.decode(&text, other), None, "another's");
        }
        assert_eq!(CursorCodec::default().decode(&text, b"alice"), None, "another key");
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(codec.decode(std::str::from_utf8(&forged).unwrap(), b"alice"), None);
        }
        for garbage in ["", "x", &"A".repeat(32), &"=".repeat(32), &"é".repeat(16)] {
            assert_eq!(codec.decode(garbage, b"alice"), None);
        }
    }
}
