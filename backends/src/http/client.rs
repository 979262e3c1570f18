//! The HTTP client to backends: pooled keep-alive connections, TLS, HTTP/2.

use crate::BackendError;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// What the rest of the crate asks of an HTTP client.
pub(crate) trait HttpClient {
    /// Sends one request and waits for the response's head. Never follows a redirect.
    fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> impl Future<Output = Result<Response<Incoming>, BackendError>> + Send;
}

type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

thread_local! {
    /// Each serving thread has a runtime of its own; a connection that stays on its thread is woken without crossing to
    /// another one.
    static POOLS: RefCell<HashMap<u64, (Weak<Settings>, Pool)>> = RefCell::default();
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// A client with one pool of connections for each thread that uses it.
#[derive(Debug)]
pub(crate) struct PooledClient {
    settings: Arc<Settings>,
}

#[derive(Debug)]
struct Settings {
    number: u64,
    tls: Arc<rustls::ClientConfig>,
    connect: Duration,
    http2: bool,
    http2_only: bool,
}

impl PooledClient {
    /// A client for one backend; no connection is opened yet.
    pub(crate) fn new(http: &weir_config::HttpBackend, connect: Duration) -> Result<Self, BackendError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| BackendError::Unreachable(error.to_string()))?
            .with_root_certificates(roots(http.ca.as_deref())?)
            .with_no_client_auth();
        let settings = Arc::new(Settings {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            tls: Arc::new(tls),
            connect,
            http2: http.http2,
            http2_only: http.http2 && http.url.scheme() == "http",
        });
        Ok(Self { settings })
    }

    fn pool(&self) -> Pool {
        POOLS.with_borrow_mut(|pools| {
            if let Some((_, pool)) = pools.get(&self.settings.number) {
                return pool.clone();
            }
            // A new backend is rare, and a good moment to let go of the pools of those that are gone.
            pools.retain(|_, (settings, _)| settings.strong_count() > 0);
            let pool = self.settings.pool();
            pools.insert(
                self.settings.number,
                (Arc::downgrade(&self.settings), pool.clone()),
            );
            pool
        })
    }
}

impl Settings {
    fn pool(&self) -> Pool {
        let mut tcp = HttpConnector::new();
        tcp.set_nodelay(true);
        tcp.enforce_http(false);
        tcp.set_connect_timeout(Some(self.connect));
        let builder = HttpsConnectorBuilder::new()
            .with_tls_config((*self.tls).clone())
            .https_or_http();
        let connector = if self.http2 {
            builder.enable_http1().enable_http2().wrap_connector(tcp)
        } else {
            builder.enable_http1().wrap_connector(tcp)
        };
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(256)
            .http2_only(self.http2_only)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .build(connector)
    }
}

impl HttpClient for PooledClient {
    async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, BackendError> {
        self.pool().request(request).await.map_err(|error| {
            if error.is_connect() {
                BackendError::Unreachable(cause(&error))
            } else {
                BackendError::Gone(cause(&error))
            }
        })
    }
}

/// The innermost cause: the outer layers only say that something failed.
pub(crate) fn cause(error: &dyn std::error::Error) -> String {
    let mut innermost = error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, BackendError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let failed =
                |text: String| BackendError::Unreachable(format!("certificate authorities of `ca`: {text}"));
            let certificates =
                CertificateDer::pem_file_iter(path).map_err(|error| failed(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| failed(error.to_string()))?;
                roots
                    .add(certificate)
                    .map_err(|error| failed(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(failed("the file holds no certificate".to_owned()));
            }
        }
        // A machine without system certificates can still reach plain HTTP; a TLS handshake there fails with a clear error.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}
