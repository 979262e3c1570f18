//! What the operator is told: remarks with their places, and variables to set.

use super::Variable;
use super::part::Part;
use crate::report::Finding;
use crate::tree::{Path, Place};
use std::collections::{BTreeMap, BTreeSet};

/// A place of the source.
#[derive(Clone)]
pub(super) struct Spot {
    pub(super) at: Place,
    pub(super) path: Path,
}

impl From<&Part<'_>> for Spot {
    fn from(part: &Part<'_>) -> Self {
        Self { at: part.at, path: part.path.clone() }
    }
}

/// Everything that is to be said.
pub(super) struct Notes {
    remarks: Vec<Finding>,
    variables: BTreeMap<String, Meaning>,
    /// The variables that the source refers to, anywhere. No literal may take such a name: where one server writes what
    /// another one refers to, they may mean different things.
    taken: BTreeSet<String>,
}

/// What a variable stands for.
struct Meaning {
    /// The literal of the source that it replaces; two uses of one name must mean the same. It has no `Debug`.
    value: Option<String>,
    purpose: String,
    optional: bool,
}

/// The names behind every `${` of a text, with and without `env:`.
fn references(text: &str) -> BTreeSet<String> {
    let name = |reference: &str| {
        let name = reference.strip_prefix("env:").unwrap_or(reference);
        let end = name.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
        name.get(..end.unwrap_or(name.len())).unwrap_or_default().to_owned()
    };
    text.split("${").skip(1).map(name).filter(|name| !name.is_empty()).collect()
}

impl Notes {
    /// Nothing is said yet of the source `text`.
    pub(super) fn new(text: &str) -> Self {
        Self { remarks: Vec::new(), variables: BTreeMap::new(), taken: references(text) }
    }

    /// Something is not carried over, or not as it was: what it is, and what to do instead.
    pub(super) fn remark(
        &mut self,
        spot: impl Into<Spot>,
        what: impl Into<String>,
        instead: impl Into<String>,
    ) {
        let Spot { at, path } = spot.into();
        self.remarks.push(Finding::new(at, &path, what).help(instead));
    }

    /// The source refers to this variable already, or to something outside that becomes one.
    pub(super) fn refer(&mut self, name: &str, purpose: &str, optional: bool) {
        let meaning = Meaning { value: None, purpose: purpose.to_owned(), optional };
        let known = self.variables.entry(name.to_owned()).or_insert(meaning);
        known.optional &= optional;
    }

    /// The variable that takes the place of a literal: the first of the names that is free or means the same already.
    pub(super) fn replace(&mut self, names: [&str; 2], value: &str, purpose: &str) -> String {
        let numbered = (2..).map(|number| format!("{}_{number}", names[1]));
        let candidates = names.map(str::to_owned).into_iter().chain(numbered);
        for name in candidates {
            match self.variables.get(&name) {
                Some(known) if known.value.as_deref() != Some(value) => {}
                Some(_) => return name,
                None if self.taken.contains(&name) => {}
                None => {
                    let (value, purpose) = (Some(value.to_owned()), purpose.to_owned());
                    self.variables.insert(name.clone(), Meaning { value, purpose, optional: false });
                    return name;
                }
            }
        }
        names[1].to_owned()
    }

    /// The variables so far, for the head of the file.
    pub(super) fn variables(&self) -> Vec<Variable> {
        let variable = |(name, meaning): (&String, &Meaning)| Variable {
            name: name.clone(),
            purpose: meaning.purpose.clone(),
            optional: meaning.optional,
        };
        self.variables.iter().map(variable).collect()
    }

    /// Keeps the variables that are wanted still.
    pub(super) fn retain_variables(&mut self, wanted: impl Fn(&str) -> bool) {
        self.variables.retain(|name, _| wanted(name));
    }

    /// The remarks and the variables.
    pub(super) fn into_parts(self) -> (Vec<Finding>, Vec<Variable>) {
        let variables = self.variables();
        (self.remarks, variables)
    }
}

impl From<&Spot> for Spot {
    fn from(spot: &Spot) -> Self {
        spot.clone()
    }
}

/// A name as part of a variable's: `git-hub` becomes `GIT_HUB`.
pub(super) fn upper(name: &str) -> String {
    let letter =
        |letter: char| if letter.is_ascii_alphanumeric() { letter.to_ascii_uppercase() } else { '_' };
    let name: String = name.chars().map(letter).collect();
    if name.starts_with(|first: char| first.is_ascii_digit()) { format!("_{name}") } else { name }
}
