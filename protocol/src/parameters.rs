//! Overrides on single parameters of a tool, or arguments of a prompt: what its schema says of them, and what a call's arguments become on the way.
//! Only the parameters at the top of the schema can be changed; what is inside of them stays as it is.

mod list;
mod schema;

use crate::object::Object;
use crate::{Span, Splice, json};
use bytes::Bytes;
use std::collections::HashSet;
use std::fmt;

/// What an operator changes of one parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterChange {
    /// The tool's own name of it.
    pub parameter: String,
    /// Who gives it its value.
    pub supply: Supply,
    /// The name that clients see.
    pub name: Option<String>,
    /// The description that clients see.
    pub description: Option<String>,
}

/// Who gives a parameter its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Supply {
    /// The client.
    Client,
    /// Nobody; clients do not see it.
    Nobody,
    /// weir, always; clients do not see it.
    Fixed(Value),
    /// The client, and weir where the client does not.
    Default(Value),
}

/// A value as raw JSON. It may hold what only the operator knows, so that `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Bytes);

impl Value {
    /// Raw JSON.
    pub fn new(raw: impl Into<Bytes>) -> Self {
        Self(raw.into())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(…)")
    }
}

impl Supply {
    /// Clients neither see the parameter nor may they send it.
    fn is_withheld(&self) -> bool {
        matches!(self, Self::Nobody | Self::Fixed(_))
    }

    /// The parameter reaches the tool whatever the client sends.
    fn is_certain(&self) -> bool {
        matches!(self, Self::Fixed(_) | Self::Default(_))
    }
}

impl ParameterChange {
    /// Whether one of its names is `name` but for the case.
    fn is_called_like(&self, name: &str) -> bool {
        let new = self.name.as_ref();
        self.parameter.eq_ignore_ascii_case(name) || new.is_some_and(|new| new.eq_ignore_ascii_case(name))
    }

    fn withheld(&self) -> ArgumentsError {
        ArgumentsError::Withheld(self.parameter.clone())
    }
}

/// Why a change could not be made as it was meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// The schema has no such parameter.
    #[error("it has no parameter `{0}`")]
    Unknown(String),
    /// The new name is that of another parameter; the old one stays.
    #[error("its parameter `{parameter}` cannot be called `{name}`, which another one is called")]
    Taken {
        /// The tool's own name of it.
        parameter: String,
        /// The name that it was to have.
        name: String,
    },
    /// Hidden without a value, although the tool cannot do without it.
    #[error("it requires the parameter `{0}`, which is hidden and has no value: calls will fail")]
    Required(String),
}

/// Why the arguments of a call are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ArgumentsError {
    /// They are no object.
    #[error("`params.arguments` is not an object in which every key stands once")]
    Shape,
    /// A parameter that only weir sets.
    #[error("the argument `{0}` cannot be set by clients")]
    Withheld(String),
    /// One parameter by both of its names.
    #[error("the arguments `{0}` and `{1}` are the same; send one of them")]
    Both(String, String),
    /// A parameter in another case; some servers match names without regard to it.
    #[error("the argument `{0}` is unknown; write `{1}`")]
    Case(String, String),
}

/// The changes that hold for one tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameters {
    changes: Vec<ParameterChange>,
    /// Names that are declared and that differ from those of changed parameters in nothing but their case.
    twins: HashSet<String>,
}

/// What became of a tool.
#[derive(Debug)]
pub struct Fitted {
    /// The schema, or list of arguments, that clients see; `None` where it is the backend's own.
    pub schema: Option<Bytes>,
    /// What holds for calls.
    pub parameters: Parameters,
    /// What could not be done.
    pub misfits: Vec<Misfit>,
}

impl Parameters {
    /// Fits `changes` to a tool with this `inputSchema`. What does not fit is told and left out, except that what is
    /// withheld from clients stays so.
    pub fn fit(changes: &[ParameterChange], schema: Option<&str>) -> Fitted {
        schema::fit(changes, schema)
    }

    /// The same for a prompt with these `arguments`. New names are not taken: `completion/complete` names arguments too.
    pub fn fit_prompt(changes: &[ParameterChange], arguments: Option<&str>) -> Fitted {
        list::fit(changes, arguments)
    }

    /// What holds for calls where `declared` are the names of all parameters.
    fn new<'a>(changes: Vec<ParameterChange>, declared: impl Iterator<Item = &'a str>) -> Self {
        let twins = declared.filter(|name| changes.iter().any(|change| change.is_called_like(name)));
        let twins = twins.map(str::to_owned).collect();
        Self { changes, twins }
    }

    /// Judges the name of an argument that is used elsewhere than in a call, as `completion/complete` does.
    ///
    /// # Errors
    /// Clients may not set it.
    pub fn admit(&self, name: &str) -> Result<(), ArgumentsError> {
        self.find(name).map(|_| ())
    }

    /// The change of the parameter that clients call `name`.
    fn find(&self, name: &str) -> Result<Option<&ParameterChange>, ArgumentsError> {
        let renamed = self.changes.iter().find(|change| change.name.as_deref() == Some(name));
        let own = || self.changes.iter().find(|change| change.parameter == name);
        if let Some(change) = renamed.or_else(own) {
            let withheld = change.supply.is_withheld();
            return if withheld { Err(change.withheld()) } else { Ok(Some(change)) };
        }
        if self.twins.contains(name) {
            return Ok(None);
        }
        let mut alike = self.changes.iter().filter(|change| change.is_called_like(name));
        match alike.clone().find(|change| change.supply.is_withheld()).or_else(|| alike.next()) {
            Some(change) if change.supply.is_withheld() => Err(change.withheld()),
            // Both it and what weir makes of the parameter would reach the tool.
            Some(change) if change.name.is_some() || change.supply.is_certain() => {
                let right = change.name.as_ref().unwrap_or(&change.parameter);
                Err(ArgumentsError::Case(name.to_owned(), right.clone()))
            }
            _ => Ok(None),
        }
    }

    /// The arguments as the tool wants them; `None` where they are right as they are. What weir adds stands last, which
    /// counts where a tool takes two keys for the same.
    ///
    /// # Errors
    /// They are no object, set what clients may not set, or set one parameter twice.
    pub fn apply(&self, arguments: Option<&str>) -> Result<Option<Bytes>, ArgumentsError> {
        self.write(arguments, Reader::Tool)
    }

    /// The arguments as policies judge them, whichever of its names a client calls a parameter by: by those that clients
    /// see, with the values that weir sends where a client sends none. What clients cannot see is left out. `None` where
    /// they are right as they are.
    ///
    /// # Errors
    /// As [`apply`](Self::apply).
    pub fn judged(&self, arguments: Option<&str>) -> Result<Option<Bytes>, ArgumentsError> {
        self.write(arguments, Reader::Policies)
    }

    fn write(&self, arguments: Option<&str>, reader: Reader) -> Result<Option<Bytes>, ArgumentsError> {
        let source = arguments.filter(|raw| *raw != "null").unwrap_or("{}");
        let object = Object::read(source, Span::new(0, source.len())).map_err(|_| ArgumentsError::Shape)?;
        let mut splice = Splice::new(source.as_bytes());
        let mut present: HashSet<&str> = HashSet::new();
        for field in object.fields() {
            let change = self.find(&field.name)?;
            let name = change.map_or(&*field.name, |change| reader.calls(change));
            if name != field.name {
                splice.replace(field.key, json::string(name));
            }
            let parameter = change.map_or(&*field.name, |change| &*change.parameter);
            if !present.insert(parameter) {
                let name = change.and_then(|change| change.name.clone()).unwrap_or_default();
                return Err(ArgumentsError::Both(name, parameter.to_owned()));
            }
        }
        let mut added = Vec::new();
        for change in self.changes.iter().filter(|change| !present.contains(&*change.parameter)) {
            let value = match &change.supply {
                Supply::Default(value) => value,
                Supply::Fixed(value) if reader == Reader::Tool => value,
                _ => continue,
            };
            if !(added.is_empty() && object.fields().is_empty()) {
                added.push(b',');
            }
            json::write_string(&mut added, reader.calls(change));
            added.push(b':');
            added.extend_from_slice(&value.0);
        }
        object.append(&mut splice, added);
        Ok(if splice.is_untouched() { None } else { Some(splice.finish()) })
    }
}

/// For whom arguments are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    Tool,
    Policies,
}

impl Reader {
    /// By which name it knows the parameter.
    fn calls(self, change: &ParameterChange) -> &str {
        match (self, &change.name) {
            (Self::Policies, Some(name)) => name,
            _ => &change.parameter,
        }
    }
}

#[cfg(test)]
mod tests;
