//! Why a gateway does not start.

use std::net::SocketAddr;

/// The gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address is taken or not this machine's.
    #[error("cannot listen on {address}, choose another `listener.address` or `--address`")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The certificate or key cannot be used.
    #[error("cannot serve TLS: {0}")]
    Tls(String),
    /// A backend cannot be set up.
    #[error("backend `{name}` {reason}")]
    Backend {
        /// Its name.
        name: String,
        /// What is wrong.
        reason: String,
    },
    /// Under the strategy `manual`, names that several backends offer.
    #[error("endpoint `{endpoint}` has unresolved conflicts:\n  {}\nresolve them with `overrides`, or choose another `conflicts` strategy", conflicts.join("\n  "))]
    Conflicts {
        /// The endpoint.
        endpoint: String,
        /// One line each.
        conflicts: Vec<String>,
    },
    /// The system refuses a thread or a runtime.
    #[error("cannot start the runtime")]
    Runtime(#[from] std::io::Error),
}
