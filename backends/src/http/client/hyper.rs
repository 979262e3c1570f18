//! TLS and HTTP/2 to backends, by hyper.

use super::{
    ACCEPT, ACCEPT_IMAGES, Body, HttpClient, IDLE, IDLE_CONNECTIONS, Incoming, Outgoing, USER_AGENT, Verb,
    cause, of_map,
};
use crate::dial::{KEEPALIVE, KEEPALIVE_INTERVAL, KEEPALIVE_PROBES};
use crate::{BackendError, Cause, roots};
use ::http::header::{self, HeaderMap};
use ::http::{HeaderName, HeaderValue, Method, Request, Uri};
use bytes::Bytes;
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

type Pool = Client<HttpsConnector<HttpConnector>, Full<Bytes>>;

thread_local! {
    /// Each serving thread has a runtime of its own; a connection that stays on its thread is woken without crossing to
    /// another one.
    static POOLS: RefCell<HashMap<u64, (Weak<Settings>, Pool)>> = RefCell::default();
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// A client with one pool of connections for each thread that uses it.
#[derive(Debug)]
pub(crate) struct HyperClient {
    uri: Uri,
    headers: HeaderMap,
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

impl HyperClient {
    /// A client for one backend; no connection is opened yet.
    pub(super) fn new(
        http: &weir_config::HttpBackend,
        uri: &Uri,
        headers: &HeaderMap,
        connect: Duration,
    ) -> Result<Self, BackendError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| BackendError::Unreachable(Cause::private("TLS cannot be set up", error)))?
            .with_root_certificates(roots::read(http.ca.as_deref())?)
            .with_no_client_auth();
        let settings = Arc::new(Settings {
            number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed),
            tls: Arc::new(tls),
            connect,
            http2: http.http2,
            http2_only: http.http2 && http.url.scheme() == "http",
        });
        let mut headers = headers.clone();
        headers.insert(header::ACCEPT, HeaderValue::from_static(ACCEPT));
        headers.entry(header::USER_AGENT).or_insert(HeaderValue::from_static(USER_AGENT));
        Ok(Self { uri: uri.clone(), headers, settings })
    }

    /// The backend's URL, or `path` at the same server.
    fn uri_of(&self, path: Option<&str>) -> Result<Uri, BackendError> {
        let Some(path) = path else {
            return Ok(self.uri.clone());
        };
        let mut parts = self.uri.clone().into_parts();
        let invalid = || BackendError::Protocol("it names a path that is not valid".to_owned());
        parts.path_and_query = Some(path.parse().map_err(|_| invalid())?);
        Uri::from_parts(parts).map_err(|_| invalid())
    }

    /// The headers that never change.
    fn headers_of(&self, verb: Verb) -> HeaderMap {
        if verb != Verb::GetImage {
            return self.headers.clone();
        }
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(ACCEPT_IMAGES));
        headers.insert(header::USER_AGENT, HeaderValue::from_static(USER_AGENT));
        headers
    }

    /// Closes the unused connections of this thread.
    pub(super) fn forget_unused(&self) {
        POOLS.with_borrow_mut(|pools| drop(pools.remove(&self.settings.number)));
    }

    fn pool(&self) -> Pool {
        POOLS.with_borrow_mut(|pools| {
            if let Some((_, pool)) = pools.get(&self.settings.number) {
                return pool.clone();
            }
            // A new backend is rare, and a good moment to let go of the pools of those that are gone.
            pools.retain(|_, (settings, _)| settings.strong_count() > 0);
            let pool = self.settings.pool();
            pools.insert(self.settings.number, (Arc::downgrade(&self.settings), pool.clone()));
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
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE_INTERVAL));
        tcp.set_keepalive_retries(Some(KEEPALIVE_PROBES));
        let builder = HttpsConnectorBuilder::new().with_tls_config((*self.tls).clone()).https_or_http();
        let connector = if self.http2 {
            builder.enable_http1().enable_http2().wrap_connector(tcp)
        } else {
            builder.enable_http1().wrap_connector(tcp)
        };
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .http2_only(self.http2_only)
            .http2_keep_alive_interval(Duration::from_secs(20))
            .http2_keep_alive_while_idle(true)
            .build(connector)
    }
}

impl HttpClient for HyperClient {
    async fn send(&self, outgoing: &Outgoing) -> Result<Incoming, BackendError> {
        let mut request = Request::new(Full::new(outgoing.body.clone()));
        *request.method_mut() = match outgoing.verb {
            Verb::Post => Method::POST,
            Verb::Get | Verb::GetImage => Method::GET,
            Verb::Delete => Method::DELETE,
        };
        *request.uri_mut() = self.uri_of(outgoing.path.as_deref())?;
        let headers = request.headers_mut();
        *headers = self.headers_of(outgoing.verb);
        if outgoing.verb == Verb::Post {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in &outgoing.headers {
            headers.insert(HeaderName::from_static(name), value.clone());
        }
        for (name, value) in &outgoing.mirrored {
            if let Ok(name) = HeaderName::try_from(name.as_str()) {
                headers.append(name, value.clone());
            }
        }
        let response = self.pool().request(request).await.map_err(|error| {
            if error.is_connect() {
                BackendError::Unreachable(Cause::private("no connection could be opened", cause(&error)))
            } else {
                BackendError::Gone(Cause::private("the connection broke", cause(&error)))
            }
        })?;
        let (head, body) = response.into_parts();
        let mut codings = head.headers.get_all(header::CONTENT_ENCODING).iter();
        if codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity")) {
            let text = "its answer is compressed, which was not asked for";
            return Err(BackendError::Protocol(text.to_owned()));
        }
        Ok(of_map(head.status.as_u16(), &head.headers, Body::Hyper(body)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_user_agent_replaces_weirs() {
        let spec = weir_config::Backend::http("x", "http://127.0.0.1:1/mcp".parse().unwrap());
        let weir_config::Transport::Http(http) = &spec.transport else { panic!("{spec:?}") };
        let uri = Uri::from_static("http://127.0.0.1:1/mcp");
        let mut headers = HeaderMap::new();
        let client = HyperClient::new(http, &uri, &headers, Duration::from_secs(1)).unwrap();
        assert_eq!(client.headers[header::USER_AGENT], USER_AGENT);
        headers.insert(header::USER_AGENT, HeaderValue::from_static("custom/1"));
        let client = HyperClient::new(http, &uri, &headers, Duration::from_secs(1)).unwrap();
        assert!(client.headers.get_all(header::USER_AGENT).iter().eq(["custom/1"]));
        assert_eq!(client.headers_of(Verb::Get), client.headers);
        let of_images = client.headers_of(Verb::GetImage);
        assert_eq!(of_images[header::USER_AGENT], USER_AGENT, "what is configured is for MCP alone");
        assert_eq!(of_images[header::ACCEPT], ACCEPT_IMAGES);
        assert_eq!(of_images.len(), 2);
    }

    #[test]
    fn a_path_may_take_the_place_of_the_urls() {
        let spec = weir_config::Backend::http("x", "https://127.0.0.1:1/sse?k=v".parse().unwrap());
        let weir_config::Transport::Http(http) = &spec.transport else { panic!("{spec:?}") };
        let uri = Uri::from_static("https://127.0.0.1:1/sse?k=v");
        let client = HyperClient::new(http, &uri, &HeaderMap::new(), Duration::from_secs(1)).unwrap();
        assert_eq!(client.uri_of(None).unwrap(), uri);
        let other = client.uri_of(Some("/messages?session=1")).unwrap();
        assert_eq!(other, "https://127.0.0.1:1/messages?session=1");
        assert!(client.uri_of(Some("/a b")).is_err());
    }
}
