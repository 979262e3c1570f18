//! Credentials of each caller, in exchange for the caller's own token (RFC 8693): nobody gets what another's bought.

use crate::{RESOURCE, clients, keeps_quiet, over_for_callers, own, secret, server, whoami};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Sender, channel};
use weir_tests::protected::{bearer, claims};
use weir_tests::scripted::tool;
use weir_tests::{Legacy, Modern, Protected, Provider, Speak, Weir, scripted, wait, weir};

/// An API key, and what weir knows of it.
const KEY: &str = "weir_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
const KEY_DIGEST: &str = "d79fed047cf00a79964fae1980921a7824f11e02416f446330e72e9e16f5637f";

fn exchange(provider: &Provider) -> Value {
    json!({"token_exchange": {
        "server": server(provider), "scopes": ["api"], "listing": own(provider),
    }})
}

fn login(provider: &Provider, account: &str) -> String {
    provider.token(account, RESOURCE)
}

#[test]
fn each_caller_is_who_they_are() {
    for backend in [Protected::modern(), Protected::legacy()] {
        let provider = Provider::start();
        let weir = over_for_callers(&provider, &backend, &exchange(&provider));
        let tokens = ["alice", "bob", "carol"].map(|account| (account, login(&provider, account)));
        for _ in 0..2 {
            for (account, token) in &tokens {
                for client in clients(&weir.endpoint().bearing(token)) {
                    assert_eq!(client.tool_names(), ["whoami"]);
                    assert_eq!(whoami(&*client), *account);
                }
            }
        }
        for request in backend.received() {
            let shown = bearer(&request).expect("every request brings one");
            let claims = claims(&shown);
            assert!(tokens.iter().all(|(_, own)| *own != shown), "no caller's own token travels on");
            match request.rpc_method().as_str() {
                "tools/call" => assert_eq!(claims["scope"], "api", "{request:?}"),
                "tools/list" => assert_eq!(claims["sub"], "service", "lists are weir's own: {request:?}"),
                _ => {}
            }
        }
        let secrets = backend.shown().into_iter().chain(tokens.map(|(_, token)| token)).chain([secret()]);
        keeps_quiet(&weir, secrets);
    }
}

#[test]
fn upstream_sessions_are_nobody_elses() {
    let provider = Provider::start();
    let backend = Protected::legacy();
    let weir = over_for_callers(&provider, &backend, &exchange(&provider));
    let tokens = ["alice", "bob"].map(|account| login(&provider, account));
    // Modern clients have no session of their own; a backend's session serves many of them.
    for _ in 0..3 {
        for token in &tokens {
            for client in clients(&weir.endpoint().bearing(token)) {
                client.call("whoami", json!({}));
            }
        }
    }
    let mut holders = BTreeMap::<String, BTreeSet<String>>::new();
    for request in backend.received() {
        if let (Some(session), Some(token)) = (request.header("mcp-session-id"), bearer(&request)) {
            let subject = claims(&token)["sub"].as_str().expect("a subject").to_owned();
            holders.entry(session.to_owned()).or_default().insert(subject);
        }
    }
    assert!(holders.len() >= 5, "weir's own, and two of each caller: {holders:?}");
    assert!(holders.values().all(|holders| holders.len() == 1), "{holders:?}");
}

#[test]
fn servers_without_sessions_hear_each_caller_too() {
    let provider = Provider::start();
    let backend = Protected::start(|request, reply| match request.rpc_method().as_str() {
        "" => reply.body(405, "text/plain", ""),
        "server/discover" => reply.body(400, "text/plain", ""),
        "initialize" => reply.result(
            request,
            json!({
                "protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"},
            }),
        ),
        "tools/list" => reply.result(request, json!({"tools": [tool("whoami")]})),
        "tools/call" => {
            let claims = bearer(request).map(|token| claims(&token)).unwrap_or_default();
            reply.result(request, json!({"content": [{"type": "text", "text": claims["sub"]}]}));
        }
        _ => reply.body(202, "text/plain", ""),
    });
    let weir = over_for_callers(&provider, &backend, &exchange(&provider));
    for account in ["alice", "bob", "alice"] {
        for client in clients(&weir.endpoint().bearing(&login(&provider, account))) {
            assert_eq!(whoami(&*client), account);
        }
    }
    for request in backend.received() {
        let shown = bearer(&request).map(|token| claims(&token)["sub"].clone());
        assert!(shown.is_some(), "{request:?}");
    }
}

#[test]
fn what_one_caller_reads_is_not_kept_for_another() {
    let provider = Provider::start();
    let backend = Protected::start(|request, reply| {
        let claims = bearer(request).map(|token| claims(&token)).unwrap_or_default();
        let kept = |mut result: Value| {
            result["resultType"] = json!("complete");
            result["ttlMs"] = json!(600_000);
            result["cacheScope"] = json!("public");
            result
        };
        let uri = "doc:///mine";
        match request.rpc_method().as_str() {
            "resources/list" => {
                reply.result(request, kept(json!({"resources": [{"uri": uri, "name": "mine"}]})));
            }
            "resources/read" => {
                let contents = json!([{"uri": uri, "text": claims["sub"]}]);
                reply.result(request, kept(json!({"contents": contents})));
            }
            "server/discover" => reply.result(request, kept(json!({
                "supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}, "resources": {"subscribe": true}},
            }))),
            _ => scripted::modern(json!([tool("whoami")]), |request, reply| {
                reply.result(request, json!({}));
            })(request, reply),
        }
    });
    let weir = over_for_callers(&provider, &backend, &exchange(&provider));
    for account in ["alice", "bob", "alice", "carol"] {
        let client = Modern::new(weir.endpoint().bearing(&login(&provider, account)));
        let uri = client.list("resources/list", "resources")[0]["uri"].clone();
        let read = client.ask("resources/read", json!({"uri": uri}));
        assert_eq!(read.result()["contents"][0]["text"], account, "though its server calls it public");
    }
    // weir would hear of changes with its own credential, which may see more than the caller's.
    let client = Legacy::new(weir.endpoint().bearing(&login(&provider, "bob")));
    let uri = client.list("resources/list", "resources")[0]["uri"].clone();
    let told = client.ask("resources/subscribe", json!({"uri": uri})).message.to_string();
    assert!(told.contains("does not offer"), "{told}");
    assert!(backend.received().iter().all(|request| !request.text().contains("resourceSubscriptions")));
}

#[test]
fn one_exchange_serves_all_calls_of_a_caller_and_a_refused_token_one_more() {
    let provider = Provider::start();
    let backend = Protected::modern();
    let weir = over_for_callers(&provider, &backend, &exchange(&provider));
    let client = Modern::new(weir.endpoint().bearing(&login(&provider, "alice")));
    let at_once = || {
        std::thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| assert_eq!(whoami(&client), "alice"));
            }
        });
    };
    let before = provider.requests("/token");
    at_once();
    assert_eq!(provider.requests("/token"), before + 1);
    let hers = |token: &String| claims(token)["sub"] == "alice";
    backend.refuse(backend.shown().into_iter().filter(hers));
    at_once();
    assert_eq!(provider.requests("/token"), before + 2);
    // Another token of the same caller is another credential: it may be good for less.
    let again = Modern::new(weir.endpoint().bearing(&login(&provider, "alice")));
    assert_eq!(whoami(&again), "alice");
    assert_eq!(provider.requests("/token"), before + 3);
}

#[test]
fn nothing_else_is_shown_in_place_of_a_callers_credential() {
    let provider = Provider::start();
    let backend = Protected::modern();
    // No token that could be exchanged.
    let auth = json!({
        "resource": RESOURCE,
        "issuers": [{"issuer": provider.issuer(), "private": true}],
        "api_keys": [{"name": "ci", "sha256": KEY_DIGEST}],
    });
    let backends = json!({"guarded": {"url": backend.url(), "auth": exchange(&provider)}});
    let policies = json!({"inline": "permit(principal, action, resource);"});
    let weir =
        Weir::serve(weir::config(backends, json!({"conflicts": "none", "auth": auth, "policies": policies})));
    for client in clients(&weir.endpoint().bearing(KEY)) {
        let told = crate::complaint(&*client);
        assert!(told.contains("this caller brings none: log in with a token"), "{told}");
    }
    let alice = Modern::new(weir.endpoint().bearing(&login(&provider, "alice")));
    provider.down(true);
    let told = crate::complaint(&alice);
    assert!(told.contains("cannot be called now: its authorization server"), "{told}");
    assert_eq!(backend.received_of("tools/call").len(), 0, "the backend hears of no call");
    provider.down(false);
    wait::until_true("calls go through again", || !alice.call("whoami", json!({})).failed());
    assert_eq!(whoami(&alice), "alice");
}

#[test]
fn without_a_listing_credential_weir_asks_with_none() {
    let provider = Provider::start();
    let backend = Protected::modern();
    backend.list_for_all();
    let auth = json!({"token_exchange": {"server": server(&provider)}});
    let weir = over_for_callers(&provider, &backend, &auth);
    let client = Modern::new(weir.endpoint().bearing(&login(&provider, "bob")));
    assert_eq!(client.tool_names(), ["whoami"]);
    assert_eq!(whoami(&client), "bob");
    for request in backend.received() {
        assert_eq!(bearer(&request).is_some(), request.rpc_method() == "tools/call", "{request:?}");
    }
}

/// A protected server of 2024-11-05: one event stream for each session, and answers on it.
fn over_sse() -> Protected {
    let streams: Mutex<BTreeMap<String, Sender<String>>> = Mutex::default();
    Protected::start(move |request, reply| {
        if request.method == "GET" {
            let (sender, events) = channel();
            let path = {
                let mut streams = streams.lock();
                let path = format!("/messages?s={}", streams.len());
                streams.insert(path.clone(), sender);
                path
            };
            reply.open_events();
            reply.raw(format!("event: endpoint\ndata: {path}\n\n"));
            while let Ok(event) = events.recv() {
                if !reply.event(event) {
                    return;
                }
            }
            return;
        }
        let Some(stream) = streams.lock().get(&request.path).cloned() else {
            return reply.body(404, "text/plain", "");
        };
        let result = match request.rpc_method().as_str() {
            "initialize" => json!({
                "protocolVersion": "2024-11-05", "capabilities": {"tools": {}},
                "serverInfo": {"name": "s", "version": "1"},
            }),
            "tools/list" => json!({"tools": [tool("whoami")]}),
            "tools/call" => {
                let claims = bearer(request).map(|token| claims(&token)).unwrap_or_default();
                json!({"content": [{"type": "text", "text": claims["sub"]}]})
            }
            _ => return reply.body(202, "text/plain", ""),
        };
        let answer = json!({"jsonrpc": "2.0", "id": request.json()["id"], "result": result});
        let _ = stream.send(answer.to_string());
        reply.body(202, "text/plain", "");
    })
}

#[test]
fn event_streams_are_nobody_elses() {
    let provider = Provider::start();
    let backend = over_sse();
    let weir = over_for_callers(&provider, &backend, &exchange(&provider));
    for account in ["alice", "bob", "alice", "bob"] {
        for client in clients(&weir.endpoint().bearing(&login(&provider, account))) {
            assert_eq!(whoami(&*client), account);
        }
        let asking = Modern::with_capabilities(
            weir.endpoint().bearing(&login(&provider, account)),
            json!({"elicitation": {}}),
        );
        assert_eq!(whoami(&asking), account, "who can be asked has a stream apart");
    }
    let mut holders = BTreeMap::<String, BTreeSet<String>>::new();
    for request in backend.received().iter().filter(|request| request.path.starts_with("/messages")) {
        let token = bearer(request).expect("every request brings one");
        let subject = claims(&token)["sub"].as_str().expect("a subject").to_owned();
        holders.entry(request.path.clone()).or_default().insert(subject);
    }
    assert!(holders.len() >= 7, "weir's own, and three of each caller: {holders:?}");
    assert!(holders.values().all(|holders| holders.len() == 1), "{holders:?}");
}
