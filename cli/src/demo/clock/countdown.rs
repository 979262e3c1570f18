//! A countdown under way.

use crate::demo::reply::{Reply, tool_result};
use serde_json::{Value, json};
use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// A countdown on a thread of its own. Dropping it cancels it: it then says nothing more.
pub(super) struct Countdown {
    id: Value,
    thread: JoinHandle<()>,
    /// Nothing is ever sent; that it is dropped is the message.
    _cancel: Sender<()>,
}

impl Countdown {
    /// Counts `ticks` times `tick`, with progress under `token`, then answers through `reply`.
    pub(super) fn start(ticks: u64, tick: Duration, token: Option<Value>, reply: Reply) -> io::Result<Self> {
        let id = reply.id.clone();
        let (cancel, cancelled) = channel();
        let thread = Builder::new()
            .name("countdown".into())
            .spawn(move || count(ticks, tick, token.as_ref(), &reply, &cancelled))?;
        Ok(Self { id, thread, _cancel: cancel })
    }

    /// Whether it is the answer to the request `id`.
    pub(super) fn answers(&self, id: &Value) -> bool {
        self.id == *id
    }

    /// Whether it is still under way.
    pub(super) fn counts(&self) -> bool {
        !self.thread.is_finished()
    }
}

fn count(ticks: u64, tick: Duration, token: Option<&Value>, reply: &Reply, cancelled: &Receiver<()>) {
    for passed in 1..=ticks {
        if cancelled.recv_timeout(tick) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        if let Some(token) = token {
            let left = format!("{} s left", ticks - passed);
            let params =
                json!({ "progressToken": token, "progress": passed, "total": ticks, "message": left });
            reply.outlet.notify("notifications/progress", params);
        }
    }
    reply.send(Ok(tool_result(&format!("{ticks} s have passed."), None)));
}
