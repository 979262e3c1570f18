//! The one credential of a request.

use super::api_keys::PREFIX;
use super::token::LONGEST;
use super::verdicts::Kind;
use crate::{ClientCertificate, Evidence, Rejection, RejectionKind};

/// The one credential of a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Credential<'e> {
    /// A token, signed or opaque.
    Bearer(&'e str),
    /// An API key.
    ApiKey(&'e [u8]),
    /// A client certificate, where the request itself brings nothing.
    Certificate(&'e ClientCertificate),
}

impl<'e> Credential<'e> {
    /// The credential that decides. What a request brings goes before what its connection has: a bad token does not become good
    /// by a certificate. `X-API-Key` is a header like any other where no API keys are configured (`api_keys`).
    ///
    /// # Errors
    /// There is none, there are two, or it is not written as RFC 6750 section 2.1 has it.
    pub(crate) fn of(evidence: &Evidence<'e>, api_keys: bool) -> Result<Self, Rejection> {
        match (evidence.authorization, evidence.api_key.filter(|_| api_keys), evidence.certificate) {
            (Some(_), Some(_), _) => Err(malformed("both `Authorization` and `X-API-Key`")),
            (Some(value), None, _) => Self::of_authorization(value),
            (None, Some(key), _) => Ok(Self::ApiKey(key)),
            (None, None, Some(certificate)) => Ok(Self::Certificate(certificate)),
            (None, None, None) => Err(Rejection::new(RejectionKind::Missing, "no credential")),
        }
    }

    /// What stands in `Authorization`, which must be a bearer's.
    fn of_authorization(value: &'e [u8]) -> Result<Self, Rejection> {
        let Some(token) = bearer(value) else {
            let reason = "`Authorization` of a scheme that is not taken";
            return Err(Rejection::new(RejectionKind::Missing, reason));
        };
        if token.len() > LONGEST {
            return Err(Rejection::new(RejectionKind::Invalid, "the token is longer than 16 KiB"));
        }
        let padding = token.iter().rev().take_while(|byte| **byte == b'=').count();
        let letters = token.get(..token.len() - padding).unwrap_or_default();
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(byte);
        match std::str::from_utf8(token) {
            Ok(text) if !letters.is_empty() && letters.iter().all(plain) => {
                Ok(if is_api_key(token) { Self::ApiKey(token) } else { Self::Bearer(text) })
            }
            _ => Err(malformed("`Authorization: Bearer` without a token")),
        }
    }

    /// Its kind and its bytes.
    pub(crate) fn bytes(&self) -> (Kind, &'e [u8]) {
        match self {
            Self::Bearer(token) => (Kind::Bearer, token.as_bytes()),
            Self::ApiKey(key) => (Kind::ApiKey, key),
            Self::Certificate(certificate) => (Kind::Certificate, &certificate.fingerprint),
        }
    }

    /// Kind and bytes of what [`Self::of`] would find, without a look at every byte: enough to see whether just these were
    /// found good before.
    pub(crate) fn glance(evidence: &Evidence<'e>, api_keys: bool) -> Option<(Kind, &'e [u8])> {
        match (evidence.authorization, evidence.api_key.filter(|_| api_keys), evidence.certificate) {
            (Some(value), None, _) => {
                let token = bearer(value).filter(|token| token.len() <= LONGEST)?;
                Some((if is_api_key(token) { Kind::ApiKey } else { Kind::Bearer }, token))
            }
            (None, Some(key), _) => Some((Kind::ApiKey, key)),
            (None, None, Some(certificate)) => Some((Kind::Certificate, &certificate.fingerprint)),
            (Some(_), Some(_), _) | (None, None, None) => None,
        }
    }
}

/// What stands behind the scheme of a bearer.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6).unwrap_or((value, &[]));
    let bearer = scheme.eq_ignore_ascii_case(b"bearer") && rest.first().is_none_or(|byte| *byte == b' ');
    bearer.then(|| rest.trim_ascii())
}

fn is_api_key(token: &[u8]) -> bool {
    token.starts_with(PREFIX.as_bytes())
}

fn malformed(reason: &str) -> Rejection {
    Rejection::new(RejectionKind::Malformed, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_one_credential() {
        let shown = |authorization: Option<&[u8]>, api_key: Option<&[u8]>| match Credential::of(
            &Evidence { authorization, api_key, certificate: None },
            true,
        ) {
            Ok(Credential::Bearer(token)) => format!("bearer {token}"),
            Ok(Credential::ApiKey(key)) => format!("key {}", String::from_utf8_lossy(key)),
            Ok(Credential::Certificate(_)) => "certificate".to_owned(),
            Err(rejection) => format!("{:?}", rejection.kind),
        };
        let bearer = |value: &str| shown(Some(value.as_bytes()), None);
        for (value, expected) in [
            ("Bearer a.b-c_d~+/==", "bearer a.b-c_d~+/=="),
            ("bEARER  x ", "bearer x"),
            ("Bearer weir_abc", "key weir_abc"),
            ("Bearer", "Malformed"),
            ("Bearer ", "Malformed"),
            ("Bearer ==", "Malformed"),
            ("Bearer a=b", "Malformed"),
            ("Bearer a b", "Malformed"),
            ("Bearer a,b", "Malformed"),
            ("Bearer a, Bearer b", "Malformed"),
            ("Bearer \"a\"", "Malformed"),
            ("Bearer é", "Malformed"),
            ("Bearer\ta", "Missing"),
            ("Bearera", "Missing"),
            ("Bear", "Missing"),
            ("", "Missing"),
            ("Basic dXNlcjpwYXNz", "Missing"),
            ("DPoP a", "Missing"),
        ] {
            assert_eq!(bearer(value), expected, "{value}");
        }
        assert_eq!(shown(Some(b"Bearer \xff"), None), "Malformed");
        assert_eq!(bearer(&format!("Bearer {}", "a".repeat(LONGEST + 1))), "Invalid");
        assert_eq!(shown(None, Some(b"anything")), "key anything");
        assert_eq!(shown(Some(b"Bearer a"), Some(b"b")), "Malformed");
        assert_eq!(shown(None, None), "Missing");
    }
}
