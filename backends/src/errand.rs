//! A call that a legacy server carries out as a task while its client knows nothing of one: begun as a task, asked about
//! until it has ended or wants something, and fetched.
//!
//! S: MCP 2025-11-25 `basic/utilities/tasks`.

mod state;

pub(crate) use state::TaskState;

use crate::deadlines::Deadlines;
use crate::exchange::{Event, Exchange, Message, Outcome, Part};
use crate::handshake::result_of;
use crate::pending::{Pending, Waiting};
use crate::{BackendError, Call};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use weir_config::BackendTimeouts;
use weir_protocol::{Envelope, Meta, Method, Splice, json, meta};

/// How often a task is asked about of whose server nothing else is known, and the most and the least often that a server may
/// want it.
const INTERVAL: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(30);
/// So often a result is asked for anew, where the connection was lost on which it was waited for.
const FETCHES: u32 = 8;

/// Where tasks live: a process, or a session.
pub(crate) trait Home: fmt::Debug + Send + Sync {
    /// Sends a request of weir's own, `members` being its parameters.
    fn ask(
        self: Arc<Self>,
        method: Method,
        members: String,
    ) -> BoxFuture<'static, Result<Message, BackendError>>;

    /// Sends a call about a task.
    fn fetch(self: Arc<Self>, call: Box<Call>) -> BoxFuture<'static, Result<Exchange, BackendError>>;

    /// Has the server end the task with this id, in the background, where it can.
    fn end_task(self: Arc<Self>, id: Arc<str>);

    /// Sends an answer to what the server asked beside the call of this number. Where that does not reach it, whoever follows
    /// the call is told.
    fn say(self: Arc<Self>, call: u64, body: Bytes);

    /// Whether it is gone for good, and its tasks with it.
    fn has_ended(&self) -> bool;

    /// Where arrives what comes beside its calls.
    fn pending(&self) -> &Pending;
}

/// One such call under way. Dropped before its outcome, the task is ended.
#[derive(Debug)]
pub(crate) struct Errand {
    home: Arc<dyn Home>,
    stage: Stage,
    /// The client's call.
    call: Box<Call>,
    deadlines: Deadlines,
    /// The longest pause that is no silence.
    longest: Duration,
    task: Option<Task>,
    /// The raw ids of what the server asked by way of the exchange under way, as long as it waits for answers.
    open: Vec<Bytes>,
    /// Those of what it asked by way of one that has ended. The client has yet to hear that nobody waits for its answer.
    withdrawn: VecDeque<Bytes>,
    /// How often the result was asked for.
    fetches: u32,
}

/// A task that was begun.
#[derive(Debug)]
struct Task {
    id: Arc<str>,
    interval: Duration,
    /// The number of the call, whose progress goes on.
    number: u64,
    /// What its server says of it beside whatever is under way.
    beside: Waiting,
}

/// The answer to how far a task is; what passes does not end the wait for it.
type Poll = BoxFuture<'static, Result<Message, BackendError>>;
type Opening = BoxFuture<'static, Result<Exchange, BackendError>>;

enum Stage {
    /// The call is sent.
    Begun(Box<Exchange>),
    /// The server is asked how far it is.
    Watched(Poll),
    /// The result is being asked for, and the server still asked how far it is, as a sign of life.
    Wanted(Opening, Poll),
    /// The result is waited for.
    Awaited(Box<Exchange>, Poll),
    Over,
}

/// What comes next of a task.
enum Heard {
    /// By way of the exchange.
    Event(Result<Event, BackendError>),
    /// Beside it.
    Beside(Result<Event, BackendError>),
    State(Result<Message, BackendError>),
    Opened(Result<Exchange, BackendError>),
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begun(_) => "begun",
            Self::Watched(_) => "watched",
            Self::Wanted(..) => "wanted",
            Self::Awaited(..) => "awaited",
            Self::Over => "over",
        })
    }
}

impl Errand {
    /// The errand of `call`, which was sent: what is `begun` may become a task that lives at `home`.
    pub(crate) fn new(
        home: Arc<dyn Home>,
        call: Box<Call>,
        begun: Exchange,
        timeouts: &BackendTimeouts,
    ) -> Self {
        let stage = Stage::Begun(Box::new(begun.at(home.clone(), Part::Watched)));
        Self {
            home,
            stage,
            call,
            deadlines: Deadlines::start(timeouts),
            longest: LONGEST.min(timeouts.idle / 2),
            task: None,
            open: Vec::new(),
            withdrawn: VecDeque::new(),
            fetches: 0,
        }
    }

    /// Sends the answer of the call's client to a request of the server, where that waits for one.
    pub(crate) fn reply(&mut self, body: Bytes) {
        let id = Envelope::parse(&body).ok().and_then(|envelope| envelope.id);
        let Some(id) = id.map(|id| id.of(&body)) else {
            return;
        };
        if let Some(at) = self.open.iter().position(|open| open == id) {
            self.open.swap_remove(at);
            self.deadlines.answered();
            let body = self.related(body);
            if let Stage::Begun(exchange) | Stage::Awaited(exchange, _) = &mut self.stage {
                exchange.reply(body);
            }
        } else if let Some(task) = self.task.as_ref().filter(|task| task.beside.settle(&body)) {
            self.deadlines.answered();
            self.home.clone().say(task.number, self.related(body));
        }
    }

    /// The answer to a question of the task, which names the task as the question did (2025-11-25 `basic/utilities/tasks`
    /// "Associating Task-Related Messages").
    fn related(&self, body: Bytes) -> Bytes {
        match &self.task {
            Some(task) => stamped(&body, &task.id).unwrap_or(body),
            None => body,
        }
    }

    /// The next event, as if there were no task. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Event, BackendError> {
        let next = self.advance().await;
        match &next {
            Ok(Event::Outcome(_)) => {
                self.stage = Stage::Over;
                self.forget();
            }
            Ok(event) => self.deadlines.heard(event),
            Err(_) => self.give_up(),
        }
        next.and_then(unrelated)
    }

    async fn advance(&mut self) -> Result<Event, BackendError> {
        loop {
            if let Some(id) = self.withdrawn.pop_front() {
                return Ok(Event::Withdrawn(id));
            }
            let heard = match self.hear().await? {
                Heard::Beside(event) => return event,
                heard => heard,
            };
            let is_passing = |error: &BackendError| is_passing(error) && !self.home.has_ended();
            match heard {
                Heard::Event(Ok(Event::Outcome(Outcome::Complete(message)))) if message.is_task() => {
                    self.begun(&message)?;
                }
                Heard::Opened(Err(error)) | Heard::Event(Err(error))
                    if self.task.is_some() && self.fetches < FETCHES && is_passing(&error) =>
                {
                    tracing::debug!(%error, "the result of a task is asked for anew");
                    self.leave(|errand| Stage::Watched(errand.ask()));
                }
                Heard::Event(event) => return event.inspect(|event| self.note(event)),
                Heard::Opened(exchange) => {
                    let task = self.task.as_ref().map(|task| task.id.clone());
                    let part = task.map_or(Part::Watched, |task| Part::About(task, Method::TasksResult));
                    let exchange = Box::new(exchange?.at(self.home.clone(), part));
                    self.stage = match std::mem::replace(&mut self.stage, Stage::Over) {
                        Stage::Wanted(_, poll) => Stage::Awaited(exchange, poll),
                        other => other,
                    };
                }
                Heard::State(answer) if matches!(self.stage, Stage::Watched(_)) => self.told(&answer?)?,
                Heard::State(answer) => {
                    // What is wrong is for the result to say.
                    let next = match answer.as_ref().map(|answer| (answer, answer.envelope.error)) {
                        Ok((answer, None)) => {
                            self.learn(answer);
                            self.ask()
                        }
                        _ => std::future::pending().boxed(),
                    };
                    if let Stage::Wanted(_, poll) | Stage::Awaited(_, poll) = &mut self.stage {
                        *poll = next;
                    }
                }
                Heard::Beside(event) => return event,
            }
        }
    }

    /// Whatever comes next. Cancel-safe.
    async fn hear(&mut self) -> Result<Heard, BackendError> {
        let beside = self.task.as_ref().map(|task| task.beside.clone());
        let beside = async {
            match beside {
                Some(beside) => beside.event_or_error().await,
                None => std::future::pending().await,
            }
        };
        let deadlines = &self.deadlines;
        match &mut self.stage {
            // It has bounds of its own.
            Stage::Begun(exchange) => Ok(Heard::Event(exchange.next().await)),
            Stage::Watched(poll) => {
                let heard = async {
                    tokio::select! {
                        biased;
                        event = beside => Heard::Beside(event),
                        answer = poll => Heard::State(answer),
                    }
                };
                deadlines.watch(heard).await
            }
            Stage::Wanted(opening, poll) => {
                let heard = async {
                    tokio::select! {
                        biased;
                        event = beside => Heard::Beside(event),
                        exchange = opening => Heard::Opened(exchange),
                        answer = poll => Heard::State(answer),
                    }
                };
                deadlines.watch(heard).await
            }
            Stage::Awaited(exchange, poll) => {
                let heard = async {
                    tokio::select! {
                        biased;
                        event = beside => Heard::Beside(event),
                        event = exchange.next() => Heard::Event(event),
                        answer = poll => Heard::State(answer),
                    }
                };
                deadlines.watch(heard).await
            }
            Stage::Over => Err(BackendError::gone("the exchange has ended")),
        }
    }

    /// Takes in what came by way of the exchange under way.
    fn note(&mut self, event: &Event) {
        match event {
            Event::Asked(message) => {
                self.open.extend(message.envelope.id.map(|id| message.body.slice(id.start()..id.end())));
            }
            Event::Withdrawn(id) => self.open.retain(|open| open != id),
            Event::Progress(_) | Event::Log(_) | Event::Outcome(_) => {}
        }
    }

    /// Ends the exchange under way, with which the server gives up what it asked by way of that.
    fn leave(&mut self, next: impl FnOnce(&Self) -> Stage) {
        self.stage = next(self);
        self.withdrawn.extend(self.open.drain(..));
    }

    /// The server answered with a task.
    fn begun(&mut self, message: &Message) -> Result<(), BackendError> {
        let state = TaskState::begun(message).ok_or_else(|| unreadable("begun"))?;
        let number =
            message.envelope.id.and_then(|id| id.text(&message.body).parse().ok()).unwrap_or_default();
        let progress = self.call.meta.as_ref().is_some_and(|meta| meta.progress_token.is_some());
        let (logs, capabilities) = (self.call.logs, self.call.askable());
        // Before the exchange ends, so that nothing is missed in between.
        let beside = self.home.pending().follow(number, progress, logs, capabilities, state.id.clone())?;
        let interval = self.interval(&state);
        self.task = Some(Task { id: state.id.clone(), interval, number, beside });
        self.leave(|_| Stage::Over);
        // Until now the exchange counted the time.
        self.deadlines.lives()?;
        self.go_on(&state)
    }

    /// The server said how far it is.
    fn told(&mut self, message: &Message) -> Result<(), BackendError> {
        self.learn(message);
        result_of(message, Method::TasksGet.as_str())?;
        let state = TaskState::told(message).ok_or_else(|| unreadable("asked about"))?;
        let interval = self.interval(&state);
        if let Some(task) = &mut self.task {
            if task.id != state.id {
                return Err(BackendError::Protocol("it answers about another task".to_owned()));
            }
            task.interval = interval;
        }
        self.go_on(&state)
    }

    /// Whoever else wants to know hears what the server says of the task.
    fn learn(&self, answer: &Message) {
        if let Some(task) = &self.task {
            self.home.pending().hear_about(&task.id, answer, false);
        }
    }

    fn interval(&self, state: &TaskState) -> Duration {
        state.interval().unwrap_or(INTERVAL).clamp(SHORTEST.min(self.longest), self.longest)
    }

    fn go_on(&mut self, state: &TaskState) -> Result<(), BackendError> {
        self.stage = match state.is_over() || state.wants_input() {
            true => {
                self.fetches += 1;
                Stage::Wanted(self.home.clone().fetch(self.wish(&state.id)?), self.ask())
            }
            false => Stage::Watched(self.ask()),
        };
        Ok(())
    }

    /// Asks, after a pause, how far the task is, and asks again where only the way to its server failed: the task knows nothing
    /// of that. Whether it has been silent for too long is for the deadlines to say.
    fn ask(&self) -> Poll {
        let Some(task) = &self.task else {
            return std::future::pending().boxed();
        };
        let (home, interval, members) = (self.home.clone(), task.interval, members(&task.id));
        async move {
            loop {
                tokio::time::sleep(interval).await;
                match home.clone().ask(Method::TasksGet, members.clone()).await {
                    Err(error) if is_passing(&error) && !home.has_ended() => {
                        tracing::debug!(%error, "a question about a task was not answered");
                    }
                    answer => return answer,
                }
            }
        }
        .boxed()
    }

    /// The call that asks for the result of the task.
    fn wish(&self, id: &Arc<str>) -> Result<Box<Call>, BackendError> {
        let method = Method::TasksResult;
        let body: Bytes = format!(
            r#"{{"jsonrpc":"2.0","id":0,"method":"{}","params":{{{}}}}}"#,
            method.as_str(),
            members(id)
        )
        .into();
        let envelope = Envelope::parse(&body).map_err(|_| unreadable("asked for"))?;
        Ok(Box::new(Call {
            target: Some(id.clone()),
            body,
            envelope,
            meta: None,
            method,
            rename: None,
            arguments: None,
            session: self.call.session,
            repeatable: false,
            mirrors: None,
            passed_on: self.call.passed_on.clone(),
            logs: self.call.logs,
            capabilities: self.call.capabilities,
            input: None,
            augment: self.call.augment,
            // Where it lives is known; the number only says that it is one.
            home: Some(0),
        }))
    }

    /// Nothing is listened for any more; answers the task.
    fn forget(&mut self) -> Option<Task> {
        let task = self.task.take()?;
        for refusal in task.beside.refusals() {
            self.home.clone().say(task.number, refusal);
        }
        self.home.pending().remove(task.number);
        Some(task)
    }

    /// Whatever becomes of the task, nobody waits for it.
    fn give_up(&mut self) {
        // What waits for the result is cancelled first.
        self.stage = Stage::Over;
        if let Some(task) = self.forget() {
            self.home.clone().end_task(task.id);
        }
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        self.give_up();
    }
}

/// Whether only the way to the server failed, or the server had no time: asked again it may answer.
fn is_passing(error: &BackendError) -> bool {
    match error {
        BackendError::Timeout { .. } | BackendError::Gone(_) | BackendError::Unreachable(_) => true,
        BackendError::Refused { status } => *status >= 500 || matches!(status, 408 | 429),
        _ => false,
    }
}

/// The parameters of a request about a task, without braces.
pub(crate) fn members(id: &str) -> String {
    format!("\"taskId\":{}", String::from_utf8_lossy(&json::string(id)))
}

/// The answer `body` with the task in it that it belongs to; `None` where it has no result.
fn stamped(body: &Bytes, task: &str) -> Option<Bytes> {
    let envelope = Envelope::parse(body).ok()?;
    let head = envelope.result.as_ref()?;
    let own = format!(r#""{}":{{{}}}"#, meta::RELATED_TASK, members(task));
    let mut splice = Splice::new(body);
    match head.meta {
        None => {
            let separator = if head.is_empty { "" } else { "," };
            splice.insert(head.start, format!(r#""_meta":{{{own}}}{separator}"#).into_bytes());
        }
        Some(member) => {
            let present = Meta::parse(body, member.value).ok().filter(|present| !present.is_related())?;
            let separator = if present.is_empty() { "" } else { "," };
            splice.insert(present.start, format!("{own}{separator}").into_bytes());
        }
    }
    Some(splice.finish())
}

fn unreadable(what: &str) -> BackendError {
    BackendError::Protocol(format!("a task that was {what} cannot be read"))
}

/// An event without the task that the server says it to belong to.
fn unrelated(event: Event) -> Result<Event, BackendError> {
    Ok(match event {
        Event::Progress(message) => Event::Progress(message.unrelated()?),
        Event::Log(message) => Event::Log(message.unrelated()?),
        Event::Asked(message) => Event::Asked(message.unrelated()?),
        Event::Outcome(Outcome::Complete(message)) => Event::Outcome(Outcome::Complete(message.unrelated()?)),
        other => other,
    })
}
