//! The legacy edge: 2025-03-26 to 2025-11-25, `initialize` and sessions.
//!
//! S: MCP 2025-11-25 `basic/lifecycle`, `basic/transports`.

use super::{Post, initialize_result, listing};
use crate::client::{Client, Gone};
use crate::gateway::Core;
use crate::hub::Topic;
use crate::rescue::{self, Fault};
use crate::session::Visit;
use crate::stream::Stream;
use std::sync::Arc;
use weir_backends::SessionKey;
use weir_protocol::{Era, Kind, Method, Revision, code, headers, json};

/// Answers one POST.
pub(crate) async fn post(post: &Post, client: &mut Client<'_>) -> Result<(), Gone> {
    let method = post.envelope.method(&post.body);
    if method == Method::Initialize && post.envelope.kind == Kind::Request {
        return initialize(post, client).await;
    }
    let visit = match visit(&post.core, post.index, client) {
        Ok(visit) => visit,
        Err(fault) => return post.fault(client, &fault).await,
    };
    match post.envelope.kind {
        Kind::Request => dispatch(post, client, method, visit).await,
        Kind::Notification => {
            if method == Method::Cancelled {
                let id = post.envelope.params.as_ref().and_then(|params| params.request_id);
                visit.session.cancel(id.map(|span| span.of(&post.body)).unwrap_or_default());
            }
            client.empty(202).await
        }
        // weir asks legacy clients nothing yet, so there is nothing that this could answer.
        Kind::Response => client.empty(202).await,
    }
}

async fn initialize(post: &Post, client: &mut Client<'_>) -> Result<(), Gone> {
    let asked = post.envelope.params.as_ref().and_then(|params| params.protocol_version);
    let Some(asked) = asked.and_then(|span| json::as_str(span.of(&post.body))) else {
        let fault = rescue::invalid_params("`params.protocolVersion` must be a string");
        return post.fault(client, &fault).await;
    };
    // What weir does not know, and what has no handshake, is answered by the newest revision that has one.
    let revision = Revision::parse(&asked)
        .filter(|revision| revision.era() == Era::Legacy)
        .unwrap_or(Revision::LATEST_LEGACY);
    let visit = match post.core.sessions.open(post.index) {
        Ok(Some(visit)) => visit,
        Ok(None) => {
            let fault = rescue::overloaded("sessions", post.core.config.limits.sessions);
            return post.fault(client, &fault).await;
        }
        Err(error) => {
            tracing::error!(%error, "the system yields no randomness");
            let fault = Fault::new(500, code::INTERNAL_ERROR, "the gateway cannot open a session");
            return post.fault(client, &fault).await;
        }
    };
    let result = initialize_result(&post.endpoint.catalog(), revision);
    let body = code::result_answer(&post.id(), result.as_bytes());
    client.json_with_session(&visit.session.id(), body).await
}

/// The session that the request names, and its revision against the header's.
fn visit(core: &Core, endpoint: usize, client: &Client<'_>) -> Result<Visit, Fault> {
    let mut ids = client.headers().get_all(headers::SESSION_ID).iter();
    let (Some(id), None) = (ids.next(), ids.next()) else {
        let message = "`Mcp-Session-Id` must be sent exactly once; open a session with `initialize` first";
        return Err(Fault::new(400, code::SERVER_ERROR, message));
    };
    let visit = id.to_str().ok().and_then(|id| core.sessions.visit(endpoint, id)).ok_or_else(|| {
        Fault::new(404, code::SERVER_ERROR - 1, "session not found; open a new one with `initialize`")
    })?;
    // Before 2025-06-18 there was no such header; since then a revision that was not agreed on is refused.
    match client.header(headers::PROTOCOL_VERSION) {
        Some(named) if Revision::parse(named).is_none_or(|revision| revision.era() != Era::Legacy) => {
            Err(Fault::new(
                400,
                code::SERVER_ERROR,
                "`MCP-Protocol-Version` names a revision that is not spoken here",
            ))
        }
        _ => Ok(visit),
    }
}

async fn dispatch(post: &Post, client: &mut Client<'_>, method: Method, visit: Visit) -> Result<(), Gone> {
    if let Some(list) = listing::list_of(method) {
        return listing::answer(post, client, list, Era::Legacy).await;
    }
    match method {
        Method::Ping => post.result(client, "{}").await,
        Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::Complete => {
            let cancellable = visit.session.cancellable(&post.id());
            let key = SessionKey::Client(visit.session.number);
            post.call(client, method, false, key, Some(cancellable)).await
        }
        _ => {
            let name = post.envelope.method_name(&post.body).unwrap_or_default();
            post.fault(client, &rescue::unknown_method(Era::Legacy, &name)).await
        }
    }
}

async fn refuse(client: &mut Client<'_>, fault: &Fault) -> Result<(), Gone> {
    client.json(fault.status, &[fault.body(None)]).await
}

/// Answers a GET: the stream that carries announcements.
pub(crate) async fn get(core: &Arc<Core>, index: usize, client: &mut Client<'_>) -> Result<(), Gone> {
    if !client.accepts().stream {
        let fault =
            Fault::new(406, code::INVALID_REQUEST, "a GET is answered by a `text/event-stream`; accept it");
        return refuse(client, &fault).await;
    }
    let visit = match visit(core, index, client) {
        Ok(visit) => visit,
        Err(fault) => return refuse(client, &fault).await,
    };
    let Some(endpoint) = core.endpoints.get(index) else {
        return Err(Gone);
    };
    let subscription = endpoint.hub.subscribe();
    let stream = Stream {
        topics: Topic::ALL.to_vec(),
        subscription: None,
        keep_alive: core.config.timeouts.keep_alive,
        ended: Some(visit.session.take_stream()),
    };
    client.begin_stream().await?;
    stream.run(client, subscription, &core.drain).await
}

/// Answers a DELETE: the end of a session.
pub(crate) async fn delete(core: &Arc<Core>, index: usize, client: &mut Client<'_>) -> Result<(), Gone> {
    match visit(core, index, client) {
        Ok(visit) => {
            core.end_session(visit.session.number);
            client.empty(204).await
        }
        Err(fault) => refuse(client, &fault).await,
    }
}
