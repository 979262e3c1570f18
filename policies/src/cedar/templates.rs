//! Whether a template of resources is shown: whether a resource that it may lead to could be read.
//!
//! Which resources these are is not known, so what a policy says of the URI is taken as what it says of the context: a
//! `permit` could hold, and a `forbid` does not have to.

use super::class::Class;
use super::decider::{Decider, Verdict};
use super::expression::{children, entities, is_variable, operand, operation, path};
use super::index::{What, Who};
use super::load::Rule;
use super::possible::without;
use crate::{Action, Item};
use cedar_policy::{Context as Circumstances, Entities, Policy, PolicySet, Request};
use serde_json::{Value, json};

/// Attributes of a resource that a template does not have.
const ITS_OWN: [&str; 4] = ["uri", "name", "original", "scheme"];

/// Whether an expression reads the context, or what resources of a template differ in.
fn reads_one(expression: &Value) -> bool {
    match path(expression) {
        Some(("context", _)) => return true,
        Some(("resource", names)) => return names.first().is_none_or(|name| ITS_OWN.contains(name)),
        _ => {}
    }
    match operation(expression) {
        // Of which kind it is and whose is known.
        Some(("is", operands)) if operands.get("in").is_none() => reads_within(operand(operands, "left")),
        Some(("in", operands)) if is_place(operand(operands, "right")) => {
            reads_within(operand(operands, "left"))
        }
        Some(("has", operands)) => reads_within(operand(operands, "left")),
        _ => children(expression).into_iter().any(reads_one),
    }
}

/// The same of something whose kind or owner is asked for.
fn reads_within(expression: &Value) -> bool {
    !is_variable(expression, "resource") && reads_one(expression)
}

fn is_place(expression: &Value) -> bool {
    entities(expression)
        .is_some_and(|named| named.iter().all(|(kind, _)| matches!(*kind, "Backend" | "Endpoint")))
}

/// What a policy says of resources that a template may lead to; `None` for one that forbids a single resource.
pub(super) fn leading(rule: &Rule) -> Option<Policy> {
    let of_one = rule.scope.as_ref().is_some_and(|scope| matches!(scope.what, Some((What::Item(_), _))));
    if of_one && !rule.permits {
        return None;
    }
    let mut json = without(&rule.policy.to_json().ok()?, reads_one);
    if of_one && let Some(members) = json.as_object_mut() {
        members.insert("resource".to_owned(), json!({ "op": "All" }));
    }
    Policy::from_json(Some(rule.policy.id().clone()), json).ok()
}

impl Decider {
    /// Whether something that the template `item` leads to could be allowed.
    pub(crate) fn may_lead(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> bool {
        let fits = |rule: &&Rule| {
            rule.scope.as_ref().is_some_and(|scope| {
                let who = match &scope.who {
                    Who::Anybody => true,
                    Who::Group(group) => class.groups.contains(&group.as_str()),
                    Who::Client(id) => class.id == *id,
                };
                let whose = match &scope.what {
                    Some((What::Backend, id)) => id == item.backend,
                    Some((What::Item(kind), _)) => *kind == item.kind,
                    None => true,
                };
                who && whose && scope.fits(action, item.kind)
            })
        };
        let policies = self.rules.iter().filter(fits).filter_map(Rule::leading).cloned();
        let Ok(set) = PolicySet::from_policies(policies) else {
            return false;
        };
        let (Ok(client), Ok(entity)) = (self.types.client(class), self.types.item(item)) else {
            return false;
        };
        let (client_uid, item_uid) = (client.uid(), entity.uid());
        let Ok(entities) = Entities::from_entities([client, entity], None) else {
            return false;
        };
        let action = self.types.action(action);
        let request = Request::new(client_uid, action, item_uid, Circumstances::empty(), None).ok();
        let mut verdict = Verdict::default();
        self.authorize(&request, &set, &entities, &mut verdict);
        self.may_hold(&verdict)
    }
}
