//! Taking up a broken event stream of a legacy session.
//!
//! S: MCP 2025-11-25 `basic/transports` "Resumability and Redelivery".

use super::client::Incoming;
use super::session::UpstreamSession;
use crate::BackendError;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::HeaderValue;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use weir_protocol::sse::Event;

/// The pause before a stream is taken up, where the server names none.
const PAUSE: Duration = Duration::from_secs(1);
/// Attempts in a row that yield no message; the deadlines of the call bound the time.
const FRUITLESS: u32 = 64;

type Reopening = BoxFuture<'static, Result<Incoming, BackendError>>;

/// Where a stream stands, and the attempt to take it up.
#[derive(Default)]
pub(crate) struct Resumption {
    /// The id of the last event that had one.
    last: Option<HeaderValue>,
    pause: Option<Duration>,
    fruitless: u32,
    reopening: Option<Reopening>,
}

impl fmt::Debug for Resumption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resumption").field("last", &self.last).finish_non_exhaustive()
    }
}

impl Resumption {
    /// Reads of an event what matters here.
    pub(crate) fn note(&mut self, event: &Event) {
        if let Some(id) = &event.id {
            self.last = HeaderValue::from_str(id).ok().filter(|id| !id.is_empty());
        }
        if let Some(retry) = event.retry {
            self.pause = Some(Duration::from_millis(retry));
        }
        if !event.data.is_empty() {
            self.fruitless = 0;
        }
    }

    /// The attempt under way, begun where there is none; `None` where the stream cannot be taken up. Kept until
    /// [`Resumption::ended`], so that dropping a wait for it loses nothing.
    pub(crate) fn begin(&mut self, session: &Arc<UpstreamSession>) -> Option<&mut Reopening> {
        if self.reopening.is_none() {
            let last = self.last.clone()?;
            if self.fruitless == FRUITLESS {
                return None;
            }
            self.fruitless += 1;
            let pause = self.pause.unwrap_or(PAUSE);
            let session = session.clone();
            let reopening = async move {
                tokio::time::sleep(pause).await;
                session.resume(last).await
            };
            self.reopening = Some(reopening.boxed());
        }
        self.reopening.as_mut()
    }

    /// The attempt has ended.
    pub(crate) fn ended(&mut self) {
        self.reopening = None;
    }
}
