//! HTTP+SSE, the transport of 2024-11-05: one event stream down, messages posted up, at two paths beside the endpoint's own.
//!
//! The stream is the session: it begins with an event that says where to post, and carries every answer. When it ends, the
//! session ends with it.
//!
//! S: MCP 2024-11-05 `basic/transports` "HTTP with SSE".

use super::Door;
use crate::client::{Client, Gone, Http, Letters};
use crate::drain::{Admitted, Phase, reached};
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::intake;
use crate::line::{self, Line};
use crate::rescue::{self, Fault};
use crate::session::Visit;
use crate::snapshot::Snapshot;
use crate::stay::{Bond, Stay};
use http::Method;
use std::sync::Arc;
use weir_policies::Principal;
use weir_protocol::code;

/// Messages that are written together, in bytes; nothing waits for them to be so many.
const BATCH: usize = 16 << 10;

/// Answers a request that came to one of the two paths. Without a place among the requests under way it may be a POST only.
pub(crate) async fn answer(
    core: &Arc<Core>,
    door: Door,
    snapshot: Arc<Snapshot>,
    endpoint: Arc<Endpoint>,
    principal: Arc<Principal>,
    mut http: Http<'_>,
    admitted: Option<Admitted>,
) -> Result<(), Gone> {
    let allow = match door {
        Door::SseStream if *http.method() == Method::GET => {
            return stream(core, snapshot, endpoint, &principal, http).await;
        }
        Door::SseMessages if *http.method() == Method::POST => {
            return message(core, snapshot, &endpoint, &principal, http, admitted).await;
        }
        Door::SseMessages => "POST",
        _ => "GET",
    };
    let message = format!("this method is not served here, use {allow}");
    http.method_not_allowed(allow, Fault::new(405, code::INVALID_REQUEST, message).body(None)).await
}

async fn refuse(mut http: Http<'_>, fault: &Fault) -> Result<(), Gone> {
    tracing::debug!(kind = fault.kind.as_str(), status = fault.status, fault.message, "request refused");
    http.json(fault.status, &[fault.body(None)]).await
}

/// Opens a session and serves it until its stream ends.
async fn stream(
    core: &Arc<Core>,
    snapshot: Arc<Snapshot>,
    endpoint: Arc<Endpoint>,
    principal: &Arc<Principal>,
    mut http: Http<'_>,
) -> Result<(), Gone> {
    if !http.read_accepts().stream {
        let message = "this path is answered by a `text/event-stream`; accept it";
        return refuse(http, &Fault::new(406, code::INVALID_REQUEST, message)).await;
    }
    let (line, letters) = match Line::open(core, &snapshot, &endpoint, principal) {
        Ok(opened) => opened,
        Err(fault) => return refuse(http, &fault).await,
    };
    let bond = Bond::Session(line.visit.session.clone());
    let stay = Stay::new(core, &endpoint, principal, http.peer(), bond);
    // A stream outlives reloads; nothing of what they replace may wait for it.
    drop((snapshot, endpoint));
    // Once: the endpoint's own path may end in the same way.
    let path = http.uri().path();
    let base = path.strip_suffix("/sse").unwrap_or(path).to_owned();
    http.push_event("endpoint", &format!("{base}/messages?sessionId={}", line.visit.session.id()));
    serve(core, &line, letters, Client::Http(http), stay).await
}

/// Writes everything that goes to the client, in the order in which it comes.
async fn serve(
    core: &Core,
    line: &Line,
    mut letters: Letters,
    mut client: Client<'_>,
    mut stay: Stay,
) -> Result<(), Gone> {
    client.flush().await?;
    let mut announcing = std::pin::pin!(line.announce());
    let (mut ended, mut draining) = (false, false);
    let mut phase = core.drain.watch();
    loop {
        tokio::select! {
            biased;
            () = stay.over() => return client.close().await,
            Some(letter) = letters.next() => {
                client.push(&letter.message);
                // What has been taken keeps its place until it is written.
                let mut taken = vec![letter];
                while client.pushed() < BATCH && let Some(letter) = letters.try_next() {
                    client.push(&letter.message);
                    taken.push(letter);
                }
                client.flush().await?;
            }
            () = client.gone() => return Err(Gone),
            () = &mut announcing, if !ended => ended = true,
            () = reached(&mut phase, Phase::Draining), if !draining => draining = true,
            // Calls may finish, and their answers are written before the stream ends.
            () = line.visit.session.idle(), if draining || ended => return client.close().await,
            () = tokio::time::sleep(line.keep_alive) => client.keep_alive().await?,
        }
    }
}

/// Takes a message in. It is answered on the stream.
async fn message(
    core: &Arc<Core>,
    snapshot: Arc<Snapshot>,
    endpoint: &Endpoint,
    principal: &Arc<Principal>,
    mut http: Http<'_>,
    admitted: Option<Admitted>,
) -> Result<(), Gone> {
    let limit = snapshot.config.limits.requests;
    // Held while the body arrives, so that the stream does not end before its message was taken.
    let Some(visit) = named(core, endpoint, principal, http.uri().query().unwrap_or_default()) else {
        let message = "session not found; open a new one with a GET of the path that ends with `/sse`";
        return refuse(http, &Fault::new(404, code::SERVER_ERROR - 1, message)).await;
    };
    let mail = match intake::content_type(&http) {
        Ok(()) => intake::body(&mut http, &snapshot.config)
            .await
            .and_then(|body| line::read(core, snapshot, &visit.session, principal, body)),
        Err(fault) => Err(fault),
    };
    match mail {
        Ok(mail) if admitted.is_none() && mail.asks() => {
            mail.refuse(Client::Http(http), &rescue::overloaded("requests", limit)).await
        }
        Ok(mail) => {
            line::begin(core, &visit.session, mail.from(http.address()), admitted).await;
            http.empty(202).await
        }
        Err(fault) => refuse(http, &fault).await,
    }
}

/// The session that the query names, if it is one of this transport, this endpoint and this principal.
fn named(core: &Core, endpoint: &Endpoint, principal: &Arc<Principal>, query: &str) -> Option<Visit> {
    let mut ids = query.split('&').filter_map(|pair| pair.strip_prefix("sessionId="));
    let (Some(id), None) = (ids.next(), ids.next()) else {
        return None;
    };
    let visit = core.sessions.visit(endpoint.number, principal, id);
    let visit = visit.filter(|visit| visit.session.is_connection())?;
    visit.session.renew(endpoint, principal);
    Some(visit)
}
