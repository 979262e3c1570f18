//! What is kept: grants and registrations, and how much of them.

use super::{Grant, Holder, MOST};
use crate::oauth::access::Access;
use crate::oauth::error::OauthError;
use crate::oauth::registration::Client;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::SystemTime;

/// The most authorization servers that weir is known to at once.
const CLIENTS: usize = 1000;
/// Grants of new holders are kept up to so many bytes of them, as they are written; those that take the place of others up to
/// a little more, since a renewed grant that is not kept is lost. Both stay below what is read.
const ROOM: usize = 192 << 20;
const ROOM_AGAIN: usize = 224 << 20;
/// So many grants are looked at before whoever else wants them has a turn.
pub(super) const PAGE: usize = 500;

/// A grant, measured before anybody has to wait for that.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) holder: Arc<Holder>,
    pub(super) grant: Arc<Grant>,
    /// How many bytes it has as it is written.
    bytes: usize,
}

impl Placed {
    pub(super) fn new(holder: Holder, grant: Grant) -> Self {
        let bytes = size(&holder, &grant);
        Self { holder: Arc::new(holder), grant: Arc::new(grant), bytes }
    }
}

/// A holder whose grant is another now, or none.
pub(super) type Change = (Arc<Holder>, Option<Arc<Grant>>);

/// All grants. Calls wait for whoever has them, so nothing here takes long.
#[derive(Debug, Default)]
pub(super) struct Kept {
    grants: BTreeMap<Arc<Holder>, Placed>,
    /// How many bytes of grants there are, as they are written.
    bytes: usize,
    /// What changed since somebody asked, where that is to be known.
    changes: Option<Vec<Change>>,
}

impl Kept {
    /// These grants; from now on changes are noted.
    pub(super) fn noting(grants: impl IntoIterator<Item = (Holder, Grant)>) -> Self {
        let placed = grants.into_iter().map(|(holder, grant)| Placed::new(holder, grant));
        let grants: BTreeMap<_, _> = placed.map(|placed| (placed.holder.clone(), placed)).collect();
        let bytes = grants.values().fold(0, |sum: usize, placed| sum.saturating_add(placed.bytes));
        Self { grants, bytes, changes: Some(Vec::new()) }
    }

    /// Each grant as it is now, as though all had changed.
    pub(super) fn all(&self) -> impl Iterator<Item = Change> + '_ {
        self.grants.values().map(|placed| (placed.holder.clone(), Some(placed.grant.clone())))
    }

    /// What changed since the last time.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        self.changes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn get(&self, holder: &Holder) -> Option<Arc<Grant>> {
        self.grants.get(holder).map(|placed| placed.grant.clone())
    }

    /// The next grants after that of `last`, in their order.
    pub(super) fn page(&self, last: Option<&Arc<Holder>>) -> Vec<(Arc<Holder>, Arc<Grant>)> {
        let after = last.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.grants.range::<Arc<Holder>, _>((after, Bound::Unbounded)).take(PAGE);
        next.map(|(holder, placed)| (holder.clone(), placed.grant.clone())).collect()
    }

    /// Answers what was there before.
    pub(super) fn put(&mut self, placed: &Placed) -> Result<Option<Placed>, OauthError> {
        let before = self.grants.get(&placed.holder).map(|before| before.bytes);
        let bytes = self.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(placed.bytes);
        let is_full = match before {
            None => self.grants.len() >= MOST || bytes > ROOM,
            Some(_) => bytes > ROOM_AGAIN,
        };
        if is_full {
            return Err(OauthError::Store("there are as many as there may be".to_owned()));
        }
        Ok(self.place(placed.clone()))
    }

    /// As [`Kept::put`], where the grant of the token `old` is still there; answers whether it was.
    pub(super) fn replace(&mut self, old: &Access, placed: &Placed) -> Result<bool, OauthError> {
        if !self.is_of(&placed.holder, old) {
            return Ok(false);
        }
        self.put(placed).map(|_| true)
    }

    /// Puts what was there `before` back into the place of `placed`, where that is still there.
    pub(super) fn take_back(&mut self, placed: &Placed, before: Option<Placed>) {
        if !self.grants.get(&placed.holder).is_some_and(|now| Arc::ptr_eq(&now.grant, &placed.grant)) {
            return;
        }
        match before {
            Some(before) => drop(self.place(before)),
            None => drop(self.remove(&placed.holder, None)),
        }
    }

    /// Answers what there was. With `only`, nothing is removed but a grant of this access token.
    pub(super) fn remove(&mut self, holder: &Holder, only: Option<&Access>) -> Option<Arc<Grant>> {
        if only.is_some_and(|only| !self.is_of(holder, only)) {
            return None;
        }
        let removed = self.grants.remove(holder)?;
        self.bytes = self.bytes.saturating_sub(removed.bytes);
        self.note(removed.holder, None);
        Some(removed.grant)
    }

    fn is_of(&self, holder: &Holder, token: &Access) -> bool {
        let now = self.grants.get(holder);
        now.is_some_and(|now| now.grant.access == *token)
    }

    fn place(&mut self, placed: Placed) -> Option<Placed> {
        self.note(placed.holder.clone(), Some(placed.grant.clone()));
        self.bytes = self.bytes.saturating_add(placed.bytes);
        let before = self.grants.insert(placed.holder.clone(), placed);
        self.bytes = self.bytes.saturating_sub(before.as_ref().map_or(0, |before| before.bytes));
        before
    }

    fn note(&mut self, holder: Arc<Holder>, grant: Option<Arc<Grant>>) {
        if let Some(changes) = &mut self.changes {
            changes.push((holder, grant));
        }
    }
}

/// weir's registrations, by authorization server and way back.
#[derive(Debug, Clone, Default)]
pub(super) struct Clients(BTreeMap<(String, String), Client>);

impl Clients {
    pub(super) fn of(clients: impl IntoIterator<Item = Client>) -> Self {
        Self(clients.into_iter().map(|client| (key(&client), client)).collect())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &Client> {
        self.0.values()
    }

    pub(super) fn get(&self, issuer: &str, redirect: &str) -> Option<Client> {
        let client = self.0.get(&(issuer.to_owned(), redirect.to_owned()))?;
        client.suits(issuer, redirect, SystemTime::now()).then(|| client.clone())
    }

    pub(super) fn register(&mut self, client: Client) {
        if self.0.len() >= CLIENTS {
            // Whoever is forgotten registers anew.
            self.0.pop_first();
        }
        self.0.insert(key(&client), client);
    }

    /// Answers whether there was such a one.
    pub(super) fn unregister(&mut self, client: &Client) -> bool {
        let key = key(client);
        let meant = |own: &Client| own.id == client.id;
        self.0.get(&key).is_some_and(meant) && self.0.remove(&key).is_some()
    }
}

fn key(client: &Client) -> (String, String) {
    (client.issuer.clone(), client.redirect.clone())
}

/// How many bytes a grant has as it is written, with the comma.
fn size(holder: &Holder, grant: &Grant) -> usize {
    /// Counts what is written.
    struct Count(usize);
    impl std::io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.saturating_add(bytes.len());
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(1);
    // What cannot be written is not kept.
    serde_json::to_writer(&mut count, &(holder, grant)).map_or(usize::MAX, |()| count.0)
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::{grant, holder};
    use super::*;

    fn put(kept: &mut Kept, name: &str, grant: Grant) -> Result<Option<Placed>, OauthError> {
        kept.put(&Placed::new(holder(name), grant))
    }

    #[test]
    fn no_more_is_kept_than_can_be_read() {
        let mut kept = Kept::default();
        put(&mut kept, "ada", grant()).unwrap();
        let written = serde_json::to_string(&[(holder("ada"), grant())]).unwrap();
        assert!(kept.bytes <= written.len() && kept.bytes + 32 > written.len(), "{} {written}", kept.bytes);
        assert_eq!(Kept::noting([(holder("ada"), grant())]).bytes, kept.bytes);
        let one = kept.bytes;
        put(&mut kept, "ada", grant()).unwrap();
        assert_eq!(kept.bytes, one, "it took the place of the other");
        assert!(kept.remove(&holder("bob"), None).is_none());
        kept.bytes = ROOM;
        assert!(put(&mut kept, "bob", grant()).is_err());
        assert!(kept.get(&holder("bob")).is_none());
        put(&mut kept, "ada", grant()).unwrap();
        kept.bytes = ROOM_AGAIN + one;
        let large = Grant { asked: vec!["a".repeat(1000)], ..grant() };
        assert!(put(&mut kept, "ada", large).is_err());
        assert_eq!(kept.get(&holder("ada")).unwrap().asked, ["read"], "what was there is");
        kept.bytes = one;
        assert!(kept.remove(&holder("ada"), None).is_some());
        assert_eq!(kept.bytes, 0);
    }

    #[test]
    fn what_is_taken_back_takes_nothing_else_along() {
        let mut kept = Kept::default();
        put(&mut kept, "ada", grant()).unwrap();
        let one = kept.bytes;
        let second = Placed::new(holder("ada"), Grant { asked: vec!["second".into()], ..grant() });
        let before = kept.put(&second).unwrap();
        kept.take_back(&second, before.clone());
        assert_eq!((kept.get(&holder("ada")).unwrap().asked[0].as_str(), kept.bytes), ("read", one));
        // Another came meanwhile.
        put(&mut kept, "ada", grant()).unwrap();
        kept.take_back(&second, before);
        assert_eq!(kept.get(&holder("ada")).unwrap().asked, ["read"]);
        let first = Placed::new(holder("bob"), grant());
        let before = kept.put(&first).unwrap();
        kept.take_back(&first, before);
        assert!(kept.get(&holder("bob")).is_none());
        assert_eq!(kept.bytes, one);
    }

    #[test]
    fn a_renewed_grant_replaces_that_of_its_token_alone() {
        let mut kept = Kept::default();
        let new = || Placed::new(holder("ada"), Grant { access: "new".into(), ..grant() });
        assert!(!kept.replace(&"hunter2-access".into(), &new()).unwrap(), "there is none");
        put(&mut kept, "ada", grant()).unwrap();
        assert!(!kept.replace(&"other".into(), &new()).unwrap());
        assert!(kept.replace(&"hunter2-access".into(), &new()).unwrap());
        assert_eq!(kept.get(&holder("ada")).unwrap().access.expose_secret(), "new");
    }

    #[test]
    fn pages_are_of_every_grant_once() {
        let mut kept = Kept::default();
        for number in 0..2 * PAGE + 1 {
            put(&mut kept, &format!("{number:05}"), grant()).unwrap();
        }
        let mut seen = Vec::new();
        loop {
            let page = kept.page(seen.last());
            if page.is_empty() {
                break;
            }
            assert!(page.len() <= PAGE);
            seen.extend(page.into_iter().map(|(holder, _)| holder));
        }
        assert_eq!(seen.len(), 2 * PAGE + 1);
        assert!(seen.is_sorted());
    }
}
