//! What callers may do at an endpoint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The policies of one endpoint, read but not understood.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policies {
    /// Those that decide.
    pub sources: Vec<PolicySource>,
    /// Those that are decided beside and never enforced.
    pub shadow: Option<Vec<PolicySource>>,
    /// The claims that policies may read, and what they are.
    pub claims: BTreeMap<String, ClaimKind>,
}

/// A text of policies, and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PolicySource {
    /// The file; for text in the configuration, the configuration.
    pub file: PathBuf,
    /// The policies, in Cedar's language.
    pub text: String,
    /// How many lines of the file stand before the text.
    pub lines_before: usize,
    /// By how many characters each line of the text is indented in the file.
    pub indented: usize,
}

/// What a claim is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClaimKind {
    /// A string.
    String,
    /// A whole number.
    Integer,
    /// True or false.
    Boolean,
    /// A list of strings, or one string; a set of strings in policies.
    Strings,
}
