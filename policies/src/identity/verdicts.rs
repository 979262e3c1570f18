//! What was found out about credentials lately.

use crate::{Principal, Rejection};
use moka::sync::Cache;
use ring::digest::{Context, SHA256};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// Bytes that good credentials may take, by estimate.
const MOST_BYTES: u64 = 64 << 20;
/// Bad credentials that are remembered.
const MOST_BAD: u64 = 4096;
/// How long they are.
const BAD: Duration = Duration::from_secs(5);
/// How long what nobody asks about is kept.
const IDLE: Duration = Duration::from_secs(3600);
/// What one entry takes beside its token and its claims.
const ENTRY: usize = 512;
/// What a value of the claims takes beside its text, by estimate.
const NODE: usize = 64;

/// The keyed digest of a credential: without the key, which never leaves this process, nobody can tell what stands for what.
pub(crate) type Mark = [u8; 32];

/// Which kind of credential a mark is of: one must not pass for another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Bearer = 1,
    ApiKey = 2,
    Certificate = 3,
}

/// What was found out about credentials lately.
pub(crate) struct Verdicts {
    start: Context,
    good: Cache<Mark, Good>,
    bad: Cache<Mark, (Rejection, Duration)>,
}

/// A credential that was found good.
#[derive(Debug, Clone)]
pub(crate) struct Good {
    pub(crate) principal: Arc<Principal>,
    /// When that is to be found out again, at the latest.
    pub(crate) until: Option<SystemTime>,
    /// When its issuer is to be asked again, by the steady clock.
    pub(crate) ask: Option<Duration>,
    /// The certificate that it is bound to.
    pub(crate) bound: Option<[u8; 32]>,
}

impl Verdicts {
    /// # Errors
    /// There is no randomness.
    pub(crate) fn new() -> Result<Self, ring::error::Unspecified> {
        let key: [u8; 64] = ring::rand::generate(&ring::rand::SystemRandom::new())?.expose();
        // The key fills the first block, so that it is taken in once and for all. Nothing but this process ever sees a mark, so
        // that its being no HMAC matters to nobody.
        let mut start = Context::new(&SHA256);
        start.update(&key);
        Ok(Self::with(start))
    }

    /// Others that know nothing yet. What else was remembered by the marks of these is found by theirs.
    pub(crate) fn emptied(&self) -> Self {
        Self::with(self.start.clone())
    }

    fn with(start: Context) -> Self {
        let weigh = |_: &Mark, good: &Good| u32::try_from(weight(&good.principal)).unwrap_or(u32::MAX);
        Self {
            start,
            good: Cache::builder().max_capacity(MOST_BYTES).weigher(weigh).time_to_idle(IDLE).build(),
            bad: Cache::new(MOST_BAD),
        }
    }

    /// The mark of a credential.
    pub(crate) fn mark(&self, kind: Kind, credential: &[u8]) -> Mark {
        let mut context = self.start.clone();
        context.update(&[kind as u8]);
        context.update(credential);
        let mut mark = [0; 32];
        mark.copy_from_slice(context.finish().as_ref());
        mark
    }

    /// A credential that was found good and still is.
    pub(crate) fn good(&self, mark: &Mark, now: SystemTime) -> Option<Good> {
        let good = self.good.get(mark)?;
        if good.until.is_some_and(|until| until <= now) {
            self.good.invalidate(mark);
            return None;
        }
        Some(good)
    }

    /// Whether a credential is remembered that was found good, due or not.
    pub(crate) fn has(&self, mark: &Mark) -> bool {
        self.good.contains_key(mark)
    }

    /// Why a credential was found bad, a moment ago.
    pub(crate) fn bad(&self, mark: &Mark, steady: Duration) -> Option<Rejection> {
        let (rejection, at) = self.bad.get(mark)?;
        (steady.saturating_sub(at) < BAD).then_some(rejection)
    }

    pub(crate) fn keep(&self, mark: Mark, good: Good) {
        self.good.insert(mark, good);
    }

    pub(crate) fn refuse(&self, mark: Mark, rejection: Rejection, steady: Duration) {
        self.good.invalidate(&mark);
        self.bad.insert(mark, (rejection, steady));
    }
}

/// What a principal takes, by estimate: its token, and its claims, which for an opaque token are the issuer's answer and may be
/// far longer than the token.
fn weight(principal: &Principal) -> usize {
    use secrecy::ExposeSecret;
    let token = principal.token().map_or(0, |token| token.expose_secret().len());
    let claims: usize = principal.claims().iter().map(|(name, value)| NODE + name.len() + size(value)).sum();
    // Groups, roles and scopes are taken from the claims once more.
    ENTRY + token + 2 * claims
}

/// What a tree takes, by estimate. It was read from JSON, which bounds its depth.
fn size(value: &Value) -> usize {
    NODE + match value {
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| NODE + name.len() + size(value)).sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    }
}

impl std::fmt::Debug for Verdicts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Verdicts").field("good", &self.good.entry_count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;

    #[test]
    fn what_an_issuer_says_of_a_short_token_is_weighed() {
        let of = |groups: usize| {
            let claims = serde_json::json!({"groups": vec!["developers"; groups]});
            let claims = claims.as_object().unwrap().clone();
            weight(&Principal::with("issuer", "alice", Profile { claims, ..Profile::default() }))
        };
        assert!(of(10_000) > of(0) + 10_000 * "developers".len());
    }
}
