//! One virtual MCP server that clients connect to.

use super::Auth;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One virtual MCP server.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// Its configured name.
    pub name: String,
    /// The path that clients use, such as `/mcp`.
    pub path: String,
    /// How it finds out who calls.
    pub auth: Auth,
    /// Names of its backends, in order of precedence; each exists in `Config::backends`.
    pub backends: Vec<String>,
    /// What happens when two backends offer the same name.
    pub conflicts: Conflicts,
    /// Which tools are offered, by the name that clients see.
    pub tools: Filter,
    /// Which prompts are offered, by the name that clients see.
    pub prompts: Filter,
    /// Which resources and templates are offered, by URI or URI template.
    pub resources: Filter,
    /// Changes to single tools: backend → original tool name → change.
    pub tool_overrides: BTreeMap<String, BTreeMap<String, Override>>,
    /// Changes to single prompts: backend → original prompt name → change (`annotations` is always `None`).
    pub prompt_overrides: BTreeMap<String, BTreeMap<String, Override>>,
    /// For a resource URI that several backends list: their order. Default: the order of `backends`.
    pub resource_order: Vec<String>,
    /// Which URIs clients see. Default: the backends' own.
    pub resource_uris: Uris,
    /// What becomes of the icons of items. Default: they stay.
    pub icons: Icons,
    /// Most items in one page of a list. Default 1000.
    pub page_size: usize,
    /// Whether clients of HTTP+SSE find it at `PATH/sse`. Default yes.
    pub sse: bool,
    /// What callers may do. Absent: without authentication everything, with it nothing.
    pub policies: Option<super::Policies>,
    /// Told to clients as the server's instructions; absent: the backends' own, joined.
    pub instructions: Option<String>,
}

/// What happens when two backends offer the same tool or prompt name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflicts {
    /// Every name is written by this format, which holds `{backend}` once and may hold `{name}` once (at the
    /// end otherwise). No two backends of the endpoint may yield formats of which one is ambiguous with
    /// another.
    Prefix(String),
    /// The backend earlier in `Endpoint::backends` wins.
    Priority,
    /// Names must be made unique by overrides; what stays ambiguous is an error.
    Manual,
    /// Names as they are; what is ambiguous is refused and reported.
    None,
}

/// Which items are offered. A pattern is a glob with `*`, `?`, `[…]` and `{a,b}`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Filter {
    /// Patterns of which one must match; empty means all.
    pub allow: Vec<String>,
    /// Patterns of which none may match; stronger than `allow`.
    pub deny: Vec<String>,
}

/// What is changed of one tool or prompt.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Override {
    /// Leave it out.
    pub hide: bool,
    /// The exact name that clients see (no prefix is put before it).
    pub name: Option<String>,
    /// Replaces `title`.
    pub title: Option<String>,
    /// Replaces `description`.
    pub description: Option<String>,
    /// Members set in `annotations` (JSON object text by member: value is raw JSON).
    pub annotations: Option<BTreeMap<String, serde_json::Value>>,
    /// Words by which policies know it.
    pub tags: Vec<String>,
    /// Changes to single parameters of a tool or arguments of a prompt (whose `name` is always `None`), by its own name.
    pub parameters: BTreeMap<String, ParameterOverride>,
}

/// What is changed of one parameter of a tool or one argument of a prompt. `hide` and `value` stand alone or together; `default`, `name` and
/// `description` stand without them.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ParameterOverride {
    /// Clients neither see nor send it.
    pub hide: bool,
    /// Always sent, in place of the client.
    pub value: Option<Concealed>,
    /// Sent where the client leaves it out.
    pub default: Option<Concealed>,
    /// The name that clients see.
    pub name: Option<String>,
    /// Replaces `description`.
    pub description: Option<String>,
}

/// A JSON value that may hold a secret: `Debug` does not show it.
#[derive(Clone, PartialEq)]
pub struct Concealed(pub serde_json::Value);

impl std::fmt::Debug for Concealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Concealed(…)")
    }
}

/// Which URIs of resources clients see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Uris {
    /// The backends' own.
    #[default]
    Keep,
    /// With the backend before it: `weir+BACKEND:URI`.
    Prefix,
}

/// What becomes of icons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Icons {
    /// They stay as the backend wrote them.
    #[default]
    Keep,
    /// They are left out.
    Drop,
    /// weir fetches them from the backend's own origin and puts them into the lists.
    Inline,
}

impl Endpoint {
    /// An endpoint over backends, with every default.
    pub fn over(
        name: impl Into<String>,
        path: impl Into<String>,
        backends: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let backends: Vec<String> = backends.into_iter().map(Into::into).collect();
        Self {
            name: name.into(),
            path: path.into(),
            auth: Auth::default(),
            resource_order: backends.clone(),
            backends,
            conflicts: Conflicts::default(),
            tools: Filter::default(),
            prompts: Filter::default(),
            resources: Filter::default(),
            tool_overrides: BTreeMap::new(),
            prompt_overrides: BTreeMap::new(),
            resource_uris: Uris::default(),
            icons: Icons::default(),
            page_size: Self::PAGE_SIZE,
            sse: Self::SSE,
            policies: None,
            instructions: None,
        }
    }

    /// Where clients of HTTP+SSE open their stream, and where they post their messages. Whether they may is `sse`.
    pub fn sse_paths(&self) -> [String; 2] {
        let path = self.path.trim_end_matches('/');
        [format!("{path}/sse"), format!("{path}/messages")]
    }

    /// Default of `page_size`.
    pub(crate) const PAGE_SIZE: usize = 1000;
    /// Default of `sse`.
    pub(crate) const SSE: bool = true;
    /// Name of the endpoint of a file that has none.
    pub(crate) const NAME: &str = "default";
    /// Path of the endpoint of a file that has none.
    pub(crate) const PATH: &str = "/mcp";
}

impl Conflicts {
    /// Default of the format of names.
    pub(crate) const FORMAT: &str = "{backend}_";
}

impl Default for Conflicts {
    fn default() -> Self {
        Self::Prefix(Self::FORMAT.to_owned())
    }
}
