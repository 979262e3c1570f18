//! The seam: what the core asks of any backend.

use crate::http::HttpBackend;
use crate::pending::Topic;
use crate::stdio::StdioBackend;
use crate::{
    BackendError, Changes, Connector, Exchange, Grants, IconError, Inventory, Notice, Subject, Subscribed,
};
use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderValue;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{broadcast, watch};
use weir_config::Transport;
use weir_policies::Permit;
use weir_protocol::{ClientCapabilities, Envelope, Era, Logs, Meta, Method, Mirrors, Span};
use weir_runtime::Guardian;

/// Whom an upstream session serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SessionKey {
    /// Everybody: weir's own lists, clients without sessions, backends with `session: shared`.
    Shared,
    /// One client session, by weir's number for it.
    Client(u128),
}

/// One request of a client, on its way to the backend that owns what it names.
#[derive(Debug)]
pub struct Call {
    /// The client's message, as it came.
    pub body: Bytes,
    /// Its head.
    pub envelope: Envelope,
    /// What weir reads of its `params._meta`.
    pub meta: Option<Meta>,
    /// Its method.
    pub method: Method,
    /// The name or URI that the backend knows, for routing headers; `None` for methods without one.
    pub target: Option<Arc<str>>,
    /// Where the exposed name stands and what to write instead, as raw JSON; `None` where nothing changes.
    pub rename: Option<(Span, Bytes)>,
    /// The arguments to send in place of the client's, as a raw JSON object; `None` where nothing changes.
    pub arguments: Option<Bytes>,
    /// Whose upstream session it uses, where the backend keeps sessions.
    pub session: SessionKey,
    /// Whether sending it twice does no harm (a read, or a tool that says it is read-only or idempotent).
    pub repeatable: bool,
    /// The arguments that the backend wants mirrored in headers, where it is a modern one over HTTP.
    pub mirrors: Option<Arc<Mirrors>>,
    /// Which log messages its client wants to see.
    pub logs: Logs,
    /// What its client can be asked for while the call runs.
    pub capabilities: ClientCapabilities,
    /// Headers of its client that are passed on, names in lower case.
    pub passed_on: Vec<(String, HeaderValue)>,
    /// What a modern backend asked for, where this is the call made again with it.
    pub input: Option<Box<Input>>,
    /// Whether a legacy backend carries it out as a task.
    pub augment: Augment,
    /// Where the legacy task lives that it is about, as [`Outcome::Begun`](crate::Outcome::Begun) said; `None` for all other
    /// calls.
    pub home: Option<u64>,
}

/// Whether a legacy backend carries a call out as a task (2025-11-25 `basic/utilities/tasks`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Augment {
    /// No: a `task` that the client wrote is left out.
    #[default]
    No,
    /// The client asks for it, and for what comes of it later.
    Client,
    /// weir asks for it, and the client, which knows nothing of a task, gets what comes of it. The server is asked to keep the
    /// task for so long.
    Gateway(Duration),
}

/// The answers to what a modern backend asked for (2026-07-28 `basic/patterns/mrtr`).
#[derive(Debug, Clone, Default)]
pub struct Input {
    /// `inputResponses`, a raw JSON object; `None` where the backend asked for nothing but to be called again.
    pub responses: Option<Bytes>,
    /// `requestState` as the backend wrote it, a raw JSON string; `None` where it wrote none.
    pub state: Option<Bytes>,
    /// A backend asked for it; else the client brings it unasked, and a server without use for it may still be called.
    pub asked: bool,
}

impl Call {
    /// What its client can be asked while it runs: nothing, but for the requests during which a server may ask (2026-07-28
    /// `basic/patterns/mrtr`).
    pub fn askable(&self) -> ClientCapabilities {
        match self.method {
            Method::ToolsCall | Method::PromptsGet | Method::ResourcesRead | Method::TasksResult => {
                self.capabilities
            }
            _ => ClientCapabilities::NONE,
        }
    }

    /// The legacy task that it is about, by the id that the backend knows.
    pub(crate) fn legacy_task(&self) -> Option<Arc<str>> {
        self.target.clone().filter(|_| self.home.is_some())
    }

    /// What it has to do with a legacy task, for whoever hears what is said of that.
    pub(crate) fn topic(&self) -> Option<Topic> {
        match (self.legacy_task(), self.method) {
            (Some(task), Method::TasksResult) => Some(Topic::Result(task)),
            (Some(task), _) => Some(Topic::About(task)),
            (None, _) => match self.augment {
                Augment::No => None,
                Augment::Client => Some(Topic::Offered),
                Augment::Gateway(_) => Some(Topic::Becoming),
            },
        }
    }

    /// Whether a server of `era` may be sent it.
    ///
    /// # Errors
    /// It brings what a modern server asked for to a legacy one, which would carry the call out once more without that. Or it
    /// wants of a modern server what only a legacy one has.
    pub(crate) fn suits(&self, era: Era) -> Result<(), BackendError> {
        let asked = self.input.as_ref().is_some_and(|input| input.asked);
        match era {
            Era::Legacy if asked => Err(BackendError::Replaced),
            Era::Modern if self.home.is_some() => Err(BackendError::TaskGone),
            Era::Modern if self.augment == Augment::Client => {
                Err(BackendError::Unsupported("tasks of 2025-11-25 any more"))
            }
            _ => Ok(()),
        }
    }

    /// The arguments that the backend gets, as raw JSON; `None` where it gets none.
    pub fn arguments(&self) -> Option<&[u8]> {
        let sent = || Some(self.envelope.params.as_ref()?.arguments?.of(&self.body));
        self.arguments.as_deref().or_else(sent)
    }
}

/// One MCP server behind weir. Dropping the future of a call, or its [`Exchange`] before the outcome, cancels the call
/// upstream as the backend's dialect demands.
#[async_trait]
pub trait Backend: Send + Sync + std::fmt::Debug {
    /// Its configured name.
    fn name(&self) -> &str;

    /// Sends one allowed call.
    async fn call(self: Arc<Self>, permit: Permit, call: Box<Call>) -> Result<Exchange, BackendError>;

    /// Fetches everything it offers, every page of every list; connects first where needed.
    async fn inventory(&self) -> Result<Inventory, BackendError>;

    /// Fetches the icon at `url` as a `data:` URI. Only what is at the server's own origin is asked for, without the
    /// configured headers, and no redirect is followed: no server makes weir send a request anywhere else.
    async fn icon(&self, _url: &str) -> Result<String, IconError> {
        Err(IconError::Elsewhere)
    }

    /// Subscribes to a resource or a task, by the URI or id that the backend knows: its updates are among the [notices](Backend::notices) as
    /// long as what is answered lives. However many subscribe, the backend is asked once, and again in every new
    /// connection; after a gap, in which an update may have been missed, one is announced,
    /// or for a task that it may have been missed.
    async fn subscribe(&self, permit: Permit, subject: Subject) -> Result<Subscribed, BackendError>;

    /// Whether each caller has a credential of their own there, so that nothing that it answers to one is shown to another.
    fn is_each_callers(&self) -> bool {
        false
    }

    /// How its users connect it, where they do.
    fn connector(&self) -> Option<Arc<Connector>> {
        None
    }

    /// What the backend tells from now on without being asked, lists aside.
    fn notices(&self) -> broadcast::Receiver<Notice>;

    /// Counts the reasons to fetch the inventory again: announced changes, lost connections.
    fn changes(&self) -> watch::Receiver<Changes>;

    /// A client session ended: whatever was kept for it is closed.
    fn end_session(&self, key: SessionKey);

    /// Closes everything: sessions upstream, connections, processes. Calls fail from now on.
    async fn close(&self);
}

/// Makes the backend of a server that already runs at a URL: `http` is what `spec` says of it.
///
/// # Errors
/// As [`connect`].
pub fn connect_http(
    spec: &weir_config::Backend,
    http: &weir_config::HttpBackend,
    grants: &Arc<dyn Grants>,
    handle: &Handle,
) -> Result<Arc<dyn Backend>, BackendError> {
    HttpBackend::connect(spec, http, grants, handle.clone())
}

/// Makes the backend of `spec`. What users granted is in `grants`. Nothing is started or connected yet; background work runs on `handle`.
///
/// # Errors
/// The certificate authorities of an HTTP backend cannot be read.
pub fn connect(
    spec: &weir_config::Backend,
    guardian: &Guardian,
    grants: &Arc<dyn Grants>,
    handle: &Handle,
) -> Result<Arc<dyn Backend>, BackendError> {
    Ok(match &spec.transport {
        Transport::Http(http) => connect_http(spec, http, grants, handle)?,
        Transport::Stdio(stdio) => StdioBackend::connect(spec, stdio, guardian.clone(), handle.clone()),
    })
}
