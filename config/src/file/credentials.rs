//! `backends.*.auth`.

use super::{Oauth, SecretText};
use crate::model::{Algorithm, ClientAuthentication, SubjectToken};
use schemars::JsonSchema;
use serde::Deserialize;

/// What a server is shown so that it answers: one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    /// A header of any name.
    pub(crate) header: Option<HeaderCredential>,
    /// A token that never changes, sent as `Authorization: Bearer`.
    pub(crate) bearer: Option<SecretText>,
    /// Tokens that weir gets for itself (OAuth 2.0 client credentials).
    pub(crate) client_credentials: Option<ClientCredentials>,
    /// Tokens that weir gets for each caller in exchange for the caller's own (RFC 8693).
    pub(crate) token_exchange: Option<TokenExchange>,
    /// Tokens that weir gets for each caller by an identity assertion of the enterprise's provider (ID-JAG).
    pub(crate) id_jag: Option<IdJag>,
    /// Tokens that each caller grants, in a browser: users connect the backend once.
    pub(crate) oauth: Option<Oauth>,
}

/// A header of any name.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HeaderCredential {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: SecretText,
}

/// Tokens that weir gets for itself.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientCredentials {
    /// The authorization server that gives them, and who weir is there.
    pub(crate) server: AuthorizationServer,
    /// Scopes to ask for. Default: none, which leaves them to the authorization server.
    pub(crate) scopes: Option<Vec<String>>,
    /// What the tokens are for (RFC 8707); an empty text sends none. Default: the backend's `url`.
    pub(crate) resource: Option<String>,
    /// The `audience` that some authorization servers want. Default: none.
    pub(crate) audience: Option<String>,
}

/// Tokens in exchange for the caller's own.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenExchange {
    /// The authorization server that exchanges, and who weir is there.
    pub(crate) server: AuthorizationServer,
    /// Scopes to ask for. Default: none, which leaves them to the authorization server.
    pub(crate) scopes: Option<Vec<String>>,
    /// What the tokens are for (RFC 8707); an empty text sends none. Default: the backend's `url`.
    pub(crate) resource: Option<String>,
    /// The `audience` that some authorization servers want. Default: none.
    pub(crate) audience: Option<String>,
    /// What the caller's token is called.
    #[schemars(extend("default" = SubjectToken::AccessToken))]
    pub(crate) subject: Option<SubjectToken>,
    /// What weir's own requests are sent with, such as those for lists. Default: nothing.
    pub(crate) listing: Option<Listing>,
}

/// Tokens by an identity assertion of the enterprise's provider.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct IdJag {
    /// The enterprise's identity provider, which exchanges the caller's token for an assertion, and who weir is there.
    pub(crate) provider: AuthorizationServer,
    /// The authorization server of the backend, which takes the assertion, and who weir is there. Needs `issuer`.
    pub(crate) server: AuthorizationServer,
    /// Scopes to ask for. Default: none, which leaves them to the authorization server.
    pub(crate) scopes: Option<Vec<String>>,
    /// What the tokens are for (RFC 8707); an empty text sends none. Default: the backend's `url`.
    pub(crate) resource: Option<String>,
    /// What the caller's token is called.
    #[schemars(extend("default" = SubjectToken::AccessToken))]
    pub(crate) subject: Option<SubjectToken>,
    /// What weir's own requests are sent with, such as those for lists. Default: nothing.
    pub(crate) listing: Option<Listing>,
}

/// What weir's own requests are sent with where credentials belong to callers: one of these.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listing {
    /// A token that never changes, sent as `Authorization: Bearer`.
    pub(crate) bearer: Option<SecretText>,
    /// Tokens that weir gets for itself (OAuth 2.0 client credentials).
    pub(crate) client_credentials: Option<ClientCredentials>,
}

/// An authorization server, and who weir is there.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuthorizationServer {
    /// Its name, an `https` URL; its token endpoint is looked up there (RFC 8414, OpenID Connect Discovery) where
    /// `token_url` is absent.
    pub(crate) issuer: Option<String>,
    /// Its token endpoint, where that is not to be looked up.
    pub(crate) token_url: Option<String>,
    /// What it calls weir.
    pub(crate) client_id: String,
    /// The secret that it knows weir by.
    pub(crate) client_secret: Option<SecretText>,
    /// How `client_secret` is sent.
    #[schemars(extend("default" = ClientAuthentication::Basic))]
    pub(crate) method: Option<ClientAuthentication>,
    /// A key that weir signs with in place of `client_secret` (`private_key_jwt`).
    pub(crate) private_key: Option<PrivateKey>,
    /// Whether its addresses may be private, and spoken to by plain `http` there.
    #[schemars(extend("default" = false))]
    pub(crate) private: Option<bool>,
    /// PEM file of certificate authorities to trust beside the system's. A relative path starts at the configuration
    /// file's folder.
    pub(crate) ca: Option<String>,
}

/// A key that weir signs with.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrivateKey {
    /// The key in PEM (PKCS #8), best by reference: `{file: key.pem}`. RSA of 2048 bits and more, P-256, P-384 or Ed25519.
    pub(crate) key: SecretText,
    /// What the authorization server calls the key (`kid`). Default: none.
    pub(crate) id: Option<String>,
    /// How it signs. Default: `RS256`, `ES256`, `ES384` or `EdDSA`, as fits the key.
    pub(crate) algorithm: Option<Algorithm>,
}
