//! The way in: who shows nothing, too much, or what is not good.

use crate::{Bench, EVERYTHING, RESOURCE, auth, challenge, config, echo, ping};
use serde_json::{Value, json};
use weir_tests::table::judge;
use weir_tests::{Legacy, Modern, Provider, Request, Speak, Weir, legacy, modern, weir};

const METADATA: &str =
    r#"resource_metadata="https://weir.test/.well-known/oauth-protected-resource/mcp", scope="mcp""#;

/// One request of every kind that an endpoint takes, as if whoever sends it were known.
fn every_kind() -> Vec<(&'static str, &'static str, Request)> {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let batch = format!("[{message}]");
    let session = |request: Request| request.header("mcp-session-id", &"0".repeat(32));
    let stream = || Request::new("GET").header("accept", "text/event-stream");
    vec![
        ("modern", "/mcp", modern::post(message, "tools/list", None)),
        ("listen", "/mcp", modern::post(message, "subscriptions/listen", None)),
        ("initialize", "/mcp", legacy::initialize(legacy::REVISION, json!({}))),
        ("legacy", "/mcp", session(Request::post(message))),
        ("batch", "/mcp", session(Request::post(&batch))),
        ("notification", "/mcp", Request::post(r#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#)),
        ("no JSON", "/mcp", Request::post("nonsense")),
        ("stream", "/mcp", session(stream())),
        ("resumption", "/mcp", session(stream()).header("last-event-id", "1-1")),
        ("end", "/mcp", session(Request::new("DELETE"))),
        ("another method", "/mcp", Request::new("PUT")),
        ("HTTP+SSE", "/mcp/sse", stream()),
        ("its messages", "/mcp/messages?sessionId=00000000000000000000000000000000", Request::post(message)),
    ]
}

#[test]
fn who_shows_nothing_is_told_how_to_log_in_whatever_he_wants() {
    let bench = Bench::over(Provider::start(), json!({"echo": echo()}), json!({"scopes": ["mcp"]}));
    judge(&every_kind(), |(name, path, request)| {
        let answer = request.send(&bench.weir.endpoint().at(path));
        let told = challenge(&answer).to_owned();
        let right = answer.status == 401 && told == format!("Bearer {METADATA}");
        let complaint = format!("{name}: {} {told} {}", answer.status, answer.text());
        if right { vec![] } else { vec![complaint] }
    });
    // With a token the same requests get further.
    judge(&every_kind(), |(name, path, request)| {
        let answer = request.open(&bench.endpoint("alice").at(path));
        let right = !matches!(answer.status, 401 | 403) && answer.header("www-authenticate").is_none();
        if right { vec![] } else { vec![format!("{name}: {}", answer.status)] }
    });
}

#[test]
fn the_body_of_a_stranger_is_not_waited_for() {
    let bench = Bench::start();
    let endless = Request::post("").header("content-length", "100000");
    assert_eq!(endless.send(&bench.weir.endpoint()).status, 401);
}

/// A credential that is not good, and what its bearer is told.
struct Attempt {
    name: &'static str,
    headers: Vec<(&'static str, String)>,
    path: &'static str,
    status: u16,
    told: &'static str,
}

fn attempt(name: &'static str, token: &str, status: u16, told: &'static str) -> Attempt {
    let headers = vec![("authorization", format!("Bearer {token}"))];
    Attempt { name, headers, path: "/mcp", status, told }
}

fn seconds_from_now(seconds: i64) -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("a time");
    i64::try_from(now.as_secs()).expect("it fits") + seconds
}

/// Claims that are good, with changes; `null` takes a claim out.
fn claims(provider: &Provider, changes: Value) -> Value {
    let mut claims = json!({
        "iss": provider.issuer(), "aud": RESOURCE, "sub": "alice", "scope": "mcp", "client_id": "desktop",
        "iat": seconds_from_now(-1), "exp": seconds_from_now(600),
    });
    for (name, value) in changes.as_object().expect("changes are an object") {
        claims[name] = value.clone();
    }
    claims.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
    claims
}

fn attempts(provider: &Provider) -> Vec<Attempt> {
    let signed = |changes: Value| provider.sign(json!({"claims": claims(provider, changes)}));
    let headed =
        |header: Value| provider.sign(json!({"claims": claims(provider, json!({})), "header": header}));
    let good = provider.token("alice", RESOURCE);
    let (head, rest) = good.split_once('.').expect("three parts");
    let (payload, signature) = rest.split_once('.').expect("three parts");
    let none = "eyJhbGciOiJub25lIn0";
    let mut all = vec![
        attempt("garbage", "garbage", 401, "invalid_token"),
        attempt("expired", &signed(json!({"exp": seconds_from_now(-1)})), 401, "invalid_token"),
        attempt("no expiry", &signed(json!({"exp": null})), 401, "invalid_token"),
        attempt("not yet", &signed(json!({"nbf": seconds_from_now(600)})), 401, "invalid_token"),
        attempt("for another", &signed(json!({"aud": "https://other.test/mcp"})), 401, "invalid_token"),
        attempt("for nobody", &signed(json!({"aud": null})), 401, "invalid_token"),
        attempt("for a neighbour", &signed(json!({"aud": "https://weir.test/mcp2"})), 401, "invalid_token"),
        attempt("of another issuer", &signed(json!({"iss": "https://evil.test"})), 401, "invalid_token"),
        attempt("of no issuer", &signed(json!({"iss": null})), 401, "invalid_token"),
        attempt("of nobody", &signed(json!({"sub": null, "client_id": null})), 401, "invalid_token"),
        attempt("without the scope", &signed(json!({"scope": "other"})), 403, "insufficient_scope"),
        attempt("unsigned", &format!("{none}.{payload}."), 401, "invalid_token"),
        attempt("another head", &format!("{none}.{payload}.{signature}"), 401, "invalid_token"),
        attempt("no signature", &format!("{head}.{payload}."), 401, "invalid_token"),
        attempt("four parts", &format!("{good}.x"), 401, "invalid_token"),
        attempt("cut", &good[..good.len() - 2], 401, "invalid_token"),
        attempt(
            "a key of another",
            &provider.sign(json!({"claims": claims(provider, json!({})), "generation": -1})),
            401,
            "invalid_token",
        ),
        attempt("a path as key", &headed(json!({"kid": "../../../../etc/passwd"})), 401, "invalid_token"),
        attempt("a URL as key", &headed(json!({"kid": "http://127.0.0.1:1/key"})), 401, "invalid_token"),
        attempt("a query as key", &headed(json!({"kid": "' OR 1=1 --"})), 401, "invalid_token"),
        attempt(
            "what must be understood",
            &headed(json!({"crit": ["b64"], "b64": true})),
            401,
            "invalid_token",
        ),
        attempt("huge", &format!("{head}.{}.{signature}", "A".repeat(20_000)), 401, "invalid_token"),
    ];
    let header = |name, headers, status, told| Attempt { name, headers, path: "/mcp", status, told };
    let bearer = || ("authorization", format!("Bearer {good}"));
    all.extend([
        header("two tokens", vec![bearer(), bearer()], 400, "invalid_request"),
        header(
            "two keys",
            vec![("x-api-key", "a".into()), ("x-api-key", "b".into())],
            400,
            "invalid_request",
        ),
        header(
            "a password",
            vec![("authorization", "Basic YWxpY2U6cGFzcw==".into())],
            401,
            "resource_metadata",
        ),
        header("no word before it", vec![("authorization", good.clone())], 401, "resource_metadata"),
        header("a cookie", vec![("cookie", format!("access_token={good}"))], 401, "resource_metadata"),
    ]);
    for path in ["/mcp?access_token=x", "/mcp?a=b&access%5Ftoken=x", "/mcp/sse?access_token=x"] {
        all.push(Attempt {
            name: "a token in the query",
            headers: vec![bearer()],
            path,
            status: 400,
            told: "invalid_request",
        });
    }
    all
}

#[test]
fn what_is_not_good_lets_nobody_in() {
    let bench = Bench::over(Provider::start(), json!({"echo": echo()}), json!({"scopes": ["mcp"]}));
    let attempts = attempts(&bench.provider);
    judge(&attempts, |Attempt { name, headers, path, status, told }| {
        let get = path.contains("sse");
        let plain = if get { Request::new("GET").header("accept", "text/event-stream") } else { ping() };
        let request = headers.iter().fold(plain, |request, (name, value)| request.header(name, value));
        let answer = request.send(&bench.weir.endpoint().at(path));
        let mut complaints = Vec::new();
        if answer.status != *status || !challenge(&answer).contains(told) {
            complaints.push(format!("{name}: {} {} {}", answer.status, challenge(&answer), answer.text()));
        }
        // What a caller brought is not repeated, nor is he told what was wrong with it.
        for (_, value) in headers.iter().filter(|(_, value)| value.len() > 20) {
            if answer.text().contains(&**value) {
                complaints.push(format!("{name}: the credential is repeated"));
            }
        }
        complaints
    });
    let log = bench.weir.log();
    for Attempt { name, headers, .. } in &attempts {
        for (_, value) in headers.iter().filter(|(_, value)| value.len() > 40) {
            let secret = value.rsplit(['.', ' ', '=']).next().unwrap_or_default();
            assert!(secret.len() < 20 || !log.contains(secret), "{name}: the log holds the credential");
        }
    }
    // The same bench lets in who brings what is good.
    assert_eq!(Modern::new(bench.endpoint("alice")).tool_names().len(), 5);
}

#[test]
fn browsers_hear_how_to_log_in_and_ask_before_they_do() {
    let bench = Bench::start();
    let origin = "http://localhost:6274";
    let preflight = Request::new("OPTIONS")
        .header("origin", origin)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization, x-api-key")
        .send(&bench.weir.endpoint());
    assert_eq!(preflight.status, 204);
    let allowed = preflight.header("access-control-allow-headers").unwrap_or_default().to_owned();
    assert!(allowed.contains("authorization") && allowed.contains("x-api-key"), "{allowed}");
    let refused = ping().header("origin", origin).send(&bench.weir.endpoint());
    assert_eq!((refused.status, refused.header("access-control-allow-origin")), (401, Some(origin)));
    let exposed = refused.header("access-control-expose-headers").unwrap_or_default();
    assert!(exposed.contains("www-authenticate"), "{exposed}");
    // Who may not ask at all is not told how to log in, whatever he brings.
    for (name, value) in [("origin", "https://evil.test"), ("host", "evil.test")] {
        for to in [bench.weir.endpoint(), bench.endpoint("alice")] {
            let refused = ping().header(name, value).send(&to);
            assert_eq!((refused.status, challenge(&refused)), (403, ""), "{name}");
        }
    }
    assert_eq!(ping().send(&bench.weir.endpoint().at("/nowhere")).status, 404);
}

#[test]
fn api_keys_open_the_endpoints_that_know_them() {
    let key = "weir_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    let digest = "d79fed047cf00a79964fae1980921a7824f11e02416f446330e72e9e16f5637f";
    let auth = json!({"api_keys": [{"name": "ci", "sha256": digest, "groups": ["machines"]}]});
    let weir = Weir::serve(config(json!({"echo": echo()}), auth));
    for request in [ping().header("authorization", &format!("Bearer {key}")), ping().header("x-api-key", key)]
    {
        assert_ne!(request.send(&weir.endpoint()).status, 401);
    }
    for request in
        [ping(), ping().header("x-api-key", "weir_wrong"), ping().header("x-api-key", &key.to_uppercase())]
    {
        let refused = request.send(&weir.endpoint());
        // There is nowhere to log in.
        assert_eq!(refused.status, 401);
        assert!(
            challenge(&refused).starts_with("Bearer") && !challenge(&refused).contains("resource_metadata")
        );
    }
    assert_eq!(Legacy::new(weir.endpoint().bearing(key)).tool_names().len(), 5);
}

#[test]
fn an_open_endpoint_beside_a_closed_one_stays_open() {
    let provider = Provider::start();
    let mut config = config(json!({"echo": echo()}), auth(&provider, json!({})));
    config["endpoints"]["open"] = json!({"path": "/open", "backends": ["echo"], "conflicts": "none"});
    config["endpoints"]["main"]["policies"] = json!({"inline": EVERYTHING});
    let weir = Weir::serve(config);
    let open = weir.endpoint().at("/open");
    assert_eq!(Modern::new(open.clone()).tool_names().len(), 5);
    assert_eq!(Modern::new(open.bearing("whatever")).tool_names().len(), 5);
    assert_eq!(ping().send(&weir.endpoint()).status, 401);
    // A session of nobody is nobody's at the other endpoint.
    let nobody = Legacy::new(open);
    let token = provider.token("alice", RESOURCE);
    let borrowed = nobody.within(ping()).send(&weir.endpoint().bearing(&token));
    assert_eq!(borrowed.status, 404);
}

#[test]
fn nobody_serves_everybody_by_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |file: &str, more: &[&str]| {
        let file = weir::write_config(folder.path(), file);
        let path = file.to_str().expect("a path").to_owned();
        let checked = weir::run(&["check", &path]);
        let served = weir::run(&[&["serve", path.as_str()], more].concat());
        (checked.status.success(), served.status.success(), served.stderr)
    };
    let backends = r#"backends: {echo: {command: "true"}}"#;
    let told = "asks nobody who they are";
    let everywhere = format!("listener: {{address: '0.0.0.0:0'}}\n{backends}");
    let (checked, served, stderr) = refused(&everywhere, &[]);
    assert!(!checked && !served && stderr.contains(told) && stderr.contains("`insecure: true`"), "{stderr}");
    // Nor does the command line lead around it.
    let (checked, served, stderr) = refused(backends, &["--address", "0.0.0.0:0"]);
    assert!(checked && !served && stderr.contains(told) && stderr.contains("`insecure: true`"), "{stderr}");
    let demo = weir::run(&["serve", "--address", "0.0.0.0:0"]);
    assert!(!demo.status.success() && demo.stderr.contains(told), "{}", demo.stderr);
    let mut meant =
        weir::config(json!({"echo": echo()}), json!({"conflicts": "none", "auth": {"insecure": true}}));
    meant["listener"] = json!({"address": "0.0.0.0:0", "allowed_hosts": ["127.0.0.1"]});
    let weir = Weir::serve(meant);
    let mut endpoint = weir.endpoint();
    endpoint.address.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    assert_eq!(Modern::new(endpoint).tool_names().len(), 5);
}
