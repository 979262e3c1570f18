//! The chunked transfer coding.
//!
//! S: RFC 9112 section 7.1.

use crate::BackendError;
use bytes::{Buf, Bytes, BytesMut};

/// Longest line with a chunk's size, and longest trailer line, in bytes.
const LONGEST_LINE: usize = 4096;
/// Most trailer lines.
const TRAILERS: usize = 100;

/// Where the reading of a chunked body stands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Chunked {
    state: State,
    trailers: usize,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum State {
    /// A line with a size comes next.
    #[default]
    Size,
    /// So much of a chunk is still to come.
    Data(u64),
    /// The line end behind a chunk comes next.
    DataEnd,
    /// Trailer lines, or the empty line that ends the body.
    Trailers,
    Ended,
}

impl Chunked {
    pub(super) fn has_ended(&self) -> bool {
        self.state == State::Ended
    }

    /// The next piece of the body out of `read`; `None` where more must be read, or at the end.
    pub(super) fn next(&mut self, read: &mut BytesMut) -> Result<Option<Bytes>, BackendError> {
        loop {
            match self.state {
                State::Size => {
                    let Some(line) = take_line(read)? else {
                        return Ok(None);
                    };
                    self.state = match size(&line)? {
                        0 => State::Trailers,
                        size => State::Data(size),
                    };
                }
                State::Data(left) => {
                    if read.is_empty() {
                        return Ok(None);
                    }
                    let length = usize::try_from(left).unwrap_or(usize::MAX).min(read.len());
                    let left = left - length as u64;
                    self.state = if left == 0 { State::DataEnd } else { State::Data(left) };
                    return Ok(Some(read.split_to(length).freeze()));
                }
                State::DataEnd => {
                    if read.len() < 2 {
                        return Ok(None);
                    }
                    if !read.starts_with(b"\r\n") {
                        return Err(broken());
                    }
                    read.advance(2);
                    self.state = State::Size;
                }
                State::Trailers => {
                    let Some(line) = take_line(read)? else {
                        return Ok(None);
                    };
                    self.trailers += 1;
                    if line.is_empty() {
                        self.state = State::Ended;
                    } else if self.trailers > TRAILERS {
                        return Err(broken());
                    }
                }
                State::Ended => return Ok(None),
            }
        }
    }
}

fn broken() -> BackendError {
    BackendError::Protocol("its answer is not chunked as HTTP wants it".to_owned())
}

/// A line without its end; `None` where it is not there whole.
fn take_line(read: &mut BytesMut) -> Result<Option<Bytes>, BackendError> {
    match read.iter().take(LONGEST_LINE).position(|&byte| byte == b'\n') {
        Some(end) => {
            let line = read.split_to(end + 1).freeze();
            let line = line.slice(..end);
            line.strip_suffix(b"\r").map(|line| Some(Bytes::copy_from_slice(line))).ok_or_else(broken)
        }
        None if read.len() >= LONGEST_LINE => Err(broken()),
        None => Ok(None),
    }
}

/// The size that a line names; extensions behind it are ignored.
fn size(line: &[u8]) -> Result<u64, BackendError> {
    let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii_end();
    let valid = (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_hexdigit);
    let digits = std::str::from_utf8(digits).ok().filter(|_| valid);
    digits.and_then(|digits| u64::from_str_radix(digits, 16).ok()).ok_or_else(broken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Decodes `text` given in two pieces; answers the body and what is left behind it.
    fn decode(text: &[u8], cut: usize) -> Result<(Vec<u8>, Vec<u8>), BackendError> {
        let (head, tail) = text.split_at(cut);
        let mut chunked = Chunked::default();
        let mut read = BytesMut::from(head);
        let mut body = Vec::new();
        for more in [tail, b""] {
            while let Some(piece) = chunked.next(&mut read)? {
                body.extend_from_slice(&piece);
            }
            read.extend_from_slice(more);
        }
        if !chunked.has_ended() {
            return Err(BackendError::gone("incomplete"));
        }
        Ok((body, read.to_vec()))
    }

    #[test]
    fn every_cut_yields_the_same_body() {
        let text = b"5\r\nhello\r\n6;ext=\"x\"\r\n world\r\n0\r\nTrailer: x\r\n\r\nnext";
        for cut in 0..text.len() {
            assert_eq!(
                decode(text, cut).unwrap(),
                (b"hello world".to_vec(), b"next".to_vec()),
                "cut at {cut}"
            );
        }
    }

    #[test]
    fn what_is_not_chunked_is_refused() {
        let long = [b"1;".to_vec(), vec![b'x'; 5000]].concat();
        let texts: [&[u8]; 9] = [
            b"x\r\n",
            b"-1\r\nx\r\n",
            b"\r\n",
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhelloX\r\n0\r\n\r\n",
            b"ffffffffffffffff\r\n",
            b"0x5\r\nhello\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            &long,
        ];
        for text in texts {
            assert!(decode(text, 0).is_err(), "{}", String::from_utf8_lossy(text));
        }
    }

    /// A body, and what is left behind it.
    type Decoded = (Vec<u8>, Vec<u8>);

    /// Decodes what arrives in these pieces; `None` where the body does not end.
    fn arrived(pieces: &[&[u8]]) -> Result<Option<Decoded>, ()> {
        let (mut chunked, mut read, mut body) = (Chunked::default(), BytesMut::new(), Vec::new());
        for piece in pieces {
            read.extend_from_slice(piece);
            while let Some(piece) = chunked.next(&mut read).map_err(|_| ())? {
                body.extend_from_slice(&piece);
            }
        }
        Ok(chunked.has_ended().then(|| (body, read.to_vec())))
    }

    proptest! {
        #[test]
        fn what_is_cut_into_chunks_comes_back(
            chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6),
            extension in "(;[a-z]{1,4}(=\"[a-z]*\")?)?",
            trailers in prop::collection::vec("[A-Z][a-z]*: [a-z]*\r\n", 0..3),
            capital in any::<bool>(),
            behind in prop::collection::vec(any::<u8>(), 0..10),
            piece in 1usize..20,
        ) {
            let mut text = Vec::new();
            for chunk in &chunks {
                let size = if capital { format!("{:02X}", chunk.len()) } else { format!("{:x}", chunk.len()) };
                text.extend_from_slice(format!("{size}{extension}\r\n").as_bytes());
                text.extend_from_slice(chunk);
                text.extend_from_slice(b"\r\n");
            }
            text.extend_from_slice(format!("0\r\n{}\r\n", trailers.concat()).as_bytes());
            text.extend_from_slice(&behind);
            let pieces: Vec<&[u8]> = text.chunks(piece).collect();
            prop_assert_eq!(arrived(&pieces), Ok(Some((chunks.concat(), behind))));
        }

        #[test]
        fn nothing_depends_on_how_it_arrives(text in "([0-3a]|\r\n|;|\n|\r|x|0\r\n\r\n){0,30}", piece in 1usize..9) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(piece).collect();
            prop_assert_eq!(arrived(&pieces), arrived(&[text.as_bytes()]));
        }
    }
}
