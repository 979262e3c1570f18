//! What a backend tells without being asked, lists aside.

use crate::{BackendError, Message};
use bytes::Bytes;
use std::sync::Arc;
use weir_protocol::{Method, json};

/// Something that a backend told.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A resource changed, or may have while nobody could tell.
    Updated(Arc<Update>),
    /// A task came further.
    Task(Arc<TaskChange>),
    /// What is told of the task of this id has a gap: an update may have been missed, or no more will come.
    TaskLost(Arc<str>),
    /// Progress of a call that goes on as a task of a legacy server.
    Progress {
        /// Where the task lives.
        home: u64,
        /// The id of the call's answer, by which the server knows it.
        call: u64,
        /// The message; its token is not the client's.
        message: Arc<Message>,
    },
    /// A log message in an upstream session of one client session, which belongs to no call.
    Log {
        /// weir's number for the client session.
        session: u128,
        /// The message, of whatever level.
        message: Arc<Message>,
    },
}

/// `notifications/resources/updated`.
#[derive(Debug)]
pub struct Update {
    /// What changed: a resource that somebody subscribed to, or a part of one.
    pub uri: Arc<str>,
    /// The message as it came; its `params.uri` is [`Update::uri`].
    pub message: Message,
}

/// `notifications/tasks` of a modern server, or `notifications/tasks/status` of a legacy one.
#[derive(Debug)]
pub struct TaskChange {
    /// Where a legacy task lives; 0 for a modern one.
    pub home: u64,
    /// The task, by the id that the backend knows.
    pub id: Arc<str>,
    /// The message as it came; its `params.taskId` is [`TaskChange::id`].
    pub message: Message,
}

impl TaskChange {
    /// Reads a server's notification.
    pub(crate) fn read(message: Message) -> Option<Self> {
        let id = message.envelope.params.as_ref()?.task_id?;
        let id = json::as_str(id.of(&message.body))?.into();
        Some(Self { home: 0, id, message })
    }
}

impl Update {
    /// Reads a server's notification.
    pub(crate) fn read(message: Message) -> Option<Self> {
        let uri = message.envelope.params.as_ref()?.uri?;
        let uri = json::as_str(uri.of(&message.body))?.into();
        Some(Self { uri, message })
    }

    /// The notification that a server may have failed to deliver.
    ///
    /// # Errors
    /// What was written cannot be read, which happens with no URI.
    pub fn missed(uri: &Arc<str>) -> Result<Self, BackendError> {
        let mut body =
            format!(r#"{{"jsonrpc":"2.0","method":"{}","params":{{"uri":"#, Method::ResourceUpdated.as_str())
                .into_bytes();
        json::write_string(&mut body, uri);
        body.extend_from_slice(b"}}");
        Ok(Self { uri: uri.clone(), message: Message::parse(Bytes::from(body))? })
    }
}
