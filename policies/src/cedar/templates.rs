//! Whether a template of resources is shown: whether a resource that it may lead to could be read.
//!
//! Which resources these are is not known but for what all their URIs begin with. Beyond that, what a policy says of the URI
//! is taken as what it says of the context: a `permit` could hold, and a `forbid` does not have to.

use super::class::Class;
use super::decider::Decider;
use super::expression::{children, entities, is_variable, operand, operation, path, string};
use super::index::{What, Who};
use super::load::Rule;
use super::possible::{Known, without};
use super::verdict::Verdict;
use crate::{Action, Item};
use cedar_policy::{Context as Circumstances, Entities, Policy, PolicySet, Request};
use serde_json::{Value, json};

/// What is known of the resources that a template leads to.
#[derive(Debug, Clone, Copy)]
struct Beginning<'i> {
    /// What their names begin with.
    name: &'i str,
    /// What their URIs begin with.
    uri: &'i str,
}

/// What stands before the first parameter of a template.
fn fixed(template: &str) -> &str {
    template.split_once('{').map_or(template, |(fixed, _)| fixed)
}

impl<'i> Beginning<'i> {
    fn of(item: &Item<'i>) -> Self {
        Self { name: fixed(item.name), uri: fixed(item.uri.unwrap_or(item.name)) }
    }

    /// What is known of an expression about one of them.
    fn known(self, expression: &Value) -> Known {
        match path(expression) {
            Some(("context", _)) => return Known::Not,
            Some(("resource", names)) => {
                let its_own = ["uri", "name", "original", "scheme"];
                let unknown = names.first().is_none_or(|name| its_own.contains(name));
                return if unknown { Known::Not } else { Known::Whole };
            }
            _ => {}
        }
        let Some((operator, operands)) = operation(expression) else {
            return Known::Whole;
        };
        let (left, right) = (operand(operands, "left"), operand(operands, "right"));
        match operator {
            // Of which kind it is, whose, and which attributes it has.
            "is" if operands.get("in").is_none() && is_variable(left, "resource") => Known::Whole,
            "in" if is_variable(left, "resource") && is_place(right) => Known::Whole,
            "has" if is_variable(left, "resource") => Known::Whole,
            "like" => match self.begins(left) {
                Some(fixed) => like(fixed, operand(operands, "pattern")),
                None => self.parts(expression),
            },
            "==" => self
                .equals(left, right)
                .or_else(|| self.equals(right, left))
                .unwrap_or_else(|| self.parts(expression)),
            "!=" => match self.equals(left, right).or_else(|| self.equals(right, left)) {
                Some(Known::As(same)) => Known::As(!same),
                Some(known) => known,
                None => self.parts(expression),
            },
            _ => self.parts(expression),
        }
    }

    fn parts(self, expression: &Value) -> Known {
        let whole = children(expression).into_iter().all(|child| self.known(child) == Known::Whole);
        if whole { Known::Whole } else { Known::Not }
    }

    /// What the text that an expression reads begins with, if that is the URI or the name.
    fn begins(self, expression: &Value) -> Option<&'i str> {
        match path(expression)? {
            ("resource", names) if names == ["uri"] => Some(self.uri),
            ("resource", names) if names == ["name"] => Some(self.name),
            _ => None,
        }
    }

    /// Whether something of a resource can be what is written out.
    fn equals(self, own: &Value, written: &Value) -> Option<Known> {
        let could =
            |fixed: &str, text: &str| if text.starts_with(fixed) { Known::Not } else { Known::As(false) };
        if is_variable(own, "resource") {
            let named = entities(written)?;
            let [(kind, id)] = named.as_slice() else {
                return None;
            };
            return Some(if *kind == "Resource" { could(self.name, id) } else { Known::As(false) });
        }
        let text = string(written)?;
        if let Some(("resource", names)) = path(own)
            && names == ["scheme"]
        {
            let scheme = self.uri.split_once(':').map(|(scheme, _)| scheme);
            return Some(scheme.map_or(Known::Not, |scheme| Known::As(scheme == text)));
        }
        self.begins(own).map(|fixed| could(fixed, text))
    }

    /// What a policy says of such resources; `None` where it has nothing to do with them.
    fn leading(self, rule: &Rule) -> Option<Policy> {
        let mut json = rule.policy.to_json().ok()?;
        if let Some((What::Item(_), id)) = rule.scope.as_ref().and_then(|scope| scope.what.as_ref()) {
            if !rule.permits || !id.starts_with(self.name) {
                return None;
            }
            json.as_object_mut()?.insert("resource".to_owned(), json!({ "op": "All" }));
        }
        Policy::from_json(
            Some(rule.policy.id().clone()),
            without(&json, &|expression| self.known(expression)),
        )
        .ok()
    }
}

/// Whether it names backends and endpoints alone.
pub(super) fn is_place(expression: &Value) -> bool {
    entities(expression)
        .is_some_and(|named| named.iter().all(|(kind, _)| matches!(*kind, "Backend" | "Endpoint")))
}

/// Whether a text that begins with `fixed` is like a pattern.
fn like(fixed: &str, pattern: &Value) -> Known {
    let mut elements = pattern.as_array().map(Vec::as_slice).unwrap_or_default().iter().peekable();
    let mut head = String::new();
    while let Some(literal) = elements.peek().and_then(|element| element.get("Literal")?.as_str()) {
        head.push_str(literal);
        elements.next();
    }
    let open = elements.peek().is_some();
    let fits = head.starts_with(fixed) || (open && fixed.starts_with(&head));
    if !fits {
        return Known::As(false);
    }
    let anything = open && elements.all(|element| element.as_str() == Some("Wildcard"));
    if anything && fixed.starts_with(&head) { Known::As(true) } else { Known::Not }
}

impl Decider {
    /// Whether something that the template `item` leads to could be allowed.
    pub(super) fn leads(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> bool {
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
        let beginning = Beginning::of(item);
        let policies = self.rules.iter().filter(fits).filter_map(|rule| beginning.leading(rule));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_held_against_what_is_known() {
        let pattern = |text: &str| {
            let wildcard = |part: &str| (!part.is_empty()).then(|| json!({ "Literal": part }));
            let mut elements = Vec::new();
            for (at, part) in text.split('*').enumerate() {
                elements.extend((at > 0).then(|| json!("Wildcard")));
                elements.extend(wildcard(part));
            }
            Value::Array(elements)
        };
        for (text, expected) in [
            ("doc:*", Known::As(true)),
            ("*", Known::As(true)),
            ("doc:///a/*", Known::As(true)),
            ("doc:///a/b*", Known::Not),
            ("doc:///a/*/c", Known::Not),
            ("doc:///*/c", Known::Not),
            ("doc:///a/b", Known::Not),
            ("doc:///b*", Known::As(false)),
            ("doc:///a", Known::As(false)),
            ("vault:*", Known::As(false)),
            ("*secret*", Known::Not),
        ] {
            assert_eq!(like("doc:///a/", &pattern(text)), expected, "{text}");
        }
    }
}
