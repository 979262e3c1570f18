//! A tool's arguments, checked one by one; what is wrong is said in a sentence for the model.

use serde_json::{Map, Value};

/// The arguments of one call.
pub(super) struct Arguments(Map<String, Value>);

impl Arguments {
    /// Refuses arguments that the tool does not have.
    pub(super) fn new(given: Map<String, Value>, known: &[&str]) -> Result<Self, String> {
        match given.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(Self(given)),
            Some(name) if known.is_empty() => {
                Err(format!("there is no argument `{name}`; this tool takes none"))
            }
            Some(name) => Err(format!("there is no argument `{name}`; this tool takes {}", known.join(", "))),
        }
    }

    /// A text of at most `longest` characters, not blank; absent is `None`.
    pub(super) fn text(&self, name: &str, longest: usize) -> Result<Option<&str>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.trim().is_empty() => Err(format!("`{name}` must not be empty")),
            Some(Value::String(text)) if text.chars().count() > longest => {
                Err(format!("`{name}` must not be longer than {longest} characters"))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("`{name}` must be a string")),
        }
    }

    /// The same, but it must be there.
    pub(super) fn required_text(&self, name: &str, longest: usize) -> Result<&str, String> {
        self.text(name, longest)?.ok_or_else(|| format!("the argument `{name}` is missing"))
    }

    /// A whole number from 1 to `largest`, which must be there.
    pub(super) fn count(&self, name: &str, largest: u64) -> Result<u64, String> {
        let value = self.0.get(name).ok_or_else(|| format!("the argument `{name}` is missing"))?;
        value
            .as_u64()
            .filter(|count| (1..=largest).contains(count))
            .ok_or_else(|| format!("`{name}` must be a whole number from 1 to {largest}"))
    }
}
