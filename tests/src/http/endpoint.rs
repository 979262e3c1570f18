//! Where a request goes.

use std::net::SocketAddr;

/// Address and path of one of weir's endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The address to connect to.
    pub address: SocketAddr,
    /// The path, with its leading slash.
    pub path: String,
}

impl Endpoint {
    /// Reads an `http` URL whose host is an address.
    pub fn parse(url: &str) -> Self {
        let rest = url
            .strip_prefix("http://")
            .unwrap_or_else(|| panic!("no http URL: {url:?}"));
        let (address, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let address = address
            .parse()
            .unwrap_or_else(|error| panic!("no address in {url:?}: {error}"));
        Self {
            address,
            path: if path.is_empty() {
                "/".to_owned()
            } else {
                path.to_owned()
            },
        }
    }

    /// The same server at another path.
    #[must_use]
    pub fn at(&self, path: &str) -> Self {
        Self {
            address: self.address,
            path: path.to_owned(),
        }
    }

    /// The URL that clients are given.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }
}
