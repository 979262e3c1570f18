//! The tasks of a legacy server that may still be under way, whoever began them.

use crate::Message;
use crate::errand::TaskState;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use weir_protocol::code;

/// A task of which nothing was heard for so long counts no longer: servers forget them, and say so to nobody.
const KEPT: Duration = Duration::from_secs(3600);
/// Beyond this many the one is forgotten of which nothing was heard for the longest time.
const MOST: usize = 1024;

/// The tasks that may be under way, by the server's ids, and when each was heard of last.
#[derive(Debug, Default)]
pub(super) struct Tasks(HashMap<Arc<str>, Instant>);

impl Tasks {
    /// Takes in an answer or a notification, which may be about a task.
    pub(super) fn hear(&mut self, message: &Message) {
        let head = message.envelope.result.as_ref();
        if message.is_task() {
            if let Some(state) = TaskState::begun(message).filter(|state| !state.is_over()) {
                self.make_room();
                self.0.insert(state.id, Instant::now());
            }
            return;
        }
        // Most answers are about no task, and most servers have none.
        if self.0.is_empty() {
            return;
        }
        if head.is_some_and(|head| head.task_id.is_none()) {
            // The result of a task names it, and is there when the task has ended.
            if let Some(task) = message.related_task() {
                self.0.remove(&*task);
            }
            return;
        }
        if let Some(state) = TaskState::told(message) {
            if state.is_over() {
                self.0.remove(&state.id);
            } else if let Some(heard) = self.0.get_mut(&state.id) {
                *heard = Instant::now();
            }
        }
    }

    /// Takes in an answer about the task `id`. Once its result was asked for and that was answered, be it with an error, it has
    /// ended (2025-11-25 `basic/utilities/tasks` "Getting Task Results"); so it has where its server does not know it.
    pub(super) fn hear_about(&mut self, id: &str, answer: &Message, fetched: bool) {
        if self.0.is_empty() {
            return;
        }
        if fetched || is_unknown(answer) {
            self.0.remove(id);
        } else {
            self.hear(answer);
        }
    }

    fn make_room(&mut self) {
        self.0.retain(|_, heard| heard.elapsed() < KEPT);
        if self.0.len() >= MOST
            && let Some(oldest) = self.0.iter().min_by_key(|(_, heard)| **heard).map(|(id, _)| id.clone())
        {
            self.0.remove(&oldest);
        }
    }

    /// Whether that of this id is among them.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Whether there is any.
    pub(super) fn is_any(&self) -> bool {
        self.0.values().any(|heard| heard.elapsed() < KEPT)
    }
}

/// Whether a server says that it knows no such task (2025-11-25 `basic/utilities/tasks` "Error Handling").
fn is_unknown(answer: &Message) -> bool {
    #[derive(serde::Deserialize)]
    struct Code {
        code: i64,
    }
    let error = answer.envelope.error.and_then(|span| serde_json::from_slice(span.of(&answer.body)).ok());
    error.is_some_and(|Code { code }| code == i64::from(code::INVALID_PARAMS))
}
