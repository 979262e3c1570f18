//! Which scopes a denied call lacks: everything that it needs at once, since a client steps up once.

use super::class::Class;
use super::decider::Decider;
use super::expression::{children, operand, operation, path, string, strings};
use crate::{Action, Context, Item};
use serde_json::Value;
use std::cell::OnceCell;
use std::collections::BTreeSet;

/// Most scopes that are looked at for one call.
const MOST_NAMES: usize = 256;
/// Most decisions that are made to find out which of them are not needed.
const MOST_TRIALS: usize = 64;

/// The scopes that a policy asks for by name.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    /// With these, more is allowed.
    more: BTreeSet<String>,
    /// With these, less.
    less: BTreeSet<String>,
}

impl Asked {
    /// Those of the JSON of a policy.
    pub(crate) fn of(policy: &Value) -> Self {
        let mut asked = Self::default();
        let permits = policy.get("effect").and_then(Value::as_str) == Some("permit");
        for condition in policy.get("conditions").and_then(Value::as_array).into_iter().flatten() {
            let unless = condition.get("kind").and_then(Value::as_str) == Some("unless");
            asked.add(operand(condition, "body"), Some(permits != unless));
        }
        asked
    }

    /// Those of an expression, by which more is allowed where it holds, or less; `None`: nobody knows.
    fn add(&mut self, expression: &Value, more: Option<bool>) {
        let Some((operator, operands)) = operation(expression) else {
            return;
        };
        let (left, right) = (operand(operands, "left"), operand(operands, "right"));
        match operator {
            "!" => self.add(operand(operands, "arg"), more.map(|more| !more)),
            "&&" | "||" => [left, right].into_iter().for_each(|part| self.add(part, more)),
            "if-then-else" => {
                self.add(operand(operands, "if"), None);
                ["then", "else"].into_iter().for_each(|part| self.add(operand(operands, part), more));
            }
            "contains" | "containsAll" | "containsAny"
                if path(left)
                    .is_some_and(|(variable, names)| variable == "principal" && names == ["scopes"]) =>
            {
                let names = string(right).map(|name| vec![name]).or_else(|| strings(right));
                let names = || names.iter().flatten().map(|name| (*name).to_owned());
                self.more.extend(names().filter(|_| more != Some(false)));
                self.less.extend(names().filter(|_| more != Some(true)));
            }
            _ => children(expression).into_iter().for_each(|part| self.add(part, None)),
        }
    }
}

impl Decider {
    /// The scopes with which a call would be allowed that is denied, none of which can be spared; none where scopes would
    /// not help.
    pub(crate) fn missing_scopes(
        &self,
        class: &Class<'_>,
        own: &[String],
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Vec<String> {
        let rules: Vec<_> =
            self.slice(class, action, item).into_iter().filter_map(|number| self.rule(number)).collect();
        let mut asked: Vec<Vec<&str>> = rules
            .iter()
            .map(|rule| rule.scopes.more.iter().filter(|name| !own.contains(name)))
            .map(|names| names.map(String::as_str).collect())
            .collect();
        // Who lacks little of one policy is not sent for all that another wants.
        asked.sort_by_key(Vec::len);
        let mut known = BTreeSet::new();
        let names: Vec<&str> =
            asked.into_iter().flatten().filter(|name| known.insert(*name)).take(MOST_NAMES).collect();
        // The same policies are evaluated whatever the scopes are, and so what they read of the context is the same too.
        let given = OnceCell::new();
        let allows = |names: &[&str]| {
            let mut richer = class.clone();
            richer.scopes.extend(names);
            richer.scopes.sort_unstable();
            richer.scopes.dedup();
            let prepared = self.prepare(&richer, action, item);
            let mut verdict = prepared.fixed.clone();
            if let Some(contextual) = prepared.contextual.as_ref().filter(|_| !verdict.denies()) {
                let given = given.get_or_init(|| self.context_of(contextual, action, item, context));
                self.judge(contextual, action, given.clone(), &mut verdict);
            }
            verdict.allows()
        };
        let harmless: Vec<&str> = names
            .iter()
            .copied()
            .filter(|name| !rules.iter().any(|rule| rule.scopes.less.contains(*name)))
            .collect();
        let differ = harmless.len() < names.len();
        let found = [Some(harmless), differ.then_some(names)].into_iter().flatten();
        let found = found.filter(|names| !names.is_empty()).find(|names| allows(names));
        let mut needed: Vec<String> = found
            .map(|names| least(names, allows))
            .unwrap_or_default()
            .into_iter()
            .map(str::to_owned)
            .collect();
        needed.sort_unstable();
        needed
    }
}

/// Those of `names`, with which together a call is allowed and without which it is not, that cannot be left out.
fn least(names: Vec<&str>, allows: impl Fn(&[&str]) -> bool) -> Vec<&str> {
    let (mut needed, mut rest) = (Vec::new(), names);
    let mut trials = MOST_TRIALS;
    let mut tried = |needed: &[&str], others: &[&str]| {
        trials = trials.checked_sub(1)?;
        Some(allows(&[needed, others].concat()))
    };
    loop {
        // With so many of the rest it is not allowed, and with so many it is; the last of these is needed.
        let (mut few, mut enough) = (0, rest.len());
        while enough - few > 1 {
            let some = few + (enough - few) / 2;
            match tried(&needed, rest.get(..some).unwrap_or_default()) {
                Some(true) => enough = some,
                Some(false) => few = some,
                None => {
                    rest.truncate(enough);
                    return [needed, rest].concat();
                }
            }
        }
        rest.truncate(enough);
        needed.extend(rest.pop());
        if rest.is_empty() || tried(&needed, &[]) == Some(true) {
            return needed;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[test]
    fn what_can_be_spared_is_left_out() {
        let texts: Vec<String> = (0..200).map(|number| format!("s{number:03}")).collect();
        let names: Vec<&str> = texts.iter().map(String::as_str).collect();
        for wanted in [&["s000"][..], &["s199"], &["s017", "s101"], &["s000", "s100", "s198", "s199"]] {
            let trials = Cell::new(0);
            let allows = |names: &[&str]| {
                trials.set(trials.get() + 1);
                wanted.iter().all(|wanted| names.contains(wanted))
            };
            let mut found = least(names.clone(), allows);
            found.sort_unstable();
            assert_eq!(found, wanted);
            assert!(trials.get() <= wanted.len() * 9, "{trials:?}");
        }
        // Where that would take too long, what is answered is enough still.
        let trials = Cell::new(0);
        let allows = |names: &[&str]| {
            trials.set(trials.get() + 1);
            names.len() == 200
        };
        assert_eq!(least(names, allows).len(), 200);
        assert!(trials.get() <= MOST_TRIALS);
    }
}
