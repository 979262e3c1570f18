//! What came of deciding a call.

use super::load::Rule;
use std::fmt;

/// Most policies that a decision names.
pub(super) const MOST_NAMED: usize = 8;

/// Why a policy could not be evaluated, without anything of the caller's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Cedar reported an error.
    Evaluation,
    /// This argument is not what the tool says it is.
    Argument(String),
    /// This claim is not what the configuration says it is.
    Claim(String),
    /// What arguments the tool has is not known.
    UnknownTool,
}

/// A decision, by numbers of policies.
#[derive(Debug, Clone, Default)]
pub(crate) struct Verdict {
    pub(crate) permits: Vec<u32>,
    pub(crate) forbids: Vec<u32>,
    pub(crate) failed: Vec<(u32, Failure)>,
}

impl Verdict {
    pub(crate) fn allows(&self) -> bool {
        !self.permits.is_empty() && !self.denies()
    }

    pub(super) fn denies(&self) -> bool {
        !self.forbids.is_empty() || !self.failed.is_empty()
    }

    /// Adds a policy that applies.
    pub(super) fn add(&mut self, number: u32, rule: &Rule) {
        let list = if rule.permits { &mut self.permits } else { &mut self.forbids };
        if list.len() < MOST_NAMED {
            list.push(number);
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Evaluation => f.write_str("its evaluation failed"),
            Self::Argument(name) if name.is_empty() => {
                f.write_str("the arguments are not what the tool takes")
            }
            Self::Argument(name) => write!(f, "the argument `{name}` is not what the tool says it is"),
            Self::Claim(name) => write!(f, "the claim `{name}` is not what the configuration says it is"),
            Self::UnknownTool => f.write_str("it is not known what the tool takes"),
        }
    }
}
