//! One thing that is to be known of a configuration at work.

use serde::Serialize;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// As it was configured, and good to know.
    Note,
    /// Probably not what was meant, or a trouble to some clients.
    Warning,
    /// Something that was configured does not work.
    Error,
}

/// A finding and how much it matters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    #[serde(flatten)]
    pub finding: Finding,
}

/// What was found. `list` is `tools`, `prompts`, `resources` or `resourceTemplates`. Names, URIs and texts may come from
/// backends: escape them before they reach a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Finding {
    /// A backend could not be asked.
    Unreachable {
        /// Why.
        text: String,
    },
    /// A backend's list could not be fetched.
    ListFailed {
        /// The list.
        list: &'static str,
        /// Why.
        text: String,
    },
    /// Items of a backend's list are none.
    ItemsInvalid {
        /// The list.
        list: &'static str,
        /// What is wrong.
        text: String,
    },
    /// A pattern of the endpoint cannot be used.
    Pattern {
        /// What is wrong.
        text: String,
    },
    /// Several backends offer the same name or URI.
    Conflict {
        /// The list.
        list: &'static str,
        /// The name that clients would see.
        name: String,
        /// All that offer it.
        backends: Vec<String>,
        /// What became of it.
        settled: Settled,
    },
    /// An item is not shown because of the configuration.
    Hidden {
        /// The list.
        list: &'static str,
        /// Its owner.
        backend: String,
        /// Its own name or URI.
        name: String,
        /// By what.
        by: HiddenBy,
    },
    /// An item is not shown because of what it is.
    LeftOut {
        /// The list.
        list: &'static str,
        /// Its owner.
        backend: String,
        /// Its name or URI, where it has one.
        name: Option<String>,
        /// Why.
        reason: &'static str,
    },
    /// A name that some clients do not take.
    Name {
        /// The list.
        list: &'static str,
        /// Its owner.
        backend: String,
        /// The name that clients see.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A tool whose schema is missing or of no use.
    Schema {
        /// Its owner.
        backend: String,
        /// The name that clients see.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
    /// An override of something that its backend does not offer.
    UnknownOverride {
        /// The list.
        list: &'static str,
        /// The backend.
        backend: String,
        /// The name that the override is for.
        name: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
    /// A policy that does not fit the tools.
    Policy {
        /// Its id.
        policy: Option<String>,
        /// Its file.
        file: String,
        /// The line that it is about.
        line: usize,
        /// The column.
        column: usize,
        /// What is wrong.
        text: String,
        /// What was probably meant.
        advice: Option<String>,
    },
    /// A pattern that nothing matches.
    UnusedPattern {
        /// The list.
        list: &'static str,
        /// `allow` or `deny`.
        rule: &'static str,
        /// The pattern.
        pattern: String,
        /// What was probably meant.
        nearest: Option<String>,
    },
}

/// How a conflict was settled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "how", rename_all = "snake_case")]
pub enum Settled {
    /// This backend's is shown.
    First {
        /// The backend.
        backend: String,
    },
    /// None is shown.
    Refused,
    /// weir does not start before it is resolved.
    Unresolved,
}

/// What hides an item.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum HiddenBy {
    /// An override with `hide`.
    Override,
    /// A pattern of `deny`.
    Deny {
        /// The pattern.
        pattern: String,
    },
    /// No pattern of `allow` matches.
    Allow,
}

impl Judged {
    pub(super) fn note(finding: Finding) -> Self {
        Self { severity: Severity::Note, finding }
    }

    pub(super) fn warning(finding: Finding) -> Self {
        Self { severity: Severity::Warning, finding }
    }

    pub(super) fn error(finding: Finding) -> Self {
        Self { severity: Severity::Error, finding }
    }
}
