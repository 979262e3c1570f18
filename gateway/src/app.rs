//! The HTTP application: from a request's head to the edge that answers it.

use crate::client::{BodyError, Client, Gone};
use crate::drain::Phase;
use crate::edge::{self, Post};
use crate::gateway::Core;
use crate::intake;
use crate::rescue::{self, Fault};
use async_trait::async_trait;
use futures_util::poll;
use http::Method;
use pingora_core::apps::{HttpPersistentSettings, HttpServerApp, HttpServerOptions, ReusedHttpStream};
use pingora_core::protocols::http::ServerSession;
use pingora_core::protocols::http::v2::server::{H2Options, default_h2_options};
use pingora_core::server::ShutdownWatch;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;
use weir_protocol::{Envelope, Revision, code, headers, json};

/// Streams that one HTTP/2 connection may have open at once.
const H2_STREAMS: u32 = 1024;

/// Serves every connection of the listener.
pub(crate) struct App {
    core: Arc<Core>,
    options: HttpServerOptions,
}

impl App {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        let mut options = HttpServerOptions::default();
        options.h2c = core.config.listener.h2c;
        options.h2_idle_timeout = Some(core.config.timeouts.connection);
        Self { core, options }
    }

    async fn answer(&self, client: &mut Client<'_>) -> Result<(), Gone> {
        let core = &self.core;
        match core.gatekeeper.check(client) {
            Ok(Some(origin)) => client.allow_origin(origin),
            Ok(None) => {}
            Err(fault) => return refuse(client, &fault).await,
        }
        let Some(&index) = core.paths.get(client.uri().path()) else {
            return refuse(
                client,
                &Fault::new(404, code::INVALID_REQUEST, "no endpoint is served at this path"),
            )
            .await;
        };
        if core.drain.phase() != Phase::Serving {
            return refuse(client, &rescue::stopping()).await;
        }
        let Some(_admitted) = core.drain.admit() else {
            return refuse(client, &rescue::overloaded("requests", core.config.limits.requests)).await;
        };
        let modern = client.header(headers::PROTOCOL_VERSION).is_some_and(Revision::names_modern);
        match *client.method() {
            Method::POST => match self.read(client, index).await {
                Ok(post)
                    if modern || post.meta.as_ref().is_some_and(|meta| meta.protocol_version.is_some()) =>
                {
                    edge::modern::post(&post, client).await
                }
                Ok(post) => edge::legacy::post(&post, client).await,
                Err(fault) => refuse(client, &fault).await,
            },
            Method::OPTIONS => client.preflight().await,
            Method::GET if !modern => edge::legacy::get(core, index, client).await,
            Method::DELETE if !modern => edge::legacy::delete(core, index, client).await,
            _ => {
                let allow = if modern { "POST" } else { "POST, GET, DELETE" };
                let fault = Fault::new(
                    405,
                    code::INVALID_REQUEST,
                    format!("this method is not served here, use {allow}"),
                );
                client.method_not_allowed(allow, fault.body(None)).await
            }
        }
    }

    /// Reads and understands a body.
    async fn read(&self, client: &mut Client<'_>, index: usize) -> Result<Post, Fault> {
        intake::content_type(client)?;
        let accepts = client.accepts();
        if !accepts.json && !accepts.stream {
            let message = "accept `application/json` and `text/event-stream`, the two forms of an answer";
            return Err(Fault::new(406, code::INVALID_REQUEST, message));
        }
        let limits = &self.core.config.limits;
        let read = self.core.config.timeouts.read;
        let mut arriving = pin!(client.body(limits.body));
        // Most bodies arrive with their head, and then need no timer.
        let arrived = match poll!(&mut arriving) {
            Poll::Ready(body) => Ok(body),
            Poll::Pending => tokio::time::timeout(read, arriving).await,
        };
        let body = match arrived {
            Ok(Ok(body)) => body,
            Ok(Err(BodyError::TooLarge)) => {
                let message = format!("the body is larger than {} bytes", limits.body);
                return Err(Fault::new(413, code::INVALID_REQUEST, message));
            }
            Ok(Err(BodyError::Broken)) => {
                return Err(Fault::new(400, code::PARSE_ERROR, "the body did not arrive whole"));
            }
            Err(_) => {
                return Err(Fault::new(408, code::INVALID_REQUEST, "the body took too long to arrive"));
            }
        };
        let envelope = Envelope::parse(&body)?;
        if json::deeper_than(&body, limits.depth) {
            let message = format!("the message nests deeper than {} levels", limits.depth);
            return Err(Fault::new(400, code::INVALID_REQUEST, message));
        }
        let meta = envelope.meta(&body)?;
        let endpoint = self.core.endpoints.get(index).cloned().ok_or_else(rescue::stopping)?;
        Ok(Post { core: self.core.clone(), endpoint, index, accepts, body, envelope, meta })
    }
}

/// Answers a request that goes no further. Its body, should one follow, is not read.
async fn refuse(client: &mut Client<'_>, fault: &Fault) -> Result<(), Gone> {
    tracing::debug!(kind = fault.kind.as_str(), status = fault.status, fault.message, "request refused");
    client.json(fault.status, &[fault.body(None)]).await
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
        let timeouts = &self.core.config.timeouts;
        // A connection may idle for one time and then bring its head within the other; a trickle of bytes gains nothing.
        let head = tokio::time::timeout(timeouts.connection + timeouts.read, session.read_request());
        if !head.await.ok()?.ok()? {
            return None;
        }
        session.set_read_timeout(Some(timeouts.read));
        // pingora's own write timeout would bound a whole answer; the socket bounds the time in which nothing is taken.
        session.set_write_timeout(session.is_http2().then_some(timeouts.write));
        // A byte behind the request, be it a stray line end or the next request, is no reason to think the client gone.
        session.set_pipelining_enabled(true);
        keep_alive(&mut session, timeouts.connection, *shutdown.borrow());
        if self.answer(&mut Client::new(&mut session)).await.is_err() {
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
