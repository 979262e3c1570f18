//! Tokens that are not good, or not good here.

use crate::attack::{Attack, Fate, attack, run};
use crate::stage::{ALL, RESOURCE, Stage, call, plain, wait_for_lists};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use weir_tests::{Provider, Request, Scripted};

/// The leeway of every issuer here, in seconds.
const LEEWAY: i64 = 30;

/// The header of an encrypted token: `{"alg":"dir","enc":"A256GCM"}`.
const ENCRYPTED: &str = "eyJhbGciOiJkaXIiLCJlbmMiOiJBMjU2R0NNIn0";

/// Texts that are no token of RFC 6750 at all.
const ODD: [&str; 3] = ["garbage behind it", "the JSON serialization", "two tokens with a comma"];

/// Where tokens come from.
struct Mint<'a> {
    own: &'a Provider,
    /// Another provider that the endpoint knows too.
    other: &'a Provider,
    /// Where an attacker waits for weir to fetch his keys.
    trap: String,
}

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    i64::try_from(now.as_secs()).expect("the time fits")
}

impl Mint<'_> {
    /// Claims that are good, with changes; `null` takes one away.
    fn claims(&self, changes: Value) -> Value {
        let now = now();
        let mut claims = json!({
            "iss": self.own.issuer(), "aud": RESOURCE, "sub": "alice", "client_id": "desktop", "scope": "mcp",
            "iat": now, "exp": now + 600, "jti": "1",
        });
        for (name, value) in changes.as_object().expect("an object") {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("an object").remove(name)),
                value => claims[name] = value.clone(),
            }
        }
        claims
    }

    /// A token with these changes to good claims, well signed.
    fn changed(&self, changes: Value) -> String {
        self.own.sign(json!({"claims": self.claims(changes)}))
    }

    /// A token with good claims and this header, signed with the key of `key` by `alg`.
    fn headed(&self, header: Value, key: &str, alg: &str) -> String {
        self.forged(&header.to_string(), &self.claims(json!({})).to_string(), key, alg)
    }

    /// A token with good claims by `alg`, under the name of the key of another algorithm.
    fn renamed(&self, alg: &str, named: &str) -> String {
        let header = json!({"alg": alg, "kid": "$KID", "typ": "at+jwt"}).to_string();
        let claims = self.claims(json!({})).to_string();
        self.own.forge(json!({"header": header, "claims": claims, "alg": alg, "key": alg, "named": named}))
    }

    fn forged(&self, header: &str, claims: &str, key: &str, alg: &str) -> String {
        self.own.forge(json!({"header": header, "claims": claims, "key": key, "alg": alg}))
    }

    /// A token with good claims that is signed with the public key as if it were a shared secret.
    fn shared(&self, alg: &str, key: &str, form: &str) -> String {
        let header = json!({"alg": alg, "kid": "$KID", "typ": "at+jwt"}).to_string();
        let claims = self.claims(json!({})).to_string();
        self.own.forge(json!({"header": header, "claims": claims, "key": key, "alg": alg, "form": form}))
    }
}

/// What a token is, and the token.
type Named = (String, String);

fn named(tokens: Vec<(&str, String)>) -> Vec<Named> {
    tokens.into_iter().map(|(name, token)| (name.to_owned(), token)).collect()
}

/// Algorithms and keys.
fn signatures(mint: &Mint<'_>) -> Vec<Named> {
    let good = mint.changed(json!({}));
    let (message, signature) = good.rsplit_once('.').expect("a token has parts");
    let other = mint.changed(json!({"sub": "bob"}));
    let header = |alg: &str| json!({"alg": alg, "kid": "$KID", "typ": "at+jwt"});
    let mut tokens = named(vec![
        ("the signature left out", format!("{message}.")),
        ("no signature at all", message.to_owned()),
        (
            "the signature of another token",
            format!("{message}.{}", other.rsplit('.').next().expect("a part")),
        ),
        ("an ES256 token with the name of an RSA key", mint.renamed("ES256", "RS256")),
        ("an RSA token with the name of an ES256 key", mint.renamed("RS256", "ES256")),
        ("an EdDSA token with the name of an ES256 key", mint.renamed("EdDSA", "ES256")),
        (
            "a key that the issuer never showed",
            mint.own.sign(json!({"claims": mint.claims(json!({})), "generation": -1})),
        ),
        (
            "a foreign key under the name of a good one",
            mint.own.forge(json!({
                "header": header("RS256").to_string(), "claims": mint.claims(json!({})).to_string(),
                "alg": "RS256", "generation": -1,
            })),
        ),
        (
            "another issuer's key with this issuer's name",
            mint.other.sign(json!({"claims": mint.claims(json!({}))})),
        ),
        ("this issuer's key with another issuer's name", mint.changed(json!({"iss": mint.other.issuer()}))),
        ("HS256 with the modulus", mint.shared("HS256", "RS256", "n")),
        ("HS512 with the public key as PEM", mint.shared("HS512", "RS256", "pem")),
        ("HS256 with the public key of ES256 as PEM", mint.shared("HS256", "ES256", "pem")),
        ("RS384, which is not among the algorithms", mint.headed(header("RS384"), "RS256", "RS384")),
        ("a tampered signature", format!("{message}.{}", flipped(signature))),
    ]);
    for alg in ["none", "None", "NONE", "nOnE"] {
        tokens.push((format!("alg {alg}"), mint.headed(header(alg), "RS256", "none")));
        tokens.push((format!("alg {alg} with a signature"), mint.headed(header(alg), "RS256", "RS256")));
    }
    for form in ["pem", "trimmed", "der", "jwk"] {
        tokens.push((format!("HS256 with the public key as {form}"), mint.shared("HS256", "RS256", form)));
    }
    for alg in [json!(null), json!(["RS256"]), json!(""), json!("rs256"), json!("RS256 "), json!("ES256")] {
        let header = json!({"alg": alg, "kid": "$KID", "typ": "at+jwt"});
        tokens.push((format!("an RSA signature with the alg {alg}"), mint.headed(header, "RS256", "RS256")));
    }
    tokens
}

/// Another signature of the same length.
fn flipped(signature: &str) -> String {
    let middle = signature.len() / 2;
    let (before, rest) = signature.split_at(middle);
    let changed = if rest.starts_with('A') { "B" } else { "A" };
    format!("{before}{changed}{}", &rest[1..])
}

/// What stands in the header beside the algorithm.
fn headers(mint: &Mint<'_>) -> Vec<Named> {
    let mut tokens = Vec::new();
    let kids = [
        ("a path", "../../../../../../dev/null".to_owned()),
        ("an absolute path", "/etc/passwd".to_owned()),
        ("a file URL", "file:///dev/null".to_owned()),
        ("the attacker's URL", mint.trap.clone()),
        ("SQL", "x' UNION SELECT 'AAAA' -- ".to_owned()),
        ("a command", "x; touch /tmp/x #".to_owned()),
        ("a NUL", "\0".to_owned()),
        ("lines", "x\r\nlevel=ERROR forged".to_owned()),
        ("10 KB", "k".repeat(10 << 10)),
        ("nothing", String::new()),
    ];
    for (what, kid) in kids {
        let header = json!({"alg": "RS256", "kid": kid, "typ": "at+jwt"});
        // Signed with what an empty file would be as a shared secret, and by a foreign key.
        let foreign = json!({
            "header": header.to_string(), "claims": mint.claims(json!({})).to_string(), "alg": "RS256", "generation": -1,
        });
        tokens.push((format!("a kid that is {what}"), mint.own.forge(foreign)));
    }
    let foreign = |header: Value| {
        let claims = mint.claims(json!({})).to_string();
        mint.own
            .forge(json!({"header": header.to_string(), "claims": claims, "alg": "RS256", "generation": -1}))
    };
    let jwk = json!({"kty": "oct", "k": "AAAA"});
    for (name, value) in [
        ("jku", json!(format!("{}/jwks", mint.trap))),
        ("x5u", json!(format!("{}/x5u", mint.trap))),
        ("jwk", jwk),
        ("x5c", json!(["MIIB"])),
    ] {
        let header = |kid: &str| json!({"alg": "RS256", "kid": kid, "typ": "at+jwt", name: value});
        tokens.push((format!("{name} beside a good kid"), foreign(header("$KID"))));
        tokens.push((format!("{name} beside an unknown kid"), foreign(header("attacker"))));
    }
    let crit =
        |crit: Value| json!({"alg": "RS256", "kid": "$KID", "typ": "at+jwt", "crit": crit, "b64": true});
    let double = r#"{"alg":"none","alg":"RS256","kid":"$KID"}"#;
    let escaped = r#"{"alg":"RS256","kid":"$KID","\u0061lg":"none"}"#;
    let claims = mint.claims(json!({})).to_string();
    tokens.extend(named(vec![
        ("critical extensions", mint.headed(crit(json!(["b64"])), "RS256", "RS256")),
        ("an empty list of critical extensions", mint.headed(crit(json!([])), "RS256", "RS256")),
        ("two algorithms", mint.forged(double, &claims, "RS256", "RS256")),
        ("two algorithms, one in escapes", mint.forged(escaped, &claims, "RS256", "RS256")),
        ("a logout token", typed(mint, "logout+jwt", json!({}))),
        ("an ID-JAG", typed(mint, "oauth-id-jag+jwt", json!({}))),
        ("an ID token by its hashes", typed(mint, "JWT", json!({"at_hash": "x"}))),
        ("an ID token by its nonce", typed(mint, "JWT", json!({"nonce": "n"}))),
    ]));
    tokens
}

fn typed(mint: &Mint<'_>, typ: &str, changes: Value) -> String {
    mint.own.sign(json!({"claims": mint.claims(changes), "header": {"typ": typ}}))
}

/// What the token says.
fn claims(mint: &Mint<'_>) -> Vec<Named> {
    let (now, own) = (now(), mint.own.issuer());
    let cases = [
        json!({"iss": null}),
        json!({"iss": format!("{own}/")}),
        json!({"iss": own.to_uppercase()}),
        json!({"iss": [own]}),
        json!({"iss": mint.trap}),
        json!({"aud": null}),
        json!({"aud": "https://other.test/mcp"}),
        json!({"aud": format!("{RESOURCE}/")}),
        json!({"aud": "https://weir.test"}),
        json!({"aud": "https://weir.test/mcp2"}),
        json!({"aud": "HTTPS://WEIR.TEST/mcp"}),
        json!({"aud": ""}),
        json!({"aud": []}),
        json!({"aud": ["https://other.test/mcp", "https://third.test/mcp"]}),
        json!({"aud": [[RESOURCE]]}),
        json!({"aud": {RESOURCE: true}}),
        json!({"aud": format!("https://other.test/mcp {RESOURCE}")}),
        json!({"exp": null}),
        json!({"iat": now - 600, "exp": now - LEEWAY - 1}),
        json!({"exp": (now + 600).to_string()}),
        json!({"exp": -1}),
        json!({"exp": 1e300}),
        json!({"exp": true}),
        json!({"nbf": now + LEEWAY + 60}),
        json!({"nbf": "0"}),
        json!({"iat": now + LEEWAY + 60}),
        json!({"sub": null, "username": "alice"}),
        json!({"sub": ""}),
        json!({"sub": 1}),
        json!({"sub": "alice\r\nbob"}),
        json!({"client_id": "attacker"}),
        json!({"client_id": null}),
        json!({"azp": "attacker"}),
        json!({"client_id": ["desktop"]}),
        json!({"scope": {"mcp": true}}),
        json!({"cnf": {"jkt": "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}}),
        json!({"deep": (0..200).fold(json!(1), |inner, _| json!([inner]))}),
    ];
    cases.into_iter().map(|changes| (short(&format!("claims {changes}")), mint.changed(changes))).collect()
}

fn short(text: &str) -> String {
    text.chars().take(120).collect()
}

/// How the token is written.
fn forms(mint: &Mint<'_>) -> Vec<Named> {
    let good = mint.changed(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let header = r#"{"alg":"RS256","kid":"$KID","typ":"at+jwt"}"#;
    let twice = |more: &str| {
        let claims = mint.claims(json!({})).to_string();
        mint.forged(header, &format!("{},{more}}}", claims.trim_end_matches('}')), "RS256", "RS256")
    };
    let other = json!("https://other.test").to_string();
    let mut tokens = named(vec![
        ("two subjects", twice(r#""sub":"bob""#)),
        ("two subjects, one in escapes", twice(r#""\u0073ub":"bob""#)),
        ("two audiences under one name", twice(&format!(r#""aud":{other}"#))),
        ("two issuers under one name", twice(&format!(r#""iss":{other}"#))),
        ("two ends", twice(r#""exp":9999999999"#)),
        ("a name twice within a claim", twice(r#""realm_access":{"roles":[],"roles":["admin"]}"#)),
        ("claims that are a list", mint.forged(header, "[]", "RS256", "RS256")),
        ("claims that are no JSON", mint.forged(header, "{", "RS256", "RS256")),
        (
            "a second document behind the claims",
            mint.forged(header, &format!("{}{{}}", mint.claims(json!({}))), "RS256", "RS256"),
        ),
        ("four parts", format!("{good}.{}", parts[2])),
        ("an empty part before it", format!(".{good}")),
        ("garbage behind it", format!("{good}!")),
        ("padding", format!("{good}=")),
        ("a JWE", format!("{}.{}.{}.{}.{}", ENCRYPTED, "", parts[1], parts[1], parts[2])),
        ("five good parts", format!("{}.{}.{}.{}.{}", parts[0], parts[1], parts[2], parts[1], parts[2])),
        ("the JSON serialization", {
            let [protected, payload, signature] = parts[..] else { panic!("three parts") };
            json!({"protected": protected, "payload": payload, "signature": signature}).to_string()
        }),
        ("another alphabet", good.replace(['-', '_'], "+")),
        ("two tokens with a comma", format!("{good},{good}")),
        ("18 KB of claims", mint.changed(json!({"pad": "x".repeat(18 << 10)}))),
        ("100 KB that are no token", "x".repeat(100 << 10)),
    ]);
    // The last letter of a signature has bits that stand for nothing.
    let (rest, last) = good.split_at(good.len() - 1);
    let letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let place = letters.find(last).expect("a letter of base64url");
    let twin = letters.chars().nth(place ^ 1).expect("there are 64");
    tokens.push(("bits that stand for nothing".to_owned(), format!("{rest}{twin}")));
    tokens
}

fn bearer(token: &str) -> Request {
    call("open", json!({})).header("authorization", &format!("Bearer {token}"))
}

#[test]
fn tokens_that_are_not_good_are_refused() {
    let (own, other) = (Provider::start(), Provider::start());
    let trap = Scripted::start(|_, reply| reply.json(r#"{"keys":[]}"#));
    let issuer = |provider: &Provider| {
        json!({
            "issuer": provider.issuer(), "private": true, "scopes": ["mcp"], "clients": ["desktop", "service"],
            "leeway": format!("{LEEWAY}s"),
        })
    };
    let stage = Stage::new(plain(json!({
        "auth": {"resource": RESOURCE, "issuers": [issuer(&own), issuer(&other)]},
        "policies": {"inline": ALL},
    })));
    let mint = Mint { own: &own, other: &other, trap: trap.url() };
    let good = mint.changed(json!({}));
    wait_for_lists(&stage.weir.endpoint(), &good);

    let to = stage.weir.endpoint();
    let pass = |name: &str, token: &str| attack(name, &to, bearer(token), Fate::Passes);
    let mut cases = vec![
        pass("a good token", &good),
        pass("the provider's own token", &own.token("alice", RESOURCE)),
        pass("the other provider's own token", &other.token("bob", RESOURCE)),
        pass("one audience of several", &mint.changed(json!({"aud": ["https://other.test", RESOURCE]}))),
        pass(
            "a token within the leeway",
            &mint.changed(json!({"iat": now() - 600, "exp": now() - LEEWAY / 2})),
        ),
        pass("ES256", &mint.headed(json!({"alg": "ES256", "kid": "$KID"}), "ES256", "ES256")),
        pass("EdDSA", &mint.headed(json!({"alg": "EdDSA", "kid": "$KID"}), "EdDSA", "EdDSA")),
    ];
    let all = [signatures(&mint), headers(&mint), claims(&mint), forms(&mint)].concat();
    for (name, token) in &all {
        // A head that is too large is not even looked at.
        let fate = match token.len() > 60 << 10 {
            true => Fate::Refused(431, None),
            false if ODD.contains(&&**name) => Fate::Unreadable,
            false => Fate::Challenged,
        };
        cases.push(attack(name, &to, bearer(token), fate));
    }
    for scope in [json!(null), json!(""), json!("mcpx"), json!("MCP"), json!("mcp:read"), json!("mcp,other")]
    {
        let token = mint.changed(json!({"scope": scope}));
        cases.push(attack(format!("the scope {scope}"), &to, bearer(&token), Fate::Scopes("mcp")));
    }
    run(&stage, &cases, 110);
    assert!(trap.received().is_empty(), "nobody asked the attacker: {:?}", trap.received());
    let log = stage.weir.log();
    for (name, token) in all.iter().filter(|(_, token)| token.len() > 100) {
        assert!(!log.contains(&token[token.len() - 40..]), "{name} stands in the log");
    }
    is_quiet(&cases);
}

/// No two cases have one name.
fn is_quiet(cases: &[Attack]) {
    let mut names: Vec<&str> = cases.iter().map(|case| &*case.name).collect();
    names.sort_unstable();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "every case has a name of its own");
}
