//! Who may use what of the endpoints, over what their backends offer right now, or what is supposed of them.

use super::asked::Asked;
use crate::catalog::{self, Catalog, List, Stock};
use crate::decision::{self, Wanted};
use crate::error::GatewayError;
use crate::lead::Lead;
use std::sync::Arc;
use weir_config::{Config, Conflicts, Endpoint};
use weir_policies::{Action, ItemKind, Mentions, Policies, PolicyProblem, Principal};
use weir_runtime::Guardian;

/// An endpoint as it would run.
#[derive(Debug)]
pub struct Surveyed {
    pub(super) spec: Endpoint,
    pub(super) policies: Arc<Policies>,
    pub(super) catalog: Catalog,
    pub(super) stocks: Vec<Stock>,
    /// Its backends were asked; what they do not list is not listed.
    pub(super) asked: bool,
    /// What is odd about its policies in the light of the tools.
    pub odd: Vec<PolicyProblem>,
    /// Its backends that gave no answer, by their name, each with the reason.
    pub silent: Vec<(String, String)>,
}

/// Something that an endpoint offers, or would give to whoever asks for it by this name.
#[derive(Debug, Clone, Copy)]
pub struct Offered<'a> {
    pub(super) lead: Lead<'a>,
    name: &'a str,
    backend: &'a str,
}

/// Whether somebody may use something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leave {
    /// Never.
    No,
    /// Under some circumstances, or with some arguments.
    Sometimes,
    /// In every call.
    Yes,
}

/// Starts and connects every backend as a gateway would, asks each once for its lists, stops them all, and builds each
/// endpoint's catalog. Must not be called within a tokio runtime.
///
/// # Errors
/// The system refuses threads, or the policies of an endpoint cannot be used.
pub fn survey(config: &Config, guardian: &Guardian) -> Result<Vec<Surveyed>, GatewayError> {
    let asked = Asked::every(config, guardian)?;
    let survey = |spec: &Endpoint| {
        let policies = Arc::new(decision::policies(spec)?);
        let mut surveyed = Surveyed::over(spec, policies, asked.stocks(config, spec))?;
        surveyed.asked = true;
        surveyed.odd = decision::teach(spec, &surveyed.policies, &surveyed.catalog);
        let failure = |name: &String| Some((name.clone(), asked.failure(config, name)?));
        surveyed.silent = spec.backends.iter().filter_map(failure).collect();
        Ok(surveyed)
    };
    config.endpoints.iter().map(survey).collect()
}

impl Surveyed {
    /// An endpoint over backends that offer this.
    pub(super) fn over(
        spec: &Endpoint,
        policies: Arc<Policies>,
        stocks: Vec<Stock>,
    ) -> Result<Self, GatewayError> {
        let catalog = catalog(spec, &stocks)?;
        let (odd, silent) = (Vec::new(), Vec::new());
        Ok(Self { spec: spec.clone(), policies, catalog, stocks, asked: false, odd, silent })
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
                let lead = match list {
                    List::Tools => Lead::Tool(entry),
                    List::Prompts => Lead::Prompt(entry),
                    List::Resources => Lead::Resource(entry),
                    List::Templates => Lead::Template(entry),
                };
                self.offered(lead, &entry.exposed)
            })
        })
    }

    pub(super) fn offered<'a>(&'a self, lead: Lead<'a>, written: &'a str) -> Offered<'a> {
        let backend = self.spec.backends.get(lead.owner()).map_or("", String::as_str);
        let name = match lead {
            Lead::Tool(entry) | Lead::Prompt(entry) | Lead::Resource(entry) | Lead::Template(entry) => {
                &entry.exposed
            }
            Lead::Unlisted(_) => written,
        };
        Offered { lead, name, backend }
    }

    /// What is asked of policies where somebody wants to do something with it.
    pub(super) fn wanted<'a>(
        &'a self,
        action: Action,
        lead: Lead<'a>,
        written: &'a str,
        sent: Option<&'a str>,
    ) -> Wanted<'a> {
        Wanted {
            spec: &self.spec,
            policies: &self.policies,
            catalog: &self.catalog,
            action,
            lead,
            written,
            sent,
        }
    }

    /// Whether lists show it to a caller. What no list has counts as if one had it.
    pub fn shows(&self, principal: &Arc<Principal>, offered: &Offered<'_>) -> bool {
        let wanted = self.wanted(offered.usual(), offered.lead, offered.name, None);
        let may = wanted.ask(|item, _| self.policies.may(principal, wanted.action, item));
        may.unwrap_or_default()
    }

    /// Whether a caller may use it.
    pub fn leave(&self, principal: &Arc<Principal>, offered: &Offered<'_>) -> Leave {
        if !self.shows(principal, offered) {
            return Leave::No;
        }
        // Which of its resources is not said.
        if let Lead::Template(_) = offered.lead {
            return Leave::Sometimes;
        }
        let wanted = self.wanted(offered.usual(), offered.lead, offered.name, None);
        let always = wanted.ask(|item, _| self.policies.always(principal, wanted.action, item));
        if always.unwrap_or_default() { Leave::Yes } else { Leave::Sometimes }
    }
}

/// The catalog of an endpoint. Conflicts that keep it from being served are told by `weir check --connect`.
pub(super) fn catalog(spec: &Endpoint, stocks: &[Stock]) -> Result<Catalog, GatewayError> {
    let built = catalog::build(spec, stocks, 0).or_else(|_| {
        let lenient = Endpoint { conflicts: Conflicts::None, ..spec.clone() };
        catalog::build(&lenient, stocks, 0)
    });
    let (catalog, _) = built.map_err(|conflicts| GatewayError::Conflicts {
        endpoint: spec.name.clone(),
        conflicts: conflicts.iter().map(ToString::to_string).collect(),
    })?;
    Ok(catalog)
}

impl Offered<'_> {
    /// What it is: `tool`, `prompt`, `resource` or `template`.
    pub fn kind(&self) -> &'static str {
        match self.lead {
            Lead::Tool(_) => "tool",
            Lead::Prompt(_) => "prompt",
            Lead::Resource(_) | Lead::Unlisted(_) => "resource",
            Lead::Template(_) => "template",
        }
    }

    /// The name, URI or URI template that clients see.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The configured name of its backend.
    pub fn backend(&self) -> &str {
        self.backend
    }

    /// What is done with it usually, and decides whether it is shown.
    fn usual(&self) -> Action {
        usual(match self.lead {
            Lead::Tool(_) => ItemKind::Tool,
            Lead::Prompt(_) => ItemKind::Prompt,
            Lead::Resource(_) | Lead::Unlisted(_) | Lead::Template(_) => ItemKind::Resource,
        })
    }
}

/// What is usually done with an item of a kind.
pub(super) fn usual(kind: ItemKind) -> Action {
    match kind {
        ItemKind::Tool => Action::CallTool,
        ItemKind::Prompt => Action::GetPrompt,
        ItemKind::Resource => Action::ReadResource,
    }
}
