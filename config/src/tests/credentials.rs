//! `auth` and `forward_headers` of backends.

use super::{backend, check, errors, read, warnings};
use crate::*;

fn auth(text: &str) -> Credentials {
    let text = backend(&format!("url: 'https://b.example/mcp', auth: {text}"));
    let loaded = read(&text).unwrap_or_else(|errors| panic!("{errors}"));
    let Transport::Http(http) = &loaded.config.backends[0].transport else { panic!("{text}") };
    http.auth.clone()
}

const SERVER: &str = "{issuer: 'https://idp.example', client_id: weir, client_secret: hunter2}";

fn server() -> AuthorizationServer {
    AuthorizationServer {
        issuer: Some("https://idp.example".to_owned()),
        token_url: None,
        client_id: "weir".to_owned(),
        proof: ClientProof::Basic(Secret::new("hunter2".to_owned())),
        private: false,
        ca: None,
    }
}

fn target() -> TokenTarget {
    TokenTarget { resource: Some("https://b.example/mcp".to_owned()), ..TokenTarget::default() }
}

#[test]
fn every_kind_is_understood() {
    let secret = |text: &str| Secret::new(text.to_owned());
    assert_eq!(auth("{bearer: '${TOKEN}'}"), Credentials::Bearer(secret("hunter2")));
    assert_eq!(
        auth("{header: {name: X-Key, value: hunter2}}"),
        Credentials::Header("X-Key".to_owned(), secret("hunter2"))
    );
    let own = ClientCredentials { server: server(), target: target() };
    assert_eq!(
        auth(&format!("{{client_credentials: {{server: {SERVER}}}}}")),
        Credentials::ClientCredentials(Box::new(own.clone()))
    );
    let full = "{client_credentials: {scopes: [a, 'b:c'], resource: '', audience: x, server: {token_url: 'http://10.0.0.1/t', \
                client_id: weir, client_secret: hunter2, method: post, private: true}}}";
    let proof = ClientProof::Post(secret("hunter2"));
    let full_server = AuthorizationServer {
        issuer: None,
        token_url: Some("http://10.0.0.1/t".parse().unwrap()),
        private: true,
        proof,
        ..server()
    };
    let scopes = vec!["a".to_owned(), "b:c".to_owned()];
    let full_target = TokenTarget { scopes, resource: None, audience: Some("x".to_owned()) };
    assert_eq!(
        auth(full),
        Credentials::ClientCredentials(Box::new(ClientCredentials {
            server: full_server,
            target: full_target
        }))
    );
    let exchange = TokenExchange {
        server: server(),
        target: target(),
        subject: SubjectToken::IdToken,
        listing: Listing::Bearer(secret("hunter2")),
    };
    assert_eq!(
        auth(&format!(
            "{{token_exchange: {{server: {SERVER}, subject: id_token, listing: {{bearer: hunter2}}}}}}"
        )),
        Credentials::TokenExchange(Box::new(exchange))
    );
    let jag = IdJag {
        provider: server(),
        server: server(),
        target: target(),
        subject: SubjectToken::AccessToken,
        listing: Listing::ClientCredentials(Box::new(own)),
    };
    let written = format!(
        "{{id_jag: {{provider: {SERVER}, server: {SERVER}, listing: {{client_credentials: {{server: {SERVER}}}}}}}}}"
    );
    assert_eq!(auth(&written), Credentials::IdJag(Box::new(jag)));
    let key = "{client_credentials: {server: {token_url: 'https://i/t', client_id: w, private_key: \
               {key: '-----BEGIN PRIVATE KEY-----', id: k, algorithm: ES256}}}}";
    let Credentials::ClientCredentials(own) = auth(key) else { panic!() };
    let id = Some("k".to_owned());
    let key = secret("-----BEGIN PRIVATE KEY-----");
    assert_eq!(own.server.proof, ClientProof::PrivateKey { key, id, algorithm: Some(Algorithm::ES256) });
}

#[test]
fn what_would_not_work_or_leak_is_refused() {
    let of = |auth: &str| backend(&format!("url: 'https://b', auth: {auth}"));
    let at = |place: &str, text: &str| format!("{place}: {text}");
    let cases: [(String, &[&str]); 13] = [
        (
            backend("command: x, auth: {bearer: hunter2}"),
            &[
                "a.auth: `auth` fits a backend with `url`; this one has `command` (a program gets its credentials by `env`)",
            ],
        ),
        (of("{}"), &["a.auth: no credentials are named"]),
        (
            of("{bearer: x, header: {name: A, value: b}}"),
            &["a.auth.bearer: credentials are of one kind alone (remove one)"],
        ),
        (
            of("{bearer: 'Bearer x'}"),
            &["a.auth.bearer: the token must be visible ASCII characters without blanks"],
        ),
        (
            of("{header: {name: Host, value: b}}"),
            &["a.auth.header.name: weir writes the header `Host` itself"],
        ),
        (of("{header: {name: Mcp-Method, value: b}}"), &["a.auth.header.name: weir writes"]),
        (
            of("{client_credentials: {server: {client_id: w, client_secret: hunter2}}}"),
            &["server: an authorization server needs `issuer` or `token_url`"],
        ),
        (
            of(
                "{client_credentials: {server: {issuer: 'http://idp', client_id: w, client_secret: hunter2}}}",
            ),
            &[
                "server.issuer: secrets and tokens are sent by `https` alone (`private: true` allows `http` to private addresses)",
            ],
        ),
        (
            of(
                "{client_credentials: {server: {token_url: 'https://u:hunter2@idp/', client_id: w, client_secret: x}}}",
            ),
            &["server.token_url: the URL must not hold a user name or password"],
        ),
        (
            of("{client_credentials: {server: {issuer: 'https://idp', client_id: w}}}"),
            &["server: client credentials need a `client_secret` or a `private_key`"],
        ),
        (
            of(
                "{id_jag: {provider: {issuer: 'https://idp', client_id: w}, server: {token_url: 'https://as/t', client_id: w}}}",
            ),
            &["id_jag.server: `id_jag` needs the `issuer` of the server (the assertion is made out to it)"],
        ),
        (
            of(
                "{token_exchange: {server: {issuer: 'https://idp', client_id: w}, scopes: ['a b'], resource: x}}",
            ),
            &["scopes[0]: a scope is one word", "resource: not a URI without fragment"],
        ),
        (
            backend(
                "url: 'https://b', session: shared, headers: {AUTHORIZATION: x}, auth: {token_exchange: {server: {issuer: 'https://idp', client_id: w}}}",
            ),
            &[
                "a.session: `session: shared` does not fit credentials of each caller",
                "a.headers.AUTHORIZATION: the header `AUTHORIZATION` is the one that `auth` sends (remove one)",
            ],
        ),
    ];
    for (text, expected) in cases {
        let told = super::messages(&text);
        for expected in expected {
            assert!(told.iter().any(|told| told.contains(expected)), "in\n{text}{expected}\n{told:#?}");
        }
        assert_eq!(told.len(), expected.len(), "{told:#?}");
        assert!(!errors(&text).contains("hunter2"), "{}", at("shows a secret", &errors(&text)));
    }
}

#[test]
fn no_header_that_says_who_calls_is_ever_passed_on() {
    for name in [
        "Authorization",
        "COOKIE",
        "Set-Cookie",
        "Proxy-Authorization",
        "proxy-anything",
        "Connection",
        "Keep-Alive",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Host",
        "Content-Length",
        "Content-Type",
        "Mcp-Session-Id",
        "Mcp-Name",
        "Mcp-Anything",
        "Last-Event-ID",
        "X-API-Key",
        "X-Forwarded-For",
        "Forwarded",
        "Origin",
        "Sec-Fetch-Site",
    ] {
        let told = super::messages(&backend(&format!("url: 'https://b', forward_headers: [{name}]")));
        let expected = format!("the header `{name}` is never passed on");
        assert!(told.len() == 1 && told[0].contains(&expected), "{told:?}");
    }
    let own = "weir sends this header itself, and no caller's beside it";
    check(&[
        (
            backend("url: 'https://b', forward_headers: [x-a, X-A, 'a b', '']"),
            &[
                "1:57 backends.a.forward_headers[1]: the header stands in the list already",
                "1:62 backends.a.forward_headers[2]: `a b` is not the name of a header",
                "1:69 backends.a.forward_headers[3]: `` is not the name of a header",
            ],
        ),
        (
            backend("url: 'https://b', headers: {X-A: b}, forward_headers: [x-a]"),
            &[&format!("1:71 backends.a.forward_headers[0]: {own}")],
        ),
        (
            backend("url: 'https://b', auth: {header: {name: X-K, value: b}}, forward_headers: [x-k]"),
            &[&format!("1:91 backends.a.forward_headers[0]: {own}")],
        ),
    ]);
}

#[test]
fn credentials_in_the_open_are_warned_of() {
    let of = |url: &str| warnings(&backend(&format!("url: '{url}', auth: {{bearer: x}}")));
    assert!(of("http://b.example/mcp").contains("credentials are sent by plain `http`"));
    for url in ["https://b.example/mcp", "http://127.0.0.1:1/mcp", "http://[::1]/mcp", "http://localhost/mcp"]
    {
        assert_eq!(of(url), "", "{url}");
    }
}
