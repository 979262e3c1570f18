//! Which of a call's arguments are read.

use std::collections::BTreeMap;

/// What is read of an object.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub(crate) struct Wanted {
    /// All of it.
    pub(crate) whole: bool,
    /// These members, and what of each.
    pub(crate) fields: BTreeMap<String, Wanted>,
}

impl Wanted {
    /// All of it.
    pub(crate) fn everything() -> Self {
        Self { whole: true, fields: BTreeMap::new() }
    }

    /// Adds the member at the end of a path: its value, or only whether it is there.
    pub(crate) fn add(&mut self, path: &[&str], value: bool) {
        match path {
            [] => self.whole |= value,
            [name, rest @ ..] => self.fields.entry((*name).to_owned()).or_default().add(rest, value),
        }
    }

    /// Adds what another wants.
    pub(crate) fn join(&mut self, other: &Self) {
        self.whole |= other.whole;
        for (name, wanted) in &other.fields {
            self.fields.entry(name.clone()).or_default().join(wanted);
        }
    }
}
