//! What a condition comes to where something is not known: the condition without it. What is not known is the context, or
//! which resource a template leads to.
//!
//! A `permit` shows an item where its condition could hold, a `forbid` hides one where its condition has to hold. Both are
//! made by writing what is not known over: by true in the one, by false in the other, and the other way round below a `!`.

use super::expression::{operand, operation, reads_context};
use serde_json::{Value, json};

/// What is asked about a condition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    /// Could it hold?
    May,
    /// Does it have to?
    Must,
}

impl Question {
    fn turned(self) -> Self {
        match self {
            Self::May => Self::Must,
            Self::Must => Self::May,
        }
    }

    fn answer(self) -> Value {
        json!({ "Value": self == Self::May })
    }
}

/// What is known of an expression.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// Everything that it reads.
    Whole,
    /// What it comes to.
    As(bool),
    /// Not all that it reads.
    Not,
}

/// The JSON of a policy with conditions that do not read the context.
pub(crate) fn without_context(policy: &Value) -> Value {
    without(policy, &|expression| known_without_context(expression))
}

/// The same the other way round: a `permit` counts where its condition has to hold, a `forbid` where it could.
pub(crate) fn in_every_context(policy: &Value) -> Value {
    asked(policy, usual(policy).turned(), &|expression| known_without_context(expression))
}

fn known_without_context(expression: &Value) -> Known {
    if reads_context(expression) { Known::Not } else { Known::Whole }
}

/// A policy with conditions that read nothing but what is `known`.
pub(crate) fn without(policy: &Value, known: &dyn Fn(&Value) -> Known) -> Value {
    asked(policy, usual(policy), known)
}

/// What decides whether an item is shown.
fn usual(policy: &Value) -> Question {
    let permits = policy.get("effect").and_then(Value::as_str) == Some("permit");
    if permits { Question::May } else { Question::Must }
}

fn asked(policy: &Value, question: Question, known: &dyn Fn(&Value) -> Known) -> Value {
    let mut changed = policy.clone();
    for condition in changed.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        let unless = condition.get("kind").and_then(Value::as_str) == Some("unless");
        if let Some(body) = condition.get_mut("body") {
            *body = rewritten(body, if unless { question.turned() } else { question }, known);
        }
    }
    changed
}

fn rewritten(expression: &Value, question: Question, known: &dyn Fn(&Value) -> Known) -> Value {
    match known(expression) {
        Known::Whole => return expression.clone(),
        Known::As(value) => return json!({ "Value": value }),
        Known::Not => {}
    }
    let part = |operands: &Value, name: &str, question| rewritten(operand(operands, name), question, known);
    match operation(expression) {
        Some((operator @ ("&&" | "||"), operands)) => json!({ operator: {
            "left": part(operands, "left", question),
            "right": part(operands, "right", question),
        } }),
        Some(("!", operands)) => json!({ "!": { "arg": part(operands, "arg", question.turned()) } }),
        Some(("if-then-else", operands)) if known(operand(operands, "if")) == Known::Whole => {
            json!({ "if-then-else": {
                "if": operand(operands, "if"),
                "then": part(operands, "then", question),
                "else": part(operands, "else", question),
            } })
        }
        _ => question.answer(),
    }
}
