//! `endpoints.*.auth.issuers`.

use super::{Checker, address, scopes, words};
use crate::expansion::resolve;
use crate::file::{self, KUBERNETES_CA, KUBERNETES_ISSUER, KUBERNETES_JWKS, KUBERNETES_TOKEN};
use crate::model::{Algorithm, ClaimPaths, Introspection, Issuer, KeySource};
use crate::report::quote;
use crate::tree::Path;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// Largest leeway: more would make the times in tokens mean little.
const LARGEST_LEEWAY: Duration = Duration::from_secs(300);

pub(super) fn issuers(
    checker: &mut Checker<'_>,
    here: &Path,
    written: Vec<file::Issuer>,
    resource: Option<&str>,
) -> Vec<Issuer> {
    let mut issuers: Vec<Issuer> = Vec::with_capacity(written.len());
    for (index, written) in written.into_iter().enumerate() {
        let here = here.index(index);
        let Some(issuer) = issuer(checker, &here, written, resource) else {
            continue;
        };
        if issuers.iter().any(|earlier| earlier.issuer == issuer.issuer) {
            checker.error(checker.at_key(&here, "the issuer stands in the list already"));
        }
        let opaque = |issuer: &Issuer| issuer.introspection.as_ref().is_some_and(|asking| asking.opaque);
        if opaque(&issuer) && issuers.iter().any(opaque) {
            let finding = checker.at_key(
                &here.key("introspection"),
                "another issuer is asked about tokens that weir cannot read, and they do not tell whose they are",
            );
            checker.error(finding.help("give one of the two `opaque: false`"));
        }
        issuers.push(issuer);
    }
    issuers
}

fn issuer(
    checker: &mut Checker<'_>,
    here: &Path,
    written: file::Issuer,
    resource: Option<&str>,
) -> Option<Issuer> {
    let (name, cluster) = match (written.issuer.clone(), written.kubernetes) {
        (Some(name), None) => (name, None),
        (None, Some(cluster)) => (String::new(), Some(cluster)),
        (Some(_), Some(_)) => {
            let finding = checker
                .at_key(&here.key("kubernetes"), "an issuer has either `issuer` or `kubernetes`, not both");
            checker.error(finding.help("make two of it, or write the cluster's name as `kubernetes.issuer`"));
            return None;
        }
        (None, None) => {
            let finding = checker.at_key(here, "an issuer needs `issuer` or `kubernetes`");
            checker.error(
                finding.help("`issuer` names a provider, `kubernetes` the cluster's service accounts"),
            );
            return None;
        }
    };
    if let Some(written) = &written.audiences {
        words(checker, &here.key("audiences"), written, "audience");
    }
    if let Some(written) = &written.clients {
        words(checker, &here.key("clients"), written, "client");
    }
    if let Some(written) = &written.scopes {
        scopes(checker, &here.key("scopes"), written);
    }
    if written.algorithms.as_ref().is_some_and(Vec::is_empty) {
        let finding = checker.at_key(&here.key("algorithms"), "the list holds no algorithm");
        checker.error(finding.help("leave it out for the default"));
    }
    let leeway = written.leeway.map_or(Issuer::LEEWAY, |leeway| leeway.0);
    if leeway > LARGEST_LEEWAY {
        checker.error(checker.at(&here.key("leeway"), "may be at most `5m`"));
    }
    let private = written.private.unwrap_or(false);
    let common = Issuer {
        issuer: name,
        keys: KeySource::Discovery,
        audiences: written.audiences.clone().unwrap_or_else(|| resource.map(audiences).unwrap_or_default()),
        algorithms: written.algorithms.unwrap_or_else(|| Algorithm::DEFAULT.to_vec()),
        clients: written.clients.unwrap_or_default(),
        scopes: written.scopes.unwrap_or_default(),
        leeway,
        claims: claims(checker, &here.key("claims"), written.claims),
        introspection: written
            .introspection
            .map(|written| introspection(checker, &here.key("introspection"), written, private)),
        private,
        ca: written.ca.as_ref().map(|written| checker.existing_file(&here.key("ca"), written)),
    };
    match cluster {
        None => {
            identifier(checker, &here.key("issuer"), &common.issuer, private);
            let keys = match written.jwks {
                Some(url) => {
                    address(checker, &here.key("jwks"), &url, private);
                    KeySource::Url(url)
                }
                None => KeySource::Discovery,
            };
            Some(Issuer { keys, ..common })
        }
        Some(cluster) => {
            // What the cluster's own section says, and what its tokens do not have.
            let misplaced = [
                ("audiences", written.audiences.is_some()),
                ("jwks", written.jwks.is_some()),
                ("clients", !common.clients.is_empty()),
                ("scopes", !common.scopes.is_empty()),
                ("claims", common.claims != ClaimPaths::default()),
                ("introspection", common.introspection.is_some()),
                ("private", private),
                ("ca", written.ca.is_some()),
            ];
            for (key, _) in misplaced.iter().filter(|(_, present)| *present) {
                let message = format!("`{key}` fits a provider with `issuer`; this is a cluster");
                checker.error(checker.at_key(&here.key(key), message));
            }
            Some(of_cluster(checker, &here.key("kubernetes"), cluster, common))
        }
    }
}

/// What tokens may be meant for by default: the resource. One without a path has two spellings, which mean the same (RFC 3986
/// section 6.2.3), and clients ask for either.
fn audiences(resource: &str) -> Vec<String> {
    let bare = resource.strip_suffix('/').unwrap_or(resource);
    if Url::parse(resource).is_ok_and(|url| url.path() == "/") {
        return vec![bare.to_owned(), format!("{bare}/")];
    }
    vec![resource.to_owned()]
}

fn of_cluster(checker: &mut Checker<'_>, here: &Path, written: file::Kubernetes, common: Issuer) -> Issuer {
    let file::Kubernetes { audiences, issuer, jwks, ca, token } = written;
    words(checker, &here.key("audiences"), &audiences, "audience");
    if let Some(issuer) = &issuer {
        identifier(checker, &here.key("issuer"), issuer, true);
    }
    if let Some(jwks) = &jwks {
        address(checker, &here.key("jwks"), jwks, true);
    }
    // The defaults exist in a cluster only: a file that is checked elsewhere is in order without them.
    let mut file = |key: &str, written: Option<String>, default: &str| match written {
        Some(written) => checker.existing_file(&here.key(key), &written),
        None => resolve(checker.folder, default),
    };
    let ca: PathBuf = file("ca", ca, KUBERNETES_CA);
    let token = file("token", token, KUBERNETES_TOKEN);
    Issuer {
        issuer: issuer.unwrap_or_else(|| KUBERNETES_ISSUER.to_owned()),
        keys: KeySource::Kubernetes { url: jwks.unwrap_or_else(|| KUBERNETES_JWKS.to_owned()), token },
        audiences,
        // The API server's address is a private one wherever it is.
        private: true,
        ca: Some(ca),
        ..common
    }
}

/// Reports what cannot be the name of an issuer: RFC 8414 section 2.
fn identifier(checker: &mut Checker<'_>, here: &Path, text: &str, private: bool) {
    address(checker, here, text, private);
    if Url::parse(text).is_ok_and(|url| url.query().is_some()) {
        checker.error(checker.at(here, "an issuer's name must not hold `?`"));
    }
}

fn claims(checker: &mut Checker<'_>, here: &Path, written: Option<file::Claims>) -> ClaimPaths {
    let file::Claims { groups, roles, email } = written.unwrap_or_default();
    for (key, path) in [("groups", &groups), ("roles", &roles), ("email", &email)] {
        if path.as_ref().is_some_and(|path| path.split('.').any(str::is_empty) && !path.contains("://")) {
            let finding = checker.at(&here.key(key), "expected a claim's name, or names joined by dots");
            checker.error(finding.help(format!("write it like {}", quote("realm_access.roles"))));
        }
    }
    let default = ClaimPaths::default();
    ClaimPaths {
        groups: groups.unwrap_or(default.groups),
        roles: roles.unwrap_or(default.roles),
        email: email.unwrap_or(default.email),
    }
}

fn introspection(
    checker: &mut Checker<'_>,
    here: &Path,
    written: file::Introspection,
    private: bool,
) -> Introspection {
    let file::Introspection { url, client_id, client_secret, method, opaque, cache, every } = written;
    if let Some(url) = &url {
        address(checker, &here.key("url"), url, private);
    }
    if every.is_some_and(|every| every.0.is_zero()) {
        let finding = checker.at(&here.key("every"), "must be more than 0");
        checker.error(finding.help("leave it out to ask never"));
    }
    let opaque = opaque.unwrap_or(Introspection::OPAQUE);
    if !opaque && every.is_none() {
        let finding =
            checker.at_key(here, "nothing would ever be asked: `opaque` is `false` and `every` is missing");
        checker.error(finding.help("leave out `introspection`, or say `every`"));
    }
    Introspection {
        url,
        client_id,
        client_secret: client_secret.0,
        method: method.unwrap_or_default(),
        opaque,
        cache: cache.map_or(Introspection::CACHE, |cache| cache.0),
        every: every.map(|every| every.0),
    }
}
