//! What arguments would have to be for a policy to make sense, found out from how the policy uses them: before any server has
//! said what its tools take, a policy that reads arguments can be checked against that.

use super::expression::{attributes, operand, operation, path};
use super::kind::{Field, Kind, Record};
use super::schema::of_claim;
use serde_json::Value;
use std::collections::BTreeMap;
use weir_config::ClaimKind;

/// What is known of the arguments so far, by their paths.
#[derive(Debug)]
pub(crate) struct Inference<'c> {
    claims: &'c BTreeMap<String, ClaimKind>,
    known: BTreeMap<Vec<String>, Guess>,
}

#[derive(Debug, Default)]
struct Guess {
    kind: Option<Kind>,
    optional: bool,
}

impl<'c> Inference<'c> {
    /// Nothing is known.
    pub(crate) fn new(claims: &'c BTreeMap<String, ClaimKind>) -> Self {
        Self { claims, known: BTreeMap::new() }
    }

    /// Learns of a condition.
    pub(crate) fn learn(&mut self, condition: &Value) {
        self.read(condition, Some(Kind::Bool));
    }

    /// The arguments as they would have to be; where nothing tells, a string.
    pub(crate) fn record(&self) -> Record {
        let mut root = Record::default();
        for (path, guess) in &self.known {
            root.put(path, guess);
        }
        root
    }

    fn note(&mut self, path: &[&str], kind: Option<Kind>) {
        if !path.is_empty() {
            let guess = self.known.entry(path.iter().map(|name| (*name).to_owned()).collect()).or_default();
            guess.kind = guess.kind.take().or(kind);
        }
    }

    /// Reads an expression that is expected to be of a kind.
    fn read(&mut self, expression: &Value, expected: Option<Kind>) {
        if let Some(("context", names)) = path(expression) {
            if let ["arguments", rest @ ..] = names.as_slice() {
                self.note(rest, expected);
            }
            return;
        }
        let Some((operator, operands)) = operation(expression) else {
            return;
        };
        let (left, right) = (operand(operands, "left"), operand(operands, "right"));
        match operator {
            "Value" | "Var" => {}
            "!" => self.read(operand(operands, "arg"), Some(Kind::Bool)),
            "neg" => self.read(operand(operands, "arg"), Some(Kind::Long)),
            "&&" | "||" => self.both(left, right, Some(Kind::Bool)),
            "+" | "-" | "*" => self.both(left, right, Some(Kind::Long)),
            "<" | "<=" | ">" | ">=" => {
                let kind = self.kind(left).or_else(|| self.kind(right)).unwrap_or(Kind::Long);
                self.both(left, right, Some(kind));
            }
            "==" | "!=" => {
                let kind = self.kind(left).or_else(|| self.kind(right));
                self.both(left, right, kind);
            }
            "contains" => {
                let inner = match self.kind(left) {
                    Some(Kind::Set(inner)) => Some(*inner),
                    _ => self.kind(right),
                };
                self.read(left, Some(Kind::Set(Box::new(inner.clone().unwrap_or(Kind::String)))));
                self.read(right, inner);
            }
            "containsAll" | "containsAny" => {
                let kind = self.kind(left).or_else(|| self.kind(right));
                self.both(left, right, Some(kind.unwrap_or(Kind::Set(Box::new(Kind::String)))));
            }
            "isEmpty" => self.read(operand(operands, "arg"), Some(Kind::Set(Box::new(Kind::String)))),
            "like" => self.read(left, Some(Kind::String)),
            "has" => self.has(left, &attributes(operands)),
            "if-then-else" => {
                self.read(operand(operands, "if"), Some(Kind::Bool));
                self.read(operand(operands, "then"), expected.clone());
                self.read(operand(operands, "else"), expected);
            }
            method => match operands {
                Value::Array(arguments) => {
                    arguments.iter().for_each(|argument| self.read(argument, receiver(method)));
                }
                Value::Object(operands) => operands.values().for_each(|operand| self.read(operand, None)),
                _ => {}
            },
        }
    }

    fn both(&mut self, left: &Value, right: &Value, kind: Option<Kind>) {
        self.read(left, kind.clone());
        self.read(right, kind);
    }

    /// Each of the names, one within the other, may be missing.
    fn has(&mut self, left: &Value, attributes: &[&str]) {
        let Some(("context", mut names)) = path(left) else {
            return self.read(left, None);
        };
        let certain = names.len();
        names.extend(attributes);
        let ["arguments", names @ ..] = names.as_slice() else {
            return;
        };
        for count in certain.max(1)..=names.len() {
            let own = names.iter().take(count).map(|name| (*name).to_owned()).collect();
            self.known.entry(own).or_default().optional = true;
        }
    }

    /// What an expression is, as far as it shows.
    fn kind(&self, expression: &Value) -> Option<Kind> {
        let strings = || Kind::Set(Box::new(Kind::String));
        if let Some((variable, names)) = path(expression) {
            return match (variable, names.as_slice()) {
                ("context", ["arguments", rest @ ..]) => {
                    let own: Vec<String> = rest.iter().map(|name| (*name).to_owned()).collect();
                    self.known.get(&own)?.kind.clone()
                }
                ("context", ["time"]) => Some(Kind::Datetime),
                ("context", ["address"]) => Some(Kind::Ip),
                ("context", ["retry"])
                | ("resource", ["read_only" | "destructive" | "idempotent" | "open_world"]) => {
                    Some(Kind::Bool)
                }
                ("principal", ["groups" | "roles" | "scopes"]) | ("resource", ["tags"]) => Some(strings()),
                ("principal", ["claims", name]) => self.claims.get(*name).map(|kind| of_claim(*kind)),
                ("context" | "resource" | "principal", [_]) => Some(Kind::String),
                _ => None,
            };
        }
        let (operator, operands) = operation(expression)?;
        match operator {
            "Value" => match operands {
                Value::String(_) => Some(Kind::String),
                Value::Bool(_) => Some(Kind::Bool),
                Value::Number(_) => Some(Kind::Long),
                _ => None,
            },
            "Set" => Some(Kind::Set(Box::new(self.kind(operands.as_array()?.first()?)?))),
            "+" | "-" | "*" | "neg" => Some(Kind::Long),
            "!" | "&&" | "||" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "like" | "has" => Some(Kind::Bool),
            "decimal" => Some(Kind::Decimal),
            "ip" => Some(Kind::Ip),
            "datetime" | "offset" | "toDate" => Some(Kind::Datetime),
            "duration" | "durationSince" | "toTime" => Some(Kind::Duration),
            _ => None,
        }
    }
}

/// What a method is called on, and given.
fn receiver(method: &str) -> Option<Kind> {
    match method {
        "lessThan" | "lessThanOrEqual" | "greaterThan" | "greaterThanOrEqual" => Some(Kind::Decimal),
        _ => None,
    }
}

impl Record {
    fn put(&mut self, path: &[String], guess: &Guess) {
        let [name, rest @ ..] = path else {
            return;
        };
        let field = self.fields.entry(name.clone()).or_insert_with(|| Field {
            kind: Kind::String,
            optional: false,
            nullable: false,
        });
        if rest.is_empty() {
            field.optional |= guess.optional;
            if let Some(kind) = &guess.kind {
                field.kind = kind.clone();
            }
            return;
        }
        // Paths come shortest first: whatever was thought of this one, it has members.
        if !matches!(field.kind, Kind::Record(_)) {
            field.kind = Kind::Record(Self::default());
        }
        if let Kind::Record(record) = &mut field.kind {
            record.put(rest, guess);
        }
    }
}
