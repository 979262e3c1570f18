use super::*;
use crate::oauth::tests::Network;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

const REACH: Reach = Reach { private: false, ca: None, deadline: Duration::from_secs(1) };

fn server(path: &str) -> Url {
    format!("https://server.example{path}").parse().unwrap()
}

async fn protection(network: &Arc<Network>, url: &Url, told: Option<&str>) -> Result<Protection, OauthError> {
    let challenge = told.map(|url| Challenge { metadata: Some(url.to_owned()), ..Challenge::default() });
    Discovery { fetch: &**network, reach: &REACH }.protection(url, challenge.as_ref()).await
}

fn document(resource: &str) -> Value {
    json!({"resource": resource, "authorization_servers": ["https://as.example"], "scopes_supported": ["a"]})
}

#[tokio::test]
async fn metadata_is_looked_for_where_it_may_be() {
    const WELL_KNOWN: &str = "https://server.example/.well-known/oauth-protected-resource";
    let resource = "https://server.example/public/mcp";
    let network = Network::new();
    network.put("https://server.example/told", 200, &document(resource));
    let found =
        protection(&network, &server("/public/mcp"), Some("https://server.example/told")).await.unwrap();
    assert_eq!((&*found.resource, &*found.scopes), (resource, &["a".to_owned()][..]));
    for place in [format!("{WELL_KNOWN}/public/mcp"), WELL_KNOWN.to_owned()] {
        let network = Network::new();
        network.put(&place, 200, &document("https://server.example"));
        let found = protection(&network, &server("/public/mcp"), None).await.unwrap();
        assert_eq!(found.resource, "https://server.example");
    }
    // What describes itself nowhere is of the year before.
    let found = protection(&Network::new(), &server("/mcp"), None).await.unwrap();
    assert_eq!(
        (&*found.issuers[0], &*found.resource),
        ("https://server.example", "https://server.example/mcp")
    );
}

#[tokio::test]
async fn metadata_about_something_else_is_not_taken() {
    let told = "https://server.example/told";
    for resource in [
        "https://evil.example/mcp",
        "https://server.example:444/mcp",
        "http://server.example/mcp",
        "https://server.example/other",
        "https://server.example/mc",
        "https://server.example/mcp/deeper",
        "https://server.example/mcp?x=y",
        "https://u@server.example/mcp",
        "https://server.example/mcp#f",
        "",
    ] {
        let network = Network::new();
        network.put(told, 200, &document(resource));
        let error = protection(&network, &server("/mcp"), Some(told)).await.unwrap_err();
        assert!(error.to_string().contains("another resource"), "{resource}: {error}");
    }
    let network = Network::new();
    network.put(told, 200, &json!({"resource": "https://server.example/mcp"}));
    assert!(protection(&network, &server("/mcp"), Some(told)).await.is_err(), "nobody to ask");
    for told in
        ["http://server.example/told", "file:///etc/passwd", "https://u:p@server.example/t", "nothing", ""]
    {
        let error = protection(&network, &server("/mcp"), Some(told)).await.unwrap_err();
        assert!(error.to_string().contains("resource_metadata"), "{told}: {error}");
    }
}

#[test]
fn authorization_servers_are_looked_for_in_order() {
    let places = |issuer: &str| -> Vec<String> {
        authority_places(&issuer.parse().unwrap()).into_iter().map(String::from).collect()
    };
    assert_eq!(
        places("https://as.example/tenant"),
        [
            "https://as.example/.well-known/oauth-authorization-server/tenant",
            "https://as.example/.well-known/openid-configuration/tenant",
            "https://as.example/tenant/.well-known/openid-configuration",
        ]
    );
    assert_eq!(
        places("https://as.example"),
        [
            "https://as.example/.well-known/oauth-authorization-server",
            "https://as.example/.well-known/openid-configuration",
        ]
    );
}

#[tokio::test]
async fn the_first_that_is_there_counts() {
    let network = Network::new();
    let document = |token: &str| json!({"issuer": "https://as.example/t", "token_endpoint": token});
    network.put(
        "https://as.example/.well-known/openid-configuration/t",
        200,
        &document("https://as.example/2"),
    );
    network.put(
        "https://as.example/t/.well-known/openid-configuration",
        200,
        &document("https://as.example/3"),
    );
    let discovery = Discovery { fetch: &*network, reach: &REACH };
    let found = discovery.authority("https://as.example/t").await.unwrap();
    assert_eq!(found.token_endpoint.as_str(), "https://as.example/2");
    assert_eq!(found.methods, ["client_secret_basic"], "what is meant where nothing is said");
    for issuer in ["https://as.example/?q", "https://as.example/#f", "http://as.example", "ftp://as.example"]
    {
        assert!(discovery.authority(issuer).await.is_err(), "{issuer}");
    }
    // Broken is not absent: nothing else is tried in its place.
    let broken = Network::new();
    broken.put("https://as.example/.well-known/oauth-authorization-server/t", 503, &json!({}));
    broken.put(
        "https://as.example/t/.well-known/openid-configuration",
        200,
        &document("https://as.example/3"),
    );
    assert!(Discovery { fetch: &*broken, reach: &REACH }.authority("https://as.example/t").await.is_err());
}

#[test]
fn a_resource_has_one_name() {
    assert_eq!(identifier(&server("/")), "https://server.example");
    assert_eq!(identifier(&server("/mcp/?a=b#c")), "https://server.example/mcp/?a=b");
}
