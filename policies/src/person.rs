//! People at a browser.

use crate::identity::{claims, strict};
use crate::{Principal, Rejection};
use weir_config::Issuer;

/// Who logged in at an issuer, by the claims of its ID token as they came: with groups, roles and an address where it says
/// them, without scopes and a client, which are those of tokens for calls. That the login is good is for others to find out.
///
/// # Errors
/// They name nobody whom the issuer's tokens could name, or can be read in two ways.
pub fn person(issuer: &Issuer, claims: &[u8]) -> Result<Principal, Rejection> {
    let claims =
        strict::object(claims).ok_or_else(|| claims::invalid("the token's claims cannot be read"))?;
    claims::person(issuer, claims)
}
