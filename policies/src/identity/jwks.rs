//! An issuer's public keys (RFC 7517).

use super::strict;
use super::token::Token;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};
use weir_config::Algorithm;

/// Most keys of one issuer; what stands behind is left out.
const MOST_KEYS: usize = 200;
/// Most keys that one token is tried with that names its key,
const MOST_TRIES: usize = 4;
/// and one that does not.
const MOST_NAMELESS: usize = 16;

/// The keys of an issuer that tokens may be signed with.
#[derive(Debug, Default)]
pub(crate) struct KeySet {
    keys: Vec<Key>,
}

/// A public key. What it is good for is known of the key, never taken from a token.
struct Key {
    id: Option<String>,
    family: Family,
    /// The one algorithm that the issuer uses it with, where it says so.
    algorithm: Option<String>,
    key: DecodingKey,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl Family {
    fn of(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::RS256 | Algorithm::RS384 | Algorithm::RS512 => Self::Rsa,
            Algorithm::PS256 | Algorithm::PS384 | Algorithm::PS512 => Self::Rsa,
            Algorithm::ES256 => Self::P256,
            Algorithm::ES384 => Self::P384,
            Algorithm::EdDSA => Self::Ed25519,
        }
    }
}

impl KeySet {
    /// Reads a document of keys. A key that cannot be used is left out, since providers publish keys for other things too.
    /// `None` where it is no such document.
    pub(crate) fn read(json: &[u8]) -> Option<Self> {
        let document = strict::object(json)?;
        let keys = document.get("keys")?.as_array()?;
        let keys = keys.iter().take(MOST_KEYS).filter_map(|key| Key::read(key.as_object()?)).collect();
        Some(Self { keys })
    }

    /// How many keys there are.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The keys that a token may have been signed with; none where its issuer does not have the key that it names.
    pub(crate) fn candidates<'k>(
        &'k self,
        token: &Token<'_>,
        algorithm: Algorithm,
    ) -> impl Iterator<Item = &'k DecodingKey> {
        let family = Family::of(algorithm);
        let (id, name) = (token.key_id.clone(), token.algorithm.clone());
        let most = if id.is_some() { MOST_TRIES } else { MOST_NAMELESS };
        let fits = move |key: &&Key| {
            key.family == family
                && key.algorithm.as_ref().is_none_or(|only| *only == name)
                && (id.is_none() || key.id == id)
        };
        self.keys.iter().filter(fits).map(|key| &key.key).take(most)
    }
}

impl Key {
    /// A key for checking signatures; `None` for one of another use, an unknown kind, a shared secret, or one that tells its
    /// private part.
    fn read(members: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| members.get(name).and_then(Value::as_str);
        let bytes = |name: &str| URL_SAFE_NO_PAD.decode(text(name)?).ok();
        if members.contains_key("d") || members.contains_key("k") {
            return None;
        }
        if members.get("use").is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        let verifies = |operations: &Value| {
            operations.as_array().is_some_and(|list| list.iter().any(|one| one == "verify"))
        };
        if members.get("key_ops").is_some_and(|operations| !verifies(operations)) {
            return None;
        }
        let (family, key) = match text("kty")? {
            "RSA" => (Family::Rsa, DecodingKey::from_rsa_raw_components(&bytes("n")?, &bytes("e")?)),
            "EC" => {
                let (family, length) = match text("crv")? {
                    "P-256" => (Family::P256, 32),
                    "P-384" => (Family::P384, 48),
                    _ => return None,
                };
                let (x, y) = (bytes("x")?, bytes("y")?);
                if x.len() != length || y.len() != length {
                    return None;
                }
                // An uncompressed point: SEC 1 section 2.3.3.
                (family, DecodingKey::from_ec_der(&[&[4], &x[..], &y[..]].concat()))
            }
            "OKP" if text("crv") == Some("Ed25519") => {
                (Family::Ed25519, DecodingKey::from_ed_der(&bytes("x").filter(|x| x.len() == 32)?))
            }
            _ => return None,
        };
        let optional = |name: &str| match members.get(name) {
            None => Some(None),
            Some(Value::String(text)) => Some(Some(text.clone())),
            Some(_) => None,
        };
        Some(Self { id: optional("kid")?, family, algorithm: optional("alg")?, key })
    }
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Key").field("id", &self.id).field("family", &self.family).finish_non_exhaustive()
    }
}
