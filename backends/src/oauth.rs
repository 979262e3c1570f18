//! Users connect a backend once: weir as an OAuth client that holds a grant of each user.
//!
//! S: MCP 2026-07-28 `basic/authorization`.

mod access;
mod authorization;
mod challenge;
mod discovery;
mod error;
mod grant;
mod lending;
mod login;
mod purge;
mod registration;
mod renewal;
mod renewals;
mod secret;
mod token;
mod visits;

pub use access::Access;
pub use authorization::{Answer, Departure, Plan};
pub use challenge::Challenge;
pub use discovery::{Authority, Discovery, Protection};
pub use error::OauthError;
pub use grant::{FileGrants, Grant, Grants, Holder, MemoryGrants, Removed, StoreError};
pub use login::{Login, LoginSecrets};
pub use purge::purge;
pub use registration::{Client, Method as ClientMethod, document};
pub use renewals::Renewals;

pub(crate) use lending::Lender;

use crate::credentials::Consents;
use crate::{BackendError, message};
use challenge::union;
use lending::Lending;
use moka::sync::Cache;
use parking_lot::Mutex;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use token::{Agreed, Endpoint};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use url::Url;
use weir_policies::{Fetch, Principal, Reach};
use weir_protocol::{Era, Method as McpMethod, Revision, headers};

/// A request to an authorization server takes no longer.
const DEADLINE: Duration = Duration::from_secs(10);
/// Users whose wishes for scopes are remembered, and how long.
const WISHES: u64 = 10_000;
const WISHED: Duration = Duration::from_secs(3600);
/// weir's own requests go with the grants of those alone who were let use the backend so lately; and how many of them are
/// remembered whose grants do not say so yet.
const ABSENCE: Duration = Duration::from_secs(30 * 24 * 3600);
const SEEN: u64 = 100_000;
/// A kept registration with which so many users were sent off and none came back is forgotten.
const UNANSWERED: u32 = 3;
/// A grant that could not be renewed, or whose new token is refused, is not renewed again for so long.
const PAUSE: Duration = Duration::from_secs(5);

/// A grant that was renewed is not renewed again for so long because the server refuses its token.
const LULL: Duration = Duration::from_secs(1);
/// So many grants of one backend are renewed at once.
const RENEWALS: usize = 32;

/// Where the users of one backend come back to, and where weir's document as its client lies. Each backend has ways of its own,
/// so that what one authorization server sends users back with is never taken to that of another (RFC 9700 section 4.4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The URL that authorization servers send users back to.
    pub redirect: String,
    /// The URL of the document, where there is one.
    pub document: Option<String>,
}

/// What a user would grant, and where, as the server says it now.
#[derive(Debug, Clone)]
pub struct Outline {
    /// The authorization server.
    pub authority: Authority,
    /// The resource.
    pub resource: String,
    /// The scopes that are asked for; empty where the authorization server chooses.
    pub scopes: Vec<String>,
}

/// How users connect one backend.
#[derive(Debug)]
pub struct Connector {
    backend: String,
    url: Url,
    spec: weir_config::Oauth,
    reach: Reach,
    /// Whom to trust for the server itself.
    ca: Option<PathBuf>,
    fetch: Arc<dyn Fetch>,
    grants: Arc<dyn Grants>,
    handle: Handle,
    renewals: Arc<Renewals>,
    /// Places for renewals, and for users who connect.
    places: Semaphore,
    visits: Semaphore,
    /// Grants that could not be renewed lately, with the reason.
    failed: Cache<Holder, BackendError>,
    /// Users sent to an authorization server as a kept client since one last came back.
    unanswered: Cache<String, u32>,
    /// Holders whose grant was of no use lately: weir's own requests go with others first.
    doubted: Cache<Holder, ()>,
    /// When holders were let use the backend lately, in seconds since 1970, where their grants do not say so yet.
    seen: Cache<Holder, u64>,
    /// The scopes that a user's calls turned out to need.
    wishes: Cache<Holder, Arc<Vec<String>>>,
    /// What the server said last to a request without a grant.
    said: Mutex<Option<Challenge>>,
    /// Counts the grants that came or went.
    moves: watch::Sender<u64>,
    consents: Consents,
    lending: Lending,
}

impl Connector {
    /// For the server `http`.
    pub(crate) fn new(
        backend: &str,
        http: &weir_config::HttpBackend,
        spec: &weir_config::Oauth,
        fetch: Arc<dyn Fetch>,
        grants: Arc<dyn Grants>,
        handle: Handle,
    ) -> Arc<Self> {
        Arc::new(Self {
            backend: backend.to_owned(),
            url: http.url.clone(),
            ca: http.ca.clone(),
            reach: Reach { private: spec.private, ca: spec.ca.clone(), deadline: DEADLINE },
            spec: spec.clone(),
            fetch,
            renewals: grants.renewals(),
            grants,
            handle,
            places: Semaphore::new(RENEWALS),
            visits: Semaphore::new(visits::MOST),
            failed: Cache::builder().max_capacity(WISHES).time_to_live(PAUSE).build(),
            unanswered: Cache::builder().max_capacity(WISHES).time_to_live(WISHED).build(),
            doubted: Cache::builder().max_capacity(WISHES).time_to_live(WISHED).build(),
            seen: Cache::builder().max_capacity(SEEN).time_to_live(ABSENCE).build(),
            wishes: Cache::builder().max_capacity(WISHES).time_to_live(WISHED).build(),
            said: Mutex::default(),
            moves: watch::Sender::new(0),
            consents: Consents::default(),
            lending: Lending::default(),
        })
    }

    /// Whether weir's own requests may use a grant of whichever user connected.
    pub fn lists_by_grants(&self) -> bool {
        self.spec.lists == weir_config::OauthLists::Granted
    }

    /// Counts the grants that came or went.
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moves.subscribe()
    }

    /// By which consent of each user the backend is used.
    pub(crate) fn consents(&self) -> &Consents {
        &self.consents
    }

    /// The grant of this user came or went, by their own will.
    fn moved(&self, principal: &Principal) {
        self.lending.end(&self.holder(principal));
        self.moves.send_modify(|moves| {
            *moves += 1;
            self.consents.renew(principal, *moves);
        });
    }

    /// Whether this user has connected the backend.
    pub fn is_connected(&self, principal: &Principal) -> bool {
        self.grant(&self.holder(principal)).is_some()
    }

    /// The scopes that this user's grant was asked for.
    pub fn granted(&self, principal: &Principal) -> Option<Vec<String>> {
        self.grant(&self.holder(principal)).map(|grant| grant.asked.clone())
    }

    pub(crate) fn holder(&self, principal: &Principal) -> Holder {
        Holder::new(principal, &self.backend)
    }

    /// A grant for this very server: one for a server that had the name before is none, nor is one of an authorization server
    /// that the operator does not want any more.
    fn grant(&self, holder: &Holder) -> Option<Arc<Grant>> {
        self.grants.get(holder).filter(|grant| self.is_ours(holder, grant))
    }

    fn is_ours(&self, holder: &Holder, grant: &Grant) -> bool {
        let ours = holder.backend == self.backend && grant.url == self.url.as_str();
        ours && self.trusts(&grant.client.issuer)
    }

    /// Whether users may be sent to this authorization server. Where the operator registered weir somewhere, nowhere else: a
    /// server that names another one may be in the hands of somebody else.
    fn trusts(&self, issuer: &str) -> bool {
        let clients = &self.spec.clients;
        clients.is_empty() || clients.iter().any(|client| client.issuer == issuer)
    }

    /// The operator's client, where this is that one.
    fn configured(&self, client: &Client) -> Option<&weir_config::OauthClient> {
        self.spec.clients.iter().find(|own| own.issuer == client.issuer && own.id == client.id)
    }

    /// The client that a grant belongs to, as the operator says it now; `None` where the operator gives its secret no more.
    fn client_of(&self, grant: &Grant) -> Option<Client> {
        match self.configured(&grant.client) {
            Some(configured) => Some(grant.client.clone().proven_by(configured.secret.as_ref())),
            None if grant.client.lacks_secret() => None,
            None => Some(grant.client.clone()),
        }
    }

    async fn revoke(&self, grant: &Grant) {
        if let Some(client) = self.client_of(grant) {
            self.endpoint().revoke(grant, &client).await;
        }
    }

    fn endpoint(&self) -> Endpoint<'_> {
        Endpoint { fetch: &*self.fetch, reach: &self.reach }
    }

    /// [`Connector::outline`], however long that takes.
    async fn found_out(&self, principal: &Principal) -> Result<Outline, OauthError> {
        let discovery = Discovery { fetch: &*self.fetch, reach: &self.reach };
        let challenge = match self.provoke().await {
            Ok(Some(challenge)) => Some(challenge),
            Ok(None) => self.said.lock().clone(),
            Err(error) => return Err(error),
        };
        let protection = discovery.protection(&self.url, challenge.as_ref()).await?;
        let named = protection.issuers.first();
        let named = named.ok_or_else(|| OauthError::discovery("it names no authorization server"))?;
        let issuer = protection.issuers.iter().find(|issuer| self.trusts(issuer));
        let issuer = issuer.ok_or_else(|| OauthError::Elsewhere(error::shown(named)))?;
        let authority = discovery.authority(issuer).await?;
        authorization::usable(&authority)?;
        let holder = self.holder(principal);
        // What it says now, else what the operator says, else all that it knows; and what earlier calls needed.
        let told = challenge.map(|challenge| challenge.scopes).filter(|scopes| !scopes.is_empty());
        let first = match told {
            Some(scopes) => scopes,
            None if self.spec.scopes.is_empty() => protection.scopes,
            None => Vec::new(),
        };
        let mut scopes = union(&first, &self.spec.scopes);
        if let Some(grant) = self.grant(&holder).filter(|grant| grant.client.issuer == authority.issuer) {
            scopes = union(&grant.asked, &scopes);
        }
        if let Some(wishes) = self.wishes.get(&holder) {
            scopes = union(&scopes, &wishes);
        }
        Ok(Outline { authority, resource: protection.resource, scopes })
    }

    /// weir at the authorization server: registered by the operator, or known by its document, or registered by itself.
    ///
    /// # Errors
    /// No way leads to being a client there, or the server cannot be used.
    pub async fn plan(&self, outline: Outline, way: &Way) -> Result<Plan, OauthError> {
        let _place = self.enter()?;
        let Outline { authority, resource, scopes } = outline;
        if !self.trusts(&authority.issuer) {
            return Err(OauthError::Elsewhere(error::shown(&authority.issuer)));
        }
        let configured = self.spec.clients.iter().find(|client| client.issuer == authority.issuer);
        let document = self.spec.document.as_ref().map(Url::as_str).or(way.document.as_deref());
        let client = if let Some(configured) = configured {
            Client::configured(configured, &authority, &way.redirect)?
        } else if let Some(client) = Client::documented(&authority, document, &way.redirect) {
            client
        } else if let Some(client) = self.grants.client(&authority.issuer, &way.redirect) {
            self.send_off(&client).await;
            client
        } else {
            let client = registration::register(&*self.fetch, &self.reach, &authority, &way.redirect).await?;
            self.grants.register(client.clone()).await?;
            client
        };
        Ok(Plan::new(authority, client, resource, scopes))
    }

    /// Takes what the browser of this user brings back.
    ///
    /// # Errors
    /// The answer is not what it must be, or the grant cannot be had or kept.
    pub async fn arrive(
        &self,
        principal: &Principal,
        departure: Departure,
        answer: Answer,
    ) -> Result<(), OauthError> {
        let _place = self.enter()?;
        let client = &departure.plan.client;
        // Whatever it says, it sent the user back: it knows weir.
        self.unanswered.invalidate(&client.issuer);
        let exchanged = self.exchange(&departure, answer).await;
        if matches!(exchanged, Err(OauthError::Client(_))) {
            self.unregister(client).await;
        }
        let mut grant = exchanged?;
        if self.configured(&grant.client).is_some() {
            // The operator's secret stays with the operator, who may change it.
            grant.client.secret = None;
        }
        let holder = self.holder(principal);
        // One for a server that was here before is replaced for good.
        let stale = self.grants.get(&holder).filter(|stale| !self.is_ours(&holder, stale));
        self.grants.put(holder.clone(), grant).await?;
        self.wishes.invalidate(&holder);
        self.failed.invalidate(&holder);
        self.doubted.invalidate(&holder);
        self.moved(principal);
        if let Some(stale) = stale {
            self.revoke(&stale).await;
        }
        Ok(())
    }

    async fn exchange(&self, departure: &Departure, answer: Answer) -> Result<Grant, OauthError> {
        let code = departure.code(answer)?;
        let plan = &departure.plan;
        let agreed = Agreed {
            client: &plan.client,
            authority: &plan.authority,
            resource: &plan.resource,
            url: self.url.as_str(),
            asked: &plan.scopes,
        };
        self.endpoint().exchange(agreed, code, &departure.verifier()).await
    }

    /// Forgets a registration that the authorization server does not know any more: the next user registers weir anew.
    async fn unregister(&self, client: &Client) {
        if self.grants.client(&client.issuer, &client.redirect).is_none_or(|own| own.id != client.id) {
            return;
        }
        tracing::warn!(backend = self.backend, issuer = client.issuer, "weir has to be registered anew");
        if let Err(error) = self.grants.unregister(client).await {
            tracing::warn!(backend = self.backend, %error, "a registration that is gone is still in the store");
        }
    }

    /// Counts a user who is sent off with a kept registration. A server that has forgotten it sends nobody back.
    async fn send_off(&self, client: &Client) {
        let before = self.unanswered.get(&client.issuer).unwrap_or(0);
        self.unanswered.insert(client.issuer.clone(), before + 1);
        if before + 1 >= UNANSWERED {
            self.unanswered.invalidate(&client.issuer);
            self.unregister(client).await;
        }
    }

    /// Forgets this user's grant, and revokes it where the authorization server lets it.
    ///
    /// # Errors
    /// It may come back after the next start, since the store cannot be written.
    pub async fn disconnect(&self, principal: &Principal) -> Result<(), OauthError> {
        // What is revoked is what was there at that moment: it may have been renewed until then.
        let removed = self.grants.remove(&self.holder(principal), None).await;
        self.moved(principal);
        if let Some(grant) = removed.grant {
            self.revoke(&grant).await;
        }
        removed.written
    }

    /// Asks the server something without a grant, for what it says to that; `None` where it answers.
    async fn provoke(&self) -> Result<Option<Challenge>, OauthError> {
        let body = message::request(1, McpMethod::Discover.as_str(), "", Era::Modern);
        let request = http::Request::post(self.url.as_str())
            .header(http::header::CONTENT_TYPE, "application/json")
            .header(http::header::ACCEPT, "application/json, text/event-stream")
            .header(headers::PROTOCOL_VERSION, Revision::LATEST.as_str())
            .header(headers::METHOD, McpMethod::Discover.as_str())
            .body(body)
            .map_err(|_| OauthError::discovery("it cannot be asked"))?;
        // The operator chose this address; what it names is somebody else's choice.
        let reach = Reach { private: true, ca: self.ca.clone(), deadline: DEADLINE };
        let answer = self.fetch.fetch(request, &reach).await.map_err(OauthError::of_fetch)?;
        if answer.status() != http::StatusCode::UNAUTHORIZED {
            return Ok(None);
        }
        let values = answer.headers().get_all(http::header::WWW_AUTHENTICATE);
        Ok(Some(Challenge::of(values.iter().map(http::HeaderValue::as_bytes)).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests;
