//! Server-sent events, read one by one.

use crate::wait::DEADLINE;
use serde_json::Value;
use std::io::BufRead;
use std::time::Instant;

/// One server-sent event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Event {
    /// Its `event` field; empty means `message`.
    pub name: String,
    /// Its `id` field.
    pub id: Option<String>,
    /// Its `data` lines, joined by line feeds.
    pub data: String,
}

impl Event {
    /// Its data as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("no JSON ({error}) in {self:?}"))
    }
}

/// The events of a stream. The iterator ends with the stream, or where the connection breaks.
#[derive(Debug)]
pub struct Events<R> {
    reader: R,
}

impl<R: BufRead> Events<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader }
    }

    /// The JSON of the next event that has data. Panics when the stream ends first.
    pub fn message(&mut self) -> Value {
        let event = self.find(|event| !event.data.is_empty());
        event.expect("the stream goes on").json()
    }

    /// The next message for which `wanted` holds, others skipped.
    pub fn message_where(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.message();
            if wanted(&message) {
                return message;
            }
        }
    }
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut event = Event::default();
        let mut begun = false;
        let since = Instant::now();
        loop {
            // Comments alone are no reason to wait for ever.
            assert!(since.elapsed() < DEADLINE, "waited {DEADLINE:?} in vain for an event");
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(count) if count > 0 => {}
                _ => return None,
            }
            let line = line.trim_end_matches(['\r', '\n']);
            if line.is_empty() && begun {
                return Some(event);
            }
            let (field, value) = line.split_once(':').unwrap_or((line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "data" if event.data.is_empty() => value.clone_into(&mut event.data),
                "data" => {
                    event.data.push('\n');
                    event.data.push_str(value);
                }
                "event" => value.clone_into(&mut event.name),
                "id" => event.id = Some(value.to_owned()),
                // Comments keep a silent stream alive and are no events.
                _ => continue,
            }
            begun = true;
        }
    }
}
