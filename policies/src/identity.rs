//! Proofs of who calls, one file for each kind and what they stand on.

pub(crate) mod api_keys;
pub(crate) mod budget;
pub(crate) mod certificates;
pub(crate) mod claims;
pub(crate) mod credential;
pub(crate) mod discovery;
pub(crate) mod flight;
pub(crate) mod introspection;
pub(crate) mod issuer;
pub(crate) mod jwks;
pub(crate) mod keys;
pub(crate) mod outage;
pub(crate) mod signature;
pub(crate) mod signing;
pub(crate) mod strict;
pub(crate) mod token;
pub(crate) mod verdicts;
