//! The legacy edge: 2025-03-26 to 2025-11-25, `initialize` and sessions.
//!
//! S: MCP 2025-11-25 `basic/lifecycle`, `basic/transports`.

mod streams;

pub(crate) use streams::get;

use super::{Post, initialize_result, listing};
use crate::call::Manner;
use crate::catalog::View;
use crate::client::{Client, Gone, Http, Outbox};
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::rescue::{self, Fault};
use crate::session::Visit;
use crate::snapshot::Snapshot;
use crate::watchers;
use http::HeaderMap;
use std::borrow::Cow;
use std::sync::Arc;
use weir_backends::{Message, SessionKey};
use weir_policies::Principal;
use weir_protocol::{ClientCapabilities, Era, Kind, Level, Method, Revision, code, headers, json};

/// Answers one POST.
pub(crate) async fn post(post: &Post, client: &mut Client<'_>) -> Result<(), Gone> {
    let method = post.envelope.method(&post.body);
    if method == Method::Initialize && post.envelope.kind == Kind::Request {
        return initialize(post, client).await;
    }
    let visit = match (&post.session, client.headers()) {
        // A modern client cancels by the same notification, and opens no session.
        (Some(session), _)
            if session.revision().is_some() || matches!(method, Method::Ping | Method::Cancelled) =>
        {
            Ok(post.core.sessions.enter(session))
        }
        (None, Some(headers)) => visit(&post.core, &post.endpoint, &post.principal, headers),
        _ => Err(Fault::new(400, code::SERVER_ERROR, "there is no session yet; open one with `initialize`")),
    };
    let visit = match visit {
        Ok(visit) => visit,
        Err(fault) => return post.fault(client, &fault).await,
    };
    match post.envelope.kind {
        Kind::Request => dispatch(post, client, method, visit).await,
        Kind::Notification => {
            if method == Method::Cancelled {
                visit.session.cancel(post.cancels());
            }
            client.close().await
        }
        Kind::Response => {
            let (body, envelope) = (post.body.clone(), post.envelope.clone());
            visit.session.questions.answer(Message { body, envelope });
            client.close().await
        }
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
    let opened = match &post.session {
        Some(session) => Ok(post.core.sessions.enter(session)),
        None => open(&post.core, &post.snapshot, &post.endpoint, &post.principal, None),
    };
    let visit = match opened {
        Ok(visit) => visit,
        Err(fault) => return post.fault(client, &fault).await,
    };
    let capabilities = post.envelope.params.as_ref().and_then(|params| params.capabilities);
    let capabilities = capabilities.map(|span| span.of(&post.body)).unwrap_or_default();
    if !visit.session.agree(revision, ClientCapabilities::parse(capabilities, revision)) {
        let fault = Fault::new(400, code::INVALID_REQUEST, "this connection was initialized before");
        return post.fault(client, &fault).await;
    }
    let result = initialize_result(post, revision);
    let body = code::result_answer(&post.id(), result.as_bytes());
    client.welcome(&visit.session.id(), body).await
}

/// Opens a session of `principal` with an endpoint of `snapshot`, which is a connection where there is an outbox.
pub(crate) fn open(
    core: &Core,
    snapshot: &Snapshot,
    endpoint: &Endpoint,
    principal: &Arc<Principal>,
    outbox: Option<Outbox>,
) -> Result<Visit, Fault> {
    let limit = snapshot.config.limits.sessions;
    match core.sessions.open(endpoint.number, principal, outbox, limit) {
        Ok(Some(visit)) => Ok(visit),
        Ok(None) => Err(rescue::overloaded("sessions", limit)),
        Err(error) => {
            tracing::error!(%error, "the system yields no randomness");
            Err(Fault::new(500, code::INTERNAL_ERROR, "the gateway cannot open a session"))
        }
    }
}

/// The session that the headers name, and its revision against theirs. Another principal's session does not exist.
pub(crate) fn visit(
    core: &Core,
    endpoint: &Endpoint,
    principal: &Arc<Principal>,
    headers: &HeaderMap,
) -> Result<Visit, Fault> {
    let mut ids = headers.get_all(headers::SESSION_ID).iter();
    let (Some(id), None) = (ids.next(), ids.next()) else {
        let message = "`Mcp-Session-Id` must be sent exactly once; open a session with `initialize` first";
        return Err(Fault::new(400, code::SERVER_ERROR, message));
    };
    let visited = id.to_str().ok().and_then(|id| core.sessions.visit(endpoint.number, principal, id));
    let visit = visited.filter(|visit| !visit.session.is_connection()).ok_or_else(|| {
        Fault::new(404, code::SERVER_ERROR - 1, "session not found; open a new one with `initialize`")
    })?;
    visit.session.renew(endpoint, principal);
    // Before 2025-06-18 there was no such header; since then a revision that was not agreed on is refused.
    match headers.get(headers::PROTOCOL_VERSION).and_then(|named| named.to_str().ok()) {
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
    let tasks = visit.session.has_tasks();
    if let Some(list) = listing::list_of(method) {
        let view = if tasks { View::LegacyTasks } else { View::Legacy };
        return listing::answer(post, client, list, view).await;
    }
    match method {
        Method::Ping => post.result(client, "{}").await,
        Method::ToolsCall
        | Method::PromptsGet
        | Method::ResourcesRead
        | Method::Complete
        | Method::TasksGet
        | Method::TasksResult
        | Method::TasksCancel => {
            let cancellable = visit.session.cancellable(&post.id());
            let session = SessionKey::Client(visit.session.number);
            client.remember(&visit.session);
            // Who takes no events cannot be asked anything.
            let declared = visit.session.capabilities();
            let capabilities = if client.takes_notices() { declared } else { ClientCapabilities::NONE };
            let logs = visit.session.logs();
            let manner = Manner { method, cacheable: false, session, logs, capabilities, declared, tasks };
            post.call(client, manner, Some(cancellable)).await
        }
        Method::SetLevel => {
            let level = post.envelope.params.as_ref().and_then(|params| params.level);
            match level.and_then(|span| Level::of_raw(span.of(&post.body))) {
                Some(level) => {
                    visit.session.set_level(level);
                    post.result(client, "{}").await
                }
                None => post.fault(client, &rescue::invalid_params("`params.level` must name a level")).await,
            }
        }
        Method::ResourcesSubscribe => subscribe(post, client, &visit).await,
        Method::ResourcesUnsubscribe => match uri(post) {
            Ok(uri) => {
                visit.session.watches.end(&uri);
                post.result(client, "{}").await
            }
            Err(fault) => post.fault(client, &fault).await,
        },
        _ => {
            let name = post.envelope.method_name(&post.body).unwrap_or_default();
            post.fault(client, &rescue::unknown_method(Era::Legacy, &name)).await
        }
    }
}

fn uri(post: &Post) -> Result<String, Fault> {
    let uri = post.envelope.params.as_ref().and_then(|params| params.uri);
    let uri = uri.and_then(|span| json::as_str(span.of(&post.body)));
    uri.map(Cow::into_owned).ok_or_else(|| rescue::invalid_params("`params.uri` must be a string"))
}

/// Has updates of a resource sent on the session's stream, until the client unsubscribes or the session ends.
async fn subscribe(post: &Post, client: &mut Client<'_>, visit: &Visit) -> Result<(), Gone> {
    match watch(post, visit).await {
        Ok(()) => post.result(client, "{}").await,
        Err(fault) => post.fault(client, &fault).await,
    }
}

async fn watch(post: &Post, visit: &Visit) -> Result<(), Fault> {
    let (uri, session) = (uri(post)?, &visit.session);
    if session.watches.has(&uri) {
        return Ok(());
    }
    // By the newest token, whichever this request brought.
    let principal = session.principal();
    let circumstances = post.circumstances(Era::Legacy, false);
    let watch = watchers::watch(post, circumstances, &principal, &uri, &session.inbox).await?;
    let limit = post.snapshot.config.limits.subscriptions;
    match session.watches.keep(uri, watch, limit) {
        true => {
            if !Arc::ptr_eq(&principal, &session.principal()) {
                // One that came meanwhile has not seen this watch.
                session.rejudge(&post.endpoint);
            }
            Ok(())
        }
        false => Err(rescue::too_many_subscriptions(limit)),
    }
}

async fn refuse(mut http: Http<'_>, fault: &Fault) -> Result<(), Gone> {
    http.json(fault.status, &[fault.body(None)]).await
}

/// Answers a DELETE: the end of a session.
pub(crate) async fn delete(
    core: &Core,
    endpoint: &Endpoint,
    principal: &Arc<Principal>,
    mut http: Http<'_>,
) -> Result<(), Gone> {
    match visit(core, endpoint, principal, http.headers()) {
        Ok(visit) => {
            core.end_session(visit.session.number);
            http.empty(204).await
        }
        Err(fault) => refuse(http, &fault).await,
    }
}
