//! From a client's request to an allowed call on the backend that owns what it names. Knows no era and no HTTP.

use crate::attached::Attached;
use crate::catalog::{Catalog, Entry, Found};
use crate::decision::{Circumstances, Wanted};
use crate::endpoint::Endpoint;
use crate::lead::Lead;
use crate::rescue::{self, Fault};
use crate::seal::Seal;
use crate::tasks;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use weir_backends::{Augment, Call, Input, SessionKey};
use weir_policies::{Action, Denied, Permit, Principal};
use weir_protocol::item::TaskSupport;
use weir_protocol::object::Object;
use weir_protocol::parameters::Parameters;
use weir_protocol::{
    ClientCapabilities, Envelope, Era, Logs, Meta, Method, Mirrors, Params, Span, code, json,
};

/// The longest URI that may be watched, in bytes: it is kept as long as it is watched.
const LONGEST_WATCHED: usize = 2048;

/// A call that may be sent.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) backend: Arc<Attached>,
    pub(crate) permit: Permit,
    pub(crate) call: Box<Call>,
    /// The arguments that the client has to mirror in headers, where its dialect has such.
    pub(crate) mirrors: Option<Arc<Mirrors>>,
    /// What stands before the URIs in the answer, as clients see them.
    pub(crate) uri_prefix: Option<Arc<str>>,
    /// How ids of tasks in the answer are written; `None` where there can be none.
    pub(crate) tasks: Option<Box<tasks::Ids>>,
}

/// A resource whose updates may be asked for.
#[derive(Debug)]
pub(crate) struct Watchable {
    /// Its owner.
    pub(crate) backend: Arc<Attached>,
    pub(crate) permit: Permit,
    /// The URI that the owner knows.
    pub(crate) uri: Arc<str>,
}

/// Finds the owner of a resource and decides whether it may be watched.
pub(crate) fn watchable(
    endpoint: &Endpoint,
    circumstances: Circumstances,
    principal: &Arc<Principal>,
    uri: &str,
) -> Result<Watchable, Fault> {
    if uri.len() > LONGEST_WATCHED {
        let message = format!("`params.uri` is longer than the {LONGEST_WATCHED} bytes that may be watched");
        return Err(rescue::invalid_params(message));
    }
    let catalog = endpoint.catalog();
    let unknown = || rescue::no_resource(circumstances.era, uri);
    let lead = Lead::resource(&catalog, uri).map_err(|_| unknown())?;
    let backend = endpoint.backends.get(lead.owner()).cloned().ok_or_else(ownerless)?;
    let wanted = Wanted {
        spec: &endpoint.spec,
        policies: &endpoint.policies,
        catalog: &catalog,
        action: Action::SubscribeResource,
        lead,
        written: uri,
        sent: None,
    };
    let permit = wanted.permit(principal, circumstances.context());
    let permit = permit.map_err(|denied| refused(endpoint, &denied, unknown))?;
    let uri = match lead {
        Lead::Resource(entry) => entry.original.clone(),
        _ => lead.original(&catalog, uri).into(),
    };
    Ok(Watchable { backend, permit, uri })
}

/// Whether a server may ask for input while it carries out a request (2026-07-28 `basic/patterns/mrtr`).
pub(crate) const fn takes_input(method: Method) -> bool {
    matches!(method, Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead)
}

fn ownerless() -> Fault {
    Fault::new(200, code::INTERNAL_ERROR, "the owner of this item is gone")
}

/// A client's request, read.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) body: &'a Bytes,
    pub(crate) envelope: &'a Envelope,
    pub(crate) meta: Option<&'a Meta>,
    pub(crate) circumstances: Circumstances,
    pub(crate) principal: &'a Arc<Principal>,
    pub(crate) manner: &'a Manner,
    /// How long the client may take in all for what it is asked.
    pub(crate) inputs: Duration,
    /// What a modern backend asked for, where the call is made again with it.
    pub(crate) input: Option<Box<Input>>,
}

/// A server is asked to keep what weir fetches for so much longer than the call may last.
const MARGIN: Duration = Duration::from_secs(60);

/// In what manner a client calls: what its era, its session and its connection make of a call.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    pub(crate) method: Method,
    /// The result carries caching hints in the modern era.
    pub(crate) cacheable: bool,
    /// Whose upstream session is used, where the backend keeps sessions.
    pub(crate) session: SessionKey,
    /// The log messages that the client wants.
    pub(crate) logs: Logs,
    /// What the client can be asked while the call runs.
    pub(crate) capabilities: ClientCapabilities,
    /// The client's revision has tasks that clients begin (2025-11-25 `basic/utilities/tasks`).
    pub(crate) tasks: bool,
    /// What the client declared, whether this connection lets it be asked or not.
    pub(crate) declared: ClientCapabilities,
}

impl Manner {
    /// The client's era.
    pub(crate) fn era(&self) -> Era {
        if self.session == SessionKey::Shared { Era::Modern } else { Era::Legacy }
    }
}

/// What a request names, before anything is decided.
struct Target<'c> {
    lead: Lead<'c>,
    original: Arc<str>,
    rename: Option<(Span, Bytes)>,
}

impl<'c> Target<'c> {
    /// What is `written` at `at` and leads there. Its owner may know it by another name or URI.
    fn new(catalog: &Catalog, lead: Lead<'c>, written: &str, at: Span) -> Self {
        let (original, rename) = match lead {
            Lead::Tool(entry) | Lead::Prompt(entry) | Lead::Resource(entry) | Lead::Template(entry) => {
                (entry.original.clone(), entry.rename.clone())
            }
            Lead::Unlisted(_) => {
                let original = catalog.original_uri(written).map(|(_, original)| original);
                let rename = original.map(|original| json::string(original).into());
                (original.unwrap_or(written).into(), rename)
            }
        };
        Self { lead, original, rename: rename.map(|name| (at, name)) }
    }
}

/// What a client wrote, for the answer where that leads nowhere. Denied and unknown have the same one, so that nothing is
/// learnt about what exists.
struct Written<'a> {
    noun: &'static str,
    name: Cow<'a, str>,
    era: Era,
}

impl Written<'_> {
    fn unknown(&self) -> Fault {
        match self.noun {
            RESOURCE => rescue::no_resource(self.era, &self.name),
            noun => rescue::no_item(noun, &self.name, &Found::Nothing),
        }
    }

    /// The fault of a name that leads to no entry. Who is not shown everything does not hear who offers it.
    fn nowhere(&self, endpoint: &Endpoint, found: &Found<'_>) -> Fault {
        match found {
            Found::Ambiguous(_) if endpoint.policies.are_open() => {
                rescue::no_item(self.noun, &self.name, found)
            }
            _ => self.unknown(),
        }
    }
}

const RESOURCE: &str = "resource";

/// Finds the owner of what the request names and decides whether it may be called. Nothing that depends on what was found
/// is told before that.
pub(crate) fn route(endpoint: &Endpoint, seal: &Arc<Seal>, request: Request<'_>) -> Result<Routed, Fault> {
    let catalog = endpoint.catalog();
    let params =
        request.envelope.params.as_ref().ok_or_else(|| rescue::invalid_params("`params` are missing"))?;
    let method = request.manner.method;
    let (action, target, written) = match method {
        Method::ToolsCall | Method::PromptsGet => named(endpoint, &catalog, params, &request)?,
        Method::ResourcesRead => resource(&catalog, params, &request)?,
        _ => completion(endpoint, &catalog, params, &request)?,
    };
    let owner = target.lead.owner();
    let backend = endpoint.backends.get(owner).cloned().ok_or_else(ownerless)?;
    let circumstances = request.circumstances;
    let sent = params.arguments.filter(|_| method != Method::Complete).map(|span| span.text(request.body));
    let wanted = Wanted {
        spec: &endpoint.spec,
        policies: &endpoint.policies,
        catalog: &catalog,
        action,
        lead: target.lead,
        written: &written.name,
        sent,
    };
    let permit = wanted.permit(request.principal, circumstances.context());
    let permit = permit.map_err(|denied| refused(endpoint, &denied, || written.unknown()))?;
    let entry = target.lead.named();
    let parameters = entry.and_then(|entry| entry.parameters.as_ref());
    let arguments = match parameters {
        Some(parameters) if method == Method::Complete => {
            completable(parameters, params, request.body)?;
            None
        }
        Some(parameters) => {
            parameters.apply(sent).map_err(|error| rescue::invalid_params(error.to_string()))?
        }
        None => None,
    };
    let mut augment = augment(&catalog, params, &request, entry, &written.name)?;
    if let Augment::Gateway(kept) = &mut augment {
        *kept = backend.spec().timeouts.call + request.inputs + MARGIN;
    }
    let becomes = augment == Augment::Client
        || tasks::may_become(circumstances.era, method, request.manner.capabilities);
    let tasks = becomes.then(|| {
        let (principal, session) = (request.principal, request.manner.session);
        Box::new(tasks::Ids::of_call(seal, endpoint, principal, session, backend.number, &written.name))
    });
    let mirrored = entry.and_then(|entry| entry.mirrored.clone());
    let (mirrors, original) = mirrored.map(|own| (own.exposed, Some(own.original))).unwrap_or_default();
    let call = Box::new(Call {
        passed_on: Vec::new(),
        mirrors: original,
        target: (method != Method::Complete).then_some(target.original),
        rename: target.rename,
        arguments,
        session: request.manner.session,
        repeatable: method == Method::Complete || entry.is_none_or(|entry| entry.repeatable),
        logs: request.manner.logs,
        capabilities: request.manner.capabilities,
        input: request.input,
        augment,
        home: None,
        body: request.body.clone(),
        envelope: request.envelope.clone(),
        meta: request.meta.cloned(),
        method,
    });
    let uri_prefix = catalog.uri_prefix(owner).cloned();
    Ok(Routed { backend, permit, call, mirrors, uri_prefix, tasks })
}

/// The answer to what is not allowed.
fn refused(endpoint: &Endpoint, denied: &Denied, unknown: impl FnOnce() -> Fault) -> Fault {
    match denied.missing_scopes.as_slice() {
        [] => unknown(),
        scopes => endpoint.entrance.lacks(scopes),
    }
}

/// Whether a call of the tool `name` is carried out as a task of a legacy server, and who wants that.
fn augment(
    catalog: &Catalog,
    params: &Params,
    request: &Request<'_>,
    entry: Option<&Entry>,
    name: &str,
) -> Result<Augment, Fault> {
    let manner = request.manner;
    let wanted = manner.tasks && manner.method == Method::ToolsCall && params.task.is_some();
    match entry.map(|entry| entry.task).unwrap_or_default() {
        // What was not offered means nothing.
        TaskSupport::Forbidden if wanted && catalog.offers.legacy_tasks.calls => Err(rescue::no_task(name)),
        TaskSupport::Optional | TaskSupport::Required if wanted => match params.task {
            Some(task) if task.of(request.body).starts_with(b"{") => Ok(Augment::Client),
            _ => Err(rescue::invalid_params("`params.task` must be an object")),
        },
        TaskSupport::Required => Ok(Augment::Gateway(MARGIN)),
        TaskSupport::Forbidden | TaskSupport::Optional => Ok(Augment::No),
    }
}

/// What is to be done, with what, and what the client wrote.
type Sought<'a, 'c> = (Action, Target<'c>, Written<'a>);

fn text<'a>(body: &'a [u8], span: Option<Span>, key: &str) -> Result<(Cow<'a, str>, Span), Fault> {
    let span = span.ok_or_else(|| rescue::invalid_params(format!("`params.{key}` is missing")))?;
    let text = json::as_str(span.of(body));
    text.map(|text| (text, span))
        .ok_or_else(|| rescue::invalid_params(format!("`params.{key}` must be a string")))
}

fn named<'a, 'c>(
    endpoint: &Endpoint,
    catalog: &'c Catalog,
    params: &Params,
    request: &Request<'a>,
) -> Result<Sought<'a, 'c>, Fault> {
    let (name, span) = text(request.body, params.name, "name")?;
    let (noun, action, lead) = match request.manner.method {
        Method::ToolsCall => ("tool", Action::CallTool, Lead::tool(catalog, &name)),
        _ => ("prompt", Action::GetPrompt, Lead::prompt(catalog, &name)),
    };
    let written = Written { noun, name, era: request.circumstances.era };
    match lead {
        Ok(lead) => Ok((action, Target::new(catalog, lead, &written.name, span), written)),
        Err(other) => Err(written.nowhere(endpoint, &other)),
    }
}

fn resource<'a, 'c>(
    catalog: &'c Catalog,
    params: &Params,
    request: &Request<'a>,
) -> Result<Sought<'a, 'c>, Fault> {
    let (uri, span) = text(request.body, params.uri, "uri")?;
    let written = Written { noun: RESOURCE, name: uri, era: request.circumstances.era };
    let lead = Lead::resource(catalog, &written.name).map_err(|_| written.unknown())?;
    Ok((Action::ReadResource, Target::new(catalog, lead, &written.name, span), written))
}

/// `ref` of `completion/complete`; serde refuses duplicate keys.
#[derive(Deserialize)]
struct Reference<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    uri: Option<&'a RawValue>,
}

/// Refuses a reference that a server which reads keys without regard to case could take for another.
fn unguised(reference: &str) -> Result<(), Fault> {
    let object = Object::read(reference, Span::new(0, reference.len()))
        .map_err(|error| rescue::invalid_params(format!("`params.ref` is not a reference: {error}")))?;
    let guised = |known: &str| object.fields().iter().any(|field| json::is_guise(&field.name, known));
    match ["type", "name", "uri"].into_iter().find(|known| guised(known)) {
        Some(known) => Err(rescue::invalid_params(format!(
            "`params.ref` has a key that differs from `{known}` in case alone"
        ))),
        None => Ok(()),
    }
}

fn completion<'a, 'c>(
    endpoint: &Endpoint,
    catalog: &'c Catalog,
    params: &Params,
    request: &Request<'a>,
) -> Result<Sought<'a, 'c>, Fault> {
    let outer = params.reference.ok_or_else(|| rescue::invalid_params("`params.ref` is missing"))?;
    let body: &'a Bytes = request.body;
    let source = outer.text(body);
    let reference: Reference<'_> = serde_json::from_str(source)
        .map_err(|error| rescue::invalid_params(format!("`params.ref` is not a reference: {error}")))?;
    unguised(source)?;
    let (key, raw) = match &*reference.kind {
        "ref/prompt" => ("name", reference.name),
        "ref/resource" => ("uri", reference.uri),
        _ => {
            return Err(rescue::invalid_params("`params.ref.type` must be `ref/prompt` or `ref/resource`"));
        }
    };
    let raw = raw.ok_or_else(|| rescue::invalid_params(format!("`params.ref.{key}` is missing")))?.get();
    let name = json::as_str(raw.as_bytes())
        .ok_or_else(|| rescue::invalid_params(format!("`params.ref.{key}` must be a string")))?;
    let start = outer.start() + (raw.as_ptr() as usize - source.as_ptr() as usize);
    let span = Span::new(start, start + raw.len());
    let noun = if key == "name" { "prompt" } else { RESOURCE };
    let written = Written { noun, name, era: request.circumstances.era };
    let found = match noun {
        RESOURCE => Lead::completed(catalog, &written.name),
        _ => Lead::prompt(catalog, &written.name),
    };
    match found {
        Ok(lead) => Ok((Action::Complete, Target::new(catalog, lead, &written.name, span), written)),
        Err(other) => Err(written.nowhere(endpoint, &other)),
    }
}

/// Refuses a completion that is for an argument which clients may not set, or that says what such a one is.
fn completable(parameters: &Parameters, params: &Params, body: &[u8]) -> Result<(), Fault> {
    let source = std::str::from_utf8(body).map_err(|error| rescue::invalid_params(error.to_string()))?;
    let read = |span: Span, what: &str| {
        let wrong = || format!("`params{what}` is not an object in which every key stands once");
        Object::read(source, span).map_err(|_| rescue::invalid_params(wrong()))
    };
    let member = |object: &Object<'_>, key: &str| {
        let value = object.get(key).map(|field| field.value());
        value.filter(|value| value.of(body) != b"null")
    };
    let admit =
        |name: &str| parameters.admit(name).map_err(|error| rescue::invalid_params(error.to_string()));
    let whole = read(Span::new(params.start.saturating_sub(1), body.len()), "")?;
    if let Some(argument) = member(&whole, "argument") {
        let argument = read(argument, ".argument")?;
        let (name, _) = text(body, argument.get("name").map(|field| field.value()), "argument.name")?;
        admit(&name)?;
    }
    let context = member(&whole, "context").map(|context| read(context, ".context")).transpose()?;
    if let Some(chosen) = context.and_then(|context| member(&context, "arguments")) {
        let chosen = read(chosen, ".context.arguments")?;
        chosen.fields().iter().try_for_each(|field| admit(&field.name))?;
    }
    Ok(())
}
