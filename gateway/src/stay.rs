//! How long somebody who was let in may be told something: until the proof of who they are ends or is taken back, or a reload
//! takes away whoever vouched for them. Requests are let in one by one; this is for what lasts.

use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::listener::Peer;
use crate::session::Session;
use futures_util::future::BoxFuture;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use weir_policies::{Authenticator, Principal, RejectionKind};

/// How long an end is waited for before the clock is looked at again: somebody may set it.
pub(crate) const LOOK: Duration = Duration::from_secs(10);
/// A token is not looked at again sooner than this.
const LEAST: Duration = Duration::from_secs(1);
/// How long others' tokens that are looked at before are waited for, while nothing says that their issuer does not answer.
const QUEUE: Duration = Duration::from_secs(300);

/// Which configuration of who may come in, and of what they may do, an endpoint has. All that follow each other know when the
/// last one took over.
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
}

/// Whether somebody vouches for `principal` at `endpoint`, and its configuration makes of them what it made of them when they
/// came: what lasts is judged by that.
pub(crate) fn is_known(endpoint: &Endpoint, principal: &Principal) -> bool {
    let authenticator = &endpoint.entrance.authenticator;
    authenticator.vouches(principal) && authenticator.describes(principal)
}

/// What somebody is told who stays.
pub(crate) enum Bond {
    /// What comes of a call, which was decided when it began.
    Call,
    /// What goes on in this session, by what is known of its principal.
    Session(Arc<Session>),
    /// What goes on, by what was known of the principal at the beginning.
    Stream,
}

/// The stay of one principal. Streams wait for its end.
pub(crate) struct Stay {
    lasting: BoxFuture<'static, ()>,
    is_over: bool,
}

impl Stay {
    /// That of `principal`, who was let in at `endpoint`, over the connection of `peer`.
    pub(crate) fn new(
        core: &Arc<Core>,
        endpoint: &Endpoint,
        principal: &Arc<Principal>,
        peer: Option<&Arc<Peer>>,
        bond: Bond,
    ) -> Self {
        let mut changes = endpoint.tenure.changes.subscribe();
        // What changed since the request began counts.
        changes.mark_changed();
        let guest = Guest {
            core: core.clone(),
            endpoint: endpoint.number,
            beginning: principal.clone(),
            principal: principal.clone(),
            peer: peer.filter(|peer| peer.is_required() || principal.needs_certificate()).cloned(),
            bond,
            doubt: None,
        };
        Self { lasting: Box::pin(guest.last(changes)), is_over: false }
    }

    /// Waits for its end. Cancel-safe.
    pub(crate) async fn over(&mut self) {
        if !self.is_over {
            self.lasting.as_mut().await;
            self.is_over = true;
        }
    }
}

/// Waits for the end of a stay that has one. Cancel-safe.
pub(crate) async fn over(stay: Option<&mut Stay>) {
    match stay {
        Some(stay) => stay.over().await,
        None => std::future::pending().await,
    }
}

/// Somebody who stays.
struct Guest {
    core: Arc<Core>,
    /// The number of the endpoint.
    endpoint: usize,
    /// Who it was at the beginning, and as the same token says by now.
    beginning: Arc<Principal>,
    principal: Arc<Principal>,
    /// The client's certificate, where nothing goes on without it.
    peer: Option<Arc<Peer>>,
    bond: Bond,
    /// Since when it could not be found out whether the token is good.
    doubt: Option<Instant>,
}

impl Guest {
    /// Lasts as long as the stay.
    async fn last(mut self, mut changes: watch::Receiver<u64>) {
        loop {
            tokio::select! {
                biased;
                () = ended(&self.principal) => return,
                () = parted(self.peer.as_deref()) => return,
                () = changed(&mut changes) => {}
                newest = reviewed(&self.core, self.endpoint, &self.principal, &mut self.doubt) => match newest {
                    Some(newest) => self.principal = newest,
                    None => return,
                },
            }
            if !self.may_stay() {
                return;
            }
        }
    }

    /// Whether what is known of them by now, and of the endpoint, lets them stay.
    fn may_stay(&self) -> bool {
        let snapshot = self.core.snapshot.load();
        // An endpoint that is gone ends what it has by itself.
        let Some(endpoint) = snapshot.numbered(self.endpoint) else {
            return true;
        };
        let class = |principal| endpoint.policies.class(principal);
        is_known(endpoint, &self.principal)
            && match &self.bond {
                Bond::Call => true,
                Bond::Session(session) => {
                    session.renew(endpoint, &self.principal);
                    is_known(endpoint, &session.principal())
                }
                Bond::Stream => {
                    Arc::ptr_eq(&self.beginning, &self.principal)
                        || class(&self.beginning) == class(&self.principal)
                }
            }
    }
}

/// Waits for a change. Cancel-safe.
async fn changed(changes: &mut watch::Receiver<u64>) {
    if changes.changed().await.is_err() {
        // No reload can change anything any more.
        std::future::pending().await
    }
}

/// Waits until the proof of who they are has ended by itself. Cancel-safe.
async fn ended(principal: &Principal) {
    let told = |_: &SystemTime| principal.token().is_none() || principal.claims().contains_key("exp");
    // A token of which nobody says when it ends is good as long as its issuer says that it is.
    let Some(until) = principal.until().filter(told) else {
        return std::future::pending().await;
    };
    while let Ok(left) = until.duration_since(SystemTime::now()) {
        if left.is_zero() {
            return;
        }
        sleep(left.min(LOOK)).await;
    }
}

/// Waits until nobody vouches for the client's certificate any more. Cancel-safe.
async fn parted(peer: Option<&Peer>) {
    match peer {
        Some(peer) => peer.parted().await,
        None => std::future::pending().await,
    }
}

/// Waits until it was found out again who they are; `None` where their token is good no more, or where nobody could say so for
/// as long as its issuer's word counts. Cancel-safe.
async fn reviewed(
    core: &Core,
    endpoint: usize,
    principal: &Arc<Principal>,
    doubt: &mut Option<Instant>,
) -> Option<Arc<Principal>> {
    loop {
        sleep(LEAST).await;
        let Some(authenticator) = authenticator(core, endpoint) else {
            continue;
        };
        let Some(due) = authenticator.due(principal) else {
            return std::future::pending().await;
        };
        if let Some(newest) = due.newest {
            *doubt = None;
            // Others who came with the token may have found out something new.
            if !Arc::ptr_eq(&newest, principal) {
                return Some(newest);
            }
            // Not held while nothing is asked: a reload may replace it.
            drop(authenticator);
            sleep(due.after.min(LOOK)).await;
            continue;
        }
        let left = |since: Instant| due.grace.saturating_sub(since.elapsed());
        let turn = timeout(doubt.map_or(QUEUE, left), authenticator.turn(principal)).await;
        let left = left(*doubt.get_or_insert_with(Instant::now));
        let review = match turn {
            Ok(turn) => timeout(left, async { turn?.review().await }).await,
            Err(late) => Err(late),
        };
        let why = match review {
            Ok(Ok(newest)) => {
                *doubt = None;
                return Some(newest);
            }
            Ok(Err(rejection)) if rejection.kind == RejectionKind::Unavailable && !left.is_zero() => continue,
            Ok(Err(rejection)) => rejection.reason,
            Err(_) => "the issuer took too long".to_owned(),
        };
        if let Some(endpoint) = core.snapshot.load().numbered(endpoint) {
            endpoint.entrance.left(&why);
        }
        return None;
    }
}

fn authenticator(core: &Core, endpoint: usize) -> Option<Arc<Authenticator>> {
    Some(core.snapshot.load().numbered(endpoint)?.entrance.authenticator.clone())
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
        assert!(!told.has_changed().unwrap());
        other.begin();
        told.changed().await.unwrap();
    }
}
