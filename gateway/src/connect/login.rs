//! Finding out who is at a browser.

use super::browser::Browser;
use super::pending::Pending;
use super::visit::{Values, Visit, broken, brought, failed, strange};
use super::visitors::Visitor;
use super::{LOGIN, Reply, path};
use crate::client::Http;
use crate::endpoint::Endpoint;
use crate::seal::Purpose;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::io;
use std::sync::Arc;
use std::time::Duration;
use weir_backends::Login;
use weir_config::Issuer;
use weir_policies::{Reach, person};

/// A request to the issuer takes no longer.
const DEADLINE: Duration = Duration::from_secs(10);
/// The longest query that a browser is led back to after a login, in bytes; a link's has a tenth of it.
const LONGEST_THEN: usize = 2 << 10;

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
        let (steps, seal) = (&self.core.pages.steps, &self.core.seal);
        let number = steps.reserve();
        let state = seal.seal(Purpose::State, &number.to_be_bytes(), &browser.id);
        let made = state.and_then(|state| Ok((state, random()?, browser.cookie(self.base, seal)?)));
        let (state, nonce, cookie) = match made {
            Ok(made) => made,
            Err(error) => return broken(&error),
        };
        match own.depart(authority, &self.base.url(LOGIN), &state, &nonce) {
            Ok((url, departure)) => {
                let (endpoint, then) = (endpoint.number, query.to_owned());
                steps.fill(seal.now(), number, Pending::Login { endpoint, departure, nonce, then });
                Reply::to(url.into()).with(cookie)
            }
            Err(error) => failed("Logging in", &error),
        }
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
        let Some(Pending::Login { endpoint, departure, nonce, then }) =
            self.take(&browser, Purpose::State, state)
        else {
            return Err(strange());
        };
        let endpoint = self.snapshot.numbered(endpoint).ok_or_else(super::missing)?;
        let (issuer, login, reach) = reach(endpoint).ok_or_else(super::missing)?;
        let own = Login { spec: login, fetch: &*self.core.pages.fetch, reach: &reach };
        let claims = own.arrive(departure, answer, &nonce).await;
        let claims = claims.map_err(|error| failed("Logging in", &error))?;
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
