//! Whose grant weir's own requests are made with, where `lists: granted` allows that.

use super::Connector;
use super::grant::Holder;
use parking_lot::Mutex;
use secrecy::SecretString;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::watch;

/// The most grants that are tried for one request.
const TRIED: usize = 8;

/// A user with whose grant weir's own requests are made, by one consent of theirs.
#[derive(Debug)]
pub(crate) struct Lender {
    pub(crate) holder: Holder,
    /// Counts the lenders of one backend.
    pub(crate) number: u64,
    /// The token that was used last, for what is to be ended when there is no other.
    last: Mutex<SecretString>,
}

impl Lender {
    /// The token that was used last.
    pub(crate) fn last(&self) -> SecretString {
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
    fn settle(&self, found: Option<(Holder, SecretString)>) -> Option<Arc<Lender>> {
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
    pub(crate) async fn lender(self: &Arc<Self>) -> Option<(Arc<Lender>, SecretString)> {
        if let Some(lender) = self.lending.now().filter(|now| !self.doubted.contains_key(&now.holder))
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
    pub(super) async fn any_token(self: &Arc<Self>) -> Option<(Holder, SecretString)> {
        let now = SystemTime::now();
        let mut lenders = Vec::new();
        let mut page = self.grants.page(None);
        while let Some((last, _)) = page.last() {
            let next = self.grants.page(Some(last));
            // A grant that was for another server counts for nothing; one that is good now comes before one to be renewed, and
            // one that failed lately last.
            let ours = page.into_iter().filter(|(holder, grant)| self.is_ours(holder, grant));
            lenders.extend(
                ours.map(|(holder, grant)| (self.doubted.contains_key(&*holder), grant.is_over(now), holder)),
            );
            page = next;
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
