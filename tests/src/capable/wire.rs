//! The way of messages to weir and back.

use crate::{Paired, Stdio, wait};
use serde_json::Value;
use std::fmt::Debug;

/// Where a message came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Source {
    /// The one connection that carries everything.
    Connection,
    /// The answer to the POST of the request with this id.
    Post(u64),
    /// The GET stream.
    Get,
}

/// A transport with its connection or session open.
pub(super) trait Wire: Debug + Send {
    /// Sends a message.
    fn send(&mut self, message: &Value) -> Result<(), String>;

    /// The next message, from wherever it comes.
    fn receive(&mut self) -> Result<(Source, Value), String>;

    /// Closes the connection of a request; says whether it has one of its own.
    fn leave(&mut self, _id: u64) -> bool {
        false
    }
}

impl Wire for Stdio {
    fn send(&mut self, message: &Value) -> Result<(), String> {
        Stdio::send(self, &message.to_string());
        Ok(())
    }

    fn receive(&mut self) -> Result<(Source, Value), String> {
        let message = self.message_within(wait::DEADLINE).ok_or("no more lines come")?;
        Ok((Source::Connection, message))
    }
}

impl Wire for Paired {
    fn send(&mut self, message: &Value) -> Result<(), String> {
        let response = self.post(&message.to_string());
        accepted(response.status, &response.text(), message)
    }

    fn receive(&mut self) -> Result<(Source, Value), String> {
        let event = self.stream.find(|event| !event.data.is_empty()).ok_or("no more events come")?;
        Ok((Source::Connection, event.json()))
    }
}

/// Whether a POST that has no answer of its own was taken.
pub(super) fn accepted(status: u16, said: &str, message: &Value) -> Result<(), String> {
    if status == 202 { Ok(()) } else { Err(format!("{status} {said} for {message}")) }
}
