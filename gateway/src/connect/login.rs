//! Finding out who is at a browser.

use super::browser::Browser;
use super::visit::{Values, Visit, broken, brought, failed, strange};
use super::visitors::Visitor;
use super::{LOGIN, Reply, path};
use crate::client::Http;
use crate::endpoint::Endpoint;
use crate::seal::Purpose;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderValue;
use serde::{Deserialize, Serialize};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use weir_backends::{Login, LoginSecrets, OauthError};
use weir_config::Issuer;
use weir_policies::{Reach, person};

/// A request to the issuer takes no longer.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest query that a browser is led back to after a login, in bytes; a link's has a tenth of it.
const LONGEST_THEN: usize = 1 << 10;
/// How long a user has to log in.
pub(super) const TIME: Duration = Duration::from_secs(600);

/// A login under way. It goes with the browser, sealed: anybody can begin one, and where weir kept them, somebody who begins
/// many would push out those of others.
#[derive(Serialize, Deserialize)]
struct Step {
    /// Number of the endpoint.
    #[serde(rename = "e")]
    endpoint: usize,
    #[serde(flatten)]
    secrets: LoginSecrets,
    /// The query of the page that is wanted.
    #[serde(rename = "t")]
    then: String,
    /// When it ends, by the clock of the seal.
    #[serde(rename = "u")]
    until: u64,
}

/// What of the network an endpoint's login may reach.
fn reach(endpoint: &Endpoint) -> Option<(&Issuer, &weir_config::Login, Reach)> {
    let auth = &endpoint.spec.auth;
    let login = auth.login.as_ref()?;
    let issuer = auth.issuers.iter().find(|issuer| issuer.issuer == login.issuer)?;
    Some((issuer, login, Reach { private: issuer.private, ca: issuer.ca.clone(), deadline: DEADLINE }))
}

fn random() -> io::Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

impl Visit<'_> {
    /// Sends a browser to the endpoint's issuer; from there it comes back for the page with this `query`.
    pub(super) async fn send_to_log_in(
        &self,
        endpoint: &Arc<Endpoint>,
        browser: &Browser,
        query: &str,
    ) -> Reply {
        let Some((_, login, reach)) = reach(endpoint) else {
            let text =
                "Nothing says how users of this endpoint log in. The operator can add `login` to its `auth`.";
            return Reply::told(403, "Not here", text);
        };
        if query.len() > LONGEST_THEN {
            return Reply::told(414, "Too long", "The address is too long.");
        }
        let own = Login { spec: login, fetch: &*self.core.pages.fetch, reach: &reach };
        let authority = match self.core.pages.issuers.authority(&own).await {
            Ok(authority) => authority,
            Err(error) => return failed("Logging in", &error),
        };
        let (secrets, state, cookie) = match self.begin(endpoint, browser, query) {
            Ok(begun) => begun,
            Err(error) => return broken(&error),
        };
        match own.depart(authority, &self.base.url(LOGIN), &state, &secrets) {
            Ok(url) => Reply::to(url.into()).with(cookie),
            Err(error) => failed("Logging in", &error),
        }
    }

    /// What a login needs: its secrets, the state that brings them back, and the browser's cookie.
    fn begin(
        &self,
        endpoint: &Endpoint,
        browser: &Browser,
        query: &str,
    ) -> io::Result<(LoginSecrets, String, HeaderValue)> {
        let seal = &self.core.seal;
        let time = u64::try_from(TIME.as_millis()).unwrap_or(u64::MAX);
        let step = Step {
            endpoint: endpoint.number,
            secrets: LoginSecrets { verifier: random()?, nonce: random()? },
            then: query.to_owned(),
            until: seal.now().saturating_add(time),
        };
        let state = seal.seal(Purpose::Login, &serde_json::to_vec(&step)?, &browser.id)?;
        Ok((step.secrets, state, browser.cookie(self.base, seal)?))
    }

    /// The browser comes back from the issuer.
    pub(super) async fn log_in(&self, http: &Http<'_>, query: &str) -> Reply {
        let logged_in = self.logged_in(http, query).await;
        logged_in.unwrap_or_else(|reply| reply)
    }

    async fn logged_in(&self, http: &Http<'_>, query: &str) -> Result<Reply, Reply> {
        let values = Values::parse(query);
        let state = values.one("state")?.ok_or_else(strange)?;
        let seal = &self.core.seal;
        let browser = Browser::known(http, self.base, seal).ok_or_else(strange)?;
        let answer = brought(&values)?;
        let plain = seal.open(Purpose::Login, state.as_bytes(), &browser.id).ok_or_else(strange)?;
        let step: Step = serde_json::from_slice(&plain).map_err(|_| strange())?;
        let Step { endpoint, secrets, then, until } = step;
        if until <= seal.now() {
            return Err(strange());
        }
        let endpoint = self.snapshot.numbered(endpoint).ok_or_else(super::missing)?;
        let (issuer, login, reach) = reach(endpoint).ok_or_else(super::missing)?;
        let own = Login { spec: login, fetch: &*self.core.pages.fetch, reach: &reach };
        let login_failed = |error: OauthError| failed("Logging in", &error);
        let authority = self.core.pages.issuers.authority(&own).await.map_err(login_failed)?;
        let _place = self.core.pages.issuers.place(&own).map_err(login_failed)?;
        // The browser that logged in is another from then on; one that keeps its old cookie gets no further either.
        if !self.core.pages.redeemed.take(&secrets.nonce) {
            return Err(strange());
        }
        let claims = own.arrive(authority, &self.base.url(LOGIN), &secrets, answer).await;
        let claims = claims.map_err(login_failed)?;
        let principal = person(issuer, &claims).map_err(|rejection| {
            tracing::info!(endpoint = endpoint.spec.name, %rejection, "a login names nobody");
            Reply::told(403, "Not you", "Who logged in can be no user of this endpoint.")
        })?;
        let browser = Browser::fresh(seal).map_err(|error| broken(&error))?;
        let cookie = browser.cookie(self.base, seal).map_err(|error| broken(&error))?;
        let visitor = Visitor { endpoint: endpoint.number, principal };
        self.core.pages.visitors.put(browser.id, visitor, claims.len());
        let query = if then.is_empty() { then } else { format!("?{then}") };
        Ok(Reply::to(self.base.url(&format!("{}{query}", path(&endpoint.spec.name)))).with(cookie))
    }
}
