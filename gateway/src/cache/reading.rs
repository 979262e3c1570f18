//! A read on its way: from the cache, behind another that asks for the same, or to the backend.

use super::reads::{Landing, Lead, Place, Reads};
use super::{Cache, Key, Look};
use crate::call::Routed;
use crate::pump::Running;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_backends::{BackendError, Event, Exchange, Outcome};
use weir_policies::Principal;
use weir_protocol::object::Object;
use weir_protocol::{Era, Params, Span, meta};

/// Members of `_meta` that change nothing about what is read: they describe the hop, or the observation of it.
const INDIFFERENT: [&str; 8] = [
    meta::PROTOCOL_VERSION,
    meta::CLIENT_CAPABILITIES,
    meta::CLIENT_INFO,
    meta::LOG_LEVEL,
    "progressToken",
    "traceparent",
    "tracestate",
    "baggage",
];

/// What is read, and by whom, as far as the answer may depend on it.
#[derive(Debug, Clone)]
pub(super) struct Wish {
    pub(super) backend: usize,
    pub(super) uri: Arc<str>,
    pub(super) principal: Arc<Principal>,
    pub(super) reads: Arc<Reads>,
}

impl Wish {
    /// `None` where the cache has nothing to do with the read: nothing is kept, its backend gives no hints or answers each
    /// caller with their own credential, or the request says more than which resource it wants.
    fn of(cache: &Cache, routed: &Routed) -> Option<Self> {
        let is_ones_own = routed.backend.is_each_callers() || !routed.call.passed_on.is_empty();
        if cache.kept.is_none() || routed.call.input.is_some() || is_ones_own {
            return None;
        }
        let inventory = routed.backend.inventory()?;
        let modern = inventory.features.revision.era() == Era::Modern;
        let uri = routed.call.target.as_ref().filter(|uri| modern && uri.len() <= super::LONGEST)?;
        let params = routed.call.envelope.params.as_ref()?;
        is_plain(&routed.call.body, params).then(|| Self {
            backend: routed.backend.number,
            uri: uri.clone(),
            principal: routed.permit.principal().clone(),
            reads: routed.backend.reads.clone(),
        })
    }

    pub(super) fn key(&self, owner: Option<Arc<Principal>>) -> Key {
        Key { backend: self.backend, uri: self.uri.clone(), owner }
    }
}

/// Whether a request asks for a resource and nothing else: no `inputResponses`, no `requestState`, nothing of an extension.
fn is_plain(body: &[u8], params: &Params) -> bool {
    let only = |span: Span, known: &[&str]| {
        let read = std::str::from_utf8(body).ok().and_then(|body| Object::read(body, span).ok());
        read.is_some_and(|object| object.fields().iter().all(|field| known.contains(&&*field.name)))
    };
    let all = Span::new(params.start.saturating_sub(1), body.len());
    only(all, &["uri", "_meta"]) && params.meta.is_none_or(|meta| only(meta, &INDIFFERENT))
}

/// Begins to read a resource, which `routed` was allowed to.
pub(crate) fn start(cache: &Arc<Cache>, routed: Routed) -> Running {
    match Wish::of(cache, &routed) {
        None => Running::start(routed),
        Some(wish) => {
            let seat = Seat(Arc::default());
            let (backend, cache) = (routed.backend.clone(), cache.clone());
            let opening = open(cache, wish, routed, seat.clone());
            Running::read(backend, Box::pin(opening), seat)
        }
    }
}

async fn open(cache: Arc<Cache>, wish: Wish, routed: Routed, seat: Seat) -> Result<Exchange, BackendError> {
    // Who wants to hear of progress or log messages asks for itself: of another's it hears nothing, and if it does not take
    // its own, nobody is to wait for that.
    let alone = routed.call.meta.as_ref().is_some_and(|meta| meta.progress_token.is_some())
        || routed.call.logs.level().is_some();
    let patience = Instant::now() + routed.backend.spec().timeouts.idle;
    let lead = loop {
        let owner = match cache.look(&wish) {
            Look::Kept(message) => {
                tracing::debug!(backend = routed.backend.name(), "a read is answered from the cache");
                return Ok(Exchange::ready(Outcome::Complete(*message)));
            }
            Look::Missing(owner) if !alone => owner,
            Look::Missing(_) | Look::Apart => break None,
        };
        match wish.reads.join((wish.uri.clone(), owner)) {
            Place::First(lead) => break Some(lead),
            Place::Behind(landing) => match tokio::time::timeout_at(patience, landed(landing)).await {
                Ok(Some(Landing::Answer(answer))) => match answer.serve(&wish) {
                    Some(message) => return Ok(Exchange::ready(Outcome::Complete(message))),
                    None => break None,
                },
                // It went away without a word: whoever comes first is the next to ask.
                Ok(None) if Instant::now() < patience => {}
                _ => break None,
            },
        }
    };
    let asked = wish.reads.changes();
    *seat.0.lock() = Some(Asking { cache, wish, asked, lead });
    routed.backend.backend.clone().call(routed.permit, routed.call).await
}

/// What came of another's read; `None` where it ended without a word.
async fn landed(mut landing: watch::Receiver<Landing>) -> Option<Landing> {
    let landed = landing.wait_for(|landing| !matches!(landing, Landing::Aloft)).await;
    landed.ok().map(|landing| landing.clone())
}

/// Where a read leaves what it got, once it has asked its backend; empty where it has not.
#[derive(Debug, Clone)]
pub(crate) struct Seat(Arc<Mutex<Option<Asking>>>);

/// A read that asks its backend.
#[derive(Debug)]
struct Asking {
    cache: Arc<Cache>,
    wish: Wish,
    /// What the backend had changed before.
    asked: u64,
    /// Those who wait for the same.
    lead: Option<Lead>,
}

impl Seat {
    /// Takes in what the backend did: keeps it where it may be kept, and tells those who wait. A read that is dropped
    /// without this leaves its place to the next of them.
    pub(crate) fn settle(&self, event: &Result<Event, BackendError>) {
        let kept = |asking: &Asking| match event {
            Ok(Event::Outcome(Outcome::Complete(message))) => {
                Some(asking.cache.keep(&asking.wish, asking.asked, message))
            }
            Ok(Event::Outcome(Outcome::InputRequired(_))) => {
                asking.cache.set_apart(&asking.wish);
                Some(None)
            }
            Ok(Event::Outcome(Outcome::Error(_))) | Err(_) => Some(None),
            Ok(_) => None,
        };
        let mut seat = self.0.lock();
        let Some(kept) = seat.as_ref().and_then(kept) else {
            return;
        };
        if let Some(lead) = seat.take().and_then(|asking| asking.lead) {
            lead.land(kept);
        }
    }
}

#[cfg(test)]
mod tests;
