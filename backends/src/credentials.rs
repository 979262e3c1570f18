//! What an HTTP backend is shown so that it answers.
//!
//! What never changes is written into every request as configured headers are, and costs nothing. The rest is a token
//! that a [`Slot`] keeps: one for weir itself, or one for each caller.

mod callers;
mod error;
mod grant;
mod server;
mod slot;
mod token;
mod users;

pub use error::CredentialError;

use crate::oauth::{Challenge, Connector, Grants, Lender};
use crate::{BackendError, Outbound};
use callers::Callers;
use grant::{ForWeir, Grant};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use ring::digest;
use secrecy::{ExposeSecret, SecretString};
use server::Server;
use slot::Slot;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use token::Token;
use tokio::runtime::Handle;
use tokio::sync::watch;
use users::{OfUser, Users};
use weir_config::Listing;
use weir_policies::{Fetch, Principal};

/// The most users whose last consent is known; those whose is not open their sessions anew.
const CONSENTS: u64 = 100_000;

/// On whose behalf a request is sent.
#[derive(Debug, Clone, Default)]
pub(crate) enum Party {
    /// weir's own: lists, announcements, and everything where callers have no credentials of their own.
    #[default]
    Weir,
    /// weir's own too, in a session that was opened with this user's grant: it goes with nobody else's.
    Lender(Arc<Lender>),
    /// A caller's, with whose credential it goes.
    Caller(Arc<Principal>),
}

/// Which caller a thing belongs to: a digest of issuer and subject, and by which of their consents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Mark {
    caller: [u8; 16],
    /// The number of the consent; 0 where there was none since weir began.
    consent: u64,
}

/// Which consent of each user is the last, where there was one since weir began.
#[derive(Debug)]
pub(crate) struct Consents(Cache<[u8; 16], u64>);

impl Default for Consents {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(CONSENTS).eviction_policy(EvictionPolicy::lru()).build())
    }
}

impl Consents {
    /// This user agreed or left: what was done with the grant before is another's, since the account may be another.
    pub(crate) fn renew(&self, principal: &Principal, number: u64) {
        self.0.insert(Mark::of(principal).caller, number);
    }

    /// The mark as of the last consent.
    pub(crate) fn current(&self, mark: Mark) -> Mark {
        Mark { consent: self.0.get(&mark.caller).unwrap_or_default(), ..mark }
    }
}

impl Mark {
    fn of(principal: &Principal) -> Self {
        let mut digest = digest::Context::new(&digest::SHA256);
        // The length keeps what ends the one apart from what begins the other.
        digest.update(&principal.issuer().len().to_be_bytes());
        digest.update(principal.issuer().as_bytes());
        digest.update(principal.subject().as_bytes());
        let digest = digest.finish();
        Self { caller: digest.as_ref().first_chunk().copied().unwrap_or_default(), consent: 0 }
    }
}

impl Party {
    /// Which caller it is; `None` for weir.
    pub(crate) fn mark(&self) -> Option<Mark> {
        match self {
            Self::Caller(principal) => Some(Mark::of(principal)),
            Self::Weir | Self::Lender(_) => None,
        }
    }
}

/// The credentials of one backend.
pub(crate) enum Credentials {
    /// None, or such as every request has.
    Fixed,
    /// weir's own token, for every request.
    Own(Arc<Slot>),
    /// A token of each caller.
    Callers(Box<Callers>),
    /// A token that each caller granted.
    Users(Box<Users>),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed => "Fixed",
            Self::Own(_) => "Own",
            Self::Callers(_) => "Callers",
            Self::Users(_) => "Users",
        })
    }
}

/// What a request is sent with.
#[derive(Debug)]
pub(crate) struct Shown {
    /// `Authorization`.
    pub(crate) value: HeaderValue,
    from: From,
}

/// Where what is shown comes from.
#[derive(Debug)]
enum From {
    /// It never changes.
    Fixed,
    /// The token of this number in a slot.
    Slot(Arc<Slot>, u64),
    /// A user granted it.
    User(OfUser),
}

impl Shown {
    fn of(slot: Arc<Slot>, token: &Token) -> Self {
        Self { value: token.header.clone(), from: From::Slot(slot, token.number) }
    }

    fn of_user(own: OfUser) -> Self {
        Self { value: own.header().clone(), from: From::User(own) }
    }

    /// What to show in its place to a backend that refused it with this challenge; `None` where there is nothing else.
    pub(crate) async fn renewed(self, challenge: Option<Challenge>) -> Result<Option<Self>, BackendError> {
        match self.from {
            From::Fixed => Ok(None),
            From::Slot(slot, number) => {
                let token = slot.renew(number).await?;
                Ok(token.map(|token| Self::of(slot, &token)))
            }
            From::User(own) => Ok(Some(Self::of_user(own.renewed(challenge).await?))),
        }
    }

    /// Why a backend cannot be called that refuses even what was renewed.
    pub(crate) fn refused(self) -> BackendError {
        match self.from {
            From::User(own) => own.refused(),
            From::Fixed | From::Slot(..) => BackendError::Credential(CredentialError::Rejected),
        }
    }

    /// Why a backend cannot be called that wants the scopes of `challenge`.
    pub(crate) fn lacks(&self, challenge: Challenge) -> BackendError {
        match &self.from {
            From::User(own) => own.lacks(&challenge),
            From::Fixed | From::Slot(..) => lacking(challenge),
        }
    }
}

impl Credentials {
    /// Those of the backend `spec`; such as never change are put into `headers`.
    pub(crate) fn new(
        spec: &weir_config::Backend,
        http: &weir_config::HttpBackend,
        headers: &mut HeaderMap,
        grants: &Arc<dyn Grants>,
        handle: &Handle,
    ) -> Result<Self, BackendError> {
        let way = Way {
            backend: spec.name.clone(),
            fetch: Arc::new(Outbound::new()),
            deadline: spec.timeouts.list,
            handle: handle.clone(),
        };
        Ok(match &http.auth {
            weir_config::Credentials::None => Self::Fixed,
            weir_config::Credentials::Header(name, value) => {
                let invalid = || BackendError::unreachable("the header of `auth` is not valid");
                let name = HeaderName::try_from(name.as_str()).map_err(|_| invalid())?;
                let mut value = HeaderValue::try_from(value.expose()).map_err(|_| invalid())?;
                value.set_sensitive(true);
                headers.insert(name, value);
                Self::Fixed
            }
            weir_config::Credentials::Bearer(token) => {
                headers.insert(header::AUTHORIZATION, bearer(token.expose())?);
                Self::Fixed
            }
            weir_config::Credentials::ClientCredentials(own) => Self::Own(way.own(own)?),
            weir_config::Credentials::TokenExchange(exchange) => {
                let grant = Grant::Exchange {
                    server: way.server(&exchange.server)?,
                    target: exchange.target.clone(),
                    subject: exchange.subject,
                };
                Self::Callers(Box::new(Callers::new(grant, way.listing(&exchange.listing)?, way)?))
            }
            weir_config::Credentials::Oauth(own) => {
                let (fetch, grants) = (way.fetch.clone(), grants.clone());
                let connector = Connector::new(&spec.name, http, own, fetch, grants, handle.clone());
                Self::Users(Box::new(Users { connector, listing: way.listing(&own.listing)? }))
            }
            weir_config::Credentials::IdJag(jag) => {
                let grant = Grant::Assertion {
                    provider: way.server(&jag.provider)?,
                    server: way.server(&jag.server)?,
                    target: jag.target.clone(),
                    subject: jag.subject,
                };
                Self::Callers(Box::new(Callers::new(grant, way.listing(&jag.listing)?, way)?))
            }
        })
    }

    /// Whether every request is sent with the same, which its client knows.
    pub(crate) fn are_fixed(&self) -> bool {
        matches!(self, Self::Fixed)
    }

    /// Whether each caller has its own.
    pub(crate) fn are_the_callers(&self) -> bool {
        matches!(self, Self::Callers(_) | Self::Users(_))
    }

    /// How users connect the backend, where they do.
    pub(crate) fn connector(&self) -> Option<Arc<Connector>> {
        match self {
            Self::Users(users) => Some(users.connector.clone()),
            _ => None,
        }
    }

    /// On whose behalf a call of `principal` is sent.
    pub(crate) fn party(&self, principal: &Arc<Principal>) -> Party {
        if self.are_the_callers() { Party::Caller(principal.clone()) } else { Party::Weir }
    }

    /// On whose behalf a session for weir's own requests is opened.
    pub(crate) async fn own_party(&self) -> Party {
        let lender = match self {
            Self::Users(users) => users.lender().await,
            _ => None,
        };
        lender.map_or(Party::Weir, |(lender, _)| Party::Lender(lender))
    }

    /// Counts how often weir's own requests are made with another user's grant; `None` where they are with nobody's.
    pub(crate) fn lenders(&self) -> Option<watch::Receiver<u64>> {
        self.connector().filter(|connector| connector.lists_by_grants()).map(|connector| connector.lenders())
    }

    /// Which caller `party` is, and by which consent; `None` for weir.
    pub(crate) fn mark(&self, party: &Party) -> Option<Mark> {
        let mark = party.mark()?;
        Some(match self {
            Self::Users(users) => users.connector.consents().current(mark),
            _ => mark,
        })
    }

    /// What a request on behalf of `party` is sent with; `None` for nothing.
    pub(crate) async fn show(&self, party: &Party) -> Result<Option<Shown>, BackendError> {
        let own = match (self, party) {
            (Self::Fixed, _) => return Ok(None),
            (Self::Own(slot), _) => return Shown::in_slot(slot.clone()).await,
            (Self::Callers(callers), Party::Caller(principal)) => {
                return Shown::in_slot(callers.slot(principal)?).await;
            }
            (Self::Users(users), Party::Caller(principal)) => {
                return Ok(Some(Shown::of_user(users.of(principal).await?)));
            }
            (Self::Users(users), Party::Lender(lender)) => {
                return Ok(Some(Shown::of_user(users.of_lender(lender).await?)));
            }
            (Self::Callers(callers), Party::Weir | Party::Lender(_)) => &callers.listing,
            (Self::Users(users), Party::Weir) => match users.any().await {
                Some(any) => return Ok(Some(Shown::of_user(any))),
                None => &users.listing,
            },
        };
        match own {
            Own::Nothing => Ok(None),
            Own::Fixed(value) => Ok(Some(Shown { value: value.clone(), from: From::Fixed })),
            Own::Slot(slot) => Shown::in_slot(slot.clone()).await,
        }
    }
}

impl Shown {
    /// What the end of a session is asked for with that belongs to `party`; `None` where that is not apart from the rest.
    pub(crate) fn last(party: &Party) -> Option<HeaderValue> {
        match party {
            Party::Lender(lender) => Some(lender.last().header().clone()),
            Party::Weir | Party::Caller(_) => None,
        }
    }

    async fn in_slot(slot: Arc<Slot>) -> Result<Option<Self>, BackendError> {
        let token = slot.token().await?;
        Ok(Some(Self::of(slot, &token)))
    }
}

/// What weir's own requests are sent with where callers have their own credentials.
pub(crate) enum Own {
    Nothing,
    Fixed(HeaderValue),
    Slot(Arc<Slot>),
}

/// What every way to a token needs.
pub(crate) struct Way {
    /// The backend, for the log.
    pub(crate) backend: String,
    pub(crate) fetch: Arc<dyn Fetch>,
    /// The time for one request.
    pub(crate) deadline: Duration,
    pub(crate) handle: Handle,
}

impl Way {
    fn server(&self, spec: &weir_config::AuthorizationServer) -> Result<Arc<Server>, BackendError> {
        Ok(Arc::new(Server::new(spec, self.fetch.clone(), self.deadline)?))
    }

    fn own(&self, spec: &weir_config::ClientCredentials) -> Result<Arc<Slot>, BackendError> {
        let source = ForWeir { server: self.server(&spec.server)?, target: spec.target.clone() };
        Ok(Arc::new(Slot::new(self.backend.clone(), Box::new(source), self.handle.clone())))
    }

    fn listing(&self, spec: &Listing) -> Result<Own, BackendError> {
        Ok(match spec {
            Listing::None => Own::Nothing,
            Listing::Bearer(token) => Own::Fixed(bearer(token.expose())?),
            Listing::ClientCredentials(own) => Own::Slot(self.own(own)?),
        })
    }
}

/// Why a backend cannot be called that wants the scopes of a challenge.
pub(crate) fn lacking(challenge: Challenge) -> BackendError {
    BackendError::Credential(CredentialError::Scopes(challenge.scopes))
}

/// The header for a bearer token (RFC 6750 section 2.1).
fn bearer(token: &str) -> Result<HeaderValue, BackendError> {
    let text = SecretString::from(format!("Bearer {token}"));
    let value = HeaderValue::try_from(text.expose_secret());
    let mut value = value.map_err(|_| BackendError::unreachable("its token cannot be sent in a header"))?;
    value.set_sensitive(true);
    Ok(value)
}
