//! Signatures of tokens: `ring` behind the traits of `jsonwebtoken`.
//!
//! That crate brings no cryptography of its own here. It panics where none was installed, and where a helper is called that
//! was left out: so everything goes through this file, which installs first, and the helpers that nothing needs return errors.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result, new_error};
use jsonwebtoken::{AlgorithmFamily, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED,
    ECDSA_P384_SHA384_FIXED_SIGNING, ED25519, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PKCS1_SHA256,
    RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384,
    RSA_PSS_2048_8192_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    RsaParameters, RsaPublicKeyComponents, UnparsedPublicKey,
};
use std::sync::LazyLock;
use weir_config::Algorithm;

/// How `jsonwebtoken` calls an algorithm. There is none for a shared secret, so none can be reached.
pub(crate) fn name(algorithm: Algorithm) -> jsonwebtoken::Algorithm {
    match algorithm {
        Algorithm::RS256 => jsonwebtoken::Algorithm::RS256,
        Algorithm::RS384 => jsonwebtoken::Algorithm::RS384,
        Algorithm::RS512 => jsonwebtoken::Algorithm::RS512,
        Algorithm::PS256 => jsonwebtoken::Algorithm::PS256,
        Algorithm::PS384 => jsonwebtoken::Algorithm::PS384,
        Algorithm::PS512 => jsonwebtoken::Algorithm::PS512,
        Algorithm::ES256 => jsonwebtoken::Algorithm::ES256,
        Algorithm::ES384 => jsonwebtoken::Algorithm::ES384,
        Algorithm::EdDSA => jsonwebtoken::Algorithm::EdDSA,
    }
}

/// Whether `signature`, in base64url, is that of `message` by the holder of `key`.
pub(crate) fn verifies(signature: &str, message: &str, key: &DecodingKey, algorithm: Algorithm) -> bool {
    LazyLock::force(&INSTALLED);
    jsonwebtoken::crypto::verify(signature, message.as_bytes(), key, name(algorithm)).unwrap_or(false)
}

/// A token in compact form, signed.
pub(crate) fn sign(
    header: &jsonwebtoken::Header,
    claims: &serde_json::Map<String, serde_json::Value>,
    key: &EncodingKey,
) -> Result<String> {
    LazyLock::force(&INSTALLED);
    jsonwebtoken::encode(header, claims, key)
}

static INSTALLED: LazyLock<()> = LazyLock::new(|| {
    // It can only fail where it was installed already: nothing else in weir does so, and nothing replaces it.
    let _ = PROVIDER.install_default();
});

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(RingSigner::new(*algorithm, key)?)),
    verifier_factory: |algorithm, key| Ok(Box::new(RingVerifier::new(*algorithm, key)?)),
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| Err(unsupported()),
        rsa_pub_components_from_public_key: |_| Err(unsupported()),
        ec_pub_components_from_private_key: |_, _| Err(unsupported()),
        ed_pub_components_from_private_key: |_, _| Err(unsupported()),
        compute_digest: |_, _| Err(unsupported()),
    },
};

fn unsupported() -> jsonwebtoken::errors::Error {
    new_error(ErrorKind::UnsupportedAlgorithm)
}

/// Refuses a key of another family than the algorithm's, and every key that is a shared secret.
fn same_family(algorithm: jsonwebtoken::Algorithm, family: AlgorithmFamily) -> Result<()> {
    if family == AlgorithmFamily::Hmac || !family.algorithms().contains(&algorithm) {
        return Err(new_error(ErrorKind::InvalidAlgorithm));
    }
    Ok(())
}

struct RingVerifier {
    algorithm: jsonwebtoken::Algorithm,
    key: DecodingKeyKind,
    way: Verification,
}

#[derive(Clone, Copy)]
enum Verification {
    Rsa(&'static RsaParameters),
    Plain(&'static dyn signature::VerificationAlgorithm),
}

impl RingVerifier {
    fn new(algorithm: jsonwebtoken::Algorithm, key: &DecodingKey) -> Result<Self> {
        use jsonwebtoken::Algorithm as A;
        same_family(algorithm, key.family())?;
        let way = match algorithm {
            A::RS256 => Verification::Rsa(&RSA_PKCS1_2048_8192_SHA256),
            A::RS384 => Verification::Rsa(&RSA_PKCS1_2048_8192_SHA384),
            A::RS512 => Verification::Rsa(&RSA_PKCS1_2048_8192_SHA512),
            A::PS256 => Verification::Rsa(&RSA_PSS_2048_8192_SHA256),
            A::PS384 => Verification::Rsa(&RSA_PSS_2048_8192_SHA384),
            A::PS512 => Verification::Rsa(&RSA_PSS_2048_8192_SHA512),
            A::ES256 => Verification::Plain(&ECDSA_P256_SHA256_FIXED),
            A::ES384 => Verification::Plain(&ECDSA_P384_SHA384_FIXED),
            A::EdDSA => Verification::Plain(&ED25519),
            _ => return Err(unsupported()),
        };
        Ok(Self { algorithm, key: key.kind().clone(), way })
    }
}

impl ::signature::Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), ::signature::Error> {
        let verified = match (self.way, &self.key) {
            (Verification::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Verification::Rsa(parameters), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(parameters, key).verify(message, signature)
            }
            (Verification::Plain(algorithm), DecodingKeyKind::SecretOrDer(key)) => {
                UnparsedPublicKey::new(algorithm, key).verify(message, signature)
            }
            (Verification::Plain(_), DecodingKeyKind::RsaModulusExponent { .. }) => {
                Err(ring::error::Unspecified)
            }
        };
        verified.map_err(|_| ::signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm
    }
}

struct RingSigner {
    algorithm: jsonwebtoken::Algorithm,
    pair: Pair,
}

enum Pair {
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl RingSigner {
    fn new(algorithm: jsonwebtoken::Algorithm, key: &EncodingKey) -> Result<Self> {
        use jsonwebtoken::Algorithm as A;
        same_family(algorithm, key.family())?;
        let rejected = |_| new_error(ErrorKind::InvalidKeyFormat);
        let rsa = |encoding: &'static dyn RsaEncoding| {
            RsaKeyPair::from_der(key.as_bytes()).map(|pair| Pair::Rsa(pair, encoding)).map_err(rejected)
        };
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            let pair = EcdsaKeyPair::from_pkcs8(algorithm, key.as_bytes(), &SystemRandom::new());
            pair.map(Pair::Ecdsa).map_err(rejected)
        };
        let pair = match algorithm {
            A::RS256 => rsa(&RSA_PKCS1_SHA256)?,
            A::RS384 => rsa(&RSA_PKCS1_SHA384)?,
            A::RS512 => rsa(&RSA_PKCS1_SHA512)?,
            A::PS256 => rsa(&RSA_PSS_SHA256)?,
            A::PS384 => rsa(&RSA_PSS_SHA384)?,
            A::PS512 => rsa(&RSA_PSS_SHA512)?,
            A::ES256 => ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING)?,
            A::ES384 => ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING)?,
            // The form that OpenSSL writes has no public key in it.
            A::EdDSA => {
                Pair::Ed(Ed25519KeyPair::from_pkcs8_maybe_unchecked(key.as_bytes()).map_err(rejected)?)
            }
            _ => return Err(unsupported()),
        };
        Ok(Self { algorithm, pair })
    }
}

impl ::signature::Signer<Vec<u8>> for RingSigner {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, ::signature::Error> {
        let failed = |_| ::signature::Error::new();
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature).map_err(failed)?;
                Ok(signature)
            }
            Pair::Ecdsa(pair) => Ok(pair.sign(&random, message).map_err(failed)?.as_ref().to_vec()),
            Pair::Ed(pair) => Ok(pair.sign(message).as_ref().to_vec()),
        }
    }
}

impl JwtSigner for RingSigner {
    fn algorithm(&self) -> jsonwebtoken::Algorithm {
        self.algorithm
    }
}
