//! One request under way to a backend: events, then one outcome.

use crate::BackendError;
use crate::errand::{Errand, Home, TaskState};
use crate::homes::Becoming;
use crate::http::HttpEvents;
use crate::pending::PendingCall;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use weir_protocol::{Envelope, Kind, Meta, Method, ResultType, Span, Splice, json};

/// A message of a backend, as it came.
#[derive(Debug, Clone)]
pub struct Message {
    /// The bytes.
    pub body: Bytes,
    /// Their head.
    pub envelope: Envelope,
}

impl Message {
    /// Reads a message.
    pub fn parse(body: Bytes) -> Result<Self, BackendError> {
        match Envelope::parse(&body) {
            Ok(envelope) => Ok(Self { body, envelope }),
            Err(error) => Err(BackendError::Protocol(error.to_string())),
        }
    }

    /// Whether this is a response to the request with the number `id`. An error without an id counts: servers answer so
    /// when they could not read the request, and on a connection of its own it can belong to nothing else.
    pub(crate) fn answers(&self, id: u64) -> bool {
        self.envelope.kind == Kind::Response
            && match self.envelope.id {
                Some(span) => span.text(&self.body).parse() == Ok(id),
                None => self.envelope.error.is_some(),
            }
    }

    /// Whether this is the progress of the call with the number `id`, which is its token too.
    pub(crate) fn is_progress_of(&self, id: u64) -> bool {
        self.progress_token().is_some_and(|token| token.text(&self.body).parse() == Ok(id))
    }

    /// Whether a legacy server answers with a task in place of a result.
    pub(crate) fn is_task(&self) -> bool {
        self.envelope.result.as_ref().is_some_and(|head| head.task.is_some())
    }

    /// What weir reads of `_meta`, be it that of a request, of a notification or of a result.
    pub fn meta(&self) -> Option<Meta> {
        Meta::parse(&self.body, self.metadata()?).ok()
    }

    /// Where `_meta` stands.
    fn metadata(&self) -> Option<Span> {
        let params = self.envelope.params.as_ref().and_then(|params| params.meta);
        params.or_else(|| Some(self.envelope.result.as_ref()?.meta?.value))
    }

    /// The id of the legacy task that it says to belong to (2025-11-25 `basic/utilities/tasks` "Related Task Metadata").
    pub fn related_task(&self) -> Option<Cow<'_, str>> {
        json::as_str(self.meta()?.related_task(&self.body)?.of(&self.body))
    }

    /// The message without a word of which legacy task it belongs to: whoever reads it does not know the task by that id.
    ///
    /// # Errors
    /// It is no message any more.
    pub fn unrelated(self) -> Result<Self, BackendError> {
        // Most metadata says nothing of a task, and need not be read for that.
        let may_say = |text: &str| text.contains("related-task") || text.contains('\\');
        let Some(meta) = self.metadata().filter(|span| may_say(span.text(&self.body))) else {
            return Ok(self);
        };
        let Some(meta) = Meta::parse(&self.body, meta).ok().filter(Meta::is_related) else {
            return Ok(self);
        };
        let mut splice = Splice::new(&self.body);
        meta.strip_related(&mut splice, &self.body);
        Self::parse(splice.finish())
    }

    /// The raw id of the request that this notification cancels; `None` on any other message.
    pub(crate) fn cancels(&self) -> Option<Bytes> {
        if self.envelope.method(&self.body) != Method::Cancelled {
            return None;
        }
        let id = self.envelope.params.as_ref()?.request_id?;
        Some(self.body.slice(id.start()..id.end()))
    }

    /// Where the token of a progress notification stands; `None` on any other message.
    pub fn progress_token(&self) -> Option<Span> {
        if self.envelope.method(&self.body) != Method::Progress {
            return None;
        }
        self.envelope.params.as_ref()?.progress_token
    }
}

/// What an exchange yields.
#[derive(Debug)]
pub enum Event {
    /// Progress of the call; its `progressToken` is not the client's.
    Progress(Message),
    /// A log message that came with the call, of whatever level.
    Log(Message),
    /// A request of a legacy backend to the call's client, which the client may be sent. The exchange goes on; the backend
    /// waits for [`Exchange::reply`].
    Asked(Message),
    /// The backend takes back the request with this raw id, which was [asked](Self::Asked): no answer to it is sent any more
    /// (2025-11-25 `basic/utilities/cancellation`).
    Withdrawn(Bytes),
    /// The end.
    Outcome(Outcome),
}

/// How a call ended. The message's id is not the client's.
#[derive(Debug)]
pub enum Outcome {
    /// With a result.
    Complete(Message),
    /// With a request for input (2026-07-28 `basic/patterns/mrtr`).
    InputRequired(Message),
    /// With a task that carries the request out from here on (2026-07-28 `extensions/tasks`).
    Task(Message),
    /// With a task of a legacy server, which lives where the number says: what is asked about it goes there
    /// ([`Call::home`](crate::Call::home); 2025-11-25 `basic/utilities/tasks`).
    Begun(Message, u64),
    /// With an error of the backend's own.
    Error(Message),
}

impl Outcome {
    /// The response.
    pub fn message(&self) -> &Message {
        let (Self::Complete(message)
        | Self::InputRequired(message)
        | Self::Task(message)
        | Self::Begun(message, _)
        | Self::Error(message)) = self;
        message
    }

    /// The response.
    pub(crate) fn into_message(self) -> Message {
        let (Self::Complete(message)
        | Self::InputRequired(message)
        | Self::Task(message)
        | Self::Begun(message, _)
        | Self::Error(message)) = self;
        message
    }

    /// What a response means; a result of an unknown type is invalid (2026-07-28 `basic/index`).
    pub(crate) fn of(message: Message) -> Result<Self, BackendError> {
        match &message.envelope.result {
            None => Ok(Self::Error(message)),
            Some(head) => match head.result_type(&message.body) {
                ResultType::Complete => Ok(Self::Complete(message)),
                ResultType::InputRequired => Ok(Self::InputRequired(message)),
                ResultType::Task => Ok(Self::Task(message)),
                ResultType::Unknown => {
                    Err(BackendError::Protocol("the result has a type that was not negotiated".to_owned()))
                }
            },
        }
    }
}

/// One request under way.
#[derive(Debug)]
pub struct Exchange {
    source: Source,
    /// What the call has to do with a legacy task, and where that lives.
    task: Option<(Arc<dyn Home>, Part)>,
    /// Frees the backend's place for this call when the exchange ends.
    _place: Option<OwnedSemaphorePermit>,
    /// What the call has to itself; freed behind the source, which still says how the call ended.
    _held: Option<Box<dyn Held>>,
}

/// What a call has to do with a task of a legacy server.
#[derive(Debug)]
pub(crate) enum Part {
    /// It is to become one of its client's.
    Becoming(Becoming),
    /// It is about the one of this id.
    About(Arc<str>, Method),
    /// It becomes one, or asks for the result of one, which somebody else sees to.
    Watched,
}

/// What a call has to itself until it ends.
pub(crate) trait Held: std::fmt::Debug + Send + Sync {}

#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "most calls are ready at once, and a box would cost each of them an allocation"
)]
enum Source {
    Ready(Option<Outcome>),
    Http(Box<HttpEvents>),
    Pending(Box<PendingCall>),
    Errand(Box<Errand>),
}

impl Exchange {
    fn new(source: Source) -> Self {
        Self { source, task: None, _place: None, _held: None }
    }

    /// The exchange, with the place that its call takes among those of the backend.
    pub(crate) fn placed(self, place: OwnedSemaphorePermit) -> Self {
        Self { _place: Some(place), ..self }
    }

    /// One that has ended already.
    pub fn ready(outcome: Outcome) -> Self {
        Self::new(Source::Ready(Some(outcome)))
    }

    pub(crate) fn http(events: Box<HttpEvents>) -> Self {
        Self::new(Source::Http(events))
    }

    pub(crate) fn pending(call: Box<PendingCall>) -> Self {
        Self::new(Source::Pending(call))
    }

    /// One whose call the server carries out as a task without its client knowing.
    pub(crate) fn errand(errand: Box<Errand>, place: OwnedSemaphorePermit) -> Self {
        Self::new(Source::Errand(errand)).placed(place)
    }

    /// The exchange, whose call has this `part` in a task that lives at `home`.
    pub(crate) fn at(self, home: Arc<dyn Home>, part: Part) -> Self {
        Self { task: Some((home, part)), ..self }
    }

    /// Whether what it brings is taken in before it is fetched here, as far as it says how a task is.
    fn is_heard(&self) -> bool {
        matches!(self.source, Source::Pending(_) | Source::Errand(_))
    }

    /// The exchange, with what its call has to itself.
    pub(crate) fn holding(self, held: Option<Box<dyn Held>>) -> Self {
        Self { _held: held, ..self }
    }

    /// The outcome, where it is known already.
    pub fn take_ready(&mut self) -> Option<Outcome> {
        match &mut self.source {
            Source::Ready(outcome) => outcome.take(),
            _ => None,
        }
    }

    /// Answers a request that the backend sent with the call: `body` is the whole response, with the id of the request.
    pub fn reply(&mut self, body: Bytes) {
        match &mut self.source {
            Source::Ready(_) => {}
            Source::Http(events) => events.reply(body),
            Source::Pending(call) => call.reply(body),
            Source::Errand(errand) => errand.reply(body),
        }
    }

    /// The next event; after an outcome or an error nothing more may be asked. Cancel-safe.
    pub async fn next(&mut self) -> Result<Event, BackendError> {
        let next = match &mut self.source {
            Source::Ready(outcome) => {
                outcome.take().map(Event::Outcome).ok_or_else(|| BackendError::gone("the exchange has ended"))
            }
            Source::Http(events) => events.next().await,
            Source::Pending(call) => call.next().await,
            // Boxed, so that what is rare does not make the future of every call larger.
            Source::Errand(errand) => Box::pin(errand.next()).await,
        };
        match next {
            Ok(Event::Outcome(outcome)) => self.ended(outcome).map(Event::Outcome),
            next => next,
        }
    }

    /// What the end of the call means for a task.
    fn ended(&self, outcome: Outcome) -> Result<Outcome, BackendError> {
        let Some((home, part)) = &self.task else {
            return match &outcome {
                Outcome::Complete(message) if message.is_task() && TaskState::begun(message).is_some() => {
                    Err(BackendError::Protocol("it made a task that nobody asked for".to_owned()))
                }
                _ => Ok(outcome),
            };
        };
        if !self.is_heard() {
            match part {
                Part::About(task, method) => {
                    home.pending().hear_about(task, outcome.message(), *method == Method::TasksResult);
                }
                Part::Becoming(_) | Part::Watched => home.pending().hear_of_task(outcome.message()),
            }
        }
        match (part, outcome) {
            (Part::Becoming(becoming), Outcome::Complete(message)) if message.is_task() => {
                if let Some(state) = TaskState::begun(&message) {
                    becoming.begun(home, state.id);
                }
                Ok(Outcome::Begun(message, becoming.number))
            }
            (_, outcome) => Ok(outcome),
        }
    }
}
