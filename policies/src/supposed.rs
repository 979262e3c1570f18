//! Callers as claims describe them, without any proof: for trying policies out.

use crate::identity::claims;
use crate::{Principal, Profile, Rejection};
use serde_json::{Map, Value, json};
use std::time::{Duration, SystemTime};
use weir_config::Auth;

/// Who vouches for a caller whose claims name nobody.
const NOBODY: &str = "supposed";

/// The caller whom claims describe at an endpoint that finds out who calls like this. Nothing proves that they are true, so
/// it must not be used for more than trying policies out. What a token has to say beside and does not is filled in.
///
/// # Errors
/// The claims name an issuer of the endpoint which would refuse a token that says this.
pub fn supposed(auth: &Auth, mut claims: Map<String, Value>) -> Result<Principal, Rejection> {
    let named = claims.get("iss").and_then(Value::as_str);
    let issuer = match (named, auth.issuers.as_slice()) {
        (Some(name), issuers) => issuers.iter().find(|issuer| issuer.issuer == name),
        (None, [sole]) => Some(sole),
        (None, _) => None,
    };
    let Some(issuer) = issuer else {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let words = |name: &str| -> Vec<String> {
            match claims.get(name) {
                Some(Value::String(words)) => words.split(' ').map(str::to_owned).collect(),
                Some(Value::Array(words)) => {
                    words.iter().filter_map(Value::as_str).map(str::to_owned).collect()
                }
                _ => Vec::new(),
            }
        };
        let profile = Profile {
            email: text("email"),
            client: text("azp").or_else(|| text("client_id")),
            groups: words("groups"),
            roles: words("roles"),
            scopes: words("scope"),
            ..Profile::default()
        };
        let (name, subject) = (text("iss"), text("sub").unwrap_or_default());
        return Ok(Principal::with(
            name.as_deref().unwrap_or(NOBODY),
            &subject,
            Profile { claims, ..profile },
        ));
    };
    claims.entry("iss").or_insert_with(|| json!(issuer.issuer));
    claims.entry("sub").or_insert_with(|| json!(NOBODY));
    claims.entry("aud").or_insert_with(|| json!(issuer.audiences));
    let now = SystemTime::now();
    let ends = now.checked_add(Duration::from_secs(3600));
    Ok(claims::principal(issuer, claims, now, ends)?.of(issuer))
}
