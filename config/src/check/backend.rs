//! One of `backends`.

use super::limits::{self, BackendDefaults};
use super::{Checker, reason, resolve};
use super::{credentials, roots};
use crate::file::{self, SecretText};
use crate::model::{Backend, Credentials, HttpBackend, Secret, SessionScope, StdioBackend, Transport};
use crate::report::quote;
use crate::tree::Path;
use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use url::Url;

/// Headers that weir writes itself, in lower case; a configured one would break the exchange.
pub(super) const OWN_HEADERS: [&str; 14] = [
    "accept",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "last-event-id",
    "mcp-method",
    "mcp-name",
    "mcp-protocol-version",
    "mcp-session-id",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// What the names of headers begin with that mirror arguments of calls.
const MIRROR_PREFIX: &str = "mcp-param-";

/// The backend that stands at `here`; `None` when a violation leaves nothing to build it from.
pub(crate) fn backend(
    checker: &mut Checker<'_>,
    here: &Path,
    name: &str,
    written: file::Backend,
    defaults: &BackendDefaults,
) -> Option<Backend> {
    let fits = fitting(checker, here, &written);
    let file::Backend {
        command,
        args,
        env,
        cwd,
        url,
        headers,
        auth,
        forward_headers,
        ca,
        http2,
        era,
        session,
        instances,
        roots,
        limits,
        timeouts,
    } = written;
    let limits = limits::of_backend(checker, here, limits, &defaults.limits);
    let timeouts = limits::timeouts_of_backend(checker, here, timeouts, &defaults.timeouts);

    let env = variables(checker, &here.key("env"), env.unwrap_or_default());
    let headers = self::headers(checker, &here.key("headers"), headers.unwrap_or_default());
    let cwd = cwd.map(|written| folder(checker, &here.key("cwd"), &written));
    let ca = ca.map(|written| checker.existing_file(&here.key("ca"), &written));
    let roots = roots::roots(checker, &here.key("roots"), roots.unwrap_or_default());
    let args: Vec<_> = args.unwrap_or_default().into_iter().map(|text| text.0).collect();
    for (index, argument) in args.iter().enumerate() {
        if argument.contains('\0') {
            checker.error(
                checker.at(&here.key("args").index(index), "an argument must not hold a NUL character"),
            );
        }
    }
    if let Some(command) = &command
        && (command.trim().is_empty() || command.contains('\0'))
    {
        checker.error(checker.at(&here.key("command"), "expected the name or path of a program"));
    }
    let url = url.map(|text| self::url(checker, &here.key("url"), &text, ca.is_some()));
    let at = url.as_ref().and_then(Option::as_ref);
    let auth = match auth.filter(|_| command.is_none()) {
        Some(written) => credentials::credentials(checker, &here.key("auth"), written, at),
        None => Some(Credentials::None),
    };
    let forward_headers =
        credentials::forwarded(checker, &here.key("forward_headers"), forward_headers.unwrap_or_default());
    for (index, name) in forward_headers.iter().enumerate() {
        let is_own = |own: &str| own.eq_ignore_ascii_case(name);
        let shown = matches!(&auth, Some(Credentials::Header(own, _)) if is_own(own));
        if shown || headers.iter().any(|(own, _)| is_own(own)) {
            let place = here.key("forward_headers").index(index);
            checker.error(checker.at(&place, "weir sends this header itself, and no caller's beside it"));
        }
    }
    if let (Some(auth), Some(url)) = (&auth, at) {
        suiting(checker, here, auth, url, &headers, session);
    }
    if instances.is_some() && command.is_some() && session == Some(SessionScope::Client) {
        let finding = checker.at_key(&here.key("instances"), "`instances` fits `session: shared` alone");
        checker.error(finding.help("with `session: client` each client session has a process of its own"));
    }
    if !fits {
        return None;
    }
    let mut backend = match (command, url) {
        (Some(command), _) => {
            let mut backend = Backend::stdio(name, "", args.iter().map(String::as_str));
            backend.transport = Transport::Stdio(StdioBackend {
                command,
                args,
                env,
                cwd,
                instances: instances.unwrap_or(StdioBackend::INSTANCES),
            });
            backend
        }
        (None, Some(Some(url))) => {
            let mut backend = Backend::http(name, url);
            if let Transport::Http(transport) = &mut backend.transport {
                let http2 = http2.unwrap_or(transport.http2);
                let (url, auth) = (transport.url.clone(), auth?);
                *transport = HttpBackend { url, headers, auth, forward_headers, ca, http2 };
            }
            backend
        }
        (None, _) => return None,
    };
    backend.era = era.unwrap_or(backend.era);
    backend.session = session.unwrap_or(backend.session);
    Some(Backend { roots, limits, timeouts, ..backend })
}

/// Reports what does not fit the way the backend is reached; whether exactly one way is named.
fn fitting(checker: &mut Checker<'_>, here: &Path, written: &file::Backend) -> bool {
    let stop = written.timeouts.as_ref().is_some_and(|timeouts| timeouts.stop.is_some());
    let of_command = [
        ("args", written.args.is_some()),
        ("env", written.env.is_some()),
        ("cwd", written.cwd.is_some()),
        ("instances", written.instances.is_some()),
        ("timeouts.stop", stop),
    ];
    let of_url = [
        ("headers", written.headers.is_some()),
        ("auth", written.auth.is_some()),
        ("forward_headers", written.forward_headers.is_some()),
        ("ca", written.ca.is_some()),
        ("http2", written.http2.is_some()),
    ];
    let (misplaced, way, other): (&[_], _, _) = match (&written.command, &written.url) {
        (Some(_), None) => (&of_url, "command", "url"),
        (None, Some(_)) => (&of_command, "url", "command"),
        (Some(_), Some(_)) => {
            let finding =
                checker.at_key(&here.key("url"), "a backend has either `command` or `url`, not both");
            checker.error(finding.help("remove one, or make two backends of it"));
            return false;
        }
        (None, None) => {
            let finding = checker.at_key(here, "a backend needs `command` or `url`");
            checker.error(finding.help("`command` starts a local server, `url` connects to a remote one"));
            return false;
        }
    };
    for (key, _) in misplaced.iter().filter(|(_, present)| *present) {
        let path = key.split('.').fold(here.clone(), |path, key| path.key(key));
        let message = format!("`{key}` fits a backend with `{other}`; this one has `{way}`");
        let finding = checker.at_key(&path, message);
        checker.error(match *key {
            "auth" => finding.help("a program gets its credentials by `env`"),
            _ => finding,
        });
    }
    true
}

/// Reports credentials that do not fit what else is said of their backend.
fn suiting(
    checker: &mut Checker<'_>,
    here: &Path,
    auth: &Credentials,
    url: &Url,
    headers: &[(String, Secret)],
    session: Option<SessionScope>,
) {
    let own = match auth {
        Credentials::None => return,
        Credentials::Header(name, _) => name.as_str(),
        _ => "Authorization",
    };
    if let Some((name, _)) = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case(own)) {
        let message = format!("the header {} is the one that `auth` sends", quote(name));
        checker.error(checker.at_key(&here.key("headers").key(name), message).help("remove one"));
    }
    if session == Some(SessionScope::Shared) && auth.are_the_callers() {
        let message = "`session: shared` does not fit credentials of each caller";
        let finding = checker.at(&here.key("session"), message);
        checker
            .error(finding.help("callers would share what the server keeps for one of them; leave it out"));
    }
    if credentials::is_readable_on_the_way(url) {
        let message = "credentials are sent by plain `http`: whoever sees the traffic can use them";
        checker.warning(checker.at_key(&here.key("auth"), message).help("use `https`"));
    }
}

fn url(checker: &mut Checker<'_>, here: &Path, text: &str, ca: bool) -> Option<Url> {
    // The text may hold a password or a token: no message repeats it.
    let finding = match Url::parse(text) {
        Ok(url) if !matches!(url.scheme(), "http" | "https") => {
            checker.at(here, "the URL must begin with `http://` or `https://`")
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => checker
            .at(here, "the URL must not hold a user name or password")
            .help("send them in a header: `headers: {Authorization: {env: NAME}}`"),
        Ok(url) if url.fragment().is_some() => checker.at(here, "the URL must not hold a fragment (`#…`)"),
        Ok(url) => {
            if ca && url.scheme() == "http" {
                let here = here.split_last().map_or_else(Path::default, |(_, parent)| parent.key("ca"));
                checker.error(checker.at_key(&here, "`ca` fits an `https` URL; this one is `http`"));
            }
            return Some(url);
        }
        Err(_) if !text.contains("://") => {
            checker.at(here, "not a URL").help("write it in full, such as `https://example.com/mcp`")
        }
        Err(error) => checker.at(here, format!("not a URL: {error}")),
    };
    checker.error(finding);
    None
}

fn headers(
    checker: &mut Checker<'_>,
    here: &Path,
    written: BTreeMap<String, SecretText>,
) -> Vec<(String, Secret)> {
    let mut seen: HashMap<String, String> = HashMap::new();
    let mut headers = Vec::with_capacity(written.len());
    for name in super::keys(checker.root, here) {
        let Some(SecretText(value)) = written.get(&name) else {
            continue;
        };
        let path = here.key(&name);
        let lower = name.to_ascii_lowercase();
        if name.is_empty() || !name.chars().all(is_token_character) {
            checker.error(checker.at_key(&path, format!("{} is not the name of a header", quote(&name))));
        } else if OWN_HEADERS.contains(&lower.as_str()) || lower.starts_with(MIRROR_PREFIX) {
            checker.error(checker.at_key(&path, format!("weir writes the header {} itself", quote(&name))));
        }
        if let Some(earlier) = seen.insert(lower, name.clone()) {
            let message = format!("{} is the same header as {}", quote(&name), quote(&earlier));
            checker.error(checker.at_key(&path, message));
        }
        header_value(checker, &path, value);
        headers.push((name, value.clone()));
    }
    headers
}

pub(super) fn header_value(checker: &mut Checker<'_>, here: &Path, value: &Secret) {
    let text = value.expose();
    if text.trim() != text || !text.chars().all(|c| matches!(c, ' '..='~' | '\t')) {
        let finding =
            checker.at(here, "the header's value must be visible ASCII characters and inner spaces");
        checker.error(finding.help("look for line ends and blanks around it"));
    }
}

fn variables(
    checker: &mut Checker<'_>,
    here: &Path,
    written: BTreeMap<String, SecretText>,
) -> Vec<(String, Secret)> {
    let mut variables = Vec::with_capacity(written.len());
    for name in super::keys(checker.root, here) {
        let Some(SecretText(value)) = written.get(&name) else {
            continue;
        };
        let path = here.key(&name);
        if name.is_empty() || name.contains(['=', '\0']) {
            checker.error(
                checker.at_key(&path, format!("{} is not the name of an environment variable", quote(&name))),
            );
        }
        if value.expose().contains('\0') {
            checker.error(checker.at(&path, "the variable's value must not hold a NUL character"));
        }
        variables.push((name, value.clone()));
    }
    variables
}

fn folder(checker: &mut Checker<'_>, here: &Path, written: &str) -> PathBuf {
    let path = resolve(checker.folder, written);
    let problem = match std::fs::metadata(&path) {
        Ok(metadata) if metadata.is_dir() => return path,
        Ok(_) => "it is not a folder".to_owned(),
        Err(error) => reason(&error),
    };
    let message = format!("cannot work in {}: {problem}", quote(&path.display().to_string()));
    checker.error(checker.at(here, message));
    path
}

/// Characters of a header's name, RFC 9110 section 5.6.2.
pub(super) fn is_token_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(character)
}
