//! Callers whose proof is good, and who would like to be taken for more than it says, or for somebody of the same name.

use crate::attack::{Fate, attack, run};
use crate::stage::{ALICE, ALL, RESOURCE, Stage, by, call, keys, plain, wait_for_lists};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};
use weir_tests::{Legacy, Provider, Request, Speak};

/// A token that an issuer made for these claims.
fn token(issuer: &Provider, changes: &Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let mut claims = json!({
        "iss": issuer.issuer(), "aud": RESOURCE, "sub": "mallory", "client_id": "desktop", "iat": now, "exp": now + 600,
    });
    for (name, value) in changes.as_object().expect("an object") {
        claims[name] = value.clone();
    }
    issuer.sign(json!({"claims": claims}))
}

fn auth(own: &Provider, other: &Provider) -> Value {
    let issuer = |provider: &Provider| {
        let claims = json!({"roles": "realm_access.roles"});
        json!({"issuer": provider.issuer(), "private": true, "claims": claims})
    };
    json!({"resource": RESOURCE, "issuers": [issuer(own), issuer(other)], "api_keys": keys()})
}

fn policies(own: &Provider) -> String {
    format!(
        r#"
        permit(principal, action, resource) when {{ principal.groups.contains("developers") }};
        permit(principal in Group::"admins", action, resource);
        permit(principal, action, resource) when {{ principal has email && principal.email == "root@example.com" }};
        permit(principal, action, resource) when {{ principal.iss == "{issuer}" && principal.sub == "root" }};
        permit(principal == Client::"{issuer}#chief", action, resource);
        permit(principal, action, resource) when {{ principal.roles.contains("author") }};
        permit(principal, action, resource) when {{ principal has client && principal.client == "service" }};
        permit(principal, action, resource) when {{ principal.claims has tier && principal.claims.tier == "gold" }};
        permit(principal, action, resource == Tool::"third") when {{ principal.scopes.contains("mcp:write") }};
        "#,
        issuer = own.issuer(),
    )
}

#[test]
fn nobody_is_more_than_the_proof_says() {
    let (own, other) = (Provider::start(), Provider::start());
    let stage = Stage::new(plain(json!({
        "auth": auth(&own, &other),
        "policies": {"inline": policies(&own), "claims": {"tier": "string"}},
    })));
    let to = stage.weir.endpoint();
    wait_for_lists(&to, ALICE);
    let named =
        |issuer: &Provider, claims: &Value, tool: &str| by(&token(issuer, claims), call(tool, json!({})));
    let passes = [
        json!({"groups": ["developers"]}),
        json!({"groups": ["x", "admins"]}),
        json!({"email": "root@example.com"}),
        json!({"sub": "root"}),
        json!({"sub": "chief"}),
        json!({"realm_access": {"roles": ["author"]}}),
        json!({"client_id": "service"}),
        json!({"tier": "gold"}),
    ];
    let mut cases = Vec::new();
    for claims in &passes {
        cases.push(attack(format!("{claims}"), &to, named(&own, claims, "secret"), Fate::Passes));
    }
    let fails = [
        json!({}),
        json!({"groups": ["Developers"]}),
        json!({"groups": ["DEVELOPERS"]}),
        json!({"groups": ["developers "]}),
        json!({"groups": [" developers"]}),
        json!({"groups": ["developers\u{0}"]}),
        json!({"groups": ["develop\u{435}rs"]}),
        json!({"groups": ["developers\u{200b}"]}),
        json!({"groups": ["\u{fb01}developers", "developer", "developerss", "/developers", "developers,admins", "*"]}),
        json!({"groups": "developers,admins"}),
        json!({"groups": "x developers"}),
        json!({"groups": [["developers"]]}),
        json!({"groups": [{"name": "developers"}]}),
        json!({"groups": {"developers": true}}),
        json!({"groups": true}),
        json!({"group": ["developers"]}),
        json!({"Groups": ["developers"]}),
        json!({"groups ": ["developers"]}),
        json!({"cognito:groups": ["developers"]}),
        json!({"claims": {"groups": ["developers"]}}),
        json!({"groups.0": "developers"}),
        json!({"roles": ["developers"], "scope": "developers admins", "name": "developers"}),
        json!({"groups": ["Group::\"admins\"", "\"admins\"", "admins\" || true || \"", "x\"}; permit(principal, action, resource);"]}),
        json!({"email": "ROOT@example.com"}),
        json!({"email": "root@example.com "}),
        json!({"email": "root@example.com", "email_verified": false}),
        json!({"email": ["root@example.com"]}),
        json!({"preferred_username": "root", "username": "root", "upn": "root@example.com"}),
        json!({"sub": "Root"}),
        json!({"sub": "root "}),
        json!({"sub": "chief#"}),
        json!({"sub": format!("{}#chief", own.issuer())}),
        json!({"sub": "alice"}),
        json!({"roles": ["author"], "realm_access.roles": [["author"]]}),
        json!({"azp": "service", "client_id": "desktop"}),
        json!({"tier": "Gold"}),
        json!({"tier": ["gold"]}),
        json!({"tier": {"gold": true}}),
        json!({"claims": {"tier": "gold"}}),
        json!({"iss2": own.issuer(), "sub2": "root"}),
    ];
    for claims in &fails {
        let short: String = claims.to_string().chars().take(80).collect();
        cases.push(attack(short, &to, named(&own, claims, "secret"), Fate::Unknown));
    }
    for sub in ["root", "chief"] {
        let claims = json!({"sub": sub});
        cases.push(attack(
            format!("{sub} of another issuer"),
            &to,
            named(&other, &claims, "secret"),
            Fate::Unknown,
        ));
    }
    // What scopes would cure is said, and nothing else is.
    for scope in [
        json!(""),
        json!("mcp:read"),
        json!("mcp:write2"),
        json!("MCP:WRITE"),
        json!("mcp"),
        json!("mcp:*"),
        json!("*"),
    ] {
        let claims = json!({"scope": scope});
        cases.push(attack(
            format!("the scope {scope}"),
            &to,
            named(&own, &claims, "third"),
            Fate::Scopes("mcp:write"),
        ));
    }
    let written = json!({"scope": "mcp:write"});
    cases.push(attack("the scope that is needed", &to, named(&own, &written, "third"), Fate::Passes));
    cases.push(attack("that scope for another tool", &to, named(&own, &written, "secret"), Fate::Unknown));
    run(&stage, &cases, 48);
}

#[test]
fn namesakes_are_strangers() {
    let (own, other) = (Provider::start(), Provider::start());
    let stage = Stage::new(plain(json!({
        "auth": auth(&own, &other), "policies": {"inline": ALL}, "page_size": 2,
    })));
    let to = stage.weir.endpoint();
    wait_for_lists(&to, ALICE);
    let alice = json!({"sub": "alice"});
    let (mine, theirs) = (token(&own, &alice), token(&other, &alice));
    let session = Legacy::new(to.bearing(&mine));
    let post = |method: &str, params: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        session.within(Request::post(body.to_string()))
    };
    let open = || post("tools/call", json!({"name": "open", "arguments": {}}));
    let cursor = session.ask("tools/list", json!({})).result()["nextCursor"].clone();
    let mut cases = vec![attack("the owner", &to, by(&mine, open()), Fate::Passes)];
    // Another token of the same person is as good.
    let again = token(&own, &json!({"sub": "alice", "jti": "2", "scope": "mcp"}));
    cases.push(attack("the owner with another token", &to, by(&again, open()), Fate::Passes));
    let elsewhere = Legacy::new(to.bearing(&theirs));
    let paging = || {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {"cursor": cursor}});
        elsewhere.within(Request::post(body.to_string()))
    };
    for (who, bearer) in [("alice of another issuer", &*theirs), ("the key called alice", ALICE)] {
        let gone = Fate::Refused(404, None);
        cases.push(attack(format!("{who}, calling"), &to, by(bearer, open()), gone.clone()));
        let stream = session.within(Request::new("GET").header("accept", "text/event-stream"));
        cases.push(attack(format!("{who}, listening"), &to, by(bearer, stream), gone.clone()));
        let end = session.within(Request::new("DELETE"));
        cases.push(attack(format!("{who}, ending"), &to, by(bearer, end), gone));
    }
    cases.push(attack("alice of another issuer, paging", &to, by(&theirs, paging()), Fate::Failed));
    run(&stage, &cases, 7);
}
