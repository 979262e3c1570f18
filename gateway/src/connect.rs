//! The pages on which users connect backends: who is at the browser, what is granted, and the way to the authorization server
//! and back.
//!
//! S: MCP 2026-07-28 `client/elicitation` "Phishing": whoever grants must be the user whose calls it is for.

mod base;
mod browser;
mod issuers;
mod link;
mod login;
mod page;
mod pending;
mod places;
mod redeemed;
mod required;
mod visit;
mod visitors;

pub(crate) use base::Base;
pub(crate) use required::required;

use crate::client::{Gone, Http};
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::snapshot::Snapshot;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, LOCATION, REFERRER_POLICY, SET_COOKIE};
use http::header::{X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};
use http::{HeaderName, HeaderValue, Method};
use issuers::Issuers;
use pending::Steps;
use places::Places;
use redeemed::Redeemed;
use std::sync::Arc;
use visit::Visit;
use visitors::Visitors;
use weir_backends::{Outbound, Way, document};
use weir_policies::Fetch;

/// Where the pages are.
const ROOT: &str = "/connect";
/// Where the issuers of endpoints send browsers back to.
const LOGIN: &str = "/connect/-/login";
/// Before the name of a backend: where its authorization server sends browsers back to, and weir's document as a client there.
const CALLBACK: &str = "/connect/-/callback/";
const DOCUMENT: &str = "/connect/-/client/";
/// The longest name of a backend.
const LONGEST_NAME: usize = 64;
/// The longest query that is read, in bytes.
const LONGEST_QUERY: usize = 16 << 10;

/// What the pages need and no reload takes away.
#[derive(Debug)]
pub(crate) struct Pages {
    steps: Steps,
    issuers: Issuers,
    visitors: Visitors,
    redeemed: Redeemed,
    fetch: Arc<dyn Fetch>,
    places: Places,
    /// Browsers can come at all.
    listens: bool,
}

impl Pages {
    /// For a gateway that `listens` or not.
    pub(crate) fn new(listens: bool) -> Self {
        Self {
            steps: Steps::default(),
            issuers: Issuers::default(),
            visitors: Visitors::default(),
            redeemed: Redeemed::default(),
            fetch: Arc::new(Outbound::new()),
            places: Places::default(),
            listens,
        }
    }
}

/// The path of an endpoint's page. Names of endpoints have no characters that mean something in a path.
fn path(endpoint: &str) -> String {
    format!("{ROOT}/{endpoint}")
}

/// Where the users of a backend come back to. Names of backends have no characters that mean something in a path.
fn way(snapshot: &Snapshot, base: &Base, backend: &str) -> Way {
    let public = snapshot.config.listener.public_url.is_some() && base.is_secure();
    Way {
        redirect: base.url(&format!("{CALLBACK}{backend}")),
        document: public.then(|| base.url(&format!("{DOCUMENT}{backend}.json"))),
    }
}

/// The backend whose document lies at a path. There is one for whatever may be a name: anybody may read them, and nobody is to
/// learn of it which backends there are.
fn documented(path: &str) -> Option<&str> {
    let name = path.strip_prefix(DOCUMENT)?.strip_suffix(".json")?;
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || b"_.-".contains(&letter);
    ((1..=LONGEST_NAME).contains(&name.len()) && name.bytes().all(fits)).then_some(name)
}

/// Whether a path is one of the pages'.
pub(crate) fn is_page(path: &str) -> bool {
    path.strip_prefix(ROOT).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether users can connect something at an endpoint.
fn connects(endpoint: &Endpoint) -> bool {
    endpoint.backends.iter().any(|backend| backend.connector().is_some())
}

/// What a browser is answered.
#[derive(Debug)]
struct Reply {
    status: u16,
    html: String,
    /// Where forms may lead beside weir and `https`.
    server: Option<String>,
    cookie: Option<HeaderValue>,
    location: Option<String>,
}

impl Reply {
    fn page(status: u16, html: String) -> Self {
        Self { status, html, server: None, cookie: None, location: None }
    }

    /// A page that says why it does not go on.
    fn told(status: u16, title: &str, text: &str) -> Self {
        Self::page(status, page::document(title, &page::paragraph(text)))
    }

    /// Leads elsewhere.
    fn to(location: String) -> Self {
        Self { location: Some(location), ..Self::page(303, String::new()) }
    }

    fn with(self, cookie: HeaderValue) -> Self {
        Self { cookie: Some(cookie), ..self }
    }

    async fn send(self, http: &mut Http<'_>) -> Result<(), Gone> {
        let policy = HeaderValue::try_from(page::policy(self.server.as_deref())).map_err(|_| Gone)?;
        let mut headers: Vec<(HeaderName, HeaderValue)> = vec![
            (CONTENT_SECURITY_POLICY, policy),
            (CACHE_CONTROL, HeaderValue::from_static("no-store")),
            (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
            (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
            // Not `no-referrer`: browsers would then not say either where a form comes from.
            (REFERRER_POLICY, HeaderValue::from_static("same-origin")),
        ];
        headers.extend(self.cookie.map(|cookie| (SET_COOKIE, cookie)));
        if let Some(location) = self.location {
            headers.push((LOCATION, HeaderValue::try_from(location).map_err(|_| Gone)?));
        }
        http.page(self.status, headers, Bytes::from(self.html)).await
    }
}

/// Answers a browser at one of the pages.
pub(crate) async fn answer(
    core: &Arc<Core>,
    snapshot: Arc<Snapshot>,
    mut http: Http<'_>,
) -> Result<(), Gone> {
    if *http.method() == Method::GET
        && let Some(name) = documented(http.uri().path())
        && let Some(base) = &snapshot.base
    {
        let Way { redirect, document: Some(id) } = way(&snapshot, base, name) else {
            return missing().send(&mut http).await;
        };
        let document = document(&id, &redirect).to_string();
        return http.document(document.into(), 3600).await;
    }
    let limit = snapshot.config.limits.requests;
    // Its place among all is the one that the end of weir waits for.
    let place = core.pages.places.enter(http.address());
    let admitted = place.and_then(|place| Some((place, core.drain.admit(limit)?)));
    let Some((place, _admitted)) = admitted else {
        return Reply::told(503, "Busy", "weir has too much to do, try again later.").send(&mut http).await;
    };
    let reply = reply(core, &snapshot, &mut http).await;
    // However slowly it is taken.
    drop(place);
    reply.send(&mut http).await
}

fn missing() -> Reply {
    Reply::told(404, "Nothing here", "There is nothing to connect at this address.")
}

async fn reply(core: &Arc<Core>, snapshot: &Arc<Snapshot>, http: &mut Http<'_>) -> Reply {
    let Some(base) = snapshot.base.as_ref().filter(|_| core.pages.listens) else {
        return missing();
    };
    let path = http.uri().path().to_owned();
    let query = http.uri().query().unwrap_or_default().to_owned();
    if query.len() > LONGEST_QUERY {
        return Reply::told(414, "Too long", "The address is too long.");
    }
    let visit = Visit { core, snapshot, base };
    let method = http.method().clone();
    // By another name of this machine a browser would be another one when it comes back.
    if method == Method::GET && snapshot.config.listener.public_url.is_none() && !visit.is_at_home(http) {
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        return Reply::to(base.url(&format!("{path}{query}")));
    }
    match (method, &*path) {
        (Method::GET, LOGIN) => visit.log_in(http, &query).await,
        (Method::GET, ROOT) => visit.find(),
        (Method::GET, path) if path.starts_with(CALLBACK) => visit.come_back(http, path, &query).await,
        (method @ (Method::GET | Method::POST), path) => {
            let name = path.strip_prefix(ROOT).and_then(|rest| rest.strip_prefix('/'));
            let endpoint = name.and_then(|name| snapshot.named(name)).filter(|endpoint| connects(endpoint));
            match endpoint {
                None => missing(),
                Some(endpoint) if method == Method::GET => visit.show(http, endpoint, &query).await,
                Some(endpoint) => visit.act(http, endpoint).await,
            }
        }
        _ => Reply::told(405, "Not so", "This address is for browsers."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_document_for_every_name() {
        assert_eq!(documented("/connect/-/client/my_issue.tracker-2.json"), Some("my_issue.tracker-2"));
        let long = format!("/connect/-/client/{}.json", "a".repeat(LONGEST_NAME + 1));
        for path in [&long, "/connect/-/client/.json", "/connect/-/client/a", "/connect/-/client.json"] {
            assert_eq!(documented(path), None, "{path}");
        }
        for name in ["a/b", "a%2Fb", "a b", "\u{e9}", "a?b", "\""] {
            assert_eq!(documented(&format!("/connect/-/client/{name}.json")), None, "{name}");
        }
    }
}
