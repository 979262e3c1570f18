//! The event stream that answers one request.

use super::client::Body;
use super::post::CancelGuard;
use crate::BackendError;
use crate::deadlines::Deadlines;
use crate::exchange::{Event, Message, Outcome};
use crate::message::answer_to;
use weir_protocol::sse::Decoder;
use weir_protocol::{Kind, Method};

/// The events of one request.
#[derive(Debug)]
pub(crate) struct HttpEvents {
    body: Body,
    decoder: Decoder,
    id: u64,
    deadlines: Deadlines,
    guard: Option<CancelGuard>,
}

impl HttpEvents {
    pub(crate) fn new(
        body: Body,
        id: u64,
        limit: usize,
        deadlines: Deadlines,
        guard: Option<CancelGuard>,
    ) -> Self {
        Self {
            body,
            decoder: Decoder::new(limit),
            id,
            deadlines,
            guard,
        }
    }

    /// The next event of the call. Cancel-safe: what was read stays in the decoder.
    pub(crate) async fn next(&mut self) -> Result<Event, BackendError> {
        let next = self.read().await;
        if matches!(next, Ok(Event::Outcome(_)) | Err(BackendError::Gone(_)))
            && let Some(guard) = self.guard.take()
        {
            guard.disarm();
        }
        next
    }

    async fn read(&mut self) -> Result<Event, BackendError> {
        loop {
            let message = self.next_message().await?;
            match message.envelope.kind {
                Kind::Response if message.answers(self.id) => {
                    return Outcome::of(message).map(Event::Outcome);
                }
                Kind::Response => {
                    return Err(BackendError::Protocol(
                        "it answered another request than the one it was sent".to_owned(),
                    ));
                }
                Kind::Request => self.refuse(&message),
                Kind::Notification => {
                    if message.is_progress_of(self.id) {
                        return Ok(Event::Progress(message));
                    }
                    self.note(&message);
                }
            }
        }
    }

    /// The next message of the stream, whatever it is.
    pub(crate) async fn next_message(&mut self) -> Result<Message, BackendError> {
        loop {
            match self.decoder.next_event() {
                Ok(Some(event)) if event.data.is_empty() => continue,
                Ok(Some(event)) => return Message::parse(event.data),
                Ok(None) => {}
                Err(error) => return Err(BackendError::TooLarge { limit: error.limit }),
            }
            match self.deadlines.watch(self.body.chunk()).await? {
                None => return Err(BackendError::Gone("it closed the event stream".to_owned())),
                Some(piece) => self.decoder.feed(&piece?),
            }
        }
    }

    /// Legacy servers announce changes on whichever stream is open.
    fn note(&self, message: &Message) {
        let method = message.envelope.method(&message.body);
        if let Some(guard) = &self.guard
            && matches!(
                method,
                Method::ToolsChanged | Method::PromptsChanged | Method::ResourcesChanged
            )
        {
            guard.session().announce(method);
        }
    }

    /// Answers a request of the server: a ping is answered, everything else was never offered.
    fn refuse(&self, message: &Message) {
        if let (Some(guard), Some(body)) = (&self.guard, answer_to(message)) {
            guard.session().notify(body);
        }
    }
}
