//! Who is at a browser: a login at an OpenID provider.
//!
//! S: OpenID Connect Core 1.0 sections 3.1.2 and 3.1.3.

use super::authorization::{Answer, Departure, Plan};
use super::discovery::{Authority, Discovery};
use super::error::OauthError;
use super::grant::seconds;
use super::registration::Client;
use super::token::Endpoint;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::SystemTime;
use url::Url;
use weir_policies::{Fetch, Principal, Reach};

/// How far the provider's clock may be behind, in seconds.
const LEEWAY: u64 = 60;
/// The longest name of a user, in bytes (OpenID Connect Core 1.0 section 2): a longer one makes cookies that browsers drop.
const LONGEST_NAME: usize = 255;

/// weir at the provider where users log in.
#[derive(Debug)]
pub struct Login<'a> {
    /// What is configured.
    pub spec: &'a weir_config::Login,
    /// How the network is reached.
    pub fetch: &'a dyn Fetch,
    /// What of it may be reached.
    pub reach: &'a Reach,
}

/// What a browser has to bring back from a login, and nobody else is to know: whoever keeps it lets nobody read it.
#[derive(Clone, Serialize, Deserialize)]
pub struct LoginSecrets {
    /// What weir shows to get the token (RFC 7636), of 43 to 128 letters of the URL-safe base64 alphabet.
    #[serde(rename = "v")]
    pub verifier: String,
    /// What the token has to name.
    #[serde(rename = "n")]
    pub nonce: String,
}

impl fmt::Debug for LoginSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LoginSecrets")
    }
}

/// What a provider says of who logged in.
#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: u64,
    nonce: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Login<'_> {
    /// What the provider says of itself.
    ///
    /// # Errors
    /// It cannot be found out.
    pub async fn authority(&self) -> Result<Authority, OauthError> {
        Discovery { fetch: self.fetch, reach: self.reach }.authority(&self.spec.issuer).await
    }

    /// Where the browser is sent to at the provider, which says `authority` of itself, to come back to `redirect`.
    ///
    /// # Errors
    /// The provider cannot be used.
    pub fn depart(
        &self,
        authority: Authority,
        redirect: &str,
        state: &str,
        secrets: &LoginSecrets,
    ) -> Result<Url, OauthError> {
        let mut url = self.departure(authority, redirect, secrets)?.url(state)?;
        url.query_pairs_mut().append_pair("nonce", &secrets.nonce);
        Ok(url)
    }

    fn departure(
        &self,
        authority: Authority,
        redirect: &str,
        secrets: &LoginSecrets,
    ) -> Result<Departure, OauthError> {
        let own = weir_config::OauthClient {
            issuer: self.spec.issuer.clone(),
            id: self.spec.client_id.clone(),
            secret: self.spec.client_secret.clone(),
        };
        let client = Client::configured(&own, &authority, redirect)?;
        let mut scopes = vec!["openid".to_owned()];
        scopes.extend(self.spec.scopes.iter().filter(|scope| *scope != "openid").cloned());
        let plan = Plan { authority, client, resource: String::new(), scopes };
        Ok(Departure::with(plan, &secrets.verifier))
    }

    /// What the provider says of who logged in, by what the browser brings back: the claims of its ID token, as they came.
    ///
    /// # Errors
    /// The answer is not what it must be, or says nothing of who it was.
    pub async fn arrive(
        &self,
        authority: Authority,
        redirect: &str,
        secrets: &LoginSecrets,
        answer: Answer,
    ) -> Result<Vec<u8>, OauthError> {
        let departure = self.departure(authority, redirect, secrets)?;
        let code = departure.code(answer)?;
        let endpoint = Endpoint { fetch: self.fetch, reach: self.reach };
        let token = endpoint.identify(&departure, code).await?;
        // It comes from the provider itself, over the connection by which weir asked for it, so that its signature would say
        // nothing more (section 3.1.3.7, rule 6).
        let nameless = || OauthError::Answer("it does not say who logged in");
        let payload = payload(&token).ok_or_else(nameless)?;
        let claims = serde_json::from_slice(&payload).map_err(|_| nameless())?;
        self.judge(&claims, &secrets.nonce, SystemTime::now())?;
        Ok(payload)
    }

    fn judge(&self, claims: &Claims, nonce: &str, now: SystemTime) -> Result<(), OauthError> {
        let own = &self.spec.client_id;
        let (meant, alone) = match &claims.aud {
            Audience::One(audience) => (audience == own, true),
            Audience::Many(audiences) => (audiences.contains(own), audiences.len() == 1),
        };
        let acts = claims.azp.as_ref().map_or(alone, |azp| azp == own);
        let fresh = claims.exp.saturating_add(LEEWAY) > seconds(now);
        let ours = claims.nonce.as_deref() == Some(nonce);
        let named = !claims.sub.is_empty() && claims.sub.len() <= LONGEST_NAME;
        // A grant is kept under this name, and calls with a token of that name find it.
        let named = named && !Principal::is_client_alone(&claims.sub);
        if claims.iss != self.spec.issuer || !meant || !acts || !fresh || !ours || !named {
            return Err(OauthError::Answer("it is about another login"));
        }
        Ok(())
    }
}

/// What stands in a token.
fn payload(token: &str) -> Option<Vec<u8>> {
    let mut parts = token.split('.');
    let (_, payload, _) = (parts.next()?, parts.next()?, parts.next()?);
    URL_SAFE_NO_PAD.decode(payload).ok().filter(|_| parts.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{ISSUER, Network, TOKEN, authority, form, query};
    use super::*;
    use serde_json::{Value, json};
    use std::time::Duration;

    const REACH: Reach = Reach { private: false, ca: None, deadline: Duration::from_secs(1) };

    fn token(claims: &Value) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()))
    }

    async fn log_in(answered: Value) -> Result<String, OauthError> {
        let network = Network::new();
        network.put("https://as.example/.well-known/oauth-authorization-server", 200, &authority(json!({})));
        network.put(TOKEN, 200, &answered);
        let spec = weir_config::Login {
            issuer: ISSUER.to_owned(),
            client_id: "weir".to_owned(),
            client_secret: Some(weir_config::Secret::new("s".to_owned())),
            scopes: vec!["profile".to_owned()],
        };
        let login = Login { spec: &spec, fetch: &*network, reach: &REACH };
        let known = login.authority().await.unwrap();
        let secrets = LoginSecrets { verifier: "v".repeat(43), nonce: "n1".to_owned() };
        assert!(!format!("{secrets:?}").contains("n1"));
        let url = login.depart(known.clone(), "https://weir.example/l", "st", &secrets).unwrap();
        let query = query(&url);
        assert_eq!((&*query["scope"], &*query["nonce"]), ("openid profile", "n1"));
        assert!(!query.contains_key("resource") && query.contains_key("code_challenge"));
        let answer = Answer { code: Some("c".to_owned()), ..Answer::default() };
        let found = login.arrive(known, "https://weir.example/l", &secrets, answer).await;
        let sent = form(&network.sent(TOKEN)[0]);
        assert_eq!((&sent["code_verifier"], &*sent["client_secret"]), (&secrets.verifier, "s"));
        assert!(!sent.contains_key("resource"));
        found.map(|claims| serde_json::from_slice::<Claims>(&claims).unwrap().sub)
    }

    #[tokio::test]
    async fn who_logged_in_is_known_by_what_the_provider_says() {
        let good =
            json!({"iss": ISSUER, "sub": "ada", "aud": "weir", "exp": 9_999_999_999_u64, "nonce": "n1"});
        let with = |key: &str, value: Value| {
            let mut claims = good.clone();
            claims[key] = value;
            json!({"access_token": "a", "token_type": "Bearer", "id_token": token(&claims)})
        };
        assert_eq!(log_in(with("iat", json!(1))).await.unwrap(), "ada");
        assert_eq!(log_in(with("exp", json!(u64::MAX))).await.unwrap(), "ada");
        assert_eq!(log_in(with("sub", json!("a".repeat(255)))).await.unwrap().len(), 255);
        let mut many = good.clone();
        many["azp"] = json!("weir");
        many["aud"] = json!(["weir", "x"]);
        let answered = json!({"access_token": "a", "token_type": "Bearer", "id_token": token(&many)});
        assert_eq!(log_in(answered).await.unwrap(), "ada");
        for (key, wrong) in [
            ("iss", json!("https://as.example/")),
            ("sub", json!("")),
            ("sub", json!(null)),
            ("sub", json!("a".repeat(256))),
            ("sub", json!("client_id:agent")),
            ("aud", json!("other")),
            ("aud", json!(["weir", "other"])),
            ("azp", json!("other")),
            ("exp", json!(1)),
            ("exp", json!("9999999999")),
            ("nonce", json!("n2")),
            ("nonce", json!(null)),
        ] {
            assert!(log_in(with(key, wrong.clone())).await.is_err(), "{key}: {wrong}");
        }
        for id_token in
            [json!(null), json!(""), json!("a.b"), json!("e30.!.c"), json!(format!("{}.x", token(&good)))]
        {
            let answered = json!({"access_token": "a", "token_type": "Bearer", "id_token": id_token});
            assert!(log_in(answered).await.is_err(), "{id_token}");
        }
    }
}
