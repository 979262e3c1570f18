//! The certificate and key of the listener, and whom it trusts to vouch for clients; read again when the files change.

use super::clients::Clients;
use crate::error::GatewayError;
use arc_swap::ArcSwap;
use pingora_core::listeners::tls::Acceptor;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use weir_config::Tls;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// Answers every handshake with the current certificate.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: Tls,
    current: ArcSwap<CertifiedKey>,
    /// Who vouches for clients, where they may show certificates.
    clients: Option<Arc<Clients>>,
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Certificate {
    /// Reads the files.
    pub(crate) fn read(files: &Tls) -> Result<Arc<Self>, GatewayError> {
        let current = ArcSwap::from_pointee(read(files).map_err(GatewayError::Tls)?);
        let clients = files.clients.as_ref().map(Clients::read).transpose().map_err(GatewayError::Tls)?;
        Ok(Arc::new(Self { files: files.clone(), current, clients }))
    }

    /// The side of the handshake that pingora drives.
    pub(crate) fn acceptor(self: &Arc<Self>, http2: bool) -> Result<Acceptor, GatewayError> {
        let builder = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .map_err(|error| GatewayError::Tls(error.to_string()))?;
        let mut config = match &self.clients {
            None => builder.with_no_client_auth().with_cert_resolver(self.clone()),
            Some(clients) => {
                let builder = builder.with_client_cert_verifier(clients.clone());
                let mut config = builder.with_cert_resolver(self.clone());
                // Who comes back is looked at again: what was good in an earlier connection may not be any more.
                config.session_storage = Arc::new(NoServerSessionStorage {});
                config.send_tls13_tickets = 0;
                config
            }
        };
        let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Acceptor::from_server_config(Arc::new(config)))
    }

    /// Who vouches for clients, where they may show certificates.
    pub(super) fn clients(&self) -> Option<&Arc<Clients>> {
        self.clients.as_ref()
    }

    /// Reads the files again. What cannot be used is reported and changes nothing.
    pub(crate) fn read_again(&self) {
        if let Some(clients) = &self.clients {
            clients.read_again();
        }
        match read(&self.files) {
            Ok(key) if key.cert == self.current.load().cert => {}
            Ok(key) => {
                self.current.store(Arc::new(key));
                tracing::info!("the TLS certificate was read again");
            }
            Err(error) => {
                tracing::error!(error, "the new TLS certificate is not used, the last good one stays")
            }
        }
    }

    /// Reads the files again whenever one of them has changed.
    pub(crate) async fn follow(self: Arc<Self>) {
        let mut seen = self.changed_at();
        loop {
            tokio::time::sleep(INTERVAL).await;
            let now = self.changed_at();
            if now == seen {
                continue;
            }
            seen = now;
            self.read_again();
        }
    }

    fn changed_at(&self) -> [Option<SystemTime>; 3] {
        let of = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        let clients = self.files.clients.as_ref().and_then(|clients| of(&clients.ca));
        [of(&self.files.certificate), of(&self.files.key), clients]
    }
}

/// The one provider of cryptography.
pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn read(files: &Tls) -> Result<CertifiedKey, String> {
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| format!("certificate {}: {error}", files.certificate.display()))?;
    if chain.is_empty() {
        return Err(format!("certificate {}: the file holds no certificate", files.certificate.display()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key)
        .map_err(|error| format!("key {}: {error}", files.key.display()))?;
    let key = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
        .map_err(|error| format!("key {}: {error}", files.key.display()))?;
    key.keys_match().map_err(|error| format!("the certificate is not the key's: {error}"))?;
    Ok(key)
}
