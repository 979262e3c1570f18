//! Callers as the policies see them: only what some policy reads. What is kept of decisions is kept for a class, and is made
//! of nothing but the class.

use super::reads::{Names, Reads};
use crate::Principal;
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeMap;
use weir_config::ClaimKind;

/// A caller's class.
#[derive(Debug, Clone)]
pub(crate) struct Class<'p> {
    /// The caller's id, where a policy names it; else empty.
    pub(crate) id: String,
    pub(crate) groups: Vec<&'p str>,
    pub(crate) roles: Vec<&'p str>,
    pub(crate) scopes: Vec<&'p str>,
    /// `sub`, `iss`, `email` and `client`, where a policy reads them and where they are known.
    pub(crate) attributes: Vec<(&'static str, &'p str)>,
    /// Claims that a policy reads, with what they are meant to be.
    pub(crate) claims: Vec<(&'p str, ClaimKind, &'p Value)>,
}

impl<'p> Class<'p> {
    /// The class of a caller before policies that read this, and these claims.
    pub(crate) fn of(
        reads: &Reads,
        claims: &'p BTreeMap<String, ClaimKind>,
        principal: &'p Principal,
    ) -> Self {
        let matters = |names: &Names, own: &'p [String]| -> Vec<&'p str> {
            own.iter().map(String::as_str).filter(|name| names.matters(name)).collect()
        };
        let known = [
            ("sub", Some(principal.subject())),
            ("iss", Some(principal.issuer())),
            ("email", principal.email()),
            ("client", principal.client()),
        ];
        let named = match &reads.subjects {
            Names::Some(names) if names.is_empty() => None,
            names => Some(id(principal)).filter(|id| names.matters(id)),
        };
        let claim = |(name, kind): (&'p String, &ClaimKind)| {
            let value = principal.claims().get(name).filter(|value| !value.is_null())?;
            reads.claims.matters(name).then_some((name.as_str(), *kind, value))
        };
        Self {
            id: named.unwrap_or_default(),
            groups: matters(&reads.groups, principal.groups()),
            roles: matters(&reads.roles, principal.roles()),
            scopes: matters(&reads.scopes, principal.scopes()),
            attributes: known
                .into_iter()
                .filter(|(name, _)| reads.attributes.contains(*name))
                .filter_map(|(name, value)| Some((name, value?)))
                .collect(),
            claims: claims.iter().filter_map(claim).collect(),
        }
    }

    /// Bytes that are equal for equal classes and for no others.
    pub(crate) fn key(&self) -> Vec<u8> {
        let mut key = Vec::with_capacity(256);
        put(&mut key, &self.id);
        for names in [&self.groups, &self.roles, &self.scopes] {
            count(&mut key, names.len());
            names.iter().for_each(|name| put(&mut key, name));
        }
        count(&mut key, self.attributes.len());
        for (name, value) in &self.attributes {
            put(&mut key, name);
            put(&mut key, value);
        }
        count(&mut key, self.claims.len());
        for (name, _, value) in &self.claims {
            put(&mut key, name);
            put(&mut key, &value.to_string());
        }
        key
    }
}

/// Appends a text so that what follows cannot be taken for a part of it.
pub(crate) fn put(key: &mut Vec<u8>, text: &str) {
    count(key, text.len());
    key.extend_from_slice(text.as_bytes());
}

pub(crate) fn count(key: &mut Vec<u8>, count: usize) {
    key.extend_from_slice(&(count as u64).to_le_bytes());
}

/// The id of a caller in policies: `ISSUER#SUBJECT`. An issuer's own `#` is escaped, so that no two callers have one id.
pub(crate) fn id(principal: &Principal) -> String {
    if principal.issuer().is_empty() && principal.subject() == "anonymous" {
        return principal.subject().to_owned();
    }
    let issuer: Cow<'_, str> = match principal.issuer() {
        issuer if issuer.contains(['#', '%']) => issuer.replace('%', "%25").replace('#', "%23").into(),
        issuer => issuer.into(),
    };
    format!("{issuer}#{}", principal.subject())
}
