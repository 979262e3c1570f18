//! Overrides on parameters of tools.

use super::Checker;
use crate::model::ParameterOverride;
use crate::report::quote;
use crate::tree::Path;
use std::collections::{BTreeMap, HashMap};

/// Reports changes that contradict each other.
pub(super) fn check(checker: &mut Checker<'_>, here: &Path, changes: &BTreeMap<String, ParameterOverride>) {
    let mut taken: HashMap<&str, &str> = HashMap::new();
    for (parameter, change) in changes {
        let here = here.key(parameter);
        let ParameterOverride { hide, value, default, name, description } = change;
        let withheld = if value.is_some() { Some("value") } else { hide.then_some("hide") };
        let visible = [
            ("default", default.is_some()),
            ("name", name.is_some()),
            ("description", description.is_some()),
        ];
        if let Some(withheld) = withheld {
            for (key, _) in visible.iter().filter(|(_, written)| *written) {
                let message =
                    format!("`{key}` fits a parameter that clients see; `{withheld}` takes it from them");
                checker.error(checker.at_key(&here.key(key), message));
            }
        } else if visible.iter().all(|(_, written)| !written) {
            let finding = checker.at_key(&here, "the override changes nothing");
            checker.warning(finding.help("a key without a value, or with `null`, says nothing"));
        }
        let Some(name) = name else {
            continue;
        };
        let at = here.key("name");
        if name.is_empty() {
            checker.error(checker.at(&at, "a parameter's name cannot be empty"));
        }
        if let Some(earlier) = taken.insert(name, parameter) {
            let message = format!("the parameter {} gets the same name", quote(earlier));
            checker.error(checker.at(&at, message));
        }
    }
}
