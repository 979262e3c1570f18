//! Whose grant weir's own requests are made with, where `lists: granted` allows that.

use super::access::Access;
use super::grant::{Grant, Holder, lies_within, seconds};
use super::purge::note;
use super::{ABSENCE, Connector};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::watch;
use weir_policies::Principal;

/// That somebody was seen is put down again after so long: how lately is known to that.
const AGAIN: Duration = Duration::from_secs(24 * 3600);
/// The most grants that are tried for one request.
const TRIED: usize = 8;

/// A user with whose grant weir's own requests are made, by one consent of theirs.
#[derive(Debug)]
pub(crate) struct Lender {
    pub(crate) holder: Holder,
    /// Counts the lenders of one backend.
    pub(crate) number: u64,
    /// The token that was used last, for what is to be ended when there is no other.
    last: Mutex<Access>,
}

impl Lender {
    /// The token that was used last.
    pub(crate) fn last(&self) -> Access {
        self.last.lock().clone()
    }
}

/// Who lends, and how often that was somebody else.
#[derive(Debug, Default)]
pub(super) struct Lending {
    now: Mutex<Option<Arc<Lender>>>,
    changes: watch::Sender<u64>,
}

impl Lending {
    fn now(&self) -> Option<Arc<Lender>> {
        self.now.lock().clone()
    }

    /// The lender is whoever was `found`; nobody where that is `None`.
    fn settle(&self, found: Option<(Holder, Access)>) -> Option<Arc<Lender>> {
        let mut now = self.now.lock();
        if let (Some(lender), Some((holder, token))) = (&*now, &found)
            && lender.holder == *holder
        {
            *lender.last.lock() = token.clone();
            return Some(lender.clone());
        }
        if now.take().is_some() {
            self.changes.send_modify(|changes| *changes += 1);
        }
        let (holder, token) = found?;
        let number = *self.changes.borrow();
        let lender = Arc::new(Lender { holder, number, last: Mutex::new(token) });
        *now = Some(lender.clone());
        Some(lender)
    }

    /// This user lends no more, or by another consent.
    pub(super) fn end(&self, holder: &Holder) {
        let mut now = self.now.lock();
        if now.as_ref().is_some_and(|lender| lender.holder == *holder) {
            *now = None;
            self.changes.send_modify(|changes| *changes += 1);
        }
    }
}

impl Connector {
    /// This user was let use the backend, by the policies of an endpoint: their grant may serve for its lists.
    pub fn see(&self, principal: &Principal) {
        self.put_down(&self.holder(principal));
    }

    /// The same by the name that the grant is kept under.
    pub(crate) fn put_down(&self, holder: &Holder) {
        if !self.lists_by_grants() {
            return;
        }
        let now = SystemTime::now();
        let known = self.seen.get(holder).is_some_and(|at| lies_within(at, now, AGAIN));
        let known = known || self.grant(holder).is_some_and(|grant| grant.was_seen(now, AGAIN));
        if known {
            return;
        }
        let lent = self.lends(holder);
        self.seen.insert(holder.clone(), seconds(now));
        if !lent && self.grant(holder).is_some() {
            // There may be something to list with again.
            self.moves.send_modify(|moves| *moves += 1);
        }
    }

    /// Whether this user was let use the backend lately: whoever lends shows everybody what their account sees.
    fn lends(&self, holder: &Holder) -> bool {
        let now = SystemTime::now();
        self.seen.get(holder).is_some_and(|at| lies_within(at, now, ABSENCE))
            || self.grant(holder).is_some_and(|grant| grant.was_seen(now, ABSENCE))
    }

    /// Notes with their grants when users were seen, so that it outlives this connector.
    pub async fn note_seen(&self) {
        let newer = |(holder, at): (Arc<Holder>, u64)| {
            let grant = self.grant(&holder).filter(|grant| grant.seen < at)?;
            Some((holder, Grant { seen: at, ..(*grant).clone() }))
        };
        let noted = self.seen.iter().filter_map(newer).collect();
        note(&*self.grants, noted).await;
    }

    /// Counts how often somebody else came in the place of a lender, or nobody.
    pub(crate) fn lenders(&self) -> watch::Receiver<u64> {
        self.lending.changes.subscribe()
    }

    /// Whether this is whose grant is used now.
    pub(crate) fn is_lender(&self, lender: &Lender) -> bool {
        self.lending.now().is_some_and(|now| now.number == lender.number)
    }

    /// The user with whose grant weir's own requests are made, and the token: the same as long as that is good, so that what is
    /// open need not be ended. `None` where nobody has connected the backend.
    pub(crate) async fn lender(self: &Arc<Self>) -> Option<(Arc<Lender>, Access)> {
        let good = |now: &Arc<Lender>| !self.doubted.contains_key(&now.holder) && self.lends(&now.holder);
        if let Some(lender) = self.lending.now().filter(good)
            && let Ok(token) = self.token(lender.holder.clone()).await
        {
            *lender.last.lock() = token.clone();
            return Some((lender, token));
        }
        let found = self.any_token().await;
        let token = found.as_ref().map(|(_, token)| token.clone());
        self.lending.settle(found).zip(token)
    }

    /// The token of some user; `None` where nobody has connected the backend.
    pub(super) async fn any_token(self: &Arc<Self>) -> Option<(Holder, Access)> {
        let now = SystemTime::now();
        let mut lenders = Vec::new();
        let mut page = self.grants.page(None);
        while let Some((last, _)) = page.last() {
            let next = self.grants.page(Some(last));
            // A grant that was for another server counts for nothing, nor does that of somebody who was not let use this one
            // for long; one that is good now comes before one to be renewed, and
            // one that failed lately last.
            let ours =
                page.into_iter().filter(|(holder, grant)| self.is_ours(holder, grant) && self.lends(holder));
            lenders.extend(
                ours.map(|(holder, grant)| (self.doubted.contains_key(&*holder), grant.is_over(now), holder)),
            );
            page = next;
            // There may be many, and others want the thread.
            tokio::task::yield_now().await;
        }
        lenders.sort();
        for (_, _, holder) in lenders.into_iter().take(TRIED) {
            let holder = (*holder).clone();
            if let Ok(token) = self.token(holder.clone()).await {
                return Some((holder, token));
            }
        }
        None
    }
}
