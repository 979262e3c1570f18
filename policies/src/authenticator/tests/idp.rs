//! An identity provider in memory, a clock that stands still, and keys of every kind.

use crate::{Authenticator, Clock, Evidence, Fetch, FetchError, Principal, Reach, Rejection};
use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::{Request, Response};
use parking_lot::Mutex;
use ring::rand::SystemRandom;
use ring::rsa::PublicKeyComponents;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm,
    Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PSS_SHA256, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use weir_config::{Algorithm, Auth, ClaimPaths, Issuer, KeySource};

pub(crate) const ISSUER: &str = "https://idp.example.com/realm";
pub(crate) const AUDIENCE: &str = "https://weir.example.com/mcp";
/// The RSA key of the tests, in PKCS#8.
pub(crate) const RSA_PEM: &str = include_str!("rsa.pem");

/// A private key.
pub(crate) enum Key {
    Rsa(RsaKeyPair),
    Ec(EcdsaKeyPair, &'static str),
    Ed(Ed25519KeyPair),
}

impl Key {
    pub(crate) fn rsa() -> Self {
        let body: String = RSA_PEM.lines().filter(|line| !line.starts_with('-')).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
        Self::Rsa(RsaKeyPair::from_pkcs8(&der).unwrap())
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm, curve: &'static str) -> Self {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self::Ec(EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).unwrap(), curve)
    }

    pub(crate) fn p256() -> Self {
        Self::ec(&ECDSA_P256_SHA256_FIXED_SIGNING, "P-256")
    }

    pub(crate) fn p384() -> Self {
        Self::ec(&ECDSA_P384_SHA384_FIXED_SIGNING, "P-384")
    }

    pub(crate) fn ed() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Self::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    /// Its public part as an issuer publishes it.
    pub(crate) fn public(&self, id: &str) -> Value {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match self {
            Self::Rsa(pair) => {
                let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "kid": id, "use": "sig", "n": encode(&n), "e": encode(&e)})
            }
            Self::Ec(pair, curve) => {
                let (x, y) =
                    pair.public_key().as_ref()[1..].split_at((pair.public_key().as_ref().len() - 1) / 2);
                json!({"kty": "EC", "kid": id, "crv": curve, "x": encode(x), "y": encode(y)})
            }
            Self::Ed(pair) => {
                json!({"kty": "OKP", "kid": id, "crv": "Ed25519", "x": encode(pair.public_key().as_ref())})
            }
        }
    }

    fn sign(&self, message: &[u8], encoding: &'static dyn RsaEncoding) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair, _) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token whose header and claims are these texts, whatever they say.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let encoding: &'static dyn RsaEncoding =
            if header.contains("PS256") { &RSA_PSS_SHA256 } else { &RSA_PKCS1_SHA256 };
        let signature = self.sign(message.as_bytes(), encoding);
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// The clock of a test.
#[derive(Debug)]
pub(crate) struct Standing(Mutex<(SystemTime, Duration)>);

impl Standing {
    pub(crate) fn pass(&self, time: Duration) {
        let mut clocks = self.0.lock();
        clocks.0 += time;
        clocks.1 += time;
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
    }
}

impl Clock for Standing {
    fn now(&self) -> SystemTime {
        self.0.lock().0
    }

    fn steady(&self) -> Duration {
        self.0.lock().1
    }
}

/// What the provider answers, by address; none: it is down.
#[derive(Debug, Default)]
pub(crate) struct Idp {
    pub(crate) pages: Mutex<HashMap<String, (u16, String)>>,
    pub(crate) asked: Mutex<Vec<(String, String, Option<String>)>>,
    /// A request whose body holds this is never answered.
    pub(crate) hangs: Mutex<Option<&'static str>>,
}

#[async_trait]
impl Fetch for Idp {
    async fn fetch(&self, request: Request<Bytes>, reach: &Reach) -> Result<Response<Bytes>, FetchError> {
        assert!(!reach.deadline.is_zero());
        let url = request.uri().to_string();
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let credential =
            request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
        let hangs = self.hangs.lock().is_some_and(|word| body.contains(word));
        self.asked.lock().push((url.clone(), body, credential));
        if hangs {
            std::future::pending::<()>().await;
        }
        // Whoever waits, waits together.
        tokio::task::yield_now().await;
        let page = self.pages.lock().get(&url).cloned();
        let (status, body) = page.ok_or_else(|| FetchError::Unreachable("it is down".to_owned()))?;
        Ok(Response::builder().status(status).body(Bytes::from(body)).unwrap())
    }
}

/// An endpoint that trusts one provider.
pub(crate) struct Bench {
    pub(crate) idp: Arc<Idp>,
    pub(crate) clock: Arc<Standing>,
    pub(crate) auth: Auth,
    pub(crate) authenticator: Authenticator,
}

impl Bench {
    /// The provider has these keys.
    pub(crate) fn new(keys: &[Value], change: impl FnOnce(&mut Auth)) -> Self {
        let idp = Arc::new(Idp::default());
        let clock = Arc::new(Standing(Mutex::new((
            SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
            Duration::from_secs(1000),
        ))));
        let mut auth =
            Auth { resource: Some(AUDIENCE.to_owned()), issuers: vec![issuer(ISSUER)], ..Auth::default() };
        change(&mut auth);
        let authenticator = Authenticator::with_clock(&auth, idp.clone(), clock.clone(), None).unwrap();
        let bench = Self { idp, clock, auth, authenticator };
        bench.publish(keys);
        bench
    }

    pub(crate) fn publish(&self, keys: &[Value]) {
        let metadata = json!({
            "issuer": ISSUER,
            "jwks_uri": "https://idp.example.com/keys",
            "introspection_endpoint": "https://idp.example.com/ask",
        });
        self.page(&format!("{ISSUER}/.well-known/openid-configuration"), 200, &metadata.to_string());
        self.page("https://idp.example.com/keys", 200, &json!({ "keys": keys }).to_string());
    }

    pub(crate) fn page(&self, url: &str, status: u16, body: &str) {
        self.idp.pages.lock().insert(url.to_owned(), (status, body.to_owned()));
    }

    /// How often an address was asked for that ends like this.
    pub(crate) fn asked(&self, end: &str) -> usize {
        self.idp.asked.lock().iter().filter(|(url, ..)| url.ends_with(end)).count()
    }

    /// Claims that are in order.
    pub(crate) fn claims(&self) -> Value {
        let now = self.clock.seconds();
        json!({"iss": ISSUER, "sub": "ada", "aud": AUDIENCE, "iat": now, "exp": now + 600, "scope": "mcp"})
    }

    pub(crate) async fn bearer(&self, token: &str) -> Result<Arc<Principal>, Rejection> {
        let value = format!("Bearer {token}");
        let evidence = Evidence { authorization: Some(value.as_bytes()), ..Evidence::default() };
        let answer = self.authenticator.authenticate(&evidence).await;
        let recalled = self.authenticator.recall(&evidence);
        assert!(
            recalled.is_none() || recalled == answer.clone().ok(),
            "nothing else is recalled than was found"
        );
        answer
    }

    /// What is known now of somebody who stays.
    pub(crate) async fn review(&self, principal: &Principal) -> Result<Arc<Principal>, Rejection> {
        self.authenticator.turn(principal).await?.review().await
    }
}

/// An issuer with every default.
pub(crate) fn issuer(name: &str) -> Issuer {
    Issuer {
        issuer: name.to_owned(),
        keys: KeySource::Discovery,
        audiences: vec![AUDIENCE.to_owned()],
        algorithms: vec![Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA],
        clients: Vec::new(),
        scopes: Vec::new(),
        leeway: Duration::ZERO,
        claims: ClaimPaths::default(),
        introspection: None,
        private: false,
        ca: None,
    }
}

/// Claims with one of them replaced.
pub(crate) fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

/// Claims with one of them left out.
pub(crate) fn without(mut claims: Value, name: &str) -> Value {
    claims.as_object_mut().unwrap().remove(name);
    claims
}
