//! What policies decide about: items of the catalog, and under which circumstances somebody wants them.
//!
//! Whatever spelling led to an item, it is judged by one name: that of its entry. A resource that nobody lists is judged by
//! the normal form of its URI, and where it has none, by nobody: it does not exist then.

use crate::catalog::{Catalog, Entry, List};
use crate::endpoint::Endpoint;
use crate::error::GatewayError;
use crate::lead::Lead;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use weir_config::Endpoint as Spec;
use weir_policies::{
    Action, Context, Denied, Item, ItemKind, Permit, Policies, PolicyProblem, Principal, Tool,
};
use weir_protocol::Era;
use weir_protocol::parameters::ArgumentsError;

/// Under which circumstances a request is made, as far as policies ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Circumstances {
    /// The client's era.
    pub(crate) era: Era,
    /// Where the client connects from.
    pub(crate) address: Option<IpAddr>,
    /// Whether it brings what was asked for.
    pub(crate) retry: bool,
}

impl Circumstances {
    /// As policies see them now.
    pub(crate) fn context(&self) -> Context<'static> {
        let Self { era, address, retry } = *self;
        Context { arguments: None, address, era, time: SystemTime::now(), retry }
    }
}

/// A resource as policies know it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity<'a> {
    /// The URI as clients see it.
    pub(crate) name: Cow<'a, str>,
    /// The URI that its backend knows, as it is written.
    pub(crate) original: &'a str,
    /// The same in its normal form, where it has one.
    pub(crate) uri: Cow<'a, str>,
    /// The index of its backend.
    pub(crate) backend: usize,
}

impl Identity<'_> {
    /// What is decided about.
    pub(crate) fn item<'a>(&'a self, spec: &'a Spec) -> Item<'a> {
        let item = Item::of(ItemKind::Resource, &self.name, self.original, owner(spec, self.backend));
        Item { uri: Some(&self.uri), ..item }
    }
}

fn owner(spec: &Spec, backend: usize) -> &str {
    spec.backends.get(backend).map_or("", String::as_str)
}

/// A tool or a prompt.
pub(crate) fn item<'a>(spec: &'a Spec, kind: ItemKind, entry: &'a Entry) -> Item<'a> {
    let item = Item::of(kind, &entry.exposed, &entry.original, owner(spec, entry.backend));
    Item { hints: entry.hints, tags: &entry.tags, ..item }
}

/// A template of resources, as what its identity is: policies know its URI in the form in which they know those of resources.
fn template<'a>(spec: &'a Spec, identity: &'a Identity<'a>) -> Item<'a> {
    Item { template: true, ..identity.item(spec) }
}

/// Whether a list shows an entry to a caller: whether it could be used under some circumstances.
pub(crate) fn sees(
    spec: &Spec,
    policies: &Policies,
    catalog: &Catalog,
    (list, entry): (List, &Entry),
    principal: &Principal,
) -> bool {
    uses(spec, catalog, (list, entry), |action, item| policies.may(principal, action, item))
}

/// Whether a person who logged in, of whose tokens nothing is known, could use something of the backend at `owner`.
pub(crate) fn could_use(endpoint: &Endpoint, catalog: &Catalog, owner: usize, person: &Principal) -> bool {
    let (spec, policies) = (&endpoint.spec, &endpoint.policies);
    let may = |action, item: &Item<'_>| policies.may_with_some_token(person, action, item);
    let something = |kind| policies.may_something(person, kind, self::owner(spec, owner));
    List::ALL.into_iter().any(|list| {
        let mut own = catalog.shelf(list).entries.iter().filter(|entry| entry.backend == owner).peekable();
        let unknown = own.peek().is_none();
        own.any(|entry| uses(spec, catalog, (list, entry), may))
            || match list {
                List::Tools => unknown && something(ItemKind::Tool),
                List::Prompts => unknown && something(ItemKind::Prompt),
                // Others than those that are listed may be read.
                List::Resources => something(ItemKind::Resource),
                List::Templates => false,
            }
    })
}

/// Whether an entry may be used as its list is for.
fn uses(
    spec: &Spec,
    catalog: &Catalog,
    (list, entry): (List, &Entry),
    may: impl Fn(Action, &Item<'_>) -> bool,
) -> bool {
    match list {
        List::Tools => may(Action::CallTool, &item(spec, ItemKind::Tool, entry)),
        List::Prompts => may(Action::GetPrompt, &item(spec, ItemKind::Prompt, entry)),
        List::Resources => may(Action::ReadResource, &catalog.identity_of(entry).item(spec)),
        List::Templates => may(Action::ReadResource, &template(spec, &catalog.identity_of(entry))),
    }
}

/// What callers may do at an endpoint.
pub(crate) fn policies(spec: &Spec) -> Result<Policies, GatewayError> {
    let Some(policies) = &spec.policies else {
        if spec.auth.is_anonymous() {
            return Ok(Policies::anonymous());
        }
        tracing::warn!(
            endpoint = spec.name,
            "callers are asked who they are, and without policies may do nothing"
        );
        return Ok(Policies::nobody());
    };
    let policies = Policies::new(policies, &spec.name, &[]).map_err(|problems| GatewayError::Policies {
        endpoint: spec.name.clone(),
        problems: problems.iter().map(ToString::to_string).collect(),
    })?;
    for problem in policies.warnings() {
        tracing::warn!(endpoint = spec.name, %problem, "a policy is odd");
    }
    Ok(policies)
}

/// Tells policies of the tools of `catalog`, whose arguments they may read. Answers what is odd about the two together.
pub(crate) fn teach(spec: &Spec, policies: &Policies, catalog: &Catalog) -> Vec<PolicyProblem> {
    let entries = catalog.shelf(List::Tools).entries.iter();
    let read: Vec<(&Entry, weir_protocol::item::Item)> = entries
        .filter_map(|entry| Some((entry, weir_protocol::item::Item::parse(entry.rendered.clone()).ok()?)))
        .collect();
    let tools = read.iter().map(|(entry, item)| Tool {
        name: &entry.exposed,
        backend: owner(spec, entry.backend),
        input_schema: item.input_schema().unwrap_or("{}"),
    });
    policies.learn(&tools.collect::<Vec<_>>())
}

/// Decides one call, here and where calls are only tried out: policies permit it, and what is completed is seen as well.
pub(crate) fn decide(
    policies: &Policies,
    principal: &Arc<Principal>,
    action: Action,
    item: &Item<'_>,
    context: &Context<'_>,
) -> Result<Permit, Denied> {
    let decided = policies.permit(principal, action, item, context);
    let seen = match (action, item.kind) {
        (Action::Complete, ItemKind::Prompt) => policies.may(principal, Action::GetPrompt, item),
        (Action::Complete, _) => policies.may(principal, Action::ReadResource, item),
        _ => true,
    };
    match decided {
        Ok(_) if !seen => Err(Denied::default()),
        // With more scopes it would not be seen either, and asking for them would tell that it is there.
        Err(denied) if !seen => Err(Denied { missing_scopes: Vec::new(), ..denied }),
        decided => decided,
    }
}

/// What somebody wants in a catalog, and what policies are asked about it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) spec: &'a Spec,
    pub(crate) policies: &'a Policies,
    pub(crate) catalog: &'a Catalog,
    pub(crate) action: Action,
    /// Where the request leads.
    pub(crate) lead: Lead<'a>,
    /// The name or URI that the client wrote.
    pub(crate) written: &'a str,
    /// The arguments that the client sent.
    pub(crate) sent: Option<&'a str>,
}

impl Wanted<'_> {
    /// Decides about it, in a context of which all but the arguments counts.
    pub(crate) fn permit(&self, principal: &Arc<Principal>, context: Context<'_>) -> Result<Permit, Denied> {
        let decided = self.ask(|item, arguments| match arguments {
            Ok(arguments) => {
                let context = Context { arguments, ..context };
                let decided = decide(self.policies, principal, self.action, item, &context);
                decided.inspect_err(|denied| {
                    let (endpoint, action, item, by) =
                        (&self.spec.name, self.action.name(), item.name, &denied.by);
                    let subject = principal.subject();
                    tracing::debug!(endpoint, action, ?item, ?subject, ?by, "denied");
                })
            }
            // They are refused as soon as the caller may know what of; until then nothing depends on them.
            Err(_) => self.policies.permit_again(principal, self.action, item, &context),
        });
        decided.unwrap_or_else(|| Err(Denied::default()))
    }

    /// Says to `judge` about which item policies are asked, and with which arguments; an error where these are refused
    /// whatever policies say. `None` where nobody can say what is meant, so that it does not exist.
    pub(crate) fn ask<T>(
        &self,
        judge: impl FnOnce(&Item<'_>, Result<Option<&str>, ArgumentsError>) -> T,
    ) -> Option<T> {
        let (kind, entry) = match self.lead {
            Lead::Tool(entry) => (ItemKind::Tool, entry),
            Lead::Prompt(entry) => (ItemKind::Prompt, entry),
            Lead::Resource(_) | Lead::Unlisted(_) => {
                let (owner, original) = (self.lead.owner(), self.lead.original(self.catalog, self.written));
                return self.resource(owner, original, |item| judge(item, Ok(self.sent)));
            }
            Lead::Template(entry) => {
                let identity = self.catalog.identity_of(entry);
                return Some(judge(&template(self.spec, &identity), Ok(None)));
            }
        };
        let item = item(self.spec, kind, entry);
        // A completion has no arguments of its own, whatever stands where a call's would.
        if self.action == Action::Complete {
            return Some(judge(&item, Ok(None)));
        }
        let sent = self.sent.filter(|sent| *sent != "null");
        let parameters = entry.parameters.as_ref().filter(|_| !self.policies.are_open());
        Some(match parameters.map(|parameters| parameters.judged(sent)) {
            None | Some(Ok(None)) => judge(&item, Ok(sent)),
            Some(Ok(Some(judged))) => judge(&item, Ok(Some(&String::from_utf8_lossy(&judged)))),
            Some(Err(refused)) => judge(&item, Err(refused)),
        })
    }

    /// A resource of the backend at `owner`, by the URI that the backend knows.
    fn resource<T>(&self, owner: usize, original: &str, judge: impl FnOnce(&Item<'_>) -> T) -> Option<T> {
        if self.policies.are_open() {
            let backend = self::owner(self.spec, owner);
            return Some(judge(&Item::of(ItemKind::Resource, original, original, backend)));
        }
        let identity = self.catalog.identity(owner, original)?;
        Some(judge(&identity.item(self.spec)))
    }
}

#[cfg(test)]
mod tests;
