//! What operators write, as it stands in the file: every key with its documentation, which is the source of
//! the JSON Schema and of the reference.

mod auth;
mod backend;
mod credentials;
mod endpoint;
mod limits;
mod listener;
mod oauth;
mod policies;
mod text;

pub(crate) use auth::{
    ApiKey, Auth, Certificates, Claims, Introspection, Issuer, KUBERNETES_CA, KUBERNETES_ISSUER,
    KUBERNETES_JWKS, KUBERNETES_TOKEN, Kubernetes,
};
pub(crate) use backend::{Backend, Root, RootTable};
pub(crate) use credentials::{AuthorizationServer, ClientCredentials, Credentials, Listing};
pub(crate) use endpoint::{Conflicts, Endpoint, Override, Overrides, Strategy};
pub(crate) use limits::{BackendLimits, BackendTimeouts, Limits, Timeouts};
pub(crate) use listener::Listener;
pub(crate) use oauth::{Login, Oauth, OauthSettings};
pub(crate) use policies::Policies;
pub(crate) use text::{AnyJson, SecretText, Text};

use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// weir's configuration file.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "weir")]
pub(crate) struct File {
    /// Where clients connect.
    pub(crate) listener: Option<Listener>,
    /// The MCP servers behind weir by name: 1 to 64 letters, digits, `_`, `.` and `-`.
    pub(crate) backends: BTreeMap<String, Backend>,
    /// The virtual MCP servers that clients connect to, by name. Default: one named `default` at `/mcp` over
    /// all backends.
    pub(crate) endpoints: Option<BTreeMap<String, Endpoint>>,
    /// What holds for all backends that users connect.
    pub(crate) oauth: Option<OauthSettings>,
    /// What holds for every backend that does not say otherwise.
    pub(crate) defaults: Option<Defaults>,
    /// Bounds on sizes and counts at the front, over all endpoints.
    pub(crate) limits: Option<Limits>,
    /// Bounds on time at the front.
    pub(crate) timeouts: Option<Timeouts>,
}

/// What holds for every backend that does not say otherwise.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Defaults {
    /// Bounds on what a backend may send and how much it is asked at once.
    pub(crate) limits: Option<BackendLimits>,
    /// Bounds on the time that a backend may take.
    pub(crate) timeouts: Option<BackendTimeouts>,
}
