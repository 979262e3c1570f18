//! On what calls are tried out: an endpoint over its servers, or over what is known of them without asking.

use super::subject::Subject;
use super::toolbox::Toolbox;
use crate::line::shown;
use crate::say_error;
use anyhow::{Context as _, anyhow, bail};
use serde_json::{Map, Value};
use std::sync::Arc;
use weir_config::{Config, Endpoint, nearest};
use weir_gateway::{Attempt, Nowhere, Supposed, Surveyed, Tried, Unplaced, survey};
use weir_policies::{ItemKind, Policies, Principal};
use weir_runtime::Guardian;

/// An endpoint, ready to be asked.
#[derive(Debug)]
pub(crate) enum Ground<'c> {
    /// Its servers said what they offer.
    Servers(Box<Surveyed>),
    /// Nobody was asked: what is tried is supposed to be there.
    Supposed {
        /// The endpoint.
        spec: &'c Endpoint,
        /// Its policies.
        policies: Arc<Policies>,
        /// Its tools, where they are known.
        toolbox: Option<Toolbox>,
    },
}

/// What would come of a call, as far as it can be said.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What it is; an error where it leads to nothing.
    pub(crate) tried: Result<Tried, Nowhere>,
    /// What is not known and would make another answer.
    pub(crate) lacks: Option<&'static str>,
}

/// Asks the servers of all endpoints, or of `only` this one, what they offer. Says which gave no answer.
pub(crate) fn look(config: &Config, only: Option<&str>, log: &str) -> anyhow::Result<Vec<Surveyed>> {
    weir_telemetry::init(log, false)?;
    let mut config = config.clone();
    if let Some(name) = only {
        super::endpoint(&config, Some(name))?;
        config.endpoints.retain(|endpoint| endpoint.name == name);
        let endpoints = &config.endpoints;
        config
            .backends
            .retain(|backend| endpoints.iter().any(|endpoint| endpoint.backends.contains(&backend.name)));
    }
    let program = std::env::current_exe().context("cannot find weir's own program file")?;
    let guardian =
        Guardian::start(&program, &["guard"]).context("cannot start the guardian of child processes")?;
    let surveyed = survey(&config, &guardian)?;
    for endpoint in &surveyed {
        for (backend, why) in &endpoint.silent {
            let name = endpoint.name();
            say_error(&format!(
                "warning: endpoint {name} is told of without backend {backend}, which {}",
                shown(why)
            ));
        }
    }
    Ok(surveyed)
}

impl Ground<'_> {
    /// An endpoint over its servers, which are asked now. Says what is odd about its policies and the tools.
    pub(crate) fn servers(config: &Config, spec: &Endpoint, log: &str) -> anyhow::Result<Self> {
        let surveyed = look(config, Some(&spec.name), log)?.pop();
        let surveyed = surveyed.ok_or_else(|| anyhow!("there is no endpoint `{}`", spec.name))?;
        surveyed.odd.iter().for_each(|odd| say_error(&format!("warning: {}", odd.diagnostic)));
        Ok(Self::Servers(Box::new(surveyed)))
    }

    /// What would come of a call.
    ///
    /// # Errors
    /// It cannot be said, since the configuration does not tell enough or tells something else.
    pub(crate) fn attempt(
        &self,
        principal: &Arc<Principal>,
        subject: &Subject<'_>,
    ) -> anyhow::Result<Answer> {
        let tried = self.tried(principal, subject)?;
        let Ok(found) = &tried else {
            return Ok(Answer { tried, lacks: None });
        };
        for (what, said, known) in [
            ("is of backend", subject.backend, &found.backend),
            ("is called by its backend", subject.original, &found.original),
        ] {
            if let Some(said) = said.filter(|said| said != known) {
                bail!("`{}` {what} `{}`, and not `{said}`", shown(subject.name), shown(known));
            }
        }
        let lacks = if found.explanation.as_ref().is_some_and(|found| found.lacks_tool) {
            Some("the policies read arguments, and what the tool takes is not known")
        } else if self.depends_on_hints(principal, subject, found)? {
            Some("the policies read what the tool says of itself, and that is not known")
        } else {
            None
        };
        Ok(Answer { tried, lacks })
    }

    fn tried(
        &self,
        principal: &Arc<Principal>,
        subject: &Subject<'_>,
    ) -> anyhow::Result<Result<Tried, Nowhere>> {
        let Subject { kind, name, action, context, .. } = *subject;
        let attempt = Attempt { kind, name, action, context };
        let (spec, policies, toolbox) = match self {
            Self::Servers(surveyed) => return Ok(surveyed.attempt(principal, &attempt)),
            Self::Supposed { spec, policies, toolbox } => (spec, policies, toolbox),
        };
        let listed = toolbox.as_ref().and_then(|toolbox| toolbox.tool(name));
        let supposed = Supposed {
            kind,
            name,
            backend: subject.backend,
            original: subject.original,
            listed,
            annotations: subject.annotations,
            tags: subject.tags,
        };
        // What the list does not have is not there, whatever else is said of it.
        let toolbox = toolbox.as_ref().filter(|_| kind == ItemKind::Tool && listed.is_none());
        let unknown = |toolbox: &Toolbox| {
            let near = nearest(name, toolbox.names()).map(str::to_owned);
            Nowhere::Unknown { near: near.into_iter().collect(), instead: None }
        };
        Ok(match (Surveyed::supposing(spec, policies, &supposed), toolbox) {
            (Ok(surveyed), Some(toolbox)) => match surveyed.attempt(principal, &attempt) {
                Err(Nowhere::Hidden) => Err(Nowhere::Hidden),
                _ => Err(unknown(toolbox)),
            },
            (Ok(surveyed), None) => surveyed.attempt(principal, &attempt),
            (Err(Unplaced::Unclear(_)), Some(toolbox)) => Err(unknown(toolbox)),
            (Err(error @ Unplaced::Unclear(_)), None) => {
                bail!("{error}: name the backend, or ask the servers with --connect")
            }
            (Err(error), _) => return Err(error.into()),
        })
    }

    /// Whether the answer would be another one if the tool said something of itself. It is tried with everything that
    /// it could say.
    fn depends_on_hints(
        &self,
        principal: &Arc<Principal>,
        subject: &Subject<'_>,
        found: &Tried,
    ) -> anyhow::Result<bool> {
        let undescribed = subject.kind == ItemKind::Tool && subject.annotations.is_none();
        if !undescribed || !matches!(self, Self::Supposed { toolbox: None, .. }) {
            return Ok(false);
        }
        for bits in 0..1 << HINTS.len() {
            let hint = |(at, name): (usize, &&str)| ((*name).to_owned(), Value::Bool(bits >> at & 1 == 1));
            let annotations: Map<String, Value> = HINTS.iter().enumerate().map(hint).collect();
            let other = self.tried(principal, &Subject { annotations: Some(&annotations), ..*subject })?;
            let same = |other: &Tried| {
                other.visible == found.visible && other.decided.is_ok() == found.decided.is_ok()
            };
            if !other.as_ref().is_ok_and(same) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// What a tool may say of itself.
const HINTS: [&str; 4] = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];

/// Why a call leads to nothing, in words.
pub(crate) fn nowhere(kind: &str, name: &str, nowhere: &Nowhere) -> String {
    let name = shown(name);
    match nowhere {
        Nowhere::Unknown { near, instead } => {
            let near: Vec<String> = near.iter().map(|near| format!("`{}`", shown(near))).collect();
            let advice = match (near.as_slice(), instead) {
                (_, Some(instead)) => format!(", but a {instead} of this name"),
                ([], None) => String::new(),
                (near, None) => format!("; did you mean {}?", near.join(" or ")),
            };
            format!("there is no {kind} `{name}`{advice}")
        }
        Nowhere::Hidden => {
            format!("a filter or an override of the endpoint hides the {kind} `{name}` from everybody")
        }
        Nowhere::Ambiguous(backends) => {
            let backends = backends.join(" and ");
            format!("{backends} offer a {kind} `{name}`, so that the name leads to neither; see `conflicts`")
        }
        Nowhere::Meaningless => {
            format!(
                "no list has `{name}`, and its URI has no normal form, so that nobody can say what it means"
            )
        }
    }
}
