//! A call that a legacy server carries out as a task while its client knows nothing of one: begun as a task, asked about
//! until it has ended or wants something, and fetched.
//!
//! S: MCP 2025-11-25 `basic/utilities/tasks`.

mod state;

pub(crate) use state::TaskState;

use crate::deadlines::Deadlines;
use crate::exchange::{Event, Exchange, Message, Outcome};
use crate::handshake::result_of;
use crate::pending::{Pending, Waiting};
use crate::{Augment, BackendError, Call};
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use weir_config::BackendTimeouts;
use weir_protocol::{Envelope, Method, Splice, json};

/// How often a task is asked about of whose server nothing else is known, and the most and the least often that a server may
/// want it.
const INTERVAL: Duration = Duration::from_secs(1);
const SHORTEST: Duration = Duration::from_millis(50);
const LONGEST: Duration = Duration::from_secs(30);

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

    /// Where progress arrives that comes beside its call.
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
}

/// A task that was begun.
#[derive(Debug)]
struct Task {
    id: Arc<str>,
    interval: Duration,
    /// The number of the call, whose progress goes on.
    number: u64,
    progress: Option<Waiting>,
}

enum Stage {
    /// The call is sent.
    Begun(Box<Exchange>),
    /// The server is asked how far it is.
    Watched(BoxFuture<'static, Result<Message, BackendError>>),
    /// The result is being asked for.
    Wanted(BoxFuture<'static, Result<Exchange, BackendError>>),
    /// The result is waited for, and the server still asked how far it is, as a sign of life.
    Awaited(Box<Exchange>, BoxFuture<'static, Result<Message, BackendError>>),
    Over,
}

/// What comes next of a task.
enum Heard {
    Event(Result<Event, BackendError>),
    State(Result<Message, BackendError>),
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Begun(_) => "begun",
            Self::Watched(_) => "watched",
            Self::Wanted(_) => "wanted",
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
        let deadlines = Deadlines::start(timeouts);
        let longest = LONGEST.min(timeouts.idle / 2);
        Self { home, stage: Stage::Begun(Box::new(begun)), call, deadlines, longest, task: None }
    }

    /// Sends the answer of the call's client to a request of the server.
    pub(crate) fn reply(&mut self, body: Bytes) {
        if let Stage::Begun(exchange) | Stage::Awaited(exchange, _) = &mut self.stage {
            self.deadlines.answered();
            exchange.reply(body);
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
            let task = &self.task;
            match &mut self.stage {
                Stage::Begun(exchange) => match exchange.next().await? {
                    Event::Outcome(Outcome::Complete(message)) if message.is_task() => {
                        self.begun(&message)?
                    }
                    event => return Ok(event),
                },
                Stage::Watched(answer) => {
                    let heard = self.deadlines.watch(async {
                        tokio::select! {
                            biased;
                            event = overhear(task) => Heard::Event(Ok(event)),
                            answer = answer => Heard::State(answer),
                        }
                    });
                    match heard.await? {
                        Heard::Event(event) => return event,
                        Heard::State(answer) => self.told(&answer?)?,
                    }
                }
                Stage::Wanted(opening) => {
                    let exchange = self.deadlines.watch(opening).await??;
                    self.stage = Stage::Awaited(Box::new(exchange), self.ask());
                }
                Stage::Awaited(exchange, answer) => {
                    let heard = self.deadlines.watch(async {
                        tokio::select! {
                            biased;
                            event = overhear(task) => Heard::Event(Ok(event)),
                            event = exchange.next() => Heard::Event(event),
                            answer = &mut *answer => Heard::State(answer),
                        }
                    });
                    match heard.await? {
                        Heard::Event(event) => return event,
                        Heard::State(answer) => {
                            // What is wrong is for the result to say.
                            let next =
                                if answer.is_ok() { self.ask() } else { std::future::pending().boxed() };
                            if let Stage::Awaited(_, answer) = &mut self.stage {
                                *answer = next;
                            }
                        }
                    }
                }
                Stage::Over => return Err(BackendError::gone("the exchange has ended")),
            }
        }
    }

    /// The server answered with a task.
    fn begun(&mut self, message: &Message) -> Result<(), BackendError> {
        let state = TaskState::begun(message).ok_or_else(|| unreadable("begun"))?;
        let number =
            message.envelope.id.and_then(|id| id.text(&message.body).parse().ok()).unwrap_or_default();
        let wants_progress = self.call.meta.as_ref().is_some_and(|meta| meta.progress_token.is_some());
        let progress = wants_progress.then(|| self.home.pending().insert_progress(number).ok()).flatten();
        let interval = self.interval(&state);
        self.home.pending().hear_of_task(message);
        self.task = Some(Task { id: state.id.clone(), interval, number, progress });
        self.go_on(&state)
    }

    /// The server said how far it is.
    fn told(&mut self, message: &Message) -> Result<(), BackendError> {
        result_of(message, Method::TasksGet.as_str())?;
        self.home.pending().hear_of_task(message);
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

    fn interval(&self, state: &TaskState) -> Duration {
        state.interval().unwrap_or(INTERVAL).clamp(SHORTEST.min(self.longest), self.longest)
    }

    fn go_on(&mut self, state: &TaskState) -> Result<(), BackendError> {
        self.stage = match state.is_over() || state.wants_input() {
            true => Stage::Wanted(self.home.clone().fetch(self.wish(&state.id)?)),
            false => Stage::Watched(self.ask()),
        };
        Ok(())
    }

    /// Asks, after a pause, how far the task is.
    fn ask(&self) -> BoxFuture<'static, Result<Message, BackendError>> {
        let Some(task) = &self.task else {
            return std::future::pending().boxed();
        };
        let (home, interval, members) = (self.home.clone(), task.interval, members(&task.id));
        async move {
            tokio::time::sleep(interval).await;
            home.ask(Method::TasksGet, members).await
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
            augment: Augment::Gateway,
            // Where it lives is known; the number only says that it is one.
            home: Some(0),
        }))
    }

    /// No progress is listened for any more; answers the task.
    fn forget(&mut self) -> Option<Task> {
        let task = self.task.take()?;
        if task.progress.is_some() {
            self.home.pending().remove(task.number);
        }
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

/// Progress that comes beside the call.
async fn overhear(task: &Option<Task>) -> Event {
    match task.as_ref().and_then(|task| task.progress.clone()) {
        Some(progress) => progress.event().await,
        None => std::future::pending().await,
    }
}

/// The parameters of a request about a task, without braces.
pub(crate) fn members(id: &str) -> String {
    format!("\"taskId\":{}", String::from_utf8_lossy(&json::string(id)))
}

fn unreadable(what: &str) -> BackendError {
    BackendError::Protocol(format!("a task that was {what} cannot be read"))
}

/// An event without the task that the server says it to belong to.
fn unrelated(event: Event) -> Result<Event, BackendError> {
    Ok(match event {
        Event::Progress(message) => Event::Progress(alone(message)?),
        Event::Log(message) => Event::Log(alone(message)?),
        Event::Asked(message) => Event::Asked(alone(message)?),
        Event::Outcome(Outcome::Complete(message)) => Event::Outcome(Outcome::Complete(alone(message)?)),
        other => other,
    })
}

fn alone(message: Message) -> Result<Message, BackendError> {
    let Some(meta) = message.meta().filter(|meta| meta.is_related()) else {
        return Ok(message);
    };
    let mut splice = Splice::new(&message.body);
    meta.strip_related(&mut splice, &message.body);
    Message::parse(splice.finish())
}
