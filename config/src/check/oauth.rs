//! `oauth`, `backends.*.auth.oauth` and `endpoints.*.auth.login`.

use super::{Checker, auth, credentials};
use crate::expansion::resolve;
use crate::file;
use crate::model::{GrantStore, Issuer, Login, Oauth, OauthClient, OauthLists, Secret};
use crate::report::quote;
use crate::tree::Path;
use url::Url;

/// Fewest characters of a store's key.
const SHORTEST_KEY: usize = 32;

/// Where grants are kept.
pub(super) fn store(
    checker: &mut Checker<'_>,
    here: &Path,
    written: file::OauthSettings,
) -> Option<GrantStore> {
    let written = written.store?;
    let here = here.key("store");
    if written.key.0.expose().chars().count() < SHORTEST_KEY {
        let finding =
            checker.at(&here.key("key"), format!("the key has fewer than {SHORTEST_KEY} characters"));
        checker.error(finding.help("make one with `openssl rand -base64 32`"));
    }
    let file = resolve(checker.folder, &written.file);
    if file.is_dir() || file.file_name().is_none() {
        checker.error(checker.at(&here.key("file"), "expected the path of a file"));
    }
    Some(GrantStore { file, key: written.key.0 })
}

/// How users connect a backend.
pub(super) fn oauth(
    checker: &mut Checker<'_>,
    here: &Path,
    written: file::Oauth,
    url: Option<&Url>,
) -> Option<Oauth> {
    let private = written.private.unwrap_or(false);
    let mut clients: Vec<OauthClient> = Vec::new();
    for (index, written) in written.clients.unwrap_or_default().into_iter().enumerate() {
        let here = here.key("clients").index(index);
        auth::address(checker, &here.key("issuer"), &written.issuer, private);
        if clients.iter().any(|earlier| earlier.issuer == written.issuer) {
            checker.error(checker.at(&here.key("issuer"), "the issuer stands in the list already"));
        }
        identifier(checker, &here, &written.client_id);
        let secret = written.client_secret.map(|secret| secret.0);
        clients.push(OauthClient { issuer: written.issuer, id: written.client_id, secret });
    }
    if let Some(scopes) = &written.scopes {
        auth::scopes(checker, &here.key("scopes"), scopes);
    }
    let document = written.document.and_then(|text| document(checker, &here.key("document"), &text));
    let lists = written.lists.unwrap_or_default();
    if lists == OauthLists::Granted && written.listing.is_some() {
        let finding = checker.at_key(&here.key("listing"), "`listing` does not fit `lists: granted`");
        checker.error(finding.help("the lists are asked for with one of the two"));
    }
    let listing = credentials::listing(checker, here, written.listing, url)?;
    Some(Oauth {
        clients,
        scopes: written.scopes.unwrap_or_default(),
        document,
        lists,
        listing,
        private,
        ca: written.ca.map(|written| checker.existing_file(&here.key("ca"), &written)),
    })
}

/// A URL that can be a client's id: `https`, with a path, and in the one form in which it is compared.
fn document(checker: &mut Checker<'_>, here: &Path, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok();
    let fits = |url: &Url| {
        let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        url.scheme() == "https" && url.path() != "/" && plain && url.as_str() == text
    };
    if url.as_ref().is_none_or(|url| !fits(url)) {
        let finding = checker.at(here, "expected an `https` URL with a path, in its normal form");
        checker.error(finding.help("write it like `https://weir.example.com/client.json`"));
    }
    url
}

fn identifier(checker: &mut Checker<'_>, here: &Path, id: &str) {
    if id.is_empty() || id.len() > 2048 || !id.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        checker.error(checker.at(&here.key("client_id"), "the client's id must be visible ASCII characters"));
    }
}

/// Who is at the browser; `issuers` are the endpoint's own.
pub(super) fn login(
    checker: &mut Checker<'_>,
    here: &Path,
    written: file::Login,
    issuers: &[Issuer],
) -> Option<Login> {
    identifier(checker, here, &written.client_id);
    if let Some(scopes) = written.scopes.as_deref().filter(|scopes| !scopes.is_empty()) {
        auth::scopes(checker, &here.key("scopes"), scopes);
    }
    let mut providers = issuers.iter().filter(|issuer| !issuer.is_kubernetes());
    let issuer = match &written.issuer {
        Some(name) => providers.find(|issuer| issuer.issuer == *name),
        None => providers.next(),
    };
    let Some(issuer) = issuer else {
        let (place, name) = match &written.issuer {
            Some(name) => {
                (checker.at(&here.key("issuer"), "no issuer of this endpoint has this name"), name.as_str())
            }
            None => (checker.at_key(here, "nobody can log in: the endpoint has no issuer"), ""),
        };
        let help = if name.is_empty() {
            "name one in `issuers`".to_owned()
        } else {
            format!("add {} to `issuers`", quote(name))
        };
        checker.error(place.help(help));
        return None;
    };
    Some(Login {
        issuer: issuer.issuer.clone(),
        client_id: written.client_id,
        client_secret: written.client_secret.map(|secret| -> Secret { secret.0 }),
        scopes: written.scopes.unwrap_or_default(),
    })
}
