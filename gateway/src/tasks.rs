//! Tasks that servers carry calls out as: their ids as clients know them, and the way from such an id to its server.
//!
//! A client's id is the server's own, sealed with the backend and the tool that it belongs to, so that weir keeps nothing of
//! a task. It opens for the same principal at the same endpoint only, and is the same in everything that is said of a task.
//!
//! S: the tasks extension of MCP 2026-07-28, `extensions/tasks`.

mod watchers;

pub(crate) use watchers::{TaskWatch, TaskWatchers, watch};

use crate::attached::Attached;
use crate::call::{Request, Routed};
use crate::catalog::{Catalog, Found, List};
use crate::decision;
use crate::endpoint::Endpoint;
use crate::rescue::{self, Fault};
use crate::seal::{Purpose, Seal, identity};
use std::sync::Arc;
use weir_backends::{BackendError, Call, Input, Message};
use weir_policies::{Action, ItemKind, Permit, Principal};
use weir_protocol::{ClientCapabilities, Era, Method, Splice, code, json};

/// The longest id of a server's own, in bytes. Clients send theirs, which is longer, as a header.
const LONGEST: usize = 1024;

/// What the seal of an id is bound to: who may use it, and where.
fn bound(endpoint: &Endpoint, principal: &Principal) -> Vec<u8> {
    [&(endpoint.number as u64).to_be_bytes()[..], &identity(principal)].concat()
}

/// Writes the ids of one backend's tasks as one client knows them.
#[derive(Debug, Clone)]
pub(crate) struct Ids {
    seal: Arc<Seal>,
    bound: Vec<u8>,
    /// What is sealed before the id.
    owner: Vec<u8>,
    /// The id that is asked about; `None` where the call may become a task.
    asked: Option<Arc<str>>,
}

impl Ids {
    /// For what may come of a call of `tool`, the name that clients know.
    pub(crate) fn of_call(
        seal: &Arc<Seal>,
        endpoint: &Endpoint,
        principal: &Principal,
        backend: usize,
        tool: &str,
    ) -> Self {
        let mut owner = Vec::with_capacity(10 + tool.len());
        // A reload may give the name of a backend to another, but not its number.
        owner.extend_from_slice(&(backend as u64).to_be_bytes());
        // Names are far shorter; one that is cut leads nowhere.
        owner.extend_from_slice(&u16::try_from(tool.len()).unwrap_or(u16::MAX).to_be_bytes());
        owner.extend_from_slice(tool.as_bytes());
        Self { seal: seal.clone(), bound: bound(endpoint, principal), owner, asked: None }
    }

    fn of(&self, inner: &str) -> Result<String, BackendError> {
        if inner.is_empty() || inner.len() > LONGEST {
            return Err(BackendError::Protocol("the id of its task is empty or too long".to_owned()));
        }
        let plain = [&self.owner[..], inner.as_bytes()].concat();
        self.seal
            .seal_alike(Purpose::Task, &plain, &self.bound)
            .map_err(|error| BackendError::Protocol(format!("the id of its task cannot be sealed: {error}")))
    }

    /// Puts the client's id in place of the backend's. What answers a question about one task is about no other.
    ///
    /// # Errors
    /// A task that was made has no id, or the answer is about another task.
    pub(crate) fn put(
        &self,
        splice: &mut Splice<'_>,
        message: &Message,
        made: bool,
    ) -> Result<(), BackendError> {
        let Some(head) = &message.envelope.result else {
            return Ok(());
        };
        match (&self.asked, head.task_id) {
            (None, _) if !made => Ok(()),
            (Some(_), None) if !made => Ok(()),
            (asked, Some(member)) => {
                let inner = json::as_str(member.value.of(&message.body));
                let inner = inner.filter(|inner| asked.as_ref().is_none_or(|asked| **asked == **inner));
                let inner = inner
                    .ok_or_else(|| BackendError::Protocol("it answers about another task".to_owned()))?;
                splice.replace(member.value, json::string(&self.of(&inner)?));
                if asked.is_some() && made {
                    // What the extension wants to be said of an answer about a task; some servers repeat the other.
                    if let Some(kind) = head.result_type {
                        splice.replace(kind.value, &b"\"complete\""[..]);
                    }
                }
                Ok(())
            }
            (_, None) => Err(BackendError::Protocol("it made a task without an id".to_owned())),
        }
    }
}

/// A task whose server was found, and which the client may ask about.
struct Located {
    backend: Arc<Attached>,
    permit: Permit,
    /// The id that the server knows.
    inner: Arc<str>,
    ids: Ids,
    /// What stands before the URIs of the backend's resources.
    uri_prefix: Option<Arc<str>>,
}

/// Finds the server of a task. What is forged, another's, or of a tool that is not there any more is all unknown.
fn locate(
    endpoint: &Endpoint,
    catalog: &Catalog,
    seal: &Arc<Seal>,
    principal: &Arc<Principal>,
    id: &str,
) -> Option<Located> {
    let plain = seal.open(Purpose::Task, id.as_bytes(), &bound(endpoint, principal))?;
    let (number, rest) = plain.split_first_chunk()?;
    let (tool, inner) = part(rest)?;
    let inner = std::str::from_utf8(inner).ok()?;
    let Found::Entry(entry) = catalog.named(List::Tools, tool) else {
        return None;
    };
    let backend = endpoint
        .backends
        .get(entry.backend)
        .filter(|backend| (backend.number as u64).to_be_bytes() == *number)?;
    // The arguments were decided about as the task was made.
    let item = decision::item(&endpoint.spec, ItemKind::Tool, entry);
    let permit = endpoint.policies.permit_again(principal, Action::CallTool, &item).ok()?;
    let mut ids = Ids::of_call(seal, endpoint, principal, backend.number, tool);
    let inner: Arc<str> = inner.into();
    ids.asked = Some(inner.clone());
    let uri_prefix = catalog.uri_prefix(entry.backend).cloned();
    Some(Located { backend: backend.clone(), permit, inner, ids, uri_prefix })
}

/// A text with its length before it, and what follows.
fn part(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
    Some((std::str::from_utf8(text).ok()?, rest))
}

/// Finds the server of the task that a request is about, and decides whether the client may ask.
pub(crate) fn route(endpoint: &Endpoint, seal: &Arc<Seal>, request: Request<'_>) -> Result<Routed, Fault> {
    let catalog = endpoint.catalog();
    let (method, manner) = (request.manner.method, request.manner);
    if !catalog.offers.tasks {
        return Err(rescue::unknown_method(request.circumstances.era, method.as_str()));
    }
    declared(manner.capabilities)?;
    let missing = || rescue::invalid_params("`params.taskId` must be a string");
    let params = request.envelope.params.as_ref().ok_or_else(missing)?;
    let span = params.task_id.ok_or_else(missing)?;
    let id = json::as_str(span.of(request.body)).ok_or_else(missing)?;
    let located = locate(endpoint, &catalog, seal, request.principal, &id).ok_or_else(unknown)?;
    let responses = params.input_responses.filter(|_| method == Method::TasksUpdate);
    let responses = responses.map(|span| request.body.slice(span.start()..span.end()));
    let call = Box::new(Call {
        passed_on: Vec::new(),
        target: Some(located.inner.clone()),
        rename: Some((span, json::string(&located.inner).into())),
        arguments: None,
        mirrors: None,
        session: manner.session,
        // Answers to what was answered already are ignored, but an answer is not for weir to repeat.
        repeatable: method != Method::TasksUpdate,
        logs: manner.logs,
        capabilities: manner.capabilities,
        input: responses
            .map(|responses| Box::new(Input { responses: Some(responses), state: None, asked: true })),
        body: request.body.clone(),
        envelope: request.envelope.clone(),
        meta: request.meta.cloned(),
        method,
    });
    Ok(Routed {
        backend: located.backend,
        permit: located.permit,
        call,
        mirrors: None,
        uri_prefix: located.uri_prefix,
        tasks: Some(Box::new(located.ids)),
    })
}

/// Refuses a client that does not say that it knows what tasks are.
pub(crate) fn declared(capabilities: ClientCapabilities) -> Result<(), Fault> {
    if capabilities.has(ClientCapabilities::TASKS) {
        return Ok(());
    }
    let data = format!(r#"{{"requiredCapabilities":{}}}"#, ClientCapabilities::TASKS.write());
    let fault = Fault::new(400, code::MISSING_CAPABILITY, "the client does not declare the tasks extension");
    Err(Fault { data: Some(data.into()), ..fault })
}

fn unknown() -> Fault {
    rescue::invalid_params("unknown task")
}

/// Whether a client of `era` with these capabilities may be given a task instead of a result.
pub(crate) fn may_become(era: Era, method: Method, capabilities: ClientCapabilities) -> bool {
    era == Era::Modern && method == Method::ToolsCall && capabilities.has(ClientCapabilities::TASKS)
}
