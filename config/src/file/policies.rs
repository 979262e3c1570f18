//! `endpoints.*.policies`.

use crate::model::ClaimKind;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// What callers may do, in the policy language Cedar.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Policies {
    /// Files of policies, and folders of which every file is read whose name ends in `.cedar`.
    pub(crate) files: Option<Vec<String>>,
    /// Policies in place.
    pub(crate) inline: Option<String>,
    /// The claims that policies may read as `principal.claims.NAME`, by name, and what they are.
    pub(crate) claims: Option<BTreeMap<String, ClaimKind>>,
    /// Policies that are decided beside the others; where they decide otherwise, it is logged, and nothing else happens.
    pub(crate) shadow: Option<Shadow>,
}

/// Policies that are decided and never enforced.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ShadowPolicies")]
pub(crate) struct Shadow {
    /// Files of policies, and folders of which every file is read whose name ends in `.cedar`.
    pub(crate) files: Option<Vec<String>>,
    /// Policies in place.
    pub(crate) inline: Option<String>,
}
