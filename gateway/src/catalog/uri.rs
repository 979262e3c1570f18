//! URIs: their scheme, and the one form that equal ones share.
//!
//! S: RFC 3986 sections 3.1 and 6.2.2.

/// The scheme, as it is written.
pub(super) fn scheme(uri: &str) -> Option<&str> {
    let (scheme, _) = uri.split_once(':')?;
    let valid = scheme.starts_with(|letter: char| letter.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'));
    valid.then_some(scheme)
}

/// The form in which URIs that mean the same are equal: scheme and authority in small letters, no needless escapes, no
/// dot segments. `None` for what a filter cannot judge: no scheme, broken escapes, escaped slashes and control bytes.
pub(super) fn normal_form(uri: &str) -> Option<String> {
    let scheme = scheme(uri)?;
    let rest = decode(uri.get(scheme.len() + 1..)?)?;
    let end = rest.find(['?', '#']).unwrap_or(rest.len());
    let (hierarchy, tail) = rest.split_at(end);
    let (authority, path) = match hierarchy.strip_prefix("//") {
        None => (String::new(), hierarchy),
        Some(hierarchy) => {
            let end = hierarchy.find('/').unwrap_or(hierarchy.len());
            let (authority, path) = hierarchy.split_at(end);
            (format!("//{}", authority.to_ascii_lowercase()), path)
        }
    };
    let scheme = scheme.to_ascii_lowercase();
    Some(format!("{scheme}:{authority}{}{tail}", without_dot_segments(path)))
}

/// Undoes the escapes of letters, digits and marks that need none; the others are written with large letters.
fn decode(text: &str) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        out.push_str(before);
        let digits = after.get(..2).filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
        let byte = u8::from_str_radix(digits, 16).ok()?;
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(byte)),
            b'/' | b'\\' | 0..=0x1f | 0x7f => return None,
            _ => {
                out.push('%');
                out.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = after.get(2..)?;
    }
    out.push_str(rest);
    (!out.contains(|letter: char| letter.is_control() || letter == '\\')).then_some(out)
}

/// RFC 3986 section 5.2.4.
fn without_dot_segments(path: &str) -> String {
    let rooted = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        match segment {
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
    format!("{}{}", if rooted { "/" } else { "" }, kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_uris_have_one_form() {
        let table = [
            ("file:///public/../secret/a", Some("file:///secret/a")),
            ("FILE://Host/a", Some("file://host/a")),
            ("file:///%73ecret/%2e%2E/x", Some("file:///x")),
            ("file:///a/./b/", Some("file:///a/b/")),
            ("file:///a/..", Some("file:///")),
            ("file:///../../a", Some("file:///a")),
            ("test://x?q=../y#z", Some("test://x?q=../y#z")),
            ("urn:a:b", Some("urn:a:b")),
            ("x:%c3%a4", Some("x:%C3%A4")),
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
