//! Event streams: reading them in bounded memory, and writing messages as events.
//!
//! S: WHATWG HTML section 9.2 "Server-sent events".

use bytes::{Bytes, BytesMut};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// The `event` field; empty means `message`.
    pub name: String,
    /// The `data` lines, joined by line feeds.
    pub data: Bytes,
    /// The `id` field, where the event has one.
    pub id: Option<String>,
    /// The `retry` field in milliseconds, where the event has one.
    pub retry: Option<u64>,
}

/// An event exceeds the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {limit} bytes")]
pub struct EventTooLarge {
    /// The bound in bytes.
    pub limit: usize,
}

/// Cuts a byte stream into events.
#[derive(Debug)]
pub struct Decoder {
    buffer: BytesMut,
    /// How far the buffer's current line was searched for its end.
    searched: usize,
    limit: usize,
    held: usize,
    event: Pending,
    skip_feed: bool,
    begun: bool,
}

#[derive(Debug, Default)]
struct Pending {
    name: String,
    data: Option<Bytes>,
    more: Vec<u8>,
    id: Option<String>,
    retry: Option<u64>,
}

impl Decoder {
    /// A decoder that holds at most `limit` bytes of one event.
    pub fn new(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            searched: 0,
            limit,
            held: 0,
            event: Pending::default(),
            skip_feed: false,
            begun: false,
        }
    }

    /// Adds what arrived.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole event, `None` where more bytes are needed. Events without data are only reported where they carry
    /// an id or a retry time.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLarge> {
        while let Some(line) = self.next_line()? {
            if line.is_empty() {
                self.held = 0;
                if let Some(event) = std::mem::take(&mut self.event).finish() {
                    return Ok(Some(event));
                }
            } else {
                self.event.take(&line);
            }
        }
        Ok(None)
    }

    fn next_line(&mut self) -> Result<Option<Bytes>, EventTooLarge> {
        if !self.begun {
            // A stream may begin with one byte order mark, which is no part of its first line.
            if self.buffer.len() < 3 && b"\xef\xbb\xbf".starts_with(&self.buffer) {
                return Ok(None);
            }
            if self.buffer.starts_with(b"\xef\xbb\xbf") {
                let _ = self.buffer.split_to(3);
            }
            self.begun = true;
        }
        if self.skip_feed && !self.buffer.is_empty() {
            if self.buffer.first() == Some(&b'\n') {
                let _ = self.buffer.split_to(1);
            }
            self.skip_feed = false;
        }
        let unsearched = self.buffer.get(self.searched..).unwrap_or_default();
        let Some(found) = memchr::memchr2(b'\n', b'\r', unsearched) else {
            self.searched = self.buffer.len();
            return if self.held + self.buffer.len() > self.limit { Err(self.too_large()) } else { Ok(None) };
        };
        let end = self.searched + found;
        self.held += end;
        if self.held > self.limit {
            return Err(self.too_large());
        }
        let mut line = self.buffer.split_to(end + 1).freeze();
        self.skip_feed = line.last() == Some(&b'\r');
        line.truncate(end);
        self.searched = 0;
        Ok(Some(line))
    }

    fn too_large(&self) -> EventTooLarge {
        EventTooLarge { limit: self.limit }
    }
}

impl Pending {
    fn take(&mut self, line: &Bytes) {
        let colon = memchr::memchr(b':', line).unwrap_or(line.len());
        let mut from = (colon + 1).min(line.len());
        if line.get(from) == Some(&b' ') {
            from += 1;
        }
        let value = line.slice(from..);
        let text = || String::from_utf8_lossy(&value).into_owned();
        match line.get(..colon).unwrap_or_default() {
            b"data" => match &self.data {
                None => self.data = Some(value),
                Some(first) => {
                    if self.more.is_empty() {
                        self.more.extend_from_slice(first);
                    }
                    self.more.push(b'\n');
                    self.more.extend_from_slice(&value);
                }
            },
            b"event" => self.name = text(),
            b"id" if !value.contains(&0) => self.id = Some(text()),
            b"retry" => self.retry = text().parse().ok(),
            _ => {}
        }
    }

    fn finish(self) -> Option<Event> {
        if self.data.is_none() && self.id.is_none() && self.retry.is_none() {
            return None;
        }
        let data = if self.more.is_empty() { self.data.unwrap_or_default() } else { self.more.into() };
        Some(Event { name: self.name, data, id: self.id, retry: self.retry })
    }
}

/// A comment that keeps a stream open.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Appends `message` as one event. Its line breaks become spaces, which in JSON changes nothing.
pub fn write_message(out: &mut Vec<u8>, message: &[u8]) {
    out.reserve(message.len() + 24);
    out.extend_from_slice(b"event: message\ndata: ");
    let start = out.len();
    out.extend_from_slice(message);
    if memchr::memchr2(b'\n', b'\r', message).is_some() {
        for byte in out.iter_mut().skip(start).filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
    out.extend_from_slice(b"\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(chunks: &[&[u8]], limit: usize) -> Result<Vec<(String, String)>, EventTooLarge> {
        let mut decoder = Decoder::new(limit);
        let mut events = Vec::new();
        for chunk in chunks {
            decoder.feed(chunk);
            while let Some(event) = decoder.next_event()? {
                events.push((event.name, String::from_utf8(event.data.to_vec()).unwrap()));
            }
        }
        Ok(events)
    }

    #[test]
    fn every_cut_and_line_end_yields_the_same_events() {
        for end in ["\n", "\r\n", "\r"] {
            let text = [
                "\u{feff}: hi",
                "event: message",
                "data: {\"a\":",
                "data:1}",
                "",
                "data",
                "",
                "id: 7",
                "",
                "x: y",
                "",
                "data: last",
                "",
                "",
            ];
            let stream = text.join(end);
            let expected = vec![
                ("message".to_owned(), "{\"a\":\n1}".to_owned()),
                (String::new(), String::new()),
                (String::new(), String::new()),
                (String::new(), "last".to_owned()),
            ];
            for cut in 0..stream.len() {
                let (head, tail) = stream.as_bytes().split_at(cut);
                let mut events = decode(&[head, tail], 1000).unwrap();
                // A lone CR at the very end may still be followed by LF; the event is out all the same.
                events.truncate(4);
                assert_eq!(events, expected, "{end:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn events_are_bounded() {
        assert!(decode(&[b"data: 0123456789\n\n"], 16).is_ok());
        assert!(decode(&[b"data: 0123456789x\n\n"], 16).is_err());
        assert!(decode(&[b"data: 01234567", b"89012345678"], 16).is_err(), "an endless line");
        let endless: Vec<&[u8]> = vec![b"data: 0\n"; 10];
        assert!(decode(&endless, 16).is_err(), "an endless event");
        let many: Vec<&[u8]> = vec![b"data: 0\n\n"; 10];
        assert_eq!(decode(&many, 16).unwrap().len(), 10);
    }

    #[test]
    fn messages_become_one_event() {
        let mut out = Vec::new();
        write_message(&mut out, b"{\n\"a\":\r\n1}");
        assert_eq!(out, b"event: message\ndata: { \"a\":  1}\n\n");
        assert_eq!(decode(&[&out], 100).unwrap(), vec![("message".to_owned(), "{ \"a\":  1}".to_owned())]);
    }
}
