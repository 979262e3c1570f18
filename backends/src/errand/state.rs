//! How far a task of a legacy server is, as the server says.
//!
//! S: MCP 2025-11-25 `basic/utilities/tasks` "Task".

use crate::Message;
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// What weir reads of a task.
#[derive(Debug, Deserialize)]
pub(crate) struct TaskState {
    /// The server's id of it.
    #[serde(rename = "taskId", deserialize_with = "id")]
    pub(crate) id: Arc<str>,
    status: String,
    #[serde(rename = "pollInterval")]
    poll_interval: Option<f64>,
}

fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    String::deserialize(deserializer).map(Into::into)
}

impl TaskState {
    /// Reads the answer to a call that became a task.
    pub(crate) fn begun(message: &Message) -> Option<Self> {
        let task = message.envelope.result.as_ref()?.task?;
        serde_json::from_slice(task.value.of(&message.body)).ok()
    }

    /// Reads an answer about a task, or a notification of one.
    pub(crate) fn told(message: &Message) -> Option<Self> {
        let result = message.envelope.result.as_ref().map(|head| head.start);
        let start = result.or_else(|| Some(message.envelope.params.as_ref()?.start))?;
        // Right behind the `{`, to the end of the message: the value ends where it ends.
        let rest = message.body.get(start.checked_sub(1)?..)?;
        serde_json::Deserializer::from_slice(rest).into_iter().next()?.ok()
    }

    /// Whether it has ended, however.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.status.as_str(), "completed" | "failed" | "cancelled")
    }

    /// Whether its server has something to ask, which comes with the answer to `tasks/result`.
    pub(crate) fn wants_input(&self) -> bool {
        self.status == "input_required"
    }

    /// How often the server wants to be asked.
    pub(crate) fn interval(&self) -> Option<Duration> {
        let millis = self.poll_interval.filter(|millis| millis.is_finite() && *millis >= 0.0)?;
        Duration::try_from_secs_f64(millis / 1000.0).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(members: &str) -> Message {
        Message::parse(format!(r#"{{"jsonrpc":"2.0",{members}}}"#).into()).unwrap()
    }

    #[test]
    fn what_a_server_says_of_a_task_is_read() {
        let task = r#"{"ttl":null,"taskId":"t\n","status":"working","pollInterval":1500,"x":[]}"#;
        let begun = TaskState::begun(&message(&format!(r#""id":1,"result":{{"task":{task}}}"#))).unwrap();
        assert_eq!((&*begun.id, begun.is_over(), begun.wants_input()), ("t\n", false, false));
        assert_eq!(begun.interval(), Some(Duration::from_millis(1500)));
        for status in ["completed", "failed", "cancelled"] {
            let task = format!(r#"{{"taskId":"t","status":"{status}"}}"#);
            let told = TaskState::told(&message(&format!(r#""id":1,"result":{task}"#))).unwrap();
            assert!(told.is_over() && told.interval().is_none());
            let method = r#""method":"notifications/tasks/status""#;
            assert!(TaskState::told(&message(&format!(r#"{method},"params":{task}"#))).unwrap().is_over());
        }
        for broken in [
            r#""id":1,"result":{}"#,
            r#""id":1,"error":{"code":1,"message":"m"}"#,
            r#""id":1,"result":{"taskId":7,"status":"working"}"#,
            r#""id":1,"result":{"taskId":"a","status":"working","status":"completed"}"#,
        ] {
            assert!(TaskState::told(&message(broken)).is_none(), "{broken}");
        }
        for odd in ["-1", "1e400", "1e300"] {
            let task = format!(r#"{{"taskId":"t","status":"s","pollInterval":{odd}}}"#);
            let told = TaskState::told(&message(&format!(r#""id":1,"result":{task}"#)));
            assert!(told.is_none_or(|told| told.interval().is_none()), "{odd}");
        }
    }
}
