//! What policies read: of the caller, so that callers whom they cannot tell apart are one class, and of the context.

use super::expression::{
    attributes, children, entities, is_variable, operand, operation, path, string, strings,
};
use super::wanted::Wanted;
use serde_json::Value;
use std::collections::BTreeSet;

/// The claims' attribute, and its neighbours that are sets of names.
const CLAIMS: &str = "claims";

/// Names out of a set that a caller has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Names {
    /// Only whether these are among them.
    Some(BTreeSet<String>),
    /// Each.
    All,
}

impl Default for Names {
    fn default() -> Self {
        Self::Some(BTreeSet::new())
    }
}

impl Names {
    fn add<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        if let Self::Some(known) = self {
            known.extend(names.into_iter().map(str::to_owned));
        }
    }

    fn join(&mut self, other: &Self) {
        match other {
            Self::All => *self = Self::All,
            Self::Some(names) => self.add(names.iter().map(String::as_str)),
        }
    }

    /// Whether it matters that a caller has this one.
    pub(crate) fn matters(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Some(names) => names.contains(name),
        }
    }
}

/// What one policy reads, or several together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Reads {
    /// Anything of the context.
    pub(crate) context: bool,
    /// Of the context, these members.
    pub(crate) circumstances: BTreeSet<String>,
    /// Of the arguments.
    pub(crate) arguments: Option<Wanted>,
    /// The groups, roles and scopes that matter.
    pub(crate) groups: Names,
    pub(crate) roles: Names,
    pub(crate) scopes: Names,
    /// Which callers are named.
    pub(crate) subjects: Names,
    /// Attributes of single values: `sub`, `iss`, `email`, `client`.
    pub(crate) attributes: BTreeSet<String>,
    /// Claims.
    pub(crate) claims: Names,
}

impl Reads {
    /// Everything of the caller.
    pub(crate) fn whole_caller() -> Self {
        Self {
            groups: Names::All,
            roles: Names::All,
            scopes: Names::All,
            subjects: Names::All,
            claims: Names::All,
            attributes: ["sub", "iss", "email", "client"].map(str::to_owned).into(),
            ..Self::default()
        }
    }

    /// Those of a condition.
    pub(crate) fn of(&mut self, expression: &Value) {
        if let Some((variable, names)) = path(expression) {
            return self.path(variable, &names, true);
        }
        let Some((operator, operands)) = operation(expression) else {
            return;
        };
        let (left, right) = (operand(operands, "left"), operand(operands, "right"));
        match operator {
            "has" => {
                if let Some((variable, mut names)) = path(left) {
                    names.extend(attributes(operands));
                    return self.path(variable, &names, false);
                }
            }
            "contains" | "containsAll" | "containsAny" => {
                let literals = string(right).map(|name| vec![name]).or_else(|| strings(right));
                if let (Some(("principal", names)), Some(literals)) = (path(left), literals)
                    && let Some(set) = self.set(&names)
                {
                    return set.add(literals);
                }
            }
            "in" | "==" | "!=" => {
                let sides = [(left, right), (right, left)];
                for (own, other) in sides.into_iter().take(if operator == "in" { 1 } else { 2 }) {
                    if is_variable(own, "principal")
                        && let Some(named) = entities(other)
                    {
                        return self.named(&named);
                    }
                }
            }
            "is" if is_variable(left, "principal") => match operands.get("in") {
                None => return,
                Some(other) => {
                    if let Some(named) = entities(other) {
                        return self.named(&named);
                    }
                }
            },
            _ => {}
        }
        children(expression).into_iter().for_each(|child| self.of(child));
    }

    /// Callers and groups that are named.
    pub(crate) fn named(&mut self, entities: &[(&str, &str)]) {
        for (kind, id) in entities {
            match *kind {
                "Group" => self.groups.add([*id]),
                "Client" => self.subjects.add([*id]),
                _ => {}
            }
        }
    }

    fn set(&mut self, names: &[&str]) -> Option<&mut Names> {
        match names {
            ["groups"] => Some(&mut self.groups),
            ["roles"] => Some(&mut self.roles),
            ["scopes"] => Some(&mut self.scopes),
            _ => None,
        }
    }

    /// An attribute is read, or only whether it is there.
    fn path(&mut self, variable: &str, names: &[&str], value: bool) {
        match (variable, names) {
            ("principal", []) => {
                // Somebody looks at the caller as a whole.
                self.join(&Self::whole_caller());
            }
            ("principal", [CLAIMS]) => self.claims = Names::All,
            ("principal", [CLAIMS, name, ..]) => self.claims.add([*name]),
            ("principal", [name, ..]) => match self.set(&[*name]) {
                Some(set) => *set = Names::All,
                None => drop(self.attributes.insert((*name).to_owned())),
            },
            ("context", names) => {
                self.context = true;
                match names {
                    [] => {
                        self.circumstances = ["address", "era", "time", "retry"].map(str::to_owned).into();
                        self.arguments = Some(Wanted::everything());
                    }
                    ["arguments", rest @ ..] => self.arguments.get_or_insert_default().add(rest, value),
                    [name, ..] => drop(self.circumstances.insert((*name).to_owned())),
                }
            }
            _ => {}
        }
    }

    /// Adds what another reads.
    pub(crate) fn join(&mut self, other: &Self) {
        self.context |= other.context;
        self.circumstances.extend(other.circumstances.iter().cloned());
        if let Some(wanted) = &other.arguments {
            self.arguments.get_or_insert_default().join(wanted);
        }
        self.groups.join(&other.groups);
        self.roles.join(&other.roles);
        self.scopes.join(&other.scopes);
        self.subjects.join(&other.subjects);
        self.attributes.extend(other.attributes.iter().cloned());
        self.claims.join(&other.claims);
    }
}
