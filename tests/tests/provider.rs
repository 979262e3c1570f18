//! The OpenID provider on which other tests stand does what they need of it.

use serde_json::{Value, json};
use weir_tests::{Endpoint, Provider, Request};

const RESOURCE: &str = "https://weir.test/mcp";

fn get(provider: &Provider, path: &str) -> Value {
    Request::new("GET").send(&Endpoint::parse(&format!("{}{path}", provider.issuer()))).json()
}

fn kids(provider: &Provider) -> Vec<String> {
    let keys = get(provider, "/jwks")["keys"].as_array().expect("keys").clone();
    keys.iter().map(|key| key["kid"].as_str().expect("a key has an id").to_owned()).collect()
}

#[test]
fn tokens_keys_and_introspection() {
    let mut provider = Provider::with(json!({"opaque": ["https://opaque.test/mcp"]}));
    let metadata = get(&provider, "/.well-known/openid-configuration");
    assert_eq!(metadata["issuer"], provider.issuer());
    assert_eq!(metadata["authorization_response_iss_parameter_supported"], true);

    assert_eq!(provider.token("alice", RESOURCE).split('.').count(), 3);
    assert_eq!(provider.sign(json!({"alg": "ES256", "claims": {"sub": "x"}})).split('.').count(), 3);
    let form = format!("grant_type=client_credentials&scope=mcp&resource={RESOURCE}");
    let granted = provider.form("/token", "service", &form);
    assert_eq!(
        (granted.status, &granted.json()["token_type"]),
        (200, &json!("Bearer")),
        "{}",
        granted.text()
    );

    let opaque = provider.mint(json!({"account": "bob", "resource": "https://opaque.test/mcp"}));
    let introspect = || provider.form("/token/introspection", "service", &format!("token={opaque}")).json();
    assert_eq!(introspect()["sub"], "bob");
    assert_eq!(introspect()["groups"], json!(["support"]));
    provider.forget("bob");
    assert_eq!(introspect()["active"], false);
    assert_eq!(provider.requests("/token/introspection"), 3);

    let before = kids(&provider);
    provider.rotate(1);
    let after = kids(&provider);
    assert!(before.iter().all(|kid| after.contains(kid)) && after.len() == 2 * before.len());
    provider.down(true);
    let down = Request::new("GET").send(&Endpoint::parse(&format!("{}/jwks", provider.issuer())));
    assert_eq!(down.status, 503);
    provider.restart();
    assert_eq!(kids(&provider), after, "keys outlive a restart");
}
