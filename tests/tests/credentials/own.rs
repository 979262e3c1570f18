//! Credentials of weir's own: what never changes, and tokens that it gets for itself.

use crate::{clients, complaint, keeps_quiet, over, own, secret, server, whoami};
use serde_json::{Value, json};
use weir_tests::protected::{bearer, claims};
use weir_tests::{Modern, Protected, Provider, Speak, peers, wait};

#[test]
fn what_never_changes_is_sent_with_every_request() {
    let token = "s3cret-token";
    for (auth, name, value) in [
        (json!({"bearer": token}), "authorization", format!("Bearer {token}")),
        (json!({"header": {"name": "X-Key", "value": token}}), "x-key", token.to_owned()),
    ] {
        let backend = Protected::modern();
        backend.accept(token);
        if name != "authorization" {
            backend.list_for_all();
        }
        let weir = over(&backend, &auth);
        let client = Modern::new(weir.endpoint());
        assert_eq!(client.tool_names(), ["whoami"]);
        client.call("whoami", json!({}));
        let received = backend.received();
        assert!(received.iter().all(|request| request.header(name) == Some(&value)), "{received:?}");
        keeps_quiet(&weir, [token.to_owned()]);
    }
}

/// A key pair for an algorithm: the private key in PEM, and the public one as a JWK.
fn key(algorithm: &str) -> (String, Value) {
    let script = "import { generateKeyPair, exportPKCS8, exportJWK } from 'jose';
        const { privateKey, publicKey } = await generateKeyPair(process.argv[1], { extractable: true });
        console.log(JSON.stringify([await exportPKCS8(privateKey), await exportJWK(publicKey)]));";
    let mut node = peers::node();
    node.args(["--input-type=module", "-e", script, algorithm]).current_dir(peers::peers());
    let output = node.output().expect("node runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("a key is made")
}

#[test]
fn weir_shows_who_it_is_in_every_way() {
    let algorithms = ["ES256", "RS256", "EdDSA"];
    let keys = algorithms.map(|algorithm| (algorithm, key(algorithm)));
    let signers = keys.iter().map(|(algorithm, (_, public))| {
        let mut public = public.clone();
        public["kid"] = json!("k");
        json!({
            "client_id": format!("signer-{algorithm}"), "token_endpoint_auth_method": "private_key_jwt",
            "token_endpoint_auth_signing_alg": algorithm, "jwks": {"keys": [public]},
        })
    });
    let provider = Provider::with(json!({"clients": signers.collect::<Vec<_>>()}));
    let token_url = format!("{}/token", provider.issuer());
    let poster = json!({
        "token_url": token_url, "client_id": "poster", "client_secret": Provider::secret("poster"),
        "method": "post", "private": true,
    });
    let mut servers = vec![("service".to_owned(), server(&provider)), ("poster".to_owned(), poster)];
    for (algorithm, (private, _)) in &keys {
        let client = format!("signer-{algorithm}");
        let key = json!({"key": private, "id": "k"});
        let by_issuer = json!({
            "issuer": provider.issuer(), "client_id": client, "private_key": key, "private": true,
        });
        let mut by_url = by_issuer.clone();
        by_url["token_url"] = json!(token_url);
        by_url["private_key"]["algorithm"] = json!(algorithm);
        servers.extend([(client.clone(), by_issuer), (client, by_url)]);
    }
    weir_tests::table::judge(&servers, |(client, server)| {
        let auth = json!({"client_credentials": {"server": server, "scopes": ["mcp", "api"]}});
        let mut complaints = Vec::new();
        for backend in [Protected::modern(), Protected::legacy()] {
            let weir = over(&backend, &auth);
            for caller in clients(&weir.endpoint()) {
                let seen = whoami(&*caller);
                if seen != *client {
                    complaints.push(format!("{client} is taken for {seen}"));
                }
            }
            let shown = backend.shown();
            if shown.len() != 1 || claims(&shown[0])["scope"] != "mcp api" {
                complaints.push(format!("{client}: {shown:?}"));
            }
            let private =
                keys.iter().map(|(_, (private, _))| private.lines().nth(1).unwrap_or(private).to_owned());
            keeps_quiet(&weir, private.chain([secret(), Provider::secret("poster"), shown[0].clone()]));
        }
        complaints
    });
}

/// Makes calls at once; all must succeed.
fn at_once(client: &Modern, calls: usize) {
    std::thread::scope(|scope| {
        for _ in 0..calls {
            scope.spawn(|| assert_eq!(whoami(client), "service"));
        }
    });
}

#[test]
fn a_token_that_ended_is_replaced_once_however_many_wait() {
    for backend in [Protected::modern(), Protected::legacy()] {
        let provider = Provider::with(json!({"ttl": 2}));
        let weir = over(&backend, &own(&provider));
        let client = Modern::new(weir.endpoint());
        wait::until_true("several tokens have served", || {
            at_once(&client, 50);
            backend.shown().len() >= 4
        });
        let (asked, shown) = (provider.requests("/token"), backend.shown().len());
        assert!(asked <= shown as u64 + 1, "{asked} were asked for, and {shown} shown");
    }
}

#[test]
fn a_token_that_is_refused_is_renewed_once_and_the_call_made_once() {
    for backend in [Protected::modern(), Protected::legacy()] {
        let provider = Provider::start();
        let weir = over(&backend, &own(&provider));
        let client = Modern::new(weir.endpoint());
        assert_eq!(whoami(&client), "service");
        assert_eq!(provider.requests("/token"), 1);
        let refused = backend.shown();
        backend.refuse(refused.clone());
        at_once(&client, 50);
        assert_eq!(provider.requests("/token"), 2, "one renewal for all");
        let calls = backend.received_of("tools/call");
        let heard = calls.iter().filter(|call| bearer(call).is_some_and(|token| !refused.contains(&token)));
        assert_eq!(heard.count(), 50, "each was carried out once");
        keeps_quiet(&weir, backend.shown());
    }
}

#[test]
fn a_backend_that_refuses_everything_makes_weir_ask_for_no_more_tokens() {
    let (provider, backend) = (Provider::start(), Protected::modern());
    let weir = over(&backend, &own(&provider));
    let client = Modern::new(weir.endpoint());
    assert_eq!(whoami(&client), "service");
    let mut told = Vec::new();
    for _ in 0..20 {
        backend.refuse(backend.shown());
        told.push(complaint_or_name(&client));
    }
    assert!(told.iter().any(|text| text.contains("does not accept the credential")), "{told:?}");
    assert!(provider.requests("/token") <= 8, "{}: {told:?}", provider.requests("/token"));
}

fn complaint_or_name(client: &Modern) -> String {
    client.call("whoami", json!({})).message.to_string()
}

#[test]
fn scopes_that_a_call_lacks_are_named() {
    for backend in [Protected::modern(), Protected::legacy()] {
        backend.want("files:write");
        let provider = Provider::start();
        let weir = over(&backend, &own(&provider));
        for client in clients(&weir.endpoint()) {
            let told = complaint(&*client);
            assert!(told.contains("`guarded` wants a credential with the scopes `files:write`"), "{told}");
        }
    }
}

#[test]
fn a_provider_that_is_down_is_told_of_and_its_return_noticed() {
    let (provider, backend) = (Provider::start(), Protected::modern());
    let weir = over(&backend, &own(&provider));
    let client = Modern::new(weir.endpoint());
    assert_eq!(whoami(&client), "service");
    provider.down(true);
    assert_eq!(whoami(&client), "service", "the token is still good");
    backend.refuse(backend.shown());
    let before = provider.requests("/token");
    for _ in 0..50 {
        let told = complaint(&client);
        assert!(told.contains("its authorization server has a problem of its own"), "{told}");
    }
    let asked = provider.requests("/token") - before;
    assert!(asked <= 20, "a server that is down is not hammered: {asked}");
    provider.down(false);
    wait::until_true("calls go through again", || !client.call("whoami", json!({})).failed());
    keeps_quiet(&weir, backend.shown().into_iter().chain([secret()]));
}

#[test]
fn a_client_that_the_provider_does_not_know_is_told_of() {
    let (provider, backend) = (Provider::start(), Protected::modern());
    backend.list_for_all();
    let mut auth = own(&provider);
    auth["client_credentials"]["server"]["client_secret"] = json!("wrong-secret");
    let backends = json!({"guarded": {"url": backend.url(), "auth": auth}});
    let mut config = weir_tests::weir::config(backends, json!({"conflicts": "none"}));
    config["timeouts"]["start"] = json!("0s");
    let weir = weir_tests::Weir::serve(config);
    wait::until_true("the log says so", || {
        weir.log().contains("refused weir as a client") && weir.log().contains("invalid_client")
    });
    keeps_quiet(&weir, ["wrong-secret".to_owned()]);
    assert_eq!(backend.received().iter().filter(|request| bearer(request).is_some()).count(), 0);
}
