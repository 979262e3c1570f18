//! What a backend is shown so that it answers.

use super::{Algorithm, Oauth, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use url::Url;

/// What a backend is shown so that it answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Credentials {
    /// Nothing but its configured headers.
    #[default]
    None,
    /// A header that never changes.
    Header(String, Secret),
    /// A bearer token that never changes.
    Bearer(Secret),
    /// Tokens that weir gets for itself.
    ClientCredentials(Box<ClientCredentials>),
    /// Tokens in exchange for the caller's own (RFC 8693).
    TokenExchange(Box<TokenExchange>),
    /// Tokens by an identity assertion of the enterprise's provider (SEP-990).
    IdJag(Box<IdJag>),
    /// Tokens that each caller grants.
    Oauth(Box<Oauth>),
}

impl Credentials {
    /// Whether users grant them, so that there is something to keep.
    pub fn are_granted(&self) -> bool {
        matches!(self, Self::Oauth(_))
    }

    /// Whether each caller has its own.
    pub fn are_the_callers(&self) -> bool {
        matches!(self, Self::TokenExchange(_) | Self::IdJag(_) | Self::Oauth(_))
    }
}

/// What a token is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TokenTarget {
    /// Scopes; none leaves them to the authorization server.
    pub scopes: Vec<String>,
    /// The resource (RFC 8707), where one is named.
    pub resource: Option<String>,
    /// The audience, where one is named.
    pub audience: Option<String>,
}

/// Tokens that weir gets for itself.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientCredentials {
    /// Who gives them.
    pub server: AuthorizationServer,
    /// What they are for.
    pub target: TokenTarget,
}

/// Tokens in exchange for the caller's own.
#[derive(Debug, Clone, PartialEq)]
pub struct TokenExchange {
    /// Who exchanges.
    pub server: AuthorizationServer,
    /// What they are for.
    pub target: TokenTarget,
    /// What the caller's token is called. Default `access_token`.
    pub subject: SubjectToken,
    /// What weir's own requests are sent with.
    pub listing: Listing,
}

/// Tokens by an identity assertion of the enterprise's provider.
#[derive(Debug, Clone, PartialEq)]
pub struct IdJag {
    /// Who makes the assertion.
    pub provider: AuthorizationServer,
    /// Who takes it; it has an issuer.
    pub server: AuthorizationServer,
    /// What the tokens are for; there is no audience.
    pub target: TokenTarget,
    /// What the caller's token is called. Default `access_token`.
    pub subject: SubjectToken,
    /// What weir's own requests are sent with.
    pub listing: Listing,
}

/// What weir's own requests are sent with where credentials belong to callers.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Listing {
    /// Nothing.
    #[default]
    None,
    /// A bearer token that never changes.
    Bearer(Secret),
    /// Tokens that weir gets for itself.
    ClientCredentials(Box<ClientCredentials>),
}

/// An authorization server, and who weir is there. It has an issuer, a token endpoint, or both.
#[derive(Debug, Clone, PartialEq)]
pub struct AuthorizationServer {
    /// Its name, as it was written: issuers are compared letter by letter.
    pub issuer: Option<String>,
    /// Its token endpoint; absent where that is looked up.
    pub token_url: Option<Url>,
    /// What it calls weir.
    pub client_id: String,
    /// How weir shows that it is that client.
    pub proof: ClientProof,
    /// Whether its addresses may be private, and spoken to by plain HTTP there. Default no.
    pub private: bool,
    /// A PEM file of authorities trusted beside the system's.
    pub ca: Option<PathBuf>,
}

/// How weir shows an authorization server who it is (RFC 6749 section 2.3, RFC 7523).
#[derive(Debug, Clone, PartialEq)]
pub enum ClientProof {
    /// Not at all: a public client.
    None,
    /// A secret in the `Authorization` header.
    Basic(Secret),
    /// A secret in the body.
    Post(Secret),
    /// A signed assertion.
    PrivateKey {
        /// The key in PEM.
        key: Secret,
        /// Its name at the server.
        id: Option<String>,
        /// How it signs; absent where that is as fits the key.
        algorithm: Option<Algorithm>,
    },
}

/// What a caller's token is called in an exchange (RFC 8693 section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectToken {
    /// An access token.
    #[default]
    AccessToken,
    /// An ID token of OpenID Connect.
    IdToken,
    /// A JSON Web Token of any purpose.
    Jwt,
}

impl SubjectToken {
    /// Its identifier.
    pub const fn identifier(self) -> &'static str {
        match self {
            Self::AccessToken => "urn:ietf:params:oauth:token-type:access_token",
            Self::IdToken => "urn:ietf:params:oauth:token-type:id_token",
            Self::Jwt => "urn:ietf:params:oauth:token-type:jwt",
        }
    }
}
