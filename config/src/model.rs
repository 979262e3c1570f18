//! The validated configuration: plain data, every default filled in, every reference resolved.

mod auth;
mod backend;
mod credentials;
mod endpoint;
mod limits;
mod listener;
mod oauth;
mod policies;
mod secret;

pub use auth::{
    Algorithm, ApiKey, Auth, CertificateSubject, Certificates, ClaimPaths, ClientAuthentication,
    Introspection, Issuer, KeySource,
};
pub use backend::{
    Backend, BackendLimits, BackendTimeouts, EraSetting, HttpBackend, Root, SessionScope, StdioBackend,
    Transport,
};
pub use credentials::{
    AuthorizationServer, ClientCredentials, ClientProof, Credentials, IdJag, Listing, SubjectToken,
    TokenExchange, TokenTarget,
};
pub use endpoint::{Concealed, Conflicts, Endpoint, Filter, Icons, Override, ParameterOverride, Uris};
pub use limits::{Limits, Timeouts};
pub(crate) use listener::is_local;
pub use listener::{Listener, Tls, TlsClients};
pub use oauth::{GrantStore, Login, Oauth, OauthClient, OauthLists};
pub use policies::{ClaimKind, Policies, PolicySource};
pub use secret::Secret;

/// Everything one run of weir is told; equal values mean equal behaviour.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where clients connect.
    pub listener: Listener,
    /// The MCP servers behind weir, in the order of the file; names are unique.
    pub backends: Vec<Backend>,
    /// The virtual MCP servers, in the order of the file; names and paths are unique.
    pub endpoints: Vec<Endpoint>,
    /// Where users' grants are kept; absent: in memory.
    pub grants: Option<GrantStore>,
    /// Bounds on sizes and counts at the front.
    pub limits: Limits,
    /// Bounds on time at the front.
    pub timeouts: Timeouts,
}
