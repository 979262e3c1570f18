//! Persons: callers of whom is known who they are, and not with which token they will come, as somebody who logged in at a
//! browser.
//!
//! What policies say of the token (its scopes, its client) and of the context is not known. A `permit` counts where it could
//! hold, a `forbid` where it has to.

use super::class::Class;
use super::decider::Decider;
use super::expression::{attributes, children, is_variable, operand, operation, path, reads_context};
use super::index::{Scope, What};
use super::load::Rule;
use super::missing::Asked;
use super::possible::{Known, without};
use super::reads::Reads;
use super::templates::is_place;
use crate::{Action, Item, ItemKind, Principal};
use cedar_policy::{Policy, PolicyId};
use serde_json::{Value, json};

/// What is a token's own, of a caller's attributes.
const OF_TOKENS: [&str; 2] = ["scopes", "client"];

/// The policies as far as they are about persons.
#[derive(Debug)]
pub(super) struct Persons {
    /// Of items that are known.
    items: Decider,
    /// Of an item of which nothing is known but its kind and whose it is.
    something: Decider,
}

impl Persons {
    /// Those of policies; `None` where one cannot be written over, so that nobody may anything.
    pub(super) fn of(policies: &Decider) -> Option<Self> {
        let decider = |known: &dyn Fn(&Value) -> Known, anywhere: bool| {
            let mut rules = Vec::with_capacity(policies.rules.len());
            for rule in policies.rules.iter().filter(|rule| !anywhere || rule.permits || !names_an_item(rule))
            {
                rules.push(unknowing(rule, rules.len(), known, anywhere)?);
            }
            Some(Decider::new(rules, policies.claims.clone(), policies.types.clone()))
        };
        Some(Self { items: decider(&known, false)?, something: decider(&known_of_something, true)? })
    }

    /// Whether a person could do this with some token.
    pub(super) fn may(&self, person: &Principal, action: Action, item: &Item<'_>) -> bool {
        let class = self.items.class(person);
        match item.template {
            true => self.items.may_lead(&class, action, item),
            false => self.items.may(&class, action, item),
        }
    }

    /// Whether a person could use anything of this kind of a backend.
    pub(super) fn may_something(&self, person: &Principal, kind: ItemKind, backend: &str) -> bool {
        let action = match kind {
            ItemKind::Tool => Action::CallTool,
            ItemKind::Prompt => Action::GetPrompt,
            ItemKind::Resource => Action::ReadResource,
        };
        self.something.may(&self.something.class(person), action, &Item::of(kind, "", "", backend))
    }

    /// What tells persons apart. Policies about something read no more of them than those about items.
    pub(super) fn class<'p>(&'p self, person: &'p Principal) -> Class<'p> {
        self.items.class(person)
    }
}

/// A policy by its new `number` without what is not known; `anywhere`, one of a single item is about every one of its kind.
fn unknowing(rule: &Rule, number: usize, known: &dyn Fn(&Value) -> Known, anywhere: bool) -> Option<Rule> {
    let id = PolicyId::new(number.to_string());
    let mut scope = rule.scope.clone();
    let widened = anywhere && names_an_item(rule);
    // Most policies say the same of persons, and reading one takes longer than all else.
    let (policy, kept) = match rule.unconditional && !widened {
        true => (rule.policy.new_id(id), rule.json.clone()),
        false => {
            let json = rule.policy.to_json().ok()?;
            let mut changed = without(&json, known);
            if widened {
                changed.as_object_mut()?.insert("resource".to_owned(), json!({ "op": "All" }));
                scope = scope.map(Scope::of_the_kind);
            }
            let kept = rule.json.is_some().then(|| changed.to_string().into());
            let policy = match changed == json {
                true => rule.policy.new_id(id),
                false => Policy::from_json(Some(id), changed).ok()?,
            };
            (policy, kept)
        }
    };
    // Nothing of the context is read any more.
    let reads =
        Reads { context: false, circumstances: Default::default(), arguments: None, ..rule.reads.clone() };
    Some(Rule {
        id: rule.id.clone(),
        permits: rule.permits,
        place: rule.place.clone(),
        named: policy.clone(),
        policy,
        possible: None,
        scope,
        unconditional: rule.unconditional,
        reads,
        // Whatever scopes the token has, nobody is asked for more of them.
        scopes: Asked::default(),
        json: kept,
    })
}

fn names_an_item(rule: &Rule) -> bool {
    let what = rule.scope.as_ref().and_then(|scope| scope.what.as_ref());
    matches!(what, Some((What::Item(_), _)))
}

fn known(expression: &Value) -> Known {
    if reads_context(expression) || reads_token(expression) { Known::Not } else { Known::Whole }
}

/// Whether it reads what is the token's own.
fn reads_token(expression: &Value) -> bool {
    let of_tokens = |name: Option<&&str>| name.is_some_and(|name| OF_TOKENS.contains(name));
    if let Some((variable, names)) = path(expression) {
        return variable == "principal" && of_tokens(names.first());
    }
    let asked = match operation(expression) {
        Some(("has", operands)) if is_variable(operand(operands, "left"), "principal") => {
            attributes(operands)
        }
        _ => Vec::new(),
    };
    of_tokens(asked.first()) || children(expression).into_iter().any(reads_token)
}

fn known_of_something(expression: &Value) -> Known {
    if known(expression) == Known::Whole && is_of_every(expression) { Known::Whole } else { Known::Not }
}

/// Whether it reads nothing of an item but its kind, its backend and which attributes it has.
fn is_of_every(expression: &Value) -> bool {
    if let Some((variable, names)) = path(expression) {
        return variable != "resource" || names == ["backend"];
    }
    let parts = || children(expression).into_iter().all(is_of_every);
    let Some((operator, operands)) = operation(expression) else {
        return true;
    };
    let own = is_variable(operand(operands, "left"), "resource");
    match operator {
        "is" if own => operands.get("in").is_none_or(is_place),
        "in" if own => is_place(operand(operands, "right")),
        "has" if own => true,
        _ => parts(),
    }
}
