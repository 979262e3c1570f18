//! Who takes part: the clients, the servers behind, and how they are started.

use serde_json::{Value, json};
use std::time::Duration;
use weir_tests::peers::{self, HttpPeer};
use weir_tests::{Capable, Endpoint, Stdio, wait, weir};

/// How long a call may take at the backends that are there for calls that take too long.
const HURRY: Duration = Duration::from_millis(700);

/// A kind of client.
#[derive(Debug)]
pub(crate) struct Client {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    /// The revision of MCP that it speaks.
    pub(crate) revision: &'static str,
    /// How it reaches weir.
    pub(crate) transport: Transport,
}

/// A way between two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    /// A program on standard input and output.
    Stdio,
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE of 2024-11-05.
    Sse,
}

/// Every kind of client.
pub(crate) const CLIENTS: [Client; 7] = [
    Client { name: "HTTP+SSE, 2024-11-05", revision: "2024-11-05", transport: Transport::Sse },
    Client { name: "HTTP, 2025-03-26", revision: "2025-03-26", transport: Transport::Http },
    Client { name: "HTTP, 2025-06-18", revision: "2025-06-18", transport: Transport::Http },
    Client { name: "HTTP, 2025-11-25", revision: "2025-11-25", transport: Transport::Http },
    Client { name: "HTTP, 2026-07-28", revision: "2026-07-28", transport: Transport::Http },
    Client { name: "stdio, 2025-11-25", revision: "2025-11-25", transport: Transport::Stdio },
    Client { name: "stdio, 2026-07-28", revision: "2026-07-28", transport: Transport::Stdio },
];

impl Client {
    /// Whether it speaks the modern era.
    pub(crate) fn is_modern(&self) -> bool {
        self.revision == "2026-07-28"
    }

    /// Whether its revision knows this kind of question.
    pub(crate) fn knows(&self, kind: &str) -> bool {
        match kind {
            "form" => self.revision >= "2025-06-18",
            "url" => self.revision >= "2025-11-25",
            _ => true,
        }
    }

    /// All that a client of its revision can declare.
    pub(crate) fn capabilities(&self) -> Value {
        let mut capabilities = json!({"sampling": {}, "roots": {}});
        if self.knows("url") {
            capabilities["elicitation"] = json!({"form": {}, "url": {}});
        } else if self.knows("form") {
            capabilities["elicitation"] = json!({});
        }
        capabilities
    }

    /// Connects to a gateway that serves HTTP, and declares these capabilities.
    pub(crate) fn connect(&self, endpoint: &Endpoint, capabilities: Value) -> Capable {
        match self.transport {
            Transport::Sse => Capable::paired(endpoint, capabilities),
            _ if self.is_modern() => Capable::modern(endpoint.clone(), capabilities),
            _ => Capable::legacy(endpoint.clone(), self.revision, capabilities),
        }
    }

    /// Starts a gateway of its own, and declares these capabilities.
    pub(crate) fn start(&self, config: Value, capabilities: Value) -> Capable {
        let weir = Stdio::serve(config);
        if self.is_modern() {
            return Capable::stdio_modern(weir, capabilities);
        }
        Capable::stdio_legacy(weir, self.revision, capabilities)
    }
}

/// Waits until everything of these servers is listed; on a busy machine one may come later than the others.
pub(crate) fn until_listed(client: &mut Capable, column: &Column) {
    wait::until_true("all servers are there", || {
        let listed = client.ask("tools/list", json!({})).expect("a list");
        let listed = listed.message["result"]["tools"].as_array().cloned().unwrap_or_default();
        let names = column
            .backends
            .iter()
            .flat_map(|Backend { name, .. }| [format!("{name}_wait"), format!("{name}-hurried_wait")]);
        names.into_iter().all(|name| listed.iter().any(|tool| tool["name"] == name.as_str()))
    });
}

/// A kind of server.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Its name in the configuration and in the tables.
    pub(crate) name: &'static str,
    /// Its era, `legacy` or `modern`.
    pub(crate) era: &'static str,
    /// How weir reaches it.
    pub(crate) transport: Transport,
}

/// Every kind of server.
pub(crate) const BACKENDS: [Backend; 5] = [
    Backend { name: "stdio-legacy", era: "legacy", transport: Transport::Stdio },
    Backend { name: "stdio-modern", era: "modern", transport: Transport::Stdio },
    Backend { name: "sse", era: "legacy", transport: Transport::Sse },
    Backend { name: "http-legacy", era: "legacy", transport: Transport::Http },
    Backend { name: "http-modern", era: "modern", transport: Transport::Http },
];

/// An endpoint over some of them.
#[derive(Debug)]
pub(crate) struct Column {
    /// Its name in the tables.
    pub(crate) name: &'static str,
    /// What it says of itself there.
    pub(crate) about: &'static str,
    /// The servers behind it.
    pub(crate) backends: &'static [Backend],
}

/// The endpoint over all of them.
pub(crate) const MIXED: Column =
    Column { name: "mixed", about: "one endpoint over all five, each of them tried", backends: &BACKENDS };

/// Every endpoint.
pub(crate) const COLUMNS: [Column; 6] = [
    Column {
        name: "stdio legacy",
        about: "a program that speaks 2025-11-25",
        backends: BACKENDS.split_at(1).0,
    },
    Column { name: "stdio modern", about: "a program that speaks 2026-07-28", backends: of(1) },
    Column { name: "SSE", about: "a server of HTTP+SSE", backends: of(2) },
    Column {
        name: "HTTP legacy",
        about: "a server of 2025-11-25 with sessions, over streamable HTTP",
        backends: of(3),
    },
    Column { name: "HTTP modern", about: "a server of 2026-07-28 over HTTP", backends: of(4) },
    MIXED,
];

const fn of(number: usize) -> &'static [Backend] {
    BACKENDS.split_at(number).1.split_at(1).0
}

/// The servers of one endpoint, running.
#[derive(Debug)]
pub(crate) struct Site {
    /// The configuration of a gateway before them. Every server is there twice: the second time calls must hurry.
    pub(crate) config: Value,
    /// Held as long as they are to run.
    _listening: Vec<HttpPeer>,
}

impl Site {
    /// Starts those that listen; the others are programs that weir starts.
    pub(crate) fn start(column: &Column) -> Self {
        let (mut backends, mut listening, mut names) = (json!({}), Vec::new(), Vec::new());
        for Backend { name, era, transport } in column.backends {
            let backend = match transport {
                Transport::Stdio => peers::fixture("matrix/server.py", &[name, era, "stdio"]),
                _ => {
                    let transport = if *transport == Transport::Sse { "sse" } else { "http" };
                    let server = peers::matrix(name, era, transport);
                    let backend = json!({"url": server.url()});
                    listening.push(server);
                    backend
                }
            };
            let mut hurried = peers::bounded(backend.clone(), &[("call", HURRY)]);
            if *transport == Transport::Stdio {
                // Clients do not wait for each other, or theirs would be up before the call begins.
                hurried["instances"] = json!(CLIENTS.len());
            }
            let hurried_name = format!("{name}-hurried");
            backends[&hurried_name] = hurried;
            backends[name] = backend;
            names.extend([(*name).to_owned(), hurried_name]);
        }
        Self { config: weir::config(backends, json!({"backends": names})), _listening: listening }
    }
}
