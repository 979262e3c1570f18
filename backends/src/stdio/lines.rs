//! Reading a child's standard output line by line, in bounded memory.

use bytes::{Bytes, BytesMut};
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much of the end of a line that is too long is kept, to find out whose it was.
const TAIL: usize = 256;

/// One line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// The line without its end.
    Whole(Bytes),
    /// The line is longer than the limit; its first and last bytes.
    TooLong {
        /// At most the limit.
        head: Bytes,
        /// At most [`TAIL`] bytes.
        tail: Bytes,
    },
}

/// Cuts a byte stream into lines.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    limit: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    /// Lines of at most `limit` bytes.
    pub(crate) fn new(reader: R, limit: usize) -> Self {
        Self { reader, buffer: BytesMut::with_capacity(8192), limit }
    }

    /// The next line; `None` at the end of the stream. A last line without an end counts.
    pub(crate) async fn next(&mut self) -> io::Result<Option<Line>> {
        let mut searched = 0;
        loop {
            if let Some(found) = memchr::memchr(b'\n', self.buffer.get(searched..).unwrap_or_default()) {
                let line = self.take(searched + found, 1);
                return Ok(Some(Line::Whole(line)));
            }
            searched = self.buffer.len();
            if searched > self.limit {
                return self.skip().await.map(Some);
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                let rest = self.take(self.buffer.len(), 0);
                return Ok((!rest.is_empty()).then_some(Line::Whole(rest)));
            }
        }
    }

    /// Reads on to the end of a line that is too long.
    async fn skip(&mut self) -> io::Result<Line> {
        let head = self.buffer.split().freeze();
        let mut tail = BytesMut::from(head.get(head.len().saturating_sub(TAIL)..).unwrap_or_default());
        loop {
            let ended = self.reader.read_buf(&mut self.buffer).await? == 0;
            let found = memchr::memchr(b'\n', &self.buffer);
            let piece = self.take(found.unwrap_or(self.buffer.len()), usize::from(found.is_some()));
            tail.extend_from_slice(&piece);
            let _ = tail.split_to(tail.len().saturating_sub(TAIL));
            if ended || found.is_some() {
                return Ok(Line::TooLong { head, tail: tail.freeze() });
            }
        }
    }

    fn take(&mut self, length: usize, end: usize) -> Bytes {
        let mut line = self.buffer.split_to(length + end).freeze();
        line.truncate(length);
        line
    }
}

/// The number of the request that a message too long to be read answers, where its beginning or end shows it. Most
/// servers write `id` before or right behind the result.
pub(crate) fn id_of_too_long(head: &[u8], tail: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(head.get(..head.len().min(TAIL))?).ok()?;
    let tail = String::from_utf8_lossy(tail);
    // Before the first nested object the members are the message's own; behind the last one too.
    let own_head = head.get(1..)?.split('{').next()?;
    let own_tail = tail.trim_end().strip_suffix('}')?.rsplit('}').next()?.to_owned();
    [own_head, &own_tail].into_iter().find_map(|members| {
        let value = members.split("\"id\":").nth(1)?.trim_start();
        let digits = value.split(|letter: char| !letter.is_ascii_digit()).next()?;
        digits.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn lines(text: &'static [u8], limit: usize) -> Vec<Line> {
        let mut lines = Lines::new(text, limit);
        let mut all = Vec::new();
        while let Some(line) = lines.next().await.unwrap() {
            all.push(line);
        }
        all
    }

    #[tokio::test]
    async fn long_lines_cost_nothing_but_themselves() {
        assert_eq!(
            lines(b"ab\n\ncd", 10).await,
            [Line::Whole("ab".into()), Line::Whole("".into()), Line::Whole("cd".into())]
        );
        let text: &'static [u8] =
            Box::leak([&vec![b'x'; 30_000][..], b"\nnext\n"].concat().into_boxed_slice());
        let read = lines(text, 100).await;
        assert!(matches!(&read[0], Line::TooLong { .. }) || matches!(&read[0], Line::Whole(_)));
        assert_eq!(read.last(), Some(&Line::Whole("next".into())));
    }

    #[test]
    fn whose_a_long_line_was() {
        let table: [(&[u8], &[u8], Option<u64>); 4] = [
            (br#"{"jsonrpc":"2.0","id":17,"result":{"content":"#, b"xxxx\"}]}}", Some(17)),
            (br#"{"result":{"id":3,"x":"#, br#"xx"}]},"jsonrpc":"2.0","id":18}"#, Some(18)),
            (br#"{"result":{"id":3,"x":"#, br#"xx","id":4}]}}"#, None),
            (b"garbage", b"garbage", None),
        ];
        for (head, tail, id) in table {
            assert_eq!(id_of_too_long(head, tail), id, "{}", String::from_utf8_lossy(head));
        }
    }
}
