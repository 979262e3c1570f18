//! `endpoints.*.auth`.

mod issuer;
mod keys;
pub(super) mod namesakes;

use super::{Checker, oauth};
use crate::file;
use crate::model::{Auth, Certificates, Listener};
use crate::name_pattern::NamePattern;
use crate::tree::Path;
use std::net::SocketAddr;
use url::Url;

/// What stands in `auth` of an endpoint at a path of the listener.
pub(super) fn auth(
    checker: &mut Checker<'_>,
    here: &Path,
    written: Option<file::Auth>,
    listener: &Listener,
    path: &str,
) -> Auth {
    let Some(file::Auth { resource, issuers, api_keys, certificates, login, insecure }) = written else {
        return Auth::default();
    };
    let insecure = insecure.unwrap_or(false);
    let asks = issuers.is_some() || api_keys.is_some() || certificates.is_some();
    if !asks && !insecure {
        let finding = checker.at_key(here, "`auth` names nothing by which callers show who they are");
        checker.error(finding.help("name `issuers`, `api_keys` or `certificates`, or leave out `auth`"));
    }
    if asks && insecure {
        let finding =
            checker.at_key(&here.key("insecure"), "`insecure` fits an endpoint that asks for nothing");
        checker.error(finding.help("leave it out: this endpoint asks who calls"));
    }
    let empty = [("issuers", issuers.as_ref().map(Vec::len)), ("api_keys", api_keys.as_ref().map(Vec::len))];
    for (key, _) in empty.iter().filter(|(_, length)| *length == Some(0)) {
        let finding = checker.at_key(&here.key(key), format!("`{key}` is empty: nobody could come in by it"));
        checker.error(finding.help("leave it out"));
    }
    let issuers = issuers.unwrap_or_default();
    let resource = match resource {
        Some(text) => {
            canonical(checker, &here.key("resource"), &text);
            Some(text)
        }
        None if issuers.iter().any(|issuer| issuer.kubernetes.is_none()) => {
            let resource = from_listener(listener, path);
            if resource.is_none() {
                let finding =
                    checker.at_key(here, "`resource` is needed, since `listener.address` does not tell it");
                checker.error(finding.help("write the URL that clients connect to"));
            }
            resource
        }
        None => None,
    };
    let certificates =
        certificates.map(|written| self::certificates(checker, &here.key("certificates"), written));
    let issuers = issuer::issuers(checker, &here.key("issuers"), issuers, resource.as_deref());
    let login = login.and_then(|written| oauth::login(checker, &here.key("login"), written, &issuers));
    Auth {
        issuers,
        login,
        api_keys: keys::api_keys(checker, &here.key("api_keys"), api_keys.unwrap_or_default()),
        resource,
        certificates,
        insecure,
    }
}

/// The URI at which the listener itself can be reached; none where its address stands for several or its port is not known.
fn from_listener(listener: &Listener, path: &str) -> Option<String> {
    let address: SocketAddr = listener.address;
    if address.ip().is_unspecified() || address.port() == 0 {
        return None;
    }
    let scheme = if listener.tls.is_some() { "https" } else { "http" };
    let path = if path == "/" { "" } else { path };
    // Parsed, so that the scheme's own port is left out.
    let origin = Url::parse(&format!("{scheme}://{address}")).ok()?;
    Some(format!("{}{path}", origin.as_str().trim_end_matches('/')))
}

/// Reports a URI that clients would not take for the endpoint's: RFC 8707 section 2, RFC 9728 section 1.2.
fn canonical(checker: &mut Checker<'_>, here: &Path, text: &str) {
    let finding = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            checker.at(here, "the URI must begin with `https://` or `http://`")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            checker.at(here, "the URI must not hold a user name or password")
        }
        Ok(url) if url.query().is_some() || url.fragment().is_some() => {
            checker.at(here, "the URI must not hold `?` or `#`")
        }
        Ok(url) if url.as_str() == text || url.as_str().strip_suffix('/') == Some(text) => return,
        Ok(_) => checker.at(here, "the URI is not in its normal form").help(
            "write scheme and host in lower case, without the scheme's own port and without `.` or `..`",
        ),
        Err(_) => checker.at(here, "not a URI").help("write it like `https://weir.example.com/mcp`"),
    };
    checker.error(finding);
}

/// Reports an address of a provider that weir will not ask.
pub(super) fn address(checker: &mut Checker<'_>, here: &Path, text: &str, private: bool) {
    let finding = match Url::parse(text) {
        Ok(url) if url.scheme() == "http" && !private => checker
            .at(here, "the URL must begin with `https://`")
            .help("`private: true` allows `http` and private addresses"),
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            checker.at(here, "the URL must begin with `https://`")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            checker.at(here, "the URL must not hold a user name or password")
        }
        Ok(url) if url.fragment().is_some() => checker.at(here, "the URL must not hold a fragment (`#…`)"),
        Ok(_) => return,
        Err(_) => checker.at(here, "not a URL").help("write it in full, such as `https://idp.example.com`"),
    };
    checker.error(finding);
}

/// Reports empty lists and empty or repeated members.
fn words(checker: &mut Checker<'_>, here: &Path, words: &[String], what: &str) {
    if words.is_empty() {
        let finding = checker.at_key(here, format!("the list holds no {what}"));
        checker.error(finding.help("leave it out for the default"));
    }
    for (index, _) in words.iter().enumerate().filter(|(_, word)| word.trim().is_empty()) {
        checker.error(checker.at(&here.index(index), format!("an empty text is no {what}")));
    }
    for index in super::repeated(words) {
        checker.error(checker.at(&here.index(index), format!("the {what} stands in the list already")));
    }
}

/// Reports what cannot be a scope: RFC 6749 section 3.3.
pub(super) fn scopes(checker: &mut Checker<'_>, here: &Path, scopes: &[String]) {
    words(checker, here, scopes, "scope");
    let plain = |c: char| matches!(c, '!' | '#'..='[' | ']'..='~');
    for (index, _) in scopes.iter().enumerate().filter(|(_, scope)| !scope.chars().all(plain)) {
        let message = "a scope has visible ASCII characters without blanks, `\"` and `\\`";
        checker.error(checker.at(&here.index(index), message));
    }
}

fn certificates(checker: &mut Checker<'_>, here: &Path, written: file::Certificates) -> Certificates {
    let file::Certificates { subject, allow, groups } = written;
    let subject = subject.unwrap_or_default();
    if let Some(allow) = &allow {
        let here = here.key("allow");
        words(checker, &here, allow, "pattern");
        for (index, pattern) in allow.iter().enumerate() {
            if let Err(why) = NamePattern::new(subject, pattern) {
                checker.error(checker.at(&here.index(index), format!("not a pattern: {why}")));
            }
        }
    }
    Certificates { subject, allow: allow.unwrap_or_default(), groups: groups.unwrap_or_default() }
}
