//! How the event stream of a legacy client is remembered while it is written, so that it can be taken up again.
//!
//! S: MCP 2025-11-25 `basic/transports` "Resumability and Redelivery".

use crate::replay::Replay;
use crate::session::Session;
use std::sync::Arc;
use tokio::sync::Notify;
use weir_protocol::{Revision, sse};

/// What a client is told to wait before it takes up a stream, in milliseconds.
pub(super) const RETRY: u64 = 1000;

/// The memory of one exchange. It begins with the stream: an answer without one leaves nothing to take up.
pub(super) struct Memory {
    session: Arc<Session>,
    stream: Stream,
}

enum Stream {
    /// There is none yet.
    Waiting,
    /// There is one; the notice comes when another connection takes it up.
    Written(Arc<Replay>, Arc<Notify>),
    /// There is one, and it is not remembered.
    Forgotten,
}

impl Memory {
    /// The memory of a request in `session`.
    pub(super) fn new(session: Arc<Session>) -> Self {
        Self { session, stream: Stream::Waiting }
    }

    /// Begins to remember, and primes the client to come back: with an event without data, which clients know since
    /// 2025-11-25.
    pub(super) fn begin(&mut self, events: &mut Vec<u8>) {
        if !matches!(self.stream, Stream::Waiting) {
            return;
        }
        let Some(replay) = self.session.replays.begin() else {
            self.stream = Stream::Forgotten;
            return;
        };
        if self.session.revision() >= Some(Revision::V2025_11_25) {
            sse::write_priming(events, &replay.id(replay.last()), RETRY);
        }
        let ousted = replay.take_up();
        self.stream = Stream::Written(replay, ousted);
    }

    /// Remembers a message and writes it as an event.
    pub(super) fn write(&mut self, events: &mut Vec<u8>, message: &[u8]) {
        self.begin(events);
        match &self.stream {
            Stream::Written(replay, _) => {
                let number = replay.push(message);
                sse::write_message_with_id(events, &replay.id(number), message);
            }
            _ => sse::write_message(events, message),
        }
    }

    /// Nothing follows any more.
    pub(super) fn end(&self) {
        if let Stream::Written(replay, _) = &self.stream {
            replay.end();
        }
    }

    /// What the client may take up again, where there is a stream.
    pub(super) fn replay(&self) -> Option<Arc<Replay>> {
        match &self.stream {
            Stream::Written(replay, _) => Some(replay.clone()),
            _ => None,
        }
    }

    /// Waits until another connection has taken up the stream. Cancel-safe.
    pub(super) async fn ousted(&self) {
        match &self.stream {
            Stream::Written(_, ousted) => ousted.notified().await,
            _ => std::future::pending().await,
        }
    }
}
