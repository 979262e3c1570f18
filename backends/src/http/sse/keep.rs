//! Keeping the shared stream open: without it no change is heard of.

use crate::http::Shared;
use crate::http::requester::WhileHeld;
use crate::{BackendError, Transport};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use weir_runtime::Backoff;

/// Opens the shared stream again whenever it ends, as long as the server is found to speak this transport.
pub(crate) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
    let mut failing = false;
    while shared.verdict.transport() == Some(Transport::Sse) {
        let opened = shared.sessions.own(&shared).await;
        // Only the stream is held on to: a session that is given up must be able to go.
        let held = opened.and_then(|session| {
            let line = session.line.clone().ok_or(BackendError::SessionLost)?;
            Ok((line, WhileHeld { shared: &shared, session: Arc::downgrade(&session) }))
        });
        let pause = match held {
            Ok((line, requests)) => {
                if std::mem::take(&mut failing) {
                    shared.changes.suspect();
                }
                let opened = Instant::now();
                tokio::select! {
                    () = line.ended() => {}
                    // The server has lost the session: the next stream is another.
                    _ = shared.subscriptions.keep(&requests) => {
                        requests.forget();
                        line.ended().await;
                    }
                }
                tracing::debug!(backend = shared.name, "the event stream ended");
                backoff.next_after(opened.elapsed())
            }
            Err(error) => {
                tracing::debug!(backend = shared.name, %error, detail = error.detail(), "no event stream");
                failing = true;
                backoff.next()
            }
        };
        tokio::time::sleep(pause).await;
        if !failing {
            // A change may have been missed.
            shared.changes.suspect();
        }
    }
}
