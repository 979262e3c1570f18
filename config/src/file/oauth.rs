//! `oauth`, `backends.*.auth.oauth` and `endpoints.*.auth.login`.

use super::{Listing, SecretText};
use crate::model::OauthLists;
use schemars::JsonSchema;
use serde::Deserialize;

/// What holds for all backends that users connect.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OauthSettings")]
pub(crate) struct OauthSettings {
    /// Where users' grants are kept, so that they outlive weir. Default: in memory alone.
    pub(crate) store: Option<GrantStore>,
}

/// A file in which grants are kept, sealed with ChaCha20-Poly1305.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrantStore {
    /// The file; weir makes it, readable for its own user alone, and one weir uses it at a time. A relative path starts at the
    /// configuration file's folder.
    pub(crate) file: String,
    /// What it is sealed with: at least 32 random characters, such as `openssl rand -base64 32` prints.
    pub(crate) key: SecretText,
}

/// Each user connects the backend once, in a browser, and weir calls it with that user's own token.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Oauth {
    /// weir as authorization servers know it already, with the way back `PUBLIC_URL/connect/-/callback/NAME` for a backend of
    /// this name. Where there are any, users are sent to no other authorization server. Default: weir introduces itself to
    /// whichever the backend names, by its document where `listener.public_url` is `https`, else by registering.
    pub(crate) clients: Option<Vec<OauthClient>>,
    /// Scopes to ask for in any case. Default: those that the server names.
    pub(crate) scopes: Option<Vec<String>>,
    /// URL of weir's document as a client where weir does not serve it itself (Client ID Metadata Documents).
    pub(crate) document: Option<String>,
    /// What the backend's lists are asked for with.
    #[schemars(extend("default" = OauthLists::default()))]
    pub(crate) lists: Option<OauthLists>,
    /// What weir's own requests are sent with, such as those for lists. Default: nothing.
    pub(crate) listing: Option<Listing>,
    /// Whether the addresses of its authorization servers may be loopback, private or link-local ones, and `http`.
    #[schemars(extend("default" = false))]
    pub(crate) private: Option<bool>,
    /// PEM file of one more certificate authority to trust for its authorization servers. A relative path starts at the
    /// configuration file's folder.
    pub(crate) ca: Option<String>,
}

/// weir as one authorization server knows it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OauthClient {
    /// The authorization server, exactly as it names itself.
    pub(crate) issuer: String,
    /// weir's own name there.
    pub(crate) client_id: String,
    /// weir's own secret there. Default: none, a public client.
    pub(crate) client_secret: Option<SecretText>,
}

/// How the pages on which users connect backends find out who is at the browser: by a login at one of the endpoint's issuers.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login {
    /// The issuer; one of `issuers`. Default: the first of them.
    pub(crate) issuer: Option<String>,
    /// weir's own name there, registered with the way back `PUBLIC_URL/connect/-/login`.
    pub(crate) client_id: String,
    /// weir's own secret there. Default: none, a public client.
    pub(crate) client_secret: Option<SecretText>,
    /// Scopes to ask for beside `openid`. Default: none.
    pub(crate) scopes: Option<Vec<String>>,
}
