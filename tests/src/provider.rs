//! The real OpenID provider of `fixtures/oidc.mjs`, which tests steer beside what it does for everybody.

use crate::http::{Endpoint, Request, Response};
use crate::peers::{self, HttpPeer};
use serde_json::{Value, json};
use tempfile::TempDir;

/// An OpenID provider that ends with the test. It knows the accounts `alice` of the group `developers`, `bob` of `support`
/// and `carol` of none, and the clients `service` (secret by Basic), `poster` (secret by POST) and `desktop` (no secret).
#[derive(Debug)]
pub struct Provider {
    peer: HttpPeer,
    issuer: String,
    /// Where its keys outlive it.
    _directory: TempDir,
}

impl Provider {
    /// The provider as it is.
    pub fn start() -> Self {
        Self::with(json!({}))
    }

    /// With other settings; those that `fixtures/oidc.mjs` names.
    pub fn with(mut settings: Value) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        settings["keys"] = json!(directory.path().join("keys.json"));
        let path = settings["path"].as_str().unwrap_or_default().to_owned();
        let peer = peers::oidc(settings);
        let issuer = format!("{}{path}", peer.url().trim_end_matches('/'));
        Self { peer, issuer, _directory: directory }
    }

    /// Its issuer identifier.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The secret of one of its clients.
    pub fn secret(client: &str) -> String {
        format!("{client}-secret-0123456789abcdef0123456789abcdef")
    }

    /// An access token of `account` for `resource` with the scope `mcp`.
    pub fn token(&self, account: &str, resource: &str) -> String {
        self.mint(json!({"account": account, "resource": resource}))
    }

    /// An access token with `account`, `client`, `resource`, `scope`, `ttl` and `claims` as `request` says.
    pub fn mint(&self, request: Value) -> String {
        token(&self.control("mint", &request))
    }

    /// A token with exactly these `claims`, and with `header`, `alg` and `generation` of keys as `request` says.
    pub fn sign(&self, request: Value) -> String {
        token(&self.control("sign", &request))
    }

    /// A token of the texts `header`, in which `$KID` stands for the name of a key that is shown, and `claims`, signed by `alg`
    /// with the `key` of an algorithm and a `generation`, under the name of that of `named`; HMAC takes the public key in a `form`.
    pub fn forge(&self, request: Value) -> String {
        token(&self.control("forge", &request))
    }

    /// Changes settings while it runs.
    pub fn set(&self, settings: Value) {
        self.control("settings", &settings);
    }

    /// Signs with new keys from now on, and goes on showing this many generations of old ones.
    pub fn rotate(&self, keep: usize) {
        self.control("rotate", &json!({"keep": keep}));
    }

    /// Whether it answers everything with 503.
    pub fn down(&self, down: bool) {
        self.control("down", &json!({"down": down}));
    }

    /// Takes back all grants of an account, with the tokens that hang on them and are not signed.
    pub fn forget(&self, account: &str) {
        self.control("forget", &json!({"account": account}));
    }

    /// How often a path was asked for.
    pub fn requests(&self, path: &str) -> u64 {
        self.control("counts", &json!({}))[path].as_u64().unwrap_or_default()
    }

    /// Ends it and starts it again, with the keys that it had and nothing else.
    pub fn restart(&mut self) {
        self.peer.restart();
    }

    /// Posts a form to one of its paths as a client with a secret, which goes by Basic.
    pub fn form(&self, path: &str, client: &str, form: &str) -> Response {
        Request::new("POST")
            .header("content-type", "application/x-www-form-urlencoded")
            .header("authorization", &format!("Basic {}", basic(client, &Self::secret(client))))
            .body(form)
            .send(&Endpoint::parse(&format!("{}{path}", self.issuer)))
    }

    fn control(&self, verb: &str, body: &Value) -> Value {
        let to = Endpoint::parse(self.peer.url()).at(&format!("/control/{verb}"));
        let response = Request::new("POST").body(body.to_string()).send(&to);
        assert_eq!(response.status, 200, "{verb}: {}", response.text());
        response.json()
    }
}

fn token(answer: &Value) -> String {
    answer["token"].as_str().expect("a token is made").to_owned()
}

/// Name and secret as Basic authentication writes them.
fn basic(name: &str, secret: &str) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut coded = String::new();
    for three in format!("{name}:{secret}").as_bytes().chunks(3) {
        let bits =
            three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for place in 0..4 {
            let letter = LETTERS[(bits >> (18 - 6 * place) & 63) as usize];
            coded.push(if place <= three.len() { char::from(letter) } else { '=' });
        }
    }
    coded
}
