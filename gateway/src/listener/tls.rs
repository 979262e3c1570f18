//! The certificate and key of the listener, read again when the files change.

use crate::error::GatewayError;
use arc_swap::ArcSwap;
use pingora_core::listeners::tls::Acceptor;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
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
        Ok(Arc::new(Self { files: files.clone(), current }))
    }

    /// The side of the handshake that pingora drives.
    pub(crate) fn acceptor(self: &Arc<Self>, http2: bool) -> Result<Acceptor, GatewayError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| GatewayError::Tls(error.to_string()))?
            .with_no_client_auth()
            .with_cert_resolver(self.clone());
        let protocols: &[&[u8]] = if http2 { &[b"h2", b"http/1.1"] } else { &[b"http/1.1"] };
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Ok(Acceptor::from_server_config(Arc::new(config)))
    }

    /// Reads the files again. What cannot be used is reported and changes nothing.
    pub(crate) fn read_again(&self) {
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

    fn changed_at(&self) -> [Option<SystemTime>; 2] {
        let of = |path: &Path| std::fs::metadata(path).and_then(|file| file.modified()).ok();
        [of(&self.files.certificate), of(&self.files.key)]
    }
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
