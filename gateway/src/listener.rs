//! The listener: one socket, threads that each serve the connections they accept on a runtime of their own.

mod clients;
mod distinguished_name;
mod peer;
mod socket;
pub(crate) mod tls;

use crate::app::App;
use crate::drain::{Phase, reached};
use crate::error::GatewayError;
use crate::gateway::Core;
use crate::pulse;
use pingora_core::apps::ServerApp;
use pingora_core::listeners::tls::Acceptor;
use pingora_core::protocols::{Ssl, Stream};
use pingora_core::server::ShutdownWatch;
use socket::Socket;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tls::Certificate;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;

/// Connections that wait to be accepted.
const BACKLOG: u32 = 4096;
/// A TLS handshake may take this long.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// Takes the address. Must be called within a tokio runtime.
pub(crate) fn bind(address: SocketAddr) -> Result<StdListener, GatewayError> {
    let bound = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        socket.listen(BACKLOG)?.into_std()
    };
    bound().map_err(|source| GatewayError::Listen { address, source })
}

pub(crate) use peer::Peer;

/// The TLS side of connections.
pub(crate) struct Tls {
    pub(crate) acceptor: Acceptor,
    pub(crate) certificate: Arc<Certificate>,
}

impl Tls {
    /// The connection after its handshake, and who the client is if it showed a certificate.
    async fn handshake(&self, tcp: Socket) -> Option<(Stream, Option<Arc<Peer>>)> {
        let clients = self.certificate.clients();
        // Looked at before the handshake looks: what changes in between counts as a change.
        let (seen, began) = (clients.map(|clients| clients.changes()).unwrap_or_default(), SystemTime::now());
        let handshake = self.acceptor.tls_handshake(tcp);
        let stream = match tokio::time::timeout(HANDSHAKE, handshake).await.ok()? {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "TLS handshake failed");
                return None;
            }
        };
        let chain = stream.get_ssl().and_then(|tls| tls.peer_cert_chain_der());
        let peer = match clients.zip(chain) {
            None => None,
            Some((clients, chain)) => match Peer::new(chain, clients, seen, began) {
                Ok(peer) => Some(Arc::new(peer)),
                Err(error) => {
                    tracing::warn!(error, "a client certificate cannot be read");
                    return None;
                }
            },
        };
        Some((Box::new(stream), peer))
    }
}

/// What every serving thread needs.
#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) core: Arc<Core>,
    pub(crate) tls: Option<Arc<Tls>>,
    /// Becomes true when connections must not be kept open any more.
    pub(crate) shutdown: ShutdownWatch,
    /// Becomes true when the threads must end.
    pub(crate) ended: watch::Receiver<bool>,
}

/// Starts `count` serving threads. They own the listener: when the last of them stops accepting, the system refuses new
/// connections.
///
/// A connection lives on the thread that accepted it, together with the connections to backends that its calls use: a
/// call then crosses no thread, which costs far less than the balance that moving it would gain.
pub(crate) fn serve(
    listener: StdListener,
    count: usize,
    service: &Service,
) -> Result<Vec<JoinHandle<()>>, GatewayError> {
    (0..count.max(1))
        .map(|number| {
            let (listener, service) = (listener.try_clone()?, service.clone());
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            let thread = std::thread::Builder::new().name(format!("serve-{number}"));
            let serve = move || {
                runtime.block_on(run(listener, service));
                // A look-up of a host name that hangs must not hold up the end.
                runtime.shutdown_background();
            };
            Ok(thread.spawn(serve)?)
        })
        .collect()
}

async fn run(listener: StdListener, mut service: Service) {
    tokio::spawn(pulse::beat());
    match TcpListener::from_std(listener) {
        Ok(listener) => accept(listener, &service).await,
        Err(error) => tracing::error!(%error, "a serving thread cannot use the listener"),
    }
    let _ = service.ended.wait_for(|ended| *ended).await;
}

async fn accept(listener: TcpListener, service: &Service) {
    let mut phase = service.core.drain.watch();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = reached(&mut phase, Phase::Draining) => return,
        };
        match accepted {
            Ok((stream, address)) => {
                tokio::spawn(connection(stream, address, service.clone()));
            }
            Err(error) => {
                // Out of descriptors, most likely: accepting again at once would only spin.
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: TcpStream, address: SocketAddr, service: Service) {
    let _ = stream.set_nodelay(true);
    // Connections that are open already keep the bounds that they began with.
    let timeouts = service.core.snapshot.load().config.timeouts.clone();
    let tcp = Socket::new(stream, timeouts.read, timeouts.write);
    let (first, peer): (Stream, _) = match &service.tls {
        None => (Box::new(tcp), None),
        Some(tls) => match tls.handshake(tcp).await {
            Some(opened) => opened,
            None => return,
        },
    };
    let app = Arc::new(App::new(service.core, Some(address.ip().to_canonical()), peer));
    let mut next = Some(first);
    while let Some(stream) = next {
        next = app.process_new(stream, &service.shutdown).await;
    }
}
