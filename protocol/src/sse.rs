//! Event streams: reading them in bounded memory, and writing messages as events.
//!
//! S: WHATWG HTML section 9.2 "Server-sent events".

use crate::json;
use bytes::{Bytes, BytesMut};

/// The field whose value is the event's data.
const DATA: &[u8] = b"data";

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
    skipped: Option<Skipped>,
}

/// An event that is passed over.
#[derive(Debug)]
struct Skipped {
    /// The last bytes of its data.
    tail: BytesMut,
    kept: usize,
    line: Line,
}

/// What is known of the line that is being passed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Unknown,
    Data,
    Other,
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
            skipped: None,
        }
    }

    /// Passes over the event that was too large, and answers the first `kept` bytes of its data. When it ends,
    /// [`Decoder::next_event`] yields it with no more than the last `kept` bytes of its data; what follows it is read as ever.
    pub fn skip_event(&mut self, kept: usize) -> Bytes {
        let head = match std::mem::take(&mut self.event).data {
            Some(data) => data,
            None => value_of(&self.buffer, DATA).map(Bytes::copy_from_slice).unwrap_or_default(),
        };
        self.searched = 0;
        self.skipped = Some(Skipped { tail: BytesMut::new(), kept, line: Line::Unknown });
        head.slice(..head.len().min(kept))
    }

    /// Drops lines until the event to be skipped ends; its end, once it is there.
    fn skip_lines(&mut self) -> Option<Event> {
        let skipped = self.skipped.as_mut()?;
        loop {
            if self.skip_feed && !self.buffer.is_empty() {
                if self.buffer.first() == Some(&b'\n') {
                    let _ = self.buffer.split_to(1);
                }
                self.skip_feed = false;
            }
            let end = memchr::memchr2(b'\n', b'\r', &self.buffer);
            if skipped.line == Line::Unknown && end.is_none() && self.buffer.len() < DATA.len() {
                return None;
            }
            let line = self.buffer.split_to(end.unwrap_or(self.buffer.len()));
            let ends_event = skipped.line == Line::Unknown && line.is_empty();
            if skipped.line == Line::Unknown {
                skipped.line = if line.starts_with(DATA) { Line::Data } else { Line::Other };
            }
            if skipped.line == Line::Data {
                skipped.tail.extend_from_slice(&line);
                let surplus = skipped.tail.len().saturating_sub(skipped.kept);
                let _ = skipped.tail.split_to(surplus);
            }
            end?;
            self.skip_feed = self.buffer.split_to(1).first() == Some(&b'\r');
            skipped.line = Line::Unknown;
            if ends_event {
                let data = self.skipped.take()?.tail.freeze();
                self.held = 0;
                return Some(Event { data, ..Event::default() });
            }
        }
    }

    /// Adds what arrived.
    pub fn feed(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole event, `None` where more bytes are needed. Events without data are only reported where they carry
    /// an id or a retry time.
    pub fn next_event(&mut self) -> Result<Option<Event>, EventTooLarge> {
        if self.skipped.is_some() {
            return Ok(self.skip_lines());
        }
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
        let value = line.slice(value_start(line, colon)..);
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
            // Only digits count, and what does not count leaves what was there.
            b"retry" if value.iter().all(u8::is_ascii_digit) => {
                self.retry = text().parse().ok().or(self.retry)
            }
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

/// Where the value of a field begins whose name ends at `colon`.
fn value_start(line: &[u8], colon: usize) -> usize {
    let from = (colon + 1).min(line.len());
    from + usize::from(line.get(from) == Some(&b' '))
}

/// The value of a line with the field `name`.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    line.strip_prefix(name)?.strip_prefix(b":")?;
    line.get(value_start(line, name.len())..)
}

/// A comment that keeps a stream open.
pub const KEEP_ALIVE: &[u8] = b": keep-alive\n\n";

/// Appends `message` as one event. Its line breaks become spaces, which in JSON changes nothing.
pub fn write_message(out: &mut Vec<u8>, message: &[u8]) {
    out.reserve(message.len() + 24);
    write_body(out, message);
}

/// Appends `message` as one event with an id, which must not hold line breaks.
pub fn write_message_with_id(out: &mut Vec<u8>, id: &str, message: &[u8]) {
    out.reserve(message.len() + id.len() + 29);
    out.extend_from_slice(b"id: ");
    out.extend_from_slice(id.as_bytes());
    out.push(b'\n');
    write_body(out, message);
}

/// Appends the event without data that primes a client to take up the stream again: after `retry` milliseconds, from
/// `id` on (MCP 2025-11-25 `basic/transports` "Sending Messages to the Server").
pub fn write_priming(out: &mut Vec<u8>, id: &str, retry: u64) {
    out.extend_from_slice(format!("id: {id}\nretry: {retry}\ndata: \n\n").as_bytes());
}

fn write_body(out: &mut Vec<u8>, message: &[u8]) {
    out.extend_from_slice(b"event: message\ndata: ");
    json::write_flat(out, message);
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
    fn only_digits_are_a_retry_time() {
        for (written, expected) in [("5", Some(5)), ("+6", Some(4)), ("7s", Some(4)), ("", Some(4))] {
            let mut decoder = Decoder::new(100);
            decoder.feed(format!("retry: 4\nretry: {written}\n\n").as_bytes());
            assert_eq!(decoder.next_event().unwrap().unwrap().retry, expected, "{written:?}");
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
    fn an_event_that_is_too_large_can_be_passed_over() {
        let large = "0123456789abcdefghij";
        for end in ["\n", "\r\n", "\r"] {
            for lines in [
                vec![format!("data: {large}")],
                vec![format!("data:{large}"), "id: 7".to_owned()],
                vec!["event: x".to_owned(), "data: 0123".to_owned(), format!("data: {large}")],
            ] {
                let stream = format!("{}{end}{end}data: next{end}{end}:", lines.join(end));
                for cut in 0..stream.len() {
                    let (first, rest) = stream.split_at(cut);
                    let (mut decoder, mut seen) = (Decoder::new(16), Vec::new());
                    for piece in [first, rest] {
                        decoder.feed(piece.as_bytes());
                        loop {
                            match decoder.next_event() {
                                Ok(Some(event)) => seen.push(event.data),
                                Ok(None) => break,
                                Err(_) => seen.push(decoder.skip_event(4)),
                            }
                        }
                    }
                    let context = format!("{stream:?} cut at {cut}");
                    assert!(b"0123".starts_with(&seen[0]), "{context}");
                    assert_eq!(seen[1..], ["ghij", "next"], "{context}");
                }
            }
        }
    }

    #[test]
    fn messages_become_one_event() {
        let mut out = Vec::new();
        write_message(&mut out, b"{\n\"a\":\r\n1}");
        assert_eq!(out, b"event: message\ndata: { \"a\":  1}\n\n");
        assert_eq!(decode(&[&out], 100).unwrap(), vec![("message".to_owned(), "{ \"a\":  1}".to_owned())]);
    }

    #[test]
    fn ids_and_priming_are_read_as_written() {
        let mut out = Vec::new();
        write_priming(&mut out, "1-0", 500);
        write_message_with_id(&mut out, "1-1", b"{}");
        let mut decoder = Decoder::new(100);
        decoder.feed(&out);
        let first = decoder.next_event().unwrap().unwrap();
        assert_eq!((first.id.as_deref(), first.retry, &first.data[..]), (Some("1-0"), Some(500), &b""[..]));
        let second = decoder.next_event().unwrap().unwrap();
        assert_eq!((second.id.as_deref(), second.retry, &second.data[..]), (Some("1-1"), None, &b"{}"[..]));
    }
}
