//! Finding out who calls: a token that is known, and one that is seen for the first time.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a bench that cannot begin has nothing to measure, and says so by its end"
)]

mod settings;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::json;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};
use weir_config::{Auth, Environment, parse};
use weir_policies::{Authenticator, Evidence, Fetch, FetchError, Reach};

const RESOURCE: &str = "https://weir.example.com/mcp";

/// The provider: its keys, whatever is asked for.
#[derive(Debug)]
struct Keys(Bytes);

#[async_trait::async_trait]
impl Fetch for Keys {
    async fn fetch(&self, _: http::Request<Bytes>, _: &Reach) -> Result<http::Response<Bytes>, FetchError> {
        Ok(http::Response::new(self.0.clone()))
    }
}

struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }
}

fn auth() -> Auth {
    let text = format!(
        "backends: {{a: {{command: a}}}}\nendpoints: {{e: {{path: /mcp, auth: {{resource: '{RESOURCE}', \
         issuers: [{{issuer: 'https://idp.example.com', jwks: 'https://idp.example.com/keys', scopes: [mcp]}}]}}}}}}"
    );
    let config = parse(&text, "weir.yaml".as_ref(), &Nothing).expect("it is in order").config;
    config.endpoints.into_iter().next().expect("there is one").auth
}

/// A token as a provider makes it, with a few groups.
fn token(pair: &EcdsaKeyPair, number: usize) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later").as_secs();
    let claims = json!({
        "iss": "https://idp.example.com", "sub": "0b5f0a0e-7d0b-4f6e-9c55-5f3d6b8f3a11", "aud": [RESOURCE],
        "iat": now, "exp": now + 3600, "jti": format!("{number:032x}"), "azp": "desktop", "scope": "openid mcp",
        "groups": ["developers", "on-call", "europe"], "email": "ada@example.com", "name": "Ada Lovelace",
    });
    let header = json!({"alg": "ES256", "typ": "at+jwt", "kid": "key-2026-11"});
    let parts = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
    let message = parts.join(".");
    let signature = pair.sign(&SystemRandom::new(), message.as_bytes()).expect("it signs");
    format!("Bearer {message}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn caller(criterion: &mut Criterion) {
    let random = SystemRandom::new();
    let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
    let pair = EcdsaKeyPair::from_pkcs8(algorithm, pkcs8.as_ref(), &random).expect("a key");
    let (x, y) = pair.public_key().as_ref()[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let keys =
        json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "key-2026-11", "use": "sig", "x": x, "y": y}]});
    let keys = Arc::new(Keys(keys.to_string().into()));
    let authenticator = Authenticator::new(&auth(), keys, None).expect("it is in order");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");

    let known = token(&pair, 0);
    let evidence = Evidence { authorization: Some(known.as_bytes()), ..Evidence::default() };
    runtime.block_on(authenticator.authenticate(&evidence)).expect("it is good");
    assert!(authenticator.recall(&evidence).is_some());
    criterion.bench_function("caller known", |bencher| {
        bencher.iter(|| authenticator.recall(black_box(&evidence)))
    });

    let mut number = 0;
    criterion.bench_function("caller first seen", |bencher| {
        let next = || {
            number += 1;
            token(&pair, number)
        };
        let find = |token: String| {
            let evidence = Evidence { authorization: Some(token.as_bytes()), ..Evidence::default() };
            runtime.block_on(authenticator.authenticate(&evidence)).expect("it is good")
        };
        bencher.iter_batched(next, find, BatchSize::SmallInput);
    });
}

criterion_group!(name = benches; config = settings::settings(); targets = caller);
criterion_main!(benches);
