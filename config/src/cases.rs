//! A file of calls and of what is to come of them: tests of policies.

use crate::diagnostic::ConfigErrors;
use crate::environment::Environment;
use crate::expansion::{self, Dialect, Expander, resolve};
use crate::file::AnyJson;
use crate::report::{Finding, Report};
use crate::shape::Shape;
use crate::tree::{self, Path, Place};
use crate::{load, moment, schema};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::SystemTime;

/// Largest file, in bytes.
const LARGEST: u64 = 4 << 20;

/// Calls, and what is to come of them.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyCases {
    /// The configuration whose policies are tried.
    pub config: PathBuf,
    /// The endpoint, where there is more than one.
    pub endpoint: Option<String>,
    /// The tools as the endpoint lists them, as JSON.
    pub tools: Option<PathBuf>,
    /// The calls, in the order of the file.
    pub cases: Vec<PolicyCase>,
}

/// One call, and what is to come of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PolicyCase {
    /// What it is called; default: its number.
    pub name: String,
    /// The line where it stands.
    pub line: usize,
    /// The caller's claims; nobody's, where the caller is anonymous.
    pub claims: Option<Map<String, Value>>,
    /// What is called.
    pub item: PolicyCaseItem,
    /// What is done with it, by its name in policies; absent: what is usual.
    pub action: Option<String>,
    /// The backend that has it, by its configured name.
    pub backend: Option<String>,
    /// What its backend calls it.
    pub original: Option<String>,
    /// Its tags.
    pub tags: Vec<String>,
    /// What the tool says of itself, where no list of tools does.
    pub annotations: Map<String, Value>,
    /// The arguments.
    pub arguments: Option<Value>,
    /// Where the caller connects from.
    pub address: Option<IpAddr>,
    /// The caller's client is one of an older revision.
    pub legacy: bool,
    /// When; now, where it is not said.
    pub time: Option<SystemTime>,
    /// The call is made again with what its server asked for.
    pub retry: bool,
    /// Whether it is to be allowed.
    pub allowed: bool,
    /// The policies that are to deny it.
    pub by: Option<Vec<String>>,
    /// Whether lists are to show it.
    pub visible: Option<bool>,
}

/// What is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyCaseItem {
    /// A tool, by the name that clients see.
    Tool(String),
    /// A prompt, by the name that clients see.
    Prompt(String),
    /// A resource, by the URI that clients see.
    Resource(String),
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct File {
    config: String,
    endpoint: Option<String>,
    tools: Option<String>,
    cases: Vec<Case>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Case {
    name: Option<String>,
    #[serde(rename = "as")]
    caller: Option<AnyJson>,
    tool: Option<String>,
    prompt: Option<String>,
    resource: Option<String>,
    action: Option<String>,
    backend: Option<String>,
    original: Option<String>,
    tags: Option<Vec<String>>,
    annotations: Option<AnyJson>,
    arguments: Option<AnyJson>,
    address: Option<String>,
    era: Option<CaseEra>,
    time: Option<String>,
    retry: Option<bool>,
    expect: Expected,
    by: Option<Vec<String>>,
    visible: Option<bool>,
}

#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Expected {
    Allow,
    Deny,
}

#[derive(Clone, Copy, PartialEq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum CaseEra {
    Legacy,
    Modern,
}

/// Reads a file of cases, in YAML.
///
/// # Errors
/// Everything that is wrong with it, with its place.
pub fn policy_cases(
    path: &std::path::Path,
    environment: &dyn Environment,
) -> Result<PolicyCases, ConfigErrors> {
    let mut report = Report::new(path.to_owned());
    let text = expansion::read(path, LARGEST).unwrap_or_else(|problem| {
        let message = format!("cannot read the cases: {problem}");
        report.error(Finding::new(Place::START, &Path::default(), message));
        String::new()
    });
    let mut cases = None;
    if !report.has_errors() {
        let root = tree::parse(&text, &mut report);
        let folder = path.parent().map_or_else(PathBuf::new, std::path::Path::to_owned);
        let mut expander =
            Expander { environment, folder: folder.clone(), dialect: Dialect::Weir, files: Vec::new() };
        if let Some(root) = &root {
            let shape = Shape::of(&schema::raw::<File>());
            let file: Option<File> = load::typed(root, &shape, &mut expander, &mut report);
            cases = file.map(|file| checked(file, root, &folder, &mut report));
        }
        if let (Some(cases), false) = (cases, report.has_errors()) {
            return Ok(cases);
        }
        return Err(ConfigErrors(report.render(&text, root.as_ref()).0));
    }
    Err(ConfigErrors(report.render("", None).0))
}

fn checked(file: File, root: &tree::Node, folder: &std::path::Path, report: &mut Report) -> PolicyCases {
    let mut cases = Vec::new();
    for (index, case) in file.cases.into_iter().enumerate() {
        let here = Path::root("cases").index(index);
        let mut wrong = |key: &str, message: &str| {
            let here = if key.is_empty() { here.clone() } else { here.key(key) };
            report.error(Finding::new(root.locate(&here), &here, message));
        };
        let object = |json: Option<AnyJson>| match json.map(|json| json.0) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(members)) => Ok(Some(members)),
            Some(_) => Err("a mapping is wanted here"),
        };
        let items = [
            case.tool.map(PolicyCaseItem::Tool),
            case.prompt.map(PolicyCaseItem::Prompt),
            case.resource.map(PolicyCaseItem::Resource),
        ];
        let mut items: Vec<PolicyCaseItem> = items.into_iter().flatten().collect();
        if items.len() != 1 {
            wrong("", "a case names one of `tool`, `prompt` and `resource`");
        }
        let claims = object(case.caller).unwrap_or_else(|problem| {
            wrong("as", problem);
            None
        });
        let annotations = object(case.annotations).unwrap_or_else(|problem| {
            wrong("annotations", problem);
            None
        });
        let address = case.address.map(|text| text.parse());
        if matches!(address, Some(Err(_))) {
            wrong("address", "not an address");
        }
        let time = case.time.as_deref().map(moment::parse);
        if time == Some(None) {
            wrong("time", "a time in UTC is wanted, such as 2027-01-31T12:00:00Z, or a day");
        }
        cases.extend(items.pop().map(|item| PolicyCase {
            name: case.name.unwrap_or_else(|| format!("case {}", index + 1)),
            line: root.locate(&here).line,
            claims,
            item,
            action: case.action,
            backend: case.backend,
            original: case.original,
            tags: case.tags.unwrap_or_default(),
            annotations: annotations.unwrap_or_default(),
            arguments: case.arguments.map(|json| json.0),
            address: address.and_then(Result::ok),
            legacy: case.era == Some(CaseEra::Legacy),
            time: time.flatten(),
            retry: case.retry.unwrap_or_default(),
            allowed: case.expect == Expected::Allow,
            by: case.by,
            visible: case.visible,
        }));
    }
    PolicyCases {
        config: resolve(folder, &file.config),
        endpoint: file.endpoint,
        tools: file.tools.map(|tools| resolve(folder, &tools)),
        cases,
    }
}
