//! `endpoints.*.auth`.

use super::{Login, SecretText};
use crate::model::{self, Algorithm, CertificateSubject, ClientAuthentication};
use crate::quantity::TimeSpan;
use schemars::JsonSchema;
use serde::Deserialize;

/// How the endpoint finds out who calls. Whoever brings no credential is refused as soon as one kind of them is named here.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Auth {
    /// The endpoint's own URI as clients know it: what tokens must be meant for, and what weir tells clients that want to log
    /// in. Default: from `listener` and `path`.
    pub(crate) resource: Option<String>,
    /// Who issues tokens that are good here.
    pub(crate) issuers: Option<Vec<Issuer>>,
    /// Keys that programs bring instead of a token; `weir key` makes one.
    pub(crate) api_keys: Option<Vec<ApiKey>>,
    /// Client certificates as a proof; needs `listener.tls.clients`.
    pub(crate) certificates: Option<Certificates>,
    /// The login on the pages where users connect backends.
    pub(crate) login: Option<Login>,
    /// Let anonymous callers in from other machines too. Fits an endpoint that asks for nothing.
    #[schemars(extend("default" = false))]
    pub(crate) insecure: Option<bool>,
}

/// Who issues tokens that are good here: an OpenID or OAuth provider by its `issuer`, or a cluster by `kubernetes`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["issuer"] }, { "required": ["kubernetes"] }]))]
pub(crate) struct Issuer {
    /// The provider's name, exactly as `iss` in its tokens has it: `https`, or `http` with `private: true`.
    pub(crate) issuer: Option<String>,
    /// The service accounts of a cluster instead of a provider.
    pub(crate) kubernetes: Option<Kubernetes>,
    /// Values of `aud`, of which a token must have one. Default: the endpoint's `resource`.
    pub(crate) audiences: Option<Vec<String>>,
    /// How tokens may be signed. Default: `RS256`, `PS256`, `ES256` and `EdDSA`.
    pub(crate) algorithms: Option<Vec<Algorithm>>,
    /// Where the provider's keys are. Default: where its metadata says.
    pub(crate) jwks: Option<String>,
    /// The OAuth clients whose tokens are good, by `azp` or `client_id`. Default: all.
    pub(crate) clients: Option<Vec<String>>,
    /// Scopes that every call needs; clients are told to ask for them. Default: none.
    pub(crate) scopes: Option<Vec<String>>,
    /// How far the provider's clock may be from weir's; at most `5m`.
    #[schemars(extend("default" = TimeSpan(model::Issuer::LEEWAY)))]
    pub(crate) leeway: Option<TimeSpan>,
    /// Which claims hold the caller's groups, roles and address.
    pub(crate) claims: Option<Claims>,
    /// Asking the provider whether a token is good.
    pub(crate) introspection: Option<Introspection>,
    /// Whether the provider's addresses may be loopback, private or link-local ones, and `http`.
    #[schemars(extend("default" = false))]
    pub(crate) private: Option<bool>,
    /// PEM file of one more certificate authority to trust for the provider. A relative path starts at the configuration
    /// file's folder.
    pub(crate) ca: Option<String>,
}

/// Which claims hold what: a claim's name, or names joined by dots on the way to it. A claim whose own name has dots is found
/// too.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Claims {
    /// A list of groups, or one.
    #[schemars(extend("default" = model::ClaimPaths::default().groups))]
    pub(crate) groups: Option<String>,
    /// A list of roles, or one.
    #[schemars(extend("default" = model::ClaimPaths::default().roles))]
    pub(crate) roles: Option<String>,
    /// The address. One that the provider calls unverified is left out.
    #[schemars(extend("default" = model::ClaimPaths::default().email))]
    pub(crate) email: Option<String>,
}

/// Asking the provider whether a token is good (RFC 7662).
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Introspection {
    /// Where to ask. Default: where the provider's metadata says.
    pub(crate) url: Option<String>,
    /// weir's own name at the provider.
    pub(crate) client_id: String,
    /// weir's own secret at the provider.
    pub(crate) client_secret: SecretText,
    /// How name and secret are sent.
    #[schemars(extend("default" = ClientAuthentication::default()))]
    pub(crate) method: Option<ClientAuthentication>,
    /// Whether tokens that weir cannot read are good where the provider says so. At most one issuer of an endpoint.
    #[schemars(extend("default" = model::Introspection::OPAQUE))]
    pub(crate) opaque: Option<bool>,
    /// How long an answer is kept for tokens that weir cannot read; never longer than they are good.
    #[schemars(extend("default" = TimeSpan(model::Introspection::CACHE)))]
    pub(crate) cache: Option<TimeSpan>,
    /// How often the provider is asked whether a token that weir verified itself has been revoked. Default: never.
    pub(crate) every: Option<TimeSpan>,
}

/// The service accounts of a cluster. The defaults are right for a weir that runs in it.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kubernetes {
    /// Values of `aud`, of which a token must have one.
    pub(crate) audiences: Vec<String>,
    /// The cluster's name, exactly as `iss` in its tokens has it.
    #[schemars(extend("default" = KUBERNETES_ISSUER))]
    pub(crate) issuer: Option<String>,
    /// Where the cluster's keys are.
    #[schemars(extend("default" = KUBERNETES_JWKS))]
    pub(crate) jwks: Option<String>,
    /// PEM file of the API server's certificate authority.
    #[schemars(extend("default" = KUBERNETES_CA))]
    pub(crate) ca: Option<String>,
    /// File of weir's own service-account token, which the API server wants to see.
    #[schemars(extend("default" = KUBERNETES_TOKEN))]
    pub(crate) token: Option<String>,
}

/// Default of `kubernetes.issuer`.
pub(crate) const KUBERNETES_ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Default of `kubernetes.jwks`.
pub(crate) const KUBERNETES_JWKS: &str = "https://kubernetes.default.svc/openid/v1/jwks";
/// Default of `kubernetes.ca`.
pub(crate) const KUBERNETES_CA: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";
/// Default of `kubernetes.token`.
pub(crate) const KUBERNETES_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// A key that a program brings instead of a token, as `Authorization: Bearer` or `X-API-Key`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ApiKey {
    /// Whose it is: the caller's name in policies and in the log.
    pub(crate) name: String,
    /// SHA-256 of the key, in hexadecimal digits.
    pub(crate) sha256: SecretText,
    /// Its holder's groups. Default: none.
    pub(crate) groups: Option<Vec<String>>,
    /// Its holder's roles. Default: none.
    pub(crate) roles: Option<Vec<String>>,
    /// What it is good for. Default: nothing in particular.
    pub(crate) scopes: Option<Vec<String>>,
    /// When it ends: a day such as `2027-01-31`, at whose beginning in UTC it is over, or a time such as
    /// `2027-01-31T12:00:00Z`. Default: never.
    pub(crate) expires: Option<String>,
}

/// Client certificates as a proof of who calls.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Certificates {
    /// What of a certificate is the caller's name; one without it is refused.
    #[schemars(extend("default" = CertificateSubject::default()))]
    pub(crate) subject: Option<CertificateSubject>,
    /// Patterns of names with `*`, `?`, `[…]` and `{a,b}`, of which one must match. None of these stands for what separates the
    /// parts of a name: `/` in a URI, `.` in a DNS name, `@` in an address, `,` and `+` in a distinguished name. `**` in the
    /// place of a part stands for one part or more. Default: all.
    pub(crate) allow: Option<Vec<String>>,
    /// Groups of everybody who comes with a certificate. Default: none.
    pub(crate) groups: Option<Vec<String>>,
}
