//! One POST to a backend and the reading of its answer.

use super::Shared;
use super::aside::{Aside, Beside};
use super::client::{Incoming, Media, Outgoing, Verb};
use super::early;
use super::events::HttpEvents;
use super::late;
use super::session::UpstreamSession;
use super::sse;
use crate::credentials::Party;
use crate::deadlines::Deadlines;
use crate::exchange::Event;
use crate::pending::{PendingCall, Topic};
use crate::{BackendError, Call, Message, Outcome, message};
use bytes::Bytes;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use weir_protocol::{ClientCapabilities, Kind, Method, Revision, code, headers};

/// How much of a refusal in plain text is read, and how long that may take.
const LONGEST_REFUSAL: usize = 8 << 10;
const REFUSAL: Duration = Duration::from_secs(1);

/// How a POST was answered.
#[derive(Debug)]
pub(crate) enum Attempt {
    /// With one JSON message.
    Done(Outcome),
    /// With an event stream.
    Stream(Box<HttpEvents>),
    /// With nothing yet: the answer comes on the event stream of its session.
    Pending(Box<PendingCall>),
    /// With a refusal whose words are those of servers that miss or do not know the session, which is no proof: a tool
    /// may have been run and have used the same words.
    Unplaced(Result<Outcome, BackendError>),
}

impl Attempt {
    /// The response, whatever events come before it.
    pub(super) async fn into_message(self) -> Result<Message, BackendError> {
        let outcome = match self {
            Self::Done(outcome) => outcome,
            Self::Unplaced(own) => own?,
            Self::Stream(mut events) => loop {
                if let Event::Outcome(outcome) = events.next().await? {
                    break outcome;
                }
            },
            Self::Pending(mut call) => loop {
                if let Event::Outcome(outcome) = call.next().await? {
                    break outcome;
                }
            },
        };
        Ok(outcome.into_message())
    }
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
    mirroring(shared, method, target, Vec::new(), id, body, Party::Weir).await
}

/// As [`modern`], on behalf of `party`, with headers that mirror arguments or are passed on.
pub(crate) async fn mirroring(
    shared: &Shared,
    method: Method,
    target: Option<&str>,
    mirrored: Vec<(String, HeaderValue)>,
    id: u64,
    body: Bytes,
    party: Party,
) -> Result<Attempt, BackendError> {
    let mut headers = Vec::with_capacity(3);
    headers.push((headers::PROTOCOL_VERSION, HeaderValue::from_static(Revision::LATEST.as_str())));
    headers.push((headers::METHOD, HeaderValue::from_static(method.as_str())));
    if let Some(target) = target
        && let Ok(value) = HeaderValue::try_from(&*headers::encode(target))
    {
        headers.push((headers::NAME, value));
    }
    let request = Outgoing { mirrored, ..Outgoing::new(Verb::Post, headers, body).of(party) };
    // A stream of changes is silent while nothing changes.
    let listens = method == Method::Listen;
    let deadlines = if listens { Deadlines::endless() } else { Deadlines::start(&shared.timeouts) };
    let head = head(shared, request, &deadlines);
    let response = if listens { promptly(shared, head).await? } else { head.await? };
    read(shared, response, id, deadlines, None).await
}

/// Sends a legacy request in `session`; `logs` says what log messages are wanted with a client's call, `None` stands for a
/// request of weir's own. It is sent on behalf of `party`. Dropping the future, or the stream before its outcome, sends the cancellation
/// notification: closing the connection does not cancel there (2025-11-25 `basic/transports`).
pub(crate) async fn legacy(
    shared: &Shared,
    session: &Arc<UpstreamSession>,
    id: u64,
    body: Bytes,
    call: Option<&Call>,
    party: Party,
) -> Result<Attempt, BackendError> {
    if let Some(line) = &session.line {
        return sse::call(shared, session, line, id, body, call, party).await;
    }
    let mirrored = call.map(|call| call.passed_on.clone()).unwrap_or_default();
    let request = Outgoing { mirrored, ..Outgoing::new(Verb::Post, session.headers(), body).of(party) };
    let deadlines = match call {
        Some(call) => Deadlines::of(call, &shared.timeouts),
        None => Deadlines::start(&shared.timeouts),
    };
    let capabilities = call.map(Call::askable).unwrap_or_default();
    let beside = match call {
        // Boxed, since hardly any call needs it.
        Some(call) if session.aside.is_used() => Box::pin(Aside::begin(shared, session, id, call)).await,
        Some(call) => {
            session.aside.hear(shared, session, call);
            None
        }
        None => None,
    };
    let topic = call.and_then(Call::topic);
    let guard = CancelGuard { armed: true, session: session.clone(), id, capabilities, topic, beside };
    if guard.beside.is_some() {
        return early::send(shared, request, deadlines, guard).await;
    }
    let response = match guard.becomes_task() {
        true => {
            let own = shared.myself.upgrade().ok_or(BackendError::Stopping)?;
            let sending = late::send(own, session.clone(), id, request);
            // Boxed, since hardly any call needs it.
            deadlines.watch(Box::pin(sending)).await.unwrap_or_else(Err)
        }
        false => head(shared, request, &deadlines).await,
    };
    in_session(shared, response, deadlines, guard).await
}

/// Turns what a request in a session was answered into its outcome.
pub(crate) async fn in_session(
    shared: &Shared,
    response: Result<Incoming, BackendError>,
    deadlines: Deadlines,
    guard: CancelGuard,
) -> Result<Attempt, BackendError> {
    let id = guard.id;
    match response {
        Ok(response) => {
            if guard.session.id.is_some() && response.status == 404 {
                guard.disarm();
                return unknown(shared, response, id, &deadlines).await;
            }
            read(shared, response, id, deadlines, Some(guard)).await
        }
        Err(error) => {
            guard.failed(&error);
            Err(error)
        }
    }
}

/// Sends `initialize`; answers the session id that the server gives, whatever becomes of its answer, and that answer.
pub(crate) async fn initialize(
    shared: &Shared,
    id: u64,
    body: Bytes,
    party: Party,
) -> (Option<HeaderValue>, Result<Message, BackendError>) {
    let limit = shared.timeouts.list;
    let end = Instant::now() + limit;
    let late = BackendError::Timeout { what: "initialize", after: limit };
    let deadlines = Deadlines::start(&shared.timeouts);
    let request = Outgoing::new(Verb::Post, Vec::new(), body).of(party);
    let head = timeout_at(end, head(shared, request, &deadlines)).await;
    let response = match head.unwrap_or_else(|_| Err(late.clone())) {
        Ok(response) => response,
        Err(error) => return (None, Err(error)),
    };
    let session = response.session.clone();
    let answer = async { read(shared, response, id, deadlines, None).await?.into_message().await };
    (session, timeout_at(end, answer).await.unwrap_or(Err(late)))
}

/// The head of a stream that may then be silent for as long as it likes.
async fn promptly(
    shared: &Shared,
    head: impl Future<Output = Result<Incoming, BackendError>>,
) -> Result<Incoming, BackendError> {
    let limit = shared.timeouts.list;
    let late = BackendError::Timeout { what: "the stream of changes", after: limit };
    tokio::time::timeout(limit, head).await.unwrap_or(Err(late))
}

async fn head(shared: &Shared, request: Outgoing, deadlines: &Deadlines) -> Result<Incoming, BackendError> {
    deadlines.watch(shared.send(request)).await?
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
    if let Some(guard) = guard {
        match &read {
            Ok(_) => guard.disarm(),
            Err(error) => guard.failed(error),
        }
    }
    read
}

/// What a 404 to a request in a session means: the session is unknown (2025-11-25 `basic/transports`), unless the body
/// answers the request itself.
async fn unknown(
    shared: &Shared,
    response: Incoming,
    id: u64,
    deadlines: &Deadlines,
) -> Result<Attempt, BackendError> {
    if response.media == Media::Json
        && let Ok(body) = response.body.collect(shared.limits.message, deadlines).await
        && let Ok(message) = Message::parse(body)
        && message.envelope.id.is_some()
        && message.answers(id)
        && message.envelope.error.is_some_and(|error| is_about_content(&Words::of(error.of(&message.body))))
    {
        return Outcome::of(message).map(Attempt::Done);
    }
    Err(BackendError::SessionLost)
}

async fn read_json(
    shared: &Shared,
    response: Incoming,
    id: u64,
    deadlines: &Deadlines,
) -> Result<Attempt, BackendError> {
    let (status, success) = (response.status, response.is_success());
    if response.media != Media::Json {
        return Err(match success {
            true => BackendError::Protocol(format!(
                "it answered with status {status} and neither JSON nor an event stream"
            )),
            false => return refusal(response).await,
        });
    }
    let body = response.body.collect(shared.limits.message, deadlines).await?;
    let words = if success { Bytes::new() } else { body.clone() };
    let message = match Message::parse(body) {
        Err(_) if !success => return refused(status, &String::from_utf8_lossy(&words)),
        message => message?,
    };
    // A refusal may carry an id that is not the request's: servers that could not place the request invent one.
    let error = message.envelope.error.filter(|_| !success);
    let belongs = message.answers(id) || (error.is_some() && message.envelope.kind == Kind::Response);
    if !belongs {
        shared.client.forget_unused();
        return Err(BackendError::Protocol(
            "it answered another request than the one it was sent".to_owned(),
        ));
    }
    let unplaced = error.map(|error| Words::of(error.of(&message.body))).is_some_and(|words| {
        names_session(status, words.message.as_deref().unwrap_or_default()) && !is_about_content(&words)
    });
    let outcome = Outcome::of(message);
    if unplaced { Ok(Attempt::Unplaced(outcome)) } else { outcome.map(Attempt::Done) }
}

/// What a refusal without JSON means. Some servers say in plain text that they do not know the session.
async fn refusal(response: Incoming) -> Result<Attempt, BackendError> {
    let status = response.status;
    let mut words = Bytes::new();
    if status == 400 {
        let deadlines = Deadlines::endless();
        let text = response.body.collect(LONGEST_REFUSAL, &deadlines);
        if let Ok(Ok(text)) = tokio::time::timeout(REFUSAL, text).await {
            words = text;
        }
    }
    refused(status, &String::from_utf8_lossy(&words))
}

/// A refusal that is no JSON-RPC message.
fn refused(status: u16, text: &str) -> Result<Attempt, BackendError> {
    let error = BackendError::Refused { status };
    if names_session(status, text) { Ok(Attempt::Unplaced(Err(error))) } else { Err(error) }
}

/// How servers say, with status 400, that the session is missing or unknown. The specification wants 404 for an unknown
/// one.
const SESSION_REFUSALS: [&str; 5] = [
    "no valid session id",
    "session not found",
    "missing session id",
    "mcp-session-id header is required",
    "server not initialized",
];

fn names_session(status: u16, text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    status == 400 && SESSION_REFUSALS.iter().any(|refusal| text.contains(refusal))
}

/// What is read of a JSON-RPC error.
#[derive(Default, serde::Deserialize)]
struct Words {
    code: Option<i64>,
    message: Option<String>,
}

impl Words {
    /// Empty where `error` is no such object.
    fn of(error: &[u8]) -> Self {
        serde_json::from_slice(error).unwrap_or_default()
    }
}

/// Whether an error speaks of the request itself, whose words may be repeated in it.
fn is_about_content(error: &Words) -> bool {
    [code::INVALID_PARAMS, code::METHOD_NOT_FOUND]
        .map(i64::from)
        .into_iter()
        .any(|code| error.code == Some(code))
}

/// Tells a legacy backend, when dropped, that a call is no longer wanted.
#[derive(Debug)]
pub(crate) struct CancelGuard {
    armed: bool,
    session: Arc<UpstreamSession>,
    id: u64,
    capabilities: ClientCapabilities,
    /// What the call has to do with a legacy task.
    topic: Option<Topic>,
    /// Where the server may ask something beside the call.
    beside: Option<Arc<Beside>>,
}

impl CancelGuard {
    /// The call has ended; there is nothing to cancel.
    pub(crate) fn disarm(mut self) {
        self.armed = false;
        if let Some(beside) = &self.beside {
            beside.end();
        }
    }

    /// The call has failed. Only a silent backend is told that nobody waits: on a broken connection there is nobody to tell.
    /// One that was not heard, or has refused the call, does not carry it out; any other may still, and may ask for it, be it
    /// that only a proxy gave up.
    pub(crate) fn failed(mut self, error: &BackendError) {
        if error.is_unheard() {
            return self.disarm();
        }
        self.armed = matches!(error, BackendError::Timeout { .. });
    }

    /// Where the server may ask something beside the call.
    pub(crate) fn beside(&self) -> Option<Arc<Beside>> {
        self.beside.clone()
    }

    /// The same, to be listened to by somebody else.
    pub(crate) fn take_beside(&mut self) -> Option<Arc<Beside>> {
        self.beside.take()
    }

    /// Whether the call may become a task.
    pub(crate) fn becomes_task(&self) -> bool {
        self.armed && matches!(self.topic, Some(Topic::Offered | Topic::Becoming))
    }

    /// Whether it is about this task.
    pub(crate) fn is_about(&self, task: &str) -> bool {
        self.topic.as_ref().and_then(Topic::task).is_some_and(|own| **own == *task)
    }

    /// The number of the call.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// What the call's client can be asked.
    pub(crate) fn capabilities(&self) -> ClientCapabilities {
        self.capabilities
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
