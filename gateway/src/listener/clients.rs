//! Whom the listener trusts to vouch for its clients; the file is read again when it changes.

use super::tls::provider;
use arc_swap::ArcSwap;
use rustls::client::danger::HandshakeSignatureValid;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, RootCertStore, SignatureScheme};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Notify;
use tokio::sync::futures::Notified;

/// The authorities of clients, as they are now.
#[derive(Debug)]
pub(super) struct Clients {
    files: weir_config::TlsClients,
    current: ArcSwap<Trust>,
    /// How often they have changed.
    changes: AtomicU64,
    /// Tells those who wait for that.
    changed: Notify,
}

#[derive(Debug)]
struct Trust {
    authorities: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Clients {
    /// Reads the file.
    pub(super) fn read(files: &weir_config::TlsClients) -> Result<Arc<Self>, String> {
        let current = ArcSwap::from_pointee(Trust::read(files)?);
        let (changes, changed) = (AtomicU64::new(0), Notify::new());
        Ok(Arc::new(Self { files: files.clone(), current, changes, changed }))
    }

    /// Reads the file again. What cannot be used is reported and changes nothing.
    pub(super) fn read_again(&self) {
        match Trust::read(&self.files) {
            Ok(trust) if trust.authorities == self.current.load().authorities => {}
            Ok(trust) => {
                self.current.store(Arc::new(trust));
                self.changes.fetch_add(1, Ordering::Release);
                self.changed.notify_waiters();
                tracing::info!("the authorities of client certificates were read again");
            }
            Err(error) => {
                tracing::error!(error, "the new authorities of clients are not used, the last good ones stay")
            }
        }
    }

    /// Whether a client without a certificate cannot connect.
    pub(super) fn are_required(&self) -> bool {
        self.files.required
    }

    /// How often the authorities have changed.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Is notified of changes from now on.
    pub(super) fn next_change(&self) -> Notified<'_> {
        self.changed.notified()
    }

    /// Whether a chain that was good once is still good.
    pub(super) fn trust(&self, chain: &[CertificateDer<'static>]) -> bool {
        let verifier = self.current.load().verifier.clone();
        let Some((own, others)) = chain.split_first() else {
            return false;
        };
        verifier.verify_client_cert(own, others, UnixTime::now()).is_ok()
    }
}

impl Trust {
    fn read(files: &weir_config::TlsClients) -> Result<Self, String> {
        let wrong = |error: &dyn std::fmt::Display| format!("authorities {}: {error}", files.ca.display());
        let authorities: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.ca)
            .and_then(Iterator::collect)
            .map_err(|error| wrong(&error))?;
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            roots.add(authority.clone()).map_err(|error| wrong(&error))?;
        }
        if roots.is_empty() {
            return Err(wrong(&"the file holds no certificate"));
        }
        let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider());
        let builder = if files.required { builder } else { builder.allow_unauthenticated() };
        let verifier = builder.build().map_err(|error| wrong(&error))?;
        Ok(Self { authorities, verifier })
    }
}

/// Asks whichever authorities are the current ones.
impl ClientCertVerifier for Clients {
    fn client_auth_mandatory(&self) -> bool {
        self.files.required
    }

    /// None: the names would be those of the authorities at the start. A client then shows what it has.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.current.load().verifier.verify_client_cert(own, others, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.current.load().verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.current.load().verifier.supported_verify_schemes()
    }
}
