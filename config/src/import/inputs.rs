//! VS Code's `inputs`: values that the editor asks its user for.

use super::notes::{Notes, upper};
use super::part::Part;
use super::secrets::looks_secret;
use crate::report::quote;
use std::collections::BTreeMap;

/// The inputs of a file by id.
#[derive(Default)]
pub(super) struct Inputs(BTreeMap<String, Input>);

/// One of them.
struct Input {
    description: Option<String>,
    /// Never that of a password.
    default: Option<String>,
}

impl Inputs {
    /// Reads the list beside the servers.
    pub(super) fn read(list: Option<Part<'_>>) -> Self {
        let items = list.map(|list| list.items()).unwrap_or_default();
        let input = |part: &Part<'_>| {
            let text = |key: &str| part.get(key).and_then(|part| part.text()).map(str::to_owned);
            let password = part.get("password").is_some_and(|password| password.is_true());
            let id = text("id")?;
            let kept =
                |default: &String| !password && !looks_secret(&id, default) && !default.contains(['}', '\n']);
            let default = text("default").filter(kept);
            Some((id, Input { description: text("description"), default }))
        };
        Self(items.iter().filter_map(input).collect())
    }

    /// The reference that takes the place of `${input:id}`.
    pub(super) fn reference(&self, id: &str, part: &Part<'_>, notes: &mut Notes) -> String {
        let name = upper(id);
        let input = self.0.get(id);
        let asked = quote(&format!("${{input:{id}}}"));
        let purpose = match input.and_then(|input| input.description.as_deref()) {
            Some(description) => format!("{description} (the input {})", quote(id)),
            None => format!("the input {}", quote(id)),
        };
        let default = input.and_then(|input| input.default.as_deref());
        notes.refer(&name, &purpose, default.is_some());
        match input {
            Some(_) => notes.remark(
                part,
                format!("{asked} asks the user for a value, which a gateway cannot: it became `${{{name}}}`"),
                format!("set the environment variable {} before weir starts", quote(&name)),
            ),
            None => notes.remark(
                part,
                format!("no input is called {}: {asked} became `${{{name}}}`", quote(id)),
                format!("set the environment variable {} to what is meant", quote(&name)),
            ),
        }
        match default {
            Some(default) => format!("${{{name}:-{default}}}"),
            None => format!("${{{name}}}"),
        }
    }
}
