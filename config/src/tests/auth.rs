//! `endpoints.*.auth`: what it means, and what is refused.

use super::{check, read};
use crate::*;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// A digest of a key.
const SHA: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";

/// What `every_key.yaml` says; `at` finds a file of its folder.
pub(super) fn every_key(at: &dyn Fn(&str) -> PathBuf) -> Auth {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let provider = Issuer {
        issuer: "https://idp.example.com/".to_owned(),
        keys: KeySource::Url("https://idp.example.com/keys".to_owned()),
        audiences: words(&["one", "two"]),
        algorithms: vec![Algorithm::RS512, Algorithm::EdDSA],
        clients: words(&["app"]),
        scopes: words(&["mcp", "mcp:tools"]),
        leeway: Duration::from_secs(5),
        claims: ClaimPaths {
            groups: "realm_access.groups".to_owned(),
            roles: "https://example.com/roles".to_owned(),
            email: "mail".to_owned(),
        },
        introspection: Some(Introspection {
            url: Some("http://10.0.0.1/ask".to_owned()),
            client_id: "weir".to_owned(),
            client_secret: Secret::new("hunter2".to_owned()),
            method: ClientAuthentication::Post,
            opaque: false,
            cache: Duration::from_secs(1),
            every: Some(Duration::from_secs(60)),
        }),
        private: true,
        ca: Some(at("ca.pem")),
    };
    let cluster = Issuer {
        issuer: "https://cluster".to_owned(),
        keys: KeySource::Kubernetes { url: "https://10.0.0.1/jwks".to_owned(), token: at("token") },
        audiences: words(&["weir"]),
        algorithms: Algorithm::DEFAULT.to_vec(),
        clients: Vec::new(),
        scopes: Vec::new(),
        leeway: Duration::from_secs(30),
        claims: ClaimPaths::default(),
        introspection: None,
        private: true,
        ca: Some(at("ca.pem")),
    };
    Auth {
        resource: Some("https://gateway.example.com/mcp".to_owned()),
        issuers: vec![provider, cluster],
        api_keys: vec![ApiKey {
            name: "ci".to_owned(),
            sha256: [
                0x9f, 0x86, 0xd0, 0x81, 0x88, 0x4c, 0x7d, 0x65, 0x9a, 0x2f, 0xea, 0xa0, 0xc5, 0x5a, 0xd0,
                0x15, 0xa3, 0xbf, 0x4f, 0x1b, 0x2b, 0x0b, 0x82, 0x2c, 0xd1, 0x5d, 0x6c, 0x15, 0xb0, 0xf0,
                0x0a, 0x08,
            ],
            groups: words(&["g"]),
            roles: words(&["r"]),
            scopes: words(&["s"]),
            expires: Some(SystemTime::UNIX_EPOCH + Duration::from_secs(1_801_353_600)),
        }],
        login: Some(Login {
            issuer: "https://idp.example.com/".to_owned(),
            client_id: "pages".to_owned(),
            client_secret: Some(Secret::new("hunter2".to_owned())),
            scopes: words(&["profile"]),
        }),
        certificates: Some(Certificates {
            subject: CertificateSubject::Uri,
            allow: words(&["spiffe://example.com/*"]),
            groups: words(&["mesh"]),
        }),
        insecure: false,
    }
}

/// A file whose one endpoint asks like this.
fn auth(keys: &str) -> String {
    format!("backends: {{a: {{command: x}}}}\nendpoints: {{m: {{path: /m, auth: {{{keys}}}}}}}\n")
}

fn accepted(text: &str) -> Auth {
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}")).config;
    config.endpoints.into_iter().next().expect("there is an endpoint").auth
}

#[test]
fn an_issuer_alone_has_every_default() {
    let auth = accepted(&auth("issuers: [{issuer: 'https://idp.example.com/realms/a'}]"));
    assert_eq!(auth.resource.as_deref(), Some("http://127.0.0.1:4483/m"));
    let [issuer] = &auth.issuers[..] else { panic!("{auth:?}") };
    assert_eq!(issuer.audiences, ["http://127.0.0.1:4483/m"]);
    assert_eq!(issuer.algorithms, [Algorithm::RS256, Algorithm::PS256, Algorithm::ES256, Algorithm::EdDSA]);
    assert_eq!((&issuer.keys, issuer.leeway), (&KeySource::Discovery, Duration::from_secs(30)));
    assert!(!issuer.private && !issuer.is_kubernetes() && !auth.is_anonymous());
}

#[test]
fn the_resource_follows_the_listener() {
    let resource = |listener: &str, path: &str| {
        let text = format!(
            "backends: {{a: {{command: x}}}}\nlistener: {listener}\nendpoints: {{m: {{path: {path}, auth: {{issuers: [{{issuer: 'https://a'}}]}}}}}}"
        );
        read(&text).map(|loaded| loaded.config.endpoints[0].auth.resource.clone().unwrap_or_default())
    };
    for (listener, path, expected) in [
        ("{address: '127.0.0.1:9'}", "/mcp", "http://127.0.0.1:9/mcp"),
        ("{address: '[::1]:80'}", "/", "http://[::1]"),
        (
            "{address: '10.0.0.1:443', tls: {certificate: /etc/hostname, key: /etc/hostname}}",
            "/a/b",
            "https://10.0.0.1/a/b",
        ),
    ] {
        assert_eq!(resource(listener, path).unwrap_or_else(|errors| panic!("{errors}")), expected);
    }
    for listener in ["{address: '0.0.0.0:9'}", "{address: '127.0.0.1:0'}", "{address: '[::]:9'}"] {
        let errors = resource(listener, "/mcp").unwrap_err().to_string();
        assert!(errors.contains("`resource` is needed"), "{errors}");
    }
}

#[test]
fn a_resource_without_a_path_is_meant_in_both_spellings() {
    let audiences = |resource: &str| {
        let auth = accepted(&auth(&format!("resource: '{resource}', issuers: [{{issuer: 'https://a'}}]")));
        auth.issuers.into_iter().next().expect("there is an issuer").audiences
    };
    assert_eq!(
        audiences("https://weir.example.com"),
        ["https://weir.example.com", "https://weir.example.com/"]
    );
    assert_eq!(
        audiences("https://weir.example.com/"),
        ["https://weir.example.com", "https://weir.example.com/"]
    );
    assert_eq!(audiences("https://weir.example.com/mcp"), ["https://weir.example.com/mcp"]);
}

#[test]
fn a_cluster_needs_its_audiences_alone() {
    let auth = accepted(&auth("issuers: [{kubernetes: {audiences: [weir]}}]"));
    assert_eq!(auth.resource, None);
    let [issuer] = &auth.issuers[..] else { panic!("{auth:?}") };
    assert_eq!(issuer.issuer, "https://kubernetes.default.svc.cluster.local");
    assert!(issuer.is_kubernetes() && issuer.private);
}

#[test]
fn an_endpoint_that_asks_for_nothing_is_anonymous() {
    for text in [
        "backends: {a: {command: x}}\n".to_owned(),
        auth("insecure: true"),
        auth("").replace("auth: {}", "auth: "),
    ] {
        assert!(accepted(&text).is_anonymous(), "{text}");
    }
}

#[test]
fn what_could_not_tell_callers_is_refused() {
    check(&[
        (
            auth(""),
            &["2:27 endpoints.m.auth: `auth` names nothing by which callers show who they are \
               (name `issuers`, `api_keys` or `certificates`, or leave out `auth`)"],
        ),
        (
            auth("insecure: true, issuers: [], api_keys: []"),
            &[
                "2:34 endpoints.m.auth.insecure: `insecure` fits an endpoint that asks for nothing \
                 (leave it out: this endpoint asks who calls)",
                "2:50 endpoints.m.auth.issuers: `issuers` is empty: nobody could come in by it (leave it out)",
                "2:63 endpoints.m.auth.api_keys: `api_keys` is empty: nobody could come in by it (leave it out)",
            ],
        ),
        (
            auth("issuers: [{leeway: 1s}]"),
            &["2:44 endpoints.m.auth.issuers[0]: an issuer needs `issuer` or `kubernetes` \
               (`issuer` names a provider, `kubernetes` the cluster's service accounts)"],
        ),
        (
            auth("issuers: [{issuer: 'https://a', kubernetes: {audiences: [b]}}]"),
            &[
                "2:66 endpoints.m.auth.issuers[0].kubernetes: an issuer has either `issuer` or `kubernetes`, not both \
               (make two of it, or write the cluster's name as `kubernetes.issuer`)",
            ],
        ),
        (
            auth("issuers: [{issuer: 'https://a'}, {issuer: 'https://a'}]"),
            &["2:67 endpoints.m.auth.issuers[1]: the issuer stands in the list already"],
        ),
        (
            auth("issuers: [{issuer: 'http://a', jwks: 'http://b'}]"),
            &[
                "2:53 endpoints.m.auth.issuers[0].issuer: the URL must begin with `https://` \
                 (`private: true` allows `http` and private addresses)",
                "2:71 endpoints.m.auth.issuers[0].jwks: the URL must begin with `https://` \
                 (`private: true` allows `http` and private addresses)",
            ],
        ),
        (
            auth(
                "issuers: [{issuer: 'https://u:p@a', audiences: [], scopes: ['a b', s, s], algorithms: [], leeway: 301s}]",
            ),
            &[
                "2:53 endpoints.m.auth.issuers[0].issuer: the URL must not hold a user name or password",
                "2:70 endpoints.m.auth.issuers[0].audiences: the list holds no audience (leave it out for the default)",
                "2:94 endpoints.m.auth.issuers[0].scopes[0]: a scope has visible ASCII characters without blanks, `\"` and `\\`",
                "2:104 endpoints.m.auth.issuers[0].scopes[2]: the scope stands in the list already",
                "2:108 endpoints.m.auth.issuers[0].algorithms: the list holds no algorithm (leave it out for the default)",
                "2:132 endpoints.m.auth.issuers[0].leeway: may be at most `5m`",
            ],
        ),
        (
            auth("issuers: [{issuer: 'https://a', algorithms: [HS256, none]}]"),
            &[
                "2:79 endpoints.m.auth.issuers[0].algorithms[0]: `HS256` is not one of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA` (did you mean `ES256`?)",
                "2:86 endpoints.m.auth.issuers[0].algorithms[1]: `none` is not one of `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`",
            ],
        ),
        (
            auth("issuers: [{kubernetes: {audiences: []}, private: true, clients: [x]}]"),
            &[
                "2:58 endpoints.m.auth.issuers[0].kubernetes.audiences: the list holds no audience (leave it out for the default)",
                "2:74 endpoints.m.auth.issuers[0].private: `private` fits a provider with `issuer`; this is a cluster",
                "2:89 endpoints.m.auth.issuers[0].clients: `clients` fits a provider with `issuer`; this is a cluster",
            ],
        ),
        (
            auth(
                "issuers: [{issuer: 'https://a', introspection: {client_id: a, client_secret: b, opaque: false, every: 0s}}]",
            ),
            &[
                "2:136 endpoints.m.auth.issuers[0].introspection.every: must be more than 0 (leave it out to ask never)",
            ],
        ),
        (
            auth(
                "issuers: [{issuer: 'https://a', introspection: {client_id: a, client_secret: b}}, \
                  {issuer: 'https://b', introspection: {client_id: a, client_secret: b}}, \
                  {issuer: 'https://c', introspection: {client_id: a, client_secret: b, opaque: false}}]",
            ),
            &[
                "2:138 endpoints.m.auth.issuers[1].introspection: another issuer is asked about tokens that weir cannot \
                 read, and they do not tell whose they are (give one of the two `opaque: false`)",
                "2:210 endpoints.m.auth.issuers[2].introspection: nothing would ever be asked: `opaque` is `false` and \
                 `every` is missing (leave out `introspection`, or say `every`)",
            ],
        ),
        (
            auth("resource: 'https://A/mcp', issuers: [{issuer: 'https://a', claims: {groups: a..b}}]"),
            &[
                "2:44 endpoints.m.auth.resource: the URI is not in its normal form (write scheme and host in lower case, \
                 without the scheme's own port and without `.` or `..`)",
                "2:110 endpoints.m.auth.issuers[0].claims.groups: expected a claim's name, or names joined by dots \
                 (write it like `realm_access.roles`)",
            ],
        ),
        (
            auth("resource: 'https://a/mcp?x', api_keys: [{name: ' a', sha256: abc, expires: tomorrow}]"),
            &[
                "2:44 endpoints.m.auth.resource: the URI must not hold `?` or `#`",
                "2:81 endpoints.m.auth.api_keys[0].name: a key's name has 1 to 128 characters and no blanks around it",
                "2:95 endpoints.m.auth.api_keys[0].sha256: expected 64 hexadecimal digits \
                 (`weir key` prints the line; the key itself does not belong here)",
                "2:109 endpoints.m.auth.api_keys[0].expires: expected a day or a time in UTC \
                 (write it like `2027-01-31` or `2027-01-31T12:00:00Z`)",
            ],
        ),
        (
            auth(&format!(
                "api_keys: [{{name: a, sha256: {SHA}}}, {{name: a, sha256: {}}}]",
                SHA.to_uppercase()
            )),
            &[
                "2:137 endpoints.m.auth.api_keys[1].name: another key has this name already",
                "2:148 endpoints.m.auth.api_keys[1].sha256: another entry has the same key already",
            ],
        ),
        (
            auth("certificates: {allow: ['[']}"),
            &[
                "2:34 endpoints.m.auth.certificates: the listener asks no client for a certificate \
                 (name the authorities of clients in `listener.tls.clients`)",
                "2:57 endpoints.m.auth.certificates.allow[0]: not a pattern: unclosed character class; missing ']'",
            ],
        ),
    ]);
}

#[test]
fn one_name_is_one_caller_at_all_endpoints() {
    let endpoints = |first: &str, second: &str| {
        let endpoint = |path: &str, auth: &str| format!("{{path: /{path}, backends: [a], auth: {{{auth}}}}}");
        format!(
            "backends: {{a: {{command: x}}}}\nendpoints:\n  m: {}\n  n: {}",
            endpoint("m", first),
            endpoint("n", second)
        )
    };
    let other = "a".repeat(64);
    let key = |name: &str, digest: &str| format!("api_keys: [{{name: {name}, sha256: {digest}}}]");
    let asking = |more: &str| {
        format!("issuers: [{{issuer: 'https://a', introspection: {{client_id: w, client_secret: b{more}}}}}]")
    };
    let cluster = |jwks: &str| format!("issuers: [{{kubernetes: {{audiences: [b]{jwks}}}}}]");
    check(&[
        (
            endpoints(&key("ci", SHA), &key("ci", &other)),
            &["4:57 endpoints.n.auth.api_keys[0].name: the endpoint `m` has another key of this name \
               (give one of the two another name: both would be the same caller)"],
        ),
        (
            endpoints(
                "issuers: [{issuer: 'https://a'}]",
                "issuers: [{issuer: 'https://a', jwks: 'https://b/keys'}]",
            ),
            &[
                "4:49 endpoints.n.auth.issuers[0]: the endpoint `m` has the keys of this issuer from elsewhere \
               (say the same of where its keys are: callers of both would be the same where they are called the same)",
            ],
        ),
        (
            endpoints(&cluster(""), &cluster(", jwks: 'https://10.0.0.1/keys'")),
            &[
                "4:49 endpoints.n.auth.issuers[0]: the endpoint `m` has the keys of this issuer from elsewhere \
               (say the same of where its keys are: callers of both would be the same where they are called the same)",
            ],
        ),
        (
            endpoints(&asking(""), &asking(", url: 'https://b/ask'")),
            &[
                "4:49 endpoints.n.auth.issuers[0]: the endpoint `m` asks elsewhere about this issuer's tokens \
               (say the same of `introspection.url`: callers of both would be the same where they are called the same)",
            ],
        ),
    ]);
    for (first, second) in [
        (asking(", url: 'https://b/ask'"), asking(", url: 'https://b/ask'")),
        (asking(""), asking(", url: 'https://b/ask', opaque: false, every: 5m")),
        (asking(", url: 'https://b/ask'"), "issuers: [{issuer: 'https://a'}]".to_owned()),
        (key("ci", SHA), key("ci", SHA)),
        (key("ci", SHA), key("di", &other)),
        (cluster(""), cluster("")),
        (cluster(""), "issuers: [{issuer: 'https://a', jwks: 'https://b/keys'}]".to_owned()),
    ] {
        assert!(read(&endpoints(&first, &second)).is_ok(), "{first} {second}");
    }
}
