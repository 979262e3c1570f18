//! Signing with a private key of weir's own, for `private_key_jwt` (RFC 7523).

use super::signature;
use jsonwebtoken::{EncodingKey, Header};
use secrecy::SecretString;
use serde_json::{Map, Value};
use std::fmt;
use weir_config::Algorithm;

/// A private key that signs tokens; `Debug` does not show it.
pub struct SigningKey {
    key: EncodingKey,
    algorithm: Algorithm,
    id: Option<String>,
}

/// A private key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// It cannot be read.
    #[error("not a private key in PEM (PKCS#8) for RSA of 2048 bits and more, P-256, P-384 or Ed25519")]
    Unreadable,
    /// It does not sign like this.
    #[error("the private key does not fit the algorithm {0:?}")]
    Unfit(Algorithm),
    /// It did not sign.
    #[error("the private key did not sign")]
    Failed,
}

impl SigningKey {
    /// A key from PEM: PKCS#8, or PKCS#1 for RSA. Without an algorithm it is `RS256`, `ES256`, `ES384` or `EdDSA`, as fits the
    /// key. `id` becomes `kid` in what it signs.
    ///
    /// # Errors
    /// It is not such a key, or does not fit the algorithm.
    pub fn from_pem(
        pem: &[u8],
        algorithm: Option<Algorithm>,
        id: Option<String>,
    ) -> Result<Self, SigningError> {
        let readers = [EncodingKey::from_rsa_pem, EncodingKey::from_ec_pem, EncodingKey::from_ed_pem];
        let guesses = [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];
        for key in readers.into_iter().filter_map(|reader| reader(pem).ok()) {
            let candidates = algorithm.as_ref().map_or(&guesses[..], std::slice::from_ref);
            for &algorithm in candidates {
                let key = Self { key: key.clone(), algorithm, id: id.clone() };
                // A key is known to be good by its signing.
                if key.sign("JWT", &Map::new()).is_ok() {
                    return Ok(key);
                }
            }
        }
        Err(algorithm.map_or(SigningError::Unreadable, SigningError::Unfit))
    }

    /// How it signs.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A token of these claims, in compact form. `typ` is the header's.
    ///
    /// # Errors
    /// There is no randomness, which signing needs.
    pub fn sign(&self, typ: &str, claims: &Map<String, Value>) -> Result<SecretString, SigningError> {
        let mut header = Header::new(signature::name(self.algorithm));
        header.typ = Some(typ.to_owned());
        header.kid.clone_from(&self.id);
        let token = signature::sign(&header, claims, &self.key).map_err(|_| SigningError::Failed)?;
        Ok(SecretString::from(token))
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}
