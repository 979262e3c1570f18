//! Finding out who calls.

use crate::{Evidence, Fetch, Principal, Rejection, RejectionKind};
use std::sync::Arc;
use weir_config::Auth;

/// Finds out who calls at one endpoint. It is made with a snapshot; keys and what is known of tokens go on over reloads where
/// what they depend on is equal.
#[derive(Debug)]
pub struct Authenticator {
    anonymous: Option<Arc<Principal>>,
    challenge: Option<Challenge>,
    #[expect(dead_code, reason = "the skeleton")]
    fetch: Arc<dyn Fetch>,
}

/// What a client has to know in order to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The endpoint's canonical URI; absent where no issuer has a login (service accounts of a cluster alone).
    pub resource: Option<String>,
    /// The issuers where a client can log in, in the order of the configuration.
    pub issuers: Vec<String>,
    /// The scopes that every call needs, over all of them, sorted.
    pub scopes: Vec<String>,
}

/// Callers cannot be found out as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthenticatorError(String);

impl Authenticator {
    /// What an endpoint's configuration asks for. What `before` keeps is taken over where the configuration is equal.
    ///
    /// # Errors
    /// A pattern of names cannot be read. A configuration that was checked gives none.
    pub fn new(
        auth: &Auth,
        fetch: Arc<dyn Fetch>,
        before: Option<&Self>,
    ) -> Result<Self, AuthenticatorError> {
        let _ = before;
        let anonymous = auth.is_anonymous().then(|| Arc::new(Principal::anonymous()));
        Ok(Self { anonymous, challenge: Challenge::of(auth), fetch })
    }

    /// Who calls, where that is known without asking or computing anything: an anonymous caller, or a credential that was
    /// found good lately and still is. Well under a microsecond.
    pub fn recall(&self, evidence: &Evidence<'_>) -> Option<Arc<Principal>> {
        let _ = evidence;
        self.anonymous.clone()
    }

    /// Who calls.
    ///
    /// # Errors
    /// Nobody that this endpoint knows, or it cannot be found out.
    pub async fn authenticate(&self, evidence: &Evidence<'_>) -> Result<Arc<Principal>, Rejection> {
        self.recall(evidence).ok_or_else(|| Rejection::new(RejectionKind::Missing, "no credential"))
    }

    /// What clients are told that want to log in; none where there is no token that would help.
    pub fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// Whether this endpoint could still take a principal for a caller of its own: who vouches for it is still configured. For
    /// sessions and streams that were opened under another configuration.
    pub fn vouches(&self, principal: &Principal) -> bool {
        self.anonymous.as_deref().is_some_and(|anonymous| anonymous == principal)
    }

    /// The work that goes on beside the requests: fetching keys at the start, and again before they are old. It ends when the
    /// authenticator is gone. Spawn it once; without it keys are fetched when a token needs them.
    pub fn upkeep(&self) -> impl Future<Output = ()> + Send + use<> {
        std::future::ready(())
    }
}

impl Challenge {
    fn of(auth: &Auth) -> Option<Self> {
        if auth.issuers.is_empty() {
            return None;
        }
        let mut scopes: Vec<_> = auth.issuers.iter().flat_map(|issuer| issuer.scopes.clone()).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let providers = auth.issuers.iter().filter(|issuer| !issuer.is_kubernetes());
        let issuers: Vec<_> = providers.map(|issuer| issuer.issuer.clone()).collect();
        Some(Self { resource: auth.resource.clone().filter(|_| !issuers.is_empty()), issuers, scopes })
    }
}
