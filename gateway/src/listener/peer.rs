//! The client at the other end of a TLS connection, by the certificate that it showed.

use super::clients::Clients;
use super::distinguished_name;
use crate::stay::LOOK;
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
    /// When the certificates of the chain end, the first one first.
    ends: Vec<SystemTime>,
    /// What was found out about the chain last.
    verdict: AtomicU64,
}

/// What was found out about a chain: under which of the authorities, how many of its certificates had ended, and whether it was good.
/// It holds until either number is another.
#[derive(Debug, Clone, Copy)]
struct Verdict {
    changes: u64,
    ended: usize,
    good: bool,
}

impl Verdict {
    /// As one number. A chain has few certificates, and authorities do not change so often that anything is lost.
    fn packed(self) -> u64 {
        let ended = u64::try_from(self.ended.min(0x7f)).unwrap_or(0x7f);
        self.changes << 8 | ended << 1 | u64::from(self.good)
    }
}

impl Peer {
    /// The holder of this chain, which was found good after `began`, when the authorities had changed `seen` times.
    ///
    /// # Errors
    /// What the certificate says cannot be read.
    pub(super) fn new(
        chain: &[CertificateDer<'static>],
        clients: &Arc<Clients>,
        seen: u64,
        began: SystemTime,
    ) -> Result<Self, String> {
        let own = chain.first().ok_or("the chain is empty")?;
        let mut ends = chain.iter().filter_map(end).collect::<Vec<_>>();
        ends.sort_unstable();
        // Those that had ended before were no hindrance.
        let verdict = Verdict { changes: seen, ended: ended(&ends, began), good: true };
        Ok(Self {
            certificate: read(own)?,
            chain: chain.to_vec(),
            clients: clients.clone(),
            ends,
            verdict: AtomicU64::new(verdict.packed()),
        })
    }

    /// The certificate, as long as some authority vouches for it: it may end, and those that are trusted may change, while the
    /// connection is open.
    pub(crate) fn certificate(&self) -> Option<&ClientCertificate> {
        let ended = ended(&self.ends, SystemTime::now());
        let good = Verdict { changes: self.clients.changes(), ended, good: true };
        let bad = Verdict { good: false, ..good };
        let mut known = self.verdict.load(Ordering::Relaxed);
        if known != good.packed() && known != bad.packed() {
            known = if self.clients.trust(&self.chain) { good } else { bad }.packed();
            self.verdict.store(known, Ordering::Relaxed);
        }
        (known == good.packed()).then_some(&self.certificate)
    }

    /// Waits until no authority vouches for the certificate any more. Cancel-safe.
    pub(crate) async fn parted(&self) {
        loop {
            let changed = self.clients.next_change();
            if self.certificate().is_none() {
                return;
            }
            let now = SystemTime::now();
            let next = self.ends.iter().filter_map(|end| end.duration_since(now).ok()).min();
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep(next.map_or(LOOK, |left| left.min(LOOK))) => {}
            }
        }
    }

    /// Whether the connection may not go on without a certificate.
    pub(crate) fn is_required(&self) -> bool {
        self.clients.are_required()
    }
}

/// How many of these moments have come by `now`.
fn ended(ends: &[SystemTime], now: SystemTime) -> usize {
    ends.iter().take_while(|end| **end <= now).count()
}

/// When a certificate is not good any more, if that can be read: it is good for all of its last second.
fn end(der: &CertificateDer<'_>) -> Option<SystemTime> {
    let (_, certificate) = parse_x509_certificate(der).ok()?;
    moment(certificate.validity().not_after.timestamp().saturating_add(1))
}

/// A time of so many seconds since 1970; a time before is as good as that.
fn moment(seconds: i64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
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
    let until = moment(certificate.validity().not_after.timestamp());
    Ok(ClientCertificate { subject, names, fingerprint, until })
}
