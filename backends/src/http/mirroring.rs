//! Headers that mirror arguments, and listing tools anew where a server rejects them.
//!
//! S: MCP 2026-07-28 `basic/transports/streamable-http` "Custom Headers from Tool Parameters", "Client Behavior".

use super::HttpBackend;
use super::lister::Lister;
use super::post::Attempt;
use crate::flight::{Flight, launch};
use crate::{BackendError, Call, Outcome};
use http::HeaderValue;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use weir_protocol::{Era, Method, Mirrors, code};

/// A list answers all calls of so much time: a server that rejects everything is not asked again and again.
const FRESH: Duration = Duration::from_secs(1);

/// The headers that mirror the arguments of `call`. Arguments that cannot be read yield none, and the server refuses.
pub(crate) fn headers(call: &Call) -> Vec<(String, HeaderValue)> {
    let Some(mirrors) = &call.mirrors else {
        return Vec::new();
    };
    let mirrored = mirrors.headers(call.arguments()).unwrap_or_default();
    mirrored
        .into_iter()
        .filter_map(|(name, value)| Some((name.to_owned(), HeaderValue::try_from(value).ok()?)))
        .collect()
}

/// Whether the server says that headers and body differ.
pub(crate) fn rejects_headers(attempt: &Attempt) -> bool {
    #[derive(serde::Deserialize)]
    struct Head {
        code: i64,
    }
    let Attempt::Done(Outcome::Error(message)) = attempt else {
        return false;
    };
    let raw = message.envelope.error.map(|span| span.of(&message.body)).unwrap_or_default();
    serde_json::from_slice::<Head>(raw).is_ok_and(|head| head.code == i64::from(code::HEADER_MISMATCH))
}

type ByTool = Arc<HashMap<String, Arc<Mirrors>>>;

/// The mirrored parameters of a server's tools, looked up anew where it rejected a call's headers.
#[derive(Debug, Default)]
pub(crate) struct Relisting(Mutex<Option<(Instant, Flight<ByTool>)>>);

impl Relisting {
    /// What the tool of `call` wants mirrored now; `None` where that is what was sent already, or cannot be learnt. The
    /// catalog follows by itself.
    pub(crate) async fn mirrors(&self, backend: &HttpBackend, call: &Call) -> Option<Arc<Mirrors>> {
        if call.method != Method::ToolsCall {
            return None;
        }
        let limit = backend.shared.timeouts.list;
        // One that is under way is waited for. One that nobody waited for to its end looks as if it were, for as long.
        let fresh = |flight: &Flight<ByTool>| if flight.peek().is_none() { limit } else { FRESH };
        let flight = {
            let mut last = self.0.lock();
            match &*last {
                Some((begun, flight)) if begun.elapsed() < fresh(flight) => flight.clone(),
                _ => {
                    backend.shared.changes.suspect();
                    let flight = begin(backend);
                    *last = Some((Instant::now(), flight.clone()));
                    flight
                }
            }
        };
        let name = backend.shared.name.as_str();
        match flight.await {
            Ok(tools) => {
                let mirrors = tools.get(call.target.as_deref()?)?;
                (call.mirrors.as_ref() != Some(mirrors)).then(|| mirrors.clone())
            }
            Err(error) => {
                let detail = error.detail();
                tracing::debug!(backend = name, %error, detail, "its tools cannot be listed anew");
                None
            }
        }
    }
}

fn begin(backend: &HttpBackend) -> Flight<ByTool> {
    let (shared, lists) = (backend.shared.clone(), backend.lists.clone());
    let handle = shared.handle.clone();
    launch(&handle, async move {
        let limit = shared.timeouts.list;
        let lister = Lister::new(&shared, Era::Modern);
        let late = BackendError::Timeout { what: "tools/list", after: limit };
        let tools = tokio::time::timeout(limit, lists.tools(&lister)).await.unwrap_or(Err(late))?;
        let mirrored = tools.iter().filter_map(|tool| Some((tool.name()?, Arc::new(tool.mirrors().ok()??))));
        Ok(Arc::new(mirrored.collect()))
    })
}
