use super::*;

fn challenge(resource: &str, scopes: &[&str]) -> Challenge {
    Challenge {
        resource: Some(resource.to_owned()),
        issuers: vec!["https://idp.example.com".to_owned()],
        scopes: words(scopes),
        common: words(scopes),
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// What asks nobody who they are.
pub(crate) fn open() -> Arc<Authenticator> {
    let fetch = Arc::new(weir_backends::Outbound::new());
    Arc::new(Authenticator::new(&weir_config::Auth::default(), fetch, None).unwrap())
}

fn entrance(login: Option<Login>) -> Entrance {
    Entrance { login, ..Entrance::new(open(), "main") }
}

#[test]
fn metadata_stands_where_the_configured_resource_says() {
    let cases = [
        (
            "https://weir.example.com/mcp",
            "https://weir.example.com/.well-known/oauth-protected-resource/mcp",
            "/mcp",
        ),
        ("https://weir.example.com", "https://weir.example.com/.well-known/oauth-protected-resource", ""),
        ("https://weir.example.com/", "https://weir.example.com/.well-known/oauth-protected-resource", ""),
        (
            "http://127.0.0.1:4483/a/b",
            "http://127.0.0.1:4483/.well-known/oauth-protected-resource/a/b",
            "/a/b",
        ),
    ];
    for (resource, url, path) in cases {
        let login = Login::of(&challenge(resource, &["mcp"]), "main").unwrap();
        assert_eq!((&*login.url, &*login.path), (url, path));
        let document: serde_json::Value = serde_json::from_slice(&login.document).unwrap();
        assert_eq!(document["resource"], resource);
        assert_eq!(document["authorization_servers"], json!(["https://idp.example.com"]));
        assert_eq!(document["scopes_supported"], json!(["mcp"]));
        assert_eq!(document["bearer_methods_supported"], json!(["header"]));
    }
    let none = Challenge { resource: None, ..challenge("", &[]) };
    assert!(Login::of(&none, "main").is_none());
}

#[test]
fn challenges_name_every_scope_once_and_nothing_gets_out_of_their_quotes() {
    let login = Login::of(&challenge("https://weir.example.com/mcp", &["mcp", "read"]), "main");
    let entrance = entrance(login);
    let more = ["write", "read", "a\"b", "a b", "", "é", "back\\slash"].map(String::from);
    let fault = entrance.insufficient(&words(&["mcp", "read"]), &more);
    assert_eq!(fault.status, 403);
    assert_eq!(
        fault.challenge.as_deref(),
        Some(
            "Bearer error=\"insufficient_scope\", error_description=\"the token lacks a scope that this needs\", \
             resource_metadata=\"https://weir.example.com/.well-known/oauth-protected-resource/mcp\", \
             scope=\"mcp read write\""
        )
    );
    let missing = entrance.rejected(Rejection::new(RejectionKind::Missing, "nothing"));
    assert_eq!(missing.status, 401);
    assert!(!missing.challenge.unwrap().contains("error="));
}

#[test]
fn what_is_known_of_a_rejection_is_for_the_log_alone() {
    let entrance = entrance(None);
    let cases = [
        (RejectionKind::Missing, 401, Some("Bearer")),
        (RejectionKind::Malformed, 400, Some("invalid_request")),
        (RejectionKind::Invalid, 401, Some("invalid_token")),
        (RejectionKind::Scopes(vec!["a".to_owned()]), 403, Some("scope=\"a\"")),
        (RejectionKind::Unavailable, 503, None),
    ];
    for (kind, status, told) in cases {
        let fault = entrance.rejected(Rejection::new(kind, "kid `x` of issuer y is not known"));
        assert_eq!(fault.status, status);
        assert!(!fault.message.contains("kid"));
        match told {
            Some(told) => assert!(fault.challenge.as_deref().unwrap().contains(told), "{fault:?}"),
            None => assert!(fault.challenge.is_none()),
        }
        assert!(!fault.challenge.unwrap_or_default().contains("kid"));
    }
}

#[test]
fn tokens_in_queries_are_seen_however_they_are_written() {
    for query in [
        "access_token=x",
        "a=b&access_token=x",
        "access%5Ftoken=x",
        "ACCESS_TOKEN=",
        "access_token",
        "+access_token=x",
    ] {
        assert!(brings_token(query), "{query}");
    }
    for query in ["", "sessionId=1", "token=access_token", "my_access_token=x"] {
        assert!(!brings_token(query), "{query}");
    }
}

#[test]
fn nobody_is_sent_for_scopes_that_another_issuer_has() {
    let config = "
backends: {a: {command: x}}
endpoints:
  main:
    path: /mcp
    auth:
      resource: https://weir.example.com/mcp
      issuers:
        - {issuer: 'https://one.example.com', scopes: [shared, one]}
        - {issuer: 'https://two.example.com', scopes: [two, shared]}
        - {kubernetes: {audiences: [weir]}}
";
    let nothing = |_: &str| None;
    let loaded = weir_config::parse(config, std::path::Path::new("weir.yaml"), &nothing).unwrap();
    let auth = &loaded.config.endpoints[0].auth;
    let fetch = Arc::new(weir_backends::Outbound::new());
    let entrance = Entrance::new(Arc::new(Authenticator::new(auth, fetch, None).unwrap()), "main");
    let scopes = |fault: Fault| {
        let challenge = fault.challenge.unwrap();
        challenge.split_once("scope=\"").map(|(_, rest)| rest.trim_end_matches('"').to_owned())
    };
    // Where it is not known whose somebody is, what all have in common.
    for kind in [RejectionKind::Missing, RejectionKind::Invalid, RejectionKind::Malformed] {
        assert_eq!(scopes(entrance.rejected(Rejection::new(kind, ""))).as_deref(), Some("shared"));
    }
    let own = RejectionKind::Scopes(words(&["shared", "one"]));
    assert_eq!(scopes(entrance.rejected(Rejection::new(own, ""))).as_deref(), Some("one shared"));
    for (issuer, expected) in [
        ("https://one.example.com", "more one shared"),
        ("https://two.example.com", "more shared two"),
        ("https://kubernetes.default.svc.cluster.local", "more"),
        (Principal::API_KEYS, "more"),
    ] {
        let fault = entrance.lacks(&Principal::of(issuer, "ada"), &words(&["more"]));
        assert_eq!(scopes(fault).as_deref(), Some(expected), "{issuer}");
    }
    // Before anybody logs in, everything that there is.
    let document: serde_json::Value = serde_json::from_slice(entrance.metadata().unwrap()).unwrap();
    assert_eq!(document["scopes_supported"], json!(["one", "shared", "two"]));
}
