//! Where browsers reach weir.

use http::Uri;
use std::net::SocketAddr;
use weir_config::Listener;

/// Where browsers reach weir: an origin. Only what the operator wrote, or the socket itself, says so; no header does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Base {
    origin: String,
    /// Browsers come by TLS.
    secure: bool,
}

impl Base {
    /// For a listener at `address` (the real one); `None` where nothing says where it is reached.
    pub(crate) fn of(listener: &Listener, address: SocketAddr) -> Option<Self> {
        if let Some(url) = &listener.public_url {
            let origin = url.origin().ascii_serialization();
            return Some(Self { origin, secure: url.scheme() == "https" });
        }
        let secure = listener.tls.is_some();
        let scheme = if secure { "https" } else { "http" };
        (!address.ip().is_unspecified() && address.port() != 0)
            .then(|| Self { origin: format!("{scheme}://{address}"), secure })
    }

    /// The URL of one of weir's own paths.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    /// Whether a browser says that a request comes from a page of weir's own.
    pub(crate) fn is_own(&self, origin: &str) -> bool {
        origin == self.origin
    }

    /// The origin.
    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// Whether browsers come by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.secure
    }

    /// The host, as `Host` names it without its port.
    pub(crate) fn host(&self) -> Option<String> {
        self.origin.parse::<Uri>().ok()?.host().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_comes_first() {
        let address = "127.0.0.1:4483".parse().unwrap();
        let plain = Base::of(&Listener::default(), address).unwrap();
        assert_eq!(plain.url("/connect"), "http://127.0.0.1:4483/connect");
        assert!(!plain.is_secure());
        let public = Listener { public_url: "https://weir.example.com/".parse().ok(), ..Listener::default() };
        let base = Base::of(&public, address).unwrap();
        assert_eq!(base.url("/connect"), "https://weir.example.com/connect");
        assert!(base.is_secure() && base.is_own("https://weir.example.com"));
        assert!(!base.is_own("http://weir.example.com") && !base.is_own("null"));
        assert_eq!(Base::of(&Listener::default(), "0.0.0.0:4483".parse().unwrap()), None);
        assert_eq!(base.host().as_deref(), Some("weir.example.com"));
    }
}
