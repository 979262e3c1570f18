//! Client certificates as a proof. That one is valid, and whose authority it is of, the listener has seen to.

use super::claims::invalid;
use crate::principal::Proof;
use crate::{AuthenticatorError, CertificateName, ClientCertificate, Principal, Profile, Rejection};
use serde_json::{Map, Value};
use std::sync::Arc;
use std::time::SystemTime;
use weir_config::{CertificateSubject, Certificates, NamePattern};

/// Longest name, in bytes.
const LONGEST: usize = 1024;

/// Which certificates are good, and for whom they stand.
#[derive(Debug)]
pub(crate) struct Holders {
    config: Certificates,
    /// The names that are allowed; empty where all are.
    allowed: Vec<NamePattern>,
}

impl Holders {
    /// Whether a caller has the groups that everybody with a certificate has now.
    pub(crate) fn describes(&self, principal: &Principal) -> bool {
        let profile = Profile { groups: self.config.groups.clone(), ..Profile::default() };
        Principal::with(Principal::CERTIFICATES, "", profile).groups() == principal.groups()
    }

    pub(crate) fn new(config: &Certificates) -> Result<Self, AuthenticatorError> {
        let unreadable = |why| AuthenticatorError::new(format!("`certificates.allow`: {why}"));
        let patterns = config.allow.iter().map(|text| NamePattern::new(config.subject, text));
        let allowed = patterns.collect::<Result<_, _>>().map_err(unreadable)?;
        Ok(Self { config: config.clone(), allowed })
    }

    /// Whom a certificate stands for.
    pub(crate) fn principal(
        &self,
        certificate: &ClientCertificate,
        now: SystemTime,
    ) -> Result<Principal, Rejection> {
        if certificate.until.is_some_and(|end| end <= now) {
            return Err(invalid("the client's certificate has ended"));
        }
        let name = self.allow(certificate)?;
        let profile = Profile {
            email: certificate.names.iter().find_map(|name| match name {
                CertificateName::Email(address) => Some(address.clone()),
                _ => None,
            }),
            groups: self.config.groups.clone(),
            claims: claims(certificate),
            until: certificate.until,
            ..Profile::default()
        };
        let proof = Proof::Certificate(Arc::new(certificate.clone()));
        Ok(Principal::with(Principal::CERTIFICATES, name, profile).proved(proof))
    }

    /// Whether a caller's certificate still stands for that caller.
    pub(crate) fn vouch(&self, principal: &Principal) -> bool {
        let Some(Proof::Certificate(certificate)) = principal.proof() else {
            return false;
        };
        self.allow(certificate).is_ok_and(|name| name == principal.subject())
    }

    /// The name in a certificate, if it is allowed.
    fn allow<'c>(&self, certificate: &'c ClientCertificate) -> Result<&'c str, Rejection> {
        let name = self
            .name(certificate)
            .ok_or_else(|| invalid("the client's certificate has no name of the kind asked for"))?;
        if name.is_empty() || name.len() > LONGEST || name.chars().any(char::is_control) {
            return Err(invalid("the name in the client's certificate is not one"));
        }
        if !self.allowed.is_empty() && !self.allowed.iter().any(|pattern| pattern.fits(name)) {
            return Err(invalid(format_args!("the certificate of `{name}` is not allowed")));
        }
        Ok(name)
    }

    fn name<'c>(&self, certificate: &'c ClientCertificate) -> Option<&'c str> {
        certificate
            .names
            .iter()
            .find_map(|name| match (self.config.subject, name) {
                (CertificateSubject::Dns, CertificateName::Dns(name))
                | (CertificateSubject::Uri, CertificateName::Uri(name))
                | (CertificateSubject::Email, CertificateName::Email(name)) => Some(name.as_str()),
                _ => None,
            })
            .or_else(|| {
                (self.config.subject == CertificateSubject::Name).then_some(certificate.subject.as_str())
            })
    }
}

/// What policies can see of a certificate.
fn claims(certificate: &ClientCertificate) -> Map<String, Value> {
    let (mut dns, mut uri, mut email) = (Vec::new(), Vec::new(), Vec::new());
    for name in &certificate.names {
        match name {
            CertificateName::Dns(name) => dns.push(Value::from(name.as_str())),
            CertificateName::Uri(name) => uri.push(Value::from(name.as_str())),
            CertificateName::Email(name) => email.push(Value::from(name.as_str())),
        }
    }
    let fingerprint: String = certificate.fingerprint.iter().map(|byte| format!("{byte:02x}")).collect();
    let members = [
        ("subject", Value::from(certificate.subject.as_str())),
        ("dns", Value::Array(dns)),
        ("uri", Value::Array(uri)),
        ("email", Value::Array(email)),
        ("fingerprint", Value::from(fingerprint)),
    ];
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn certificate() -> ClientCertificate {
        ClientCertificate {
            subject: "CN=agent,O=Example".to_owned(),
            names: vec![
                CertificateName::Dns("spiffe.example.com".to_owned()),
                CertificateName::Uri("spiffe://example.com/agent".to_owned()),
                CertificateName::Email("agent@example.com".to_owned()),
            ],
            fingerprint: [7; 32],
            until: None,
        }
    }

    fn holder(subject: CertificateSubject, allow: &[&str]) -> Result<String, Rejection> {
        let allow = allow.iter().map(|pattern| (*pattern).to_owned()).collect();
        let holders =
            Holders::new(&Certificates { subject, allow, groups: vec!["mesh".to_owned()] }).unwrap();
        holders.principal(&certificate(), SystemTime::now()).map(|who| who.subject().to_owned())
    }

    #[test]
    fn the_configured_part_of_a_certificate_is_the_caller() {
        for (subject, expected) in [
            (CertificateSubject::Name, "CN=agent,O=Example"),
            (CertificateSubject::Dns, "spiffe.example.com"),
            (CertificateSubject::Uri, "spiffe://example.com/agent"),
            (CertificateSubject::Email, "agent@example.com"),
        ] {
            assert_eq!(holder(subject, &[]).as_deref(), Ok(expected));
        }
        assert!(holder(CertificateSubject::Uri, &["spiffe://example.com/*"]).is_ok());
    }

    #[test]
    fn other_names_do_not_pass() {
        assert!(holder(CertificateSubject::Uri, &["spiffe://other/*"]).is_err());
        // A name of another kind that looks like it.
        assert!(holder(CertificateSubject::Dns, &["spiffe:*"]).is_err());
        assert!(holder(CertificateSubject::Uri, &["spiffe://*"]).is_err(), "more parts than the pattern");
        assert!(holder(CertificateSubject::Uri, &["spiffe://*", "spiffe://**"]).is_ok(), "one of them fits");
        let config = Certificates { subject: CertificateSubject::Uri, allow: Vec::new(), groups: Vec::new() };
        let holders = Holders::new(&config).unwrap();
        let bare = ClientCertificate { names: vec![CertificateName::Dns("a".to_owned())], ..certificate() };
        assert!(holders.principal(&bare, SystemTime::now()).is_err());
        let now = SystemTime::now();
        let ended = ClientCertificate { until: Some(now), ..certificate() };
        assert!(holders.principal(&ended, now).is_err());
        assert!(holders.principal(&ended, now - Duration::from_secs(1)).is_ok());
    }
}
