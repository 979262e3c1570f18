//! The client as the edges see it: something that messages are written to, over whatever transport it came.
//!
//! Edges hand over whole messages and never know how they travel. A request gets one answer, and before it any number of
//! notices, which are pushed and then flushed together. Everything that belongs to one transport alone, be it a status, an
//! event stream or a comment that keeps it open, stays inside the way of that transport.

mod http;
mod memory;
mod outbox;

pub(crate) use http::{BodyError, Http, insert};
pub(crate) use outbox::{Letter, Letters, Outbox};

use crate::listener::Peer;
use crate::replay::Replay;
use crate::session::Session;
use ::http::HeaderMap;
use bytes::Bytes;
use std::sync::Arc;

/// The client cannot be written to any more.
#[derive(Debug)]
pub(crate) struct Gone;

/// What a client takes as an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Accepts {
    pub(crate) json: bool,
    pub(crate) stream: bool,
}

/// Who asked, and how to answer.
pub(crate) enum Client<'a> {
    /// One HTTP exchange of its own: JSON with a status, or an event stream.
    Http(Http<'a>),
    /// A queue that somebody else writes out: a connection that all messages of a client share.
    Outbox(Outbox),
    /// A client that went, and may come back for the rest of a stream.
    Away(Option<Arc<Replay>>),
}

impl Client<'_> {
    /// The headers that came with the request; `None` where the transport has none, so that nothing can disagree with
    /// them.
    pub(crate) fn headers(&self) -> Option<&HeaderMap> {
        match self {
            Self::Http(http) => Some(http.headers()),
            Self::Outbox(_) | Self::Away(_) => None,
        }
    }

    /// The client, by the certificate that it showed.
    pub(crate) fn peer(&self) -> Option<&Arc<Peer>> {
        match self {
            Self::Http(http) => http.peer(),
            Self::Outbox(_) | Self::Away(_) => None,
        }
    }

    /// Whether the client takes notices before the answer.
    pub(crate) fn takes_notices(&self) -> bool {
        match self {
            Self::Http(http) => http.accepts().stream,
            Self::Outbox(outbox) => outbox.takes_notices(),
            Self::Away(replay) => replay.is_some(),
        }
    }

    /// Waits until the client is gone. Cancel-safe. Only for use once the request has been read.
    pub(crate) async fn gone(&mut self) {
        match self {
            Self::Http(http) => http.gone().await,
            Self::Outbox(outbox) => outbox.gone().await,
            Self::Away(_) => std::future::pending().await,
        }
    }

    /// Sends the answer, which ends the exchange. It is given in parts that follow each other; the status is for HTTP, as
    /// long as it can still be chosen.
    pub(crate) async fn answer(&mut self, status: u16, parts: &[Bytes]) -> Result<(), Gone> {
        match self {
            Self::Http(http) => http.answer(status, parts).await,
            Self::Outbox(outbox) => outbox.answer(parts).await,
            Self::Away(replay) => {
                remember(replay.as_deref(), &parts.concat());
                end(replay.as_deref());
                Ok(())
            }
        }
    }

    /// The answer tells the client how to log in, where its transport can say so.
    pub(crate) fn challenge(&mut self, challenge: Option<&str>) {
        if let (Self::Http(http), Some(challenge)) = (self, challenge) {
            http.challenge(challenge);
        }
    }

    /// Whether the answer is an event stream of its own that has begun.
    pub(crate) fn is_streaming(&self) -> bool {
        match self {
            Self::Http(http) => http.is_streaming(),
            Self::Outbox(_) | Self::Away(_) => false,
        }
    }

    /// Answers a request that is refused before anything was done for it: its status is told whatever the client accepts.
    pub(crate) async fn refuse(&mut self, status: u16, answer: Bytes) -> Result<(), Gone> {
        match self {
            Self::Http(http) => http.json(status, &[answer]).await,
            Self::Outbox(outbox) => outbox.answer(&[answer]).await,
            Self::Away(_) => Err(Gone),
        }
    }

    /// Answers the handshake of a new session. Where a connection is the session, there is no id to be told.
    pub(crate) async fn welcome(&mut self, session: &str, answer: Bytes) -> Result<(), Gone> {
        match self {
            Self::Http(http) => http.welcome(session, answer).await,
            Self::Outbox(outbox) => outbox.answer(&[answer]).await,
            Self::Away(_) => Err(Gone),
        }
    }

    /// Ends an exchange that has no answer: what was sent was no request, or its answer is not wanted any more.
    pub(crate) async fn close(&mut self) -> Result<(), Gone> {
        match self {
            Self::Http(http) => http.close().await,
            Self::Outbox(_) => Ok(()),
            Self::Away(replay) => {
                end(replay.as_deref());
                Ok(())
            }
        }
    }

    /// Lets the client know that notices may follow, though none is there yet.
    pub(crate) async fn begin(&mut self) -> Result<(), Gone> {
        match self {
            Self::Http(http) => http.begin().await,
            Self::Outbox(_) | Self::Away(_) => Ok(()),
        }
    }

    /// Adds a notice to those that the next flush or the answer sends. A client that takes none loses it.
    pub(crate) fn push(&mut self, notice: &[u8]) {
        match self {
            Self::Http(http) => http.push(notice),
            Self::Outbox(outbox) => outbox.push(notice),
            Self::Away(replay) => remember(replay.as_deref(), notice),
        }
    }

    /// How many bytes wait to be flushed.
    pub(crate) fn pushed(&self) -> usize {
        match self {
            Self::Http(http) => http.pushed(),
            Self::Outbox(outbox) => outbox.pushed(),
            Self::Away(_) => 0,
        }
    }

    /// Sends what was pushed.
    pub(crate) async fn flush(&mut self) -> Result<(), Gone> {
        match self {
            Self::Http(http) => http.flush().await,
            Self::Outbox(outbox) => outbox.flush().await,
            Self::Away(_) => Ok(()),
        }
    }

    /// Shows a client that has heard nothing for a while, and proxies on the way to it, that the exchange lives.
    pub(crate) async fn keep_alive(&mut self) -> Result<(), Gone> {
        match self {
            Self::Http(http) => http.keep_alive().await,
            Self::Outbox(_) | Self::Away(_) => Ok(()),
        }
    }

    /// A legacy client that goes may take up the event stream of this exchange again.
    pub(crate) fn remember(&mut self, session: &Arc<Session>) {
        if let Self::Http(http) = self {
            http.remember(session);
        }
    }

    /// A client that is gone in its absence, which remembers what would be written to it; `None` where it has nothing to
    /// come back to.
    pub(crate) fn away(&self) -> Option<Client<'static>> {
        match self {
            Self::Http(http) => http.replay().map(Some).map(Client::Away),
            Self::Outbox(_) | Self::Away(_) => None,
        }
    }

    /// Tells the client that it may take up the stream from the event `id` on.
    pub(crate) fn prime(&mut self, id: &str) {
        if let Self::Http(http) = self {
            http.prime(id);
        }
    }

    /// Adds messages that are remembered already, the first of which has the number `first`.
    pub(crate) fn repeat(&mut self, replay: &Replay, first: u64, messages: &[Bytes]) {
        if let Self::Http(http) = self {
            http.repeat(replay, first, messages);
        }
    }
}

fn remember(replay: Option<&Replay>, message: &[u8]) {
    if let Some(replay) = replay {
        replay.push(message);
    }
}

fn end(replay: Option<&Replay>) {
    if let Some(replay) = replay {
        replay.end();
    }
}
