//! The caller.

use crate::ClientCertificate;
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Who calls. Two are the same caller where issuer and subject are equal, whatever else is known of them: what is kept for a
/// caller must not be lost because a newer token says something else about them, nor be shared because it says the same.
///
/// `Debug` shows neither claims nor the token.
#[derive(Clone)]
pub struct Principal {
    issuer: String,
    subject: String,
    profile: Profile,
    proof: Option<Proof>,
}

/// What weir's own configuration held good, so that it can be held against a later one.
#[derive(Clone)]
pub(crate) enum Proof {
    /// The digest of an API key.
    ApiKey([u8; 32]),
    Certificate(Arc<ClientCertificate>),
}

/// What is known of a caller beside their name.
#[derive(Clone, Default)]
pub struct Profile {
    /// An address that the issuer does not call unverified.
    pub email: Option<String>,
    /// The OAuth client that acts for the caller: `azp` or `client_id`.
    pub client: Option<String>,
    /// The groups that the caller is in.
    pub groups: Vec<String>,
    /// The roles that the caller has.
    pub roles: Vec<String>,
    /// What the token is good for.
    pub scopes: Vec<String>,
    /// Everything that the issuer says of the caller.
    pub claims: Map<String, Value>,
    /// When the proof of all this ends.
    pub until: Option<SystemTime>,
    /// The caller's own token, to be exchanged for another; it never travels to a backend.
    pub token: Option<SecretString>,
    /// How many were found out before; given by [`Principal::with`].
    pub number: u64,
}

/// How many principals were found out.
static COUNT: AtomicU64 = AtomicU64::new(1);

impl Principal {
    /// Who vouches for the holders of API keys.
    pub const API_KEYS: &'static str = "api-key";
    /// Who vouches for the holders of client certificates.
    pub const CERTIFICATES: &'static str = "certificate";

    /// What the names of clients begin with that act for themselves and have no subject at their issuer.
    pub(crate) const CLIENTS: &'static str = "client_id:";

    /// Whether a name stands for a client that acts for itself. No subject that an issuer names may be such a one, so that a
    /// client which is called like a user is not taken for that user, nor a user for a client.
    pub fn is_client_alone(subject: &str) -> bool {
        subject.starts_with(Self::CLIENTS)
    }

    /// Whoever reaches an endpoint that asks for no proof.
    pub fn anonymous() -> Self {
        Self::of("", "anonymous")
    }

    /// Whom an issuer calls by this name, and of whom nothing else is known.
    pub fn of(issuer: &str, subject: &str) -> Self {
        Self::with(issuer, subject, Profile::default())
    }

    /// Whom an issuer calls by this name, with what else is known. Groups, roles and scopes are sorted here, and each is kept
    /// once.
    pub fn with(issuer: &str, subject: &str, mut profile: Profile) -> Self {
        profile.number = COUNT.fetch_add(1, Ordering::Relaxed);
        for words in [&mut profile.groups, &mut profile.roles, &mut profile.scopes] {
            words.sort_unstable();
            words.dedup();
        }
        Self { issuer: issuer.to_owned(), subject: subject.to_owned(), profile, proof: None }
    }

    /// The same caller, with what they were known by.
    pub(crate) fn proved(self, proof: Proof) -> Self {
        Self { proof: Some(proof), ..self }
    }

    /// What the caller was known by, if that was an API key or a certificate.
    pub(crate) fn proof(&self) -> Option<&Proof> {
        self.proof.as_ref()
    }

    /// Who vouches for the caller; empty for the anonymous one.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The caller's name at its issuer.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// An address that the issuer does not call unverified.
    pub fn email(&self) -> Option<&str> {
        self.profile.email.as_deref()
    }

    /// The OAuth client that acts for the caller.
    pub fn client(&self) -> Option<&str> {
        self.profile.client.as_deref()
    }

    /// The groups that the caller is in: sorted, each once.
    pub fn groups(&self) -> &[String] {
        &self.profile.groups
    }

    /// The roles that the caller has: sorted, each once.
    pub fn roles(&self) -> &[String] {
        &self.profile.roles
    }

    /// What the caller's token is good for: sorted, each once.
    pub fn scopes(&self) -> &[String] {
        &self.profile.scopes
    }

    /// Everything that the issuer says of the caller.
    pub fn claims(&self) -> &Map<String, Value> {
        &self.profile.claims
    }

    /// When the proof ends; absent where it does not end by itself.
    pub fn until(&self) -> Option<SystemTime> {
        self.profile.until
    }

    /// Whether what is known of the caller here is newer than `other`: by a token that was issued later, or else found out
    /// later. Which proof lasts longer says nothing: a new one may be shorter.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        let issued = |principal: &Self| principal.claims().get("iat").and_then(Value::as_f64);
        match (issued(self), issued(other)) {
            (Some(own), Some(others)) if own != others => own > others,
            _ => self.profile.number > other.profile.number,
        }
    }

    /// Whether the caller is known only over a connection with their certificate: by the certificate itself, or by a token that is
    /// bound to one (RFC 8705 section 3.1).
    pub fn needs_certificate(&self) -> bool {
        matches!(self.proof, Some(Proof::Certificate(_)))
            || (self.profile.token.is_some() && self.profile.claims.contains_key("cnf"))
    }

    /// Whether the same is known of the same caller, claims aside.
    pub(crate) fn is_described_like(&self, other: &Self) -> bool {
        let named = |principal: &Self| (principal.profile.email.clone(), principal.profile.client.clone());
        self == other
            && named(self) == named(other)
            && (self.groups(), self.roles(), self.scopes()) == (other.groups(), other.roles(), other.scopes())
    }

    /// The caller's own token, to be exchanged for another; it never travels to a backend.
    pub fn token(&self) -> Option<&SecretString> {
        self.profile.token.as_ref()
    }
}

impl PartialEq for Principal {
    fn eq(&self, other: &Self) -> bool {
        self.issuer == other.issuer && self.subject == other.subject
    }
}

impl Eq for Principal {}

impl Hash for Principal {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.issuer.hash(state);
        self.subject.hash(state);
    }
}

impl fmt::Debug for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Principal")
            .field("issuer", &self.issuer)
            .field("subject", &self.subject)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile").field("until", &self.until).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    fn somebody(group: &str) -> Principal {
        let profile = Profile {
            groups: vec![group.to_owned(), "b".to_owned(), "a".to_owned(), "b".to_owned()],
            claims: [("secret_claim".to_owned(), Value::from("hunter2"))].into_iter().collect(),
            token: Some(SecretString::from("hunter2")),
            ..Profile::default()
        };
        Principal::with("https://issuer", "ada", profile)
    }

    #[test]
    fn a_caller_is_known_by_issuer_and_subject_alone() {
        assert_eq!(somebody("x"), somebody("y"));
        assert_eq!(somebody("x"), Principal::of("https://issuer", "ada"));
        assert_ne!(Principal::of("https://issuer", "ada"), Principal::of("https://other", "ada"));
        assert_ne!(Principal::of("https://issuera", "da"), Principal::of("https://issuer", "ada"));
        assert_eq!(somebody("x").groups(), ["a", "b", "x"]);
    }

    #[test]
    fn what_was_issued_later_or_found_out_later_is_newer() {
        let issued = |at: Option<u64>, days: u64| {
            let claims = at.map(|at| ("iat".to_owned(), Value::from(at))).into_iter().collect();
            let until = Some(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(days * 86_400));
            Principal::with("https://issuer", "ada", Profile { claims, until, ..Profile::default() })
        };
        let (new, old, again) = (issued(Some(2), 1), issued(Some(1), 9), issued(Some(1), 9));
        assert!(new.is_newer_than(&old) && !old.is_newer_than(&new), "whichever lasts longer");
        assert!(again.is_newer_than(&old) && !old.is_newer_than(&again) && !old.is_newer_than(&old));
        let (first, second) = (issued(None, 1), issued(None, 1));
        assert!(second.is_newer_than(&first) && !first.is_newer_than(&second));
    }

    #[test]
    fn debug_shows_neither_claims_nor_token() {
        let principal = somebody("x");
        assert_eq!(principal.token().map(ExposeSecret::expose_secret), Some("hunter2"));
        let shown = format!("{principal:?} {:?}", principal.profile);
        assert!(!shown.contains("hunter2") && !shown.contains("secret_claim"), "{shown}");
    }
}
