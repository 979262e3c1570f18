//! The body of an answer, with its transfer coding taken off.

use std::io::{self, BufRead, BufReader, Read};
use std::net::TcpStream;

/// A body that is read from a connection as it arrives.
#[derive(Debug)]
pub struct Body {
    reader: BufReader<TcpStream>,
    framing: Framing,
}

/// How the end of a body is found (RFC 9112 section 6.3).
#[derive(Debug)]
enum Framing {
    /// So many bytes are left.
    Length(u64),
    /// So many bytes are left of the chunk; the next chunk's size follows.
    Chunk(u64),
    /// It lasts until the connection closes.
    Close,
}

impl Body {
    pub(super) fn of(reader: BufReader<TcpStream>, status: u16, headers: &[(String, String)]) -> Self {
        let length =
            super::find(headers, "content-length").map(|text| text.parse().expect("a length is a number"));
        let chunked =
            super::find(headers, "transfer-encoding").is_some_and(|coding| coding.contains("chunked"));
        let framing = match length {
            _ if status == 204 || status == 304 => Framing::Length(0),
            _ if chunked => Framing::Chunk(0),
            Some(length) => Framing::Length(length),
            None => Framing::Close,
        };
        Self { reader, framing }
    }

    pub(super) fn into_reader(self) -> BufReader<TcpStream> {
        self.reader
    }

    /// Reads a chunk's size line; a size of zero ends the body and takes the trailer with it.
    fn next_chunk(&mut self) -> io::Result<u64> {
        let mut line = String::new();
        self.reader.read_line(&mut line)?;
        let digits = line.trim_end().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(digits, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::UnexpectedEof, format!("no chunk size: {line:?}")))?;
        if size == 0 {
            while !line.trim_end().is_empty() {
                line.clear();
                self.reader.read_line(&mut line)?;
            }
        }
        Ok(size)
    }

    fn read_at_most(&mut self, left: u64, buffer: &mut [u8]) -> io::Result<u64> {
        let count = (&mut self.reader).take(left).read(buffer)? as u64;
        if count == 0 && left > 0 && !buffer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the body was cut off"));
        }
        Ok(count)
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.framing {
            Framing::Close => return self.reader.read(buffer),
            Framing::Length(left) => {
                let count = self.read_at_most(left, buffer)?;
                self.framing = Framing::Length(left - count);
                count
            }
            Framing::Chunk(mut left) => {
                if left == 0 {
                    left = self.next_chunk()?;
                }
                if left == 0 {
                    self.framing = Framing::Length(0);
                    return Ok(0);
                }
                let count = self.read_at_most(left, buffer)?;
                if left == count {
                    self.reader.read_line(&mut String::new())?;
                }
                self.framing = Framing::Chunk(left - count);
                count
            }
        };
        Ok(usize::try_from(count).expect("a count of a buffer fits"))
    }
}
