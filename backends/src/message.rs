//! The messages that weir writes to backends: a client's call in the backend's dialect, and requests of weir's own.

use crate::{Call, Message};
use bytes::Bytes;
use weir_protocol::{Era, Logs, Method, Revision, Splice, code, json, meta};

/// What weir says of itself to backends.
pub(crate) const CLIENT_INFO: &str =
    concat!(r#"{"name":"weir","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);

/// The hop's `_meta` members towards a modern backend, without braces. No capability is declared: weir relays no request
/// from a server to a client.
fn hop_members(logs: Logs) -> String {
    let level = logs.level().map(|level| format!(r#","{}":"{}""#, meta::LOG_LEVEL, level.as_str()));
    format!(
        r#""{}":"{}","{}":{{}},"{}":{CLIENT_INFO}{}"#,
        meta::PROTOCOL_VERSION,
        Revision::LATEST.as_str(),
        meta::CLIENT_CAPABILITIES,
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
    match (era, &call.meta, &call.envelope.params) {
        (Era::Legacy, Some(meta), _) => meta.strip_hop(&mut splice, body),
        (Era::Modern, Some(meta), _) => match (meta.protocol_version, meta.client_capabilities) {
            (Some(version), Some(capabilities)) => {
                // Most modern clients write just what weir would.
                if json::as_str(version.of(body)).as_deref() != Some(Revision::LATEST.as_str()) {
                    splice.replace(version, json::string(Revision::LATEST.as_str()));
                }
                if capabilities.of(body) != b"{}" {
                    splice.replace(capabilities, &b"{}"[..]);
                }
            }
            _ => {
                meta.strip_hop(&mut splice, body);
                let separator = if meta.is_only_hop() { "" } else { "," };
                splice.insert(meta.start, format!("{}{separator}", hop_members(call.logs)).into_bytes());
            }
        },
        (Era::Modern, None, Some(params)) => {
            splice.insert(params.start, format!("\"_meta\":{{{}}},", hop_members(call.logs)).into_bytes());
        }
        (Era::Legacy, None, _) | (Era::Modern, None, None) => {}
    }
    splice.finish()
}

/// A request of weir's own. `members` are the parameters' members without braces, such as `"cursor":"x"`.
pub(crate) fn request(id: u64, method: &str, members: &str, era: Era) -> Bytes {
    let params = match (era, members.is_empty()) {
        (Era::Legacy, true) => String::from("{}"),
        (Era::Legacy, false) => format!("{{{members}}}"),
        (Era::Modern, true) => format!(r#"{{"_meta":{{{}}}}}"#, hop_members(Logs::Unwanted)),
        (Era::Modern, false) => format!(r#"{{{members},"_meta":{{{}}}}}"#, hop_members(Logs::Unwanted)),
    };
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#).into()
}

/// The members of `initialize`.
pub(crate) fn initialize_members() -> String {
    format!(
        r#""protocolVersion":"{}","capabilities":{{}},"clientInfo":{CLIENT_INFO}"#,
        Revision::LATEST_LEGACY.as_str()
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

/// The answer to a request that a server sends: weir declares no capability, so only `ping` may come.
pub(crate) fn answer_to(message: &Message) -> Option<Bytes> {
    let id = message.envelope.id?.of(&message.body);
    Some(match message.envelope.method(&message.body) {
        Method::Ping => code::result_answer(id, b"{}"),
        _ => code::error_answer(
            Some(id),
            code::METHOD_NOT_FOUND,
            "weir declared no capability for this request",
            None,
        ),
    })
}

#[cfg(test)]
mod tests;
