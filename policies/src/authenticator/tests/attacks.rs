//! Tokens that somebody made who wants in. Each is refused, and none of them makes weir ask anybody but the issuer's own
//! addresses.

use super::idp::{AUDIENCE, Bench, ISSUER, Key, with, without};
use crate::{RejectionKind, Token};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;
use ring::hmac;
use serde_json::{Value, json};

const HEADER: &str = r#"{"alg":"ES256","kid":"ec"}"#;

struct Attacker {
    bench: Bench,
    /// The issuer's own keys, of which the attacker holds tokens but no private part.
    rsa: Key,
    ec: Key,
    /// The attacker's.
    own: Key,
}

impl Attacker {
    fn new() -> Self {
        let (rsa, ec, own) = (Key::rsa(), Key::p256(), Key::p256());
        let public = [rsa.public("rsa"), ec.public("ec"), with(ec.public("enc"), "use", json!("enc"))];
        let bench = Bench::new(&public, |auth| {
            auth.issuers[0].clients = vec!["app".to_owned()];
        });
        Self { bench, rsa, ec, own }
    }

    /// Claims that are in order.
    fn claims(&self) -> Value {
        with(self.bench.claims(), "azp", json!("app"))
    }

    /// A token that the issuer itself signed, over a claim that is not in order.
    fn signed(&self, name: &str, value: Value) -> String {
        self.ec.token(HEADER, &with(self.claims(), name, value).to_string())
    }

    /// One that it signed without a claim.
    fn lacking(&self, name: &str) -> String {
        self.ec.token(HEADER, &without(self.claims(), name).to_string())
    }

    /// One that the attacker signed, by this header.
    fn forged(&self, header: &Value) -> String {
        self.own.token(&header.to_string(), &self.claims().to_string())
    }

    /// One that the issuer signed, by this header.
    fn headed(&self, header: &str) -> String {
        self.ec.token(header, &self.claims().to_string())
    }

    fn good(&self) -> String {
        self.headed(HEADER)
    }

    /// A shared-secret signature by bytes that everybody can have.
    fn hmac(&self, algorithm: &str, secret: &[u8]) -> String {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}","kid":"rsa"}}"#));
        let message = format!("{header}.{}", URL_SAFE_NO_PAD.encode(self.claims().to_string()));
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
    }

    /// A token that is not signed.
    fn unsigned(&self, algorithm: &str, signature: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{algorithm}"}}"#));
        format!("{header}.{}.{signature}", URL_SAFE_NO_PAD.encode(self.claims().to_string()))
    }
}

/// The parts of a token put together anew.
fn parts(token: &str, change: impl FnOnce(&mut Vec<String>)) -> String {
    let mut parts: Vec<String> = token.split('.').map(str::to_owned).collect();
    change(&mut parts);
    parts.join(".")
}

fn cases(a: &Attacker) -> Vec<(&'static str, String)> {
    let now = a.bench.clock.seconds();
    let rsa = a.rsa.public("rsa");
    let modulus = rsa["n"].as_str().unwrap();
    let good = a.good();
    let attacker = a.own.public("ec");
    let claims = a.claims().to_string();
    let of_client = with(without(a.claims(), "sub"), "client_id", json!("app")).to_string();
    let twice = |member: &str| a.ec.token(HEADER, &claims.replacen('{', &format!("{{{member},"), 1));
    let kid = |kid: &str| a.forged(&json!({"alg": "ES256", "kid": kid}));
    vec![
        ("alg none", a.unsigned("none", "")),
        ("alg none with a signature", a.unsigned("none", "AAAA")),
        ("alg None", a.unsigned("None", "AAAA")),
        ("alg nOnE", a.unsigned("nOnE", "AAAA")),
        ("alg empty", a.unsigned("", "AAAA")),
        ("alg missing", a.headed(r#"{"kid":"ec"}"#)),
        ("alg null", a.headed(r#"{"alg":null,"kid":"ec"}"#)),
        ("alg list", a.headed(r#"{"alg":["ES256"],"kid":"ec"}"#)),
        ("alg in lower case", a.headed(r#"{"alg":"es256","kid":"ec"}"#)),
        ("alg with a blank", a.headed(r#"{"alg":"ES256 ","kid":"ec"}"#)),
        ("alg twice", a.headed(r#"{"alg":"ES256","kid":"ec","alg":"none"}"#)),
        ("HS256 with the modulus", a.hmac("HS256", modulus.as_bytes())),
        ("HS256 with the modulus decoded", a.hmac("HS256", &URL_SAFE_NO_PAD.decode(modulus).unwrap())),
        ("HS256 with the published key", a.hmac("HS256", rsa.to_string().as_bytes())),
        ("HS256 with nothing", a.hmac("HS256", b"")),
        ("HS256 called RS256", a.hmac("RS256", modulus.as_bytes())),
        ("an algorithm that is not allowed", a.rsa.token(r#"{"alg":"RS512","kid":"rsa"}"#, &claims)),
        ("RSA called by an EC key's name", a.rsa.token(r#"{"alg":"RS256","kid":"ec"}"#, &claims)),
        ("EC called by an RSA key's name", a.ec.token(r#"{"alg":"ES256","kid":"rsa"}"#, &claims)),
        ("EC called RS256", a.ec.token(r#"{"alg":"RS256","kid":"ec"}"#, &claims)),
        ("EC called EdDSA", a.ec.token(r#"{"alg":"EdDSA","kid":"ec"}"#, &claims)),
        (
            "PKCS#1 called PSS",
            a.rsa.token(r#"{"alg":"RS256","kid":"rsa"}"#, &claims).replacen(
                &URL_SAFE_NO_PAD.encode(r#"{"alg":"RS256","kid":"rsa"}"#),
                &URL_SAFE_NO_PAD.encode(r#"{"alg":"PS256","kid":"rsa"}"#),
                1,
            ),
        ),
        ("a key for encryption", a.headed(r#"{"alg":"ES256","kid":"enc"}"#)),
        ("another's key", a.forged(&json!({"alg": "ES256", "kid": "ec"}))),
        ("another's key without a name", a.forged(&json!({"alg": "ES256"}))),
        ("jwk in the header", a.forged(&json!({"alg": "ES256", "jwk": attacker}))),
        ("jwk and kid in the header", a.forged(&json!({"alg": "ES256", "kid": "ec", "jwk": attacker}))),
        (
            "jku in the header",
            a.forged(&json!({"alg": "ES256", "kid": "x", "jku": "https://evil.example.com/keys"})),
        ),
        (
            "x5u in the header",
            a.forged(&json!({"alg": "ES256", "kid": "x", "x5u": "https://evil.example.com/c.pem"})),
        ),
        ("x5c in the header", a.forged(&json!({"alg": "ES256", "x5c": ["MIIB"]}))),
        ("crit", a.headed(r#"{"alg":"ES256","kid":"ec","crit":["exp"]}"#)),
        ("crit that is empty", a.headed(r#"{"alg":"ES256","kid":"ec","crit":[]}"#)),
        ("kid that is a path", kid("../../../../dev/null")),
        ("kid that is a file", kid("file:///etc/passwd")),
        ("kid that is a URL", kid("https://evil.example.com/keys#ec")),
        ("kid that is SQL", kid("x' UNION SELECT 'key' --")),
        ("kid with a line end", kid("ec\r\nX-Admin: 1")),
        ("kid with NUL", kid("ec\0")),
        ("kid in another case", a.headed(r#"{"alg":"ES256","kid":"EC"}"#)),
        ("kid of 10 KB", kid(&"k".repeat(10_000))),
        ("kid of 300 bytes", kid(&"k".repeat(300))),
        ("kid that is empty", kid("")),
        ("kid that is a number", a.headed(r#"{"alg":"ES256","kid":1}"#)),
        ("kid that is an object", a.headed(r#"{"alg":"ES256","kid":{"$ne":null}}"#)),
        ("typ of an assertion", a.headed(r#"{"alg":"ES256","kid":"ec","typ":"oauth-id-jag+jwt"}"#)),
        ("typ of a logout token", a.headed(r#"{"alg":"ES256","kid":"ec","typ":"logout+jwt"}"#)),
        ("typ that is a list", a.headed(r#"{"alg":"ES256","kid":"ec","typ":["JWT"]}"#)),
        ("an ID token by its hash", a.signed("at_hash", json!("x"))),
        ("an ID token by its nonce", a.signed("nonce", json!("x"))),
        ("an ID token by its own word", a.signed("typ", json!("ID"))),
        ("a refresh token by its own word", a.signed("typ", json!("Refresh"))),
        ("an ID token by its use", a.signed("token_use", json!("id"))),
        ("no iss", a.lacking("iss")),
        ("another iss", a.signed("iss", json!("https://evil.example.com"))),
        ("iss with a slash more", a.signed("iss", json!(format!("{ISSUER}/")))),
        ("iss in upper case", a.signed("iss", json!(ISSUER.to_uppercase()))),
        ("iss that is a list", a.signed("iss", json!([ISSUER]))),
        ("no aud", a.lacking("aud")),
        ("another aud", a.signed("aud", json!("https://other.example.com"))),
        ("aud that begins alike", a.signed("aud", json!(format!("{AUDIENCE}/admin")))),
        ("aud that is the beginning", a.signed("aud", json!("https://weir.example.com"))),
        ("aud that is empty", a.signed("aud", json!([]))),
        ("aud that is an object", a.signed("aud", json!({AUDIENCE: true}))),
        ("aud of texts and more", a.signed("aud", json!([AUDIENCE, {}]))),
        ("no exp", a.lacking("exp")),
        ("exp that is null", a.signed("exp", Value::Null)),
        ("exp that is a text", a.signed("exp", json!((now + 600).to_string()))),
        ("exp that is past by a second", a.signed("exp", json!(now - 1))),
        ("exp that is now", a.signed("exp", json!(now))),
        ("exp that is negative", a.signed("exp", json!(-1))),
        ("exp beyond all time", a.signed("exp", json!(1e300))),
        ("exp in milliseconds", a.signed("exp", json!((now + 600) * 1000))),
        ("nbf in a second", a.signed("nbf", json!(now + 1))),
        ("nbf that is a text", a.signed("nbf", json!("0"))),
        ("iat in a second", a.signed("iat", json!(now + 1))),
        ("iat that is a list", a.signed("iat", json!([]))),
        ("no sub", a.lacking("sub")),
        ("no sub, and a client", a.ec.token(HEADER, &of_client)),
        (
            "no sub, and a client, as at+jwt",
            a.ec.token(r#"{"alg":"ES256","kid":"ec","typ":"at+jwt"}"#, &of_client),
        ),
        ("sub like a client without one", a.signed("sub", json!("client_id:ada"))),
        ("sub that is empty", a.signed("sub", json!(""))),
        ("sub that is a number", a.signed("sub", json!(1))),
        ("sub with a line end", a.signed("sub", json!("ada\nroot"))),
        ("sub of 2 KB", a.signed("sub", json!("a".repeat(2000)))),
        ("another client", a.signed("azp", json!("evil"))),
        ("a client beside the allowed one", a.signed("client_id", json!("evil"))),
        ("no client", a.lacking("azp")),
        ("scopes that are an object", a.signed("scope", json!({"mcp": true}))),
        (
            "bound to a certificate that is not there",
            a.signed("cnf", json!({"x5t#S256": URL_SAFE_NO_PAD.encode([1; 32])})),
        ),
        ("bound by DPoP", a.signed("cnf", json!({"jkt": "x"}))),
        ("bound to nothing", a.signed("cnf", json!({}))),
        ("sub twice", twice(r#""sub":"root""#)),
        ("sub twice, once escaped", twice(r#""s\u0075b":"root""#)),
        ("exp twice", twice(r#""exp":99999999999"#)),
        ("a name twice deep inside", twice(r#""x":{"y":[{"z":1,"z":2}]}"#)),
        ("claims nested deeply", twice(&format!(r#""x":{}1{}"#, "[".repeat(100), "]".repeat(100)))),
        ("claims that are a list", a.ec.token(HEADER, "[]")),
        ("claims with more behind", a.ec.token(HEADER, &format!("{claims}{{}}"))),
        ("claims that are no text", parts(&good, |parts| parts[1] = URL_SAFE_NO_PAD.encode(b"\xff\xfe"))),
        (
            "claims exchanged",
            parts(&good, |parts| {
                parts[1] = URL_SAFE_NO_PAD.encode(with(a.claims(), "sub", json!("root")).to_string());
            }),
        ),
        (
            "header exchanged",
            parts(&good, |parts| parts[0] = URL_SAFE_NO_PAD.encode(r#"{"alg":"ES256","kid":"ec","x":1}"#)),
        ),
        ("signature of zeros", parts(&good, |parts| parts[2] = URL_SAFE_NO_PAD.encode([0; 64]))),
        ("signature cut", parts(&good, |parts| parts[2].truncate(40))),
        ("signature missing", parts(&good, |parts| parts[2].clear())),
        (
            "signature in DER",
            parts(&good, |parts| parts[2] = URL_SAFE_NO_PAD.encode([0x30, 0x06, 2, 1, 1, 2, 1, 1])),
        ),
        ("trailing letters", format!("{good}AA")),
        (
            "two parts",
            parts(&good, |parts| {
                parts.pop();
            }),
        ),
        ("four parts", format!("{good}.AAAA")),
        ("a dot behind", format!("{good}.")),
        ("a dot before", format!(".{good}")),
        (
            "an encrypted token",
            format!(
                "{}.AAAA.AAAA.AAAA.AAAA",
                URL_SAFE_NO_PAD.encode(r#"{"alg":"RSA-OAEP","enc":"A256GCM"}"#)
            ),
        ),
        ("enc in a signed one", a.headed(r#"{"alg":"ES256","kid":"ec","enc":"A256GCM"}"#)),
        ("zip in a signed one", a.headed(r#"{"alg":"ES256","kid":"ec","zip":"DEF"}"#)),
        (
            "padding in the claims",
            parts(&good, |parts| {
                parts[1] = URL_SAFE.encode(with(a.claims(), "p", json!("x")).to_string() + " ")
            }),
        ),
        ("base64 of the other kind", parts(&good, |parts| parts[2] = STANDARD.encode([0xfb; 64]))),
        (
            "bits left over in the signature",
            parts(&good, |parts| {
                let last = parts[2].pop().unwrap();
                parts[2].push(char::from(last as u8 + 1));
            }),
        ),
        ("20 KB", a.signed("x", json!("x".repeat(20_000)))),
        ("JSON in the place of a token", STANDARD.encode("{\"alg\":\"none\"}")),
        ("text in the place of a token", "aaaa.bbbb.cccc".to_owned()),
        ("an opaque token where none is taken", "opaque".to_owned()),
    ]
}

#[tokio::test]
async fn tokens_of_attackers_are_refused() {
    let attacker = Attacker::new();
    // The tokens that the cases are made of are good.
    attacker.bench.bearer(&attacker.good()).await.unwrap_or_else(|why| panic!("{why}"));
    let rsa = attacker.rsa.token(r#"{"alg":"RS256","kid":"rsa"}"#, &attacker.claims().to_string());
    attacker.bench.bearer(&rsa).await.unwrap_or_else(|why| panic!("{why}"));
    let cases = cases(&attacker);
    assert!(cases.len() > 100, "{}", cases.len());
    let mut wrong = Vec::new();
    for (name, token) in &cases {
        // Twice, since a refusal is remembered too.
        for _ in 0..2 {
            match attacker.bench.bearer(token).await {
                Err(rejection)
                    if matches!(rejection.kind, RejectionKind::Invalid | RejectionKind::Malformed) =>
                {
                    let told = rejection.reason.chars().any(char::is_control) || rejection.reason.len() > 400;
                    assert!(!told, "{name}: {}", rejection.reason);
                }
                other => wrong.push(format!("{name}: {other:?}")),
            }
        }
        // Nobody is kept out by what others try.
        assert!(attacker.bench.bearer(&attacker.good()).await.is_ok(), "after {name}");
    }
    assert_eq!(wrong, [""; 0]);
    let elsewhere = |url: &&(String, String, Option<String>)| !url.0.starts_with("https://idp.example.com/");
    assert_eq!(attacker.bench.idp.asked.lock().iter().find(elsewhere), None);
    // Names of keys that nobody has cannot make weir ask for keys all the time.
    assert!(attacker.bench.asked("/keys") <= 1 + 4, "{}", attacker.bench.asked("/keys"));
}

#[tokio::test]
async fn what_a_key_says_of_itself_holds() {
    let key = Key::p256();
    for (change, good) in [
        (json!({}), true),
        (json!({"alg": "ES256"}), true),
        (json!({"alg": "ES384"}), false),
        (json!({"alg": 1}), false),
        (json!({"use": "enc"}), false),
        (json!({"key_ops": ["verify"]}), true),
        (json!({"key_ops": ["sign"]}), false),
        (json!({"kty": "RSA"}), false),
        (json!({"kty": "oct", "k": "AAAA"}), false),
        (json!({"crv": "P-384"}), false),
        (json!({"crv": "P-521"}), false),
        (json!({"d": "AAAA"}), false),
        (json!({"x": "AAAA"}), false),
        (json!({"kid": 1}), false),
    ] {
        let mut public = key.public("a");
        public.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let bench = Bench::new(&[public], |_| {});
        let token = key.token(r#"{"alg":"ES256","kid":"a"}"#, &bench.claims().to_string());
        assert_eq!(bench.bearer(&token).await.is_ok(), good, "{change}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[A-Za-z0-9_.=-]{0,60}|.{0,60}") {
        let _ = Token::read(&text);
    }

    /// A token with one letter changed, wherever, is another token, which the issuer has not signed.
    #[test]
    fn no_token_with_a_letter_changed_is_good(places in proptest::collection::vec((0_usize..10_000, "[A-Za-z0-9_.-]"), 20)) {
        let attacker = Attacker::new();
        let good = attacker.good();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            for (place, letter) in places {
                let place = place % good.len();
                let changed = format!("{}{letter}{}", &good[..place], &good[place + 1..]);
                let answer = attacker.bench.bearer(&changed).await;
                assert_eq!(answer.is_ok(), changed == good, "{changed}");
            }
        });
    }
}

proptest! {
    /// Whatever is read as a token was written in the only way in which it can be, and says the same to a plain reader.
    #[test]
    fn what_is_read_has_one_spelling_and_one_meaning(
        header in r#"\{"alg":"(ES256|none)"(,"(kid|typ|alg|crit|enc)":("a"|1|\[\]))?[ }]{1,2}"#,
        claims in r#"\{("(a|b|\\u0061)":("x"|[0-9]{1,3}|-1e[0-9]|\[\{"c":1,"(c|d)":2\}\]|null),?){0,3}"?\}"#,
        signature in "[A-Za-z0-9_=-]{0,6}",
        padded in any::<bool>(),
    ) {
        let encode = |text: &str| if padded { URL_SAFE.encode(text) } else { URL_SAFE_NO_PAD.encode(text) };
        let text = format!("{}.{}.{signature}", encode(&header), encode(&claims));
        if let Ok(token) = Token::read(&text) {
            for part in text.split('.') {
                let bytes = URL_SAFE_NO_PAD.decode(part).unwrap();
                prop_assert_eq!(URL_SAFE_NO_PAD.encode(bytes), part);
            }
            prop_assert_eq!(serde_json::from_str::<Value>(&claims).unwrap(), Value::Object(token.claims));
            let head: Value = serde_json::from_str(&header).unwrap();
            prop_assert_eq!(head["alg"].as_str(), Some(token.algorithm.as_str()));
            prop_assert!(head.get("crit").is_none() && head.get("enc").is_none());
            prop_assert_eq!(header.matches("\"alg\"").count(), 1);
        }
    }
}
