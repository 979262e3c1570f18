//! What a server says of itself in `initialize` or `server/discover`.

use crate::{BackendError, Freshness, Message, Subject};
use tokio::time::Instant;
use weir_protocol::capabilities::{TASKS, UI};
use weir_protocol::{Era, Revision, json, meta};

/// How messages travel to a server and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// Standard input and output of a child process.
    Stdio,
    /// Streamable HTTP, of either era.
    Http,
    /// One event stream, and POSTs beside it (2024-11-05 `basic/transports` "HTTP with SSE").
    Sse,
}

impl Transport {
    /// Its name in logs and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}

/// What a legacy server does of tasks (2025-11-25 `basic/utilities/tasks` "Server Capabilities").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LegacyTasks {
    /// It carries out calls as tasks.
    pub calls: bool,
    /// It ends tasks that are no longer wanted.
    pub cancel: bool,
}

impl LegacyTasks {
    /// Reads `capabilities.tasks` of a server of `revision`. Ending tasks alone is nothing.
    fn read(tasks: Option<&serde_json::Value>, revision: Revision) -> Self {
        let has = |path: &[&str]| {
            let found = path.iter().try_fold(tasks?, |value, key| value.get(key))?;
            found.is_object().then_some(())
        };
        let calls = revision == Revision::V2025_11_25 && has(&["requests", "tools", "call"]).is_some();
        Self { calls, cancel: calls && has(&["cancel"]).is_some() }
    }
}

/// What a server offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Features {
    /// The revision it is spoken to in.
    pub revision: Revision,
    /// How it is reached.
    pub transport: Transport,
    /// It has tools.
    pub tools: bool,
    /// It has prompts.
    pub prompts: bool,
    /// It has resources.
    pub resources: bool,
    /// It sends updates of resources to whoever subscribes to them.
    pub subscribe: bool,
    /// It sends log messages.
    pub logging: bool,
    /// It completes arguments.
    pub completions: bool,
    /// It carries out calls as tasks, for clients that speak the extension.
    pub tasks: bool,
    /// The same of 2025-11-25.
    pub legacy_tasks: LegacyTasks,
    /// It has user interfaces, for clients that speak the extension.
    pub interfaces: bool,
    /// Its instructions to the model.
    pub instructions: Option<String>,
    /// The name and version that it gives itself, of at most 128 characters, for people to read.
    pub server: Option<String>,
    /// How long all this is good, where a modern server says so.
    pub freshness: Freshness,
}

impl Features {
    /// Those of a server of `revision` over HTTP that offers nothing.
    pub const fn bare(revision: Revision) -> Self {
        Self {
            revision,
            transport: Transport::Http,
            tools: false,
            prompts: false,
            resources: false,
            subscribe: false,
            logging: false,
            completions: false,
            tasks: false,
            legacy_tasks: LegacyTasks { calls: false, cancel: false },
            interfaces: false,
            instructions: None,
            server: None,
            freshness: Freshness::STALE,
        }
    }

    /// Reads the answer to `initialize`.
    pub(crate) fn of_initialize(answer: &Message) -> Result<Self, BackendError> {
        let head = result_of(answer, "initialize")?;
        let named = head.protocol_version.and_then(|member| json::as_str(member.value.of(&answer.body)));
        let revision = named
            .as_deref()
            .and_then(Revision::parse)
            .filter(|revision| revision.era() == Era::Legacy)
            .ok_or_else(|| {
                BackendError::Protocol(format!("initialize answered revision {named:?}, not a legacy one"))
            })?;
        Self::read(answer, revision)
    }

    /// Reads the answer to `server/discover`; `None` where the server names no modern revision that weir speaks.
    pub(crate) fn of_discover(answer: &Message) -> Option<Self> {
        let head = answer.envelope.result.as_ref()?;
        let versions: Vec<String> =
            serde_json::from_slice(head.supported_versions?.value.of(&answer.body)).ok()?;
        versions.iter().any(|version| version == Revision::LATEST.as_str()).then_some(())?;
        Self::read(answer, Revision::LATEST).ok()
    }

    /// Whether updates of `subject` may be asked for. A modern server says so resource by resource, and task by task.
    pub(crate) fn can_subscribe(&self, subject: &Subject) -> Result<(), BackendError> {
        match (subject, self.revision.era()) {
            (Subject::Resource(_), Era::Legacy) if !self.subscribe => {
                Err(BackendError::Unsupported("updates of its resources"))
            }
            (Subject::Task(_), _) if !self.tasks => Err(BackendError::Unsupported("updates of its tasks")),
            _ => Ok(()),
        }
    }

    fn read(answer: &Message, revision: Revision) -> Result<Self, BackendError> {
        let head = result_of(answer, "the handshake")?;
        let capabilities: serde_json::Map<String, serde_json::Value> = match head.capabilities {
            Some(member) => serde_json::from_slice(member.value.of(&answer.body)).map_err(|error| {
                BackendError::Protocol(format!("capabilities are not an object: {error}"))
            })?,
            None => serde_json::Map::new(),
        };
        let has = |key: &str| capabilities.get(key).is_some_and(serde_json::Value::is_object);
        let extensions = capabilities.get("extensions").and_then(serde_json::Value::as_object);
        let speaks =
            |name: &str| extensions.and_then(|all| all.get(name)).is_some_and(serde_json::Value::is_object);
        let instructions = head
            .instructions
            .and_then(|member| json::as_str(member.value.of(&answer.body)))
            .map(|text| text.into_owned());
        Ok(Self {
            tools: has("tools"),
            prompts: has("prompts"),
            resources: has("resources"),
            subscribe: capabilities
                .get("resources")
                .and_then(|resources| resources.get("subscribe"))
                .is_some_and(|subscribe| subscribe == true),
            logging: has("logging"),
            completions: has("completions"),
            tasks: speaks(TASKS) && revision.era() == Era::Modern,
            legacy_tasks: LegacyTasks::read(capabilities.get("tasks"), revision),
            interfaces: speaks(UI),
            instructions,
            server: server(answer),
            freshness: match revision.era() {
                Era::Modern => Freshness::of(head.hint(&answer.body), Instant::now()),
                Era::Legacy => Freshness::STALE,
            },
            ..Self::bare(revision)
        })
    }
}

/// What a server calls itself: `serverInfo` of `initialize`, or the same in `_meta` of a modern result.
fn server(answer: &Message) -> Option<String> {
    let message: serde_json::Value = serde_json::from_slice(&answer.body).ok()?;
    let result = message.get("result")?;
    let info = result.get("serverInfo").or_else(|| result.get("_meta")?.get(meta::SERVER_INFO))?;
    let text = |key: &str| info.get(key).and_then(serde_json::Value::as_str);
    let named = [text("name")?, text("version").unwrap_or_default()].join(" ");
    Some(named.trim().chars().filter(|letter| !letter.is_control()).take(128).collect())
}

/// The head of a result; an error answer becomes an error that says so.
pub(crate) fn result_of<'a>(
    answer: &'a Message,
    method: &'static str,
) -> Result<&'a weir_protocol::ResultHead, BackendError> {
    match (&answer.envelope.result, answer.envelope.error) {
        (Some(head), _) => Ok(&**head),
        (None, Some(span)) => {
            let error: serde_json::Value = serde_json::from_slice(span.of(&answer.body)).unwrap_or_default();
            let text = error.get("message").and_then(serde_json::Value::as_str).unwrap_or_default();
            let message = text.chars().filter(|letter| !letter.is_control()).take(300).collect();
            let code = error.get("code").and_then(serde_json::Value::as_i64).unwrap_or_default();
            Err(BackendError::Answered { method, code, message })
        }
        (None, None) => Err(BackendError::Protocol(format!("no answer to {method}"))),
    }
}
