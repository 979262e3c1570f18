//! Grants in memory: they end with weir.

use super::{Grant, Grants, Holder, MOST};
use crate::oauth::access::Access;
use crate::oauth::error::OauthError;
use crate::oauth::registration::Client;
use async_trait::async_trait;
use parking_lot::RwLock;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The most authorization servers that weir is known to at once.
const CLIENTS: usize = 1000;

/// Grants of new holders are kept up to so many bytes of them, as they are written; those that take the place of others up to
/// a little more, since a renewed grant that is not kept is lost. Both stay below what is read.
const ROOM: usize = 192 << 20;
const ROOM_AGAIN: usize = 224 << 20;

/// Everything that is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    grants: BTreeMap<Holder, Arc<Grant>>,
    /// How many bytes of grants there are, as they are written.
    bytes: usize,
    clients: BTreeMap<(String, String), Client>,
}

/// The same as it is written.
#[derive(Serialize, Deserialize)]
pub(super) struct Written {
    grants: Vec<(Holder, Grant)>,
    clients: Vec<Client>,
}

impl Kept {
    pub(super) fn get(&self, holder: &Holder) -> Option<Arc<Grant>> {
        self.grants.get(holder).cloned()
    }

    pub(super) fn holders(&self, backend: &str) -> Vec<Holder> {
        self.grants.keys().filter(|holder| holder.backend == backend).cloned().collect()
    }

    pub(super) fn put(&mut self, holder: Holder, grant: Grant) -> Result<(), OauthError> {
        let before = self.grants.get(&holder).map(|before| size(&holder, before));
        let bytes = self.bytes.saturating_sub(before.unwrap_or(0)).saturating_add(size(&holder, &grant));
        let is_full = match before {
            None => self.grants.len() >= MOST || bytes > ROOM,
            Some(_) => bytes > ROOM_AGAIN,
        };
        if is_full {
            return Err(OauthError::Store("there are as many as there may be".to_owned()));
        }
        self.bytes = bytes;
        self.grants.insert(holder, Arc::new(grant));
        Ok(())
    }

    /// Answers whether there was such a one.
    pub(super) fn remove(&mut self, holder: &Holder, only: Option<&Access>) -> bool {
        let meant = |grant: &Arc<Grant>| only.is_none_or(|only| *only == grant.access);
        if !self.grants.get(holder).is_some_and(meant) {
            return false;
        }
        let removed = self.grants.remove(holder);
        let bytes = removed.as_deref().map_or(0, |grant| size(holder, grant));
        self.bytes = self.bytes.saturating_sub(bytes);
        removed.is_some()
    }

    pub(super) fn client(&self, issuer: &str, redirect: &str) -> Option<Client> {
        let client = self.clients.get(&(issuer.to_owned(), redirect.to_owned()))?;
        client.suits(issuer, redirect, SystemTime::now()).then(|| client.clone())
    }

    pub(super) fn register(&mut self, client: Client) {
        if self.clients.len() >= CLIENTS {
            // Whoever is forgotten registers anew.
            self.clients.pop_first();
        }
        self.clients.insert((client.issuer.clone(), client.redirect.clone()), client);
    }

    /// Answers whether there was such a one.
    pub(super) fn unregister(&mut self, client: &Client) -> bool {
        let key = (client.issuer.clone(), client.redirect.clone());
        let meant = |own: &Client| own.id == client.id;
        self.clients.get(&key).is_some_and(meant) && self.clients.remove(&key).is_some()
    }

    pub(super) fn write(&self) -> Written {
        Written {
            grants: self.grants.iter().map(|(holder, grant)| (holder.clone(), (**grant).clone())).collect(),
            clients: self.clients.values().cloned().collect(),
        }
    }
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

impl From<Written> for Kept {
    fn from(written: Written) -> Self {
        let bytes = written
            .grants
            .iter()
            .fold(0, |sum: usize, (holder, grant)| sum.saturating_add(size(holder, grant)));
        let key = |client: &Client| (client.issuer.clone(), client.redirect.clone());
        Self {
            grants: written.grants.into_iter().map(|(holder, grant)| (holder, Arc::new(grant))).collect(),
            clients: written.clients.into_iter().map(|client| (key(&client), client)).collect(),
            bytes,
        }
    }
}

/// Grants that end with weir.
#[derive(Debug, Default)]
pub struct MemoryGrants(RwLock<Kept>);

#[async_trait]
impl Grants for MemoryGrants {
    fn get(&self, holder: &Holder) -> Option<Arc<Grant>> {
        self.0.read().get(holder)
    }

    fn holders(&self, backend: &str) -> Vec<Holder> {
        self.0.read().holders(backend)
    }

    async fn put(&self, holder: Holder, grant: Grant) -> Result<(), OauthError> {
        self.0.write().put(holder, grant)
    }

    async fn remove(&self, holder: &Holder, only: Option<&Access>) -> Result<(), OauthError> {
        self.0.write().remove(holder, only);
        Ok(())
    }

    fn client(&self, issuer: &str, redirect: &str) -> Option<Client> {
        self.0.read().client(issuer, redirect)
    }

    async fn register(&self, client: Client) -> Result<(), OauthError> {
        self.0.write().register(client);
        Ok(())
    }

    async fn unregister(&self, client: &Client) -> Result<(), OauthError> {
        self.0.write().unregister(client);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::file::tests::{grant, holder};
    use super::*;

    #[test]
    fn no_more_is_kept_than_can_be_read() {
        let mut kept = Kept::default();
        kept.put(holder("ada"), grant()).unwrap();
        let written = serde_json::to_string(&kept.write()).unwrap();
        assert!(kept.bytes <= written.len() && kept.bytes + 32 > written.len(), "{} {written}", kept.bytes);
        assert_eq!(Kept::from(kept.write()).bytes, kept.bytes);
        let one = kept.bytes;
        kept.put(holder("ada"), grant()).unwrap();
        assert_eq!(kept.bytes, one, "it took the place of the other");
        assert!(!kept.remove(&holder("bob"), None));
        kept.bytes = ROOM;
        assert!(kept.put(holder("bob"), grant()).is_err());
        assert!(kept.get(&holder("bob")).is_none());
        kept.put(holder("ada"), grant()).unwrap();
        kept.bytes = ROOM_AGAIN + one;
        let large = Grant { asked: vec!["a".repeat(1000)], ..grant() };
        assert!(kept.put(holder("ada"), large).is_err());
        assert_eq!(kept.get(&holder("ada")).unwrap().asked, ["read"], "what was there is");
        kept.bytes = one;
        assert!(kept.remove(&holder("ada"), None));
        assert_eq!(kept.bytes, 0);
    }
}
