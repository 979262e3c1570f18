//! The messages that weir writes to backends: a client's call in the backend's dialect, and requests of weir's own.

use crate::{Augment, Call, Input, Message, SessionKey};
use bytes::Bytes;
use weir_protocol::object::Object;
use weir_protocol::{
    ClientCapabilities, Era, Logs, Method, Params, Revision, Span, Splice, code, json, meta,
};

/// What weir says of itself to backends.
pub(crate) const CLIENT_INFO: &str =
    concat!(r#"{"name":"weir","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// The hop's `_meta` members towards a modern backend, without braces.
fn hop_members(logs: Logs, capabilities: ClientCapabilities) -> String {
    let level = logs.level().map(|level| format!(r#","{}":"{}""#, meta::LOG_LEVEL, level.as_str()));
    format!(
        r#""{}":"{}","{}":{},"{}":{CLIENT_INFO}{}"#,
        meta::PROTOCOL_VERSION,
        Revision::LATEST.as_str(),
        meta::CLIENT_CAPABILITIES,
        capabilities.write(),
        meta::CLIENT_INFO,
        level.unwrap_or_default(),
    )
}

/// The client's call with `id`, for a backend of `era`. Only these bytes change: the id, the name, arguments that an
/// override changes, the progress token (which becomes `id`, unique among all calls under way) and the `_meta` members of
/// the hop.
pub(crate) fn of_call(call: &Call, id: u64, era: Era) -> Bytes {
    let body = &call.body[..];
    let mut splice = Splice::new(body);
    let number = || id.to_string().into_bytes();
    if let Some(span) = call.envelope.id {
        splice.replace(span, number());
    }
    if let Some((span, name)) = &call.rename {
        splice.replace(*span, &name[..]);
    }
    if let (Some(arguments), Some(params)) = (&call.arguments, &call.envelope.params) {
        match params.arguments {
            Some(span) => splice.replace(span, &arguments[..]),
            // A call names what it calls, so that another member follows.
            None => splice.insert(params.start, [b"\"arguments\":", &arguments[..], b","].concat()),
        };
    }
    if let Some(token) = call.meta.as_ref().and_then(|meta| meta.progress_token) {
        splice.replace(token, number());
    }
    if let Some(params) = &call.envelope.params {
        // Legacy servers ask in another way, and know neither.
        let input = call.input.as_deref().filter(|_| era == Era::Modern);
        let augment = if era == Era::Legacy { call.augment } else { Augment::No };
        put_input(&mut splice, body, params, input, augment);
    }
    match (era, &call.meta, &call.envelope.params) {
        (Era::Legacy, Some(meta), _) => meta.strip_hop(&mut splice, body),
        (Era::Modern, Some(meta), _) => match (meta.protocol_version, meta.client_capabilities) {
            (Some(version), Some(capabilities)) => {
                // Most modern clients write just what weir would.
                if json::as_str(version.of(body)).as_deref() != Some(Revision::LATEST.as_str()) {
                    splice.replace(version, json::string(Revision::LATEST.as_str()));
                }
                if capabilities.of(body) != b"{}" {
                    splice.replace(capabilities, call.capabilities.write().into_bytes());
                }
            }
            _ => {
                meta.strip_hop(&mut splice, body);
                let separator = if meta.is_only_hop() { "" } else { "," };
                splice.insert(
                    meta.start,
                    format!("{}{separator}", hop_members(call.logs, call.capabilities)).into_bytes(),
                );
            }
        },
        (Era::Modern, None, Some(params)) => {
            let members = hop_members(call.logs, call.capabilities);
            splice.insert(params.start, format!("\"_meta\":{{{members}}},").into_bytes());
        }
        (Era::Legacy, None, _) | (Era::Modern, None, None) => {}
    }
    splice.finish()
}

/// Puts the answers to what the backend asked for into its parameters, in place of what the client wrote there: `state` is
/// the backend's own again. Where there are none, what the client wrote is taken out: it was for weir.
fn put_input(splice: &mut Splice<'_>, body: &[u8], params: &Params, input: Option<&Input>, augment: Augment) {
    if input.is_none()
        && !matches!(augment, Augment::Gateway(_))
        && params.input_responses.is_none()
        && params.request_state.is_none()
        && params.task.is_none()
    {
        return;
    }
    let (responses, state) = input.map(|input| (&input.responses, &input.state)).unzip();
    let mut gone = Vec::new();
    let task = match augment {
        // weir offers no task to this client, so that asking for one means nothing (2025-11-25 `basic/utilities/tasks`).
        Augment::No => None,
        Augment::Client => params.task.map(|span| Bytes::copy_from_slice(span.of(body))),
        Augment::Gateway(kept) => Some(Bytes::from(format!(r#"{{"ttl":{}}}"#, kept.as_millis()))),
    };
    for (key, present, wanted) in [
        ("inputResponses", params.input_responses, responses.and_then(Option::as_ref)),
        ("requestState", params.request_state, state.and_then(Option::as_ref)),
        ("task", params.task, task.as_ref()),
    ] {
        match (present, wanted) {
            (Some(span), Some(raw)) => {
                splice.replace(span, raw.to_vec());
            }
            (None, Some(raw)) => {
                // A call names what it calls, so that another member follows.
                splice.insert(params.start, [b"\"", key.as_bytes(), b"\":", &raw[..], b","].concat());
            }
            (Some(_), None) => gone.push(key),
            (None, None) => {}
        }
    }
    let whole = Span::new(params.start.saturating_sub(1), body.len());
    let source = std::str::from_utf8(body).unwrap_or_default();
    if !gone.is_empty()
        && let Ok(object) = Object::read(source, whole)
    {
        object.change(splice, source, |key| gone.contains(&key), Vec::new());
    }
}

/// What weir declares in requests of its own to modern servers: nobody waits there, so that no task can come of it.
const OWN: ClientCapabilities = ClientCapabilities::LISTING.with(ClientCapabilities::TASKS);

/// A request of weir's own. `members` are the parameters' members without braces, such as `"cursor":"x"`.
pub(crate) fn request(id: u64, method: &str, members: &str, era: Era) -> Bytes {
    let params = match (era, members.is_empty()) {
        (Era::Legacy, true) => String::from("{}"),
        (Era::Legacy, false) => format!("{{{members}}}"),
        (Era::Modern, true) => {
            format!(r#"{{"_meta":{{{}}}}}"#, hop_members(Logs::Unwanted, OWN))
        }
        (Era::Modern, false) => {
            format!(r#"{{{members},"_meta":{{{}}}}}"#, hop_members(Logs::Unwanted, OWN))
        }
    };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#).into()
}

/// The members of `initialize`, by which a session's client is said to have `capabilities`.
pub(crate) fn initialize_members(capabilities: ClientCapabilities) -> String {
    format!(
        r#""protocolVersion":"{}","capabilities":{},"clientInfo":{CLIENT_INFO}"#,
        Revision::LATEST_LEGACY.as_str(),
        capabilities.write(),
    )
}

/// The notification that ends the legacy handshake.
pub(crate) const INITIALIZED: &[u8] = br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// The notification that a call is no longer wanted.
pub(crate) fn cancelled(id: u64) -> Bytes {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id},"reason":"the client no longer waits"}}}}"#
    )
    .into()
}

/// What a server is told that asks for roots and no client says which: the result of `roots/list`.
#[derive(Debug, Clone)]
pub(crate) struct Roots {
    result: Bytes,
    are_configured: bool,
}

impl Roots {
    pub(crate) fn new(roots: &[weir_config::Root]) -> Self {
        let written = roots.iter().map(|root| {
            let name = root.name.as_ref().map(|name| format!(r#","name":{}"#, text(name)));
            format!(r#"{{"uri":{}{}}}"#, text(&root.uri), name.unwrap_or_default())
        });
        let result = format!(r#"{{"roots":[{}]}}"#, written.collect::<Vec<_>>().join(","));
        Self { result: result.into(), are_configured: !roots.is_empty() }
    }

    /// Whether they answer `request`, which came where clients share a process or a stream. Servers keep what they are told
    /// for all calls that follow, so that one client's folders must not replace what the operator says.
    pub(crate) fn answer_for_all(&self, key: SessionKey, request: &Message) -> bool {
        self.are_configured
            && key == SessionKey::Shared
            && request.envelope.method(&request.body) == Method::ListRoots
    }
}

fn text(text: &str) -> String {
    String::from_utf8_lossy(&json::string(text)).into_owned()
}

/// weir's own answer to a request that a server sends and that no client is there for.
pub(crate) fn answer_to(message: &Message, roots: &Roots) -> Option<Bytes> {
    let id = message.envelope.id?.of(&message.body);
    Some(match message.envelope.method(&message.body) {
        Method::Ping => code::result_answer(id, b"{}"),
        Method::ListRoots => code::result_answer(id, &roots.result),
        _ => code::error_answer(
            Some(id),
            code::METHOD_NOT_FOUND,
            "no client that can be asked this waits for a call",
            None,
        ),
    })
}

#[cfg(test)]
mod tests;
