//! Overrides on parameters, from the configuration to the tool or prompt that they are for.

use super::List;
use std::fmt;
use weir_config::Override;
use weir_protocol::item::Item;
use weir_protocol::parameters::{Fitted, Misfit, ParameterChange, Parameters, Supply, Value};

/// An override on a parameter that does not do what was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Unfit {
    /// The backend's name.
    pub(crate) backend: String,
    /// Which list.
    pub(crate) list: &'static str,
    /// The item's own name.
    pub(crate) item: String,
    /// What is wrong.
    pub(crate) misfit: Misfit,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Names come from backends; quoted, they cannot write lines of their own into a log.
        write!(f, "{} {:?} of {}: {}", self.list, self.item, self.backend, self.misfit)
    }
}

/// What becomes of an item of `list` by its override; `None` where no parameter is changed.
pub(super) fn fit(change: Option<&Override>, list: List, item: &Item) -> Option<Fitted> {
    let written = &change?.parameters;
    if written.is_empty() {
        return None;
    }
    let value = |json: &weir_config::Concealed| Value::new(json.0.to_string());
    let changes: Vec<ParameterChange> = written
        .iter()
        .map(|(parameter, change)| ParameterChange {
            parameter: parameter.clone(),
            supply: match (&change.value, change.hide, &change.default) {
                (Some(fixed), ..) => Supply::Fixed(value(fixed)),
                (None, true, _) => Supply::Nobody,
                (None, false, Some(default)) => Supply::Default(value(default)),
                (None, false, None) => Supply::Client,
            },
            name: change.name.clone(),
            description: change.description.clone(),
        })
        .collect();
    Some(match list {
        List::Prompts => Parameters::fit_prompt(&changes, item.arguments()),
        _ => Parameters::fit(&changes, item.input_schema()),
    })
}
