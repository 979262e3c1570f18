//! One value of the source, with its place.

use crate::tree::{Node, Path, Place, Value};

/// A value of the source and where it stands: at its key, where it has one.
#[derive(Clone)]
pub(super) struct Part<'t> {
    pub(super) node: &'t Node,
    pub(super) at: Place,
    pub(super) path: Path,
}

impl<'t> Part<'t> {
    /// A whole document.
    pub(super) fn root(node: &'t Node) -> Self {
        Self { node, at: node.extent.start, path: Path::default() }
    }

    /// The value of a key, `null` aside. Older files write `snake_case` where newer ones write `camelCase`.
    pub(super) fn get(&self, key: &str) -> Option<Self> {
        self.entries().into_iter().find(|(name, _)| name == key).map(|(_, part)| part)
    }

    /// The value at the end of a way of keys.
    pub(super) fn find(&self, keys: &[&str]) -> Option<Self> {
        keys.iter().try_fold(self.clone(), |part, key| part.get(key))
    }

    /// The entries of a mapping whose keys are words of a format, `null` values aside; the keys in `camelCase`.
    pub(super) fn entries(&self) -> Vec<(String, Self)> {
        self.named().into_iter().map(|(key, part)| (camel(key), part)).collect()
    }

    /// The entries of a mapping whose keys are names, `null` values aside.
    pub(super) fn named(&self) -> Vec<(&'t str, Self)> {
        let Value::Table(entries) = &self.node.value else {
            return Vec::new();
        };
        let part = |(key, node): &'t (crate::tree::Key, Node)| {
            let part = Self { node, at: key.extent.start, path: self.path.key(&key.text) };
            (!node.is_null()).then_some((key.text.as_str(), part))
        };
        entries.iter().filter_map(part).collect()
    }

    /// The items of a list.
    pub(super) fn items(&self) -> Vec<Self> {
        let Value::List(items) = &self.node.value else {
            return Vec::new();
        };
        let part = |(index, node): (usize, &'t Node)| Self {
            node,
            at: node.extent.start,
            path: self.path.index(index),
        };
        items.iter().enumerate().map(part).collect()
    }

    /// The text of a scalar that is not `null`.
    pub(super) fn text(&self) -> Option<&'t str> {
        match &self.node.value {
            Value::Scalar { text, .. } if !self.node.is_null() => Some(text),
            _ => None,
        }
    }

    /// The items of a list; a scalar in its place is a list of one.
    pub(super) fn one_or_more(&self) -> Vec<Self> {
        if self.text().is_some() { vec![self.clone()] } else { self.items() }
    }

    /// The texts of a list of scalars, or of a scalar in its place.
    pub(super) fn texts(&self) -> Vec<&'t str> {
        self.one_or_more().iter().filter_map(Self::text).collect()
    }

    /// Whether it says `true`.
    pub(super) fn is_true(&self) -> bool {
        matches!(&self.node.value, Value::Scalar { text, plain: true } if text.eq_ignore_ascii_case("true"))
    }

    /// Whether it says `false`.
    pub(super) fn is_false(&self) -> bool {
        matches!(&self.node.value, Value::Scalar { text, plain: true } if text.eq_ignore_ascii_case("false"))
    }

    /// Whether nothing stands in it: `{}`, `[]`, an empty text.
    pub(super) fn is_empty(&self) -> bool {
        match &self.node.value {
            Value::Scalar { text, .. } => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Table(entries) => entries.iter().next().is_none(),
        }
    }
}

/// `snake_case` as `camelCase`; what holds no `_` stays.
fn camel(key: &str) -> String {
    let mut words = key.split('_');
    let mut camel = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        camel.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}
