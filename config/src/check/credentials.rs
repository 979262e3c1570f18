//! `auth` and `forward_headers` of a backend.

use super::backend::{OWN_HEADERS, header_value, is_token_character};
use super::{Checker, oauth};
use crate::file;
use crate::model::{
    AuthorizationServer, ClientAuthentication, ClientCredentials, ClientProof, Credentials, IdJag, Listing,
    Secret, TokenExchange, TokenTarget,
};
use crate::report::quote;
use crate::tree::Path;
use std::collections::HashSet;
use url::{Host, Url};

/// Most headers that are passed on, and most scopes.
const MOST: usize = 32;
/// What only weir may say to a backend, or what a client says to weir alone, in lower case: who calls, and how the
/// connection is kept.
const NEVER_FORWARDED: [&str; 18] = [
    "authorization",
    "cookie",
    "cookie2",
    "expect",
    "forwarded",
    "keep-alive",
    "max-forwards",
    "origin",
    "referer",
    "set-cookie",
    "trailer",
    "trailers",
    "user-agent",
    "via",
    "www-authenticate",
    "x-api-key",
    "x-real-ip",
    "http2-settings",
];
/// What the names of further ones begin with.
const NEVER_FORWARDED_PREFIXES: [&str; 5] = ["proxy-", "mcp-", "sec-", "x-forwarded-", "accept-encoding"];

/// The credentials that stand at `here`, for a backend at `url`.
pub(super) fn credentials(
    checker: &mut Checker<'_>,
    here: &Path,
    written: file::Credentials,
    url: Option<&Url>,
) -> Option<Credentials> {
    let file::Credentials { header, bearer, client_credentials, token_exchange, id_jag, oauth: users } =
        written;
    let kinds = [
        ("header", header.is_some()),
        ("bearer", bearer.is_some()),
        ("client_credentials", client_credentials.is_some()),
        ("token_exchange", token_exchange.is_some()),
        ("id_jag", id_jag.is_some()),
        ("oauth", users.is_some()),
    ];
    only_one(checker, here, &kinds)?;
    if let Some(written) = header {
        let here = here.key("header");
        name(checker, &here.key("name"), &written.name);
        header_value(checker, &here.key("value"), &written.value.0);
        return Some(Credentials::Header(written.name, written.value.0));
    }
    if let Some(file::SecretText(token)) = bearer {
        bearer_token(checker, &here.key("bearer"), &token);
        return Some(Credentials::Bearer(token));
    }
    if let Some(written) = client_credentials {
        let own = self::client_credentials(checker, &here.key("client_credentials"), written, url)?;
        return Some(Credentials::ClientCredentials(Box::new(own)));
    }
    if let Some(written) = token_exchange {
        let here = here.key("token_exchange");
        let server = server(checker, &here.key("server"), written.server);
        let target = target(checker, &here, written.scopes, written.resource, written.audience, url);
        let listing = listing(checker, &here, written.listing, url);
        let subject = written.subject.unwrap_or_default();
        let exchange = TokenExchange { server: server?, target, subject, listing: listing? };
        return Some(Credentials::TokenExchange(Box::new(exchange)));
    }
    if let Some(written) = users {
        let own = oauth::oauth(checker, &here.key("oauth"), written, url)?;
        return Some(Credentials::Oauth(Box::new(own)));
    }
    let written = id_jag?;
    let here = here.key("id_jag");
    let provider = server(checker, &here.key("provider"), written.provider);
    let server = server(checker, &here.key("server"), written.server);
    if server.as_ref().is_some_and(|server| server.issuer.is_none()) {
        let finding = checker.at_key(&here.key("server"), "`id_jag` needs the `issuer` of the server");
        checker.error(finding.help("the assertion is made out to it"));
        return None;
    }
    let target = target(checker, &here, written.scopes, written.resource, None, url);
    let listing = listing(checker, &here, written.listing, url);
    let subject = written.subject.unwrap_or_default();
    let jag = IdJag { provider: provider?, server: server?, target, subject, listing: listing? };
    Some(Credentials::IdJag(Box::new(jag)))
}

/// Reports where not exactly one of `kinds` is there.
fn only_one(checker: &mut Checker<'_>, here: &Path, kinds: &[(&str, bool)]) -> Option<()> {
    let mut present = kinds.iter().filter(|(_, present)| *present);
    match (present.next(), present.next()) {
        (Some(_), None) => Some(()),
        (Some(_), Some((second, _))) => {
            let message = "credentials are of one kind alone";
            checker.error(checker.at_key(&here.key(second), message).help("remove one"));
            None
        }
        (None, _) => {
            let known = kinds.iter().map(|(kind, _)| quote(kind)).collect::<Vec<_>>().join(", ");
            let finding = checker.at_key(here, "no credentials are named");
            checker.error(finding.help(format!("write one of {known}, or leave out the key for none")));
            None
        }
    }
}

fn name(checker: &mut Checker<'_>, here: &Path, name: &str) {
    let lower = name.to_ascii_lowercase();
    if name.is_empty() || !name.chars().all(is_token_character) {
        checker.error(checker.at(here, format!("{} is not the name of a header", quote(name))));
    } else if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with("mcp-") {
        checker.error(checker.at(here, format!("weir writes the header {} itself", quote(name))));
    }
}

/// A bearer token is written in the characters of RFC 6750 section 2.1.
fn bearer_token(checker: &mut Checker<'_>, here: &Path, token: &Secret) {
    let text = token.expose();
    if text.is_empty() || !text.bytes().all(|byte| matches!(byte, b'!'..=b'~')) {
        let finding = checker.at(here, "the token must be visible ASCII characters without blanks");
        checker.error(finding.help("write it without `Bearer`; look for line ends and blanks around it"));
    }
}

fn client_credentials(
    checker: &mut Checker<'_>,
    here: &Path,
    written: file::ClientCredentials,
    url: Option<&Url>,
) -> Option<ClientCredentials> {
    let server = server(checker, &here.key("server"), written.server);
    let target = target(checker, here, written.scopes, written.resource, written.audience, url);
    let server = server?;
    if server.proof == ClientProof::None {
        let message = "client credentials need a `client_secret` or a `private_key`";
        checker.error(checker.at_key(&here.key("server"), message));
    }
    Some(ClientCredentials { server, target })
}

pub(super) fn listing(
    checker: &mut Checker<'_>,
    here: &Path,
    written: Option<file::Listing>,
    url: Option<&Url>,
) -> Option<Listing> {
    let Some(file::Listing { bearer, client_credentials }) = written else {
        return Some(Listing::None);
    };
    let here = here.key("listing");
    let kinds = [("bearer", bearer.is_some()), ("client_credentials", client_credentials.is_some())];
    only_one(checker, &here, &kinds)?;
    match (bearer, client_credentials) {
        (Some(file::SecretText(token)), _) => {
            bearer_token(checker, &here.key("bearer"), &token);
            Some(Listing::Bearer(token))
        }
        (None, written) => {
            let here = here.key("client_credentials");
            let own = self::client_credentials(checker, &here, written?, url)?;
            Some(Listing::ClientCredentials(Box::new(own)))
        }
    }
}

fn target(
    checker: &mut Checker<'_>,
    here: &Path,
    scopes: Option<Vec<String>>,
    resource: Option<String>,
    audience: Option<String>,
    url: Option<&Url>,
) -> TokenTarget {
    let scopes = scopes.unwrap_or_default();
    if scopes.len() > MOST {
        let message = format!("{} scopes are named, and at most {MOST} may be", scopes.len());
        checker.error(checker.at_key(&here.key("scopes"), message));
    }
    for (index, scope) in scopes.iter().enumerate() {
        // RFC 6749 section 3.3.
        if scope.is_empty() || !scope.bytes().all(|byte| matches!(byte, b'!' | b'#'..=b'[' | b']'..=b'~')) {
            let message = "a scope is one word of visible ASCII characters, without `\"` and `\\`";
            checker.error(checker.at(&here.key("scopes").index(index), message));
        }
    }
    let resource = match resource {
        Some(written) if written.is_empty() => None,
        Some(written) => {
            if !Url::parse(&written).is_ok_and(|url| url.fragment().is_none()) {
                let finding = checker.at(&here.key("resource"), "not a URI without fragment");
                checker.error(finding.help("an empty text sends none"));
            }
            Some(written)
        }
        None => url.map(ToString::to_string),
    };
    TokenTarget { scopes, resource, audience: audience.filter(|audience| !audience.is_empty()) }
}

fn server(
    checker: &mut Checker<'_>,
    here: &Path,
    written: file::AuthorizationServer,
) -> Option<AuthorizationServer> {
    let private = written.private.unwrap_or(false);
    if written.issuer.is_none() && written.token_url.is_none() {
        let finding = checker.at_key(here, "an authorization server needs `issuer` or `token_url`");
        checker.error(finding.help("with `issuer` alone its token endpoint is looked up"));
        return None;
    }
    let token_url = match &written.token_url {
        Some(text) => Some(server_url(checker, &here.key("token_url"), text, private)?),
        None => None,
    };
    if let Some(issuer) = &written.issuer {
        let url = server_url(checker, &here.key("issuer"), issuer, private)?;
        if url.query().is_some() {
            checker.error(checker.at(&here.key("issuer"), "an issuer has no query (`?…`)"));
        }
    }
    if written.client_id.is_empty() || written.client_id.chars().any(char::is_control) {
        checker.error(checker.at(&here.key("client_id"), "expected what the server calls weir"));
    }
    let ca = written.ca.map(|written| checker.existing_file(&here.key("ca"), &written));
    let (method, key) = (written.method, written.private_key);
    let proof = match (written.client_secret, key) {
        (Some(_), Some(_)) => {
            let message = "weir shows who it is by `client_secret` or by `private_key`, not by both";
            checker.error(checker.at_key(&here.key("private_key"), message).help("remove one"));
            return None;
        }
        (Some(file::SecretText(secret)), None) if secret.expose().is_empty() => {
            checker.error(checker.at(&here.key("client_secret"), "the secret is empty"));
            return None;
        }
        (Some(file::SecretText(secret)), None) => match method.unwrap_or_default() {
            ClientAuthentication::Basic => ClientProof::Basic(secret),
            ClientAuthentication::Post => ClientProof::Post(secret),
        },
        (None, Some(key)) => {
            if !key.key.0.expose().contains("PRIVATE KEY-----") {
                let finding = checker
                    .at(&here.key("private_key").key("key"), "not a private key in PEM that is PKCS #8");
                checker.error(finding.help(
                    "it begins with `-----BEGIN PRIVATE KEY-----`; `openssl pkcs8 -topk8 -nocrypt` makes one of others",
                ));
            }
            ClientProof::PrivateKey { key: key.key.0, id: key.id, algorithm: key.algorithm }
        }
        (None, None) => ClientProof::None,
    };
    if method.is_some() && !matches!(proof, ClientProof::Basic(_) | ClientProof::Post(_)) {
        let message = "`method` fits a `client_secret`";
        checker.error(checker.at_key(&here.key("method"), message));
    }
    let (issuer, client_id) = (written.issuer, written.client_id);
    Some(AuthorizationServer { issuer, token_url, client_id, proof, private, ca })
}

/// The URL of an authorization server. No message repeats it, since it may hold what is secret.
fn server_url(checker: &mut Checker<'_>, here: &Path, text: &str, private: bool) -> Option<Url> {
    let finding = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            checker.at(here, "the URL must begin with `https://`")
        }
        Ok(url) if url.scheme() == "http" && !private => checker
            .at(here, "secrets and tokens are sent by `https` alone")
            .help("`private: true` allows `http` to private addresses"),
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            checker.at(here, "the URL must not hold a user name or password")
        }
        Ok(url) if url.fragment().is_some() => checker.at(here, "the URL must not hold a fragment (`#…`)"),
        Ok(url) => return Some(url),
        Err(_) => checker.at(here, "not a URL").help("write it in full, such as `https://idp.example.com`"),
    };
    checker.error(finding);
    None
}

/// Headers of callers that are passed on, in lower case.
pub(super) fn forwarded(checker: &mut Checker<'_>, here: &Path, written: Vec<String>) -> Vec<String> {
    if written.len() > MOST {
        let message = format!("{} headers are named, and at most {MOST} may be", written.len());
        checker.error(checker.at_key(here, message));
    }
    let mut seen = HashSet::new();
    let mut forwarded = Vec::with_capacity(written.len());
    for (index, name) in written.into_iter().enumerate() {
        let place = here.index(index);
        let lower = name.to_ascii_lowercase();
        let never = OWN_HEADERS.contains(&lower.as_str())
            || NEVER_FORWARDED.contains(&lower.as_str())
            || NEVER_FORWARDED_PREFIXES.iter().any(|prefix| lower.starts_with(prefix));
        if name.is_empty() || !name.chars().all(is_token_character) {
            checker.error(checker.at(&place, format!("{} is not the name of a header", quote(&name))));
        } else if never {
            let finding = checker.at(&place, format!("the header {} is never passed on", quote(&name)));
            checker.error(finding.help("credentials for the backend come from `auth` or `headers`"));
        } else if !seen.insert(lower.clone()) {
            checker.error(checker.at(&place, "the header stands in the list already"));
        }
        forwarded.push(lower);
    }
    forwarded
}

/// Whether `url` leads over a network without encryption.
pub(super) fn is_readable_on_the_way(url: &Url) -> bool {
    let local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    };
    url.scheme() == "http" && !local
}
