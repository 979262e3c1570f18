//! A file as it was written: values, and where each of them stands.

mod parser;
mod path;

pub(crate) use parser::{parse, parse_all};
pub(crate) use path::{Path, Step};

use saphyr::Scalar;
use std::collections::HashMap;

/// A place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

impl Place {
    /// The first character of the file.
    pub(crate) const START: Self = Self { line: 1, column: 1 };
}

/// From a place up to, not including, another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    pub(crate) start: Place,
    pub(crate) end: Place,
}

/// A value and where it stands. It has no `Debug`: it may hold secrets.
pub(crate) struct Node {
    pub(crate) value: Value,
    pub(crate) extent: Extent,
}

/// A value.
pub(crate) enum Value {
    /// Text; `plain` when it was written without quotes and may thus be a number, a boolean or nothing.
    Scalar { text: String, plain: bool },
    /// A list.
    List(Vec<Node>),
    /// A mapping.
    Table(Entries),
}

/// The entries of a mapping in the order of the file; keys are unique.
#[derive(Default)]
pub(crate) struct Entries {
    list: Vec<(Key, Node)>,
    /// Where in the list a key stands: a file may hold very many.
    index: HashMap<String, usize>,
}

impl Entries {
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, (Key, Node)> {
        self.list.iter()
    }

    pub(crate) fn get(&self, key: &str) -> Option<(&Key, &Node)> {
        let (key, node) = self.list.get(*self.index.get(key)?)?;
        Some((key, node))
    }

    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        let (_, node) = self.list.get_mut(*self.index.get(key)?)?;
        Some(node)
    }

    /// Adds an entry whose key is new.
    fn push(&mut self, key: Key, node: Node) {
        self.index.insert(key.text.clone(), self.list.len());
        self.list.push((key, node));
    }

    /// Takes out the entries that are not wanted.
    pub(crate) fn retain(&mut self, wanted: impl FnMut(&(Key, Node)) -> bool) {
        self.list.retain(wanted);
        let position = |(position, (key, _)): (usize, &(Key, Node))| (key.text.clone(), position);
        self.index = self.list.iter().enumerate().map(position).collect();
    }
}

/// A mapping's key.
pub(crate) struct Key {
    pub(crate) text: String,
    pub(crate) extent: Extent,
}

impl Node {
    /// Nothing was written: `key:` with no value, `~` or `null`.
    pub(crate) fn is_null(&self) -> bool {
        match &self.value {
            Value::Scalar { text, plain } => *plain && describe_plain(text) == NOTHING,
            Value::List(_) | Value::Table(_) => false,
        }
    }

    /// What was written, in words.
    pub(crate) fn describe(&self) -> &'static str {
        match &self.value {
            Value::Table(_) => "a mapping",
            Value::List(_) => "a list",
            Value::Scalar { text, plain: true } => describe_plain(text),
            Value::Scalar { .. } => "a string",
        }
    }

    /// The value of a key of a mapping.
    pub(crate) fn get(&self, key: &str) -> Option<(&Key, &Node)> {
        match &self.value {
            Value::Table(entries) => entries.get(key),
            _ => None,
        }
    }

    /// Where to point for a path: at a scalar or list item itself, else at the key; where nothing was
    /// written, at the nearest thing around it.
    pub(crate) fn locate(&self, path: &Path) -> Place {
        let mut place = self.extent.start;
        let mut node = self;
        for step in path.steps() {
            match (step, &node.value) {
                (Step::Key(key), Value::Table(_)) => match node.get(key) {
                    Some((key, next)) => {
                        let scalar = matches!(next.value, Value::Scalar { .. }) && !next.is_null();
                        place = if scalar { next.extent.start } else { key.extent.start };
                        node = next;
                    }
                    None => return place,
                },
                (Step::Index(index), Value::List(items)) => match items.get(*index) {
                    Some(next) => {
                        place = next.extent.start;
                        node = next;
                    }
                    None => return place,
                },
                _ => return place,
            }
        }
        place
    }

    /// Where the key at the end of the path stands.
    pub(crate) fn locate_key(&self, path: &Path) -> Place {
        let Some((Step::Key(last), parent)) = path.split_last() else {
            return self.locate(path);
        };
        match self.find(&parent).and_then(|node| node.get(last)) {
            Some((key, _)) => key.extent.start,
            None => self.locate(path),
        }
    }

    /// The node at a path.
    pub(crate) fn find(&self, path: &Path) -> Option<&Node> {
        path.steps().iter().try_fold(self, |node, step| match (step, &node.value) {
            (Step::Key(key), _) => node.get(key).map(|(_, node)| node),
            (Step::Index(index), Value::List(items)) => items.get(*index),
            _ => None,
        })
    }
}

/// The lines of a file without their ends, numbered as places are: YAML also ends a line with a lone carriage return.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let line = rest.split(['\n', '\r']).next().filter(|_| !rest.is_empty())?;
        let ahead = rest.get(line.len()..).unwrap_or_default();
        rest = ahead.strip_prefix("\r\n").or_else(|| ahead.get(1..)).unwrap_or_default();
        Some(line)
    })
}

/// The place behind the last character of a file.
pub(crate) fn end(text: &str) -> Place {
    let (count, last) = lines(text).fold((0, ""), |(count, _), line| (count + 1, line));
    match text.ends_with(['\n', '\r']) || text.is_empty() {
        true => Place { line: count + 1, column: 1 },
        false => Place { line: count, column: last.chars().count() + 1 },
    }
}

/// The word for a value that is not there.
const NOTHING: &str = "nothing";

/// What unquoted text is, in words.
pub(crate) fn describe_plain(text: &str) -> &'static str {
    if text.is_empty() {
        return NOTHING;
    }
    match Scalar::parse_from_cow(text.into()) {
        Scalar::Null => NOTHING,
        Scalar::Boolean(_) => "a boolean",
        Scalar::Integer(_) | Scalar::FloatingPoint(_) => "a number",
        Scalar::String(_) => "a string",
    }
}

#[cfg(test)]
mod tests;
