//! The client at the other end of a TLS connection, by the certificate that it showed.

use super::clients::Clients;
use super::distinguished_name;
use ring::digest::{SHA256, digest};
use rustls::pki_types::CertificateDer;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};
use weir_policies::{CertificateName, ClientCertificate};
use x509_parser::extensions::GeneralName;
use x509_parser::parse_x509_certificate;

/// Who holds the certificate that a connection began with.
#[derive(Debug)]
pub(crate) struct Peer {
    certificate: ClientCertificate,
    chain: Vec<CertificateDer<'static>>,
    clients: Arc<Clients>,
    /// Under which of the authorities the chain was good last.
    seen: AtomicU64,
}

impl Peer {
    /// The holder of this chain, which was found good when the authorities had changed `seen` times.
    ///
    /// # Errors
    /// What the certificate says cannot be read.
    pub(super) fn new(
        chain: &[CertificateDer<'static>],
        clients: &Arc<Clients>,
        seen: u64,
    ) -> Result<Self, String> {
        let own = chain.first().ok_or("the chain is empty")?;
        Ok(Self {
            certificate: read(own)?,
            chain: chain.to_vec(),
            clients: clients.clone(),
            seen: AtomicU64::new(seen),
        })
    }

    /// The certificate, as long as some authority vouches for it: those that are trusted may change while the connection is
    /// open.
    pub(crate) fn certificate(&self) -> Option<&ClientCertificate> {
        let now = self.clients.changes();
        if self.seen.load(Ordering::Relaxed) != now {
            if !self.clients.trust(&self.chain) {
                return None;
            }
            self.seen.store(now, Ordering::Relaxed);
        }
        Some(&self.certificate)
    }

    /// Whether the connection may not go on without a certificate.
    pub(crate) fn is_required(&self) -> bool {
        self.clients.are_required()
    }
}

/// What a certificate says of its holder. Anything that cannot be read makes it nobody's.
fn read(der: &CertificateDer<'_>) -> Result<ClientCertificate, String> {
    let (rest, certificate) = parse_x509_certificate(der).map_err(|error| error.to_string())?;
    if !rest.is_empty() {
        return Err("something follows the certificate".to_owned());
    }
    let subject = distinguished_name::write(certificate.subject())?;
    let mut names = Vec::new();
    let alternative = certificate.subject_alternative_name().map_err(|error| error.to_string())?;
    for name in alternative.iter().flat_map(|extension| &extension.value.general_names) {
        match name {
            GeneralName::DNSName(name) => names.push(CertificateName::Dns((*name).to_owned())),
            GeneralName::URI(name) => names.push(CertificateName::Uri((*name).to_owned())),
            GeneralName::RFC822Name(name) => names.push(CertificateName::Email((*name).to_owned())),
            _ => {}
        }
    }
    let mut fingerprint = [0; 32];
    fingerprint.copy_from_slice(digest(&SHA256, der).as_ref());
    let until = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or(0);
    let until = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(until));
    Ok(ClientCertificate { subject, names, fingerprint, until })
}
