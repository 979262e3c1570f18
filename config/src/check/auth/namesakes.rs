//! Callers who have the same name at several endpoints. Who calls is known by who vouches for it and by a name, wherever that is.

use super::Checker;
use crate::model::{Endpoint, Issuer, KeySource};
use crate::report::quote;
use crate::tree::Path;
use std::collections::HashMap;

/// Reports keys of one name that are not the same key, and issuers of one name whose keys are not in the same place, or who are
/// not asked in the same place about opaque tokens: the callers of one endpoint would pass for those of another.
pub(in crate::check) fn check(checker: &mut Checker<'_>, endpoints: &[Endpoint]) {
    let (mut keys, mut issuers, mut asked) = (HashMap::new(), HashMap::new(), HashMap::new());
    for endpoint in endpoints {
        let here = Path::root("endpoints").key(&endpoint.name).key("auth");
        for (index, key) in endpoint.auth.api_keys.iter().enumerate() {
            let (first, digest) = *keys.entry(&key.name).or_insert((&endpoint.name, key.sha256));
            // Those of one endpoint have been compared already.
            if *first != endpoint.name && digest != key.sha256 {
                let message = format!("the endpoint {} has another key of this name", quote(first));
                let here = here.key("api_keys").index(index).key("name");
                let advice = "give one of the two another name: both would be the same caller";
                checker.error(checker.at(&here, message).help(advice));
            }
        }
        for (index, issuer) in endpoint.auth.issuers.iter().enumerate() {
            let (first, place) = *issuers.entry(&issuer.issuer).or_insert((&endpoint.name, keys_of(issuer)));
            if *first != endpoint.name && place != keys_of(issuer) {
                let message =
                    format!("the endpoint {} has the keys of this issuer from elsewhere", quote(first));
                let finding = checker.at_key(&here.key("issuers").index(index), message);
                checker.error(finding.help(
                    "say the same of where its keys are: callers of both would be the same where they are called the same",
                ));
            }
            let Some(introspection) = issuer.introspection.as_ref().filter(|asking| asking.opaque) else {
                continue;
            };
            let url = &introspection.url;
            let (first, place) = *asked.entry(&issuer.issuer).or_insert((&endpoint.name, url));
            if *first != endpoint.name && place != url {
                let message =
                    format!("the endpoint {} asks elsewhere about this issuer's tokens", quote(first));
                let finding = checker.at_key(&here.key("issuers").index(index), message);
                checker.error(finding.help(
                    "say the same of `introspection.url`: callers of both would be the same where they are called the same",
                ));
            }
        }
    }
}

/// Where an issuer's keys are; none where its metadata says it.
fn keys_of(issuer: &Issuer) -> Option<&str> {
    match &issuer.keys {
        KeySource::Discovery => None,
        KeySource::Url(url) | KeySource::Kubernetes { url, .. } => Some(url),
    }
}
