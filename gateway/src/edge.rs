//! Where a client's dialect is taken off: `modern` and `legacy`; what both share stands here.

pub(crate) mod legacy;
mod listing;
pub(crate) mod modern;

use crate::answer::{Asker, SERVER_INFO};
use crate::call::{self, Request};
use crate::catalog::{Catalog, Offers};
use crate::client::{Accepts, Client, Gone};
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::pump::{self, Running, Terms};
use crate::rescue::Fault;
use crate::session::Cancellable;
use bytes::Bytes;
use std::sync::Arc;
use weir_backends::SessionKey;
use weir_protocol::{Envelope, Era, Meta, Method, Revision, code, json};

/// A POST whose body was read and understood.
pub(crate) struct Post {
    pub(crate) core: Arc<Core>,
    pub(crate) endpoint: Arc<Endpoint>,
    /// Index of the endpoint.
    pub(crate) index: usize,
    pub(crate) accepts: Accepts,
    pub(crate) body: Bytes,
    pub(crate) envelope: Envelope,
    pub(crate) meta: Option<Meta>,
}

impl Post {
    /// The raw id; `null` for a notification.
    fn id(&self) -> Bytes {
        self.envelope.id.map_or(Bytes::from_static(b"null"), |span| self.body.slice(span.start()..span.end()))
    }

    fn progress_token(&self) -> Option<Bytes> {
        let span = self.meta.as_ref()?.progress_token?;
        Some(self.body.slice(span.start()..span.end()))
    }

    /// Routes a call and carries it to its end.
    async fn call(
        &self,
        client: &mut Client<'_>,
        method: Method,
        cacheable: bool,
        session: SessionKey,
        cancellable: Option<Cancellable>,
    ) -> Result<(), Gone> {
        let era = if session == SessionKey::Shared { Era::Modern } else { Era::Legacy };
        let asker = Asker { id: self.id(), era, cacheable, progress_token: self.progress_token() };
        let request = Request {
            body: &self.body,
            envelope: &self.envelope,
            meta: self.meta.as_ref(),
            method,
            era,
            principal: &self.core.principal,
            session,
        };
        match call::route(&self.endpoint, &request) {
            Ok(routed) => {
                let keep_alive = self.core.config.timeouts.keep_alive;
                let terms = Terms { asker, accepts: self.accepts, keep_alive, drain: &self.core.drain };
                pump::carry(client, Running::start(routed), &terms, cancellable).await
            }
            Err(fault) => {
                tracing::debug!(kind = fault.kind.as_str(), code = fault.code, fault.message, "call refused");
                let answer = asker.fault(&fault);
                client.json(answer.status, &[answer.body]).await
            }
        }
    }

    async fn fault(&self, client: &mut Client<'_>, fault: &Fault) -> Result<(), Gone> {
        let id = self.envelope.id.map(|span| span.of(&self.body));
        tracing::debug!(kind = fault.kind.as_str(), code = fault.code, fault.message, "request refused");
        client.json(fault.status, &[fault.body(id)]).await
    }

    async fn result(&self, client: &mut Client<'_>, result: &str) -> Result<(), Gone> {
        client.json(200, &[code::result_answer(&self.id(), result.as_bytes())]).await
    }
}

/// `capabilities`, as both eras write them.
fn capabilities(offers: Offers) -> String {
    let all = [
        (offers.tools, r#""tools":{"listChanged":true}"#),
        (offers.prompts, r#""prompts":{"listChanged":true}"#),
        (offers.resources, r#""resources":{"listChanged":true}"#),
        (offers.completions, r#""completions":{}"#),
    ];
    let offered: Vec<&str> = all.into_iter().filter_map(|(offered, text)| offered.then_some(text)).collect();
    format!("{{{}}}", offered.join(","))
}

fn instructions(catalog: &Catalog) -> String {
    match &catalog.instructions {
        None => String::new(),
        Some(text) => format!(",\"instructions\":{}", String::from_utf8_lossy(&json::string(text))),
    }
}

/// The result of `initialize`.
fn initialize_result(catalog: &Catalog, revision: Revision) -> String {
    format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{SERVER_INFO}{}}}"#,
        revision.as_str(),
        capabilities(catalog.offers),
        instructions(catalog)
    )
}

/// The result of `server/discover`. What is offered may change at any time, so nobody is told to keep it.
fn discover_result(catalog: &Catalog) -> String {
    format!(
        r#"{{"resultType":"complete","supportedVersions":["{}"],"capabilities":{},"serverInfo":{SERVER_INFO},"ttlMs":0,"cacheScope":"private","_meta":{{"{}":{SERVER_INFO}}}{}}}"#,
        Revision::LATEST.as_str(),
        capabilities(catalog.offers),
        weir_protocol::meta::SERVER_INFO,
        instructions(catalog)
    )
}
