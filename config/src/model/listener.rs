//! Where clients connect.

use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::LazyLock;
use url::{Host, Url};

/// Counted once: should the number change while weir runs, a configuration that does not name it still means the same.
static PROCESSORS: LazyLock<usize> =
    LazyLock::new(|| std::thread::available_parallelism().map_or(1, NonZero::get));

/// The one address that weir serves MCP on.
#[derive(Debug, Clone, PartialEq)]
pub struct Listener {
    /// Address and port; port 0 takes a free one. Default `127.0.0.1:4483`.
    pub address: SocketAddr,
    /// Where browsers reach it: an origin. Absent where `address` tells it.
    pub public_url: Option<Url>,
    /// Certificate and key; absent means plain HTTP.
    pub tls: Option<Tls>,
    /// Offer HTTP/2 over TLS (ALPN). Default true.
    pub http2: bool,
    /// Accept HTTP/2 with prior knowledge on a plain listener. Default true.
    pub h2c: bool,
    /// `Origin` values that browsers may call from, such as `https://app.example.com`; loopback origins are
    /// always accepted when the listener's address is loopback.
    pub allowed_origins: Vec<String>,
    /// `Host` values (without port) accepted beside loopback names and the listener's own address.
    pub allowed_hosts: Vec<String>,
    /// Threads that serve connections. Default: the number of processors.
    pub workers: usize,
}

/// A certificate chain and its private key, both PEM files; re-read when they change.
#[derive(Debug, Clone, PartialEq)]
pub struct Tls {
    /// The certificate chain, leaf first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
    /// Whom to trust to vouch for clients; absent: no client is asked for a certificate.
    pub clients: Option<TlsClients>,
}

/// Which client certificates the listener takes.
#[derive(Debug, Clone, PartialEq)]
pub struct TlsClients {
    /// The authorities, a PEM file; re-read when it changes.
    pub ca: PathBuf,
    /// Whether a client without a certificate cannot connect. Default false.
    pub required: bool,
}

impl Listener {
    /// Whether nobody but this machine's programs is meant to come: the address is a loopback one, and so is the place where
    /// browsers are said to reach it. A proxy in front of a loopback address lets others in.
    pub fn is_local(&self) -> bool {
        self.address.ip().is_loopback() && self.public_url.as_ref().is_none_or(is_local)
    }
}

/// Whether a URL leads to the machine itself.
pub(crate) fn is_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

impl Default for Listener {
    fn default() -> Self {
        Self {
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 4483)),
            public_url: None,
            tls: None,
            http2: true,
            h2c: true,
            allowed_origins: Vec::new(),
            allowed_hosts: Vec::new(),
            workers: *PROCESSORS,
        }
    }
}
