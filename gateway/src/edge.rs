//! Where a client's dialect is taken off: `modern` and `legacy`; what both share stands here.

mod batch;
mod hints;
pub(crate) mod legacy;
mod listing;
pub(crate) mod modern;
mod retry;
pub(crate) mod sse;

pub(crate) use batch::Batch;

use crate::answer::{Asker, SERVER_INFO};
use crate::cache;
use crate::call::{self, Manner, Request, Routed};
use crate::catalog::{Catalog, Offers};
use crate::client::{Client, Gone};
use crate::decision::Circumstances;
use crate::endpoint::Endpoint;
use crate::gateway::Core;
use crate::pump::{self, Terms};
use crate::rescue::Fault;
use crate::session::{Cancellable, Session};
use crate::snapshot::Snapshot;
use crate::stay::{Bond, Stay};
use crate::tasks;
use bytes::Bytes;
use std::net::IpAddr;
use std::sync::Arc;
use weir_backends::Input;
use weir_policies::Principal;
use weir_protocol::{Envelope, Era, Kind, Meta, Method, Revision, code, json};

/// A message that was read and understood, over whatever transport it came.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) core: Arc<Core>,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) snapshot: Arc<Snapshot>,
    /// Who calls.
    pub(crate) principal: Arc<Principal>,
    /// Where the client connects from, where that is a network.
    pub(crate) address: Option<IpAddr>,
    /// The session, where it is known without headers: the connection is one, or the batch came in one.
    pub(crate) session: Option<Arc<Session>>,
    pub(crate) body: Bytes,
    pub(crate) envelope: Envelope,
    pub(crate) meta: Option<Meta>,
}

impl Post {
    /// Understands a message of `principal` for `endpoint`, which is one of `snapshot`.
    pub(crate) fn read(
        core: &Arc<Core>,
        snapshot: Arc<Snapshot>,
        endpoint: Arc<Endpoint>,
        principal: Arc<Principal>,
        session: Option<Arc<Session>>,
        body: Bytes,
    ) -> Result<Self, Fault> {
        let envelope = Envelope::parse(&body)?;
        let depth = snapshot.config.limits.depth;
        if json::deeper_than(&body, depth) {
            let message = format!("the message nests deeper than {depth} levels");
            return Err(Fault::new(400, code::INVALID_REQUEST, message));
        }
        let meta = envelope.meta(&body)?;
        let core = core.clone();
        Ok(Self { core, endpoint, snapshot, principal, address: None, session, body, envelope, meta })
    }

    /// For how long whoever sent it may hear what comes of it on a stream.
    pub(crate) fn stay(&self, client: &Client<'_>) -> Stay {
        Stay::new(&self.core, &self.endpoint, &self.principal, client.peer(), Bond::Call)
    }

    /// Whether the message itself says that it belongs to the modern era.
    fn names_modern(&self) -> bool {
        self.meta.as_ref().is_some_and(|meta| meta.protocol_version.is_some())
    }

    /// The raw id; `null` for a notification.
    fn id(&self) -> Bytes {
        self.envelope.id.map_or(Bytes::from_static(b"null"), |span| self.body.slice(span.start()..span.end()))
    }

    fn progress_token(&self) -> Option<Bytes> {
        let span = self.meta.as_ref()?.progress_token?;
        Some(self.body.slice(span.start()..span.end()))
    }

    /// The raw id of the request that a notification cancels; empty where it names none.
    fn cancels(&self) -> &[u8] {
        let id = self.envelope.params.as_ref().and_then(|params| params.request_id);
        id.map(|span| span.of(&self.body)).unwrap_or_default()
    }

    /// Makes the request cancellable by its id, where there is a session that knows it.
    fn cancellable(&self) -> Option<Cancellable> {
        Some(self.session.as_ref()?.cancellable(&self.id()))
    }

    /// Under which circumstances it was sent by a client of `era`.
    fn circumstances(&self, era: Era, retry: bool) -> Circumstances {
        Circumstances { era, address: self.address, retry }
    }

    /// Finds the owner of what a call names and decides whether it may be called; `retry` says whether weir knows that it is
    /// made again, and `input` is what it brings for a modern backend.
    pub(crate) fn route(
        &self,
        manner: &Manner,
        retry: bool,
        input: Option<Box<Input>>,
    ) -> Result<Routed, Fault> {
        let request = Request {
            body: &self.body,
            envelope: &self.envelope,
            meta: self.meta.as_ref(),
            circumstances: self.circumstances(manner.era(), retry),
            principal: &self.principal,
            manner,
            inputs: self.snapshot.config.timeouts.inputs,
            input,
        };
        let seal = &self.core.seal;
        match manner.method.is_about_a_task() {
            true => tasks::route(&self.endpoint, seal, request),
            false => call::route(&self.endpoint, seal, request),
        }
    }

    /// Sends a call that was decided for the first time, or finds its answer among what is kept.
    fn begin(&self, manner: &Manner, routed: Routed) -> retry::Begun {
        match manner.method {
            Method::ResourcesRead => {
                let prefix = routed.uri_prefix.clone();
                (cache::start(&self.snapshot.cache, routed), prefix, None)
            }
            _ => retry::begin(routed),
        }
    }

    /// Routes a call and carries it to its end.
    async fn call(
        &self,
        client: &mut Client<'_>,
        manner: Manner,
        cancellable: Option<Cancellable>,
    ) -> Result<(), Gone> {
        let era = manner.era();
        let mut asker = Asker {
            id: self.id(),
            era,
            cacheable: manner.cacheable,
            public: self.endpoint.policies.are_open(),
            progress_token: self.progress_token(),
            logs: manner.logs,
            uris: None,
            tasks: None,
        };
        let begun = if self.is_retry(&manner) {
            // Boxed, so that what is rare does not make the future of every call larger.
            Box::pin(self.retry(&manner, client.headers())).await
        } else {
            let routed = self.route(&manner, false, None);
            routed
                .and_then(|routed| modern::heard(routed, era, self, client.headers()))
                .map(|routed| self.begin(&manner, routed))
        };
        match begun {
            Ok((running, uri_prefix, tasks)) => {
                asker.tasks = tasks;
                asker.uris = uri_prefix.map(|prefix| (manner.method, prefix));
                let terms = Terms { asker, post: self, manner: &manner };
                pump::carry(client, running, &terms, cancellable).await
            }
            Err(fault) => {
                tracing::debug!(kind = fault.kind.as_str(), code = fault.code, fault.message, "call refused");
                let answer = asker.fault(&fault);
                client.challenge(fault.challenge.as_deref());
                client.refuse(answer.status, answer.body).await
            }
        }
    }

    async fn fault(&self, client: &mut Client<'_>, fault: &Fault) -> Result<(), Gone> {
        if self.envelope.kind != Kind::Request && client.headers().is_none() {
            // JSON-RPC has no answer to what is no request; HTTP has a status for it.
            tracing::debug!(kind = fault.kind.as_str(), fault.message, "message dropped");
            return client.close().await;
        }
        let id = self.envelope.id.map(|span| span.of(&self.body));
        tracing::debug!(kind = fault.kind.as_str(), code = fault.code, fault.message, "request refused");
        client.challenge(fault.challenge.as_deref());
        client.refuse(fault.status, fault.body(id)).await
    }

    async fn result(&self, client: &mut Client<'_>, result: &str) -> Result<(), Gone> {
        client.answer(200, &[code::result_answer(&self.id(), result.as_bytes())]).await
    }
}

/// What a path leads to: an endpoint, in one of its transports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Door {
    /// Streamable HTTP, at the endpoint's own path.
    Endpoint,
    /// Where a stream of HTTP+SSE is opened.
    SseStream,
    /// Where messages of HTTP+SSE are posted.
    SseMessages,
}

impl Door {
    /// What stands at a path, and the endpoint behind it.
    pub(crate) fn at(snapshot: &Snapshot, path: &str) -> Option<(Self, Arc<Endpoint>)> {
        if let Some(endpoint) = snapshot.at(path) {
            return Some((Self::Endpoint, endpoint.clone()));
        }
        let (base, last) = path.rsplit_once('/')?;
        let endpoint = snapshot.at(if base.is_empty() { "/" } else { base })?;
        let door = match last {
            "sse" => Self::SseStream,
            "messages" => Self::SseMessages,
            _ => return None,
        };
        endpoint.spec.sse.then(|| (door, endpoint.clone()))
    }
}

/// What one body or line holds.
#[expect(clippy::large_enum_variant, reason = "nearly every mail is one message, a box would cost more")]
pub(crate) enum Mail {
    One(Post),
    Many(Box<Batch>),
}

impl Mail {
    /// Says where it comes from.
    pub(crate) fn from(mut self, address: Option<IpAddr>) -> Self {
        match &mut self {
            Self::One(post) => post.address = address,
            Self::Many(batch) => batch.come_from(address),
        }
        self
    }

    /// Whether it asks for something, and needs a place among the requests under way. What asks nothing must pass when all
    /// places are taken: cancelling is how a client gets one back.
    pub(crate) fn asks(&self) -> bool {
        match self {
            Self::One(post) => post.envelope.kind == Kind::Request,
            Self::Many(batch) => batch.asks(),
        }
    }

    /// Answers it in the era that it belongs to; `modern` where its transport says already that it is the modern one.
    pub(crate) async fn answer(self, mut client: Client<'_>, modern: bool) -> Result<(), Gone> {
        match self {
            Self::One(post) if modern || post.names_modern() => {
                let Some(listening) = modern::post(&post, &mut client).await? else {
                    return Ok(());
                };
                let core = post.core.clone();
                // A stream outlives reloads; nothing of what they replace may wait for it.
                drop(post);
                listening.run(&mut client, &core.drain).await
            }
            Self::One(post) => legacy::post(&post, &mut client).await,
            // Boxed, so that what is rare does not make the future of every request larger.
            Self::Many(batch) => Box::pin(batch.answer(&mut client)).await,
        }
    }

    /// Answers that it is not taken.
    pub(crate) async fn refuse(self, mut client: Client<'_>, fault: &Fault) -> Result<(), Gone> {
        match self {
            Self::One(post) => post.fault(&mut client, fault).await,
            Self::Many(batch) => Box::pin(batch.refuse(&mut client, fault)).await,
        }
    }
}

/// `capabilities`, as `revision` writes them.
fn capabilities(offers: Offers, revision: Revision) -> String {
    let extensions = [
        (offers.tasks && revision.era() == Era::Modern, weir_protocol::capabilities::TASKS),
        (offers.interfaces, weir_protocol::capabilities::UI),
    ];
    let extensions = extensions.into_iter().filter(|(offered, _)| *offered);
    let extensions: Vec<String> = extensions.map(|(_, name)| format!(r#""{name}":{{}}"#)).collect();
    let some = !extensions.is_empty();
    let extensions = format!(r#""extensions":{{{}}}"#, extensions.join(","));
    // What a server has of tasks beside those calls is offered nowhere without them; a list of all tasks is not offered, since
    // weir keeps none.
    let tasks = offers.legacy_tasks.calls && revision == Revision::V2025_11_25;
    let (cancel, requests) = (offers.legacy_tasks.cancel, r#""requests":{"tools":{"call":{}}}"#);
    let all = [
        (offers.tools, r#""tools":{"listChanged":true}"#),
        (offers.prompts, r#""prompts":{"listChanged":true}"#),
        (offers.resources && !offers.subscribe, r#""resources":{"listChanged":true}"#),
        (offers.resources && offers.subscribe, r#""resources":{"listChanged":true,"subscribe":true}"#),
        (offers.logging, r#""logging":{}"#),
        (offers.completions, r#""completions":{}"#),
        (tasks && !cancel, &*format!(r#""tasks":{{{requests}}}"#)),
        (tasks && cancel, &*format!(r#""tasks":{{"cancel":{{}},{requests}}}"#)),
        (some, &*extensions),
    ];
    let offered: Vec<&str> = all.into_iter().filter_map(|(offered, text)| offered.then_some(text)).collect();
    format!("{{{}}}", offered.join(","))
}

/// What the caller's model is told; of the backends' words those of which the caller sees something.
fn instructions(post: &Post, catalog: &Catalog) -> String {
    let sees = post.core.visibility.owners(&post.endpoint, catalog, &post.principal);
    match catalog.instructions.text(sees) {
        None => String::new(),
        Some(text) => format!(",\"instructions\":{}", String::from_utf8_lossy(&json::string(&text))),
    }
}

/// The result of `initialize`.
fn initialize_result(post: &Post, revision: Revision) -> String {
    let catalog = &post.endpoint.catalog();
    format!(
        r#"{{"protocolVersion":"{}","capabilities":{},"serverInfo":{SERVER_INFO}{}}}"#,
        revision.as_str(),
        capabilities(catalog.offers, revision),
        instructions(post, catalog)
    )
}

/// The result of `server/discover`.
fn discover_result(post: &Post) -> String {
    let endpoint = &post.endpoint;
    let catalog = &endpoint.catalog();
    format!(
        r#"{{"resultType":"complete","supportedVersions":["{}"],"capabilities":{},"serverInfo":{SERVER_INFO},{},"_meta":{{"{}":{SERVER_INFO}}}{}}}"#,
        Revision::LATEST.as_str(),
        capabilities(catalog.offers, Revision::LATEST),
        hints::of(endpoint, catalog, catalog.discovered).members(),
        weir_protocol::meta::SERVER_INFO,
        instructions(post, catalog)
    )
}
