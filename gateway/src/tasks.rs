//! Tasks that servers carry calls out as: their ids as clients know them, and the way from such an id to its server.
//!
//! A client's id is the server's own, sealed with the backend and the tool that it belongs to, by either of its names, so that
//! weir keeps nothing of a task. It opens for the same principal at the same endpoint only, and is the same in everything that
//! is said of a task.
//! Tasks of legacy servers belong to a session besides, on either side of weir: an id opens in the client's session that it was
//! given in, and names the process or session of the server that the task lives in.
//!
//! S: the tasks extension of MCP 2026-07-28, `extensions/tasks`; 2025-11-25 `basic/utilities/tasks`.

mod ids;
mod watchers;

pub(crate) use ids::{Begun, Ids, unrelated};
pub(crate) use watchers::{TaskWatch, TaskWatchers, TaskWatches, follow, watch};

use crate::attached::Attached;
use crate::call::{Manner, Request, Routed};
use crate::catalog::{Catalog, Found, List};
use crate::decision::{self, Circumstances};
use crate::endpoint::Endpoint;
use crate::rescue::{self, Fault};
use crate::seal::{Purpose, Seal};
use ids::bound;
use std::sync::Arc;
use weir_backends::{Augment, Call, Input, SessionKey};
use weir_policies::{Action, ItemKind, Permit, Principal};
use weir_protocol::{ClientCapabilities, Era, Method, code, json};

/// A task whose server was found, and which the client may ask about.
struct Located {
    backend: Arc<Attached>,
    permit: Permit,
    /// The id that the server knows.
    inner: Arc<str>,
    /// Where a legacy server's task lives.
    home: u64,
    ids: Ids,
    /// What stands before the URIs of the backend's resources.
    uri_prefix: Option<Arc<str>>,
}

/// Finds the server of a task, of which `principal` wants to know under these circumstances. What is forged, another's, or of
/// a tool that is not there any more under its name is all unknown.
fn locate(
    endpoint: &Endpoint,
    catalog: &Catalog,
    seal: &Arc<Seal>,
    (principal, circumstances): (&Arc<Principal>, Circumstances),
    session: SessionKey,
    id: &str,
) -> Option<Located> {
    let plain = seal.open(Purpose::Task, id.as_bytes(), &bound(endpoint, principal, session))?;
    let (number, rest) = plain.split_first_chunk()?;
    let (tool, rest) = part(rest)?;
    let (original, rest) = part(rest)?;
    let (home, inner) = rest.split_first_chunk()?;
    let inner = std::str::from_utf8(inner).ok()?;
    let Found::Entry(entry) = catalog.named(List::Tools, tool) else {
        return None;
    };
    // By now the name may be another tool's, about which other things are decided.
    if *entry.original != *original {
        return None;
    }
    let backend = endpoint
        .backends
        .get(entry.backend)
        .filter(|backend| (backend.number as u64).to_be_bytes() == *number)?;
    // The arguments were decided about as the task was made.
    let item = decision::item(&endpoint.spec, ItemKind::Tool, entry);
    let context = circumstances.context();
    let permit = endpoint.policies.permit_again(principal, Action::CallTool, &item, &context).ok()?;
    let (inner, home) = (Arc::from(inner), u64::from_be_bytes(*home));
    let names = [tool, original];
    let ids = Ids::of_call(seal, endpoint, principal, session, backend.number, names).about(&inner, home);
    let uri_prefix = catalog.uri_prefix(entry.backend).cloned();
    Some(Located { backend: backend.clone(), permit, inner, home, ids, uri_prefix })
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
    if !offers(&catalog, manner) {
        return Err(rescue::unknown_method(request.circumstances.era, method.as_str()));
    }
    if request.circumstances.era == Era::Modern {
        declared(manner.capabilities)?;
    }
    let missing = || rescue::invalid_params("`params.taskId` must be a string");
    let params = request.envelope.params.as_ref().ok_or_else(missing)?;
    let span = params.task_id.ok_or_else(missing)?;
    let id = json::as_str(span.of(request.body)).ok_or_else(missing)?;
    let asker = (request.principal, request.circumstances);
    let located = locate(endpoint, &catalog, seal, asker, manner.session, &id);
    let located = located.ok_or_else(unknown)?;
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
        augment: Augment::No,
        home: (request.circumstances.era == Era::Legacy).then_some(located.home),
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

/// Whether the endpoint has tasks of the client's kind, and does this with them.
fn offers(catalog: &Catalog, manner: &Manner) -> bool {
    let (offers, legacy) = (&catalog.offers, &catalog.offers.legacy_tasks);
    match (manner.era(), manner.method) {
        (Era::Modern, _) => offers.tasks,
        (Era::Legacy, Method::TasksCancel) => manner.tasks && legacy.cancel,
        (Era::Legacy, _) => manner.tasks && legacy.calls,
    }
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
