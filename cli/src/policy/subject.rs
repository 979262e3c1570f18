//! Who calls and what for, as policies are tried on it.

use crate::args::{ClientEra, Explain, Wanted};
use anyhow::{Context as _, anyhow, bail};
use serde_json::{Map, Value};
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;
use weir_config::{Endpoint, PolicyCase, PolicyCaseItem};
use weir_policies::{Action, Context, ItemKind, Principal};
use weir_protocol::Era;

/// Something that somebody wants, under some circumstances.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) kind: ItemKind,
    pub(crate) name: &'a str,
    pub(crate) action: Option<Action>,
    pub(crate) context: Context<'a>,
    /// Its backend, where that is said.
    pub(crate) backend: Option<&'a str>,
    /// What its backend calls it, where that is said.
    pub(crate) original: Option<&'a str>,
    /// What the tool says of itself, where nobody else tells.
    pub(crate) annotations: Option<&'a Map<String, Value>>,
    pub(crate) tags: &'a [String],
}

impl<'a> Subject<'a> {
    /// That of `weir policy explain`, with these arguments.
    pub(crate) fn of_command(explain: &'a Explain, arguments: &'a str) -> anyhow::Result<Self> {
        let (kind, name) = wanted(&explain.wanted)?;
        Ok(Self {
            kind,
            name,
            action: explain.action.as_deref().map(|text| named(text, kind)).transpose()?,
            context: Context {
                arguments: Some(arguments),
                address: explain.address,
                era: if explain.era == ClientEra::Legacy { Era::Legacy } else { Era::Modern },
                time: explain.time.map_or_else(SystemTime::now, |moment| moment.0),
                retry: explain.retry,
            },
            backend: explain.backend.as_deref(),
            original: None,
            annotations: None,
            tags: &[],
        })
    }

    /// That of a case, with these arguments.
    pub(crate) fn of_case(case: &'a PolicyCase, arguments: Option<&'a str>) -> anyhow::Result<Self> {
        let (kind, name) = match &case.item {
            PolicyCaseItem::Tool(name) => (ItemKind::Tool, name),
            PolicyCaseItem::Prompt(name) => (ItemKind::Prompt, name),
            PolicyCaseItem::Resource(uri) => (ItemKind::Resource, uri),
        };
        Ok(Self {
            kind,
            name,
            action: case.action.as_deref().map(|text| named(text, kind)).transpose()?,
            context: Context {
                arguments,
                address: case.address,
                era: if case.legacy { Era::Legacy } else { Era::Modern },
                time: case.time.unwrap_or_else(SystemTime::now),
                retry: case.retry,
            },
            backend: case.backend.as_deref(),
            original: case.original.as_deref(),
            annotations: Some(&case.annotations).filter(|annotations| !annotations.is_empty()),
            tags: &case.tags,
        })
    }
}

/// What a command is about.
pub(crate) fn wanted(wanted: &Wanted) -> anyhow::Result<(ItemKind, &str)> {
    let all = [
        (ItemKind::Tool, &wanted.tool),
        (ItemKind::Prompt, &wanted.prompt),
        (ItemKind::Resource, &wanted.resource),
    ];
    let named = all.into_iter().find_map(|(kind, name)| Some((kind, name.as_deref()?)));
    named.ok_or_else(|| anyhow!("name a tool, a prompt or a resource"))
}

/// A kind in words.
pub(crate) fn noun(kind: ItemKind) -> &'static str {
    match kind {
        ItemKind::Tool => "tool",
        ItemKind::Prompt => "prompt",
        ItemKind::Resource => "resource",
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

/// The endpoint would not let a caller in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outside(pub(crate) String);

impl fmt::Display for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the caller would not be let in: {}", self.0)
    }
}

impl std::error::Error for Outside {}

/// The caller whom claims describe.
///
/// # Errors
/// The endpoint would not let it in.
pub(crate) fn caller(
    endpoint: &Endpoint,
    claims: Option<Map<String, Value>>,
) -> Result<Arc<Principal>, Outside> {
    let claims = match claims {
        // There, whoever comes is nobody.
        Some(_) if endpoint.auth.is_anonymous() && endpoint.policies.is_none() => None,
        claims => claims,
    };
    Ok(Arc::new(match claims {
        None => Principal::anonymous(),
        Some(claims) => weir_policies::supposed(&endpoint.auth, claims)
            .map_err(|rejection| Outside(rejection.reason.to_string()))?,
    }))
}

/// Claims as they are named on the command line: a file, JSON, a token; none for `anonymous`.
pub(crate) fn claims(written: &str) -> anyhow::Result<Option<Map<String, Value>>> {
    if written == "anonymous" {
        return Ok(None);
    }
    if written.trim_start().starts_with(['{', '[']) {
        return object(written).map(Some);
    }
    if let Some(payload) = payload(written) {
        return object(&payload).map(Some);
    }
    let file = Path::new(written);
    let text = std::fs::read_to_string(file).map_err(|error| match error.kind() {
        // It may be a token that was cut, so it is not repeated.
        std::io::ErrorKind::NotFound => {
            anyhow!(
                "--as is no file, no JSON and no signed token; write claims such as {EXAMPLE}, or `anonymous`"
            )
        }
        _ => anyhow!("cannot read the claims in {}: {error}", file.display()),
    })?;
    match payload(text.trim()) {
        Some(payload) => object(&payload),
        None => object(&text).with_context(|| format!("in {}", file.display())),
    }
    .map(Some)
}

/// How claims look.
const EXAMPLE: &str = r#"'{"sub": "ada", "groups": ["staff"]}'"#;

fn object(text: &str) -> anyhow::Result<Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(members),
        Ok(_) => bail!("the claims must be a JSON object, such as {EXAMPLE}"),
        // Where it stands and never what: the text may be a secret.
        Err(error) => bail!(
            "the claims are no JSON, see line {} column {}; write them as {EXAMPLE}",
            error.line(),
            error.column()
        ),
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
