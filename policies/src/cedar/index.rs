//! Which policies a request has to do with, by their scopes: Cedar itself looks at every policy that it is given.

use crate::{Action, Item, ItemKind};
use cedar_policy::{
    ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint,
};
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// Whom a policy is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Who {
    Anybody,
    Group(String),
    Client(String),
}

/// The scope of a policy; none at all where it fits no request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) who: Who,
    /// Which kind of item.
    kind: Option<ItemKind>,
    /// Which item, or those of which backend.
    pub(crate) what: Option<(What, String)>,
    actions: u8,
}

/// What a policy names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum What {
    Item(ItemKind),
    Backend,
}

impl Scope {
    /// That of a policy; `None` where it fits no request at this endpoint.
    pub(crate) fn of(policy: &Policy, endpoint: &str) -> Option<Self> {
        let who = match policy.principal_constraint() {
            PrincipalConstraint::Any => Who::Anybody,
            PrincipalConstraint::Is(kind) => same(&kind, "Client").then_some(Who::Anybody)?,
            PrincipalConstraint::Eq(uid) => same(uid.type_name(), "Client").then(|| Who::Client(id(&uid)))?,
            PrincipalConstraint::In(uid) => among(&uid)?,
            PrincipalConstraint::IsIn(kind, uid) => same(&kind, "Client").then(|| among(&uid))??,
        };
        let (kind, uid) = match policy.resource_constraint() {
            ResourceConstraint::Any => (None, None),
            ResourceConstraint::Is(kind) => (Some(item_kind(&kind)?), None),
            ResourceConstraint::Eq(uid) => (Some(item_kind(uid.type_name())?), Some(uid)),
            ResourceConstraint::In(uid) => (None, Some(uid)),
            ResourceConstraint::IsIn(kind, uid) => (Some(item_kind(&kind)?), Some(uid)),
        };
        let what = match uid {
            None => None,
            Some(uid) if same(uid.type_name(), "Endpoint") => (id(&uid) == endpoint).then_some(None)?,
            Some(uid) if same(uid.type_name(), "Backend") => Some((What::Backend, id(&uid))),
            Some(uid) => Some((What::Item(item_kind(uid.type_name())?), id(&uid))),
        };
        let actions = match policy.action_constraint() {
            ActionConstraint::Any => u8::MAX,
            ActionConstraint::Eq(uid) => bits(std::slice::from_ref(&uid)),
            ActionConstraint::In(uids) => bits(&uids),
        };
        (actions != 0).then_some(Self { who, kind, what, actions })
    }

    /// The same for every item of the kind that it names.
    pub(super) fn of_the_kind(self) -> Self {
        let kind = match &self.what {
            Some((What::Item(kind), _)) => Some(*kind),
            _ => self.kind,
        };
        Self { kind, what: None, ..self }
    }

    /// Whether it is about this action on this kind of item.
    pub(crate) fn fits(&self, action: Action, kind: ItemKind) -> bool {
        self.actions & bit(action) != 0 && self.kind.is_none_or(|own| own == kind)
    }

    /// Whether it is about this item of this backend.
    pub(crate) fn is_about(&self, kind: ItemKind, name: &str, backend: &str) -> bool {
        self.kind.is_none_or(|own| own == kind)
            && match &self.what {
                None => true,
                Some((What::Backend, id)) => id == backend,
                Some((What::Item(own), id)) => *own == kind && id == name,
            }
    }
}

fn same(name: &EntityTypeName, known: &str) -> bool {
    name.namespace_components().next().is_none() && name.basename() == known
}

fn id(uid: &EntityUid) -> String {
    uid.id().unescaped().to_owned()
}

fn among(uid: &EntityUid) -> Option<Who> {
    match uid.type_name() {
        kind if same(kind, "Group") => Some(Who::Group(id(uid))),
        kind if same(kind, "Client") => Some(Who::Client(id(uid))),
        _ => None,
    }
}

fn item_kind(name: &EntityTypeName) -> Option<ItemKind> {
    [ItemKind::Tool, ItemKind::Prompt, ItemKind::Resource].into_iter().find(|kind| same(name, kind.name()))
}

const fn bit(action: Action) -> u8 {
    1 << action as u8
}

fn bits(uids: &[EntityUid]) -> u8 {
    let named = |uid: &EntityUid| {
        Action::ALL
            .into_iter()
            .find(|action| same(uid.type_name(), "Action") && uid.id().unescaped() == action.name())
    };
    uids.iter().filter_map(named).fold(0, |bits, action| bits | bit(action))
}

/// What is known of an item's id.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ids<'i> {
    /// It is this.
    Is(&'i str),
    /// It begins with this.
    Begins(&'i str),
}

/// Policies, by their number, in the order in which they are added.
#[derive(Debug, Default)]
struct Shelf {
    any: Vec<u32>,
    named: HashMap<What, BTreeMap<String, Vec<u32>>>,
}

impl Shelf {
    fn add(&mut self, what: Option<&(What, String)>, number: u32) {
        match what {
            None => self.any.push(number),
            Some((what, id)) => {
                self.named.entry(*what).or_default().entry(id.clone()).or_default().push(number)
            }
        }
    }

    fn collect(&self, item: &Item<'_>, ids: Ids<'_>, into: &mut Vec<u32>) {
        into.extend_from_slice(&self.any);
        for (what, ids) in [(What::Item(item.kind), ids), (What::Backend, Ids::Is(item.backend))] {
            let Some(named) = self.named.get(&what) else { continue };
            match ids {
                Ids::Is(id) => into.extend(named.get(id).into_iter().flatten()),
                Ids::Begins(with) => {
                    let after = named.range::<str, _>((Bound::Included(with), Bound::Unbounded));
                    into.extend(
                        after.take_while(|(id, _)| id.starts_with(with)).flat_map(|(_, numbers)| numbers),
                    );
                }
            }
        }
    }
}

/// The policies by whom and what they are about.
#[derive(Debug, Default)]
pub(crate) struct Index {
    anybody: Shelf,
    groups: HashMap<String, Shelf>,
    clients: HashMap<String, Shelf>,
}

impl Index {
    /// Adds a policy.
    pub(crate) fn add(&mut self, scope: &Scope, number: u32) {
        let shelf = match &scope.who {
            Who::Anybody => &mut self.anybody,
            Who::Group(id) => self.groups.entry(id.clone()).or_default(),
            Who::Client(id) => self.clients.entry(id.clone()).or_default(),
        };
        shelf.add(scope.what.as_ref(), number);
    }

    /// The policies that are about a caller of this id in these groups, and about an item like this whose id is one of `ids`, in
    /// their order. Whether they are about the action is not asked.
    pub(crate) fn slice<'g>(
        &self,
        client: &str,
        groups: impl IntoIterator<Item = &'g str>,
        item: &Item<'_>,
        ids: Ids<'_>,
    ) -> Vec<u32> {
        let mut slice = Vec::new();
        self.anybody.collect(item, ids, &mut slice);
        self.clients.get(client).into_iter().for_each(|shelf| shelf.collect(item, ids, &mut slice));
        for group in groups {
            self.groups.get(group).into_iter().for_each(|shelf| shelf.collect(item, ids, &mut slice));
        }
        slice.sort_unstable();
        slice
    }
}
