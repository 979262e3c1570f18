//! What users granted, and where it is kept.

mod file;
mod kept;
mod memory;

pub use file::{FileGrants, StoreError};
pub use memory::MemoryGrants;

use super::access::Access;
use super::error::OauthError;
use super::registration::Client;
use super::renewals::Renewals;
use super::secret;
use async_trait::async_trait;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use url::Url;
use weir_policies::Principal;

/// The most grants that are kept.
const MOST: usize = 100_000;

/// Whose a grant is, and for what. Users are known by who vouches for them and by their name there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Holder {
    /// Who vouches for the user; empty for the anonymous one.
    pub issuer: String,
    /// The user's name there.
    pub subject: String,
    /// Name of the backend.
    pub backend: String,
}

impl Holder {
    /// `principal` at this backend.
    pub fn new(principal: &Principal, backend: &str) -> Self {
        let (issuer, subject) = (principal.issuer().to_owned(), principal.subject().to_owned());
        Self { issuer, subject, backend: backend.to_owned() }
    }
}

/// What a user granted weir at one authorization server for one server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Grant {
    /// The URL of the server that it is for: a server elsewhere never gets it, whatever its name.
    pub url: String,
    /// The resource that the authorization server was told.
    pub resource: String,
    /// weir as the client that it was granted to; names the authorization server.
    pub client: Client,
    /// Where it is renewed.
    pub token_endpoint: Url,
    /// Where it is revoked.
    pub revocation_endpoint: Option<Url>,
    /// The scopes that were asked for.
    pub asked: Vec<String>,
    /// The token for the server.
    pub access: Access,
    /// What renews it.
    #[serde(with = "secret::option", default)]
    pub refresh: Option<SecretString>,
    /// When the token was given and when it ends, in seconds since 1970; the end is absent where nobody said.
    pub given: u64,
    /// See `given`.
    pub until: Option<u64>,
    /// Since when no backend takes it, in seconds since 1970.
    #[serde(default, alias = "unused", skip_serializing_if = "Option::is_none")]
    pub orphaned: Option<u64>,
    /// When its user was last known to be somebody who may use the backend, in seconds since 1970; up to a day later is not noted.
    #[serde(default)]
    pub seen: u64,
}

impl Grant {
    /// How much of the token's time is left; `None` where it has no end.
    pub(crate) fn left(&self, now: SystemTime) -> Option<Duration> {
        let now = seconds(now);
        self.until.map(|until| Duration::from_secs(until.saturating_sub(now)))
    }

    /// Whether it is time to renew the token: a tenth of its life is left, or a minute.
    pub(crate) fn is_old(&self, now: SystemTime) -> bool {
        let life = self.until.map_or(0, |until| until.saturating_sub(self.given));
        let reserve = Duration::from_secs((life / 10).clamp(1, 60));
        self.left(now).is_some_and(|left| left <= reserve)
    }

    /// Whether its user was let use the backend within this time.
    pub(crate) fn was_seen(&self, now: SystemTime, within: Duration) -> bool {
        lies_within(self.seen, now, within)
    }

    /// Whether the token is good no more.
    pub(crate) fn is_over(&self, now: SystemTime) -> bool {
        self.left(now).is_some_and(|left| left.is_zero())
    }
}

/// Whether the second `at` lies less than `within` before `now`.
pub(crate) fn lies_within(at: u64, now: SystemTime, within: Duration) -> bool {
    at.saturating_add(within.as_secs()) > seconds(now)
}

/// Seconds since 1970.
pub(crate) fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// What is forgotten.
#[derive(Debug)]
pub struct Removed {
    /// What there was.
    pub grant: Option<Arc<Grant>>,
    /// An error where the store cannot be written: the grant is used no more until weir starts anew.
    pub written: Result<(), OauthError>,
}

/// Where grants are kept, and weir's registrations with them: a grant is good for nothing without the client that it was
/// granted to.
#[async_trait]
pub trait Grants: Send + Sync + Debug {
    /// What this holder granted.
    fn get(&self, holder: &Holder) -> Option<Arc<Grant>>;

    /// The next grants after that of `last`, in an order of the store's own; none after the last one.
    fn page(&self, last: Option<&Arc<Holder>>) -> Vec<(Arc<Holder>, Arc<Grant>)>;

    /// Keeps a grant in place of any that this holder had.
    ///
    /// # Errors
    /// There are too many, or the store cannot be written; what was there before is.
    async fn put(&self, holder: Holder, grant: Grant) -> Result<(), OauthError>;

    /// Keeps a renewed grant in the place of that of the access token `old`, as one step. Answers whether that was still there.
    ///
    /// # Errors
    /// The store cannot be written, and the renewed grant ends with weir; or it is so much larger that there is no room for it, and it
    /// is lost. The one before is good no more.
    async fn replace(&self, holder: &Holder, old: &Access, grant: Grant) -> Result<bool, OauthError>;

    /// Forgets a grant. With `only`, nothing is forgotten but a grant of this access token.
    async fn remove(&self, holder: &Holder, only: Option<&Access>) -> Removed;

    /// Writes what changed and could not be written until now.
    ///
    /// # Errors
    /// It still cannot.
    async fn settle(&self) -> Result<(), OauthError>;

    /// The renewals of these grants that are under way.
    fn renewals(&self) -> Arc<Renewals>;

    /// weir as a client of this authorization server whose users come back there.
    fn client(&self, issuer: &str, redirect: &str) -> Option<Client>;

    /// Keeps how weir is registered.
    ///
    /// # Errors
    /// It cannot be kept.
    async fn register(&self, client: Client) -> Result<(), OauthError>;

    /// Forgets this registration; grants keep theirs.
    ///
    /// # Errors
    /// The store cannot be written; the registration is used no more until weir starts anew.
    async fn unregister(&self, client: &Client) -> Result<(), OauthError>;
}
