//! One POST to a backend and the reading of its answer.

use super::Shared;
use super::client::{HttpClient, cause};
use super::events::HttpEvents;
use super::session::UpstreamSession;
use crate::deadlines::Deadlines;
use crate::{BackendError, Message, Outcome, message};
use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method as HttpMethod, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use std::sync::Arc;
use weir_protocol::{Kind, Method, Revision, headers};

/// How a POST was answered.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// With one JSON message.
    Done(Outcome),
    /// With an event stream.
    Stream(HttpEvents),
}

/// A request to the backend's URL with its configured headers and those of every MCP message.
pub(crate) fn request(shared: &Shared, method: HttpMethod, body: Bytes) -> Request<Full<Bytes>> {
    let mut request = Request::new(Full::new(body));
    *request.method_mut() = method;
    *request.uri_mut() = shared.uri.clone();
    let out = request.headers_mut();
    out.clone_from(&shared.headers);
    out.insert(
        ACCEPT,
        HeaderValue::from_static("application/json, text/event-stream"),
    );
    out.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

/// Sends a modern request. Dropping the future, or the stream, closes the connection or resets its stream, which is what
/// cancels a modern request (2026-07-28 `basic/patterns/cancellation`).
pub(crate) async fn modern(
    shared: &Shared,
    method: Method,
    target: Option<&str>,
    id: u64,
    body: Bytes,
) -> Result<Attempt, BackendError> {
    let mut request = request(shared, HttpMethod::POST, body);
    let out = request.headers_mut();
    out.insert(
        headers::PROTOCOL_VERSION,
        HeaderValue::from_static(Revision::LATEST.as_str()),
    );
    out.insert(headers::METHOD, HeaderValue::from_static(method.as_str()));
    if let Some(target) = target
        && let Ok(value) = HeaderValue::try_from(&*headers::encode(target))
    {
        out.insert(headers::NAME, value);
    }
    // A stream of changes is silent while nothing changes.
    let deadlines = if method == Method::Listen {
        Deadlines::endless()
    } else {
        Deadlines::start(&shared.timeouts)
    };
    let response = head(shared, request, &deadlines).await?;
    read(shared, response, id, deadlines, None).await
}

/// Sends a legacy request in `session`. Dropping the future, or the stream before its outcome, sends the cancellation
/// notification: closing the connection does not cancel there (2025-11-25 `basic/transports`).
pub(crate) async fn legacy(
    shared: &Shared,
    session: &Arc<UpstreamSession>,
    id: u64,
    body: Bytes,
) -> Result<Attempt, BackendError> {
    let mut request = request(shared, HttpMethod::POST, body);
    session.stamp(request.headers_mut());
    let deadlines = Deadlines::start(&shared.timeouts);
    let guard = CancelGuard {
        armed: true,
        session: session.clone(),
        id,
    };
    match head(shared, request, &deadlines).await {
        Ok(response) => {
            let lost = session.id.is_some() && response.status() == StatusCode::NOT_FOUND;
            if lost {
                guard.disarm();
                return Err(BackendError::SessionLost);
            }
            read(shared, response, id, deadlines, Some(guard)).await
        }
        Err(error) => {
            // Only a silent backend can still be at work; on a broken connection there is nobody to tell.
            if !matches!(error, BackendError::Timeout { .. }) {
                guard.disarm();
            }
            Err(error)
        }
    }
}

/// Sends `initialize`; answers the session id that the server gives, and its answer.
pub(crate) async fn initialize(
    shared: &Shared,
    id: u64,
    body: Bytes,
) -> Result<(Option<HeaderValue>, Attempt), BackendError> {
    let deadlines = Deadlines::start(&shared.timeouts);
    let response = head(shared, request(shared, HttpMethod::POST, body), &deadlines).await?;
    let session = response.headers().get(headers::SESSION_ID).cloned();
    Ok((session, read(shared, response, id, deadlines, None).await?))
}

async fn head(
    shared: &Shared,
    request: Request<Full<Bytes>>,
    deadlines: &Deadlines,
) -> Result<Response<Incoming>, BackendError> {
    deadlines.watch(shared.client.send(request)).await?
}

/// Turns a response into the outcome of the request `id`.
async fn read(
    shared: &Shared,
    response: Response<Incoming>,
    id: u64,
    deadlines: Deadlines,
    guard: Option<CancelGuard>,
) -> Result<Attempt, BackendError> {
    let status = response.status();
    if status.is_success() && is_type(response.headers(), "text/event-stream") {
        let limit = shared.limits.message;
        return Ok(Attempt::Stream(HttpEvents::new(
            response.into_body(),
            id,
            limit,
            deadlines,
            guard,
        )));
    }
    let read = read_json(shared, response, id, &deadlines).await;
    if let Some(guard) = guard
        && !matches!(read, Err(BackendError::Timeout { .. }))
    {
        guard.disarm();
    }
    read.map(Attempt::Done)
}

async fn read_json(
    shared: &Shared,
    response: Response<Incoming>,
    id: u64,
    deadlines: &Deadlines,
) -> Result<Outcome, BackendError> {
    let status = response.status();
    let json = is_type(response.headers(), "application/json");
    if !json {
        return Err(match status {
            status if status.is_success() => BackendError::Protocol(format!(
                "it answered with status {} and neither JSON nor an event stream",
                status.as_u16()
            )),
            status => BackendError::Refused {
                status: status.as_u16(),
            },
        });
    }
    let body = collect(response.into_body(), shared.limits.message, deadlines).await?;
    let message = match Message::parse(body) {
        Err(_) if !status.is_success() => {
            return Err(BackendError::Refused {
                status: status.as_u16(),
            });
        }
        message => message?,
    };
    // A refusal may carry an id that is not the request's: servers that could not place the request invent one.
    let refusal = !status.is_success() && message.envelope.error.is_some();
    if refusal && is_session_loss(status, &message) {
        return Err(BackendError::SessionLost);
    }
    if !message.answers(id) && !(refusal && message.envelope.kind == Kind::Response) {
        return Err(BackendError::Protocol(
            "it answered another request than the one it was sent".to_owned(),
        ));
    }
    Outcome::of(message)
}

/// Some servers answer an unknown session with 400 and say so in the message only.
fn is_session_loss(status: StatusCode, message: &Message) -> bool {
    let error = message
        .envelope
        .error
        .map(|span| span.text(&message.body).to_ascii_lowercase());
    status == StatusCode::BAD_REQUEST
        && error
            .is_some_and(|text| text.contains("no valid session") || text.contains("server not initialized"))
}

/// Reads a body of at most `limit` bytes.
pub(crate) async fn collect(
    mut body: Incoming,
    limit: usize,
    deadlines: &Deadlines,
) -> Result<Bytes, BackendError> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    while let Some(frame) = deadlines.watch(body.frame()).await? {
        let frame = frame.map_err(|error| BackendError::Gone(cause(&error)))?;
        let Ok(data) = frame.into_data() else { continue };
        if first.len() + all.len() + data.len() > limit {
            return Err(BackendError::TooLarge { limit });
        }
        if first.is_empty() && all.is_empty() {
            // Most answers arrive in one piece, which then needs no copy.
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

pub(crate) fn is_type(headers: &HeaderMap, wanted: &str) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(wanted))
}

/// Tells a legacy backend, when dropped, that a call is no longer wanted.
#[derive(Debug)]
pub(crate) struct CancelGuard {
    armed: bool,
    session: Arc<UpstreamSession>,
    id: u64,
}

impl CancelGuard {
    /// The call has ended; there is nothing to cancel.
    pub(crate) fn disarm(mut self) {
        self.armed = false;
    }

    /// The session that the call runs in.
    pub(crate) fn session(&self) -> &Arc<UpstreamSession> {
        &self.session
    }
}

impl Drop for CancelGuard {
    fn drop(&mut self) {
        if self.armed {
            self.session.notify(message::cancelled(self.id));
        }
    }
}
