//! Who waits for what.

use super::mailbox::Mailbox;
use std::sync::Arc;
use weir_protocol::{ClientCapabilities, Logs};

/// One request that is under way.
#[derive(Debug)]
pub(super) struct Waiter {
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) progress: bool,
    pub(super) logs: Logs,
    /// It is a client's call, none of weir's own requests.
    pub(super) call: bool,
    /// What its client can be asked.
    pub(super) capabilities: ClientCapabilities,
    /// What it has to do with a legacy task.
    pub(super) topic: Option<Topic>,
}

/// What a call has to do with a task of a legacy server.
#[derive(Debug, Clone)]
pub(crate) enum Topic {
    /// It is about the one of this id.
    About(Arc<str>),
    /// It asks for the result of the one of this id.
    Result(Arc<str>),
    /// It may become one of its client's.
    Offered,
    /// weir has it become one, and listens to what is said of that from then on.
    Becoming,
}

impl Topic {
    /// The id of the task, once there is one.
    pub(crate) fn task(&self) -> Option<&Arc<str>> {
        match self {
            Self::About(task) | Self::Result(task) => Some(task),
            Self::Offered | Self::Becoming => None,
        }
    }
}

impl Waiter {
    /// Whoever waits for something of weir's own.
    pub(super) fn own() -> Self {
        let (mailbox, capabilities) = (Arc::default(), ClientCapabilities::NONE);
        Self { mailbox, progress: false, logs: Logs::Unwanted, call: false, capabilities, topic: None }
    }

    /// The task that it is about.
    pub(super) fn task(&self) -> Option<&Arc<str>> {
        self.topic.as_ref().and_then(Topic::task)
    }

    /// Whether it is a client's call that what the server says without a task may belong to.
    pub(super) fn is_plain(&self) -> bool {
        self.call && self.task().is_none()
    }
}
