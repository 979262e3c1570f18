//! URIs: their scheme, and the one form that those share that may mean the same.
//!
//! S: RFC 3986 sections 3, 5.2.4 and 6.2; RFC 8089 for `file`.

/// The scheme, as it is written.
pub(super) fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let valid = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    valid.then_some(scheme)
}

/// The form in which URIs that may mean the same are equal: scheme and authority in small letters, no escapes but those
/// of `%`, `?` and `#`, no dot segments, no default port, no host of a file. `None` for what a filter cannot judge: no
/// scheme, broken or escaped slashes, control bytes, credentials, empty segments, a file on another machine.
pub(super) fn normal_form(uri: &str) -> Option<String> {
    let written = scheme(uri)?;
    let scheme = written.to_ascii_lowercase();
    let rest = without_escapes(uri.get(written.len() + 1..)?)?;
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
        ("file", None | Some("" | "localhost")) => "//",
        ("file", Some(_)) => return None,
        (_, None) => "",
        (_, Some(authority)) if authority.contains('@') => return None,
        ("http" | "ws", Some(authority)) => {
            &format!("//{}", authority.strip_suffix(":80").unwrap_or(authority))
        }
        ("https" | "wss", Some(authority)) => {
            &format!("//{}", authority.strip_suffix(":443").unwrap_or(authority))
        }
        (_, Some(authority)) => &format!("//{authority}"),
    };
    Some(format!("{scheme}:{authority}{}{tail}", without_dot_segments(path)?))
}

/// Undoes escapes. Those of `%`, `?` and `#` stay, since without them the text would mean something else. `None` where an
/// escape is broken or hides a slash, a backslash or a control byte, or where one of the last two stands in the open.
pub(super) fn without_escapes(text: &str) -> Option<String> {
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
            escaped => out.push(escaped),
        }
    }
    let out = String::from_utf8(out).ok()?;
    (!out.contains(|letter: char| letter.is_control() || letter == '\\')).then_some(out)
}

/// RFC 3986 section 5.2.4. `None` where a segment within is empty: some servers pass over it, others do not.
fn without_dot_segments(path: &str) -> Option<String> {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
            "" if !last => return None,
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
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
mod tests {
    use super::*;

    #[test]
    fn equal_uris_have_one_form() {
        let table = [
            ("file:///public/../secret/a", Some("file:///secret/a")),
            ("FILE://LocalHost/a", Some("file:///a")),
            ("file:/secret/a", Some("file:///secret/a")),
            ("file:////secret/a", None),
            ("file://elsewhere/a", None),
            ("file:///%73ecret/%2e%2E/x", Some("file:///x")),
            ("file:///my%20docs/a", Some("file:///my docs/a")),
            ("file:///a%28b%29/c", Some("file:///a(b)/c")),
            ("file:///a/./b/", Some("file:///a/b/")),
            ("file:///a/..", Some("file:///")),
            ("file:///../../a", Some("file:///a")),
            ("http://Host:80/a", Some("http://host/a")),
            ("https://host:443/a?b", Some("https://host/a?b")),
            ("http://user@host/a", None),
            ("test://x?q=../y#z", Some("test://x?q=../y#z")),
            ("test://h/x%3fq", Some("test://h/x%3Fq")),
            ("urn:a:b", Some("urn:a:b")),
            ("x:%c3%a4", Some("x:ä")),
            ("x:%ff", None),
            ("file:///a%2fb", None),
            ("file:///a%5cb", None),
            ("file:///a\\b", None),
            ("file:///a%zz", None),
            ("file:///a%2", None),
            ("file:///a%00", None),
            ("no scheme", None),
        ];
        for (uri, expected) in table {
            assert_eq!(normal_form(uri).as_deref(), expected, "{uri}");
        }
    }
}
