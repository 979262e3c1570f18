//! What would come of a call: it is found and decided as the gateway would do it, and goes nowhere.

use super::access::{Offered, Surveyed, catalog, usual};
use crate::catalog::{Found, List};
use crate::error::GatewayError;
use crate::lead::Lead;
use std::sync::Arc;
use weir_config::{Conflicts, Endpoint, Filter, Override, nearest};
use weir_policies::{Action, Context, Denied, Explanation, ItemKind, Principal};

/// Most names that are offered in place of one that is not there.
const MOST_NEAR: usize = 5;

/// A call that is tried out.
#[derive(Debug, Clone, Copy)]
pub struct Attempt<'a> {
    /// What it is about.
    pub kind: ItemKind,
    /// Its name or URI, as a client writes it.
    pub name: &'a str,
    /// What is done with it; `None`: what is usual.
    pub action: Option<Action>,
    /// Under which circumstances, with the arguments that the client sends.
    pub context: Context<'a>,
}

/// What would come of a call.
#[derive(Debug)]
pub struct Tried {
    /// What was found: `tool`, `prompt`, `resource` or `template`.
    pub kind: &'static str,
    /// The name, URI or URI template that clients see.
    pub name: String,
    /// The configured name of its backend.
    pub backend: String,
    /// What its backend calls it.
    pub original: String,
    /// Whether it is allowed.
    pub decided: Result<(), Denied>,
    /// Why its arguments are refused, whatever policies say of them.
    pub refused: Option<String>,
    /// What is to be completed is not seen by the caller, so that it is denied although `complete` is allowed.
    pub unseen: bool,
    /// Whether lists show the item; where nobody was asked for lists, whether they would.
    pub visible: bool,
    /// Servers were asked, and none lists it: a template or its scheme leads there.
    pub unlisted: bool,
    /// Why; `None` where no policies are configured or where they were not asked.
    pub explanation: Option<Explanation>,
}

/// A call leads to nothing, whoever makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nowhere {
    /// There is nothing of this name.
    Unknown {
        /// Names that may be meant.
        near: Vec<String>,
        /// It is something else: a tool and not a prompt, for example.
        instead: Option<&'static str>,
    },
    /// A filter or an override hides it.
    Hidden,
    /// Several backends offer it, and the endpoint does not say which one is meant.
    Ambiguous(Vec<String>),
    /// A URI that has no normal form and that nobody lists: nobody can say what it means.
    Meaningless,
}

impl Surveyed {
    /// What would come of a call.
    ///
    /// # Errors
    /// It leads to nothing.
    pub fn attempt(&self, principal: &Arc<Principal>, attempt: &Attempt<'_>) -> Result<Tried, Nowhere> {
        let Attempt { kind, name, context, .. } = *attempt;
        let action = attempt.action.unwrap_or(usual(kind));
        let lead = self.lead(kind, action, name).map_err(|found| self.nowhere(kind, name, &found))?;
        let wanted = self.wanted(action, lead, name, context.arguments);
        let explained = wanted.ask(|item, arguments| {
            let context = Context { arguments: arguments.ok()?, ..context };
            self.policies.explain(principal, action, item, &context)
        });
        let explanation = explained.ok_or(Nowhere::Meaningless)?;
        let decided = wanted.permit(principal, context).map(drop);
        let entry = lead.named().filter(|_| action != Action::Complete);
        let parameters = entry.and_then(|entry| entry.parameters.as_ref());
        let refused = parameters.and_then(|parameters| parameters.apply(context.arguments).err());
        let refused = refused.map(|error| error.to_string());
        let unseen = decided.is_err() && explanation.as_ref().is_some_and(|found| found.allowed);
        // The template itself, where it is written like a resource.
        let shown = match (lead, self.catalog.template(name)) {
            (Lead::Unlisted(_), Found::Entry(entry)) => Lead::Template(entry),
            _ => lead,
        };
        let offered = self.offered(shown, name);
        let unlisted = self.asked && matches!(shown, Lead::Unlisted(_));
        let visible = !unlisted && self.shows(principal, &offered);
        Ok(Tried {
            unlisted,
            kind: offered.kind(),
            name: offered.name().to_owned(),
            backend: offered.backend().to_owned(),
            original: lead.original(&self.catalog, name).to_owned(),
            decided,
            refused,
            unseen,
            visible,
            explanation,
        })
    }

    /// The tool, prompt, resource or template that a client means who writes `name`, whichever of its spellings that is.
    ///
    /// # Errors
    /// There is nothing.
    pub fn find<'a>(&'a self, kind: ItemKind, name: &'a str) -> Result<Offered<'a>, Nowhere> {
        // A template is not read, but it is shown.
        let lead = match (kind, self.catalog.template(name)) {
            (ItemKind::Resource, Found::Entry(entry)) => Ok(Lead::Template(entry)),
            _ => self.lead(kind, usual(kind), name),
        };
        let lead = lead.map_err(|found| self.nowhere(kind, name, &found))?;
        let meant = self.wanted(usual(kind), lead, name, None).ask(|_, _| ());
        meant.map(|()| self.offered(lead, name)).ok_or(Nowhere::Meaningless)
    }

    fn lead<'a>(&'a self, kind: ItemKind, action: Action, name: &str) -> Result<Lead<'a>, Found<'a>> {
        match (kind, action) {
            (ItemKind::Tool, _) => Lead::tool(&self.catalog, name),
            (ItemKind::Prompt, _) => Lead::prompt(&self.catalog, name),
            (ItemKind::Resource, Action::Complete) => Lead::completed(&self.catalog, name),
            (ItemKind::Resource, _) => Lead::resource(&self.catalog, name),
        }
    }

    /// Why a name leads to nothing.
    fn nowhere(&self, kind: ItemKind, name: &str, found: &Found<'_>) -> Nowhere {
        if let Found::Ambiguous(backends) = found {
            return Nowhere::Ambiguous(backends.to_vec());
        }
        let open = self.unfiltered().ok();
        if let Some((open, Ok(lead))) =
            open.as_ref().map(|open| (open, open.lead(kind, Action::Complete, name)))
        {
            let meant = open.wanted(Action::Complete, lead, name, None).ask(|_, _| ());
            return if meant.is_some() { Nowhere::Hidden } else { Nowhere::Meaningless };
        }
        let lists: &[List] = match kind {
            ItemKind::Tool => &[List::Tools],
            ItemKind::Prompt => &[List::Prompts],
            ItemKind::Resource => &[List::Resources, List::Templates],
        };
        let entries = || lists.iter().flat_map(|list| &self.catalog.shelf(*list).entries);
        let own = entries().filter(|entry| *entry.original == *name);
        let mut near: Vec<String> = own.map(|entry| entry.exposed.to_string()).collect();
        if near.is_empty() {
            near.extend(nearest(name, entries().map(|entry| &*entry.exposed)).map(str::to_owned));
        }
        if near.is_empty() {
            let meant = nearest(name, entries().map(|entry| &*entry.original));
            let meant = entries().filter(|entry| Some(&*entry.original) == meant);
            near.extend(meant.map(|entry| entry.exposed.to_string()));
        }
        if near.is_empty() && !self.asked {
            // What is supposed is what is meant; clients only see it by another name.
            near.extend(entries().map(|entry| entry.exposed.to_string()));
        }
        near.truncate(MOST_NEAR);
        let others = [(ItemKind::Tool, "tool"), (ItemKind::Prompt, "prompt")];
        let other = others
            .into_iter()
            .find(|(other, _)| *other != kind && self.lead(*other, usual(*other), name).is_ok());
        Nowhere::Unknown { near, instead: other.map(|(_, word)| word) }
    }

    /// The endpoint as it would be if nothing were hidden.
    fn unfiltered(&self) -> Result<Self, GatewayError> {
        let mut spec = Endpoint {
            tools: Filter::default(),
            prompts: Filter::default(),
            resources: Filter::default(),
            ..self.spec.clone()
        };
        let overrides = [&mut spec.tool_overrides, &mut spec.prompt_overrides];
        let overrides = overrides.into_iter().flat_map(|backends| backends.values_mut());
        let shown = |change: &mut Override| change.hide = false;
        overrides.flat_map(|changes| changes.values_mut()).for_each(shown);
        if spec.conflicts == Conflicts::Manual {
            spec.conflicts = Conflicts::None;
        }
        let catalog = catalog(&spec, &self.stocks)?;
        Ok(Self {
            spec,
            catalog,
            policies: self.policies.clone(),
            stocks: Vec::new(),
            asked: self.asked,
            odd: Vec::new(),
            silent: Vec::new(),
        })
    }
}
