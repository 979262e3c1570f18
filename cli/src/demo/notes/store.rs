//! The notes themselves.

use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// Most notes kept.
const MOST: usize = 1000;

/// A note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Note {
    /// Its number, never given to another.
    pub(super) id: u64,
    /// What it is about.
    pub(super) topic: String,
    /// What it says.
    pub(super) text: String,
}

impl Note {
    /// The URI of the resource that it is.
    pub(super) fn uri(&self) -> String {
        format!("notes://{}", self.id)
    }

    /// The note as data.
    pub(super) fn data(&self) -> Value {
        json!({ "id": self.id.to_string(), "topic": self.topic, "text": self.text, "uri": self.uri() })
    }

    /// The note as a line.
    pub(super) fn line(&self) -> String {
        format!("{} [{}] {}", self.id, self.topic, self.text)
    }
}

/// All notes, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Store {
    notes: BTreeMap<u64, Note>,
    last: u64,
}

impl Store {
    /// Keeps another note.
    pub(super) fn add(&mut self, topic: &str, text: &str) -> Result<&Note, String> {
        if self.notes.len() >= MOST {
            return Err(format!("there are {MOST} notes already; delete one first"));
        }
        self.last += 1;
        let note = Note { id: self.last, topic: topic.into(), text: text.into() };
        Ok(self.notes.entry(self.last).or_insert(note))
    }

    /// Forgets a note and gives it back.
    pub(super) fn delete(&mut self, id: &str) -> Option<Note> {
        self.notes.remove(&number(id)?)
    }

    /// The note of that number.
    pub(super) fn get(&self, id: &str) -> Option<&Note> {
        self.notes.get(&number(id)?)
    }

    /// The notes whose number is greater than `id`.
    pub(super) fn after(&self, id: u64) -> impl Iterator<Item = &Note> {
        self.notes.range(id.saturating_add(1)..).map(|(_, note)| note)
    }

    /// All notes.
    pub(super) fn all(&self) -> impl Iterator<Item = &Note> {
        self.notes.values()
    }

    /// The topics there are, each once, in order.
    pub(super) fn topics(&self) -> BTreeSet<&str> {
        self.all().map(|note| note.topic.as_str()).collect()
    }
}

/// A note's number from its one way of being written.
pub(super) fn number(text: &str) -> Option<u64> {
    text.parse::<u64>().ok().filter(|number| number.to_string() == text)
}
