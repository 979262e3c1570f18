//! `oauth`, `backends.*.auth.oauth` and `endpoints.*.auth.login`.

use super::{Checker, auth, credentials};
use crate::expansion::resolve;
use crate::file;
use crate::model::{
    Backend, Credentials, Endpoint, GrantStore, Issuer, Listener, Login, Oauth, OauthClient, OauthLists,
    Secret, Transport,
};
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

/// Reports endpoints whose users could not connect the backends that want it.
pub(super) fn endpoints(
    checker: &mut Checker<'_>,
    endpoints: &[Endpoint],
    backends: &[Backend],
    listener: &Listener,
) {
    let is_connected = |backend: &&Backend| match &backend.transport {
        Transport::Http(http) => matches!(http.auth, Credentials::Oauth(_)),
        Transport::Stdio(_) => false,
    };
    for endpoint in endpoints {
        let mut wanted = backends.iter().filter(is_connected);
        let Some(backend) = wanted.find(|backend| endpoint.backends.contains(&backend.name)) else {
            continue;
        };
        let name = quote(&backend.name);
        let here = Path::root("endpoints").key(&endpoint.name);
        if endpoint.auth.is_anonymous() {
            if !listener.is_local() {
                let message = format!("users connect {name}, and this endpoint cannot tell its users apart");
                let finding = checker.at_key(&here, message);
                checker.error(finding.help(
                    "give it `auth`, or listen on a loopback address, without a `public_url` of another",
                ));
            }
        } else if endpoint.auth.login.is_none() {
            let message =
                format!("users connect {name} in a browser, and nothing says how they log in there");
            let finding = checker.at_key(&here, message);
            checker.error(finding.help("add `login` to its `auth`"));
        }
        if listener.public_url.is_none() && listener.address.ip().is_unspecified() {
            let message = format!("users connect {name} in a browser, which needs to know where weir is");
            let finding = checker.at_key(&Path::root("listener"), message);
            checker.error(finding.help("write `public_url`, such as `https://weir.example.com`"));
        }
    }
}
