//! How an endpoint finds out who calls.

use super::{Login, Secret};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// How an endpoint finds out who calls. The default asks for nothing: whoever comes is the anonymous principal.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Auth {
    /// The endpoint's canonical URI (RFC 8707, RFC 9728). Present where there is an issuer other than Kubernetes.
    pub resource: Option<String>,
    /// Whose tokens are good; their names are unique.
    pub issuers: Vec<Issuer>,
    /// Keys that weir itself knows; names and digests are unique.
    pub api_keys: Vec<ApiKey>,
    /// Client certificates as a proof.
    pub certificates: Option<Certificates>,
    /// How the pages on which users connect backends find out who is at the browser.
    pub login: Option<Login>,
    /// Whether anonymous callers are wanted although others than this machine's can come.
    pub insecure: bool,
}

impl Auth {
    /// Whether nobody has to show who they are.
    pub fn is_anonymous(&self) -> bool {
        self.issuers.is_empty() && self.api_keys.is_empty() && self.certificates.is_none()
    }
}

/// Who issues tokens, and which of them are good.
#[derive(Debug, Clone, PartialEq)]
pub struct Issuer {
    /// Its name: `iss` of its tokens, to the letter.
    pub issuer: String,
    /// Where its keys are.
    pub keys: KeySource,
    /// Whom tokens must be meant for; one of these suffices.
    pub audiences: Vec<String>,
    /// How tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// The OAuth clients whose tokens are good; empty: all.
    pub clients: Vec<String>,
    /// The scopes that every call needs.
    pub scopes: Vec<String>,
    /// How far clocks may be apart.
    pub leeway: Duration,
    /// Which claims say what.
    pub claims: ClaimPaths,
    /// Asking the issuer whether a token is good.
    pub introspection: Option<Introspection>,
    /// Whether its addresses may be private ones, or `http`.
    pub private: bool,
    /// One more authority to trust for it.
    pub ca: Option<PathBuf>,
}

impl Issuer {
    /// Default of `leeway`.
    pub(crate) const LEEWAY: Duration = Duration::from_secs(30);

    /// Whether it vouches for the service accounts of a Kubernetes cluster.
    pub fn is_kubernetes(&self) -> bool {
        matches!(self.keys, KeySource::Kubernetes { .. })
    }
}

/// Where an issuer's keys are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeySource {
    /// Where its metadata says.
    Discovery,
    /// At this address.
    Url(String),
    /// At this address of a cluster's API server, which wants the token in the file.
    Kubernetes {
        /// The address of the keys.
        url: String,
        /// The file of weir's own service-account token.
        token: PathBuf,
    },
}

/// How a token may be signed: by a private key, of which weir knows the public one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize, JsonSchema)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    RS384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    RS512,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// RSASSA-PSS with SHA-384.
    PS384,
    /// RSASSA-PSS with SHA-512.
    PS512,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Ed25519.
    EdDSA,
}

impl Algorithm {
    /// Default of `algorithms`.
    pub(crate) const DEFAULT: [Self; 4] = [Self::RS256, Self::PS256, Self::ES256, Self::EdDSA];
}

/// Which claims say what: names, or paths of names joined by dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimPaths {
    /// The caller's groups.
    pub groups: String,
    /// The caller's roles.
    pub roles: String,
    /// The caller's address.
    pub email: String,
}

impl Default for ClaimPaths {
    fn default() -> Self {
        Self { groups: "groups".to_owned(), roles: "roles".to_owned(), email: "email".to_owned() }
    }
}

/// Asking an issuer whether a token is good (RFC 7662).
#[derive(Debug, Clone, PartialEq)]
pub struct Introspection {
    /// Where to ask; absent: where the issuer's metadata says.
    pub url: Option<String>,
    /// weir's own name at the issuer.
    pub client_id: String,
    /// weir's own secret at the issuer.
    pub client_secret: Secret,
    /// How the two are sent.
    pub method: ClientAuthentication,
    /// Whether tokens that weir cannot read are good where the issuer says so.
    pub opaque: bool,
    /// How long an answer is good for tokens that weir cannot read.
    pub cache: Duration,
    /// How often a token that weir has verified itself is asked for; absent: never.
    pub every: Option<Duration>,
}

impl Introspection {
    /// Default of `opaque`.
    pub(crate) const OPAQUE: bool = true;
    /// Default of `cache`.
    pub(crate) const CACHE: Duration = Duration::from_secs(60);
}

/// How a client shows its secret (RFC 6749 section 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuthentication {
    /// In the header `Authorization`.
    #[default]
    Basic,
    /// In the body.
    Post,
}

/// A key that weir itself knows.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiKey {
    /// Whose it is.
    pub name: String,
    /// SHA-256 of the key.
    pub sha256: [u8; 32],
    /// Its holder's groups.
    pub groups: Vec<String>,
    /// Its holder's roles.
    pub roles: Vec<String>,
    /// What it is good for.
    pub scopes: Vec<String>,
    /// When it ends.
    pub expires: Option<SystemTime>,
}

/// Client certificates as a proof.
#[derive(Debug, Clone, PartialEq)]
pub struct Certificates {
    /// What of a certificate is the caller's name.
    pub subject: CertificateSubject,
    /// Patterns of names, of which one must match; empty: all.
    pub allow: Vec<String>,
    /// The groups of everybody who comes with one.
    pub groups: Vec<String>,
}

/// What of a certificate is the caller's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CertificateSubject {
    /// The distinguished name, as RFC 4514 writes it.
    #[default]
    Name,
    /// The first alternative name of the kind DNS.
    Dns,
    /// The first alternative name of the kind URI, such as a SPIFFE id.
    Uri,
    /// The first alternative name of the kind mail address.
    Email,
}
