//! From a client's request to an allowed call on the backend that owns what it names. Knows no era and no HTTP.

use crate::catalog::{Catalog, Entry, Found, List};
use crate::endpoint::Endpoint;
use crate::rescue::{self, Fault};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::Arc;
use weir_backends::{Backend, Call, SessionKey};
use weir_policies::{Action, Permit, Principal};
use weir_protocol::{Envelope, Era, Meta, Method, Params, Span, code, json};

/// A call that may be sent.
#[derive(Debug)]
pub(crate) struct Routed {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) permit: Permit,
    pub(crate) call: Box<Call>,
}

/// A client's request, read.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    pub(crate) body: &'a Bytes,
    pub(crate) envelope: &'a Envelope,
    pub(crate) meta: Option<&'a Meta>,
    pub(crate) method: Method,
    pub(crate) era: Era,
    pub(crate) principal: &'a Arc<Principal>,
    pub(crate) session: SessionKey,
}

struct Target {
    backend: usize,
    original: Option<Arc<str>>,
    rename: Option<(Span, Bytes)>,
    repeatable: bool,
}

impl Target {
    fn entry(entry: &Entry, at: Span) -> Self {
        Self {
            backend: entry.backend,
            original: Some(entry.original.clone()),
            rename: entry.rename.clone().map(|name| (at, name)),
            repeatable: entry.repeatable,
        }
    }

    fn owner(backend: usize, uri: &str) -> Self {
        Self { backend, original: Some(uri.into()), rename: None, repeatable: true }
    }
}

/// Finds the owner of what the request names and decides whether it may be called.
pub(crate) fn route(endpoint: &Endpoint, request: &Request<'_>) -> Result<Routed, Fault> {
    let catalog = endpoint.catalog();
    let params =
        request.envelope.params.as_ref().ok_or_else(|| rescue::invalid_params("`params` are missing"))?;
    let (action, name, target) = match request.method {
        Method::ToolsCall => named(&catalog, List::Tools, "tool", Action::CallTool, params, request.body)?,
        Method::PromptsGet => {
            named(&catalog, List::Prompts, "prompt", Action::GetPrompt, params, request.body)?
        }
        Method::ResourcesRead => resource(&catalog, params, request)?,
        _ => completion(&catalog, params, request)?,
    };
    let backend = endpoint
        .backends
        .get(target.backend)
        .cloned()
        .ok_or_else(|| Fault::new(200, code::INTERNAL_ERROR, "the owner of this item is gone"))?;
    // Denied and unknown look the same, so that nothing is learnt about what exists.
    let permit = endpoint.policies.permit(request.principal, action, &name).map_err(|_| match action {
        Action::ReadResource => rescue::no_resource(request.era, &name),
        Action::GetPrompt => rescue::no_item("prompt", &name, &Found::Nothing),
        _ => rescue::no_item("tool", &name, &Found::Nothing),
    })?;
    let call = Box::new(Call {
        target: target.original.filter(|_| request.method != Method::Complete),
        rename: target.rename,
        session: request.session,
        repeatable: target.repeatable,
        body: request.body.clone(),
        envelope: request.envelope.clone(),
        meta: request.meta.cloned(),
        method: request.method,
    });
    Ok(Routed { backend, permit, call })
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
        Found::Entry(entry) => Ok((action, name.into_owned(), Target::entry(entry, span))),
        other => Err(rescue::no_item(noun, &name, &other)),
    }
}

fn resource(catalog: &Catalog, params: &Params, request: &Request<'_>) -> Result<Decided, Fault> {
    let (uri, span) = text(request.body, params.uri, "uri")?;
    let target = match catalog.resource(&uri) {
        Found::Entry(entry) => Target::entry(entry, span),
        Found::Owner(owner) => Target::owner(owner, &uri),
        _ => return Err(rescue::no_resource(request.era, &uri)),
    };
    Ok((Action::ReadResource, uri.into_owned(), target))
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

fn completion(catalog: &Catalog, params: &Params, request: &Request<'_>) -> Result<Decided, Fault> {
    let outer = params.reference.ok_or_else(|| rescue::invalid_params("`params.ref` is missing"))?;
    let source = outer.text(request.body);
    let reference: Reference<'_> = serde_json::from_str(source)
        .map_err(|error| rescue::invalid_params(format!("`params.ref` is not a reference: {error}")))?;
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
        Found::Entry(entry) => Target { repeatable: true, ..Target::entry(entry, span) },
        Found::Owner(owner) => Target::owner(owner, &name),
        other if key == "name" => return Err(rescue::no_item("prompt", &name, &other)),
        _ => return Err(rescue::no_resource(request.era, &name)),
    };
    Ok((Action::Complete, name.into_owned(), target))
}
