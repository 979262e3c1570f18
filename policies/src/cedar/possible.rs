//! What a condition comes to where the context may be any: the condition without the context.
//!
//! A `permit` shows an item where its condition could hold in some context, a `forbid` hides one where its condition holds in
//! every context. Both are made by writing what reads the context over: by true in the one, by false in the other, and the
//! other way round below a `!`.

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

/// The JSON of a policy with conditions that do not read the context.
pub(crate) fn without_context(policy: &Value) -> Value {
    without(policy, reads_context)
}

/// The same with conditions that have nothing of what is `unknown`.
pub(crate) fn without(policy: &Value, unknown: fn(&Value) -> bool) -> Value {
    let mut changed = policy.clone();
    let permits = policy.get("effect").and_then(Value::as_str) == Some("permit");
    let question = if permits { Question::May } else { Question::Must };
    for condition in changed.get_mut("conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        let unless = condition.get("kind").and_then(Value::as_str) == Some("unless");
        if let Some(body) = condition.get_mut("body") {
            *body = rewritten(body, if unless { question.turned() } else { question }, unknown);
        }
    }
    changed
}

fn rewritten(expression: &Value, question: Question, unknown: fn(&Value) -> bool) -> Value {
    if !unknown(expression) {
        return expression.clone();
    }
    match operation(expression) {
        Some((operator @ ("&&" | "||"), operands)) => json!({ operator: {
            "left": rewritten(operand(operands, "left"), question, unknown),
            "right": rewritten(operand(operands, "right"), question, unknown),
        } }),
        Some(("!", operands)) => {
            json!({ "!": { "arg": rewritten(operand(operands, "arg"), question.turned(), unknown) } })
        }
        Some(("if-then-else", operands)) if !unknown(operand(operands, "if")) => {
            json!({ "if-then-else": {
            "if": operand(operands, "if"),
            "then": rewritten(operand(operands, "then"), question, unknown),
            "else": rewritten(operand(operands, "else"), question, unknown),
        } })
        }
        _ => question.answer(),
    }
}
