//! The caller.

/// Who calls. An endpoint without authentication knows one principal, the anonymous one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Principal {
    issuer: String,
    subject: String,
}

impl Principal {
    /// Whoever reaches an endpoint that asks for no proof.
    pub fn anonymous() -> Self {
        Self { issuer: String::new(), subject: "anonymous".to_owned() }
    }

    /// Whom an issuer calls by this name.
    pub fn of(issuer: &str, subject: &str) -> Self {
        Self { issuer: issuer.to_owned(), subject: subject.to_owned() }
    }

    /// Who vouches for the caller; empty for the anonymous one.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The caller's name at its issuer.
    pub fn subject(&self) -> &str {
        &self.subject
    }
}
