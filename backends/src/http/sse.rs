//! The transport of 2024-11-05: one event stream, which brings everything that the server says, and POSTs beside it.
//!
//! S: MCP 2024-11-05 `basic/transports` "HTTP with SSE"; 2025-11-25 `basic/transports` "Backwards Compatibility".

mod keep;
mod lanes;
mod line;

pub(crate) use keep::run as keep;
pub(crate) use lanes::Lanes;
pub(crate) use line::Line;

use super::Shared;
use super::client::{Incoming, Media, Outgoing, Verb};
use super::post::Attempt;
use super::session::{Key, UpstreamSession};
use crate::credentials::Party;
use crate::deadlines::Deadlines;
use crate::pending::PendingCall;
use crate::{BackendError, Call, Features, Message, Transport, message};
use bytes::Bytes;
use std::sync::Arc;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use weir_protocol::{Era, Kind, Method};

/// What a server may say in answer to a POST, such as `Accepted`, for its connection to be kept.
const LONGEST_RECEIPT: usize = 8 << 10;

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What answers there does not speak this transport.
    NotSpoken(BackendError),
    /// It does, but something went wrong.
    Broken(BackendError),
}

impl From<Failure> for BackendError {
    fn from(failure: Failure) -> Self {
        let (Failure::NotSpoken(error) | Failure::Broken(error)) = failure;
        error
    }
}

/// Opens a stream for `key` and makes the legacy handshake on it, but for the notification that ends it.
pub(crate) async fn initialize(
    shared: &Arc<Shared>,
    key: Key,
    party: &Party,
) -> Result<(Arc<Line>, Features), Failure> {
    let end = Instant::now() + shared.timeouts.list;
    let line = Line::open(shared, key.client, party, end).await?;
    let id = shared.next_id();
    let asked = async {
        let waiting = line.pending().insert(id)?;
        let members = message::initialize_members(key.capabilities);
        let body = message::request(id, Method::Initialize.as_str(), &members, Era::Legacy);
        drop(send(shared.clone(), line.outgoing(Vec::new(), body), line.clone(), id));
        Features::of_initialize(&waiting.answer().await?)
    };
    let late = BackendError::Timeout { what: "initialize", after: shared.timeouts.list };
    match timeout_at(end, asked).await.unwrap_or(Err(late)) {
        Ok(features) => Ok((line, Features { transport: Transport::Sse, ..features })),
        Err(error) => {
            line.close(&error);
            Err(Failure::Broken(error))
        }
    }
}

/// Sends a request in `session`, whose stream is `line`. Dropping the future, or the call before its outcome, sends the
/// cancellation notification.
pub(crate) async fn call(
    shared: &Shared,
    session: &Arc<UpstreamSession>,
    line: &Arc<Line>,
    id: u64,
    body: Bytes,
    client: Option<&Call>,
    party: Party,
) -> Result<Attempt, BackendError> {
    let pending = line.pending();
    let waiting = match client {
        Some(call) => pending.insert_call(id, true, call.logs, call.askable(), call.topic()),
        None => pending.insert(id),
    };
    // A stream that has ended means another session; nothing was sent in this one.
    let waiting = waiting.map_err(|_| BackendError::SessionLost)?;
    let deadlines = client
        .map_or_else(|| Deadlines::start(&shared.timeouts), |call| Deadlines::of(call, &shared.timeouts));
    let mut call = PendingCall::new(session.clone(), id, waiting, deadlines);
    let Some(shared) = shared.myself.upgrade() else {
        return Err(BackendError::Stopping);
    };
    let mirrored = client.map(|call| call.passed_on.clone()).unwrap_or_default();
    let request = Outgoing { mirrored, ..line.outgoing(session.headers(), body).of(party) };
    let mut is_taken = send(shared, request, line.clone(), id);
    let event = tokio::select! {
        biased;
        Ok(()) = &mut is_taken => None,
        event = call.next() => Some(event?),
    };
    if let Some(event) = event {
        call.put_back(event);
    }
    Ok(Attempt::Pending(Box::new(call)))
}

/// Posts the request `id` in the background, since its answer may come before the server has answered the POST, or in its
/// place. What is answered tells when the server has taken it; a failure goes to whoever waits for the answer.
fn send(shared: Arc<Shared>, request: Outgoing, line: Arc<Line>, id: u64) -> oneshot::Receiver<()> {
    let (taken, is_taken) = oneshot::channel();
    tokio::spawn(async move {
        let deadlines = Deadlines::start(&shared.timeouts);
        match post(&shared, request, &deadlines).await {
            Ok(response) => {
                let _ = taken.send(());
                finish(&shared, response, &line, id, &deadlines).await;
            }
            Err(error) => line.pending().give_up(id, error),
        }
    });
    is_taken
}

/// Posts a message; the answer to it comes on the stream.
async fn post(shared: &Shared, request: Outgoing, deadlines: &Deadlines) -> Result<Incoming, BackendError> {
    let response = deadlines.watch(shared.send(request)).await??;
    match response.status {
        200..300 => Ok(response),
        404 | 410 => Err(BackendError::SessionLost),
        status => Err(BackendError::Refused { status }),
    }
}

/// Reads how a POST was answered, so that its connection serves the next one. An answer to `id` belongs on the stream, but
/// one in the response is taken all the same.
async fn finish(shared: &Shared, response: Incoming, line: &Line, id: u64, deadlines: &Deadlines) {
    let is_json = response.media == Media::Json;
    let limit = if is_json { shared.limits.message } else { LONGEST_RECEIPT };
    if let Ok(body) = response.body.collect(limit, deadlines).await
        && is_json
        && let Ok(message) = Message::parse(body)
        && message.envelope.kind == Kind::Response
        && message.answers(id)
    {
        line.pending().answer(id, Ok(message));
    }
}

/// The request that opens a stream.
fn opening() -> Outgoing {
    Outgoing::new(Verb::Get, Vec::new(), Bytes::new())
}
