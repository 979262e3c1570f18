//! What policies decide about: items of the catalog, and under which circumstances somebody wants them.
//!
//! Whatever spelling led to an item, it is judged by one name: that of its entry. A resource that nobody lists is judged by
//! the normal form of its URI, and where it has none, by nobody: it does not exist then.

use crate::catalog::{Catalog, Entry, List};
use crate::endpoint::Endpoint;
use crate::error::GatewayError;
use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use weir_config::Endpoint as Spec;
use weir_policies::{
    Action, Context, Denied, Item, ItemKind, Permit, Policies, PolicyProblem, Principal, Tool,
};
use weir_protocol::Era;

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
    /// As policies see them now, with the text of a call's `arguments`.
    pub(crate) fn context<'a>(&self, arguments: Option<&'a str>) -> Context<'a> {
        let Self { era, address, retry } = *self;
        Context { arguments, address, era, time: SystemTime::now(), retry }
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
pub(crate) fn could_use(endpoint: &Endpoint, owner: usize, person: &Principal) -> bool {
    let (spec, policies, catalog) = (&endpoint.spec, &endpoint.policies, endpoint.catalog());
    let mut knows = false;
    for list in List::ALL {
        for entry in catalog.shelf(list).entries.iter().filter(|entry| entry.backend == owner) {
            knows = true;
            if uses(spec, &catalog, (list, entry), |action, item| {
                policies.may_with_some_token(person, action, item)
            }) {
                return true;
            }
        }
    }
    !knows && policies.may_something(person, self::owner(spec, owner))
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

/// What somebody wants, under which circumstances, in a catalog.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) catalog: &'a Catalog,
    pub(crate) principal: &'a Arc<Principal>,
    pub(crate) circumstances: Circumstances,
}

impl Wanted<'_> {
    /// Decides about a tool or a prompt with the arguments that the client `sent`.
    pub(crate) fn named(
        &self,
        action: Action,
        kind: ItemKind,
        entry: &Entry,
        sent: Option<&str>,
    ) -> Result<Permit, Denied> {
        let item = item(&self.endpoint.spec, kind, entry);
        // A completion has no arguments of its own, whatever stands where a call's would.
        if action == Action::Complete {
            return self.decide(action, &item, None);
        }
        let sent = sent.filter(|sent| *sent != "null");
        let parameters = entry.parameters.as_ref().filter(|_| !self.endpoint.policies.are_open());
        match parameters.map(|parameters| parameters.judged(sent)) {
            None | Some(Ok(None)) => self.decide(action, &item, sent),
            Some(Ok(Some(judged))) => self.decide(action, &item, Some(&String::from_utf8_lossy(&judged))),
            // They are refused as soon as the caller may know what of; until then nothing depends on them.
            Some(Err(_)) => self.endpoint.policies.permit_again(self.principal, action, &item),
        }
    }

    /// Decides about a resource of the backend at `owner`, by the URI that the backend knows.
    pub(crate) fn resource(
        &self,
        action: Action,
        sent: Option<&str>,
        owner: usize,
        original: &str,
    ) -> Result<Permit, Denied> {
        if self.endpoint.policies.are_open() {
            let backend = self::owner(&self.endpoint.spec, owner);
            let item = Item::of(ItemKind::Resource, original, original, backend);
            return self.decide(action, &item, sent);
        }
        let identity = self.catalog.identity(owner, original).ok_or_else(Denied::default)?;
        self.decide(action, &identity.item(&self.endpoint.spec), sent)
    }

    /// Decides about a template of resources.
    pub(crate) fn template(&self, action: Action, entry: &Entry) -> Result<Permit, Denied> {
        self.decide(action, &template(&self.endpoint.spec, &self.catalog.identity_of(entry)), None)
    }

    fn decide(&self, action: Action, item: &Item<'_>, sent: Option<&str>) -> Result<Permit, Denied> {
        let policies = &self.endpoint.policies;
        let context = self.circumstances.context(sent);
        let decided = policies.permit(self.principal, action, item, &context).and_then(|permit| {
            // What is completed has to be seen as well.
            let seen = match (action, item.kind) {
                (Action::Complete, ItemKind::Prompt) => policies.may(self.principal, Action::GetPrompt, item),
                (Action::Complete, _) => policies.may(self.principal, Action::ReadResource, item),
                _ => true,
            };
            if seen { Ok(permit) } else { Err(Denied::default()) }
        });
        decided.inspect_err(|denied| {
            let (endpoint, item, by) = (&self.endpoint.spec.name, item.name, &denied.by);
            let subject = self.principal.subject();
            tracing::debug!(endpoint, action = action.name(), ?item, ?subject, ?by, "denied");
        })
    }
}
