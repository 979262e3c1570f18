//! Opening a connection to an address that the guard has looked at.

use super::guard::{Place, place};
use crate::dial;
use http::Uri;
use hyper_util::rt::TokioIo;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::net::TcpStream;
use tower_service::Service;
use url::Host;

/// Connects for requests whose URLs come from outside. A name is looked up once, and the connection is made to an address
/// of that very answer: a name that stands for another address a moment later is of no use to anybody.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    /// Private addresses are allowed, and plain HTTP to those.
    pub(super) private: bool,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    /// The guard refuses every address.
    #[error("{0}")]
    Refused(String),
    /// Nobody answers.
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let private = self.private;
        Box::pin(async move { open(&uri, private).await.map(TokioIo::new) })
    }
}

async fn open(uri: &Uri, private: bool) -> Result<TcpStream, ConnectError> {
    let plain = uri.scheme_str() == Some("http");
    let port = uri.port_u16().unwrap_or(if plain { 80 } else { 443 });
    let written = uri.host().unwrap_or_default();
    let host =
        Host::parse(written).map_err(|_| ConnectError::Refused("the URL names no valid host".to_owned()))?;
    let addresses = match &host {
        Host::Ipv4(address) => vec![SocketAddr::from((*address, port))],
        Host::Ipv6(address) => vec![SocketAddr::from((*address, port))],
        Host::Domain(name) => tokio::net::lookup_host((name.as_str(), port)).await?.collect(),
    };
    let allowed = allowed(&host, addresses, private, plain).map_err(ConnectError::Refused)?;
    Ok(dial::any(allowed).await?)
}

/// The addresses of `host` that may be connected to; why, where none may be.
fn allowed(
    host: &Host,
    addresses: Vec<SocketAddr>,
    private: bool,
    plain: bool,
) -> Result<Vec<SocketAddr>, String> {
    let mut why = "no address";
    let mut allowed = Vec::with_capacity(addresses.len());
    for address in addresses {
        match place(address.ip()) {
            Place::Public if plain => why = "a public address, where `http` is never spoken: use `https`",
            Place::Private if !private => why = "a private address: `private: true` allows that",
            Place::Nowhere => why = "an address that is never asked",
            Place::Public | Place::Private => allowed.push(address),
        }
    }
    if allowed.is_empty() { Err(format!("{host} has {why}")) } else { Ok(allowed) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(addresses: &[&str], private: bool, plain: bool) -> Result<Vec<String>, String> {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let host = Host::parse("idp.example").unwrap();
        let allowed = allowed(&host, addresses, private, plain)?;
        Ok(allowed.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn only_addresses_that_were_looked_at_are_connected_to() {
        let mixed = ["127.0.0.1:443", "1.1.1.1:443", "169.254.169.254:443", "[::1]:443"];
        assert_eq!(of(&mixed, false, false).unwrap(), ["1.1.1.1:443"], "a name may stand for both");
        assert_eq!(of(&mixed, true, false).unwrap(), ["127.0.0.1:443", "1.1.1.1:443", "[::1]:443"]);
        assert_eq!(of(&mixed, true, true).unwrap(), ["127.0.0.1:443", "[::1]:443"], "no plain HTTP outside");
        assert!(of(&["10.0.0.1:1"], false, false).unwrap_err().contains("private: true"));
        assert!(of(&["1.1.1.1:1"], true, true).unwrap_err().contains("https"));
        assert!(of(&["169.254.169.254:80"], true, true).unwrap_err().contains("never"));
        assert!(of(&[], true, true).unwrap_err().contains("no address"));
    }
}
