//! What backends are shown: credentials of weir's own and of each caller, made by a real OpenID provider, and everybody who
//! tries to get what is not theirs.

mod assertion;
mod callers;
mod guard;
mod headers;
mod own;
mod rebinding;

use serde_json::{Value, json};
use weir_tests::{Endpoint, Legacy, Modern, Protected, Provider, Speak, Weir, weir};

/// The canonical URI of the endpoint where callers log in.
pub(crate) const RESOURCE: &str = "https://weir.test/mcp";

/// The secret by which the provider knows weir as the client `service`.
pub(crate) fn secret() -> String {
    Provider::secret("service")
}

/// The provider, where weir is the client `service`.
pub(crate) fn server(provider: &Provider) -> Value {
    json!({
        "issuer": provider.issuer(), "client_id": "service", "client_secret": secret(), "private": true,
    })
}

/// Credentials of weir's own.
pub(crate) fn own(provider: &Provider) -> Value {
    json!({"client_credentials": {"server": server(provider), "scopes": ["mcp"]}})
}

/// weir over one backend, and everything that it logs.
pub(crate) fn over(backend: &Protected, auth: &Value) -> Weir {
    let backends = json!({"guarded": {"url": backend.url(), "auth": auth}});
    Weir::serve_with(weir::config(backends, json!({"conflicts": "none"})), &["--log", "debug"])
}

/// The same, at an endpoint where callers log in by the same provider.
pub(crate) fn over_for_callers(provider: &Provider, backend: &Protected, auth: &Value) -> Weir {
    let issuer = json!({"issuer": provider.issuer(), "private": true, "leeway": "0s"});
    let backends = json!({"guarded": {"url": backend.url(), "auth": auth}});
    let endpoint = json!({
        "conflicts": "none",
        "auth": {"resource": RESOURCE, "issuers": [issuer]},
        "policies": {"inline": "permit(principal, action, resource);"},
    });
    Weir::serve_with(weir::config(backends, endpoint), &["--log", "debug"])
}

/// A client of each era.
pub(crate) fn clients(endpoint: &Endpoint) -> [Box<dyn Speak>; 2] {
    [Box::new(Modern::new(endpoint.clone())), Box::new(Legacy::new(endpoint.clone()))]
}

/// Whom the backend takes a client for.
pub(crate) fn whoami(client: &dyn Speak) -> String {
    let answer = client.call("whoami", json!({}));
    answer.text().split(' ').next().unwrap_or_default().to_owned()
}

/// What a call that fails is told.
pub(crate) fn complaint(client: &dyn Speak) -> String {
    let message = client.call("whoami", json!({})).message;
    let told = message["error"]["message"].as_str();
    told.unwrap_or_else(|| panic!("an error, not {message}")).to_owned()
}

/// Neither the log nor anything else of weir's shows a secret.
pub(crate) fn keeps_quiet(weir: &Weir, secrets: impl IntoIterator<Item = String>) {
    let log = weir.log();
    assert!(log.contains("guarded"), "there is a log: {log}");
    for secret in secrets {
        assert!(!log.contains(&secret), "the log shows {secret}: {log}");
    }
}
