//! `listener`.

use crate::model;
use schemars::JsonSchema;
use serde::Deserialize;

/// Where clients connect.
#[derive(Deserialize, JsonSchema, Default)]
#[serde(deny_unknown_fields)]
pub(crate) struct Listener {
    /// Address and port; port 0 takes a free one.
    #[schemars(extend("default" = model::Listener::default().address))]
    pub(crate) address: Option<String>,
    /// Where browsers reach weir, such as `https://weir.example.com`: for the pages on which users connect backends. Default:
    /// `address`.
    pub(crate) public_url: Option<String>,
    /// Certificate and key. Default: plain HTTP.
    pub(crate) tls: Option<Tls>,
    /// Offer HTTP/2 over TLS (ALPN).
    #[schemars(extend("default" = model::Listener::default().http2))]
    pub(crate) http2: Option<bool>,
    /// Accept HTTP/2 with prior knowledge on a plain listener.
    #[schemars(extend("default" = model::Listener::default().h2c))]
    pub(crate) h2c: Option<bool>,
    /// `Origin` values that browsers may call from, such as `https://app.example.com`. Loopback origins are
    /// accepted anyway when `address` is loopback.
    pub(crate) allowed_origins: Option<Vec<String>>,
    /// `Host` values, without port, that are accepted beside loopback names and `address`.
    pub(crate) allowed_hosts: Option<Vec<String>>,
    /// Threads that serve connections. Default: the number of processors.
    #[schemars(range(min = 1, max = 1024))]
    pub(crate) workers: Option<usize>,
}

/// A certificate chain and its private key; both files are read again when they change.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tls {
    /// PEM file of the certificate chain, leaf first. A relative path starts at the configuration file's
    /// folder.
    pub(crate) certificate: String,
    /// PEM file of the private key. A relative path starts at the configuration file's folder.
    pub(crate) key: String,
    /// Asks clients for certificates (mutual TLS). Default: none are asked for.
    pub(crate) clients: Option<TlsClients>,
}

/// Which client certificates the listener takes. What they are good for stands in `auth.certificates` of each endpoint.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TlsClients {
    /// PEM file of the authorities that vouch for clients; read again when it changes. A relative path starts at the
    /// configuration file's folder.
    pub(crate) ca: String,
    /// Refuse connections of clients that have no certificate.
    #[schemars(extend("default" = false))]
    pub(crate) required: Option<bool>,
}
