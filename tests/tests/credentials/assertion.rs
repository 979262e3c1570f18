//! Credentials by an identity assertion of the enterprise's provider (SEP-990): one provider asserts, another one gives.

use crate::{RESOURCE, clients, keeps_quiet, over_for_callers, own, secret, server, whoami};
use serde_json::json;
use weir_tests::protected::{bearer, claims};
use weir_tests::{Protected, Provider, wait};

#[test]
fn an_assertion_becomes_a_token_for_each_caller() {
    for backend in [Protected::modern(), Protected::legacy()] {
        let enterprise = Provider::start();
        let theirs = Provider::with(json!({"trusts": enterprise.issuer()}));
        let auth = json!({"id_jag": {
            "provider": server(&enterprise), "server": server(&theirs), "scopes": ["api"], "listing": own(&theirs),
        }});
        let weir = over_for_callers(&enterprise, &backend, &auth);
        let tokens = ["alice", "bob"].map(|account| (account, enterprise.token(account, RESOURCE)));
        for (account, token) in &tokens {
            for client in clients(&weir.endpoint().bearing(token)) {
                assert_eq!(whoami(&*client), *account);
            }
        }
        for call in backend.received_of("tools/call") {
            let shown = claims(&bearer(&call).expect("a token"));
            assert_eq!((&shown["iss"], &shown["scope"]), (&json!(theirs.issuer()), &json!("api")));
        }
        assert_eq!(enterprise.requests("/token"), 2, "one assertion for each caller");
        assert_eq!(theirs.requests("/token"), 3, "one token for each of them, and one of weir's own");
        let secrets = backend.shown().into_iter().chain(tokens.map(|(_, token)| token)).chain([secret()]);
        keeps_quiet(&weir, secrets);
    }
}

#[test]
fn an_assertion_for_another_client_is_not_taken() {
    let enterprise = Provider::with(json!({"assertedClient": "somebody-else"}));
    let theirs = Provider::with(json!({"trusts": enterprise.issuer()}));
    let backend = Protected::modern();
    let auth = json!({"id_jag": {
        "provider": server(&enterprise), "server": server(&theirs), "listing": own(&theirs),
    }});
    let weir = over_for_callers(&enterprise, &backend, &auth);
    for client in clients(&weir.endpoint().bearing(&enterprise.token("alice", RESOURCE))) {
        let told = crate::complaint(&*client);
        assert!(told.contains("it does not accept the caller's token"), "{told}");
    }
    assert_eq!(backend.received_of("tools/call").len(), 0);
    wait::until_true("the log says why", || weir.log().contains("invalid_grant"));
}
