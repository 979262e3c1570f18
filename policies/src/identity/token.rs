//! Signed tokens in compact form (RFC 7515 section 3.1), read strictly: there is one way to write each.

use super::strict;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

/// Longest token, in bytes.
pub(crate) const LONGEST: usize = 16 << 10;
/// Longest header of a token, in bytes of its text.
const LONGEST_HEADER: usize = 4 << 10;
/// Longest name of a key, in bytes.
const LONGEST_KEY_ID: usize = 256;

/// A signed token as it is written. Nothing in it is to be believed before its signature was verified.
#[derive(Debug)]
pub struct Token<'t> {
    /// How the signature is said to be made.
    pub algorithm: String,
    /// By which key.
    pub key_id: Option<String>,
    /// What kind of token it says it is, in lower case and without `application/`.
    pub kind: Option<String>,
    /// What it says.
    pub claims: Map<String, Value>,
    /// What is signed.
    pub message: &'t str,
    /// The signature, in base64url.
    pub signature: &'t str,
}

/// A text is no token that weir reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is longer than any token may be.
    #[error("the token is longer than 16 KiB")]
    Long,
    /// It does not have three parts, none of them empty.
    #[error("the token does not have three parts")]
    Parts,
    /// A part is not in the one form that base64url has for it.
    #[error("a part of the token is not base64url in its only form")]
    Base64,
    /// The header is not a JSON object, holds a name twice, or is too large.
    #[error("the token's header is not an object with each name once")]
    Header,
    /// The claims are not a JSON object, hold a name twice, or are nested too deeply.
    #[error("the token's claims are not an object with each name once")]
    Claims,
    /// The header names no algorithm.
    #[error("the token's header names no algorithm")]
    Algorithm,
    /// The header names a key, a kind or the like in a way that cannot be.
    #[error("the token's header is malformed")]
    Malformed,
    /// The header asks for what weir does not know and must not ignore (RFC 7515 section 4.1.11).
    #[error("the token's header has critical extensions")]
    Critical,
    /// It is encrypted.
    #[error("the token is encrypted")]
    Encrypted,
}

impl<'t> Token<'t> {
    /// Reads a token. What its header says of where keys are (`jku`, `jwk`, `x5u`, `x5c`) is not even looked at.
    ///
    /// # Errors
    /// It is not a signed token, or not written as strictly as here: see [`TokenError`].
    pub fn read(text: &'t str) -> Result<Self, TokenError> {
        if text.len() > LONGEST {
            return Err(TokenError::Long);
        }
        let (message, signature) = text.rsplit_once('.').ok_or(TokenError::Parts)?;
        let (header, claims) = message.split_once('.').ok_or(TokenError::Parts)?;
        if header.is_empty() || claims.is_empty() || signature.is_empty() || claims.contains('.') {
            return Err(TokenError::Parts);
        }
        if header.len() > LONGEST_HEADER {
            return Err(TokenError::Header);
        }
        let part = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| TokenError::Base64);
        // Its form alone: what it holds is for whoever verifies it.
        part(signature)?;
        let header = strict::object(&part(header)?).ok_or(TokenError::Header)?;
        if header.contains_key("crit") {
            return Err(TokenError::Critical);
        }
        if ["enc", "zip", "epk", "p2s"].iter().any(|name| header.contains_key(*name)) {
            return Err(TokenError::Encrypted);
        }
        let algorithm = match header.get("alg") {
            Some(Value::String(algorithm)) => algorithm.clone(),
            _ => return Err(TokenError::Algorithm),
        };
        let key_id = text_of(&header, "kid")?;
        if key_id.as_ref().is_some_and(|id| id.is_empty() || id.len() > LONGEST_KEY_ID) {
            return Err(TokenError::Malformed);
        }
        let kind = text_of(&header, "typ")?.map(|kind| kind.to_ascii_lowercase());
        let kind = kind.map(|kind| kind.strip_prefix("application/").map_or(kind.clone(), str::to_owned));
        let claims = strict::object(&part(claims)?).ok_or(TokenError::Claims)?;
        Ok(Self { algorithm, key_id, kind, claims, message, signature })
    }
}

/// A text of the header, which is one where it is there.
fn text_of(header: &Map<String, Value>, name: &str) -> Result<Option<String>, TokenError> {
    match header.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(TokenError::Malformed),
    }
}

/// Whether a credential looks like a token with JSON inside, good or not: then nobody but its issuer may see it.
pub(crate) fn looks_signed(text: &str) -> bool {
    let Some((header, _)) = text.split_once('.') else {
        return false;
    };
    // As readers would that are less strict than weir.
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'+' | b'/');
    let start: Vec<u8> = header.bytes().filter(plain).take(32).collect();
    let whole = start.get(..start.len() & !3).unwrap_or_default();
    let decode = |engine: &base64::engine::GeneralPurpose| engine.decode(whole).unwrap_or_default();
    [decode(&URL_SAFE_NO_PAD), decode(&STANDARD_NO_PAD)]
        .iter()
        .any(|start| start.trim_ascii_start().starts_with(b"{"))
}
