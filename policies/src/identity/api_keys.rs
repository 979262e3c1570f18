//! Keys that weir itself knows, by their digests.

use super::claims::invalid;
use crate::principal::Proof;
use crate::{Principal, Profile, Rejection};
use ring::digest::{SHA256, digest};
use secrecy::SecretString;
use std::hint::black_box;
use std::time::SystemTime;
use weir_config::ApiKey;

/// What every key begins with that weir makes, and what tells them from tokens.
pub(crate) const PREFIX: &str = "weir_";
/// Longest key, in bytes.
const LONGEST: usize = 1024;

/// The system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers")]
pub struct NoRandomness;

/// A new key; the second is its digest in hexadecimal digits, which the configuration holds.
///
/// # Errors
/// There is no randomness.
pub fn new_api_key() -> Result<(SecretString, String), NoRandomness> {
    use base64::Engine;
    let bytes = ring::rand::generate::<[u8; 32]>(&ring::rand::SystemRandom::new())
        .map_err(|_| NoRandomness)?
        .expose();
    let key = format!("{PREFIX}{}", base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes));
    let sha256 = digest(&SHA256, key.as_bytes()).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((SecretString::from(key), sha256))
}

/// Whose key it is. All are compared, and each to its end: how long that takes tells nothing.
pub(crate) fn principal(keys: &[ApiKey], key: &[u8], now: SystemTime) -> Result<Principal, Rejection> {
    if key.len() > LONGEST {
        return Err(invalid("the API key is longer than any"));
    }
    let given = digest(&SHA256, key);
    let mut found = None;
    for known in keys {
        if equal(&known.sha256, given.as_ref()) {
            found = Some(known);
        }
    }
    let key = found.ok_or_else(|| invalid("there is no such API key"))?;
    if key.expires.is_some_and(|end| end <= now) {
        return Err(invalid(format_args!("the API key `{}` has ended", key.name)));
    }
    Ok(of(key))
}

/// The holder of a key.
fn of(key: &ApiKey) -> Principal {
    let profile = Profile {
        groups: key.groups.clone(),
        roles: key.roles.clone(),
        scopes: key.scopes.clone(),
        until: key.expires,
        ..Profile::default()
    };
    Principal::with(Principal::API_KEYS, &key.name, profile).proved(Proof::ApiKey(key.sha256))
}

/// Whether a caller's key is still there, and good for as long as it was when the caller came.
pub(crate) fn vouch(keys: &[ApiKey], principal: &Principal, now: SystemTime) -> bool {
    let Some(Proof::ApiKey(sha256)) = principal.proof() else {
        return false;
    };
    let good = |key: &ApiKey| {
        let lasts = |end: SystemTime| end > now && principal.until().is_some_and(|until| until <= end);
        key.name == principal.subject() && equal(&key.sha256, sha256) && key.expires.is_none_or(lasts)
    };
    keys.iter().any(good)
}

/// Compares to the end, wherever they differ.
fn equal(known: &[u8], given: &[u8]) -> bool {
    let different = known.iter().zip(given).fold(0, |sum, (a, b)| black_box(sum | (a ^ b)));
    known.len() == given.len() && different == 0
}

/// Whether a caller is the holder of this key as it is described now.
pub(crate) fn describes(key: &ApiKey, principal: &Principal) -> bool {
    let now = of(key);
    let same = (now.groups(), now.roles(), now.scopes())
        == (principal.groups(), principal.roles(), principal.scopes());
    now == *principal && same
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;
    use std::time::Duration;

    #[test]
    fn a_new_key_opens_and_no_other() {
        let (key, sha256) = new_api_key().unwrap();
        let key = key.expose_secret();
        assert!(key.starts_with(PREFIX) && key.len() == PREFIX.len() + 43, "{key}");
        let mut bytes = [0; 32];
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&sha256[2 * at..2 * at + 2], 16).unwrap();
        }
        let now = SystemTime::now();
        let known = ApiKey {
            name: "ci".to_owned(),
            sha256: bytes,
            groups: vec!["g".to_owned()],
            roles: Vec::new(),
            scopes: Vec::new(),
            expires: Some(now + Duration::from_secs(1)),
        };
        let other = ApiKey { name: "other".to_owned(), sha256: [0; 32], ..known.clone() };
        let keys = [other, known];
        let open = |key: &str, now| principal(&keys, key.as_bytes(), now).map(|who| who.subject().to_owned());
        assert_eq!(open(key, now).as_deref(), Ok("ci"));
        assert!(open(key, now + Duration::from_secs(1)).is_err());
        for wrong in [
            "",
            PREFIX,
            &sha256,
            &key[..key.len() - 1],
            &format!("{key}A"),
            &key.to_uppercase(),
            &"x".repeat(5000),
        ] {
            assert!(open(wrong, now).is_err(), "{wrong}");
        }
    }
}
