//! Grants in memory: they end with weir.

use super::{Grant, Grants, Holder, MOST};
use crate::oauth::error::OauthError;
use crate::oauth::registration::Client;
use async_trait::async_trait;
use parking_lot::RwLock;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

/// The most authorization servers that weir is known to at once.
const CLIENTS: usize = 1000;

/// Everything that is kept.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept {
    grants: BTreeMap<Holder, Arc<Grant>>,
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
        if self.grants.len() >= MOST && !self.grants.contains_key(&holder) {
            return Err(OauthError::Store("there are as many as there may be".to_owned()));
        }
        self.grants.insert(holder, Arc::new(grant));
        Ok(())
    }

    /// Answers whether there was such a one.
    pub(super) fn remove(&mut self, holder: &Holder, only: Option<&SecretString>) -> bool {
        let meant =
            |grant: &Arc<Grant>| only.is_none_or(|only| only.expose_secret() == grant.access.expose_secret());
        self.grants.get(holder).is_some_and(meant) && self.grants.remove(holder).is_some()
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

impl From<Written> for Kept {
    fn from(written: Written) -> Self {
        let key = |client: &Client| (client.issuer.clone(), client.redirect.clone());
        Self {
            grants: written.grants.into_iter().map(|(holder, grant)| (holder, Arc::new(grant))).collect(),
            clients: written.clients.into_iter().map(|client| (key(&client), client)).collect(),
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

    async fn remove(&self, holder: &Holder, only: Option<&SecretString>) -> Result<(), OauthError> {
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
