//! One POST to a backend and the reading of its answer.

use super::Shared;
use super::client::{HttpClient, Incoming, Media, Outgoing, Verb};
use super::events::HttpEvents;
use super::session::UpstreamSession;
use crate::deadlines::Deadlines;
use crate::{BackendError, Message, Outcome, message};
use bytes::Bytes;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::{Kind, Method, Revision, code, headers};

/// How much of a refusal in plain text is read, and how long that may take.
const LONGEST_REFUSAL: usize = 8 << 10;
const REFUSAL: Duration = Duration::from_secs(1);

/// How a POST was answered.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most calls are done at once, and a box would cost each of them an allocation"
)]
pub(crate) enum Attempt {
    /// With one JSON message.
    Done(Outcome),
    /// With an event stream.
    Stream(Box<HttpEvents>),
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
    let mut headers = Vec::with_capacity(3);
    headers.push((headers::PROTOCOL_VERSION, HeaderValue::from_static(Revision::LATEST.as_str())));
    headers.push((headers::METHOD, HeaderValue::from_static(method.as_str())));
    if let Some(target) = target
        && let Ok(value) = HeaderValue::try_from(&*headers::encode(target))
    {
        headers.push((headers::NAME, value));
    }
    let request = Outgoing { verb: Verb::Post, headers, body };
    // A stream of changes is silent while nothing changes.
    let deadlines =
        if method == Method::Listen { Deadlines::endless() } else { Deadlines::start(&shared.timeouts) };
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
    let request = Outgoing { verb: Verb::Post, headers: session.headers(), body };
    let deadlines = Deadlines::start(&shared.timeouts);
    let guard = CancelGuard { armed: true, session: session.clone(), id };
    match head(shared, request, &deadlines).await {
        Ok(response) => {
            let lost = session.id.is_some() && response.status == 404;
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
    let request = Outgoing { verb: Verb::Post, headers: Vec::new(), body };
    let response = head(shared, request, &deadlines).await?;
    let session = response.session.clone();
    Ok((session, read(shared, response, id, deadlines, None).await?))
}

async fn head(shared: &Shared, request: Outgoing, deadlines: &Deadlines) -> Result<Incoming, BackendError> {
    deadlines.watch(shared.client.send(request)).await?
}

/// Turns a response into the outcome of the request `id`.
async fn read(
    shared: &Shared,
    response: Incoming,
    id: u64,
    deadlines: Deadlines,
    guard: Option<CancelGuard>,
) -> Result<Attempt, BackendError> {
    if response.is_success() && response.media == Media::EventStream {
        let limit = shared.limits.message;
        let events = HttpEvents::new(response.body, id, limit, deadlines, guard);
        return Ok(Attempt::Stream(Box::new(events)));
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
    response: Incoming,
    id: u64,
    deadlines: &Deadlines,
) -> Result<Outcome, BackendError> {
    let (status, success) = (response.status, response.is_success());
    if response.media != Media::Json {
        return Err(match success {
            true => BackendError::Protocol(format!(
                "it answered with status {status} and neither JSON nor an event stream"
            )),
            false => refusal(response).await,
        });
    }
    let body = response.body.collect(shared.limits.message, deadlines).await?;
    let message = match Message::parse(body) {
        Err(_) if !success => return Err(BackendError::Refused { status }),
        message => message?,
    };
    // A refusal may carry an id that is not the request's: servers that could not place the request invent one.
    let error = message.envelope.error.filter(|_| !success);
    if let Some(error) = error
        && names_session(status, error.of(&message.body))
        && !is_about_content(error.of(&message.body))
    {
        return Err(BackendError::SessionLost);
    }
    let belongs = message.answers(id) || (error.is_some() && message.envelope.kind == Kind::Response);
    if !belongs {
        return Err(BackendError::Protocol(
            "it answered another request than the one it was sent".to_owned(),
        ));
    }
    Outcome::of(message)
}

/// What a refusal without JSON means. Some servers say in plain text that they do not know the session.
async fn refusal(response: Incoming) -> BackendError {
    let status = response.status;
    if matches!(status, 400 | 404) {
        let deadlines = Deadlines::endless();
        let text = response.body.collect(LONGEST_REFUSAL, &deadlines);
        if let Ok(Ok(text)) = tokio::time::timeout(REFUSAL, text).await
            && names_session(status, &text)
        {
            return BackendError::SessionLost;
        }
    }
    BackendError::Refused { status }
}

/// Whether a refusal says that the session is missing or unknown. The specification wants 404 for an unknown one; many
/// servers answer 400 to both.
fn names_session(status: u16, text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text).to_ascii_lowercase();
    matches!(status, 400 | 404) && (text.contains("session") || text.contains("not initialized"))
}

/// Whether an error object speaks of the request itself, whose words may be repeated in it.
fn is_about_content(error: &[u8]) -> bool {
    let error: serde_json::Value = serde_json::from_slice(error).unwrap_or_default();
    let number = error.get("code").and_then(serde_json::Value::as_i64);
    [code::INVALID_PARAMS, code::METHOD_NOT_FOUND].map(i64::from).into_iter().any(|code| number == Some(code))
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
