//! Requests to servers that are no backends: identity providers and authorization servers, whose URLs may come from
//! outside.

mod connector;
mod guard;

use crate::http::USER_AGENT;
use crate::roots;
use ::http::{HeaderValue, Request, Response, Uri, header};
use async_trait::async_trait;
use bytes::Bytes;
use connector::{ConnectError, Connector};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use url::Url;
use weir_policies::{Fetch, FetchError, Reach};

/// Largest answer, in bytes.
const LARGEST: usize = 1 << 20;
/// Largest head of an answer, in bytes.
const LARGEST_HEAD: usize = 64 << 10;
/// No request takes longer, whatever its deadline.
const LONGEST: Duration = Duration::from_secs(60);
/// Unused connections: so many to one server, for so long.
const IDLE_CONNECTIONS: usize = 4;
const IDLE: Duration = Duration::from_secs(30);
/// Ways to trust and to reach that are kept at once; a configuration has but a few.
const POOLS: usize = 64;

type Pool = Client<HttpsConnector<Connector>, Full<Bytes>>;

/// How a request goes out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Way {
    private: bool,
    ca: Option<PathBuf>,
    /// When the file of `ca` was written.
    written: Option<SystemTime>,
}

/// The HTTP client to identity providers and authorization servers. It follows no redirect, asks for no compression,
/// bounds each answer, and connects only where the guard lets it.
#[derive(Debug, Default)]
pub struct Outbound {
    pools: Mutex<HashMap<Way, Pool>>,
}

impl Outbound {
    /// A client without connections.
    pub fn new() -> Self {
        Self::default()
    }

    fn pool(&self, reach: &Reach) -> Result<Pool, FetchError> {
        // A rotated file is another way; the old one's connections end unused.
        let written = reach.ca.as_ref().and_then(|path| std::fs::metadata(path).ok()?.modified().ok());
        let way = Way { private: reach.private, ca: reach.ca.clone(), written };
        if let Some(pool) = self.pools.lock().get(&way) {
            return Ok(pool.clone());
        }
        let pool = pool(reach)?;
        let mut pools = self.pools.lock();
        if pools.len() >= POOLS {
            pools.clear();
        }
        pools.insert(way, pool.clone());
        Ok(pool)
    }

    async fn send(&self, mut request: Request<Bytes>, reach: &Reach) -> Result<Response<Bytes>, FetchError> {
        *request.uri_mut() = plain_form(request.uri())?;
        let agent = HeaderValue::from_static(USER_AGENT);
        request.headers_mut().entry(header::USER_AGENT).or_insert(agent);
        let response = self.pool(reach)?.request(request.map(Full::new)).await.map_err(|error| of(&error))?;
        let (head, body) = response.into_parts();
        let mut codings = head.headers.get_all(header::CONTENT_ENCODING).iter();
        if codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")) {
            let text = "its answer is compressed, which was not asked for";
            return Err(FetchError::Unreachable(text.to_owned()));
        }
        let body = Limited::new(body, LARGEST).collect().await.map_err(|error| {
            if error.is::<LengthLimitError>() { FetchError::Large } else { of(error.as_ref()) }
        })?;
        Ok(Response::from_parts(head, body.to_bytes()))
    }
}

#[async_trait]
impl Fetch for Outbound {
    async fn fetch(&self, request: Request<Bytes>, reach: &Reach) -> Result<Response<Bytes>, FetchError> {
        let limit = reach.deadline.min(LONGEST);
        tokio::time::timeout(limit, self.send(request, reach)).await.unwrap_or(Err(FetchError::Late))
    }
}

fn pool(reach: &Reach) -> Result<Pool, FetchError> {
    let mut authorities = roots::system();
    if let Some(path) = &reach.ca {
        let unusable = |text| FetchError::Unreachable(format!("the file of `ca` cannot be used: {text}"));
        roots::add(&mut authorities, path).map_err(unusable)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| FetchError::Unreachable(format!("TLS cannot be set up: {error}")))?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    let connector = HttpsConnectorBuilder::new()
        .with_tls_config(tls)
        .https_or_http()
        .enable_http1()
        .enable_http2()
        .wrap_connector(Connector { private: reach.private });
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(IDLE_CONNECTIONS)
        .http1_max_buf_size(LARGEST_HEAD)
        .http2_max_header_list_size(u32::try_from(LARGEST_HEAD).unwrap_or(u32::MAX))
        .build(connector))
}

/// The URL as browsers write it, so that the host that is looked up, the name in the certificate and the `Host` header
/// are one and the same: an address in octal digits and `127.0.0.1` do not differ any more.
fn plain_form(uri: &Uri) -> Result<Uri, FetchError> {
    let refused = |text: &str| FetchError::Refused(text.to_owned());
    let url = Url::parse(&uri.to_string()).map_err(|_| refused("it is not a URL"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(refused("only `https` is spoken, and `http` to private addresses that are allowed"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("the URL holds a user name or password"));
    }
    if url.port() == Some(0) || url.host_str().is_none_or(str::is_empty) {
        return Err(refused("the URL names no host"));
    }
    url.as_str().parse().map_err(|_| refused("it is not a URL"))
}

/// What an error of the HTTP client means. The outer layers only say that something failed.
fn of(error: &(dyn Error + 'static)) -> FetchError {
    let mut innermost = error;
    loop {
        if let Some(ConnectError::Refused(text)) = innermost.downcast_ref() {
            return FetchError::Refused(text.clone());
        }
        match innermost.source() {
            Some(source) => innermost = source,
            None => return FetchError::Unreachable(innermost.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
