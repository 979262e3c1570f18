//! URIs: their scheme, and the one form that those share that may mean the same.
//!
//! S: RFC 3986 sections 3, 5.2.4 and 6.2; RFC 8089 for `file`.

use super::exposure::layers;

/// The scheme, as it is written.
pub(super) fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let valid = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    valid.then_some(scheme)
}

/// The form in which URIs that may mean the same are equal: scheme and authority in small letters, no escapes but those
/// of `%`, `?` and `#`, no dot segments, no default port, no host of a file. `None` for what a filter cannot judge: no
/// scheme, broken or escaped slashes, control bytes, credentials, empty segments, `..` above the root, a file on another machine. Of a URI with a
/// backend before it that of the URI within counts.
pub(super) fn normal_form(uri: &str) -> Option<String> {
    let inner = layers(uri)?.pop()?;
    let wrap = uri.get(..uri.len() - inner.len())?;
    if wrap.is_empty() {
        own_form(uri)
    } else {
        Some(format!("{}{}", wrap.to_ascii_lowercase(), own_form(inner)?))
    }
}

/// The normal form of a URI without a backend before it.
fn own_form(uri: &str) -> Option<String> {
    let written = scheme(uri)?;
    let scheme = written.to_ascii_lowercase();
    let rest = undo_escapes(uri.get(written.len() + 1..)?, false)?;
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (hierarchy, tail) = rest.split_at(end);
    let (authority, path) = match hierarchy.strip_prefix("//") {
        None => (None, hierarchy),
        Some(hierarchy) => {
            let (authority, path) = hierarchy.split_at(hierarchy.find('/').unwrap_or(hierarchy.len()));
            (Some(authority.to_lowercase()), path)
        }
    };
    let authority = match (scheme.as_str(), authority.as_deref()) {
        // RFC 8089: no authority, an empty one and `localhost` all mean this machine.
        ("file", None | Some("" | "localhost")) => "//".to_owned(),
        ("file", Some(_)) => return None,
        (_, None) => String::new(),
        (_, Some(authority)) => format!("//{}", normal_authority(&scheme, authority)?),
    };
    // A file's path begins at the root; from where else one begins is the backend's secret.
    if scheme == "file" && !path.starts_with('/') {
        return None;
    }
    let path = if has_root(&scheme, &authority) && path.is_empty() { "/" } else { path };
    Some(format!("{scheme}:{authority}{}{tail}", without_dot_segments(path, is_bounded(&scheme))?))
}

/// Whether no path means the same as the root (RFC 3986 section 6.2.3).
fn has_root(scheme: &str, authority: &str) -> bool {
    matches!(scheme, "http" | "https" | "ws" | "wss") && authority.len() > 2
}

/// An authority in small letters without a port that goes without saying. `None` for credentials and for a port that is
/// no number where the scheme wants one.
fn normal_authority(scheme: &str, authority: &str) -> Option<String> {
    let default = match scheme {
        _ if authority.contains('@') => return None,
        "http" | "ws" => 80,
        "https" | "wss" => 443,
        _ => return Some(authority.trim_end_matches(':').to_owned()),
    };
    // The colons of an IPv6 address stand in brackets.
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port),
        _ => (authority, ""),
    };
    let port = if port.is_empty() { default } else { port.parse::<u16>().ok()? };
    if host.contains(':') && !host.ends_with(']') {
        return None;
    }
    // A name with a dot at its end is the same name.
    let host = host.trim_end_matches('.');
    Some(if port == default { host.to_owned() } else { format!("{host}:{port}") })
}

/// A pattern for URIs in their normal form: scheme and authority as there, and no escapes. What an escape stood for is
/// text, also where it would mean something in a pattern.
pub(super) fn normal_pattern(pattern: &str) -> String {
    if let Some(original) =
        layers(pattern).and_then(|mut layers| layers.pop()).filter(|inner| *inner != pattern)
    {
        let wrap = pattern.get(..pattern.len() - original.len()).unwrap_or_default();
        return format!("{}{}", wrap.to_ascii_lowercase(), own_pattern(original));
    }
    own_pattern(pattern)
}

/// As [`normal_pattern`], for a pattern without a backend before it.
fn own_pattern(pattern: &str) -> String {
    let plain = undo_escapes(pattern, true).unwrap_or_else(|| pattern.to_owned());
    let Some(written) = scheme(&plain) else {
        return plain;
    };
    let scheme = written.to_ascii_lowercase();
    let rest = plain.get(written.len() + 1..).unwrap_or_default();
    let (authority, path) = match rest.strip_prefix("//") {
        None if scheme == "file" && rest.starts_with('/') => (Some(String::new()), rest),
        None => (None, rest),
        Some(rest) => {
            let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
            (Some(authority.to_lowercase()), path)
        }
    };
    let authority = authority.map(|authority| match authority.as_str() {
        "localhost" if scheme == "file" => String::new(),
        authority if authority.contains(['*', '[', '{']) => authority.to_owned(),
        authority => normal_authority(&scheme, authority).unwrap_or_else(|| authority.to_owned()),
    });
    let authority = authority.map(|authority| format!("//{authority}")).unwrap_or_default();
    // What a wildcard of the host stands for may hold a path.
    let is_plain = !authority.contains(['*', '?', '[', '{']);
    let root = if path.is_empty() && is_plain && has_root(&scheme, &authority) { "/" } else { "" };
    format!("{scheme}:{authority}{root}{path}")
}

/// Undoes escapes. Those of `%`, `?` and `#` stay, since without them the text would mean something else. `None` where an
/// escape is broken or hides a slash, a backslash or a control byte, or where one of the last two stands in the open.
/// In a `pattern`, what has a meaning there and was escaped becomes a class of its own.
fn undo_escapes(text: &str, pattern: bool) -> Option<String> {
    let mut out: Vec<u8> = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let mut digit = || char::from(bytes.next()?).to_digit(16);
        let escaped = u8::try_from(digit()? * 16 + digit()?).ok()?;
        match escaped {
            b'/' | b'\\' => return None,
            b'%' | b'?' | b'#' => out.extend_from_slice(format!("%{escaped:02X}").as_bytes()),
            b'*' | b'[' | b']' | b'{' | b'}' | b',' if pattern => {
                out.extend_from_slice(&[b'[', escaped, b']'])
            }
            escaped => out.push(escaped),
        }
    }
    let out = String::from_utf8(out).ok()?;
    (!out.contains(|letter: char| letter.is_control() || letter == '\\')).then_some(out)
}

/// Whether nobody takes `..` at the root for anything but the root.
fn is_bounded(scheme: &str) -> bool {
    matches!(scheme, "file" | "http" | "https" | "ws" | "wss")
}

/// RFC 3986 section 5.2.4. `None` where a segment within is empty: some servers pass over it, others do not. So it is where
/// `..` stands at the root and the path is not `bounded`: a server may take the authority for a folder.
fn without_dot_segments(path: &str, bounded: bool) -> Option<String> {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" if !last => return None,
            "." | ".." => {
                if segment == ".." && kept.pop().is_none() && !bounded {
                    return None;
                }
                if last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    Some(format!("{}{}", if rooted { "/" } else { "" }, kept.join("/")))
}

#[cfg(test)]
mod tests;
