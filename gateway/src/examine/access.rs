//! Who may use what of the endpoints, over what their backends offer right now.

use super::asked::Asked;
use crate::catalog::{self, Catalog, Entry, List};
use crate::decision;
use crate::error::GatewayError;
use std::sync::Arc;
use weir_config::{Config, Conflicts, Endpoint};
use weir_policies::{Action, Context, Item, ItemKind, Mentions, Policies, Principal};
use weir_protocol::Era;
use weir_runtime::Guardian;

/// An endpoint as it would run.
#[derive(Debug)]
pub struct Surveyed {
    spec: Endpoint,
    policies: Policies,
    catalog: Catalog,
    /// Its backends that gave no answer, by their name, each with the reason.
    pub silent: Vec<(String, String)>,
}

/// Something that an endpoint offers.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    list: List,
    entry: &'a Entry,
    backend: &'a str,
}

/// Whether somebody may use something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leave {
    /// Never.
    No,
    /// Under some circumstances, or with some arguments.
    Sometimes,
    /// In a call of which nothing else is known.
    Yes,
}

/// Starts and connects every backend as a gateway would, asks each once for its lists, stops them all, and builds each
/// endpoint's catalog. Must not be called within a tokio runtime.
///
/// # Errors
/// The system refuses threads, or the policies of an endpoint cannot be used.
pub fn survey(config: &Config, guardian: &Guardian) -> Result<Vec<Surveyed>, GatewayError> {
    let asked = Asked::every(config, guardian)?;
    config.endpoints.iter().map(|spec| Surveyed::new(config, spec, &asked)).collect()
}

impl Surveyed {
    fn new(config: &Config, spec: &Endpoint, asked: &Asked) -> Result<Self, GatewayError> {
        let stocks = asked.stocks(config, spec);
        let built = catalog::build(spec, &stocks, 0).or_else(|_| {
            // Conflicts are told by `weir check --connect`.
            let lenient = Endpoint { conflicts: Conflicts::None, ..spec.clone() };
            catalog::build(&lenient, &stocks, 0)
        });
        let (catalog, _) = built.map_err(|conflicts| GatewayError::Conflicts {
            endpoint: spec.name.clone(),
            conflicts: conflicts.iter().map(ToString::to_string).collect(),
        })?;
        let policies = decision::policies(spec)?;
        decision::teach(spec, &policies, &catalog);
        let silent =
            spec.backends.iter().filter_map(|name| Some((name.clone(), asked.failure(config, name)?)));
        Ok(Self { spec: spec.clone(), policies, silent: silent.collect(), catalog })
    }

    /// The endpoint's configured name.
    pub fn name(&self) -> &str {
        &self.spec.name
    }

    /// Whether callers have to show who they are.
    pub fn asks(&self) -> bool {
        !self.spec.auth.is_anonymous()
    }

    /// Whom the policies speak of.
    pub fn mentions(&self) -> Mentions {
        self.policies.mentions()
    }

    /// Everything that it offers.
    pub fn offers(&self) -> impl Iterator<Item = Offered<'_>> {
        List::ALL.into_iter().flat_map(move |list| {
            let entries = self.catalog.shelf(list).entries.iter();
            entries.map(move |entry| {
                let backend = self.spec.backends.get(entry.backend).map_or("", String::as_str);
                Offered { list, entry, backend }
            })
        })
    }

    /// Whether a caller may use it.
    pub fn leave(&self, principal: &Arc<Principal>, offered: &Offered<'_>) -> Leave {
        let (list, entry) = (offered.list, offered.entry);
        if !decision::sees(&self.spec, &self.policies, &self.catalog, (list, entry), principal) {
            return Leave::No;
        }
        let permitted = |action, item: &Item<'_>| {
            self.policies.permit(principal, action, item, &Context::now(Era::Modern)).is_ok()
        };
        let always = match list {
            List::Tools => permitted(Action::CallTool, &decision::item(&self.spec, ItemKind::Tool, entry)),
            List::Prompts => {
                permitted(Action::GetPrompt, &decision::item(&self.spec, ItemKind::Prompt, entry))
            }
            List::Resources => {
                permitted(Action::ReadResource, &self.catalog.identity_of(entry).item(&self.spec))
            }
            // Which of its resources is not said.
            List::Templates => false,
        };
        if always { Leave::Yes } else { Leave::Sometimes }
    }
}

impl Offered<'_> {
    /// What it is: `tool`, `prompt`, `resource` or `template`.
    pub fn kind(&self) -> &'static str {
        match self.list {
            List::Tools => "tool",
            List::Prompts => "prompt",
            List::Resources => "resource",
            List::Templates => "template",
        }
    }

    /// The name, URI or URI template that clients see.
    pub fn name(&self) -> &str {
        &self.entry.exposed
    }

    /// The configured name of its backend.
    pub fn backend(&self) -> &str {
        self.backend
    }
}
