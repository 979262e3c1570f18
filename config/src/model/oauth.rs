//! Users' own grants: what weir needs to be an OAuth client, and where grants are kept.

use super::{Listing, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use url::Url;

/// How users connect a backend: each grants weir the use of it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Oauth {
    /// weir as authorization servers know it already; their issuers are unique.
    pub clients: Vec<OauthClient>,
    /// Scopes that are asked for in any case.
    pub scopes: Vec<String>,
    /// Where weir's document as a client lies, if weir does not serve it itself.
    pub document: Option<Url>,
    /// What the lists are asked for with.
    pub lists: OauthLists,
    /// What weir's own requests are sent with otherwise.
    pub listing: Listing,
    /// Whether the addresses of its authorization servers may be private ones, or `http`.
    pub private: bool,
    /// One more authority to trust for them.
    pub ca: Option<PathBuf>,
}

/// weir as one authorization server knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct OauthClient {
    /// The authorization server, to the letter.
    pub issuer: String,
    /// weir's name there.
    pub id: String,
    /// weir's secret there; absent for a public client.
    pub secret: Option<Secret>,
}

/// What the lists of a backend that users connect are asked for with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OauthLists {
    /// Without any grant: nobody's private items are shown to others.
    #[default]
    Open,
    /// With the grant of any user who has connected it: for servers that show everybody the same.
    Granted,
}

/// The file in which grants outlive weir.
#[derive(Debug, Clone, PartialEq)]
pub struct GrantStore {
    /// The file.
    pub file: PathBuf,
    /// What it is sealed with.
    pub key: Secret,
}

/// How the pages on which users connect backends find out who is at the browser.
#[derive(Debug, Clone, PartialEq)]
pub struct Login {
    /// The issuer, one of the endpoint's own.
    pub issuer: String,
    /// weir's name there.
    pub client_id: String,
    /// weir's secret there; absent for a public client.
    pub client_secret: Option<Secret>,
    /// What is asked for beside `openid`.
    pub scopes: Vec<String>,
}
