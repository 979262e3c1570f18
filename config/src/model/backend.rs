//! One MCP server behind weir.

use super::{Credentials, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// One MCP server behind weir.
#[derive(Debug, Clone, PartialEq)]
pub struct Backend {
    /// Its configured name: 1 to 64 characters of `[A-Za-z0-9_.-]`.
    pub name: String,
    /// How it is reached.
    pub transport: Transport,
    /// Which era of MCP it is spoken to in.
    pub era: EraSetting,
    /// Whom an upstream session belongs to. Default `client` for HTTP, `shared` for stdio.
    pub session: SessionScope,
    /// What it is told of folders where no client says which it works in. Default none.
    pub roots: Vec<Root>,
    /// Bounds on what it may send and how much it is asked at once.
    pub limits: BackendLimits,
    /// Bounds on time.
    pub timeouts: BackendTimeouts,
}

/// A folder or file that a server may work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// A `file:` URI, as it was written.
    pub uri: String,
    /// For people.
    pub name: Option<String>,
}

/// How a backend is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum Transport {
    /// A child process that speaks MCP on standard input and output.
    Stdio(StdioBackend),
    /// A server that speaks streamable HTTP.
    Http(HttpBackend),
}

/// A child process.
#[derive(Debug, Clone, PartialEq)]
pub struct StdioBackend {
    /// The program, looked up in `PATH`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables set beside the inherited ones.
    pub env: Vec<(String, Secret)>,
    /// Its working directory; absent means weir's own.
    pub cwd: Option<PathBuf>,
    /// Processes among which the calls of clients that can be asked for input are dealt out. Default 1.
    pub instances: usize,
}

/// A remote server.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpBackend {
    /// `http` or `https`, without user information or fragment.
    pub url: Url,
    /// Headers sent with every request.
    pub headers: Vec<(String, Secret)>,
    /// What it is shown so that it answers, beside the headers.
    pub auth: Credentials,
    /// Headers of callers that are passed on with their calls, in lower case.
    pub forward_headers: Vec<String>,
    /// A PEM file of certificate authorities trusted instead of the system's.
    pub ca: Option<PathBuf>,
    /// Speak HTTP/2: over TLS it is negotiated, over plain HTTP it is used with prior knowledge. Default:
    /// negotiated over TLS, HTTP/1.1 over plain HTTP (`false` there, `true` here).
    pub http2: bool,
}

/// Which era a backend speaks: found out, or pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Era")]
pub enum EraSetting {
    /// Probe with `server/discover`, fall back to `initialize`.
    #[default]
    Auto,
    /// 2026-07-28: every request stands alone.
    Modern,
    /// 2025-11-25 and earlier: `initialize` and sessions.
    Legacy,
}

/// Whom an upstream session belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Session")]
pub enum SessionScope {
    /// Each client session has its own.
    Client,
    /// All clients share one.
    Shared,
}

/// Bounds on what a backend may send and how much it is asked at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendLimits {
    /// Largest message it may send, in bytes (a JSON answer, an SSE event, a stdio line). Default 16 MiB.
    pub message: usize,
    /// Calls under way at once, and processes of client sessions at once; one more fails at once with a clear
    /// error. Default 256.
    pub calls: usize,
    /// Most items of one kind that it may list. Default 10,000.
    pub items: usize,
    /// Most resources whose updates it is asked for at once, over all clients. Default 10,000.
    pub subscriptions: usize,
}

/// Bounds on the time that a backend may take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendTimeouts {
    /// To open a connection, or for a child process whose input is full to take in a message. Default 10 s.
    pub connect: Duration,
    /// To answer the era probe, the handshake and each page of a list. Default 10 s.
    pub list: Duration,
    /// Silence during a call; progress starts it anew. Default 60 s.
    pub idle: Duration,
    /// A whole call. Default 600 s.
    pub call: Duration,
    /// How old a list may become before it is fetched again although no change was announced. Default 300 s.
    pub refresh: Duration,
    /// How long a child process has to exit after its standard input closed, and again after SIGTERM. Default
    /// 3 s.
    pub stop: Duration,
}

impl Backend {
    /// A child process with every default.
    pub fn stdio(
        name: impl Into<String>,
        command: impl Into<String>,
        args: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        let args = args.into_iter().map(Into::into).collect();
        let transport = StdioBackend {
            command: command.into(),
            args,
            env: Vec::new(),
            cwd: None,
            instances: StdioBackend::INSTANCES,
        };
        Self::new(name.into(), Transport::Stdio(transport), SessionScope::Shared)
    }

    /// A remote server with every default.
    pub fn http(name: impl Into<String>, url: Url) -> Self {
        let http2 = url.scheme() == "https";
        let transport = HttpBackend {
            url,
            headers: Vec::new(),
            auth: Credentials::default(),
            forward_headers: Vec::new(),
            ca: None,
            http2,
        };
        Self::new(name.into(), Transport::Http(transport), SessionScope::Client)
    }

    fn new(name: String, transport: Transport, session: SessionScope) -> Self {
        Self {
            name,
            transport,
            era: EraSetting::default(),
            session,
            roots: Vec::new(),
            limits: BackendLimits::default(),
            timeouts: BackendTimeouts::default(),
        }
    }
}

impl StdioBackend {
    /// So many processes where nothing else is said.
    pub const INSTANCES: usize = 1;
}

impl Default for BackendLimits {
    fn default() -> Self {
        Self { message: 16 << 20, calls: 256, items: 10_000, subscriptions: 10_000 }
    }
}

impl Default for BackendTimeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            list: Duration::from_secs(10),
            idle: Duration::from_secs(60),
            call: Duration::from_secs(600),
            refresh: Duration::from_secs(300),
            stop: Duration::from_secs(3),
        }
    }
}
