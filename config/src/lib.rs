//! What operators write, read and checked into plain data: the [`Config`] the rest of weir runs from.

mod cases;
mod check;
mod diagnostic;
mod difference;
mod environment;
mod expansion;
mod file;
mod import;
mod load;
mod mcp_servers;
mod model;
mod moment;
mod name_pattern;
mod quantity;
mod reference;
mod report;
mod schema;
mod shape;
#[cfg(test)]
mod tests;
mod tree;

pub use cases::{PolicyCase, PolicyCaseItem, PolicyCases, policy_cases};
pub use diagnostic::{ConfigErrors, Diagnostic};
pub use environment::{Environment, ProcessEnvironment};
pub use import::{Imported, Origin, Variable, import, import_text};
pub use load::{Loaded, load, parse};
pub use model::{
    Algorithm, ApiKey, Auth, AuthorizationServer, Backend, BackendLimits, BackendTimeouts,
    CertificateSubject, Certificates, ClaimKind, ClaimPaths, ClientAuthentication, ClientCredentials,
    ClientProof, Concealed, Config, Conflicts, Credentials, Endpoint, EraSetting, Filter, GrantStore,
    HttpBackend, Icons, IdJag, Introspection, Issuer, KeySource, Limits, Listener, Listing, Login, Oauth,
    OauthClient, OauthLists, Override, ParameterOverride, Policies, PolicySource, Root, Secret, SessionScope,
    StdioBackend, SubjectToken, Timeouts, Tls, TlsClients, TokenExchange, TokenTarget, Transport, Uris,
};
pub use moment::parse as moment;
pub use name_pattern::NamePattern;
pub use reference::reference;
pub use report::nearest;
pub use schema::schema;
