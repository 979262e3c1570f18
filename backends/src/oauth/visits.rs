//! How many users connect a backend at once: each has a place that those of other backends need.

use super::{Connector, OauthError, Outline};
use std::time::Duration;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;
use weir_policies::Principal;

/// So many users wait for one backend and its authorization server.
pub(super) const MOST: usize = 16;
/// What those two say of themselves takes no longer, however many documents that is.
const DEADLINE: Duration = Duration::from_secs(20);

impl Connector {
    /// A place for a user who connects the backend.
    ///
    /// # Errors
    /// All are taken.
    pub(super) fn enter(&self) -> Result<SemaphorePermit<'_>, OauthError> {
        let busy = |_| OauthError::Unavailable("too many users wait for it".to_owned());
        self.visits.try_acquire().map_err(busy)
    }

    /// What this user would grant, and where, as the server says it now.
    ///
    /// # Errors
    /// It cannot be found out in time, too many wait for that, or the authorization server cannot be used.
    pub async fn outline(&self, principal: &Principal) -> Result<Outline, OauthError> {
        let _place = self.enter()?;
        let late = |_| Err(OauthError::Unavailable("it does not say in time what it is".to_owned()));
        timeout(DEADLINE, self.found_out(principal)).await.unwrap_or_else(late)
    }
}
