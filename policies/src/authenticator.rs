//! Finding out who calls.

use crate::identity::api_keys;
use crate::identity::certificates::Holders;
use crate::identity::claims::invalid;
use crate::identity::credential::Credential;
use crate::identity::issuer::{Refusal, Trusted};
use crate::identity::token::{Token, looks_signed};
use crate::identity::verdicts::{Good, Kind, Mark, Verdicts};
use crate::{Clock, Evidence, Fetch, Principal, Rejection, RejectionKind, SystemClock};
use secrecy::ExposeSecret;
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::MutexGuard;
use weir_config::Auth;

/// How often it is looked whether keys are to be fetched.
const UPKEEP: Duration = Duration::from_secs(15);

/// Finds out who calls at one endpoint. It is made with a snapshot; keys, and what was found out about credentials, go on over
/// reloads where what they depend on is equal.
#[derive(Debug)]
pub struct Authenticator {
    auth: Auth,
    anonymous: Option<Arc<Principal>>,
    challenge: Option<Challenge>,
    issuers: Vec<Arc<Trusted>>,
    holders: Option<Holders>,
    verdicts: Arc<Verdicts>,
    clock: Arc<dyn Clock>,
    fetch: Arc<dyn Fetch>,
    /// Goes with the authenticator, so that its upkeep knows.
    alive: Arc<()>,
}

/// What a client has to know in order to log in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The endpoint's canonical URI; absent where no issuer has a login (service accounts of a cluster alone).
    pub resource: Option<String>,
    /// The issuers where a client can log in, in the order of the configuration.
    pub issuers: Vec<String>,
    /// The scopes that every call needs by any of them, sorted.
    pub scopes: Vec<String>,
    /// Those of them that every call needs by whichever of them, sorted.
    pub common: Vec<String>,
}

/// When a caller whose token let them in is to be looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// How long until then.
    pub after: Duration,
    /// What others found out about the token meanwhile; `None` where it is time.
    pub newest: Option<Arc<Principal>>,
    /// For how long from then on what was found out before may count, where it cannot be found out.
    pub grace: Duration,
}

/// The turn of one token that is looked at again.
pub struct Turn<'a> {
    authenticator: &'a Authenticator,
    principal: &'a Principal,
    mark: Mark,
    _place: Option<MutexGuard<'a, ()>>,
}

impl Turn<'_> {
    /// What is known now of the principal: found out anew where that is due, once for all who ask. Which certificate a token is
    /// bound to is not looked at: the connection has not changed since.
    ///
    /// # Errors
    /// The token is not good any more, or that cannot be found out.
    pub async fn review(self) -> Result<Arc<Principal>, Rejection> {
        let Self { authenticator, principal, mark, .. } = &self;
        let text = principal.token().map(ExposeSecret::expose_secret).unwrap_or_default();
        // Somebody may have found it out meanwhile.
        let good = match authenticator.current(mark) {
            Some(good) => good,
            None => match authenticator.verdicts.bad(mark, authenticator.clock.steady()) {
                Some(rejection) => return Err(rejection),
                None => authenticator.find_out(&Credential::Bearer(text), *mark).await?,
            },
        };
        match *good.principal == **principal {
            true => Ok(good.principal),
            false => Err(invalid("the token stands for somebody else now")),
        }
    }
}

impl std::fmt::Debug for Turn<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Turn").field("principal", self.principal).finish_non_exhaustive()
    }
}

/// Callers cannot be found out as configured.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct AuthenticatorError(String);

impl AuthenticatorError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl Authenticator {
    /// What an endpoint's configuration asks for. What `before` keeps is taken over where the configuration is equal.
    ///
    /// # Errors
    /// There is no randomness, or a pattern of names cannot be read, which a checked configuration does not have.
    pub fn new(
        auth: &Auth,
        fetch: Arc<dyn Fetch>,
        before: Option<&Self>,
    ) -> Result<Self, AuthenticatorError> {
        Self::with_clock(auth, fetch, Arc::new(SystemClock), before)
    }

    /// As [`Self::new`], by another clock than the machine's.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_clock(
        auth: &Auth,
        fetch: Arc<dyn Fetch>,
        clock: Arc<dyn Clock>,
        before: Option<&Self>,
    ) -> Result<Self, AuthenticatorError> {
        let before =
            before.filter(|before| std::ptr::addr_eq(Arc::as_ptr(&before.fetch), Arc::as_ptr(&fetch)));
        let kept = |config: &weir_config::Issuer| {
            before?.issuers.iter().find(|trusted| trusted.config() == config).cloned()
        };
        let trust = |config| {
            kept(config).unwrap_or_else(|| Arc::new(Trusted::new(config, fetch.clone(), clock.clone())))
        };
        let issuers = auth.issuers.iter().map(trust).collect();
        let verdicts = match before {
            Some(before) if before.auth == *auth => before.verdicts.clone(),
            // Issuers that go on know tokens by their marks.
            Some(before) => Arc::new(before.verdicts.emptied()),
            None => Arc::new(Verdicts::new().map_err(|_| AuthenticatorError::new("there is no randomness"))?),
        };
        Ok(Self {
            anonymous: auth.is_anonymous().then(|| Arc::new(Principal::anonymous())),
            challenge: Challenge::of(auth),
            issuers,
            holders: auth.certificates.as_ref().map(Holders::new).transpose()?,
            verdicts,
            clock,
            fetch,
            alive: Arc::default(),
            auth: auth.clone(),
        })
    }

    /// Who calls, where that is known without asking anybody: an anonymous caller, or a credential that was found good lately
    /// and still is. What it takes grows with the credential, which is hashed as a whole: about a microsecond for one of 1,400
    /// bytes. No weaker hash will do, since callers choose what is hashed.
    pub fn recall(&self, evidence: &Evidence<'_>) -> Option<Arc<Principal>> {
        if self.anonymous.is_some() {
            return self.anonymous.clone();
        }
        let (kind, bytes) = Credential::glance(evidence, self.takes_api_keys())?;
        self.recalled(&self.verdicts.mark(kind, bytes), evidence)
    }

    /// Who calls.
    ///
    /// # Errors
    /// Nobody that this endpoint knows, or it cannot be found out.
    pub async fn authenticate(&self, evidence: &Evidence<'_>) -> Result<Arc<Principal>, Rejection> {
        if let Some(anonymous) = &self.anonymous {
            return Ok(anonymous.clone());
        }
        let credential = Credential::of(evidence, self.takes_api_keys())?;
        let (kind, bytes) = credential.bytes();
        let mark = self.verdicts.mark(kind, bytes);
        if let Some(principal) = self.recalled(&mark, evidence) {
            return Ok(principal);
        }
        if let Some(rejection) = self.verdicts.bad(&mark, self.clock.steady()) {
            return Err(rejection);
        }
        let good = self.find_out(&credential, mark).await?;
        let principal = good.principal.clone();
        let bound = holds(&good, evidence);
        if bound { Ok(principal) } else { Err(invalid("the token is bound to another client certificate")) }
    }

    /// When it is to be found out again whether the token of `principal` is good: for what lasts longer than a request. `None` where
    /// there is no token. A key or a certificate is good until its end, or until this endpoint or the listener has it no more.
    pub fn due(&self, principal: &Principal) -> Option<Due> {
        let text = principal.token()?.expose_secret();
        let mark = self.verdicts.mark(Kind::Bearer, text.as_bytes());
        let grace = self.trusted(principal).map_or(Duration::ZERO, |trusted| trusted.round(text));
        let Some(good) = self.current(&mark).filter(|good| *good.principal == *principal) else {
            return Some(Due { after: Duration::ZERO, newest: None, grace });
        };
        let asked = good.ask.map(|at| at.saturating_sub(self.clock.steady()));
        let until = good.until.map(|until| until.duration_since(self.clock.now()).unwrap_or_default());
        let after = asked.into_iter().chain(until).min().unwrap_or_default();
        Some(Due { after, newest: Some(good.principal), grace })
    }

    /// Waits for a turn to look at the token again that let `principal` in. Many may be waiting, so that this says nothing of
    /// whether its issuer answers.
    ///
    /// # Errors
    /// There is no token, or nobody here vouches for it.
    pub async fn turn<'a>(&'a self, principal: &'a Principal) -> Result<Turn<'a>, Rejection> {
        let missing = || Rejection::new(RejectionKind::Missing, "no credential");
        let text = principal.token().ok_or_else(missing)?.expose_secret();
        let mark = self.verdicts.mark(Kind::Bearer, text.as_bytes());
        let unknown = || invalid("the token is of an issuer that is not configured");
        let place = self.trusted(principal).ok_or_else(unknown)?.place(&mark).await;
        Ok(Turn { authenticator: self, principal, mark, _place: place })
    }

    /// Whether the credential was good when it was looked at last, and that may be long ago.
    pub fn was_good(&self, evidence: &Evidence<'_>) -> bool {
        Credential::glance(evidence, self.takes_api_keys()).is_some_and(|(kind, bytes)| {
            let mark = self.verdicts.mark(kind, bytes);
            self.verdicts.has(&mark) || self.issuers.iter().any(|trusted| trusted.was_good(&mark))
        })
    }

    /// What clients are told that want to log in; none where there is no token that would help.
    pub fn challenge(&self) -> Option<&Challenge> {
        self.challenge.as_ref()
    }

    /// The scopes that every call of `principal` needs: those of whoever vouches for this caller, which others may not know.
    pub fn needed(&self, principal: &Principal) -> &[String] {
        self.trusted(principal).map_or(&[], |trusted| &trusted.config().scopes)
    }

    /// Whether this endpoint could still take a principal for a caller of its own: who vouches for it is still configured, and
    /// a key or certificate is still the same and good. For sessions and streams that were opened under another configuration.
    pub fn vouches(&self, principal: &Principal) -> bool {
        match principal.issuer() {
            Principal::API_KEYS => api_keys::vouch(&self.auth.api_keys, principal, self.clock.now()),
            Principal::CERTIFICATES => self.holders.as_ref().is_some_and(|holders| holders.vouch(principal)),
            issuer => {
                self.anonymous.as_deref().is_some_and(|anonymous| anonymous == principal)
                    || self.issuers.iter().any(|trusted| trusted.config().issuer == issuer)
            }
        }
    }

    /// Whether the configuration still makes of a caller what it made of them when they came: of the holder of an API key or a
    /// certificate, or of what a token said. What an issuer would say by now is not known here.
    pub fn describes(&self, principal: &Principal) -> bool {
        match principal.issuer() {
            Principal::API_KEYS => self.auth.api_keys.iter().any(|key| api_keys::describes(key, principal)),
            Principal::CERTIFICATES => {
                self.holders.as_ref().is_some_and(|holders| holders.describes(principal))
            }
            _ => principal.token().is_none_or(|token| {
                let trusted = self.trusted(principal);
                trusted.is_some_and(|trusted| trusted.describes(principal, token.expose_secret()))
            }),
        }
    }

    /// The work that goes on beside the requests: fetching keys at the start, and again before they are old. It ends when the
    /// authenticator is gone. Spawn it once; without it keys are fetched when a token needs them.
    pub fn upkeep(&self) -> impl Future<Output = ()> + Send + use<> {
        let alive = Arc::downgrade(&self.alive);
        let issuers: Vec<Weak<Trusted>> = self.issuers.iter().map(Arc::downgrade).collect();
        async move {
            while !issuers.is_empty() && alive.strong_count() > 0 {
                for trusted in issuers.iter().filter_map(Weak::upgrade) {
                    trusted.tend().await;
                }
                tokio::time::sleep(UPKEEP).await;
            }
        }
    }

    fn takes_api_keys(&self) -> bool {
        !self.auth.api_keys.is_empty()
    }

    /// The issuer that vouches for `principal`.
    fn trusted(&self, principal: &Principal) -> Option<&Arc<Trusted>> {
        self.issuers.iter().find(|trusted| trusted.config().issuer == principal.issuer())
    }

    fn recalled(&self, mark: &Mark, evidence: &Evidence<'_>) -> Option<Arc<Principal>> {
        self.current(mark).filter(|good| holds(good, evidence)).map(|good| good.principal)
    }

    /// What was found good, where that is not to be found out again yet.
    fn current(&self, mark: &Mark) -> Option<Good> {
        let good = self.verdicts.good(mark, self.clock.now())?;
        let due = good.ask.is_some_and(|at| at <= self.clock.steady());
        (!due).then_some(good)
    }

    /// What comes of a credential, which is kept.
    async fn find_out(&self, credential: &Credential<'_>, mark: Mark) -> Result<Good, Rejection> {
        match self.examine(credential, mark).await {
            Ok(good) => {
                self.verdicts.keep(mark, good.clone());
                Ok(good)
            }
            Err(Refusal { rejection, keep }) => {
                if keep {
                    self.verdicts.refuse(mark, rejection.clone(), self.clock.steady());
                }
                Err(rejection)
            }
        }
    }

    async fn examine(&self, credential: &Credential<'_>, mark: Mark) -> Result<Good, Refusal> {
        let now = self.clock.now();
        let principal = match credential {
            Credential::ApiKey(key) => api_keys::principal(&self.auth.api_keys, key, now)?,
            Credential::Certificate(certificate) => match &self.holders {
                Some(holders) => holders.principal(certificate, now)?,
                None => return Err(Rejection::new(RejectionKind::Missing, "no credential").into()),
            },
            Credential::Bearer(text) => return self.bearer(text, mark).await,
        };
        let until = principal.until();
        Ok(Good { principal: Arc::new(principal), until, ask: None, bound: None })
    }

    /// A token goes to the issuer that it names, and to no other; one that names none, to the one that may be asked about such.
    async fn bearer(&self, text: &str, mark: Mark) -> Result<Good, Refusal> {
        if !looks_signed(text) {
            let asked = self.issuers.iter().find(|trusted| trusted.takes_opaque());
            let asked = asked.ok_or_else(|| invalid("the token is not one that weir can read"))?;
            return asked.opaque(text, mark).await;
        }
        let token = Token::read(text).map_err(invalid)?;
        let named = token.claims.get("iss").and_then(serde_json::Value::as_str);
        let trusted = self.issuers.iter().find(|trusted| Some(trusted.config().issuer.as_str()) == named);
        let trusted = trusted.ok_or_else(|| invalid("the token is of an issuer that is not configured"))?;
        trusted.signed(token, text, mark).await
    }
}

/// Whether the connection has the certificate that a token is bound to.
fn holds(good: &Good, evidence: &Evidence<'_>) -> bool {
    good.bound
        .is_none_or(|bound| evidence.certificate.is_some_and(|certificate| certificate.fingerprint == bound))
}

impl Challenge {
    fn of(auth: &Auth) -> Option<Self> {
        if auth.issuers.is_empty() {
            return None;
        }
        let mut scopes: Vec<_> = auth.issuers.iter().flat_map(|issuer| issuer.scopes.clone()).collect();
        scopes.sort_unstable();
        scopes.dedup();
        let providers: Vec<_> = auth.issuers.iter().filter(|issuer| !issuer.is_kubernetes()).collect();
        let common = |scope: &&String| providers.iter().all(|issuer| issuer.scopes.contains(*scope));
        let common = scopes.iter().filter(common).cloned().collect();
        let issuers: Vec<_> = providers.iter().map(|issuer| issuer.issuer.clone()).collect();
        let resource = auth.resource.clone().filter(|_| !issuers.is_empty());
        Some(Self { resource, issuers, scopes, common })
    }
}

#[cfg(test)]
mod tests;
