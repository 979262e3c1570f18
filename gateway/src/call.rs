//! From a client's request to an allowed call on the backend that owns what it names. Knows no era and no HTTP.

use crate::attached::Attached;
use crate::catalog::{Catalog, Entry, Found, List, Mirrored};
use crate::endpoint::Endpoint;
use crate::rescue::{self, Fault};
use crate::seal::Seal;
use crate::tasks;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;
use weir_backends::{Augment, Call, Input, SessionKey};
use weir_policies::{Action, Permit, Principal};
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
    era: Era,
    principal: &Arc<Principal>,
    uri: &str,
) -> Result<Watchable, Fault> {
    if uri.len() > LONGEST_WATCHED {
        let message = format!("`params.uri` is longer than the {LONGEST_WATCHED} bytes that may be watched");
        return Err(rescue::invalid_params(message));
    }
    let catalog = endpoint.catalog();
    let (at, original) = match catalog.resource(uri) {
        Found::Entry(entry) => (entry.backend, entry.original.clone()),
        Found::Owner(owner) => {
            let original = catalog.original_uri(uri).map_or(uri, |(_, original)| original);
            (owner, original.into())
        }
        _ => return Err(rescue::no_resource(era, uri)),
    };
    let backend = endpoint.backends.get(at).cloned().ok_or_else(ownerless)?;
    let permit = endpoint.policies.permit(principal, Action::SubscribeResource, uri);
    let permit = permit.map_err(|_| rescue::no_resource(era, uri))?;
    Ok(Watchable { backend, permit, uri: original })
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
    pub(crate) era: Era,
    pub(crate) principal: &'a Arc<Principal>,
    pub(crate) manner: &'a Manner,
    /// What a modern backend asked for, where the call is made again with it.
    pub(crate) input: Option<Box<Input>>,
}

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

struct Target {
    backend: usize,
    original: Option<Arc<str>>,
    rename: Option<(Span, Bytes)>,
    arguments: Option<Bytes>,
    repeatable: bool,
    task: TaskSupport,
    mirrored: Option<Mirrored>,
}

impl Target {
    fn entry(entry: &Entry, at: Span) -> Self {
        Self {
            backend: entry.backend,
            original: Some(entry.original.clone()),
            rename: entry.rename.clone().map(|name| (at, name)),
            arguments: None,
            repeatable: entry.repeatable,
            task: entry.task,
            mirrored: entry.mirrored.clone(),
        }
    }

    /// A URI that stands at `at` and that nobody lists. Its owner may know it by another one.
    fn owner(catalog: &Catalog, backend: usize, uri: &str, at: Span) -> Self {
        let original = catalog.original_uri(uri).map(|(_, original)| original);
        Self {
            backend,
            original: Some(original.unwrap_or(uri).into()),
            rename: original.map(|original| (at, json::string(original).into())),
            arguments: None,
            repeatable: true,
            task: TaskSupport::Forbidden,
            mirrored: None,
        }
    }
}

/// Finds the owner of what the request names and decides whether it may be called.
pub(crate) fn route(endpoint: &Endpoint, seal: &Arc<Seal>, request: Request<'_>) -> Result<Routed, Fault> {
    let catalog = endpoint.catalog();
    let params =
        request.envelope.params.as_ref().ok_or_else(|| rescue::invalid_params("`params` are missing"))?;
    let method = request.manner.method;
    let (action, name, target) = match method {
        Method::ToolsCall => named(&catalog, List::Tools, "tool", Action::CallTool, params, request.body)?,
        Method::PromptsGet => {
            named(&catalog, List::Prompts, "prompt", Action::GetPrompt, params, request.body)?
        }
        Method::ResourcesRead => resource(&catalog, params, &request)?,
        _ => completion(&catalog, params, &request)?,
    };
    let backend = endpoint.backends.get(target.backend).cloned().ok_or_else(ownerless)?;
    // Denied and unknown look the same, so that nothing is learnt about what exists.
    let permit = endpoint.policies.permit(request.principal, action, &name).map_err(|_| match action {
        Action::ReadResource => rescue::no_resource(request.era, &name),
        Action::GetPrompt => rescue::no_item("prompt", &name, &Found::Nothing),
        _ => rescue::no_item("tool", &name, &Found::Nothing),
    })?;
    let augment = augment(&catalog, params, &request, &target, &name)?;
    let becomes =
        augment == Augment::Client || tasks::may_become(request.era, method, request.manner.capabilities);
    let tasks = becomes.then(|| {
        let (principal, session) = (request.principal, request.manner.session);
        Box::new(tasks::Ids::of_call(seal, endpoint, principal, session, backend.number, &name))
    });
    let (mirrors, original) =
        target.mirrored.map(|own| (own.exposed, Some(own.original))).unwrap_or_default();
    let call = Box::new(Call {
        mirrors: original,
        target: target.original.filter(|_| method != Method::Complete),
        rename: target.rename,
        arguments: target.arguments,
        session: request.manner.session,
        repeatable: target.repeatable,
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
    let uri_prefix = catalog.uri_prefix(target.backend).cloned();
    Ok(Routed { backend, permit, call, mirrors, uri_prefix, tasks })
}

/// Whether a call of the tool `name` is carried out as a task of a legacy server, and who wants that.
fn augment(
    catalog: &Catalog,
    params: &Params,
    request: &Request<'_>,
    target: &Target,
    name: &str,
) -> Result<Augment, Fault> {
    let manner = request.manner;
    let wanted = manner.tasks && manner.method == Method::ToolsCall && params.task.is_some();
    match target.task {
        // What was not offered means nothing.
        TaskSupport::Forbidden if wanted && catalog.offers.legacy_tasks.calls => Err(rescue::no_task(name)),
        TaskSupport::Optional | TaskSupport::Required if wanted => match params.task {
            Some(task) if task.of(request.body).starts_with(b"{") => Ok(Augment::Client),
            _ => Err(rescue::invalid_params("`params.task` must be an object")),
        },
        TaskSupport::Required => Ok(Augment::Gateway),
        TaskSupport::Forbidden | TaskSupport::Optional => Ok(Augment::No),
    }
}

type Decided = (Action, String, Target);

fn text<'a>(body: &'a [u8], span: Option<Span>, key: &str) -> Result<(Cow<'a, str>, Span), Fault> {
    let span = span.ok_or_else(|| rescue::invalid_params(format!("`params.{key}` is missing")))?;
    let text = json::as_str(span.of(body));
    text.map(|text| (text, span))
        .ok_or_else(|| rescue::invalid_params(format!("`params.{key}` must be a string")))
}

fn named(
    catalog: &Catalog,
    list: List,
    noun: &str,
    action: Action,
    params: &Params,
    body: &[u8],
) -> Result<Decided, Fault> {
    let (name, span) = text(body, params.name, "name")?;
    match catalog.named(list, &name) {
        Found::Entry(entry) => {
            let mut target = Target::entry(entry, span);
            if let Some(parameters) = &entry.parameters {
                let arguments = params.arguments.map(|span| span.text(body));
                let changed = parameters.apply(arguments);
                target.arguments = changed.map_err(|error| rescue::invalid_params(error.to_string()))?;
            }
            Ok((action, name.into_owned(), target))
        }
        other => Err(rescue::no_item(noun, &name, &other)),
    }
}

fn resource(catalog: &Catalog, params: &Params, request: &Request<'_>) -> Result<Decided, Fault> {
    let (uri, span) = text(request.body, params.uri, "uri")?;
    let target = match catalog.resource(&uri) {
        Found::Entry(entry) => Target::entry(entry, span),
        Found::Owner(owner) => Target::owner(catalog, owner, &uri, span),
        _ => return Err(rescue::no_resource(request.era, &uri)),
    };
    Ok((Action::ReadResource, judged(catalog, &target, uri), target))
}

/// The one way to write a URI by which policies judge it.
fn judged(catalog: &Catalog, target: &Target, uri: Cow<'_, str>) -> String {
    match &target.original {
        Some(original) => catalog.exposed_uri(target.backend, original).into_owned(),
        None => uri.into_owned(),
    }
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

fn completion(catalog: &Catalog, params: &Params, request: &Request<'_>) -> Result<Decided, Fault> {
    let outer = params.reference.ok_or_else(|| rescue::invalid_params("`params.ref` is missing"))?;
    let source = outer.text(request.body);
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
    let found = if key == "name" { catalog.named(List::Prompts, &name) } else { catalog.template(&name) };
    let target = match found {
        Found::Entry(entry) => {
            if let Some(parameters) = entry.parameters.as_ref().filter(|_| key == "name") {
                completable(parameters, params, request.body)?;
            }
            Target { repeatable: true, ..Target::entry(entry, span) }
        }
        Found::Owner(owner) => Target::owner(catalog, owner, &name, span),
        other if key == "name" => return Err(rescue::no_item("prompt", &name, &other)),
        _ => return Err(rescue::no_resource(request.era, &name)),
    };
    Ok((Action::Complete, name.into_owned(), target))
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
