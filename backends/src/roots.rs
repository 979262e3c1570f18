//! Whom to trust when a server shows its certificate.

use crate::{BackendError, Cause};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;

/// The certificate authorities of the file `ca`, else the system's.
pub(crate) fn read(ca: Option<&Path>) -> Result<RootCertStore, BackendError> {
    match ca {
        Some(path) => {
            let mut roots = RootCertStore::empty();
            add(&mut roots, path).map_err(|text| {
                BackendError::Unreachable(Cause::private("the file of `ca` cannot be used", text))
            })?;
            Ok(roots)
        }
        None => Ok(system()),
    }
}

/// The system's authorities. A machine without any can still reach plain HTTP; a TLS handshake there fails with a clear
/// error.
pub(crate) fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

/// Adds the authorities of a PEM file, which must hold one.
pub(crate) fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let before = roots.len();
    for certificate in CertificateDer::pem_file_iter(path).map_err(|error| error.to_string())? {
        let certificate = certificate.map_err(|error| error.to_string())?;
        roots.add(certificate).map_err(|error| error.to_string())?;
    }
    if roots.len() == before { Err("it holds no certificate".to_owned()) } else { Ok(()) }
}
