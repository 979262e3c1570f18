use super::*;

fn registered(text: &str) -> Result<Client, OauthError> {
    let authority = Authority {
        issuer: "https://as.example".to_owned(),
        authorization_endpoint: None,
        token_endpoint: "https://as.example/token".parse().unwrap(),
        registration_endpoint: None,
        revocation_endpoint: None,
        scopes: Vec::new(),
        methods: Vec::new(),
        proves_codes: true,
        names_itself: false,
        reads_documents: false,
    };
    understand(serde_json::from_str(text).unwrap(), &authority, Method::ClientSecretBasic, "https://w/c")
}

#[test]
fn the_server_has_the_last_word() {
    let client = registered(r#"{"client_id":"c","client_secret":"s","token_endpoint_auth_method":"client_secret_post","client_secret_expires_at":9}"#).unwrap();
    assert_eq!((client.method, client.until), (Method::ClientSecretPost, Some(9)));
    assert!(!client.suits("https://as.example", "https://w/c", SystemTime::now()), "its secret is over");
    let client = registered(r#"{"client_id":"c","client_secret":"s","client_secret_expires_at":0}"#).unwrap();
    let now = SystemTime::now();
    assert!(client.suits("https://as.example", "https://w/c", now));
    assert!(!client.suits("https://as2.example", "https://w/c", now));
    assert!(!client.suits("https://as.example", "https://w/d", now));
    let public =
        registered(r#"{"client_id":"c","token_endpoint_auth_method":"none","client_secret":"unused"}"#)
            .unwrap();
    assert!(public.secret.is_none());
}

#[test]
fn what_is_no_registration_is_none() {
    for text in [
        r#"{"client_id":""}"#,
        r#"{"client_id":"c"}"#,
        r#"{"client_id":"c","client_secret":""}"#,
        r#"{"client_id":"c","client_secret":"s","token_endpoint_auth_method":"private_key_jwt"}"#,
        &format!(r#"{{"client_id":"{}","client_secret":"s"}}"#, "c".repeat(LONGEST + 1)),
    ] {
        assert!(registered(text).is_err(), "{text}");
    }
}

#[test]
fn a_document_says_who_it_is() {
    let document = document("https://w/connect/-/client.json", "https://w/connect/-/callback");
    assert_eq!(document["client_id"], "https://w/connect/-/client.json");
    assert_eq!(document["token_endpoint_auth_method"], "none");
    assert_eq!(document["application_type"], "web");
    assert_eq!(metadata("http://127.0.0.1:1/c", Method::None)["application_type"], "native");
}
