//! Grants in memory: they end with weir.

use super::kept::{Clients, Kept, Placed};
use super::{Grant, Grants, Holder, Removed};
use crate::oauth::access::Access;
use crate::oauth::error::OauthError;
use crate::oauth::registration::Client;
use crate::oauth::renewals::Renewals;
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use std::sync::Arc;

/// Grants that end with weir.
#[derive(Debug, Default)]
pub struct MemoryGrants {
    kept: RwLock<Kept>,
    clients: Mutex<Clients>,
    renewals: Arc<Renewals>,
}

#[async_trait]
impl Grants for MemoryGrants {
    fn get(&self, holder: &Holder) -> Option<Arc<Grant>> {
        self.kept.read().get(holder)
    }

    fn page(&self, last: Option<&Arc<Holder>>) -> Vec<(Arc<Holder>, Arc<Grant>)> {
        self.kept.read().page(last)
    }

    async fn put(&self, holder: Holder, grant: Grant) -> Result<(), OauthError> {
        let placed = Placed::new(holder, grant);
        self.kept.write().put(&placed).map(drop)
    }

    async fn replace(&self, holder: &Holder, old: &Access, grant: Grant) -> Result<bool, OauthError> {
        let placed = Placed::new(holder.clone(), grant);
        self.kept.write().replace(old, &placed)
    }

    async fn remove(&self, holder: &Holder, only: Option<&Access>) -> Removed {
        Removed { grant: self.kept.write().remove(holder, only), written: Ok(()) }
    }

    async fn settle(&self) -> Result<(), OauthError> {
        Ok(())
    }

    fn renewals(&self) -> Arc<Renewals> {
        self.renewals.clone()
    }

    fn client(&self, issuer: &str, redirect: &str) -> Option<Client> {
        self.clients.lock().get(issuer, redirect)
    }

    async fn register(&self, client: Client) -> Result<(), OauthError> {
        self.clients.lock().register(client);
        Ok(())
    }

    async fn unregister(&self, client: &Client) -> Result<(), OauthError> {
        self.clients.lock().unregister(client);
        Ok(())
    }
}
