//! The one place where errors become answers: what the client is told, with which status, and who is to blame.

use crate::catalog::Found;
use bytes::Bytes;
use weir_backends::BackendError;
use weir_protocol::{EnvelopeError, Era, code, json};
use weir_telemetry::Kind;

/// An answer that says what went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    /// HTTP status.
    pub(crate) status: u16,
    /// JSON-RPC code.
    pub(crate) code: i32,
    /// For the client.
    pub(crate) message: String,
    /// Raw JSON for the client.
    pub(crate) data: Option<Bytes>,
    /// Who broke it.
    pub(crate) kind: Kind,
    /// What `WWW-Authenticate` says, where logging in may help.
    pub(crate) challenge: Option<Box<str>>,
}

impl Fault {
    pub(crate) fn new(status: u16, code: i32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), data: None, kind: Kind::Client, challenge: None }
    }

    /// The JSON-RPC answer to the request with the raw `id`.
    pub(crate) fn body(&self, id: Option<&[u8]>) -> Bytes {
        code::error_answer(id, self.code, &self.message, self.data.as_deref())
    }
}

impl From<EnvelopeError> for Fault {
    fn from(error: EnvelopeError) -> Self {
        Self::new(400, error.code(), error.to_string())
    }
}

/// weir has all the work it may have.
pub(crate) fn overloaded(what: &str, limit: usize) -> Fault {
    let message = format!("the gateway's limit of {limit} {what} is reached, try again later");
    Fault { kind: Kind::Limited, ..Fault::new(503, code::SERVER_ERROR, message) }
}

/// weir is stopping.
pub(crate) fn stopping() -> Fault {
    Fault { kind: Kind::Gateway, ..Fault::new(503, code::SERVER_ERROR, "the gateway is stopping") }
}

/// The proof of who calls ended while the call ran.
pub(crate) fn expired() -> Fault {
    let message = "the token has expired or was taken back while the request was carried out, log in again";
    Fault { kind: Kind::Denied, ..Fault::new(401, code::SERVER_ERROR, message) }
}

/// A backend failed a call. The caller is told which backend and what to expect; addresses and causes stay in the log.
pub(crate) fn backend_failed(name: &str, error: &BackendError) -> Fault {
    let kind = match error {
        BackendError::Busy { .. } => Kind::Limited,
        BackendError::Stopping => Kind::Gateway,
        BackendError::Unconnected => Kind::Client,
        _ => Kind::Backend,
    };
    // Once a task is gone, its id is an invalid parameter (2025-11-25 `basic/utilities/tasks` "Protocol Errors").
    let is_gone = matches!(error, BackendError::TaskGone);
    let code = if is_gone { code::INVALID_PARAMS } else { code::INTERNAL_ERROR };
    Fault { kind, ..Fault::new(200, code, format!("backend `{name}` {error}")) }
}

/// A method that does not exist in this era: modern clients get 404 (2026-07-28 `basic/transports/streamable-http`).
pub(crate) fn unknown_method(era: Era, method: &str) -> Fault {
    let status = if era == Era::Modern { 404 } else { 200 };
    let method: String = method.chars().take(100).collect();
    Fault::new(status, code::METHOD_NOT_FOUND, format!("method `{method}` is not known"))
}

/// A name that leads to no item; `noun` is `tool` or `prompt`.
pub(crate) fn no_item(noun: &str, name: &str, found: &Found<'_>) -> Fault {
    let name: String = name.chars().take(200).collect();
    match found {
        Found::Ambiguous(backends) => Fault::new(
            200,
            code::INVALID_PARAMS,
            format!(
                "{noun} `{name}` is ambiguous, it is offered by the backends {}; the operator can resolve this with a `conflicts` strategy or an override",
                backends.join(", ")
            ),
        ),
        _ => Fault::new(200, code::INVALID_PARAMS, format!("unknown {noun}: {name}")),
    }
}

/// A tool that no server carries out as a task (2025-11-25 `basic/utilities/tasks` "Tool-Level Negotiation").
pub(crate) fn no_task(name: &str) -> Fault {
    let name: String = name.chars().take(200).collect();
    Fault::new(200, code::METHOD_NOT_FOUND, format!("tool `{name}` cannot be called as a task"))
}

/// A URI that no backend owns. The code changed with the era; the URI is repeated as data, as it always was.
pub(crate) fn no_resource(era: Era, uri: &str) -> Fault {
    let uri: String = uri.chars().take(2000).collect();
    let code = if era == Era::Modern { code::INVALID_PARAMS } else { code::RESOURCE_NOT_FOUND };
    let mut data = b"{\"uri\":".to_vec();
    json::write_string(&mut data, &uri);
    data.push(b'}');
    Fault { data: Some(data.into()), ..Fault::new(200, code, "resource not found") }
}

/// A client watches as many resources as it may.
pub(crate) fn too_many_subscriptions(limit: usize) -> Fault {
    let message = format!("the gateway's limit of {limit} subscriptions is reached; end others first");
    Fault { kind: Kind::Limited, ..Fault::new(200, code::SERVER_ERROR, message) }
}

/// Parameters that a method cannot do without.
pub(crate) fn invalid_params(message: impl Into<String>) -> Fault {
    Fault::new(200, code::INVALID_PARAMS, message)
}
