//! What a token says, held against what its issuer's configuration asks for.

use crate::{Principal, Profile, Rejection, RejectionKind};
use serde_json::{Map, Value};
use std::time::{Duration, SystemTime};
use weir_config::Issuer;

/// Longest subject, in bytes.
const LONGEST_SUBJECT: usize = 1024;
/// Claims that name a user: what has one and no subject is not a client's own token.
const OF_USERS: [&str; 4] = ["username", "preferred_username", "email", "upn"];
/// Largest number of seconds since 1970 that is a time: in the year 9999.
const LATEST: f64 = 253_402_300_799.0;
/// Claims that ID tokens have and access tokens do not (OpenID Connect Core sections 3.1.3.6 and 3.3.2.11).
const OF_ID_TOKENS: [&str; 3] = ["at_hash", "c_hash", "s_hash"];
/// What the group is called that all service accounts of a cluster are in, and those of one of its namespaces.
const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";

/// The claims of one token.
pub(crate) type Claims = Map<String, Value>;

/// Refuses a kind of token that is no access token: by its header, and by what only other kinds say.
///
/// What a header calls `at+jwt` is one (RFC 9068). `JWT` and nothing may be anything, so an ID token is told by its hashes, by a
/// `nonce` where the claims do not say that they are an access token's, and by the words that Keycloak and Cognito have for it.
pub(crate) fn kind(header: Option<&str>, claims: &Claims) -> Result<(), Rejection> {
    match header {
        Some("at+jwt") => return Ok(()),
        None | Some("jwt") => {}
        Some(_) => return Err(invalid("the token's header calls it something else than an access token")),
    }
    let word = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let (own, of_use) = (word("typ"), word("token_use"));
    let declared = own == "bearer" || of_use == "access";
    let other = (!own.is_empty() && own != "bearer" && own != "jwt" && own != "at+jwt")
        || (!of_use.is_empty() && of_use != "access")
        || OF_ID_TOKENS.iter().any(|name| claims.contains_key(*name))
        || (claims.contains_key("nonce") && !declared)
        || claims.contains_key("events");
    if other { Err(invalid("the token is not an access token")) } else { Ok(()) }
}

/// Whom an issuer's token stands for, its signature or the issuer's own word being good already.
///
/// `ends` is there where the issuer was asked, and taken where it does not say when the token ends; without it such a token is
/// refused, and so is one without a subject.
pub(crate) fn principal(
    issuer: &Issuer,
    claims: Claims,
    now: SystemTime,
    ends: Option<SystemTime>,
) -> Result<Profiled, Rejection> {
    let until = times(issuer, &claims, now, ends)?;
    described(issuer, claims, until, ends.is_some())
}

/// What a configuration makes of claims, whatever the time is; `asked` says that they are what the issuer answered.
pub(crate) fn described(
    issuer: &Issuer,
    claims: Claims,
    until: SystemTime,
    asked: bool,
) -> Result<Profiled, Rejection> {
    audience(issuer, &claims)?;
    let client = client(issuer, &claims)?;
    let scopes = scopes(&claims)?;
    let subject =
        if asked && !claims.contains_key("sub") { client_alone(&claims)? } else { subject(&claims)? };
    let bound = binding(&claims)?;
    let mut profile = Profile {
        email: email(issuer, &claims),
        client,
        groups: words(find(&claims, &issuer.claims.groups)),
        roles: words(find(&claims, &issuer.claims.roles)),
        scopes,
        until: Some(until),
        claims: Map::new(),
        ..Profile::default()
    };
    if issuer.is_kubernetes() {
        profile.groups = service_account(&subject, &claims)?;
    }
    let missing = issuer.scopes.iter().any(|scope| !profile.scopes.contains(scope));
    if missing {
        let kind = RejectionKind::Scopes(issuer.scopes.clone());
        return Err(Rejection::new(kind, "the token lacks a scope that every call needs"));
    }
    profile.claims = claims;
    Ok(Profiled { subject, profile, bound })
}

/// Whom an issuer's ID token stands for, the login that it comes from being good already: what it says of the person, and
/// nothing of a token for calls.
pub(crate) fn person(issuer: &Issuer, claims: Claims) -> Result<Principal, Rejection> {
    let subject = subject(&claims)?;
    let mut profile = Profile {
        email: email(issuer, &claims),
        groups: words(find(&claims, &issuer.claims.groups)),
        roles: words(find(&claims, &issuer.claims.roles)),
        ..Profile::default()
    };
    profile.claims = claims;
    Ok(Principal::with(&issuer.issuer, &subject, profile))
}

/// What a good token says.
#[derive(Debug)]
pub(crate) struct Profiled {
    pub(crate) subject: String,
    pub(crate) profile: Profile,
    /// The certificate that the token is bound to.
    pub(crate) bound: Option<[u8; 32]>,
}

impl Profiled {
    /// The caller.
    pub(crate) fn of(self, issuer: &Issuer) -> Principal {
        Principal::with(&issuer.issuer, &self.subject, self.profile)
    }
}

pub(crate) fn invalid(reason: impl std::fmt::Display) -> Rejection {
    Rejection::new(RejectionKind::Invalid, reason)
}

/// When the token ends, the leeway included; that moment and its beginning are held against the clock.
fn times(
    issuer: &Issuer,
    claims: &Claims,
    now: SystemTime,
    ends: Option<SystemTime>,
) -> Result<SystemTime, Rejection> {
    let expires =
        time(claims, "exp")?.or(ends).ok_or_else(|| invalid("the token does not say when it ends"))?;
    let until = expires.checked_add(issuer.leeway).unwrap_or(expires);
    if until <= now {
        return Err(invalid("the token has ended"));
    }
    let horizon = now.checked_add(issuer.leeway).unwrap_or(now);
    if time(claims, "nbf")?.is_some_and(|start| start > horizon) {
        return Err(invalid("the token is not good yet"));
    }
    if let Some(issued) = time(claims, "iat")? {
        if issued > horizon {
            return Err(invalid("the token was issued in the future"));
        }
        if issued > expires {
            return Err(invalid("the token ended before it was issued"));
        }
    }
    Ok(until)
}

/// A time of RFC 7519 section 2: seconds since 1970.
fn time(claims: &Claims, name: &str) -> Result<Option<SystemTime>, Rejection> {
    let Some(value) = claims.get(name) else {
        return Ok(None);
    };
    let seconds = value.as_f64().filter(|seconds| (0.0..=LATEST).contains(seconds));
    let seconds = seconds.ok_or_else(|| invalid(format!("the token's `{name}` is not a time")))?;
    Ok(SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs_f64(seconds)))
}

fn audience(issuer: &Issuer, claims: &Claims) -> Result<(), Rejection> {
    let meant = |audience: &Value| {
        audience.as_str().is_some_and(|text| issuer.audiences.iter().any(|own| own == text))
    };
    let meant = match claims.get("aud") {
        Some(Value::Array(several)) => several.iter().all(Value::is_string) && several.iter().any(meant),
        Some(one) => meant(one),
        None => return Err(invalid("the token does not say whom it is meant for")),
    };
    if meant { Ok(()) } else { Err(invalid("the token is meant for somebody else")) }
}

/// The OAuth client. Every claim that names one must name an allowed one.
fn client(issuer: &Issuer, claims: &Claims) -> Result<Option<String>, Rejection> {
    let mut client = None;
    // The last two are what Okta and older tokens of Entra have in their place.
    for name in ["client_id", "azp", "cid", "appid"] {
        match claims.get(name) {
            None => {}
            Some(Value::String(text)) if issuer.clients.is_empty() || issuer.clients.contains(text) => {
                client.get_or_insert_with(|| text.clone());
            }
            Some(Value::String(_)) => return Err(invalid("the token is of a client that is not allowed")),
            Some(_) => return Err(invalid("the token's client is not a text")),
        }
    }
    if client.is_none() && !issuer.clients.is_empty() {
        return Err(invalid("the token does not name its client"));
    }
    Ok(client)
}

/// Scopes: `scope` of RFC 8693 section 4.2, or `scp`; a text with blanks between them, or a list.
fn scopes(claims: &Claims) -> Result<Vec<String>, Rejection> {
    let mut scopes = Vec::new();
    for name in ["scope", "scp"] {
        match claims.get(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => {
                scopes.extend(text.split(' ').filter(|scope| !scope.is_empty()).map(str::to_owned))
            }
            Some(Value::Array(list)) if list.iter().all(Value::is_string) => {
                scopes.extend(list.iter().filter_map(Value::as_str).map(str::to_owned));
            }
            Some(_) => return Err(invalid(format!("the token's `{name}` is not a list of scopes"))),
        }
    }
    Ok(scopes)
}

/// The subject. A signed token has one (RFC 9068 section 2.2).
fn subject(claims: &Claims) -> Result<String, Rejection> {
    match claims.get("sub") {
        Some(Value::String(subject)) if !Principal::is_client_alone(subject) => {
            name(subject).map(str::to_owned)
        }
        Some(Value::String(_)) => Err(invalid("the token's subject looks like a client without one")),
        _ => Err(invalid("the token does not say whose it is")),
    }
}

/// Whom a token without a subject stands for: where nobody but the client itself is meant, RFC 7662 section 2.2 lets an issuer
/// leave the subject out.
fn client_alone(claims: &Claims) -> Result<String, Rejection> {
    match claims.get("client_id") {
        Some(Value::String(client)) if !OF_USERS.iter().any(|name| claims.contains_key(*name)) => {
            Ok(format!("{}{}", Principal::CLIENTS, name(client)?))
        }
        _ => Err(invalid("the token does not say whose it is")),
    }
}

fn name(text: &str) -> Result<&str, Rejection> {
    let plain = !text.is_empty() && text.len() <= LONGEST_SUBJECT && !text.chars().any(char::is_control);
    if plain { Ok(text) } else { Err(invalid("the token's subject is not a name")) }
}

/// The address, unless the issuer says that it has not verified it.
fn email(issuer: &Issuer, claims: &Claims) -> Option<String> {
    let verified = claims.get("email_verified").is_none_or(|word| word == true || word == "true");
    find(claims, &issuer.claims.email)?.as_str().filter(|_| verified).map(str::to_owned)
}

/// The certificate that a token is bound to: RFC 8705 section 3.1. A binding to anything else cannot be checked here, and a
/// token whose binding is not checked is not good.
fn binding(claims: &Claims) -> Result<Option<[u8; 32]>, Rejection> {
    use base64::Engine;
    let Some(binding) = claims.get("cnf") else {
        return Ok(None);
    };
    let only = binding.as_object().filter(|members| members.len() == 1);
    let thumbprint = only.and_then(|members| members.get("x5t#S256")).and_then(Value::as_str);
    let thumbprint =
        thumbprint.and_then(|text| base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok());
    match thumbprint.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        Some(fingerprint) => Ok(Some(fingerprint)),
        None => Err(invalid("the token is bound to a key in a way that is not known here")),
    }
}

/// The groups of a service account. A cluster vouches for nobody else.
fn service_account(subject: &str, claims: &Claims) -> Result<Vec<String>, Rejection> {
    let parts: Vec<&str> = subject.split(':').collect();
    let [system, kind, namespace, name] = parts[..] else {
        return Err(invalid("the token is not a service account's"));
    };
    if system != "system" || kind != "serviceaccount" || namespace.is_empty() || name.is_empty() {
        return Err(invalid("the token is not a service account's"));
    }
    // What the cluster says apart from the subject must be the same.
    let about = |pointer: &[&str]| {
        let mut at = claims.get("kubernetes.io");
        for name in pointer {
            at = at.and_then(|value| value.get(name));
        }
        at.cloned()
    };
    let differs = |value: Option<Value>, own: &str| value.is_some_and(|value| value != own);
    if differs(about(&["namespace"]), namespace) || differs(about(&["serviceaccount", "name"]), name) {
        return Err(invalid("the token names two service accounts"));
    }
    Ok(vec![SERVICE_ACCOUNTS.to_owned(), format!("{SERVICE_ACCOUNTS}:{namespace}")])
}

/// A claim by its name, or by names joined by dots on the way to it. A claim with dots in its own name comes first.
fn find<'c>(claims: &'c Claims, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let mut end = path.len();
    while let Some(dot) = path.get(..end).and_then(|start| start.rfind('.')) {
        let (first, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
        if let Some(found) = claims.get(first).and_then(Value::as_object).and_then(|inner| find(inner, rest))
        {
            return Some(found);
        }
        end = dot;
    }
    None
}

/// A list of words, or one. What is no text is no word.
fn words(value: Option<&Value>) -> Vec<String> {
    let owned = |word: &Value| word.as_str().filter(|word| !word.is_empty()).map(str::to_owned);
    match value {
        Some(Value::Array(list)) => list.iter().filter_map(owned).collect(),
        Some(one) => owned(one).into_iter().collect(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn claims_are_found_by_name_and_by_path() {
        let claims = json!({
            "groups": ["a"],
            "realm_access": {"roles": ["b"]},
            "resource_access": {"my.client": {"roles": ["c"]}},
            "https://x.y/groups": ["d"],
            "https://x": {"y/groups": ["never"]},
            "a": {"b": ["walked"], "b.c": {"d": "deep"}},
            "a.b": ["whole"],
        });
        let claims = claims.as_object().unwrap();
        for (path, expected) in [
            ("groups", json!(["a"])),
            ("realm_access.roles", json!(["b"])),
            ("resource_access.my.client.roles", json!(["c"])),
            ("https://x.y/groups", json!(["d"])),
            ("a.b", json!(["whole"])),
            ("a.b.c.d", json!("deep")),
        ] {
            assert_eq!(find(claims, path), Some(&expected), "{path}");
        }
        for path in ["", ".", "groups.0", "realm_access", "realm_access.", ".roles", "none.at.all"] {
            assert!(find(claims, path).is_none_or(|value| value.is_object()), "{path}");
        }
    }

    #[test]
    fn words_are_texts() {
        assert_eq!(words(Some(&json!(["a", 1, null, "", ["b"], "c"]))), ["a", "c"]);
        assert_eq!(words(Some(&json!("a b"))), ["a b"]);
        assert_eq!(words(Some(&json!({"a": 1}))), [""; 0]);
    }
}
