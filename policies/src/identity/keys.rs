//! An issuer's keys as weir has them: fetched, kept, and fetched again.

use super::budget::Budget;
use super::discovery::Provider;
use super::flight::Flights;
use super::jwks::KeySet;
use super::signature;
use super::token::Token;
use super::verdicts::Mark;
use moka::sync::Cache;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use weir_config::{Algorithm, KeySource};

/// Age at which keys are fetched again, while they go on being used.
pub(crate) const REFRESH: Duration = Duration::from_secs(600);
/// Age at which keys are no longer used, whether others can be had or not.
pub(crate) const LONGEST_AGE: Duration = Duration::from_secs(3600);
/// Tokens that name an unknown key have them fetched again so many times in a row,
const BURST: u32 = 4;
/// and then once in this time.
const REFILL: Duration = Duration::from_secs(10);
/// How long a key that the issuer does not have is not looked for again.
const UNKNOWN: Duration = Duration::from_secs(30);
/// Most of these that are remembered.
const MOST_UNKNOWN: u64 = 1000;
/// Pauses after failures double from the first to the second.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];

/// An issuer's keys.
#[derive(Debug)]
pub(crate) struct Keys {
    provider: Arc<Provider>,
    store: Arc<Store>,
    flights: Flights<(), Result<(), String>>,
    unknown: Cache<Sought, Duration>,
}

/// A key that was looked for in vain.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Sought {
    Named(String),
    /// The one that a token without a key's name is signed with. What a stranger signed says nothing of other tokens.
    Of(Mark),
}

/// What is held, and how the fetching went.
#[derive(Debug, Default)]
struct Store {
    held: Mutex<Option<Held>>,
    pace: Mutex<Pace>,
}

#[derive(Debug, Clone)]
struct Held {
    set: Arc<KeySet>,
    /// When they were asked for.
    at: Duration,
}

#[derive(Debug)]
struct Pace {
    /// Fetches that unknown keys may cause.
    budget: Budget,
    /// How often fetching failed in a row, when last, and why.
    failures: u32,
    failed: Duration,
    why: String,
}

impl Default for Pace {
    fn default() -> Self {
        Self { budget: Budget::new(BURST, REFILL), failures: 0, failed: Duration::ZERO, why: String::new() }
    }
}

/// A signature was not found good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unverified {
    /// None of the keys that it could be made it.
    Forged,
    /// The issuer has no key like the one that the token names.
    UnknownKey,
    /// Whether it is good cannot be found out now.
    Unavailable(String),
}

impl Keys {
    pub(crate) fn new(provider: Arc<Provider>) -> Self {
        Self { provider, store: Arc::default(), flights: Flights::new(1), unknown: Cache::new(MOST_UNKNOWN) }
    }

    /// Whether a token's signature is its issuer's; `mark` is the token's.
    pub(crate) async fn verify(
        &self,
        token: &Token<'_>,
        mark: Mark,
        algorithm: Algorithm,
    ) -> Result<(), Unverified> {
        let came = self.provider.clock.steady();
        let held = self.usable().await.map_err(Unverified::Unavailable)?;
        let known = match try_all(&held.set, token, algorithm) {
            Attempt::Good => return Ok(()),
            // A token that names no key may be made by one that weir does not have yet.
            Attempt::Bad if token.key_id.is_some() => return Err(Unverified::Forged),
            Attempt::Bad => true,
            Attempt::NoKey => false,
        };
        let refused = if known { Unverified::Forged } else { Unverified::UnknownKey };
        let now = self.provider.clock.steady();
        let sought = token.key_id.clone().map_or(Sought::Of(mark), Sought::Named);
        if self.unknown.get(&sought).is_some_and(|at| now.saturating_sub(at) < UNKNOWN) {
            return Err(refused);
        }
        if !self.store.pace.lock().budget.spend(now) {
            // Whether the keys at hand are as new as they may be asked for. Of a key without a name nobody can tell that it is
            // made up, so that what is signed with one is not held against older keys than itself.
            let new = match sought {
                Sought::Named(_) => now.saturating_sub(held.at) <= REFILL,
                Sought::Of(_) => held.at >= came,
            };
            let again =
                || Unverified::Unavailable("the issuer's keys are not asked for again so soon".to_owned());
            return Err(if new { refused } else { again() });
        }
        let mut held = self.refresh().await.map_err(Unverified::Unavailable)?;
        if held.at < came {
            // Somebody else had begun to fetch before, and what came of it may be older than the token. No more is fetched for
            // all of them than each was counted for.
            held = self.refresh().await.map_err(Unverified::Unavailable)?;
        }
        if matches!(try_all(&held.set, token, algorithm), Attempt::Good) {
            return Ok(());
        }
        self.unknown.insert(sought, now);
        Err(refused)
    }

    /// Keys that may be used: those at hand, or others. Such as begin to be old are fetched again meanwhile.
    async fn usable(&self) -> Result<Held, String> {
        let now = self.provider.clock.steady();
        if let Some(held) = self.held() {
            let age = now.saturating_sub(held.at);
            if age >= REFRESH && age < LONGEST_AGE && self.store.pace.lock().may_try(now) {
                self.flights.launch((), || self.fetching());
            }
            if age < LONGEST_AGE {
                return Ok(held);
            }
        }
        self.refresh().await
    }

    /// Fetches the keys where that is due: at the start, and before they are old.
    pub(crate) async fn tend(&self) {
        let age = |held: Held| self.provider.clock.steady().saturating_sub(held.at);
        if self.held().map(age).is_none_or(|age| age >= REFRESH) {
            // A failure is logged, and kept for those who ask.
            let _ = self.refresh().await;
        }
    }

    /// Keys that are asked for now, or were by somebody a moment ago.
    async fn refresh(&self) -> Result<Held, String> {
        {
            let pace = self.store.pace.lock();
            if !pace.may_try(self.provider.clock.steady()) {
                return Err(pace.why.clone());
            }
        }
        self.flights.join((), || self.fetching()).await.map_err(|error| error.to_string())??;
        self.held().ok_or_else(|| "there are no keys".to_owned())
    }

    fn held(&self) -> Option<Held> {
        self.store.held.lock().clone()
    }

    /// One fetch, and what is kept of it.
    fn fetching(&self) -> impl Future<Output = Result<(), String>> + Send + 'static {
        let (provider, store) = (self.provider.clone(), self.store.clone());
        async move {
            let at = provider.clock.steady();
            let issuer = provider.config.issuer.clone();
            match fetch(&provider).await {
                Ok(set) => {
                    tracing::debug!(issuer, keys = set.len(), "the issuer's keys are there");
                    *store.held.lock() = Some(Held { set: Arc::new(set), at });
                    let mut pace = store.pace.lock();
                    pace.failures = 0;
                    Ok(())
                }
                Err(why) => {
                    provider.doubt();
                    // Said once; those who need the keys hear it each time.
                    if store.pace.lock().fail(provider.clock.steady(), &why) == 1 {
                        tracing::warn!(issuer, why, "the issuer's keys cannot be had");
                    }
                    Err(why)
                }
            }
        }
    }
}

async fn fetch(provider: &Provider) -> Result<KeySet, String> {
    let url = match &provider.config.keys {
        KeySource::Url(url) | KeySource::Kubernetes { url, .. } => url.clone(),
        KeySource::Discovery => {
            provider.metadata().await?.keys.clone().ok_or("its metadata names no keys (`jwks_uri`)")?
        }
    };
    let document = provider.get(&url).await.map_err(|why| format!("its keys: {why}"))?;
    KeySet::read(&document).ok_or_else(|| "its keys are not a document of keys".to_owned())
}

enum Attempt {
    Good,
    Bad,
    NoKey,
}

fn try_all(set: &KeySet, token: &Token<'_>, algorithm: Algorithm) -> Attempt {
    let mut attempt = Attempt::NoKey;
    for key in set.candidates(token, algorithm) {
        if signature::verifies(token.signature, token.message, key, algorithm) {
            return Attempt::Good;
        }
        attempt = Attempt::Bad;
    }
    attempt
}

impl Pace {
    /// Counts a failure; the count.
    fn fail(&mut self, now: Duration, why: &str) -> u32 {
        self.failures = self.failures.saturating_add(1);
        self.failed = now;
        why.clone_into(&mut self.why);
        self.failures
    }

    /// Whether the pause after the last failure is over.
    fn may_try(&self, now: Duration) -> bool {
        let [first, longest] = PAUSES;
        let doublings = self.failures.saturating_sub(1).min(16);
        let pause = first.saturating_mul(1 << doublings).min(longest);
        self.failures == 0 || now.saturating_sub(self.failed) >= pause
    }
}
