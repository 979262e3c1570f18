//! How long somebody who was let in may be told something: until the proof of who they are ends, or a reload takes away
//! whoever vouched for them. Requests are let in one by one; this is for what lasts.

use crate::endpoint::Endpoint;
use crate::gateway::Core;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use weir_policies::Principal;

/// How long an end is waited for before the clock is looked at again: somebody may set it.
const LOOK: Duration = Duration::from_secs(10);

/// Which configuration of who may come in an endpoint has. All that follow each other know when the last one took over.
#[derive(Debug)]
pub(crate) struct Tenure {
    changes: Arc<watch::Sender<u64>>,
    own: u64,
}

impl Tenure {
    /// The first one.
    pub(crate) fn first() -> Self {
        Self { changes: Arc::new(watch::Sender::new(0)), own: 0 }
    }

    /// The one after this, or this one where nothing about it `changed`.
    pub(crate) fn after(&self, changed: bool) -> Self {
        Self { changes: self.changes.clone(), own: self.own + u64::from(changed) }
    }

    /// It takes over: whoever was let in under one before is looked at again.
    pub(crate) fn begin(&self) {
        self.changes.send_if_modified(|now| std::mem::replace(now, self.own) != self.own);
    }

    /// Whether another one has taken over.
    fn is_past(&self) -> bool {
        *self.changes.borrow() != self.own
    }
}

/// Whether `principal`, who was let in at `endpoint`, must not be told anything any more.
pub(crate) fn is_over(core: &Core, endpoint: &Endpoint, principal: &Principal) -> bool {
    has_ended(principal) || (endpoint.tenure.is_past() && is_unknown(core, endpoint.number, principal))
}

fn has_ended(principal: &Principal) -> bool {
    principal.until().is_some_and(|until| SystemTime::now() >= until)
}

/// Whether somebody vouches for `principal` at `endpoint`, and says of them what was said when they came: what lasts is judged by
/// that.
pub(crate) fn is_known(endpoint: &Endpoint, principal: &Principal) -> bool {
    let authenticator = &endpoint.entrance.authenticator;
    authenticator.vouches(principal) && authenticator.describes(principal)
}

/// Whether nobody vouches for them any more. An endpoint that is gone ends what it has by itself.
fn is_unknown(core: &Core, endpoint: usize, principal: &Principal) -> bool {
    let snapshot = core.snapshot.load();
    snapshot.numbered(endpoint).is_some_and(|now| !is_known(now, principal))
}

/// The stay of one principal, for streams.
pub(crate) struct Stay {
    core: Arc<Core>,
    endpoint: usize,
    principal: Arc<Principal>,
    changes: watch::Receiver<u64>,
}

impl Stay {
    pub(crate) fn new(core: &Arc<Core>, endpoint: &Endpoint, principal: &Arc<Principal>) -> Self {
        let mut changes = endpoint.tenure.changes.subscribe();
        // What changed since the request began counts.
        changes.mark_changed();
        Self { core: core.clone(), endpoint: endpoint.number, principal: principal.clone(), changes }
    }

    /// Waits for its end. Cancel-safe.
    pub(crate) async fn over(&mut self) {
        loop {
            if has_ended(&self.principal) {
                return;
            }
            tokio::select! {
                changed = self.changes.changed() => {
                    if changed.is_err() {
                        // No reload can change anything any more.
                        return asleep_until(&self.principal).await;
                    }
                    if is_unknown(&self.core, self.endpoint, &self.principal) {
                        return;
                    }
                }
                () = asleep_until(&self.principal) => return,
            }
        }
    }
}

async fn asleep_until(principal: &Principal) {
    let Some(until) = principal.until() else {
        return std::future::pending().await;
    };
    while let Ok(left) = until.duration_since(SystemTime::now()) {
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(LOOK)).await;
    }
}

/// Waits for the end of a stay that has one. Cancel-safe.
pub(crate) async fn over(stay: Option<&mut Stay>) {
    match stay {
        Some(stay) => stay.over().await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tenure_ends_when_another_takes_over() {
        let first = Tenure::first();
        let same = first.after(false);
        let other = same.after(true);
        let mut told = first.changes.subscribe();
        same.begin();
        assert!(!first.is_past() && !same.is_past() && !told.has_changed().unwrap());
        other.begin();
        assert!(first.is_past() && same.is_past() && !other.is_past());
        told.changed().await.unwrap();
    }
}
