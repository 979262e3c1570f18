//! A token that each user granted.

use super::Own;
use crate::BackendError;
use crate::oauth::{Access, Challenge, Connector, Holder, Lender};
use http::HeaderValue;
use std::sync::Arc;
use weir_policies::Principal;

/// The tokens that users of a backend granted.
pub(crate) struct Users {
    pub(crate) connector: Arc<Connector>,
    pub(crate) listing: Own,
}

/// A user's token, as it is shown once.
#[derive(Debug)]
pub(crate) struct OfUser {
    connector: Arc<Connector>,
    holder: Holder,
    token: Access,
}

impl Users {
    /// The token of this user.
    ///
    /// # Errors
    /// The user has to connect the backend first, or the token cannot be renewed just now.
    pub(crate) async fn of(&self, principal: &Principal) -> Result<OfUser, BackendError> {
        let holder = self.connector.holder(principal);
        // Nobody gets here without a permit.
        self.connector.put_down(&holder);
        OfUser::of(self.connector.clone(), holder).await
    }

    /// The user with whose grant weir's own requests are made, and the token; `None` where there is none, or it may not be used.
    pub(crate) async fn lender(&self) -> Option<(Arc<Lender>, Access)> {
        if !self.connector.lists_by_grants() {
            return None;
        }
        self.connector.lender().await
    }

    /// The same for a request that stands alone.
    pub(crate) async fn any(&self) -> Option<OfUser> {
        let (lender, token) = self.lender().await?;
        Some(OfUser { connector: self.connector.clone(), holder: lender.holder.clone(), token })
    }

    /// The token of this lender, for a request in a session that was opened with it.
    ///
    /// # Errors
    /// The session is lost where it is no longer this one whose grant is used.
    pub(crate) async fn of_lender(&self, lender: &Lender) -> Result<OfUser, BackendError> {
        let (now, token) = self.lender().await.ok_or(BackendError::SessionLost)?;
        if now.number != lender.number {
            return Err(BackendError::SessionLost);
        }
        Ok(OfUser { connector: self.connector.clone(), holder: now.holder.clone(), token })
    }
}

impl OfUser {
    async fn of(connector: Arc<Connector>, holder: Holder) -> Result<Self, BackendError> {
        let token = connector.token(holder.clone()).await?;
        Ok(Self { connector, holder, token })
    }

    /// The header.
    pub(crate) fn header(&self) -> &HeaderValue {
        self.token.header()
    }

    /// What to show in its place to a server that refused it with this challenge.
    pub(crate) async fn renewed(self, challenge: Option<Challenge>) -> Result<Self, BackendError> {
        self.connector.refused(&self.holder, &self.token, challenge).await?;
        Self::of(self.connector, self.holder).await
    }

    /// The server refused even what was renewed.
    pub(crate) fn refused(self) -> BackendError {
        self.connector.distrust(&self.holder, &self.token)
    }

    /// The server wants scopes that the token lacks.
    pub(crate) fn lacks(&self, challenge: &Challenge) -> BackendError {
        self.connector.lacks(&self.holder, challenge)
    }
}
