//! What a request brings along to show who calls.

/// What a request brings along to show who calls, as it came.
#[derive(Clone, Copy, Default)]
pub struct Evidence<'a> {
    /// The value of `Authorization`.
    pub authorization: Option<&'a [u8]>,
    /// The value of `X-API-Key`.
    pub api_key: Option<&'a [u8]>,
    /// The certificate that the connection's client proved to hold.
    pub certificate: Option<&'a ClientCertificate>,
}

/// A client certificate that the listener has verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The distinguished name as RFC 4514 writes it.
    pub subject: String,
    /// The alternative names, in the certificate's order.
    pub names: Vec<CertificateName>,
    /// SHA-256 of the certificate.
    pub fingerprint: [u8; 32],
    /// When it ends.
    pub until: Option<std::time::SystemTime>,
}

/// An alternative name of a certificate, RFC 5280 section 4.2.1.6. Kinds are kept apart, so that none passes for another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateName {
    /// A DNS name.
    Dns(String),
    /// A URI, such as a SPIFFE id.
    Uri(String),
    /// An address for mail.
    Email(String),
}

impl std::fmt::Debug for Evidence<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Evidence")
            .field("authorization", &self.authorization.is_some())
            .field("api_key", &self.api_key.is_some())
            .field("certificate", &self.certificate)
            .finish()
    }
}
