//! The tokens of users: renewed in time, once for all who wait, and given up where they are good for nothing.

use super::access::Access;
use super::challenge::{Challenge, union};
use super::error::OauthError;
use super::grant::{Grant, Holder, seconds};
use super::registration::Client;
use super::{Connector, DEADLINE};
use crate::flight::{Flight, launch};
use crate::{BackendError, CredentialError};
use futures_util::FutureExt;
use std::sync::Arc;
use std::time::SystemTime;

/// A token that cannot be renewed is new for so long, in seconds.
const FRESH: u64 = 60;

impl Connector {
    /// The token for a call of this user, renewed where it is time for that.
    ///
    /// # Errors
    /// The user has to connect the backend first, or the token cannot be renewed just now.
    pub(crate) async fn token(self: &Arc<Self>, holder: Holder) -> Result<Access, BackendError> {
        let grant = self.grant(&holder).ok_or(BackendError::Unconnected)?;
        let now = SystemTime::now();
        if !grant.is_old(now) {
            return Ok(grant.access.clone());
        }
        if grant.refresh.is_none() {
            return if grant.is_over(now) {
                Err(BackendError::Unconnected)
            } else {
                Ok(grant.access.clone())
            };
        }
        let renewal = self.renewal(&holder, &grant);
        if !grant.is_over(now) {
            // It is renewed beside the call, which the old one serves once more.
            return Ok(grant.access.clone());
        }
        renewal.await?;
        self.grant(&holder).map(|grant| grant.access.clone()).ok_or(BackendError::Unconnected)
    }

    /// The renewal of a grant under way, begun where there is none: one for all who wait.
    fn renewal(self: &Arc<Self>, holder: &Holder, grant: &Arc<Grant>) -> Flight<()> {
        if let Some(error) = self.failed.get(holder) {
            return async move { Err(error) }.boxed().shared();
        }
        let mut flights = self.renewals.flights.lock();
        if let Some(renewal) = flights.all.get(holder) {
            return renewal.clone();
        }
        // Another renewal may have ended since the grant was looked at: its old refresh token must not be used again, which
        // servers that rotate them take for theft.
        let is_current = |now: &Arc<Grant>| now.access == grant.access;
        if !self.grant(holder).as_ref().is_some_and(is_current) {
            return async { Ok(()) }.boxed().shared();
        }
        if flights.are_over {
            return async { Err(BackendError::Stopping) }.boxed().shared();
        }
        let (own, of, old) = (self.clone(), holder.clone(), grant.clone());
        let renewal = launch(&self.handle, async move {
            let renewed = own.renew(&of, &old).await;
            own.renewals.flights.lock().all.remove(&of);
            renewed
        });
        flights.all.insert(holder.clone(), renewal.clone());
        renewal
    }

    async fn renew(&self, holder: &Holder, old: &Arc<Grant>) -> Result<(), BackendError> {
        let Some(client) = self.client_of(old) else {
            tracing::warn!(
                backend = self.backend,
                issuer = old.client.issuer,
                client = old.client.id,
                "a grant cannot be renewed: its client is no longer in the configuration"
            );
            self.doubted.insert(holder.clone(), ());
            self.failed.insert(holder.clone(), BackendError::Unconnected);
            return Err(BackendError::Unconnected);
        };
        match self.renewed_by(&client, old).await {
            Ok(mut grant) => {
                // weir's own requests renew it too, and show nobody.
                grant.seen = grant.seen.max(self.seen.get(holder).unwrap_or_default());
                self.renewals.renewed.insert(holder.clone(), ());
                match self.grants.replace(holder, &old.access, grant.clone()).await {
                    Ok(true) => {}
                    // Disconnected meanwhile, it stays so; nor is it in the way of another that came.
                    Ok(false) => self.revoke(&grant).await,
                    Err(error) => {
                        tracing::warn!(backend = self.backend, %error, "a renewed grant is not kept")
                    }
                }
                Ok(())
            }
            Err(OauthError::Dead) => {
                tracing::info!(
                    backend = self.backend,
                    "a grant is renewed no more, its user has to connect again"
                );
                self.forget(holder, Some(&old.access)).await;
                Err(BackendError::Unconnected)
            }
            Err(error) => {
                tracing::warn!(backend = self.backend, %error, "a grant cannot be renewed");
                let forgotten = matches!(error, OauthError::Client(_)) && self.configured(&client).is_none();
                let error = if forgotten {
                    // As another client its user may connect anew; the grant stays until then.
                    self.unregister(&client).await;
                    BackendError::Unconnected
                } else {
                    BackendError::Credential(CredentialError::unavailable(
                        "does not answer as it should",
                        error,
                    ))
                };
                self.doubted.insert(holder.clone(), ());
                self.failed.insert(holder.clone(), error.clone());
                Err(error)
            }
        }
    }

    /// Asks for a renewed grant, not beside more than a few others.
    async fn renewed_by(&self, client: &Client, old: &Grant) -> Result<Grant, OauthError> {
        let busy = || OauthError::Unavailable("too many grants are renewed at once".to_owned());
        let place = tokio::time::timeout(DEADLINE, self.places.acquire()).await;
        let _place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        self.endpoint().renew(old, client).await
    }

    async fn forget(&self, holder: &Holder, only: Option<&Access>) {
        if let Err(error) = self.grants.remove(holder, only).await.written {
            tracing::warn!(backend = self.backend, %error, "a grant that is gone is still in the store");
        }
        self.lending.end(holder);
        self.moves.send_modify(|moves| *moves += 1);
    }

    /// The server refused the `token` of a user's call, which may be made once more with another.
    ///
    /// # Errors
    /// The user has to connect the backend.
    pub(crate) async fn refused(
        self: &Arc<Self>,
        holder: &Holder,
        token: &Access,
        challenge: Option<Challenge>,
    ) -> Result<(), BackendError> {
        self.hear(holder, challenge);
        let grant = self.grant(holder).ok_or(BackendError::Unconnected)?;
        if grant.access != *token {
            // It was renewed meanwhile.
            return Ok(());
        }
        if grant.refresh.is_some() {
            if self.renewals.renewed.contains_key(holder) {
                // What was renewed a moment ago is not renewed for each call.
                return Err(self.distrust(holder, token));
            }
            return self.renewal(holder, &grant).await;
        }
        self.doubted.insert(holder.clone(), ());
        if seconds(SystemTime::now()) < grant.given.saturating_add(FRESH) {
            return Err(self.distrust(holder, token));
        }
        // The grant stays until its user connects anew: the fault may be the server's.
        Err(BackendError::Unconnected)
    }

    /// The server refused even a new token. Connecting anew would bring no better one, so the grant stays.
    pub(crate) fn distrust(&self, holder: &Holder, token: &Access) -> BackendError {
        let error = BackendError::Credential(CredentialError::Rejected);
        let is_current = |now: Arc<Grant>| now.access == *token;
        if self.grant(holder).is_some_and(is_current) {
            self.doubted.insert(holder.clone(), ());
            if self.failed.get(holder).is_none() {
                tracing::warn!(backend = self.backend, "the backend refuses a token that was just given");
            }
            self.failed.insert(holder.clone(), error.clone());
        }
        error
    }

    /// The server wants scopes that the grant lacks.
    pub(crate) fn lacks(&self, holder: &Holder, challenge: &Challenge) -> BackendError {
        let asked = self.grant(holder).map(|grant| grant.asked.clone()).unwrap_or_default();
        if challenge.scopes.iter().all(|scope| asked.contains(scope)) {
            // They were asked for, and the user or the server did not want to: asking again would go on for ever.
            return BackendError::Credential(CredentialError::Scopes(challenge.scopes.clone()));
        }
        self.wish(holder, &challenge.scopes);
        BackendError::Unconnected
    }

    /// Remembers scopes that a user's calls need.
    fn wish(&self, holder: &Holder, scopes: &[String]) {
        let wishes = self.wishes.get(holder).map(|wishes| wishes.to_vec()).unwrap_or_default();
        self.wishes.insert(holder.clone(), Arc::new(union(&wishes, scopes)));
    }

    /// What the server says to those without a grant.
    fn hear(&self, holder: &Holder, challenge: Option<Challenge>) {
        let Some(challenge) = challenge else { return };
        if !challenge.scopes.is_empty() {
            self.wish(holder, &challenge.scopes);
        }
        *self.said.lock() = Some(challenge);
    }
}
