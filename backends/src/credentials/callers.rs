//! A token of each caller.

use super::grant::{ForCaller, Grant};
use super::slot::Slot;
use super::{CredentialError, Own, Way};
use crate::BackendError;
use moka::sync::Cache;
use ring::hmac;
use ring::rand::SystemRandom;
use secrecy::ExposeSecret;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::Principal;

/// Most callers whose tokens are kept.
const MOST: u64 = 10_000;
/// How long the token of a caller is kept who does not call.
const IDLE: Duration = Duration::from_secs(600);

/// The tokens of a backend's callers. A caller's token is what is exchanged: one who comes with another token, be it with
/// other scopes, has another place.
pub(crate) struct Callers {
    grant: Arc<Grant>,
    pub(crate) listing: Own,
    way: Way,
    slots: Cache<[u8; 32], Arc<Slot>>,
    /// What the callers' tokens are hashed with: no table of hashes made elsewhere says anything about them.
    key: hmac::Key,
}

impl Callers {
    pub(crate) fn new(grant: Grant, listing: Own, way: Way) -> Result<Self, BackendError> {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| BackendError::unreachable("the system has no random numbers"))?;
        let slots = Cache::builder().max_capacity(MOST).time_to_idle(IDLE).build();
        Ok(Self { grant: Arc::new(grant), listing, way, slots, key })
    }

    /// The place of this caller's token. One who brings no token of their own has none: nothing else is ever shown in its
    /// stead.
    pub(crate) fn slot(&self, principal: &Arc<Principal>) -> Result<Arc<Slot>, BackendError> {
        let token = principal.token().ok_or(BackendError::Credential(CredentialError::NoToken))?;
        let mut context = hmac::Context::with_key(&self.key);
        context.update(&principal.issuer().len().to_be_bytes());
        context.update(principal.issuer().as_bytes());
        context.update(token.expose_secret().as_bytes());
        let mut hash = [0; 32];
        hash.copy_from_slice(context.sign().as_ref());
        Ok(self.slots.get_with(hash, || {
            let source = ForCaller { grant: self.grant.clone(), token: token.clone() };
            Arc::new(Slot::new(self.way.backend.clone(), Box::new(source), self.way.handle.clone()))
        }))
    }
}
