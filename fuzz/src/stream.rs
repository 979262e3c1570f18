//! Event streams, read as the standard describes them: the whole stream at once, line by line.
//!
//! S: WHATWG HTML section 9.2.6 "Interpreting an event stream".

use weir_protocol::sse::Event;

/// The events of a whole stream, those without data that carry an id or a retry time among them.
pub fn events(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut events = Vec::new();
    let mut fields = Fields::default();
    for line in lines(stream) {
        if line.is_empty() {
            events.extend(std::mem::take(&mut fields).event());
        } else {
            fields.take(line);
        }
    }
    events
}

/// Lines that have an end: CR LF, LF or CR.
fn lines(stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    let (mut start, mut at) = (0, 0);
    while at < stream.len() {
        let length = match &stream[at..] {
            [b'\r', b'\n', ..] => 2,
            [b'\r' | b'\n', ..] => 1,
            _ => 0,
        };
        if length > 0 {
            lines.push(&stream[start..at]);
            start = at + length;
        }
        at += length.max(1);
    }
    lines
}

#[derive(Default)]
struct Fields {
    name: String,
    data: Option<Vec<u8>>,
    id: Option<String>,
    retry: Option<u64>,
}

impl Fields {
    fn take(&mut self, line: &[u8]) {
        let (field, value) = match line.iter().position(|&byte| byte == b':') {
            Some(colon) => (&line[..colon], &line[colon + 1..]),
            None => (line, &b""[..]),
        };
        let value = value.strip_prefix(b" ").unwrap_or(value);
        let text = String::from_utf8_lossy(value).into_owned();
        match field {
            b"event" => self.name = text,
            b"data" => match &mut self.data {
                Some(data) => {
                    data.push(b'\n');
                    data.extend_from_slice(value);
                }
                None => self.data = Some(value.to_vec()),
            },
            b"id" if !value.contains(&0) => self.id = Some(text),
            b"retry" if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
                // A time that no clock holds counts as none.
                self.retry = text.parse().ok().or(self.retry);
            }
            _ => {}
        }
    }

    fn event(self) -> Option<Event> {
        if self.data.is_none() && self.id.is_none() && self.retry.is_none() {
            return None;
        }
        Some(Event {
            name: self.name,
            data: self.data.unwrap_or_default().into(),
            id: self.id,
            retry: self.retry,
        })
    }
}
