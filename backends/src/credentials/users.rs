//! A token that each user granted.

use super::Own;
use crate::BackendError;
use crate::oauth::{Access, Challenge, Connector, Holder};
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

    /// The token of any user, for weir's own requests; `None` where they have none, or may not use it.
    pub(crate) async fn any(&self) -> Option<OfUser> {
        if !self.connector.lists_by_grants() {
            return None;
        }
        let (holder, token) = self.connector.any_token().await?;
        Some(OfUser { connector: self.connector.clone(), holder, token })
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
