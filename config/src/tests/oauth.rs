//! What weir is told of users' grants, and what is refused.

use super::{errors, read};
use crate::*;

fn oauth(text: &str) -> Oauth {
    let text = format!("backends: {{a: {{url: 'https://a.example/mcp', auth: {{oauth: {text}}}}}}}");
    let config = read(&text).unwrap_or_else(|errors| panic!("{errors}")).config;
    let Transport::Http(http) = &config.backends[0].transport else { panic!("{config:?}") };
    let Credentials::Oauth(oauth) = &http.auth else { panic!("{http:?}") };
    (**oauth).clone()
}

#[test]
fn users_connect_with_nothing_else_said() {
    assert_eq!(oauth("{}"), Oauth::default());
}

#[test]
fn every_key_of_a_backend_that_users_connect() {
    let all = oauth(
        "{clients: [{issuer: 'http://127.0.0.1:1', client_id: w, client_secret: '${TOKEN}'}], scopes: [x, y],
           document: 'https://weir.example.com/c.json', listing: {bearer: t}, private: true}",
    );
    let secret = Some(Secret::new("hunter2".to_owned()));
    let client = OauthClient { issuer: "http://127.0.0.1:1".to_owned(), id: "w".to_owned(), secret };
    let expected = Oauth {
        clients: vec![client],
        scopes: vec!["x".to_owned(), "y".to_owned()],
        document: Some("https://weir.example.com/c.json".parse().unwrap()),
        lists: OauthLists::Open,
        listing: Listing::Bearer(Secret::new("t".to_owned())),
        private: true,
        ca: None,
    };
    assert_eq!(all, expected);
    assert_eq!(oauth("{lists: granted}").lists, OauthLists::Granted);
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (wrong, said) in [
        ("{lists: granted, listing: {bearer: t}}", "does not fit `lists: granted`"),
        ("{document: 'http://weir.example.com/c.json'}", "expected an `https` URL with a path"),
        ("{document: 'https://weir.example.com'}", "expected an `https` URL with a path"),
        ("{clients: [{issuer: 'http://as.example', client_id: w}]}", "must begin with `https://`"),
        ("{clients: [{issuer: 'https://as.example', client_id: ''}]}", "visible ASCII"),
        (
            "{clients: [{issuer: 'https://as.example', client_id: a}, {issuer: 'https://as.example', client_id: b}]}",
            "stands in the list already",
        ),
        ("{scopes: ['a b']}", "a scope"),
        ("{scpes: [a]}", "scpes"),
    ] {
        let text = format!("backends: {{a: {{url: 'https://a.example/mcp', auth: {{oauth: {wrong}}}}}}}");
        let errors = errors(&text);
        assert!(errors.contains(said), "{wrong}\n{errors}");
    }
}

#[test]
fn the_rest_of_the_file_has_to_fit() {
    let users = "{url: 'https://a.example/mcp', auth: {oauth: {}}}";
    for (wrong, said) in [
        ("backends: {a: {command: x}}\noauth: {store: {file: f, key: hunter2}}".to_owned(), "fewer than 32"),
        ("backends: {a: {command: x}}\nlistener: {public_url: 'http://weir.example.com'}".to_owned(), "by `https`"),
        ("backends: {a: {command: x}}\nlistener: {public_url: 'https://weir.example.com/x'}".to_owned(), "an origin"),
        ("backends: {a: {command: x}}\nendpoints: {m: {path: /connect/x}}".to_owned(), "weir's own"),
        (
            "backends: {a: {command: x}}\nendpoints: {m: {path: /m, auth: {login: {client_id: w}, api_keys: [{name: a, sha256: 9F86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08}]}}}".to_owned(),
            "has no issuer",
        ),
        (
            "backends: {a: {command: x}}\nendpoints: {m: {path: /m, auth: {resource: 'https://m.example/m', login: {issuer: 'https://b', client_id: w}, issuers: [{issuer: 'https://a'}]}}}".to_owned(),
            "no issuer of this endpoint",
        ),
        (
            format!("backends: {{a: {users}}}\nlistener: {{address: '0.0.0.0:1', tls: null}}\nendpoints: {{m: {{path: /m, auth: {{insecure: true}}}}}}"),
            "cannot tell its users apart",
        ),
        (
            format!("backends: {{a: {users}}}\nlistener: {{public_url: 'https://weir.example.com'}}\nendpoints: {{m: {{path: /m, auth: {{insecure: true}}}}}}"),
            "cannot tell its users apart",
        ),
        (
            format!("backends: {{a: {users}}}\nendpoints: {{m: {{path: /m, auth: {{issuers: [{{issuer: 'https://a'}}]}}}}}}"),
            "`login`",
        ),
    ] {
        let errors = errors(&wrong);
        assert!(errors.contains(said), "{wrong}\n{errors}");
    }
}
