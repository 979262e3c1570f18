//! Tokens of an issuer that is part of the harness: JWTs signed with ES256.

use crate::error::BenchError;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};
use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

/// The issuer's name. Nothing is ever asked of it.
pub const ISSUER: &str = "https://issuer.example";
/// Whom its tokens are meant for.
pub const AUDIENCE: &str = "https://weir.example/mcp";
/// Where the echo server shows the issuer's keys.
pub const KEYS: &str = "/keys.json";
/// The key's name.
const KEY: &str = "bench";
/// How long a token is good, in seconds.
const LIFE: u64 = 3600;

/// What signs tokens.
pub struct Signer {
    pair: EcdsaKeyPair,
    /// The private key, as the processes of the harness hand it on.
    text: String,
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Signer")
    }
}

fn failed(error: impl fmt::Display) -> BenchError {
    BenchError::Failed(format!("cannot sign tokens: {error}"))
}

impl Signer {
    /// One with a new key.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn new() -> Result<Self, BenchError> {
        let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
        Self::read(&URL_SAFE_NO_PAD.encode(key.map_err(failed)?))
    }

    /// The one whose [`text`](Self::text) this is.
    ///
    /// # Errors
    /// It is none.
    pub fn read(text: &str) -> Result<Self, BenchError> {
        let key = URL_SAFE_NO_PAD.decode(text).map_err(failed)?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &key, &SystemRandom::new());
        Ok(Self { pair: pair.map_err(failed)?, text: text.to_owned() })
    }

    /// What another process needs to sign as well.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The JWK set that verifies the tokens.
    pub fn keys(&self) -> Value {
        // An uncompressed point: one byte, then both coordinates.
        let point = self.pair.public_key().as_ref();
        let coordinate = |from: usize| URL_SAFE_NO_PAD.encode(point.get(from..from + 32).unwrap_or_default());
        let (x, y) = (coordinate(1), coordinate(33));
        json!({"keys": [
            {"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": KEY, "x": x, "y": y}
        ]})
    }

    /// A token of the caller `subject` in five groups, with as many other claims as tokens of large providers have.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub fn token(&self, subject: &str) -> Result<String, BenchError> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(failed)?.as_secs();
        let claims = json!({
            "iss": ISSUER, "aud": AUDIENCE, "sub": subject, "iat": now, "nbf": now, "exp": now + LIFE,
            "azp": "bench-client", "scope": "mcp openid profile", "email": "caller@example.com",
            "groups": ["everybody", "group-1", "group-2", "group-3", "engineering"],
            "name": "A Caller", "preferred_username": "caller", "tid": "8d0b3c52-2f4e-4c38-9a38-1de8dbd0a3c1",
        });
        let head = json!({"alg": "ES256", "typ": "at+jwt", "kid": KEY});
        let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(head), part(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).map_err(failed)?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    #[test]
    fn tokens_are_signed_by_the_key_that_is_shown() {
        let signer = Signer::read(Signer::new().unwrap().text()).unwrap();
        let token = signer.token("s").unwrap();
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let keys = signer.keys();
        let coordinate =
            |name: &str| URL_SAFE_NO_PAD.decode(keys["keys"][0][name].as_str().unwrap()).unwrap();
        let point = [&[4][..], &coordinate("x"), &coordinate("y")].concat();
        let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed.as_bytes(), &signature)
            .unwrap();
        assert!((500..1500).contains(&token.len()), "{}", token.len());
    }
}
