//! The HTTP application: from a request's head to the edge that answers it.

use crate::client::{Client, Gone, Http};
use crate::connect;
use crate::drain::{Phase, Room};
use crate::edge::{self, Batch, Door, Mail, Post};
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::intake;
use crate::listener::Peer;
use crate::rescue::{self, Fault};
use crate::snapshot::Snapshot;
use async_trait::async_trait;
use http::Method;
use pingora_core::ErrorType;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use weir_policies::Principal;
use weir_protocol::{Revision, batch, code, headers};

/// How long clients may keep what they have to know to log in, in seconds.
const METADATA: u32 = 300;
/// Streams that one HTTP/2 connection may have open at once.
const H2_STREAMS: u32 = 1024;

/// Requests that may wait in a room of an endpoint, at the least, until their issuers have said who sends them.
const FEWEST_STRANGERS: usize = 16;

/// How many requests may wait so, where `limit` may be under way.
fn strangers(limit: usize) -> usize {
    (limit / 8).max(FEWEST_STRANGERS)
}

/// Serves one connection.
pub(crate) struct App {
    core: Arc<Core>,
    options: HttpServerOptions,
    /// Where the client connects from.
    address: Option<IpAddr>,
    /// The client, by the certificate that it showed.
    peer: Option<Arc<Peer>>,
}

impl App {
    pub(crate) fn new(core: Arc<Core>, address: Option<IpAddr>, peer: Option<Arc<Peer>>) -> Self {
        let mut options = HttpServerOptions::default();
        let snapshot = core.snapshot.load();
        options.h2c = snapshot.config.listener.h2c;
        options.h2_idle_timeout = Some(snapshot.config.timeouts.connection);
        drop(snapshot);
        Self { core, options, address, peer }
    }

    /// Whether the client has to show a certificate, and the one that it showed is not good any more.
    fn is_stranger(&self) -> bool {
        self.peer.as_ref().is_some_and(|peer| peer.is_required() && peer.certificate().is_none())
    }

    async fn answer(&self, mut http: Http<'_>) -> Result<(), Gone> {
        let core = &self.core;
        // What the request meets from here on, whatever is reloaded meanwhile.
        let snapshot = core.snapshot.load_full();
        match snapshot.gatekeeper.check(&http) {
            Ok(Some(origin)) => http.allow_origin(origin),
            Ok(None) => {}
            Err(fault) => return refuse(http, &fault).await,
        }
        let Some((door, endpoint)) = Door::at(&snapshot, http.uri().path()) else {
            return elsewhere(core, snapshot, http).await;
        };
        // Browsers ask before they show who calls.
        if *http.method() == Method::OPTIONS {
            return http.preflight().await;
        }
        if core.drain.phase() != Phase::Serving {
            return refuse(http, &rescue::stopping()).await;
        }
        let limit = snapshot.config.limits.requests;
        let certificate = self.peer.as_ref().and_then(|peer| peer.certificate());
        let patience = snapshot.config.timeouts.read;
        let wait = |room: &Room| {
            let most = strangers(limit);
            core.drain
                .wait(room, most)
                .ok_or_else(|| rescue::overloaded("callers who are not known yet", most))
        };
        let (principal, waited) = match endpoint.entrance.admit(&http, certificate, patience, wait).await {
            Ok(arrival) => arrival,
            Err(fault) => return refuse(http, &fault).await,
        };
        let admitted = core.drain.admit(limit);
        drop(waited);
        // What asks nothing needs no place, and whether it does stands in its body.
        if admitted.is_none() && !intake::is_small_post(&http) {
            return refuse(http, &rescue::overloaded("requests", limit)).await;
        }
        if door != Door::Endpoint {
            // Boxed, so that what is rare does not make the future of every request larger.
            return Box::pin(edge::sse::answer(core, door, snapshot, endpoint, principal, http, admitted))
                .await;
        }
        let address = http.address();
        let modern = http.header(headers::PROTOCOL_VERSION).is_some_and(Revision::names_modern);
        match *http.method() {
            Method::POST => match self.read(&mut http, snapshot, endpoint, principal, modern).await {
                Ok(mail) if admitted.is_none() && mail.asks() => {
                    let fault = rescue::overloaded("requests", limit);
                    Box::pin(mail.refuse(Client::Http(http), &fault)).await
                }
                Ok(mail) => mail.from(address).answer(Client::Http(http), modern).await,
                Err(fault) => refuse(http, &fault).await,
            },
            Method::GET if !modern => edge::legacy::get(core, snapshot, endpoint, &principal, http).await,
            Method::DELETE if !modern => edge::legacy::delete(core, &endpoint, &principal, http).await,
            _ => {
                let allow = if modern { "POST" } else { "POST, GET, DELETE" };
                let fault = Fault::new(
                    405,
                    code::INVALID_REQUEST,
                    format!("this method is not served here, use {allow}"),
                );
                http.method_not_allowed(allow, fault.body(None)).await
            }
        }
    }

    /// Reads and understands what is posted.
    async fn read(
        &self,
        http: &mut Http<'_>,
        snapshot: Arc<Snapshot>,
        endpoint: Arc<Endpoint>,
        principal: Arc<Principal>,
        modern: bool,
    ) -> Result<Mail, Fault> {
        intake::content_type(http)?;
        let accepts = http.read_accepts();
        if !accepts.json && !accepts.stream {
            let message = "accept `application/json` and `text/event-stream`, the two forms of an answer";
            return Err(Fault::new(406, code::INVALID_REQUEST, message));
        }
        let body = intake::body(http, &snapshot.config).await?;
        if batch::is_batch(&body) && !modern {
            match edge::legacy::visit(&self.core, &endpoint, &principal, http.headers()) {
                Ok(visit) => {
                    let batch = Batch::read(&self.core, snapshot, &endpoint, &principal, visit, &body)?;
                    return Ok(Mail::Many(Box::new(batch)));
                }
                Err(fault) if fault.status == 404 => return Err(fault),
                // Without a session it is no batch of any revision, and refused as what it is.
                Err(_) => {}
            }
        }
        Ok(Mail::One(Post::read(&self.core, snapshot, endpoint, principal, None, body)?))
    }
}

/// Answers a request to a path at which no endpoint is.
async fn elsewhere(core: &Arc<Core>, snapshot: Arc<Snapshot>, mut http: Http<'_>) -> Result<(), Gone> {
    if connect::is_page(http.uri().path()) {
        // Boxed, so that what is rare does not make the future of every request larger.
        return Box::pin(connect::answer(core, snapshot, http)).await;
    }
    let Some(document) = snapshot.metadata(http.uri().path()) else {
        let fault = Fault::new(404, code::INVALID_REQUEST, "no endpoint is served at this path");
        return refuse(http, &fault).await;
    };
    match *http.method() {
        Method::GET | Method::HEAD => http.document(document.clone(), METADATA).await,
        Method::OPTIONS => http.preflight().await,
        _ => {
            let fault = Fault::new(405, code::INVALID_REQUEST, "this method is not served here, use GET");
            http.method_not_allowed("GET, HEAD", fault.body(None)).await
        }
    }
}

/// Answers a request that goes no further. Its body, should one follow, is not read.
async fn refuse(mut http: Http<'_>, fault: &Fault) -> Result<(), Gone> {
    tracing::debug!(kind = fault.kind.as_str(), status = fault.status, fault.message, "request refused");
    if let Some(challenge) = &fault.challenge {
        http.challenge(challenge);
    }
    http.json(fault.status, &[fault.body(None)]).await
}

/// Lets the connection serve another request, unless the request itself ruled that out: by HTTP/1.0, by asking for it, or
/// by a length that is told twice, which may be an attempt to smuggle a request (RFC 9112 section 6.1).
fn keep_alive(session: &mut ServerSession, keep: Duration, stopping: bool) {
    let keep = (!stopping && session.get_keepalive().is_some()).then(|| keep.as_secs().max(1));
    session.set_keepalive(keep);
}

#[async_trait]
impl HttpServerApp for App {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        // Only for as long as nothing is asked: an unused connection must not hold on to a snapshot.
        let timeouts = self.core.snapshot.load().config.timeouts.clone();
        // A connection may idle for one time and then bring its head within the other; a trickle of bytes gains nothing.
        let head = tokio::time::timeout(timeouts.connection + timeouts.read, session.read_request());
        match head.await.ok()? {
            Ok(true) => {}
            Err(error) if *error.etype() == ErrorType::InvalidHTTPHeader => {
                // What is no HTTP is told so, as well as HTTP can (RFC 9112 section 2.2).
                let _ = session.respond_error(400).await;
                session.shutdown().await;
                return None;
            }
            Ok(false) | Err(_) => return None,
        }
        if self.is_stranger() {
            // Nobody vouches for this client any more.
            session.shutdown().await;
            return None;
        }
        session.set_read_timeout(Some(timeouts.read));
        // pingora's own write timeout would bound a whole answer; the socket bounds the time in which nothing is taken.
        session.set_write_timeout(session.is_http2().then_some(timeouts.write));
        // A byte behind the request, be it a stray line end or the next request, is no reason to think the client gone.
        session.set_pipelining_enabled(true);
        keep_alive(&mut session, timeouts.connection, *shutdown.borrow());
        if self.answer(Http::new(&mut session, self.address, self.peer.as_ref())).await.is_err() {
            session.shutdown().await;
            return None;
        }
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let settings = HttpPersistentSettings::for_session(&session);
        let reusable = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(reusable, settings))
    }

    fn h2_options(&self) -> Option<H2Options> {
        let mut options = default_h2_options();
        options.max_concurrent_streams(H2_STREAMS);
        Some(options)
    }

    fn server_options(&self) -> Option<&HttpServerOptions> {
        Some(&self.options)
    }
}
