//! Whether a template of resources is shown: whether a resource that it may lead to could be read.
//!
//! Which resources these are is not known but for what all their URIs begin with. Beyond that, what a policy says of the URI
//! is taken as what it says of the context: a `permit` could hold, and a `forbid` does not have to.

mod store;

use super::class::{Class, put};
use super::decider::{Decider, LONGEST_KEY, key};
use super::expression::{children, entities, is_variable, operand, operation, path, string};
use super::index::{Ids, Scope, What};
use super::load::Rule;
use super::possible::{Known, without};
use super::verdict::Verdict;
use crate::{Action, Item};
use cedar_policy::{Context as Circumstances, Entities, PolicySet, Request};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{Leading, Led, Rewritten};

pub(super) use store::Templates;

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
            return Some(scheme.map_or(Known::Not, |scheme| Known::As(scheme.eq_ignore_ascii_case(text))));
        }
        self.begins(own).map(|fixed| could(fixed, text))
    }

    /// What a policy says of such resources, which is about them by its scope.
    fn leading(self, rule: &Rule) -> Leading<Value> {
        let named = matches!(&rule.scope, Some(Scope { what: Some((What::Item(_), _)), .. }));
        // What forbids a single resource leaves others.
        if named && !rule.permits {
            return Leading::Never;
        }
        if rule.unconditional {
            return Leading::Always;
        }
        self.rewritten(rule, named).unwrap_or(Leading::Unclear)
    }

    fn rewritten(self, rule: &Rule, named: bool) -> Option<Leading<Value>> {
        let json: Value = serde_json::from_str(rule.json.as_ref()?).ok()?;
        let mut changed = without(&json, &|expression| self.known(expression));
        match holds(&changed) {
            Some(true) => return Some(Leading::Always),
            Some(false) => return Some(Leading::Never),
            None => {}
        }
        if named {
            changed.as_object_mut()?.insert("resource".to_owned(), json!({ "op": "All" }));
        }
        Some(Leading::Asked(changed))
    }

    /// Bytes that are equal for equal beginnings and for no others.
    fn key(self) -> Arc<[u8]> {
        let mut key = Vec::new();
        put(&mut key, self.name);
        put(&mut key, self.uri);
        key.into()
    }
}

/// Whether the conditions of a policy hold, where that is written out. A part that fails denies as well as one that does not
/// hold, so it need not be looked at beside one that settles the matter.
fn holds(policy: &Value) -> Option<bool> {
    let conditions =
        policy.get("conditions").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let holds = conditions.iter().map(|condition| {
        let unless = condition.get("kind").and_then(Value::as_str) == Some("unless");
        settled(operand(condition, "body")).map(|holds| holds != unless)
    });
    all(holds)
}

/// Whether all hold, where that is known.
fn all(holds: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = Some(true);
    for holds in holds {
        match holds {
            Some(true) => {}
            Some(false) => return Some(false),
            None => known = None,
        }
    }
    known
}

/// What an expression comes to, where that is written out.
fn settled(expression: &Value) -> Option<bool> {
    let (operator, operands) = operation(expression)?;
    let part = |name| settled(operand(operands, name));
    match operator {
        "Value" => operands.as_bool(),
        "!" => part("arg").map(|holds| !holds),
        "&&" => all([part("left"), part("right")].into_iter()),
        "||" => all([part("left"), part("right")].into_iter().map(|holds| holds.map(|holds| !holds)))
            .map(|none| !none),
        _ => None,
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
    pub(crate) fn may_lead(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> bool {
        let key = key(class, action, item);
        if key.len() > LONGEST_KEY {
            return self.leads(class, action, item);
        }
        let known = self.templates.answers.get(key.as_slice());
        known.unwrap_or_else(|| {
            let leads = self.leads(class, action, item);
            self.templates.answers.insert(key.into(), leads);
            leads
        })
    }

    fn leads(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> bool {
        let led = self.led(class, action, item);
        if led.forbids {
            return false;
        }
        if led.set.is_empty() {
            return led.permits;
        }
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
        self.authorize(&request, &led.set, &entities, &mut verdict);
        verdict.forbids.is_empty() && (led.permits || self.may_hold(&verdict))
    }

    /// What the policies that are about a caller say of what a template leads to. It is the same for all callers whom the
    /// same policies are about.
    fn led(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> Led<Arc<PolicySet>> {
        let beginning = Beginning::of(item);
        let numbers = self.slice_of(class, action, item, Ids::Begins(beginning.name));
        let key = (Box::from(numbers), beginning.key());
        if let Some(Led { permits, forbids, set }) = self.templates.led.get(&key)
            && let Some(set) = set.upgrade()
        {
            return Led { permits, forbids, set };
        }
        let (mut permits, mut forbids, mut asked) = (false, false, Vec::new());
        for number in &key.0 {
            let Some(rule) = self.rule(*number) else { continue };
            match self.leading(beginning, &key.1, *number, rule) {
                Leading::Never => {}
                Leading::Always if rule.permits => permits = true,
                Leading::Always | Leading::Unclear => forbids = true,
                Leading::Asked(policy) => asked.push((rule.permits, policy)),
            }
        }
        // Where one permits anyway, no other has to.
        asked.retain(|(permitting, _)| !(forbids || *permitting && permits));
        let asked: Vec<_> = asked.into_iter().map(|(_, policy)| policy).collect();
        let Some(set) = self.templates.set(&asked) else {
            return Led { permits, forbids: true, set: Arc::default() };
        };
        self.templates.led.insert(key, Led { permits, forbids, set: Arc::downgrade(&set) });
        Led { permits, forbids, set }
    }

    /// What one policy says of what begins so.
    fn leading(
        &self,
        beginning: Beginning<'_>,
        key: &Arc<[u8]>,
        number: u32,
        rule: &Rule,
    ) -> Leading<Arc<Rewritten>> {
        let find = || beginning.leading(rule).map(|left| self.templates.rewritten(number, rule, left));
        if rule.unconditional {
            return find().unwrap_or(Leading::Unclear);
        }
        let key = (number, key.clone());
        let known = self.templates.leading.get(&key);
        known.and_then(|known| known.map(|left| left.upgrade())).unwrap_or_else(|| {
            let leading = find().unwrap_or(Leading::Unclear);
            let kept = leading.clone().map(|policy| Some(Arc::downgrade(&policy)));
            self.templates.leading.insert(key, kept.unwrap_or(Leading::Unclear));
            leading
        })
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
