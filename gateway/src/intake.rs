//! What is checked before a request's body is read: size of the head, `Host`, `Origin`, media types.

use crate::client::{BodyError, Http};
use crate::connect::Base;
use crate::rescue::Fault;
use bytes::Bytes;
use futures_util::poll;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderValue, Method};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::task::Poll;
use weir_config::Config;
use weir_protocol::code;

/// A notification needs no more, in bytes; a connection has larger buffers than this anyway.
const SMALL: usize = 4 << 10;

/// Which names weir answers to, and for whom.
#[derive(Debug)]
pub(crate) struct Gatekeeper {
    hosts: Vec<String>,
    origins: Vec<String>,
    loopback: bool,
    headers: usize,
}

impl Gatekeeper {
    /// For a listener at `address` (the real one, should the configured port be 0), which browsers reach at `base`.
    pub(crate) fn new(
        listener: &weir_config::Listener,
        address: SocketAddr,
        base: Option<&Base>,
        headers: usize,
    ) -> Self {
        let mut hosts: Vec<String> =
            listener.allowed_hosts.iter().map(|host| without_port(host).to_ascii_lowercase()).collect();
        if !address.ip().is_unspecified() {
            hosts.push(address.ip().to_string());
        }
        hosts.extend(base.and_then(Base::host).map(|host| without_port(&host).to_ascii_lowercase()));
        let origins = listener.allowed_origins.iter().map(|origin| origin.to_ascii_lowercase());
        // Pages of weir's own say where they come from, too.
        let origins = origins.chain(base.map(|base| base.origin().to_owned())).collect();
        Self { hosts, origins, loopback: address.ip().is_loopback(), headers }
    }

    /// Refuses what a browser could be tricked into sending (DNS rebinding), and heads that are too large. Answers the
    /// origin that was allowed.
    pub(crate) fn check(&self, http: &Http<'_>) -> Result<Option<HeaderValue>, Fault> {
        let size: usize =
            http.headers().iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
        if size + http.uri().path().len() > self.headers {
            let message = format!("the request's head is larger than {} bytes", self.headers);
            return Err(Fault::new(431, code::INVALID_REQUEST, message));
        }
        let host = match http.uri().authority() {
            Some(authority) => Some(authority.as_str()),
            None => http.header(HOST),
        };
        if !host.is_some_and(|host| self.knows_host(host)) || http.headers().get_all(HOST).iter().count() > 1
        {
            return Err(Fault::new(
                403,
                code::INVALID_REQUEST,
                "this Host is not served here; the operator can add it to `listener.allowed_hosts`",
            ));
        }
        let mut origins = http.headers().get_all(ORIGIN).iter();
        match (origins.next(), origins.next()) {
            (None, _) => Ok(None),
            (Some(origin), None) if origin.to_str().is_ok_and(|origin| self.knows_origin(origin)) => {
                Ok(Some(origin.clone()))
            }
            _ => Err(Fault::new(
                403,
                code::INVALID_REQUEST,
                "this Origin is not allowed; the operator can add it to `listener.allowed_origins`",
            )),
        }
    }

    fn knows_host(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        (self.loopback && is_loopback(&name)) || self.hosts.contains(&name)
    }

    fn knows_origin(&self, origin: &str) -> bool {
        let origin = origin.to_ascii_lowercase();
        if self.origins.contains(&origin) {
            return true;
        }
        let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        self.loopback && authority.is_some_and(|authority| is_loopback(without_port(authority)))
    }
}

/// The host without its port and without the brackets of an IPv6 address.
fn without_port(host: &str) -> &str {
    if let Some(rest) = host.strip_prefix('[') {
        return rest.split_once(']').map_or(host, |(address, _)| address);
    }
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn is_loopback(name: &str) -> bool {
    name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether this is a POST whose body is told to be so small that it may be read though weir is full.
pub(crate) fn is_small_post(http: &Http<'_>) -> bool {
    let length = http.header(CONTENT_LENGTH).and_then(|length| length.parse::<usize>().ok());
    *http.method() == Method::POST && length.is_some_and(|length| length <= SMALL)
}

/// Refuses a body that is not announced as JSON.
pub(crate) fn content_type(http: &Http<'_>) -> Result<(), Fault> {
    let media = http.header(CONTENT_TYPE).and_then(|value| value.split(';').next()).map(str::trim);
    if media.is_some_and(|media| media.eq_ignore_ascii_case("application/json")) {
        return Ok(());
    }
    Err(Fault::new(415, code::INVALID_REQUEST, "send the message with `Content-Type: application/json`"))
}

/// Reads a body, bounded in size and time.
pub(crate) async fn body(http: &mut Http<'_>, config: &Config) -> Result<Bytes, Fault> {
    let limit = config.limits.body;
    let mut arriving = pin!(http.body(limit));
    // Most bodies arrive with their head, and then need no timer.
    let arrived = match poll!(&mut arriving) {
        Poll::Ready(body) => Ok(body),
        Poll::Pending => tokio::time::timeout(config.timeouts.read, arriving).await,
    };
    match arrived {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(BodyError::TooLarge)) => Err(too_large(limit)),
        Ok(Err(BodyError::Broken)) => {
            Err(Fault::new(400, code::PARSE_ERROR, "the body did not arrive whole"))
        }
        Ok(Err(BodyError::Late)) | Err(_) => {
            Err(Fault::new(408, code::INVALID_REQUEST, "the body took too long to arrive"))
        }
    }
}

/// A message is larger than it may be.
pub(crate) fn too_large(limit: usize) -> Fault {
    Fault::new(413, code::INVALID_REQUEST, format!("the body is larger than {limit} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keeper(address: &str) -> Gatekeeper {
        let listener = weir_config::Listener {
            allowed_hosts: vec!["Gateway.example.com".into(), "[2001:db8::1]".into()],
            allowed_origins: vec!["https://app.example.com".into()],
            ..weir_config::Listener::default()
        };
        Gatekeeper::new(&listener, address.parse().unwrap(), None, 1000)
    }

    #[test]
    fn hosts() {
        let local = keeper("127.0.0.1:4483");
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:4483",
            "[::1]:4483",
            "gateway.example.com:443",
            "[2001:db8::1]:9",
        ] {
            assert!(local.knows_host(host), "{host}");
        }
        for host in [
            "evil.example.com",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "",
            "[::1",
            "localhost:x",
            "2130706433",
        ] {
            assert!(!local.knows_host(host), "{host}");
        }
        let public = keeper("0.0.0.0:4483");
        assert!(public.knows_host("gateway.example.com") && !public.knows_host("localhost"));
    }

    #[test]
    fn origins() {
        let local = keeper("127.0.0.1:4483");
        for origin in
            ["http://localhost:6274", "https://127.0.0.1", "https://app.example.com", "http://[::1]:5"]
        {
            assert!(local.knows_origin(origin), "{origin}");
        }
        for origin in [
            "null",
            "http://evil.example.com",
            "https://app.example.com.evil.com",
            "https://app.example.com:8443",
            "http://localhost@evil.com",
        ] {
            assert!(!local.knows_origin(origin), "{origin}");
        }
        assert!(!keeper("0.0.0.0:1").knows_origin("http://localhost:6274"));
    }
}
