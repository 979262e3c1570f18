//! One visit of a browser.

use super::base::Base;
use super::browser::Browser;
use super::link::Link;
use super::page::{self, Question, Row};
use super::pending::{Pending, Purchase};
use super::{CALLBACK, Reply, connects, path, way};
use crate::attached::Attached;
use crate::client::Http;
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::inbox::Letter;
use crate::seal::{Purpose, identity};
use crate::snapshot::Snapshot;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, ORIGIN};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use weir_backends::{Answer, Connector, OauthError};
use weir_policies::Principal;

/// A form arrives within this time, if `timeouts.read` gives it no less.
const FORM: Duration = Duration::from_secs(10);
/// The largest form, in bytes.
const LARGEST_FORM: usize = 16 << 10;

/// One visit, and what it meets.
pub(super) struct Visit<'a> {
    pub(super) core: &'a Arc<Core>,
    pub(super) snapshot: &'a Arc<Snapshot>,
    pub(super) base: &'a Base,
}

/// The values of a query or form that somebody may ask for.
pub(super) struct Values(Vec<(String, String)>);

impl Values {
    pub(super) fn parse(text: &str) -> Self {
        Self(url::form_urlencoded::parse(text.as_bytes()).into_owned().take(64).collect())
    }

    /// The one value of this name; `None` where it is missing.
    ///
    /// # Errors
    /// It stands twice: which one counts would be anybody's guess.
    pub(super) fn one(&self, name: &str) -> Result<Option<&str>, Reply> {
        let mut found = self.0.iter().filter(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let first = found.next();
        match found.next() {
            None => Ok(first),
            Some(_) => Err(Reply::told(400, "Not so", "The address says something twice.")),
        }
    }
}

/// weir cannot go on for reasons of its own.
pub(super) fn broken(error: &io::Error) -> Reply {
    tracing::warn!(%error, "a page cannot be shown");
    Reply::told(500, "That went wrong", "weir could not go on. Try again.")
}

/// What a user is told of an attempt that failed.
pub(super) fn failed(what: &str, error: &OauthError) -> Reply {
    tracing::info!(what, %error, "a user could not be connected");
    let (status, text) = match error {
        OauthError::Answer(_) | OauthError::Refused(_) => (400, error.to_string()),
        // Which addresses there are, and what is at them, is for the log alone.
        OauthError::Unavailable(_) => (502, "the authorization server cannot be asked".to_owned()),
        _ => (502, error.to_string()),
    };
    Reply::told(status, "That did not work", &format!("{what}: {text}."))
}

/// What is told to a browser that is in the middle of nothing.
pub(super) fn strange() -> Reply {
    let text =
        "This browser did not begin here, or it took too long, or it has been here before. Begin anew.";
    Reply::told(400, "Begin anew", text)
}

impl Visit<'_> {
    /// Whether the request names the host as weir does.
    pub(super) fn is_at_home(&self, http: &Http<'_>) -> bool {
        let host = http.uri().authority().map(|authority| authority.as_str()).or_else(|| http.header(HOST));
        let own = self.base.origin().split_once("://").map(|(_, host)| host);
        host.is_some_and(|host| own.is_some_and(|own| own.eq_ignore_ascii_case(host)))
    }

    /// The page of the only endpoint where something can be connected.
    pub(super) fn find(&self) -> Reply {
        let mut found = self.snapshot.endpoints.iter().filter(|endpoint| connects(endpoint));
        match (found.next(), found.next()) {
            (Some(only), None) => Reply::to(self.base.url(&path(&only.spec.name))),
            (None, _) => super::missing(),
            _ => {
                let text = "There are several endpoints here. Add the name of yours to this address.";
                Reply::told(404, "Which endpoint?", text)
            }
        }
    }

    /// Who is at the browser; `None` where nobody has logged in yet.
    fn user(&self, endpoint: &Endpoint, browser: &Browser) -> Option<Principal> {
        let auth = &endpoint.spec.auth;
        if auth.is_anonymous() {
            return Some(Principal::anonymous());
        }
        let principal = self.core.pages.visitors.at(browser.id, endpoint.number)?;
        let login = auth.login.as_ref()?;
        (login.issuer == principal.issuer()).then_some(principal)
    }

    /// Shows what can be connected, or asks whether to connect what the query names.
    pub(super) async fn show(&self, http: &Http<'_>, endpoint: &Arc<Endpoint>, query: &str) -> Reply {
        if endpoint.spec.auth.is_anonymous() && !self.snapshot.config.listener.is_local() {
            // Whoever came would be everybody.
            let text = "This endpoint cannot tell its users apart, so that nobody can connect anything here.";
            return Reply::told(403, "Not here", text);
        }
        let browser = match Browser::of(http, self.base, &self.core.seal) {
            Ok(browser) => browser,
            Err(error) => return broken(&error),
        };
        let Some(principal) = self.user(endpoint, &browser) else {
            return self.send_to_log_in(endpoint, &browser, query).await;
        };
        let shown = self.shown(endpoint, &browser, &principal, query).await;
        match browser.cookie(self.base, &self.core.seal) {
            Ok(cookie) => shown.unwrap_or_else(|reply| reply).with(cookie),
            Err(error) => broken(&error),
        }
    }

    async fn shown(
        &self,
        endpoint: &Arc<Endpoint>,
        browser: &Browser,
        principal: &Principal,
        query: &str,
    ) -> Result<Reply, Reply> {
        let values = Values::parse(query);
        if let Some(text) = values.one("ticket")? {
            let link = Link::open(&self.core.seal, principal, text);
            let Some(link) = link.filter(|link| link.endpoint == endpoint.number) else {
                let text = "This link was made for another user, or it is too old. If somebody sent it to you, do not go on: your grant would be theirs. If it is your own, log in as the user of your MCP client, or make the call again.";
                return Err(Reply::told(403, "Not your link", text));
            };
            let told = link.told;
            return self.ask(endpoint, browser, principal, (link.backend, Some(link.policies)), told).await;
        }
        if let Some(name) = values.one("backend")? {
            let backend = endpoint.backends.iter().find(|backend| backend.name() == name);
            let number = backend.map(|backend| backend.number).ok_or_else(super::missing)?;
            return self.ask(endpoint, browser, principal, (number, None), None).await;
        }
        let connected = values.one("connected")?;
        Ok(self.list(endpoint, browser, principal, connected).await)
    }

    async fn list(
        &self,
        endpoint: &Arc<Endpoint>,
        browser: &Browser,
        principal: &Principal,
        connected: Option<&str>,
    ) -> Reply {
        let mut rows = Vec::new();
        let mut note = None;
        for backend in &endpoint.backends {
            let Some(connector) = backend.connector() else { continue };
            let granted = connector.granted(principal);
            let admitted = self.admits(endpoint, backend.number, principal).await;
            if admitted {
                connector.see(principal);
            }
            // Whoever has connected it once may always take that back.
            if !admitted && granted.is_none() {
                continue;
            }
            if connected == Some(backend.name()) && granted.is_some() {
                note = Some(format!("{} is connected. You can close this page.", backend.name()));
            }
            let aad = [&browser.id[..], &identity(principal)].concat();
            let token = self.core.seal.seal(Purpose::Disconnect, &backend.number.to_be_bytes(), &aad);
            let token = match token {
                Ok(token) => token,
                Err(error) => return broken(&error),
            };
            rows.push(Row { backend: backend.name(), granted, token, connects: admitted });
        }
        Reply::page(200, page::list(&endpoint.spec.name, shown(principal), &rows, note.as_deref()))
    }

    /// Whether policies could let this user do something of the backend of this number.
    async fn admits(&self, endpoint: &Arc<Endpoint>, number: usize, principal: &Principal) -> bool {
        let Some(owner) = endpoint.backends.iter().position(|backend| backend.number == number) else {
            return false;
        };
        let (core, endpoint, principal) = (self.core.clone(), endpoint.clone(), principal.clone());
        // Of many policies and items that takes longer than other requests may wait.
        let admits =
            tokio::task::spawn_blocking(move || core.visibility.could_use(&endpoint, owner, &principal));
        admits.await.unwrap_or(false)
    }

    fn connector<'e>(
        &self,
        endpoint: &'e Endpoint,
        number: usize,
    ) -> Result<(&'e Arc<Attached>, Arc<Connector>), Reply> {
        let backend = endpoint.backends.iter().find(|backend| backend.number == number);
        backend.and_then(|backend| Some((backend, backend.connector()?))).ok_or_else(super::missing)
    }

    /// The backend of this number, which this user may use, by the policies of this number or as they are now. It does not
    /// exist for anybody else.
    async fn usable<'e>(
        &self,
        endpoint: &'e Arc<Endpoint>,
        number: usize,
        principal: &Principal,
        policies: Option<u64>,
    ) -> Result<(&'e Arc<Attached>, Arc<Connector>), Reply> {
        let found = self.connector(endpoint, number)?;
        let admitted = policies == Some(endpoint.policies.generation())
            || self.admits(endpoint, number, principal).await;
        if admitted { Ok(found) } else { Err(super::missing()) }
    }

    /// Asks whether to connect a backend.
    async fn ask(
        &self,
        endpoint: &Arc<Endpoint>,
        browser: &Browser,
        principal: &Principal,
        (number, policies): (usize, Option<u64>),
        told: Option<(u128, String)>,
    ) -> Result<Reply, Reply> {
        let (backend, connector) = self.usable(endpoint, number, principal, policies).await?;
        // Decided with them; what the issuer says of the user is kept with the browser.
        let policies = endpoint.policies.generation();
        let outline = connector.outline(principal).await;
        let outline = outline.map_err(|error| failed(backend.name(), &error))?;
        let (server, scopes) = (outline.authority.issuer.clone(), outline.scopes.clone());
        let authorization = outline.authority.authorization_endpoint.as_ref();
        let origin = authorization.and_then(|url| page::plain_origin(url, self.base));
        let resource = outline.resource.clone();
        let user = shown(principal);
        let principal = Principal::of(principal.issuer(), principal.subject());
        let purchase = Purchase {
            endpoint: endpoint.number,
            backend: number,
            principal,
            policies,
            told,
            stage: outline,
        };
        let token = self.keep(browser, Purpose::Consent, Pending::Consent(purchase));
        let token = token.map_err(|error| broken(&error))?;
        let question = Question {
            endpoint: &endpoint.spec.name,
            backend: backend.name(),
            address: &resource,
            server: &server,
            scopes: &scopes,
            user,
            lends: connector.lists_by_grants(),
            token: &token,
        };
        Ok(Reply { server: origin, ..Reply::page(200, question.document()) })
    }

    /// Keeps a step of a browser; what is answered leads back to it, in this browser alone.
    pub(super) fn keep(&self, browser: &Browser, purpose: Purpose, pending: Pending) -> io::Result<String> {
        let number = self.core.pages.steps.keep(self.core.seal.now(), pending);
        self.core.seal.seal(purpose, &number.to_be_bytes(), &browser.id)
    }

    /// Takes up the step that `text` leads to.
    pub(super) fn take(&self, browser: &Browser, purpose: Purpose, text: &str) -> Option<Pending> {
        let plain = self.core.seal.open(purpose, text.as_bytes(), &browser.id)?;
        let number = u64::from_be_bytes(plain.try_into().ok()?);
        self.core.pages.steps.take(self.core.seal.now(), number)
    }

    /// Does what a form of weir's own asks for.
    pub(super) async fn act(&self, http: &mut Http<'_>, endpoint: &Arc<Endpoint>) -> Reply {
        let own = http.header(ORIGIN).is_some_and(|origin| self.base.is_own(origin));
        let form = http.header(CONTENT_TYPE).is_some_and(|media| {
            media
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .eq_ignore_ascii_case("application/x-www-form-urlencoded")
        });
        let browser = Browser::known(http, self.base, &self.core.seal);
        let Some(browser) = browser.filter(|_| own && form) else {
            return Reply::told(
                403,
                "Not from here",
                "This was not sent by a page of weir's in this browser.",
            );
        };
        // Before the form is waited for, which takes a place.
        let Some(principal) = self.user(endpoint, &browser) else {
            return strange();
        };
        let patience = self.snapshot.config.timeouts.read.min(FORM);
        let Ok(Ok(body)) = tokio::time::timeout(patience, http.body(LARGEST_FORM)).await else {
            return Reply::told(400, "Not so", "The form did not arrive whole.");
        };
        let values = Values::parse(&String::from_utf8_lossy(&body));
        let done = match (values.one("consent"), values.one("disconnect")) {
            (Ok(Some(text)), Ok(None)) => self.depart(endpoint, &browser, &principal, text).await,
            (Ok(None), Ok(Some(text))) => self.disconnect(endpoint, &browser, &principal, text).await,
            _ => Err(strange()),
        };
        done.unwrap_or_else(|reply| reply)
    }

    /// Sends the user, who agreed, to the authorization server.
    async fn depart(
        &self,
        endpoint: &Arc<Endpoint>,
        browser: &Browser,
        principal: &Principal,
        text: &str,
    ) -> Result<Reply, Reply> {
        let Some(Pending::Consent(purchase)) = self.take(browser, Purpose::Consent, text) else {
            return Err(strange());
        };
        let Purchase { backend: number, policies, told, stage, .. } = purchase;
        if purchase.endpoint != endpoint.number || purchase.principal != *principal {
            return Err(strange());
        }
        let (backend, connector) = self.usable(endpoint, number, principal, Some(policies)).await?;
        let plan = connector.plan(stage, &way(self.snapshot, self.base, backend.name())).await;
        let plan = plan.map_err(|error| failed(backend.name(), &error))?;
        // The number must be known before the URL in which it stands.
        let (steps, now) = (&self.core.pages.steps, self.core.seal.now());
        let reserved = steps.reserve();
        let state = self.core.seal.seal(Purpose::State, &reserved.to_be_bytes(), &browser.id);
        let state = state.map_err(|error| broken(&error))?;
        let (url, departure) = plan.depart(&state).map_err(|error| failed(backend.name(), &error))?;
        let (endpoint, principal) = (endpoint.number, purchase.principal);
        let away = Purchase { endpoint, backend: number, principal, policies, told, stage: departure };
        steps.fill(now, reserved, Pending::Away(away));
        Ok(Reply::to(url.into()))
    }

    async fn disconnect(
        &self,
        endpoint: &Arc<Endpoint>,
        browser: &Browser,
        principal: &Principal,
        text: &str,
    ) -> Result<Reply, Reply> {
        let aad = [&browser.id[..], &identity(principal)].concat();
        let plain = self.core.seal.open(Purpose::Disconnect, text.as_bytes(), &aad).ok_or_else(strange)?;
        let number = usize::from_be_bytes(plain.try_into().map_err(|_| strange())?);
        let (backend, connector) = self.connector(endpoint, number)?;
        tracing::info!(
            backend = backend.name(),
            endpoint = endpoint.spec.name,
            "a user disconnects a backend"
        );
        connector.disconnect(principal).await.map_err(|error| failed(backend.name(), &error))?;
        Ok(Reply::to(self.base.url(&path(&endpoint.spec.name))))
    }

    /// The browser comes back from an authorization server.
    pub(super) async fn come_back(&self, http: &Http<'_>, path: &str, query: &str) -> Reply {
        let arrived = self.arrive(http, path, query).await;
        arrived.unwrap_or_else(|reply| reply)
    }

    async fn arrive(&self, http: &Http<'_>, at: &str, query: &str) -> Result<Reply, Reply> {
        let values = Values::parse(query);
        let state = values.one("state")?.ok_or_else(strange)?;
        let browser = Browser::known(http, self.base, &self.core.seal).ok_or_else(strange)?;
        let answer = brought(&values)?;
        let Some(Pending::Away(purchase)) = self.take(&browser, Purpose::State, state) else {
            return Err(strange());
        };
        let endpoint = self.snapshot.numbered(purchase.endpoint).ok_or_else(super::missing)?;
        // Somebody else may have logged in at this browser meanwhile.
        let user = self.user(endpoint, &browser).filter(|user| *user == purchase.principal);
        let user = user.ok_or_else(strange)?;
        let (backend, connector) =
            self.usable(endpoint, purchase.backend, &user, Some(purchase.policies)).await?;
        // By the way of another backend it comes from that one's authorization server, which was asked for nothing.
        if at.strip_prefix(CALLBACK) != Some(backend.name()) {
            return Err(strange());
        }
        let arrived = connector.arrive(&purchase.principal, purchase.stage, answer).await;
        arrived.map_err(|error| failed(backend.name(), &error))?;
        tracing::info!(backend = backend.name(), endpoint = endpoint.spec.name, "a user connected a backend");
        if let Some((session, id)) = purchase.told {
            self.tell(session, &purchase.principal, &id);
        }
        let name: String = url::form_urlencoded::byte_serialize(backend.name().as_bytes()).collect();
        // To a page whose address holds no code.
        Ok(Reply::to(self.base.url(&format!("{}?connected={name}", path(&endpoint.spec.name)))))
    }

    /// Tells a client that its user is done (2025-11-25 `client/elicitation` "Completion Notifications").
    fn tell(&self, session: u128, principal: &Principal, id: &str) {
        let session = self.core.sessions.find(session);
        if let Some(session) = session.filter(|session| session.principal().as_ref() == principal) {
            let id = String::from_utf8_lossy(&weir_protocol::json::string(id)).into_owned();
            let message = format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/elicitation/complete","params":{{"elicitationId":{id}}}}}"#
            );
            session.inbox.put(Letter::Own(Bytes::from(message)));
        }
    }
}

/// What the browser brings from where it was.
pub(super) fn brought(values: &Values) -> Result<Answer, Reply> {
    let own = |name: &str| Ok(values.one(name)?.map(str::to_owned));
    Ok(Answer { code: own("code")?, issuer: own("iss")?, error: own("error")? })
}

/// Who somebody is, for themselves to read; `None` for the anonymous one.
fn shown(principal: &Principal) -> Option<&str> {
    (*principal != Principal::anonymous()).then(|| principal.subject())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_browser_learns_nothing_of_the_network_inside() {
        let why = "db.internal has a private address: connection refused";
        let told = failed("Logging in", &OauthError::Unavailable(why.to_owned()));
        assert!(told.html.contains("Logging in: the authorization server cannot be asked."), "{}", told.html);
        assert!(!told.html.contains("internal") && !told.html.contains("refused"), "{}", told.html);
        let told = failed("b", &OauthError::Refused("access_denied".to_owned()));
        assert!(told.html.contains("access_denied"));
    }
}
