//! `backends`.

use super::{BackendLimits, BackendTimeouts, Credentials, SecretText, Text};
use crate::model::{EraSetting, SessionScope, StdioBackend};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// One MCP server behind weir: either `command` or `url` says how it is reached.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["command"] }, { "required": ["url"] }]))]
pub(crate) struct Backend {
    /// A program that speaks MCP on standard input and output, looked up in `PATH`; weir starts it.
    pub(crate) command: Option<String>,
    /// Arguments of `command`.
    pub(crate) args: Option<Vec<Text>>,
    /// Variables that `command` gets beside the inherited ones.
    pub(crate) env: Option<BTreeMap<String, SecretText>>,
    /// Working directory of `command`. A relative path starts at the configuration file's folder. Default:
    /// weir's own.
    pub(crate) cwd: Option<String>,
    /// The address of a server that speaks streamable HTTP: `http` or `https`, without user name and
    /// fragment.
    pub(crate) url: Option<String>,
    /// Headers sent to `url` with every request.
    pub(crate) headers: Option<BTreeMap<String, SecretText>>,
    /// What `url` is shown so that it answers. Default: nothing but `headers`.
    pub(crate) auth: Option<Credentials>,
    /// Headers of callers that are passed on to `url` with their calls, such as `x-request-id`. None that says who calls
    /// is ever passed on. Default: none.
    pub(crate) forward_headers: Option<Vec<String>>,
    /// PEM file of the certificate authorities to trust for `url` instead of the system's. A relative path
    /// starts at the configuration file's folder.
    pub(crate) ca: Option<String>,
    /// Speak HTTP/2 to `url`: negotiated for `https`, with prior knowledge for `http`. Default: `true` for
    /// `https`, `false` for `http`.
    pub(crate) http2: Option<bool>,
    /// Which era of MCP the server is spoken to in.
    #[schemars(extend("default" = EraSetting::default()))]
    pub(crate) era: Option<EraSetting>,
    /// Whom a session with the server belongs to. Default: `client` with `url`, `shared` with `command`.
    pub(crate) session: Option<SessionScope>,
    /// With `command` and `session: shared`: processes that the calls of clients which can be asked for input are
    /// dealt out to. Each runs one such call at a time; they are started when first needed.
    #[schemars(range(min = 1, max = 64), extend("default" = StdioBackend::INSTANCES))]
    pub(crate) instances: Option<usize>,
    /// Folders that the server is told it may work in, where it asks for none of a call's client or that client names
    /// none: `file:` URIs, alone or with a name. Default: none.
    pub(crate) roots: Option<Vec<Root>>,
    /// Bounds on what it may send and how much it is asked at once. Default: those of `defaults`.
    pub(crate) limits: Option<BackendLimits>,
    /// Bounds on the time that it may take. Default: those of `defaults`.
    pub(crate) timeouts: Option<BackendTimeouts>,
}

/// A folder or file that a server may work in: its URI alone, or with a name.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Root {
    /// The URI alone.
    Uri(String),
    /// The URI with a name.
    Table(RootTable),
}

/// A URI with a name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NamedRoot")]
pub(crate) struct RootTable {
    /// The `file:` URI.
    pub(crate) uri: String,
    /// What people call it.
    pub(crate) name: Option<String>,
}
