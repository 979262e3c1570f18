//! `limits` and `timeouts`, of the front and of backends.

use crate::model;
use crate::quantity::{Size, TimeSpan};
use schemars::JsonSchema;
use serde::Deserialize;

/// Bounds on sizes and counts at the front, over all endpoints.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// Largest request body.
    #[schemars(extend("default" = Size(model::Limits::default().body)))]
    pub(crate) body: Option<Size>,
    /// Largest request head.
    #[schemars(extend("default" = Size(model::Limits::default().headers)))]
    pub(crate) headers: Option<Size>,
    /// Deepest nesting of a JSON body.
    #[schemars(range(min = 1, max = 128), extend("default" = model::Limits::default().depth))]
    pub(crate) depth: Option<usize>,
    /// Requests under way at once, open streams included.
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = model::Limits::default().requests))]
    pub(crate) requests: Option<usize>,
    /// Client sessions at once.
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = model::Limits::default().sessions))]
    pub(crate) sessions: Option<usize>,
    /// How much of one event stream is remembered for a legacy client that takes it up again after it broke off.
    #[schemars(extend("default" = Size(model::Limits::default().replay)))]
    pub(crate) replay: Option<Size>,
    /// How much of all event streams is remembered.
    #[schemars(extend("default" = Size(model::Limits::default().replays)))]
    pub(crate) replays: Option<Size>,
    /// Messages in one batch, which only clients of the revision 2025-03-26 may send.
    #[schemars(range(min = 1, max = 10_000), extend("default" = model::Limits::default().batch))]
    pub(crate) batch: Option<usize>,
    /// Resources that one client session, or one `subscriptions/listen` request, may be subscribed to.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = model::Limits::default().subscriptions))]
    pub(crate) subscriptions: Option<usize>,
    /// How often one call may be made again with the answers of its client; a server that asks once more fails the call.
    #[schemars(range(min = 1, max = 1000), extend("default" = model::Limits::default().rounds))]
    pub(crate) rounds: Option<usize>,
    /// Calls at once that legacy backends carry out for modern clients and that have asked them something; what one more
    /// asks is refused.
    #[schemars(range(min = 1, max = 10_000_000), extend("default" = model::Limits::default().parked))]
    pub(crate) parked: Option<usize>,
    /// How much of what modern backends let be cached of their resources is kept; `0` keeps none.
    #[schemars(extend("default" = Size(model::Limits::default().cache)))]
    pub(crate) cache: Option<Size>,
    /// Largest read of a resource that is kept.
    #[schemars(extend("default" = Size(model::Limits::default().cached)))]
    pub(crate) cached: Option<Size>,
}

/// Bounds on time at the front.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Timeouts {
    /// To read a request's head and body.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().read)))]
    pub(crate) read: Option<TimeSpan>,
    /// For one write to a client to be taken.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().write)))]
    pub(crate) write: Option<TimeSpan>,
    /// How long an idle connection is kept open.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().connection)))]
    pub(crate) connection: Option<TimeSpan>,
    /// How long a session without a request or an open stream is kept.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().session)))]
    pub(crate) session: Option<TimeSpan>,
    /// Silence on an event stream before a comment is sent.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().keep_alive)))]
    pub(crate) keep_alive: Option<TimeSpan>,
    /// How long an event stream that ended or broke off is remembered for a legacy client that takes it up again; `0s`
    /// remembers none.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().replay)))]
    pub(crate) replay: Option<TimeSpan>,
    /// How long a read of a resource is kept at most, whatever its backend allows.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().cache)))]
    pub(crate) cache: Option<TimeSpan>,
    /// How long the first lists of the backends are waited for at start; `0s` does not wait.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().start)))]
    pub(crate) start: Option<TimeSpan>,
    /// How long a client may take to answer what a backend asks it during a call. The backend's own timeouts stand still
    /// meanwhile.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().input)))]
    pub(crate) input: Option<TimeSpan>,
    /// How long one call may wait for answers of its client in all.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().inputs)))]
    pub(crate) inputs: Option<TimeSpan>,
    /// How long running calls may take after SIGTERM; `0s` ends them at once.
    #[schemars(extend("default" = TimeSpan(model::Timeouts::default().drain)))]
    pub(crate) drain: Option<TimeSpan>,
}

/// Bounds on what a backend may send and how much it is asked at once.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackendLimits {
    /// Largest message it may send: a JSON answer, an event, a line on standard output.
    #[schemars(extend("default" = Size(model::BackendLimits::default().message)))]
    pub(crate) message: Option<Size>,
    /// Calls under way at once, and for `session: client` processes, or HTTP+SSE streams, of client sessions at once;
    /// one more fails at once and says so.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = model::BackendLimits::default().calls))]
    pub(crate) calls: Option<usize>,
    /// Most items of one kind (tools, prompts, resources or templates) that it may list.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = model::BackendLimits::default().items))]
    pub(crate) items: Option<usize>,
    /// Most resources whose updates it is asked for at once, over all clients.
    #[schemars(range(min = 1, max = 1_000_000), extend("default" = model::BackendLimits::default().subscriptions))]
    pub(crate) subscriptions: Option<usize>,
}

/// Bounds on the time that a backend may take.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackendTimeouts {
    /// To open a connection, or for a program that is busy to take in a message.
    #[schemars(extend("default" = TimeSpan(model::BackendTimeouts::default().connect)))]
    pub(crate) connect: Option<TimeSpan>,
    /// To answer the era probe, the handshake and each page of a list.
    #[schemars(extend("default" = TimeSpan(model::BackendTimeouts::default().list)))]
    pub(crate) list: Option<TimeSpan>,
    /// Silence during a call; progress starts it anew.
    #[schemars(extend("default" = TimeSpan(model::BackendTimeouts::default().idle)))]
    pub(crate) idle: Option<TimeSpan>,
    /// A whole call.
    #[schemars(extend("default" = TimeSpan(model::BackendTimeouts::default().call)))]
    pub(crate) call: Option<TimeSpan>,
    /// How old a list may become before it is fetched again although no change was announced.
    #[schemars(extend("default" = TimeSpan(model::BackendTimeouts::default().refresh)))]
    pub(crate) refresh: Option<TimeSpan>,
    /// How long a process has to exit after its standard input closed, and again after SIGTERM; `0s` does not
    /// wait.
    #[schemars(extend("default" = TimeSpan(model::BackendTimeouts::default().stop)))]
    pub(crate) stop: Option<TimeSpan>,
}
