//! Users connect a backend: a real OpenID provider, a protected server (another weir), and a browser for each user.

mod admission;
mod attacks;
mod lasting;
mod store;

use serde_json::{Value, json};
use weir_tests::http::Events;
use weir_tests::{
    Answer, Browser, Endpoint, Legacy, Modern, Provider, Request, Speak, Weir, peers, wait, weir,
};

/// The canonical URI of the endpoint before users.
const RESOURCE: &str = "https://weir.test/mcp";
/// What a client declares whose user can be shown pages.
const PAGES: &str = r#"{"elicitation":{"url":{}}}"#;
/// The error that wants a page visited first.
const VISIT: i64 = -32042;

/// A weir whose users connect another one, both by the same provider.
pub(crate) struct Bench {
    pub(crate) provider: Provider,
    /// The protected server.
    pub(crate) inner: Weir,
    pub(crate) outer: Weir,
}

/// What the provider knows of weir's pages, and how long its tokens live.
pub(crate) fn provider(more: Value) -> Provider {
    let mut settings = more;
    settings["clients"] = json!([{
        "client_id": "pages",
        "application_type": "native",
        "redirect_uris": ["http://127.0.0.1/connect/-/login"],
        "grant_types": ["authorization_code"],
    }]);
    Provider::with(settings)
}

/// A server that wants a token of its own.
pub(crate) fn protected(provider: &Provider) -> Weir {
    let port = peers::free_port();
    let issuer = json!({"issuer": provider.issuer(), "private": true, "leeway": "0s", "scopes": ["mcp"]});
    let endpoint = json!({
        "conflicts": "none",
        "auth": {"resource": format!("http://127.0.0.1:{port}/mcp"), "issuers": [issuer]},
        "policies": {"inline": "permit(principal, action, resource);"},
    });
    let echo = peers::fixture("echo.py", &["legacy", "modern"]);
    let mut config = weir::config(json!({"echo": echo}), endpoint);
    config["listener"]["address"] = json!(format!("127.0.0.1:{port}"));
    Weir::serve(config)
}

/// A configuration before `inner`; `oauth` has more of what stands in its `auth.oauth`.
pub(crate) fn config(provider: &Provider, inner: &Weir, mut oauth: Value) -> Value {
    oauth["private"] = json!(true);
    if oauth["lists"].is_null() {
        oauth["lists"] = json!("granted");
    }
    let issuer = json!({"issuer": provider.issuer(), "private": true, "leeway": "0s"});
    let login = json!({"client_id": "pages", "client_secret": Provider::secret("pages")});
    let endpoint = json!({
        "conflicts": "none",
        "auth": {"resource": RESOURCE, "issuers": [issuer], "login": login},
        "policies": {"inline": "permit(principal, action, resource);"},
    });
    weir::config(json!({"inner": {"url": inner.url(), "auth": {"oauth": oauth}}}), endpoint)
}

impl Bench {
    pub(crate) fn start() -> Self {
        Self::with(json!({}), json!({}))
    }

    pub(crate) fn with(settings: Value, oauth: Value) -> Self {
        let provider = provider(settings);
        let inner = protected(&provider);
        let outer = Weir::serve(config(&provider, &inner, oauth));
        Self { provider, inner, outer }
    }

    /// The endpoint as this account knows it.
    pub(crate) fn endpoint(&self, account: &str) -> Endpoint {
        self.outer.endpoint().bearing(&self.provider.token(account, RESOURCE))
    }

    /// A client of this account that can show pages.
    pub(crate) fn modern(&self, account: &str) -> Modern {
        let capabilities = serde_json::from_str(PAGES).expect("capabilities");
        Modern::with_capabilities(self.endpoint(account), capabilities)
    }

    /// A browser whose user is this account.
    pub(crate) fn browser(&self, account: &str) -> Browser {
        Browser::of(self.provider.issuer(), account)
    }

    /// The page of the endpoint.
    pub(crate) fn page(&self) -> String {
        self.outer.endpoint().at("/connect/main").url()
    }

    /// Connects the backend as a user would who goes to the page by themselves.
    pub(crate) fn connect(&self, account: &str) -> Browser {
        let mut browser = self.browser(account);
        let asked = browser.open(&format!("{}?backend=inner", self.page()));
        let done = browser.send(&asked, "consent");
        assert!(done.text().contains("inner is connected"), "{}: {}", done.url, done.text());
        browser
    }

    /// Waits until lists are there, which somebody's grant is needed for.
    pub(crate) fn listed(&self, account: &str) {
        let client = self.modern(account);
        wait::until("tools are listed", || {
            let tools = client.ask("tools/list", json!({})).result()["tools"].as_array().map_or(0, Vec::len);
            (tools > 0).then_some(())
        });
    }
}

pub(crate) fn call(client: &impl Speak) -> Answer {
    client.ask("tools/call", json!({"name": "params", "arguments": {"x": 1}}))
}

/// Whether a call reached the server.
pub(crate) fn arrived(answer: &Answer) -> bool {
    answer.message["result"]["content"][0]["text"].as_str().is_some_and(|text| text.contains("\"x\":1"))
}

/// The page that a modern call wants visited, and the state to come back with.
pub(crate) fn wanted(answer: &Answer) -> (String, String) {
    let result = answer.result();
    assert_eq!(result["resultType"], "input_required", "{result}");
    let requests = result["inputRequests"].as_object().expect("requests");
    let params = &requests.values().next().expect("a request")["params"];
    assert_eq!(params["mode"], "url");
    assert!(params["elicitationId"].is_null(), "this revision has no such thing");
    let url = params["url"].as_str().expect("a URL").to_owned();
    (url, result["requestState"].as_str().expect("a state").to_owned())
}

#[test]
fn a_user_of_either_era_connects_and_calls() {
    let bench = Bench::start();
    // Nobody has connected it: there is nothing to be seen, and nothing to be called.
    assert_eq!(bench.modern("alice").ask("tools/list", json!({})).result()["tools"], json!([]));
    bench.connect("alice");
    bench.listed("alice");
    assert!(arrived(&call(&bench.modern("alice"))));
    let legacy = Legacy::new(bench.endpoint("alice"));
    assert!(arrived(&call(&legacy)));

    // What is listed now is listed for everybody; a call of somebody else wants a grant of their own.
    let bob = bench.modern("bob");
    let (url, state) = wanted(&call(&bob));
    assert!(url.starts_with(&bench.page()) && !url.contains("bob") && !url.contains("alice"), "{url}");
    let mut browser = bench.browser("bob");
    let asked = browser.open(&url);
    let text = asked.text();
    // It says whose it is, and all that it serves.
    let everywhere = "every endpoint of this weir that has the backend";
    for shown in [bench.provider.issuer(), "mcp", "bob", "inner", "for its lists", everywhere, "Continue"] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    let headers = |name: &str| asked.response.header(name).unwrap_or_default().to_owned();
    assert!(headers("content-security-policy").contains("frame-ancestors 'none'"));
    assert_eq!((&*headers("cache-control"), &*headers("x-frame-options")), ("no-store", "DENY"));
    assert!(text.contains("<h1>") && !text.contains("<script") && !text.contains("src="));
    let done = browser.send(&asked, "consent");
    assert!(done.text().contains("inner is connected") && !done.url.contains("code="), "{done:?}");
    // The same request again, with what was asked for.
    let responses = json!({"url-1": {"action": "accept"}});
    let params =
        json!({"name": "params", "arguments": {"x": 1}, "inputResponses": responses, "requestState": state});
    assert!(arrived(&bob.ask("tools/call", params)));
}

#[test]
fn a_legacy_client_is_told_when_its_user_is_done() {
    let bench = Bench::start();
    bench.connect("alice");
    bench.listed("alice");
    let capabilities = serde_json::from_str(PAGES).expect("capabilities");
    let bob = Legacy::open(bench.endpoint("bob"), "2025-11-25", capabilities);
    let mut stream: Events<_> = bob.listen();
    let answer = call(&bob);
    let error = &answer.message["error"];
    assert_eq!(error["code"], VISIT, "{answer:?}");
    let visit = &error["data"]["elicitations"][0];
    let url = visit["url"].as_str().expect("a URL");
    let mut browser = bench.browser("bob");
    let asked = browser.open(url);
    browser.send(&asked, "consent");
    let told = loop {
        let message = stream.message();
        if message["method"] == "notifications/elicitation/complete" {
            break message;
        }
    };
    assert_eq!(told["params"]["elicitationId"], visit["elicitationId"]);
    assert!(arrived(&call(&bob)));
}

#[test]
fn who_cannot_show_pages_is_told_the_address() {
    let bench = Bench::start();
    bench.connect("alice");
    bench.listed("alice");
    let clients: [Box<dyn Fn() -> Answer>; 2] = [
        Box::new(|| call(&Modern::new(bench.endpoint("bob")))),
        Box::new(|| call(&Legacy::new(bench.endpoint("bob")))),
    ];
    for client in clients {
        let answer = client();
        let result = answer.result();
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert_eq!(result["isError"], true);
        let url = text.split_whitespace().find(|word| word.starts_with("http://")).expect("a URL");
        let url = url.trim_end_matches(',');
        let mut browser = bench.browser("bob");
        assert!(browser.open(url).field("consent").is_some(), "{text}");
    }
}

#[test]
fn who_is_nobody_is_everybody_on_this_machine() {
    let provider = provider(json!({}));
    let inner = protected(&provider);
    let oauth = json!({"private": true, "lists": "granted"});
    let backends = json!({"inner": {"url": inner.url(), "auth": {"oauth": oauth}}});
    let outer = Weir::over(backends);
    let mut browser = Browser::of(provider.issuer(), "alice");
    let asked = browser.open(&outer.endpoint().at("/connect").url());
    assert!(asked.url.ends_with("/connect/main"), "the only endpoint: {}", asked.url);
    let asked = browser.open(&outer.endpoint().at("/connect/main?backend=inner").url());
    let done = browser.send(&asked, "consent");
    assert!(done.text().contains("inner is connected"), "{}", done.text());
    let client = Modern::new(outer.endpoint());
    wait::until("tools are listed", || {
        let tools = client.ask("tools/list", json!({})).result()["tools"].as_array().map_or(0, Vec::len);
        (tools > 0).then_some(())
    });
    assert!(arrived(&call(&client)));
    assert_eq!(provider.requests("/reg"), 1);
}

#[test]
fn behind_a_public_address_weir_is_known_by_it() {
    let provider = provider(json!({}));
    let inner = protected(&provider);
    let mut config = config(&provider, &inner, json!({}));
    config["listener"]["public_url"] = json!("https://weir.test");
    let outer = Weir::serve(config);
    let get = |path: &str| Request::new("GET").header("host", "weir.test").send(&outer.endpoint().at(path));
    // Of every name, so that nobody learns which backends there are.
    for name in ["inner", "unknown"] {
        let document = get(&format!("/connect/-/client/{name}.json")).json();
        assert_eq!(document["client_id"], json!(format!("https://weir.test/connect/-/client/{name}.json")));
        assert_eq!(
            document["redirect_uris"],
            json!([format!("https://weir.test/connect/-/callback/{name}")])
        );
    }
    let first = get("/connect/main");
    let location = first.header("location").unwrap_or_default();
    assert!(first.status == 303 && location.starts_with(provider.issuer()), "{} {location}", first.status);
    assert!(location.contains("redirect_uri=https%3A%2F%2Fweir.test%2Fconnect%2F-%2Flogin"), "{location}");
    let cookie = first.header("set-cookie").unwrap_or_default();
    assert!(cookie.starts_with("__Host-weir-connect="), "{cookie}");
    for attribute in ["; Secure", "; HttpOnly", "; SameSite=Lax", "; Path=/;"] {
        assert!(cookie.contains(attribute), "{attribute}: {cookie}");
    }
    // What a request says of hosts leads nobody elsewhere.
    let lured = Request::new("GET")
        .header("host", "weir.test")
        .header("x-forwarded-host", "evil.test")
        .header("forwarded", "host=evil.test")
        .send(&outer.endpoint().at("/connect/main"));
    assert!(!lured.header("location").unwrap_or_default().contains("evil.test"));
    let strange = Request::new("GET").header("host", "evil.test").send(&outer.endpoint().at("/connect/main"));
    assert_eq!(strange.status, 403);
}
