//! What a legacy client is asked on behalf of one of its calls: real requests with ids of weir's own, on the stream of the call.
//!
//! A legacy backend asks while it carries out the call, and its requests are relayed. A modern one answers that it needs
//! input; the client is asked for all of it, and then the call is made again.
//!
//! S: MCP 2025-11-25 `client/elicitation`, `client/sampling`, `client/roots`; 2026-07-28 `basic/patterns/mrtr`.

mod attribution;
mod questions;
mod response;
mod round;

pub(crate) use attribution::attribute;
pub(crate) use questions::Questions;

use crate::answer::Answer;
use crate::call;
use crate::client::Client;
use crate::drain::Admitted;
use crate::edge::Post;
use crate::pump::{Running, Terms};
use crate::rescue::{self, Fault};
use crate::session::Session;
use bytes::Bytes;
use questions::{Mailbox, OPEN, Unasked};
use round::{Pauses, Round};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use weir_backends::{BackendError, Input, Message};
use weir_protocol::object::Object;
use weir_protocol::{Method, Span, Splice, code, json};

/// What the client of one call is asked. Dropped, nobody waits for its answers any more.
#[derive(Debug)]
pub(crate) struct Inquiry {
    /// Whose answers count; `None` where the client cannot be asked.
    session: Option<Arc<Session>>,
    /// `None` as long as nothing was asked: most calls never ask.
    asking: Option<Box<Asking>>,
    /// The place among the requests under way of a call whose client is away: while the client is asked for what a modern
    /// backend wants to know, nothing else counts the call.
    place: Option<Admitted>,
}

#[derive(Debug)]
struct Asking {
    session: Arc<Session>,
    mailbox: Arc<Mailbox>,
    open: Vec<Question>,
    /// Since when any question is open.
    since: Option<Instant>,
    /// How long the call has waited for answers before that.
    waited: Duration,
    /// What a modern backend asked for last.
    round: Option<Round>,
    /// In how many such rounds the client was asked.
    rounds: usize,
    /// Those since anything else was asked for.
    pauses: Pauses,
    /// When the call is made again, where nothing else was asked for.
    due: Option<Instant>,
}

/// One request that the client has not answered.
#[derive(Debug)]
struct Question {
    number: u64,
    asked: Instant,
    purpose: Purpose,
}

/// What an answer is for.
#[derive(Debug)]
enum Purpose {
    /// For a legacy backend, which knows its request by this raw id.
    Relay(Bytes),
    /// For the entry of this place in the round.
    Input(usize, Method),
}

impl Drop for Asking {
    fn drop(&mut self) {
        for question in &self.open {
            self.session.questions.close(question.number);
        }
    }
}

impl Inquiry {
    /// Nothing is asked yet; the answers would come in `session`.
    pub(crate) fn new(session: Option<Arc<Session>>) -> Self {
        Self { session, asking: None, place: None }
    }

    /// The client's session, where it can be asked in one.
    pub(crate) fn session(&self) -> Option<&Arc<Session>> {
        self.session.as_ref()
    }

    fn asking(&mut self) -> Option<&mut Asking> {
        if self.asking.is_none() {
            let session = self.session.clone()?;
            self.asking = Some(Box::new(Asking {
                session,
                mailbox: Arc::default(),
                open: Vec::new(),
                since: None,
                waited: Duration::ZERO,
                round: None,
                rounds: 0,
                pauses: Pauses::default(),
                due: None,
            }));
        }
        self.asking.as_deref_mut()
    }

    /// Takes a place for a call whose client is away; `false` where all are taken.
    pub(crate) fn take_place(&mut self, terms: &Terms<'_>) -> bool {
        if self.place.is_none() {
            self.place = terms.post.core.drain.admit(terms.post.snapshot.config.limits.requests);
        }
        self.place.is_some()
    }

    /// Waits until there is something to [settle](Self::settle). Cancel-safe.
    pub(crate) async fn answered(&self) {
        match &self.asking {
            None => std::future::pending().await,
            Some(asking) => match asking.due {
                // Boxed, so that what is rare does not make the future of every call larger.
                Some(due) => Box::pin(tokio::time::sleep_until(due)).await,
                None => asking.mailbox.filled().await,
            },
        }
    }

    /// Passes a legacy backend's request on to the client.
    ///
    /// # Errors
    /// The client is not asked; in words for the backend.
    pub(crate) fn relay(
        &mut self,
        client: &mut Client<'_>,
        terms: &Terms<'_>,
        backend: &str,
        request: &Message,
    ) -> Result<(), String> {
        let cannot = || "the client cannot be asked this".to_owned();
        let allowed = terms.manner.capabilities.allows(&request.body, &request.envelope);
        let id = request.envelope.id.ok_or_else(cannot)?;
        let asking = self.asking().filter(|_| allowed && client.takes_notices()).ok_or_else(cannot)?;
        let purpose = Purpose::Relay(request.body.slice(id.start()..id.end()));
        asking.put(client, terms, backend, request, purpose)
    }

    /// Asks the client for all that a modern backend needs before it can go on.
    ///
    /// # Errors
    /// It may not ask for this, or not as often: the call ends with this answer.
    pub(crate) fn begin(
        &mut self,
        client: &mut Client<'_>,
        terms: &Terms<'_>,
        backend: &str,
        required: &Message,
    ) -> Result<(), Answer> {
        let broken = |text: String| {
            let fault = rescue::backend_failed(backend, &BackendError::Protocol(text));
            tracing::warn!(backend, fault.message, "a call failed");
            terms.asker.fault(&fault)
        };
        let unoffered = || broken("it asks for input, which was not offered to it".to_owned());
        if !call::takes_input(terms.manner.method) {
            return Err(unoffered());
        }
        let (round, requests) = Round::read(required).map_err(broken)?;
        for request in &requests {
            if !terms.manner.capabilities.allows(&request.body, &request.envelope) {
                let method = request.envelope.method_name(&request.body).unwrap_or_default();
                return Err(broken(format!("it asks for `{method:.100}`, which the client does not offer")));
            }
        }
        if !requests.is_empty() && !client.takes_notices() {
            return Err(unoffered());
        }
        if matches!(client, Client::Away(_)) && !self.take_place(terms) {
            let limit = terms.post.snapshot.config.limits.requests;
            return Err(terms.asker.fault(&rescue::overloaded("requests", limit)));
        }
        let asking = self.asking().ok_or_else(unoffered)?;
        asking.due = asking.count(&round, terms).map_err(|what| ended(terms, backend, &what))?;
        asking.round = Some(round);
        for (at, request) in requests.iter().enumerate() {
            let purpose = Purpose::Input(at, request.envelope.method(&request.body));
            asking
                .put(client, terms, backend, request, purpose)
                .map_err(|words| ended(terms, backend, &format!("asked for something, but {words}")))?;
        }
        Ok(())
    }

    /// Hands the answers that came to the backend. What is answered here ends the call.
    pub(crate) fn settle(&mut self, running: &mut Running, terms: &Terms<'_>) -> Option<Answer> {
        let asking = self.asking.as_deref_mut()?;
        let arrived = asking.mailbox.take();
        for (number, response) in arrived.answers {
            let Some(at) = asking.open.iter().position(|question| question.number == number) else {
                continue;
            };
            match asking.open.swap_remove(at).purpose {
                Purpose::Relay(id) => match terms.asker.restored(response) {
                    Ok(response) => running.reply(response::with_id(&response, &id)),
                    Err(error) => return Some(ended(terms, running.backend_name(), &error.to_string())),
                },
                Purpose::Input(at, method) => match response::result(&response, method) {
                    Ok(result) => asking.round.as_mut()?.put(at, result),
                    Err(why) => return Some(unanswered(terms, running.backend_name(), method, &why)),
                },
            }
        }
        if arrived.ended && !asking.open.is_empty() {
            return Some(ended(terms, running.backend_name(), "asked its client, whose session has ended"));
        }
        asking.count_waiting();
        if !asking.open.is_empty() || asking.due.is_some_and(|due| Instant::now() < due) {
            return None;
        }
        asking.due = None;
        let input = asking.round.take()?.input()?;
        match again(running, terms, input) {
            Ok(next) => {
                *running = next;
                None
            }
            Err(fault) => {
                tracing::debug!(code = fault.code, fault.message, "call refused");
                Some(terms.asker.fault(&fault))
            }
        }
    }

    /// The answer to a call whose client has taken too long; `None` while there is time.
    pub(crate) fn overdue(&self, backend: &str, terms: &Terms<'_>) -> Option<Answer> {
        let asking = self.asking.as_ref()?;
        let timeouts = &terms.post.snapshot.config.timeouts;
        let oldest = asking.open.iter().map(|question| question.asked).min()?;
        let waited = asking.waited + asking.since.map(|since| since.elapsed()).unwrap_or_default();
        let limit = if oldest.elapsed() >= timeouts.input {
            timeouts.input
        } else if waited >= timeouts.inputs {
            timeouts.inputs
        } else {
            return None;
        };
        let what = format!("asked its client, which gave no answer within {} s", limit.as_secs_f64());
        Some(ended(terms, backend, &what))
    }

    /// Takes back what the client has not answered.
    ///
    /// S: MCP 2025-11-25 `basic/utilities/cancellation`.
    pub(crate) fn withdraw(&mut self, client: &mut Client<'_>) {
        let Some(asking) = &mut self.asking else {
            return;
        };
        for question in asking.open.drain(..) {
            asking.session.questions.close(question.number);
            client.push(cancelled(question.number, "the call has ended").as_bytes());
        }
    }

    /// A legacy backend takes back its request with the raw `id`; so is what the client was asked.
    pub(crate) fn forget(&mut self, client: &mut Client<'_>, id: &[u8]) {
        let is_it = |question: &Question| matches!(&question.purpose, Purpose::Relay(own) if own == id);
        if let Some(asking) = &mut self.asking
            && let Some(at) = asking.open.iter().position(is_it)
        {
            let number = asking.open.swap_remove(at).number;
            asking.session.questions.close(number);
            client.push(cancelled(number, "the server does not ask any more").as_bytes());
            asking.count_waiting();
        }
    }
}

/// Tells the client that nobody waits for its answer.
fn cancelled(number: u64, reason: &str) -> String {
    format!(
        r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{number},"reason":"{reason}"}}}}"#
    )
}

impl Asking {
    /// Where no question is open any more, the client's time stands still.
    fn count_waiting(&mut self) {
        if self.open.is_empty() {
            self.waited += self.since.take().map(|since| since.elapsed()).unwrap_or_default();
        }
    }

    /// Counts a round, and answers when the call is made again if nobody is asked in it; the error says what is too much.
    fn count(&mut self, round: &Round, terms: &Terms<'_>) -> Result<Option<Instant>, String> {
        let config = &terms.post.snapshot.config;
        if round.is_pause() {
            let limit = config.timeouts.inputs;
            let what = || format!("asked to be called again for longer than {} s", limit.as_secs_f64());
            return self.pauses.next(limit).map(Some).ok_or_else(what);
        }
        self.pauses = Pauses::default();
        self.rounds += 1;
        let limit = config.limits.rounds;
        if self.rounds > limit {
            return Err(format!("asked its client more than {limit} times in one call"));
        }
        Ok(None)
    }

    /// Puts a request to the client. Only its id changes, and what [`attribute`] and [`identify`] change.
    fn put(
        &mut self,
        client: &mut Client<'_>,
        terms: &Terms<'_>,
        backend: &str,
        request: &Message,
        purpose: Purpose,
    ) -> Result<(), String> {
        let body = &request.body;
        let mut splice = Splice::new(body);
        if let Some(params) = &request.envelope.params {
            let source = std::str::from_utf8(body).unwrap_or_default();
            let (at, method) =
                (Span::new(params.start.saturating_sub(1), body.len()), request.envelope.method(body));
            attribute(&mut splice, source, at, method, &terms.post.endpoint, backend)
                .map_err(|error| format!("its parameters cannot be read: {error}"))?;
            if matches!(purpose, Purpose::Input(_, Method::Elicit)) {
                identify(&mut splice, source, params.start)?;
            }
        }
        let number = self.session.questions.open(&self.mailbox).map_err(|unasked| match unasked {
            Unasked::TooMany => format!("the client has {OPEN} other questions to answer"),
            Unasked::Ended => "the client's session has ended".to_owned(),
        })?;
        if let Some(id) = request.envelope.id {
            splice.replace(id, number.to_string().into_bytes());
        }
        let asked = Instant::now();
        self.since.get_or_insert(asked);
        self.open.push(Question { number, asked, purpose });
        client.push(&splice.finish());
        Ok(())
    }
}

/// Gives a URL that the user is to visit the id that legacy clients must find with it (2025-11-25 `client/elicitation` "URL
/// Mode"); modern servers write none. `start` is right behind the `{` of the parameters.
fn identify(splice: &mut Splice<'_>, source: &str, start: usize) -> Result<(), String> {
    let params = Object::read(source, Span::new(start.saturating_sub(1), source.len()));
    let params = params.map_err(|error| format!("its parameters cannot be read: {error}"))?;
    let mode = params.get("mode").and_then(|field| json::as_str(field.value().of(source.as_bytes())));
    if mode.as_deref() == Some("url") && params.get("elicitationId").is_none() {
        let mut random = [0u8; 16];
        getrandom::fill(&mut random).map_err(|_| "the gateway has no randomness".to_owned())?;
        splice.insert(
            start,
            format!("\"elicitationId\":\"{:032x}\",", u128::from_be_bytes(random)).into_bytes(),
        );
    }
    Ok(())
}

/// The end of a call whose client answered a question with an error.
fn unanswered(terms: &Terms<'_>, backend: &str, method: Method, why: &str) -> Answer {
    let method_name = method.as_str();
    told(terms, format!("backend `{backend}` asked for `{method_name}`, which failed at the client: {why}"))
}

/// The end of a call that its client could not serve, in words that a model reads too where it called a tool.
pub(crate) fn told(terms: &Terms<'_>, text: String) -> Answer {
    if terms.manner.method != Method::ToolsCall {
        return terms.asker.fault(&Fault::new(200, code::INTERNAL_ERROR, text));
    }
    let mut result = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
    json::write_string(&mut result, &text);
    result.extend_from_slice(b"}],\"isError\":true}");
    Answer { status: 200, body: code::result_answer(&terms.asker.id, &result) }
}

/// The end of a call that asked what it could not get.
fn ended(terms: &Terms<'_>, backend: &str, what: &str) -> Answer {
    tracing::info!(backend, what, "a call ended with its questions");
    told(terms, format!("backend `{backend}` {what}"))
}

/// The call made again, by what the configuration says now.
fn again(running: &Running, terms: &Terms<'_>, input: Box<Input>) -> Result<Running, Fault> {
    let snapshot = terms.post.core.snapshot.load_full();
    let endpoint = snapshot.numbered(terms.post.endpoint.number).cloned().ok_or_else(rescue::stopping)?;
    let post = Post { snapshot, endpoint, ..terms.post.clone() };
    let routed = post.route(terms.manner, true, Some(input))?;
    if !running.is_of(&routed.backend) {
        // The state and the answers are for the server that asked, and for no other.
        let backend = running.backend_name();
        let message = format!("backend `{backend}`, which asked its client, does not serve this any more");
        return Err(Fault::new(200, code::INTERNAL_ERROR, message));
    }
    Ok(Running::start(routed))
}
