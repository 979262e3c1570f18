//! weir's configuration as it is going to be written: values in their order, with comments and with their origin.

use super::notes::Spot;

/// A value to be written. It has no `Debug`: until it is settled, it may hold what is secret.
pub(super) struct Draft {
    pub(super) value: Value,
    /// Lines above it.
    pub(super) comments: Vec<String>,
    /// Where it comes from.
    pub(super) spot: Option<Spot>,
}

/// What is written.
pub(super) enum Value {
    /// Text in weir's words: `${NAME}` is a reference, `$${` a literal `${`.
    Text(String),
    /// A number, a boolean or a duration.
    Bare(String),
    List(Vec<Draft>),
    Table(Vec<(String, Draft)>),
}

impl Draft {
    fn new(value: Value) -> Self {
        Self { value, comments: Vec::new(), spot: None }
    }

    /// Text in weir's words.
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::new(Value::Text(text.into()))
    }

    /// Text that holds no references.
    pub(super) fn literal(text: &str) -> Self {
        Self::text(text.replace("${", "$${"))
    }

    /// A number, a boolean or a duration.
    pub(super) fn bare(text: impl ToString) -> Self {
        Self::new(Value::Bare(text.to_string()))
    }

    /// A list.
    pub(super) fn list(items: impl IntoIterator<Item = Self>) -> Self {
        Self::new(Value::List(items.into_iter().collect()))
    }

    /// An empty mapping.
    pub(super) fn table() -> Self {
        Self::new(Value::Table(Vec::new()))
    }

    /// Says where it comes from.
    pub(super) fn from(mut self, spot: impl Into<Spot>) -> Self {
        self.spot = Some(spot.into());
        self
    }

    /// Adds a line above it.
    pub(super) fn comment(&mut self, line: impl Into<String>) {
        self.comments.push(line.into());
    }

    /// Sets a key of a mapping, whatever it was before.
    pub(super) fn set(&mut self, key: &str, value: Self) {
        if let Value::Table(entries) = &mut self.value {
            match entries.iter_mut().find(|(known, _)| known == key) {
                Some((_, place)) => *place = value,
                None => entries.push((key.to_owned(), value)),
            }
        }
    }

    /// Sets what stands at the end of a way of keys, and makes the mappings on it that are not there yet.
    pub(super) fn set_in(&mut self, way: &[&str], value: Self) {
        let Some((key, rest)) = way.split_first() else { return };
        if rest.is_empty() {
            self.set(key, value);
            return;
        }
        let Value::Table(entries) = &mut self.value else { return };
        match entries.iter_mut().find(|(known, _)| known == key) {
            Some((_, member)) => member.set_in(rest, value),
            None => {
                let mut member = Self::table();
                member.set_in(rest, value);
                entries.push(((*key).to_owned(), member));
            }
        }
    }

    /// The value of a key.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        let Value::Table(entries) = &self.value else { return None };
        entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The keys of a mapping.
    pub(super) fn keys(&self) -> Vec<String> {
        match &self.value {
            Value::Table(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it is a mapping or a list without members.
    pub(super) fn is_empty(&self) -> bool {
        match &self.value {
            Value::List(items) => items.is_empty(),
            Value::Table(entries) => entries.is_empty(),
            Value::Text(_) | Value::Bare(_) => false,
        }
    }

    /// The member at a position of a mapping or a list.
    pub(super) fn member(&self, at: usize) -> Option<(Option<&str>, &Self)> {
        match &self.value {
            Value::Table(entries) => entries.get(at).map(|(key, value)| (Some(key.as_str()), value)),
            Value::List(items) => items.get(at).map(|item| (None, item)),
            Value::Text(_) | Value::Bare(_) => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn member_mut(&mut self, at: usize) -> Option<&mut Self> {
        match &mut self.value {
            Value::Table(entries) => entries.get_mut(at).map(|(_, value)| value),
            Value::List(items) => items.get_mut(at),
            Value::Text(_) | Value::Bare(_) => None,
        }
    }

    /// Takes out the value at the end of a way of positions, and whatever is empty without it.
    pub(super) fn remove(&mut self, way: &[usize]) {
        let Some((&at, rest)) = way.split_first() else { return };
        let gone = self.member_mut(at).is_some_and(|member| {
            member.remove(rest);
            rest.is_empty() || member.is_empty()
        });
        if gone {
            match &mut self.value {
                Value::Table(entries) => drop(entries.remove(at)),
                Value::List(items) => drop(items.remove(at)),
                Value::Text(_) | Value::Bare(_) => {}
            }
        }
    }
}
