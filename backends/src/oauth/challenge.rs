//! What a protected server says in `WWW-Authenticate`.
//!
//! S: RFC 9110 section 11.6.1; RFC 6750 section 3; RFC 9728 section 5.1.

use std::str::Chars;

/// The longest header that is read, in bytes.
const LONGEST: usize = 8 << 10;
/// The most scopes that are taken in.
const SCOPES: usize = 64;

/// A challenge of the scheme `Bearer`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Challenge {
    /// `error`.
    pub error: Option<String>,
    /// `scope`, word by word.
    pub scopes: Vec<String>,
    /// `resource_metadata`: where the server describes how it is protected.
    pub metadata: Option<String>,
}

impl Challenge {
    /// The first challenge of the scheme `Bearer` among the header's values; `None` where there is none that can be read.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Self> {
        values.into_iter().find_map(Self::parse)
    }

    /// Whether it says that the token lacks scopes.
    pub fn lacks_scope(&self) -> bool {
        self.error.as_deref() == Some("insufficient_scope")
    }

    fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok().filter(|text| text.len() <= LONGEST)?;
        let mut found: Option<Self> = None;
        let mut rest = text.chars();
        loop {
            skip(&mut rest, |letter| letter == ',' || letter.is_whitespace());
            let name = take(&mut rest, is_token);
            if name.is_empty() {
                // What is no token is passed over; at the end nothing is left of it.
                if rest.next().is_none() {
                    return found;
                }
                continue;
            }
            let mut ahead = rest.clone();
            skip(&mut ahead, char::is_whitespace);
            if ahead.next() != Some('=') {
                // A scheme. One that is not alone has its parameters behind it, up to the next scheme.
                if found.is_some() {
                    return found;
                }
                found = name.eq_ignore_ascii_case("bearer").then(Self::default);
                continue;
            }
            rest = ahead;
            skip(&mut rest, char::is_whitespace);
            let value = value_of(&mut rest);
            if let (Some(challenge), Some(value)) = (&mut found, value) {
                challenge.put(&name, value);
            }
        }
    }

    fn put(&mut self, name: &str, value: String) {
        match &*name.to_ascii_lowercase() {
            "error" => self.error = Some(value),
            "resource_metadata" => self.metadata = Some(value),
            "scope" => self.scopes = scopes_of(&value),
            _ => {}
        }
    }
}

/// The words of a `scope`: those that may be one (RFC 6749 section 3.3), each once, in their order.
pub(crate) fn scopes_of(text: &str) -> Vec<String> {
    let mut scopes: Vec<String> = Vec::new();
    for word in text.split(' ').filter(|word| is_scope(word)).take(SCOPES) {
        if !scopes.iter().any(|known| known == word) {
            scopes.push(word.to_owned());
        }
    }
    scopes
}

/// Whether a word may be a scope.
pub(crate) fn is_scope(word: &str) -> bool {
    let printable = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !word.is_empty() && word.len() <= 256 && word.bytes().all(printable)
}

/// `first`, and what `second` adds to it.
pub(crate) fn union(first: &[String], second: &[String]) -> Vec<String> {
    let mut all = first.to_vec();
    all.extend(second.iter().filter(|scope| !first.contains(scope)).cloned());
    all.truncate(2 * SCOPES);
    all
}

fn is_token(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(letter)
}

fn skip(rest: &mut Chars<'_>, passes: impl Fn(char) -> bool) {
    let left = rest.as_str().trim_start_matches(passes);
    *rest = left.chars();
}

fn take(rest: &mut Chars<'_>, passes: impl Fn(char) -> bool) -> String {
    let text = rest.as_str();
    let end = text.find(|letter| !passes(letter)).unwrap_or(text.len());
    let (taken, left) = text.split_at(end);
    *rest = left.chars();
    taken.to_owned()
}

/// A token or a quoted string; `None` for one that does not end.
fn value_of(rest: &mut Chars<'_>) -> Option<String> {
    if !rest.as_str().starts_with('"') {
        return Some(take(rest, |letter| !letter.is_whitespace() && letter != ','));
    }
    rest.next();
    let mut value = String::new();
    loop {
        match rest.next()? {
            '"' => return Some(value),
            '\\' => value.push(rest.next()?),
            letter => value.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Challenge> {
        Challenge::of([text.as_bytes()])
    }

    #[test]
    fn a_bearer_challenge_is_found_among_others() {
        let all = r#"Basic realm="a, Bearer scope=\"x\"", bearer error="insufficient_scope" , scope = "a b  b" ,resource_metadata="https://h/x?a=b,c", DPoP algs="ES256", scope="no""#;
        let challenge = read(all).unwrap();
        assert_eq!(challenge.error.as_deref(), Some("insufficient_scope"));
        assert_eq!(challenge.scopes, ["a", "b"]);
        assert_eq!(challenge.metadata.as_deref(), Some("https://h/x?a=b,c"));
        assert_eq!(Challenge::of([&b"Basic realm=x"[..], b"Bearer"]), Some(Challenge::default()));
        assert_eq!(read("Bearer scope=read, error=x").unwrap().scopes, ["read"]);
    }

    #[test]
    fn what_is_none_is_none() {
        for text in ["", "Basic", "Negotiate YII==", ",,,", "Bearerish x=y"] {
            assert_eq!(read(text), None, "{text}");
        }
        // What does not end is not taken; what stands before it is.
        let challenge = read(r#"Bearer error="e", scope="a b"#).unwrap();
        assert!(challenge.scopes.is_empty() && challenge.error.is_some());
        assert_eq!(read(&format!("Bearer scope=\"{}\"", "a".repeat(LONGEST))), None);
        assert_eq!(Challenge::of([&b"Bearer scope=\"\xff\""[..]]), None);
    }

    #[test]
    fn scopes_are_words() {
        let many: Vec<String> = (0..1000).map(|number| format!("s{number}")).collect();
        assert_eq!(scopes_of(&many.join(" ")).len(), SCOPES);
        assert_eq!(scopes_of("a \u{e9} b\tc d\\ e"), ["a", "e"]);
        assert_eq!(union(&["a".into(), "b".into()], &["b".into(), "c".into()]), ["a", "b", "c"]);
    }
}
