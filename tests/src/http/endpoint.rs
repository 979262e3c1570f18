//! Where a request goes.

use std::net::SocketAddr;

/// Address and path of one of weir's endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address to connect to.
    pub address: SocketAddr,
    /// The path, with its leading slash.
    pub path: String,
    /// Whether it is reached over TLS, which the raw client does not speak.
    pub tls: bool,
    /// The token that every request brings.
    pub bearer: Option<String>,
}

impl Endpoint {
    /// Reads an `http` or `https` URL whose host is an address.
    pub fn parse(url: &str) -> Self {
        let (tls, rest) = match url.split_once("://") {
            Some(("http", rest)) => (false, rest),
            Some(("https", rest)) => (true, rest),
            _ => panic!("no http or https URL: {url:?}"),
        };
        let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address = address.parse().unwrap_or_else(|error| panic!("no address in {url:?}: {error}"));
        Self {
            address,
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            tls,
            bearer: None,
        }
    }

    /// The same server at another path.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        Self { path: path.to_owned(), ..self.clone() }
    }

    /// The same path, where every request brings a token unless it says otherwise.
    #[must_use]
    pub fn bearing(&self, token: &str) -> Self {
        Self { bearer: Some(token.to_owned()), ..self.clone() }
    }

    /// The URL that clients are given.
    pub fn url(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}{}", self.address, self.path)
    }
}
