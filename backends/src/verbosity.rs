//! How much an upstream session of the legacy era logs: `logging/setLevel` holds for all calls in it.
//!
//! S: MCP 2025-11-25 `server/utilities/logging`.

use crate::handshake::result_of;
use crate::inventory::Requester;
use std::sync::atomic::{AtomicU8, Ordering};
use weir_protocol::{Level, Logs, Method};

/// No level was set: the server sends what it likes.
const UNSET: u8 = u8::MAX;

/// The level that one upstream session was set to.
#[derive(Debug)]
pub(crate) struct Verbosity {
    level: AtomicU8,
    /// Held while the server is asked, so that it is asked once.
    asking: tokio::sync::Mutex<()>,
}

impl Default for Verbosity {
    fn default() -> Self {
        Self { level: AtomicU8::new(UNSET), asking: tokio::sync::Mutex::default() }
    }
}

impl Verbosity {
    /// The level to set before a call that wants `logs`; `None` where the session logs enough. It is never set to less than
    /// what calls hear that name no level, since others may share the session; what a call does not want is left out on
    /// the way to its client.
    pub(crate) fn lacks(&self, logs: Logs) -> Option<Level> {
        let Logs::From(level) = logs else {
            return None;
        };
        Some(level.min(Logs::UNSAID)).filter(|level| self.level.load(Ordering::Relaxed) > *level as u8)
    }

    /// Sets the level. A server that refuses is not asked again: the call matters more than its log.
    pub(crate) async fn raise(&self, backend: &str, level: Level, requester: &impl Requester) {
        let _asking = self.asking.lock().await;
        if self.level.load(Ordering::Relaxed) <= level as u8 {
            return;
        }
        let members = format!("\"level\":\"{}\"", level.as_str());
        let answer = requester.request(Method::SetLevel, members).await;
        let set = answer.and_then(|answer| result_of(&answer, Method::SetLevel.as_str()).map(drop));
        if let Err(error) = set {
            let detail = error.detail();
            tracing::warn!(backend, level = level.as_str(), %error, detail, "its log level stays");
        }
        self.level.store(level as u8, Ordering::Relaxed);
    }
}
