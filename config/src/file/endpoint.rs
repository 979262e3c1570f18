//! `endpoints`.

use super::{AnyJson, Auth, Policies, SecretText};
use crate::model::{self, Icons, Uris};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One virtual MCP server that clients connect to.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    /// The path that clients use, such as `/mcp`.
    pub(crate) path: String,
    /// How the endpoint finds out who calls. Default: it asks for nothing, and everybody is the anonymous caller.
    pub(crate) auth: Option<Auth>,
    /// Names of its backends, in order of precedence. Default: all, in the order of the file.
    pub(crate) backends: Option<Vec<String>>,
    /// What happens when two backends offer the same tool or prompt name.
    #[schemars(extend("default" = Strategy::default()))]
    pub(crate) conflicts: Option<Conflicts>,
    /// Which tools are offered, and how.
    pub(crate) tools: Option<Tools>,
    /// Which prompts are offered, and how.
    pub(crate) prompts: Option<Prompts>,
    /// Which resources and resource templates are offered.
    pub(crate) resources: Option<Resources>,
    /// Most items in one page of a list.
    #[schemars(range(min = 1, max = 100_000), extend("default" = model::Endpoint::PAGE_SIZE))]
    pub(crate) page_size: Option<usize>,
    /// Whether clients that speak HTTP+SSE, the transport of 2024-11-05, find the endpoint at its path and `/sse`.
    #[schemars(extend("default" = model::Endpoint::SSE))]
    pub(crate) sse: Option<bool>,
    /// What becomes of the icons of tools, prompts, resources and templates.
    #[schemars(extend("default" = Icons::default()))]
    pub(crate) icons: Option<Icons>,
    /// What callers may do, in the policy language Cedar. Default: without authentication everything, with it nothing.
    pub(crate) policies: Option<Policies>,
    /// Told to clients as the server's instructions. Default: the backends' own, joined.
    pub(crate) instructions: Option<String>,
}

/// What happens when two backends offer the same name: a strategy alone, or with its options.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Conflicts {
    /// The strategy alone.
    Strategy(Strategy),
    /// The strategy with its options.
    Table(ConflictsTable),
}

/// A strategy with its options.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ConflictsOptions")]
pub(crate) struct ConflictsTable {
    /// What happens when two backends offer the same name.
    #[schemars(extend("default" = Strategy::default()))]
    pub(crate) strategy: Option<Strategy>,
    /// With `prefix`: how names are written. Holds `{backend}` once and `{name}` at most once; without it,
    /// the name comes last.
    #[schemars(extend("default" = model::Conflicts::FORMAT))]
    pub(crate) format: Option<String>,
}

/// What happens when two backends offer the same name.
#[derive(Clone, Copy, PartialEq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Strategy {
    /// Every name is written with its backend's.
    #[default]
    Prefix,
    /// The backend that comes earlier wins.
    Priority,
    /// Overrides must make names unique; what stays ambiguous is an error.
    Manual,
    /// Names stay as they are; what is ambiguous is refused and reported.
    None,
}

/// Which tools are offered, and how.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tools {
    /// Patterns of names that clients see, with `*`, `?`, `[…]` and `{a,b}`; one must match. Default: all.
    pub(crate) allow: Option<Vec<String>>,
    /// Patterns of names that clients see, of which none may match; stronger than `allow`.
    pub(crate) deny: Option<Vec<String>>,
    /// Changes to single tools: backend, then the tool's own name, then the change.
    #[schemars(extend("x-keys" = ["backend", "tool"]))]
    pub(crate) overrides: Option<Overrides<ToolOverride>>,
}

/// Which prompts are offered, and how.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prompts {
    /// Patterns of names that clients see, with `*`, `?`, `[…]` and `{a,b}`; one must match. Default: all.
    pub(crate) allow: Option<Vec<String>>,
    /// Patterns of names that clients see, of which none may match; stronger than `allow`.
    pub(crate) deny: Option<Vec<String>>,
    /// Changes to single prompts: backend, then the prompt's own name, then the change.
    #[schemars(extend("x-keys" = ["backend", "prompt"]))]
    pub(crate) overrides: Option<Overrides<PromptOverride>>,
}

/// Which resources and resource templates are offered.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Resources {
    /// Patterns of URIs and URI templates, with `*`, `?`, `[…]` and `{a,b}`; one must match. Default: all.
    pub(crate) allow: Option<Vec<String>>,
    /// Patterns of URIs and URI templates, of which none may match; stronger than `allow`.
    pub(crate) deny: Option<Vec<String>>,
    /// Which backend serves a URI that several list: the earlier one here. Backends that are not named come
    /// after. Default: the order of `backends`.
    pub(crate) order: Option<Vec<String>>,
    /// Which URIs clients see.
    #[schemars(extend("default" = Uris::default()))]
    pub(crate) uris: Option<Uris>,
}

/// What is changed of one tool.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ToolOverride {
    /// Leave it out.
    #[schemars(extend("default" = model::Override::default().hide))]
    pub(crate) hide: Option<bool>,
    /// The exact name that clients see; no prefix is put before it.
    pub(crate) name: Option<String>,
    /// Replaces the title.
    pub(crate) title: Option<String>,
    /// Replaces the description.
    pub(crate) description: Option<String>,
    /// Members set in the tool's annotations, such as `readOnlyHint: true`.
    pub(crate) annotations: Option<BTreeMap<String, serde_json::Value>>,
    /// Words by which policies know the tool: `resource.tags.contains("billing")`. Clients do not see them, and a backend
    /// cannot set them.
    pub(crate) tags: Option<Vec<String>>,
    /// Changes to single parameters, by the parameter's own name.
    #[schemars(extend("x-keys" = ["parameter"]))]
    pub(crate) parameters: Option<BTreeMap<String, ParameterOverride>>,
}

/// What is changed of one parameter of a tool.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParameterOverride {
    /// Clients do not see it and may not send it. The tool must do without it, or `value` gives its value.
    #[schemars(extend("default" = false))]
    pub(crate) hide: Option<bool>,
    /// Always sent with this value; clients do not see it and may not send it.
    pub(crate) value: Option<AnyJson>,
    /// Sent with this value where the client leaves it out; clients see it as optional, with this default.
    pub(crate) default: Option<AnyJson>,
    /// The name that clients see.
    pub(crate) name: Option<String>,
    /// Replaces the description.
    pub(crate) description: Option<String>,
}

/// What is changed of one prompt.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PromptOverride {
    /// Leave it out.
    #[schemars(extend("default" = model::Override::default().hide))]
    pub(crate) hide: Option<bool>,
    /// The exact name that clients see; no prefix is put before it.
    pub(crate) name: Option<String>,
    /// Replaces the title.
    pub(crate) title: Option<String>,
    /// Replaces the description.
    pub(crate) description: Option<String>,
    /// Words by which policies know the prompt: `resource.tags.contains("billing")`. Clients do not see them, and a
    /// backend cannot set them.
    pub(crate) tags: Option<Vec<String>>,
    /// Changes to single arguments, by the argument's own name.
    #[schemars(extend("x-keys" = ["argument"]))]
    pub(crate) arguments: Option<BTreeMap<String, ArgumentOverride>>,
}

/// What is changed of one argument of a prompt.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ArgumentOverride {
    /// Clients do not see it and may not send it. The prompt must do without it, or `value` gives its value.
    #[schemars(extend("default" = false))]
    pub(crate) hide: Option<bool>,
    /// Always sent with this value; clients do not see it and may not send it.
    pub(crate) value: Option<SecretText>,
    /// Sent with this value where the client leaves it out; clients see it as optional.
    pub(crate) default: Option<SecretText>,
    /// Replaces the description.
    pub(crate) description: Option<String>,
}

/// An override of either kind as the model has it.
pub(crate) trait Override {
    /// The key of changes to single parameters.
    const PARAMETERS: &str;

    fn into_model(self) -> model::Override;
}

impl Override for ToolOverride {
    const PARAMETERS: &str = "parameters";

    fn into_model(self) -> model::Override {
        let Self { hide, name, title, description, annotations, tags, parameters } = self;
        let (hide, tags) = (hide.unwrap_or_default(), tags.unwrap_or_default());
        let parameters =
            parameters.unwrap_or_default().into_iter().map(|(name, change)| (name, change.into())).collect();
        model::Override { hide, name, title, description, annotations, tags, parameters }
    }
}

impl Override for PromptOverride {
    const PARAMETERS: &str = "arguments";

    fn into_model(self) -> model::Override {
        let Self { hide, name, title, description, tags, arguments } = self;
        let (hide, tags) = (hide.unwrap_or_default(), tags.unwrap_or_default());
        let parameters =
            arguments.unwrap_or_default().into_iter().map(|(name, change)| (name, change.into())).collect();
        model::Override { hide, name, title, description, tags, parameters, annotations: None }
    }
}

impl From<ParameterOverride> for model::ParameterOverride {
    fn from(written: ParameterOverride) -> Self {
        let ParameterOverride { hide, value, default, name, description } = written;
        let conceal = |value: Option<AnyJson>| value.map(|AnyJson(value)| model::Concealed(value));
        Self {
            hide: hide.unwrap_or_default(),
            value: conceal(value),
            default: conceal(default),
            name,
            description,
        }
    }
}

impl From<ArgumentOverride> for model::ParameterOverride {
    fn from(written: ArgumentOverride) -> Self {
        let ArgumentOverride { hide, value, default, description } = written;
        let conceal =
            |value: Option<SecretText>| value.map(|SecretText(text)| model::Concealed(text.expose().into()));
        Self {
            hide: hide.unwrap_or_default(),
            value: conceal(value),
            default: conceal(default),
            name: None,
            description,
        }
    }
}

/// Overrides by backend and original name.
pub(crate) type Overrides<T> = BTreeMap<String, BTreeMap<String, T>>;
