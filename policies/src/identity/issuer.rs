//! One issuer whose tokens are good.

use super::claims::{self, Profiled, invalid};
use super::discovery::Provider;
use super::introspection::{self, Asking};
use super::keys::{Keys, Unverified};
use super::signature;
use super::token::{Token, looks_signed};
use super::verdicts::{Good, Mark};
use crate::{Clock, Fetch, Principal, Rejection, RejectionKind};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};
use weir_config::Issuer;

/// How long a verified token is not verified again. Its key may be taken back before it ends.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(300);

/// Most tokens of an issuer that are looked at again at once, so that callers who come find places for their questions.
const REVIEWS: usize = 16;
/// For how long at least a token is not given up that cannot be looked at again: one question may take as long.
const SHORTEST_GRACE: Duration = Duration::from_secs(5);

/// One issuer whose tokens are good, with its keys.
#[derive(Debug)]
pub(crate) struct Trusted {
    provider: Arc<Provider>,
    keys: Keys,
    asking: Option<Asking>,
    /// Places for tokens that are looked at again, one of them for each.
    reviews: [Mutex<()>; REVIEWS],
}

/// A token was not found good; whether that may be remembered for a moment.
pub(crate) struct Refusal {
    pub(crate) rejection: Rejection,
    pub(crate) keep: bool,
}

impl From<Rejection> for Refusal {
    fn from(rejection: Rejection) -> Self {
        let keep = rejection.kind == RejectionKind::Invalid;
        Self { rejection, keep }
    }
}

impl Trusted {
    pub(crate) fn new(config: &Issuer, fetch: Arc<dyn Fetch>, clock: Arc<dyn Clock>) -> Self {
        let provider = Arc::new(Provider::new(config.clone(), fetch, clock));
        let asking = config.introspection.clone().map(|config| Asking::new(provider.clone(), config));
        Self { keys: Keys::new(provider.clone()), provider, asking, reviews: Default::default() }
    }

    pub(crate) fn config(&self) -> &Issuer {
        &self.provider.config
    }

    /// Whether tokens that nobody else can read may be its own.
    pub(crate) fn takes_opaque(&self) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.config().opaque)
    }

    /// Fetches the keys before somebody has to wait for them.
    pub(crate) async fn tend(&self) {
        self.keys.tend().await;
    }

    /// Whom a signed token stands for.
    pub(crate) async fn signed(&self, token: Token<'_>, text: &str, mark: Mark) -> Result<Good, Refusal> {
        let config = self.config();
        // To the letter, and from the list: what the token names is never looked for anywhere else.
        let named = |algorithm: &&weir_config::Algorithm| {
            format!("{:?}", signature::name(**algorithm)) == token.algorithm
        };
        let Some(&algorithm) = config.algorithms.iter().find(named) else {
            return Err(invalid("the token is signed in a way that is not allowed").into());
        };
        claims::kind(token.kind.as_deref(), &token.claims)?;
        let profiled = claims::principal(config, token.claims.clone(), self.provider.clock.now(), None);
        // What can be refused without the keys is; but nobody hears of scopes by a token that may be forged.
        let profiled = match profiled {
            Err(rejection) if rejection.kind == RejectionKind::Invalid => return Err(rejection.into()),
            other => other,
        };
        self.keys.verify(&token, mark, algorithm).await.map_err(|unverified| match unverified {
            Unverified::Forged => Refusal::from(invalid("the token's signature is not good")),
            Unverified::UnknownKey => Refusal {
                rejection: invalid("the token is signed with a key that its issuer does not have"),
                keep: false,
            },
            Unverified::Unavailable(why) => {
                let reason = format_args!("the keys of `{}` cannot be had: {why}", config.issuer);
                Rejection::new(RejectionKind::Unavailable, reason).into()
            }
        })?;
        let profiled = profiled?;
        let mut ask = None;
        if let Some(asking) = &self.asking
            && let Some(every) = asking.config().every
        {
            ask = self.provider.clock.steady().checked_add(every);
            asking.verified(mark, text).await?;
        }
        let until = profiled.profile.until.min(self.provider.clock.now().checked_add(REMEMBERED));
        Ok(Good { bound: profiled.bound, principal: self.holder(profiled, text), until, ask })
    }

    /// Whom a token stands for that only the issuer can read.
    pub(crate) async fn opaque(&self, text: &str, mark: Mark) -> Result<Good, Refusal> {
        let Some(asking) = self.asking.as_ref().filter(|asking| asking.config().opaque) else {
            return Err(invalid("the token is not one that weir can read").into());
        };
        let claims = asking.opaque(mark, text).await?;
        let profiled = introspection::profiled(&self.provider, asking.config(), (*claims).clone())?;
        let kept = self.provider.clock.now().checked_add(asking.config().cache);
        let until = profiled.profile.until.min(kept);
        Ok(Good { bound: profiled.bound, principal: self.holder(profiled, text), until, ask: None })
    }

    /// Whether a token of this mark was good when it was asked about last.
    pub(crate) fn was_good(&self, mark: &Mark) -> bool {
        self.asking.as_ref().is_some_and(|asking| asking.was_good(mark))
    }

    /// The place for a token of this mark to be looked at again: whoever has it is the only one who looks at this token.
    pub(crate) async fn place(&self, mark: &Mark) -> Option<MutexGuard<'_, ()>> {
        let place = self.reviews.get(usize::from(*mark.first()?) % REVIEWS)?;
        Some(place.lock().await)
    }

    /// For how long what was found out about this token counts: longer than its word is kept, where it cannot be asked.
    pub(crate) fn round(&self, text: &str) -> Duration {
        let round = match self.asking.as_ref().map(Asking::config) {
            Some(asking) if !looks_signed(text) => asking.cache,
            Some(asking) => asking.every.map_or(REMEMBERED, |every| every.min(REMEMBERED)),
            None => REMEMBERED,
        };
        round.max(SHORTEST_GRACE)
    }

    /// Whether the configuration makes of `principal`, whose token this is, what was made of them when they came. Whether the
    /// token is good still is another question.
    pub(crate) fn describes(&self, principal: &Principal, text: &str) -> bool {
        let opaque = !looks_signed(text);
        let Some(until) = principal.until().filter(|_| !opaque || self.takes_opaque()) else {
            return false;
        };
        let now = claims::described(self.config(), principal.claims().clone(), until, opaque);
        now.is_ok_and(|profiled| profiled.of(self.config()).is_described_like(principal))
    }

    fn holder(&self, mut profiled: Profiled, text: &str) -> Arc<Principal> {
        profiled.profile.token = Some(SecretString::from(text));
        Arc::new(profiled.of(self.config()))
    }
}
