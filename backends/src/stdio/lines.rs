//! Reading messages line by line, in bounded memory: a child's standard output, or weir's own standard input.

use crate::oversize::TAIL;
use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub enum Line {
    /// The line without its end.
    Whole(Bytes),
    /// The line is longer than the limit; its first and last bytes.
    TooLong {
        /// At most what was read at once.
        head: Bytes,
        /// At most 256 bytes.
        tail: Bytes,
    },
}

/// Cuts a byte stream into lines.
#[derive(Debug)]
pub struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    limit: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `limit` bytes, their ends not counted.
    pub fn new(reader: R, limit: usize) -> Self {
        Self { reader, buffer: BytesMut::with_capacity(8192), limit }
    }

    /// The next line; `None` at the end of the stream. A last line without an end counts. Cancel-safe but for lines that
    /// are too long.
    ///
    /// # Errors
    /// The stream cannot be read.
    pub async fn next(&mut self) -> io::Result<Option<Line>> {
        let mut searched = 0;
        loop {
            if let Some(found) = memchr::memchr(b'\n', self.buffer.get(searched..).unwrap_or_default()) {
                let line = self.take(searched + found, 1);
                return Ok(Some(self.bounded(line)));
            }
            searched = self.buffer.len();
            if searched > self.limit {
                return self.skip().await.map(Some);
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                let rest = self.take(self.buffer.len(), 0);
                return Ok((!rest.is_empty()).then(|| self.bounded(rest)));
            }
        }
    }

    /// Reads on to the end of a line that is too long.
    async fn skip(&mut self) -> io::Result<Line> {
        let head = self.buffer.split().freeze();
        let mut tail = BytesMut::from(end_of(&head));
        loop {
            let ended = self.reader.read_buf(&mut self.buffer).await? == 0;
            let found = memchr::memchr(b'\n', &self.buffer);
            let piece = self.take(found.unwrap_or(self.buffer.len()), usize::from(found.is_some()));
            tail.extend_from_slice(&piece);
            let _ = tail.split_to(tail.len().saturating_sub(TAIL));
            if ended || found.is_some() {
                return Ok(Line::TooLong { head: self.begin_of(head), tail: tail.freeze() });
            }
        }
    }

    /// A line that was read whole, which depends on how it arrived: that must not decide whether it is too long.
    fn bounded(&self, line: Bytes) -> Line {
        if line.len() <= self.limit {
            return Line::Whole(line);
        }
        let tail = Bytes::copy_from_slice(end_of(&line));
        Line::TooLong { head: self.begin_of(line), tail }
    }

    fn begin_of(&self, mut line: Bytes) -> Bytes {
        line.truncate(self.limit);
        line
    }

    fn take(&mut self, length: usize, end: usize) -> Bytes {
        let mut line = self.buffer.split_to(length + end).freeze();
        line.truncate(length);
        line
    }
}

fn end_of(line: &[u8]) -> &[u8] {
    line.get(line.len().saturating_sub(TAIL)..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use proptest::prelude::*;
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};
    use tokio::io::ReadBuf;

    /// A stream that arrives in these pieces.
    struct Pieces(VecDeque<Vec<u8>>);

    impl AsyncRead for Pieces {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            buffer: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            if let Some(mut piece) = self.0.pop_front() {
                let rest = piece.split_off(piece.len().min(buffer.remaining()));
                buffer.put_slice(&piece);
                if !rest.is_empty() {
                    self.0.push_front(rest);
                }
            }
            Poll::Ready(Ok(()))
        }
    }

    async fn lines(reader: impl AsyncRead + Unpin, limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(reader, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn long_lines_cost_nothing_but_themselves() {
        assert_eq!(
            lines(&b"ab\n\ncd"[..], 10).await,
            [Line::Whole("ab".into()), Line::Whole("".into()), Line::Whole("cd".into())]
        );
        for length in [101, 300, 30_000] {
            let text = [&vec![b'x'; length][..], b"\nnext\n"].concat();
            let long =
                Line::TooLong { head: vec![b'x'; 100].into(), tail: vec![b'x'; length.min(TAIL)].into() };
            assert_eq!(lines(&text[..], 100).await, [long, Line::Whole("next".into())], "{length}");
        }
    }

    proptest! {
        #[test]
        fn lines_do_not_depend_on_how_they_arrive(
            pieces in prop::collection::vec("[ab\n]{1,40}|[a]{200,400}|\n".prop_map(String::into_bytes), 0..12),
            limit in 0usize..300,
        ) {
            let text = pieces.concat();
            let expected: Vec<Line> = text
                .split_inclusive(|&byte| byte == b'\n')
                .map(|line| line.strip_suffix(b"\n").unwrap_or(line))
                .map(|line| match line.len() <= limit {
                    true => Line::Whole(Bytes::copy_from_slice(line)),
                    false => Line::TooLong {
                        head: Bytes::copy_from_slice(&line[..limit]),
                        tail: Bytes::copy_from_slice(end_of(line)),
                    },
                })
                .collect();
            let read = lines(Pieces(pieces.into()), limit).now_or_never();
            prop_assert_eq!(read.unwrap(), expected);
        }
    }
}
