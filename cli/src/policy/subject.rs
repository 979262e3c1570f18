//! Who calls and what for, as policies are tried on it.

use super::toolbox::{Toolbox, owner};
use anyhow::{Context as _, anyhow, bail};
use serde_json::{Map, Value};
use std::path::Path;
use std::sync::Arc;
use weir_config::{Auth, Endpoint, PolicyCaseItem};
use weir_policies::{Action, Hints, Item, ItemKind, Principal};

/// Something that somebody wants.
#[derive(Debug)]
pub(crate) struct Subject {
    pub(crate) action: Action,
    kind: ItemKind,
    name: String,
    original: String,
    backend: String,
    pub(crate) hints: Hints,
    pub(crate) tags: Vec<String>,
}

impl Subject {
    /// What is wanted of an endpoint; what is not said is taken from the configuration and the tools.
    pub(crate) fn new(
        endpoint: &Endpoint,
        toolbox: &Toolbox,
        item: &PolicyCaseItem,
        action: Option<&str>,
        backend: Option<&str>,
    ) -> anyhow::Result<Self> {
        let (kind, name, usual) = match item {
            PolicyCaseItem::Tool(name) => (ItemKind::Tool, name, Action::CallTool),
            PolicyCaseItem::Prompt(name) => (ItemKind::Prompt, name, Action::GetPrompt),
            PolicyCaseItem::Resource(uri) => (ItemKind::Resource, uri, Action::ReadResource),
        };
        let action = action.map(|text| named(text, kind)).transpose()?.unwrap_or(usual);
        let known = owner(endpoint, name);
        let owned = match (backend, known) {
            (Some(backend), _) if !endpoint.backends.iter().any(|own| own == backend) => {
                bail!("the endpoint `{}` has no backend `{backend}`", endpoint.name)
            }
            (Some(backend), Some((own, original))) if own == backend => (backend, original),
            (Some(backend), _) => (backend, name.as_str()),
            (None, Some(known)) => known,
            (None, None) => bail!("which backend has `{name}` cannot be told: name it"),
        };
        let overrides = match kind {
            ItemKind::Tool => Some(&endpoint.tool_overrides),
            ItemKind::Prompt => Some(&endpoint.prompt_overrides),
            ItemKind::Resource => None,
        };
        let change = overrides.and_then(|overrides| overrides.get(owned.0)?.get(owned.1));
        Ok(Self {
            action,
            kind,
            name: name.clone(),
            original: owned.1.to_owned(),
            backend: owned.0.to_owned(),
            hints: toolbox.hints(name),
            tags: change.map(|change| change.tags.clone()).unwrap_or_default(),
        })
    }

    /// The same with another name at its backend.
    pub(crate) fn known_as(mut self, original: Option<String>) -> Self {
        self.original = original.unwrap_or(self.original);
        self
    }

    /// As policies know it.
    pub(crate) fn item(&self) -> Item<'_> {
        let item = Item::of(self.kind, &self.name, &self.original, &self.backend);
        Item { hints: self.hints, tags: &self.tags, ..item }
    }
}

fn named(text: &str, kind: ItemKind) -> anyhow::Result<Action> {
    let fits = |action: &Action| match action {
        Action::CallTool => kind == ItemKind::Tool,
        Action::GetPrompt => kind == ItemKind::Prompt,
        Action::ReadResource | Action::SubscribeResource => kind == ItemKind::Resource,
        Action::Complete => kind != ItemKind::Tool,
    };
    let fitting = Action::ALL.into_iter().filter(fits);
    let known: Vec<&str> = fitting.clone().map(Action::name).collect();
    let found = fitting.into_iter().find(|action| action.name() == text);
    found.ok_or_else(|| anyhow!("`{text}` cannot be done with it; known are {}", known.join(", ")))
}

/// The caller whom claims describe.
pub(crate) fn caller(auth: &Auth, claims: Option<Map<String, Value>>) -> anyhow::Result<Arc<Principal>> {
    Ok(Arc::new(match claims {
        None => Principal::anonymous(),
        Some(claims) => weir_policies::supposed(auth, claims)
            .map_err(|rejection| anyhow!("the caller would not be let in: {}", rejection.reason))?,
    }))
}

/// Claims as they are named on the command line: a file, JSON, a token; none for `anonymous`.
pub(crate) fn claims(written: &str) -> anyhow::Result<Option<Map<String, Value>>> {
    if written == "anonymous" {
        return Ok(None);
    }
    if written.trim_start().starts_with('{') {
        return object(written).map(Some);
    }
    if let Some(payload) = payload(written) {
        return object(&payload).map(Some);
    }
    let text = std::fs::read_to_string(Path::new(written)).context("cannot read the file of claims")?;
    match payload(text.trim()) {
        Some(payload) => object(&payload),
        None => object(&text),
    }
    .map(Some)
}

fn object(text: &str) -> anyhow::Result<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        _ => {
            bail!("the claims must be a JSON object, such as '{{\"sub\": \"ada\", \"groups\": [\"staff\"]}}'")
        }
    }
}

/// What a signed token says; its signature is not looked at.
fn payload(token: &str) -> Option<String> {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let [_, payload, _] = token.split('.').collect::<Vec<_>>().try_into().ok()?;
    String::from_utf8(URL_SAFE_NO_PAD.decode(payload).ok()?).ok().filter(|text| text.starts_with('{'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_are_a_file_json_or_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("claims.json");
        // {"sub":"ada"}
        let token = "e30.eyJzdWIiOiJhZGEifQ.c2ln";
        for text in [r#"{"sub": "ada"}"#, token] {
            std::fs::write(&file, format!("{text}\n")).unwrap();
            for written in [text, file.to_str().unwrap()] {
                assert_eq!(
                    claims(written).unwrap().unwrap().get("sub"),
                    Some(&Value::from("ada")),
                    "{written}"
                );
            }
        }
        assert!(claims("anonymous").unwrap().is_none());
        for wrong in ["{", "[]", "/does/not/exist", "a.b.c"] {
            assert!(claims(wrong).is_err(), "{wrong}");
        }
    }
}
