//! Why a gateway does not start, or does not take another configuration.

use std::net::SocketAddr;

/// The gateway cannot start, or goes on with the configuration that it has.
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
    /// Endpoints would be open to everybody who reaches the address.
    #[error("whoever reaches {address} could call everything: {} asks nobody who they are. Listen on loopback, or name in its `auth` by which callers show who they are; or, where whoever comes may do everything, `insecure: true`", names(.endpoints))]
    Exposed {
        /// The configured address.
        address: SocketAddr,
        /// The endpoints.
        endpoints: Vec<String>,
    },
    /// Who calls an endpoint cannot be found out as configured.
    #[error("endpoint `{endpoint}` cannot find out who calls: {reason}")]
    Auth {
        /// The endpoint.
        endpoint: String,
        /// What is wrong.
        reason: String,
    },
    /// What users granted cannot be read.
    #[error("the store of `oauth` cannot be used: {0}")]
    Store(#[from] weir_backends::StoreError),
    /// Under the strategy `manual`, names that several backends offer.
    #[error("endpoint `{endpoint}` has unresolved conflicts:\n  {}\nresolve them with `overrides`, or choose another `conflicts` strategy", conflicts.join("\n  "))]
    Conflicts {
        /// The endpoint.
        endpoint: String,
        /// One line each.
        conflicts: Vec<String>,
    },
    /// The policies of an endpoint cannot be used.
    #[error("endpoint `{endpoint}` has policies that cannot be used:\n  {}", problems.join("\n  "))]
    Policies {
        /// The endpoint.
        endpoint: String,
        /// One line each.
        problems: Vec<String>,
    },
    /// There is no endpoint of this name.
    #[error("there is no endpoint `{0}`")]
    NoEndpoint(String),
    /// It was started without an address and cannot listen.
    #[error("the gateway has no address to serve at")]
    Unbound,
    /// What the new configuration changes stands fast while weir runs.
    #[error("{} cannot change while weir runs: restart weir, or undo the change", keys(.0))]
    Restart(Vec<&'static str>),
    /// weir is about to end.
    #[error("weir is stopping")]
    Stopping,
    /// The system refuses a thread or a runtime.
    #[error("cannot start the runtime")]
    Runtime(#[from] std::io::Error),
}

fn names(names: &[String]) -> String {
    let names: Vec<_> = names.iter().map(|name| format!("endpoint `{name}`")).collect();
    names.join(", ")
}

fn keys(keys: &[&str]) -> String {
    keys.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
