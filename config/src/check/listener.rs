//! `listener`.

use super::Checker;
use crate::file;
use crate::model::{Listener, Tls, TlsClients, is_local};
use crate::report::quote;
use crate::tree::Path;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use url::{Host, Url};

pub(super) fn listener(checker: &mut Checker<'_>, written: file::Listener) -> Listener {
    let here = Path::root("listener");
    let defaults = Listener::default();
    let address = match written.address {
        Some(text) => address(checker, &here.key("address"), &text).unwrap_or(defaults.address),
        None => defaults.address,
    };
    let public_url = written.public_url.and_then(|text| public(checker, &here.key("public_url"), &text));
    let tls = written.tls.map(|tls| {
        let here = here.key("tls");
        let certificate = checker.existing_file(&here.key("certificate"), &tls.certificate);
        let key = checker.existing_file(&here.key("key"), &tls.key);
        let clients = tls.clients.map(|clients| TlsClients {
            ca: checker.existing_file(&here.key("clients").key("ca"), &clients.ca),
            required: clients.required.unwrap_or(false),
        });
        Tls { certificate, key, clients }
    });
    let allowed_origins = written.allowed_origins.unwrap_or_default();
    for (index, written) in allowed_origins.iter().enumerate() {
        origin(checker, &here.key("allowed_origins").index(index), written);
    }
    let allowed_hosts = written.allowed_hosts.unwrap_or_default();
    for (index, written) in allowed_hosts.iter().enumerate() {
        host(checker, &here.key("allowed_hosts").index(index), written);
    }
    Listener {
        address,
        public_url,
        tls,
        http2: written.http2.unwrap_or(defaults.http2),
        h2c: written.h2c.unwrap_or(defaults.h2c),
        allowed_origins,
        allowed_hosts,
        workers: written.workers.unwrap_or(defaults.workers),
    }
}

fn address(checker: &mut Checker<'_>, here: &Path, text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse() {
        return Some(address);
    }
    let finding = checker.at(here, "expected an IP address and a port, such as `127.0.0.1:4483`");
    // The usual short forms, spelled out.
    let port = |text: Option<&str>| text.and_then(|text| text.parse::<u16>().ok());
    let (ip, port) = if let Some(port) = port(text.strip_prefix("localhost:")) {
        (Ipv4Addr::LOCALHOST.into(), port)
    } else if let Some(port) = port(text.strip_prefix(':').or(text.strip_prefix("*:"))) {
        (Ipv4Addr::UNSPECIFIED.into(), port)
    } else if let Ok(ip) = text.parse::<IpAddr>() {
        (ip, Listener::default().address.port())
    } else {
        checker.error(finding);
        return None;
    };
    checker.error(finding.help(format!("did you mean {}?", quote(&SocketAddr::new(ip, port).to_string()))));
    None
}

/// Where browsers reach the listener.
fn public(checker: &mut Checker<'_>, here: &Path, text: &str) -> Option<Url> {
    let url = Url::parse(text).ok();
    let origin = |url: &Url| url.origin().ascii_serialization();
    let fits = |url: &Url| {
        matches!(url.scheme(), "http" | "https") && url.as_str().trim_end_matches('/') == origin(url)
    };
    let Some(url) = url.filter(fits) else {
        let finding =
            checker.at(here, "expected an origin: scheme, host and port if it is not the default one");
        checker.error(finding.help("write it like `https://weir.example.com`"));
        return None;
    };
    if url.scheme() == "http" && !is_local(&url) {
        let finding = checker.at(here, "browsers must reach weir by `https`, or at a loopback address");
        checker.error(finding.help("what users grant would pass in the clear"));
    }
    Some(url)
}

/// An `Origin` as browsers send it.
fn origin(checker: &mut Checker<'_>, here: &Path, text: &str) {
    let web = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    let finding =
        || checker.at(here, "expected an origin: scheme, host and port if it is not the default one");
    let finding = if text.contains('*') {
        checker.at(here, "origins hold no `*`").help("list each origin")
    } else if let Some(url) = web {
        let sent = url.origin().ascii_serialization();
        if sent == text {
            return;
        }
        finding().help(format!("browsers send it as {}", quote(&sent)))
    } else {
        // Extensions and desktop applications have schemes of their own.
        let other = text.split_once("://").is_some_and(|(scheme, rest)| {
            let plain = |c: char| c.is_ascii_alphanumeric() || ".-:".contains(c);
            scheme.starts_with(|c: char| c.is_ascii_lowercase())
                && scheme.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+.-".contains(c))
                && !matches!(scheme, "http" | "https")
                && !rest.is_empty()
                && rest.chars().all(plain)
        });
        if other {
            return;
        }
        finding().help("write it like `https://app.example.com`")
    };
    checker.error(finding);
}

/// A `Host` without its port.
fn host(checker: &mut Checker<'_>, here: &Path, text: &str) {
    const EXPECTED: &str =
        "expected a host name without scheme, port and path, such as `gateway.example.com`";
    let finding = if text.contains('*') {
        checker.at(here, "host names hold no `*`").help("list each host")
    } else {
        match Host::parse(text) {
            Ok(host) if host.to_string() == text => return,
            Ok(host) => {
                checker.at(here, EXPECTED).help(format!("it is sent as {}", quote(&host.to_string())))
            }
            Err(_) => checker.at(here, EXPECTED),
        }
    };
    checker.error(finding);
}
