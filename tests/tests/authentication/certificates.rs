//! Clients that show a certificate.
