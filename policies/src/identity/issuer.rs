//! One issuer whose tokens are good.

use super::claims::{self, Claims, Profiled, invalid};
use super::discovery::Provider;
use super::introspection::Asking;
use super::keys::{Keys, Unverified};
use super::signature;
use super::token::Token;
use super::verdicts::{Good, Mark};
use crate::{Clock, Fetch, Rejection, RejectionKind};
use secrecy::SecretString;
use std::sync::Arc;
use std::time::Duration;
use weir_config::Issuer;

/// For how long a token is good at least whose issuer says that it is and does not say until when.
const SHORTEST: Duration = Duration::from_secs(60);

/// How long a verified token is not verified again. Its key may be taken back before it ends.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(300);

/// One issuer whose tokens are good, with its keys.
#[derive(Debug)]
pub(crate) struct Trusted {
    provider: Arc<Provider>,
    keys: Keys,
    asking: Option<Asking>,
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
        Self { keys: Keys::new(provider.clone()), provider, asking }
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
        let config = self.config();
        let claims: Claims = (*asking.opaque(mark, text).await?).clone();
        claims::kind(None, &claims)?;
        let now = self.provider.clock.now();
        let cache = asking.config().cache;
        let profiled = claims::principal(config, claims, now, now.checked_add(cache.max(SHORTEST)))?;
        let kept = now.checked_add(cache);
        let until = profiled.profile.until.min(kept);
        Ok(Good { bound: profiled.bound, principal: self.holder(profiled, text), until, ask: None })
    }

    fn holder(&self, mut profiled: Profiled, text: &str) -> Arc<crate::Principal> {
        profiled.profile.token = Some(SecretString::from(text));
        Arc::new(profiled.of(self.config()))
    }
}
