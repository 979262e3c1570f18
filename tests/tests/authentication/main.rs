//! Who calls: an endpoint that asks, a real OpenID provider that answers, and everybody who tries to be somebody else.

mod admission;
mod belongings;
mod certificates;
mod endings;
mod issuer;
mod metadata;
mod taken_back;
mod transports;

use serde_json::{Value, json};
use weir_tests::{Endpoint, Provider, Request, Response, Weir, peers, weir};

/// The canonical URI of the endpoint of most tests here.
pub(crate) const RESOURCE: &str = "https://weir.test/mcp";

/// Who is known may do everything.
pub(crate) const EVERYTHING: &str = "permit(principal, action, resource);";

/// An endpoint that takes the tokens of a provider.
pub(crate) struct Bench {
    pub(crate) provider: Provider,
    pub(crate) weir: Weir,
}

impl Bench {
    /// An endpoint over the server that shows what reaches it.
    pub(crate) fn start() -> Self {
        Self::over(Provider::start(), json!({"echo": echo()}), json!({}))
    }

    /// An endpoint over these backends; `issuer` has more of what stands in `auth.issuers`.
    pub(crate) fn over(provider: Provider, backends: Value, issuer: Value) -> Self {
        let weir = Weir::serve(config(backends, auth(&provider, issuer)));
        Self { provider, weir }
    }

    /// The endpoint as this account knows it.
    pub(crate) fn endpoint(&self, account: &str) -> Endpoint {
        self.weir.endpoint().bearing(&self.provider.token(account, RESOURCE))
    }

    /// The endpoint as this account knows it for so many seconds.
    pub(crate) fn endpoint_for(&self, account: &str, seconds: u64) -> Endpoint {
        let request = json!({"account": account, "resource": RESOURCE, "ttl": seconds});
        self.weir.endpoint().bearing(&self.provider.mint(request))
    }
}

/// What stands in `auth` for the tokens of a provider.
pub(crate) fn auth(provider: &Provider, mut issuer: Value) -> Value {
    issuer["issuer"] = json!(provider.issuer());
    issuer["private"] = json!(true);
    // Tests have no time for clocks that differ.
    issuer["leeway"] = json!("0s");
    json!({"resource": RESOURCE, "issuers": [issuer]})
}

/// A configuration whose one endpoint asks who calls.
pub(crate) fn config(backends: Value, auth: Value) -> Value {
    let policies = json!({"inline": EVERYTHING});
    weir::config(backends, json!({"conflicts": "none", "auth": auth, "policies": policies}))
}

/// The server that shows what reaches it, in both eras.
pub(crate) fn echo() -> Value {
    peers::fixture("echo.py", &["legacy", "modern"])
}

/// A request that nobody may make without showing who he is.
pub(crate) fn ping() -> Request {
    Request::post(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)
}

/// What an answer says about logging in.
pub(crate) fn challenge(response: &Response) -> &str {
    response.header("www-authenticate").unwrap_or_default()
}
