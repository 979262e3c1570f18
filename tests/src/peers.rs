//! The real MCP servers and clients that weir is tested against, installed by `make peers`.
//!
//! Each server is given as the member of a configuration that makes it a backend.

use crate::process::Process;
use crate::wait;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A server that listens for HTTP and ends with the test.
pub struct HttpPeer {
    name: &'static str,
    command: Box<dyn Fn(u16) -> Command + Send + Sync>,
    port: u16,
    process: Option<Process>,
    url: String,
}

impl std::fmt::Debug for HttpPeer {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} at {}", self.name, self.url)
    }
}

impl HttpPeer {
    /// The URL of its MCP endpoint.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The same server, whose MCP endpoint is at another path than `/mcp`.
    fn at(mut self, path: &str) -> Self {
        self.url = format!("http://127.0.0.1:{}{path}", self.port);
        self
    }

    /// Ends the server and starts it again at the same address; whatever it remembered is gone.
    pub fn restart(&mut self) {
        // Dropped first, so that the port is free.
        self.process = None;
        self.process = listening(self.name, self.port, &self.command);
        assert!(self.process.is_some(), "{self:?} cannot be started again");
    }

    /// Starts a server on a free port. The port is chosen first, so another process may take it: then it is tried again.
    fn start(name: &'static str, command: impl Fn(u16) -> Command + Send + Sync + 'static) -> Self {
        for _ in 0..5 {
            let port = free_port();
            if let Some(process) = listening(name, port, &command) {
                return Self {
                    name,
                    command: Box::new(command),
                    port,
                    process: Some(process),
                    url: format!("http://127.0.0.1:{port}/mcp"),
                };
            }
        }
        panic!("{name} cannot be started");
    }
}

/// Starts a server and waits until it listens; `None` when it ended instead.
fn listening(name: &str, port: u16, command: &impl Fn(u16) -> Command) -> Option<Process> {
    let mut process = Process::start(&mut command(port), "");
    let listening = wait::poll(wait::DEADLINE, &mut || {
        let ended = process.ended().map(|_| false);
        ended.or_else(|| std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(|_| true))
    });
    match listening {
        Some(true) => Some(process),
        Some(false) => None,
        None => panic!("{name} does not listen: {}", process.stderr()),
    }
}

/// server-everything over stdio: legacy, one of everything.
pub fn everything_stdio() -> Value {
    node_server("server-everything", &["stdio"])
}

/// server-everything over streamable HTTP: legacy, with sessions.
pub fn everything_http() -> HttpPeer {
    HttpPeer::start("server-everything", |port| {
        let mut command = node();
        command.arg(node_entry("server-everything")).arg("streamableHttp").env("PORT", port.to_string());
        command
    })
}

/// server-everything over the HTTP+SSE transport of 2024-11-05.
pub fn everything_sse() -> HttpPeer {
    let start = |port: u16| {
        let mut command = node();
        command.arg(node_entry("server-everything")).arg("sse").env("PORT", port.to_string());
        command
    };
    HttpPeer::start("server-everything over SSE", start).at("/sse")
}

/// server-filesystem over stdio, confined to `directory`: legacy.
pub fn filesystem(directory: &Path) -> Value {
    node_server("server-filesystem", &[text(directory)])
}

/// server-memory over stdio, kept in `file`: legacy.
pub fn memory(file: &Path) -> Value {
    let mut backend = node_server("server-memory", &[]);
    backend["env"] = json!({"MEMORY_FILE_PATH": file});
    backend
}

/// mcp-server-time over stdio: both eras.
pub fn time() -> Value {
    json!({"command": python_bin("mcp-server-time"), "args": ["--local-timezone", "UTC"]})
}

/// mcp-server-git over stdio on one repository: both eras.
pub fn git(repository: &Path) -> Value {
    json!({"command": python_bin("mcp-server-git"), "args": ["--repository", repository]})
}

/// The FastMCP server of `fixtures/fast.py` over streamable HTTP: both eras.
pub fn fastmcp_http() -> HttpPeer {
    HttpPeer::start("FastMCP", |port| {
        let mut command = Command::new(python_bin("fastmcp"));
        command.arg("run").arg(peers().join("fixtures/fast.py")).args(["--transport", "http", "--no-banner"]);
        command.args(["--host", "127.0.0.1", "--port", &port.to_string()]);
        command
    })
}

/// The same FastMCP server over the HTTP+SSE transport of 2024-11-05. Restarted while `modern` is set, it speaks streamable
/// HTTP of both eras at the same URL.
pub fn fastmcp_sse(modern: Arc<AtomicBool>) -> HttpPeer {
    let start = move |port: u16| {
        let transport = if modern.load(Ordering::SeqCst) { "http" } else { "sse" };
        let mut command = Command::new(python_bin("fastmcp"));
        command.arg("run").arg(peers().join("fixtures/fast.py")).args([
            "--transport",
            transport,
            "--no-banner",
        ]);
        command.args(["--path", "/sse", "--host", "127.0.0.1", "--port", &port.to_string()]);
        command
    };
    HttpPeer::start("FastMCP over SSE", start).at("/sse")
}

/// The Python SDK's server of `fixtures/sse.py` over the HTTP+SSE transport of 2024-11-05; it works in `directory`.
pub fn python_sse(directory: &Path) -> HttpPeer {
    let directory = directory.to_owned();
    let start = move |port: u16| {
        let mut command = python();
        command.arg(peers().join("fixtures/sse.py")).arg(port.to_string()).arg(&directory);
        command
    };
    HttpPeer::start("the Python SDK's SSE server", start).at("/sse")
}

/// The same FastMCP server over stdio.
pub fn fastmcp_stdio() -> Value {
    let script = peers().join("fixtures/fast.py");
    json!({"command": python_bin("fastmcp"), "args": ["run", script, "--no-banner"]})
}

/// The server of `fixtures/conformance.py` over streamable HTTP: both eras, all that the conformance suite asks for.
pub fn conformance_http() -> HttpPeer {
    conformance("the conformance server", "streamable-http")
}

/// The same conformance server where it speaks no modern revision.
pub fn conformance_legacy() -> HttpPeer {
    conformance("the legacy conformance server", "legacy")
}

/// The same conformance server where it knows no `initialize`.
pub fn conformance_modern() -> HttpPeer {
    conformance("the modern conformance server", "modern")
}

/// The Python SDK's server of `fixtures/caching.py`: its lists may be kept for `ttl` milliseconds, by whom `scope` says.
pub fn caching_http(ttl: u64, scope: &'static str) -> HttpPeer {
    HttpPeer::start("the caching server", move |port| {
        let mut command = python();
        command.arg(peers().join("fixtures/caching.py")).arg(port.to_string());
        command.args([ttl.to_string().as_str(), scope]);
        command
    })
}

/// The server of `fixtures/tasks.py` over streamable HTTP: modern, with the tasks extension.
pub fn tasks_http() -> HttpPeer {
    HttpPeer::start("the server of tasks", |port| {
        let mut command = python();
        command.arg(peers().join("fixtures/tasks.py")).arg(port.to_string());
        command
    })
}

/// The OpenID provider of `fixtures/oidc.mjs`; no MCP server. Its URL is that of its origin.
pub(crate) fn oidc(settings: Value) -> HttpPeer {
    HttpPeer::start("the OpenID provider", move |port| {
        let mut command = node();
        command.arg(peers().join("fixtures/oidc.mjs")).arg(port.to_string()).arg(settings.to_string());
        command
    })
    .at("/")
}

/// The same conformance server over the HTTP+SSE transport of 2024-11-05.
pub fn conformance_sse() -> HttpPeer {
    conformance("the conformance server over SSE", "sse").at("/sse")
}

/// The same conformance server over stdio; it speaks the era that its client begins with.
pub fn conformance_stdio() -> Value {
    let script = peers().join("fixtures/conformance.py");
    json!({"command": python_bin("python"), "args": [script, "stdio"]})
}

fn conformance(name: &'static str, kind: &'static str) -> HttpPeer {
    HttpPeer::start(name, move |port| {
        let mut command = python();
        command.arg(peers().join("fixtures/conformance.py")).arg(port.to_string()).arg(kind);
        command
    })
}

/// A hand-written server of `fixtures/` over stdio; it needs nothing but Python.
pub fn fixture(script: &str, arguments: &[&str]) -> Value {
    let path = peers().join("fixtures").join(script);
    assert!(path.is_file(), "there is no fixture {}", path.display());
    let arguments = std::iter::once(text(&path)).chain(arguments.iter().copied()).collect::<Vec<_>>();
    json!({"command": python_bin("python"), "args": arguments})
}

/// The server of `fixtures/matrix/`, called `name`, of one era over `http` or `sse`.
pub fn matrix(name: &'static str, era: &'static str, transport: &'static str) -> HttpPeer {
    let start = move |port: u16| {
        let mut command = python();
        command.arg(peers().join("fixtures/matrix/server.py")).args([
            name,
            era,
            transport,
            &port.to_string(),
        ]);
        command
    };
    HttpPeer::start(name, start).at(if transport == "sse" { "/sse" } else { "/mcp" })
}

/// Node 22 as it is locked.
pub fn node() -> Command {
    Command::new(installed(peers().join("node_modules/.bin/node")))
}

/// The Python that has the SDK.
pub fn python() -> Command {
    Command::new(python_bin("python"))
}

/// A script of the Node world, by its path in `node_modules`.
pub fn node_module(path: &str) -> PathBuf {
    installed(peers().join("node_modules").join(path))
}

/// The folder of the peers.
pub fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// A port that nothing listens on now.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port can be bound");
    listener.local_addr().expect("a listener has an address").port()
}

/// A backend with shorter bounds, for tests of what happens when they are passed.
#[must_use]
pub fn bounded(mut backend: Value, timeouts: &[(&str, Duration)]) -> Value {
    for (name, limit) in timeouts {
        backend["timeouts"][name] = json!(format!("{}ms", limit.as_millis()));
    }
    backend
}

fn node_server(package: &str, arguments: &[&str]) -> Value {
    let entry = node_entry(package);
    let arguments = [&[text(&entry)], arguments].concat();
    json!({"command": installed(peers().join("node_modules/.bin/node")), "args": arguments})
}

fn node_entry(package: &str) -> PathBuf {
    node_module(&format!("@modelcontextprotocol/{package}/dist/index.js"))
}

fn python_bin(name: &str) -> PathBuf {
    installed(peers().join(".venv/bin").join(name))
}

fn installed(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "there is no {}: run `make peers`", path.display());
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("the path is UTF-8")
}
