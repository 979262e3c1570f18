//! Whom to trust when a backend shows its certificate.

use crate::{BackendError, Cause};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::path::Path;

/// The certificate authorities of the file `ca`, else the system's.
pub(super) fn read(ca: Option<&Path>) -> Result<RootCertStore, BackendError> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            let failed = |text: &dyn std::fmt::Display| {
                BackendError::Unreachable(Cause::private("the file of `ca` cannot be used", text))
            };
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| failed(&error))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| failed(&error))?;
                roots.add(certificate).map_err(|error| failed(&error))?;
            }
            if roots.is_empty() {
                return Err(failed(&"it holds no certificate"));
            }
        }
        // A machine without system certificates can still reach plain HTTP; a TLS handshake there fails with a clear error.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(roots)
}
