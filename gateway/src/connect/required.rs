//! A call that its user has to connect a backend for.

use super::link::Link;
use super::path;
use crate::answer::Answer;
use crate::attached::Attached;
use crate::call::takes_input;
use crate::inquiry::told;
use crate::pump::Terms;
use std::fmt::Write;
use weir_backends::{Message, Outcome, SessionKey};
use weir_protocol::{ClientCapabilities, Era, code, json};

/// What a call's client is told whose user has to connect the backend first: a page to visit, where the client can show one.
pub(crate) fn required(terms: &Terms<'_>, backend: &Attached) -> Answer {
    let name = backend.name();
    let id = match name_of_link() {
        Ok(id) => id,
        Err(error) => {
            tracing::warn!(%error, "a link cannot be made");
            return told(
                terms,
                format!("backend `{name}` has to be connected by its user, and weir can make no link"),
            );
        }
    };
    let url = match url(terms, backend, &id) {
        Ok(url) => url,
        Err(why) => return told(terms, format!("backend `{name}` {why}")),
    };
    let shows = match terms.asker.era {
        Era::Modern => {
            takes_input(terms.manner.method) && terms.manner.capabilities.has(ClientCapabilities::URL)
        }
        Era::Legacy => terms.manner.declared.has(ClientCapabilities::URL),
    };
    if shows && let Ok(message) = Message::parse(elicitation(name, &id, &url).into()) {
        // As if the backend had asked for it in words of its own, which every client is told in its own.
        return terms.answer(backend, Outcome::Error(message));
    }
    let text = format!(
        "backend `{name}` has to be connected by its user first, or once more for further permissions: open {url} in a browser, then make the call again"
    );
    told(terms, text)
}

/// Where this call's user can connect the backend; else why they cannot.
fn url(terms: &Terms<'_>, backend: &Attached, id: &str) -> Result<String, &'static str> {
    let (post, core) = (terms.post, &terms.post.core);
    let base = post.snapshot.base.as_ref().filter(|_| core.pages.listens);
    let base = base
        .ok_or("has to be connected by its user in a browser, and weir has no address that browsers know")?;
    let auth = &post.endpoint.spec.auth;
    if !auth.is_anonymous() {
        let login =
            auth.login.as_ref().ok_or("has to be connected by its user, and this endpoint has no login")?;
        if login.issuer != post.principal.issuer() {
            return Err("has to be connected by its user in a browser, where this caller cannot log in");
        }
    }
    let told = match terms.manner.session {
        SessionKey::Client(session) => Some((session, id.to_owned())),
        SessionKey::Shared => None,
    };
    let policies = post.endpoint.policies.generation();
    let link = Link::new(&core.seal, (post.endpoint.number, backend.number), policies, told);
    let ticket = link.seal(&core.seal, &post.principal).map_err(|_| "cannot be connected just now")?;
    Ok(base.url(&format!("{}?ticket={ticket}", path(&post.endpoint.spec.name))))
}

/// What a client knows a link by.
fn name_of_link() -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    let mut name = String::with_capacity(32);
    for byte in bytes {
        let _ = write!(name, "{byte:02x}");
    }
    Ok(name)
}

/// The error by which a server of 2025-11-25 says that a page has to be visited first (`client/elicitation`).
fn elicitation(backend: &str, id: &str, url: &str) -> String {
    let text = format!("Connect {backend}: weir will call it in your name. Then make the call again.");
    let quoted = |text: &str| String::from_utf8_lossy(&json::string(text)).into_owned();
    let (text, id, url) = (quoted(&text), quoted(id), quoted(url));
    let code = code::URL_ELICITATION_REQUIRED;
    format!(
        r#"{{"jsonrpc":"2.0","id":0,"error":{{"code":{code},"message":{text},"data":{{"elicitations":[{{"mode":"url","elicitationId":{id},"url":{url},"message":{text}}}]}}}}}}"#
    )
}
