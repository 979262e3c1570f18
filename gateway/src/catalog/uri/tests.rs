use super::*;
use crate::catalog::filter::UriFilter;
use proptest::prelude::*;

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
        ("https://h/../a", Some("https://h/a")),
        ("notes://public/a/../b", Some("notes://public/b")),
        ("notes://public/../private/x", None),
        ("notes://public/a/../../private/x", None),
        ("notes://public/%2e%2e/private/x", None),
        ("notes:///../x", None),
        ("urn:a/../b", Some("urn:b")),
        ("urn:a/../../b", None),
        ("weir+files:urn:..", None),
        ("http://Host:80/a", Some("http://host/a")),
        ("https://host:443/a?b", Some("https://host/a?b")),
        ("http://user@host/a", None),
        ("http://host:/a", Some("http://host/a")),
        ("http://host:0080/a", Some("http://host/a")),
        ("http://host.:8080/a", Some("http://host:8080/a")),
        ("http://[::1]:80/a", Some("http://[::1]/a")),
        ("http://[::1]/a", Some("http://[::1]/a")),
        ("http://host:80:80/a", None),
        ("http://host:x/a", None),
        ("test://host:/a", Some("test://host/a")),
        ("file:a", None),
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
        ("WEIR+files:FILE:///a/../b", Some("weir+files:file:///b")),
        ("weir+a:weir+b:file:/x", Some("weir+a:weir+b:file:///x")),
        ("weir+files:file:////x", None),
        ("weir+files:x", None),
        ("http://h", Some("http://h/")),
        ("HTTPS://h:443?q", Some("https://h/?q")),
        ("test://h", Some("test://h")),
    ];
    for (uri, expected) in table {
        assert_eq!(normal_form(uri).as_deref(), expected, "{uri}");
    }
}

#[test]
fn patterns_take_the_form_of_what_they_match() {
    let table = [
        ("FILE://LocalHost/Srv/*", "file:///Srv/*"),
        ("file:/srv/**", "file:///srv/**"),
        ("HTTP://Host:80/a%20b", "http://host/a b"),
        ("http://*.Host:80/a", "http://*.host:80/a"),
        ("r:a%2Ab%5B%7b%2c", "r:a[*]b[[][{][,]"),
        ("r:a%2fb", "r:a%2fb"),
        ("*secret*", "*secret*"),
    ];
    for (pattern, expected) in table {
        assert_eq!(normal_pattern(pattern), expected, "{pattern}");
    }
    let starred = weir_config::Filter { allow: vec!["r:a%2Ab".into()], deny: Vec::new() };
    let filter = UriFilter::new(&starred).unwrap();
    assert!(
        filter.reaches(None, "r:a%2Ab") && filter.reaches(None, "r:a*b") && !filter.reaches(None, "r:axb")
    );
}

/// A URI in its normal form, as its parts.
#[derive(Debug, Clone)]
struct Parts {
    scheme: &'static str,
    host: String,
    segments: Vec<String>,
    query: Option<String>,
}

impl Parts {
    fn written(&self) -> String {
        let query = self.query.iter().map(|query| format!("?{query}")).collect::<String>();
        format!("{}://{}/{}{query}", self.scheme, self.host, self.segments.join("/"))
    }

    /// Another spelling, made by these choices.
    fn respelt(&self, choices: &[u8]) -> String {
        let mut choices = choices.iter().copied().cycle();
        let mut roll = |sides: u8| choices.next().unwrap_or(0) % sides;
        let recased = |text: &str, roll: &mut dyn FnMut(u8) -> u8| {
            let letter = |letter: char| if roll(2) == 0 { letter.to_ascii_uppercase() } else { letter };
            text.chars().map(letter).collect::<String>()
        };
        let scheme = recased(self.scheme, &mut roll);
        let authority = match (self.scheme, roll(4)) {
            ("file", 0) => String::new(),
            ("file", 1) => format!("//{}", recased("localhost", &mut roll)),
            ("http", 0) => format!("//{}:", recased(&self.host, &mut roll)),
            ("http", 1) => format!("//{}:80", recased(&self.host, &mut roll)),
            ("http", 2) => format!("//{}.:080", recased(&self.host, &mut roll)),
            _ => format!("//{}", recased(&self.host, &mut roll)),
        };
        let escaped = |text: &str, roll: &mut dyn FnMut(u8) -> u8| {
            let byte = |byte: u8| match roll(3) {
                // Hidden slashes are refused.
                _ if byte == b'/' => "/".to_owned(),
                0 => format!("%{byte:02x}"),
                1 => format!("%{byte:02X}"),
                _ if byte.is_ascii() => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            };
            text.bytes().map(byte).collect::<String>()
        };
        let mut path = String::new();
        for segment in &self.segments {
            path.push('/');
            path.push_str(match roll(6) {
                0 => "./",
                1 => "x/../",
                2 => "%2E/y/z/%2e./../",
                _ => "",
            });
            path.push_str(&escaped(segment, &mut roll));
        }
        let query = self.query.iter().map(|query| format!("?{}", escaped(query, &mut roll)));
        format!("{scheme}:{authority}{path}{}", query.collect::<String>())
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let scheme = prop_oneof![Just("file"), Just("http"), Just("test")];
    let query = prop::option::of("[a-z=&/. é]{0,8}");
    (
        scheme,
        "[a-z0-9]{1,6}(\\.[a-z]{1,3})?",
        prop::collection::vec("[a-zA-Z0-9 ~é世()!'$+=@:;-]{1,6}", 1..5),
        query,
    )
        .prop_map(|(scheme, host, segments, query)| {
            let host = if scheme == "file" { String::new() } else { host };
            Parts { scheme, host, segments, query }
        })
}

proptest! {
    #[test]
    fn the_normal_form_is_its_own(uri in "[a-zA-Z]{1,4}:(//)?[a-zA-Z0-9:@%./?#\\[\\] é*]{0,24}") {
        if let Some(normal) = normal_form(&uri) {
            prop_assert_eq!(normal_form(&normal), Some(normal.clone()), "of {}", uri);
        }
    }

    #[test]
    fn no_text_makes_the_reader_panic(text in ".*") {
        let _ = (normal_form(&text), normal_pattern(&text), scheme(&text));
    }

    #[test]
    fn equivalent_spellings_meet(parts in parts(), choices in prop::collection::vec(any::<u8>(), 1..60)) {
        prop_assert_eq!(normal_form(&parts.written()), Some(parts.written()));
        prop_assert_eq!(normal_form(&parts.respelt(&choices)), Some(parts.written()));
    }

    #[test]
    fn no_spelling_of_a_uri_or_a_pattern_dodges_a_filter(
        parts in parts(),
        choices in prop::collection::vec(any::<u8>(), 1..60),
        other in prop::collection::vec(any::<u8>(), 1..60),
    ) {
        // A query would be a wild card of its own in a pattern.
        let parts = Parts { query: None, ..parts };
        // Dot segments in a pattern are what they say: none is written here.
        let plain = |choices: &[u8]| {
            let segments = [parts.segments.join("\u{1}")].to_vec();
            let one = Parts { segments, ..parts.clone() }.respelt(choices);
            one.replace("%01", "/").replace('\u{1}', "/").replace("/./", "/").replace("/x/../", "/").replace("/%2E/y/z/%2e./../", "/")
        };
        let uri = parts.respelt(&choices);
        for pattern in [parts.written(), plain(&other)] {
            let deny = weir_config::Filter { allow: Vec::new(), deny: vec![pattern.clone()] };
            let allow = weir_config::Filter { allow: vec![pattern.clone()], deny: Vec::new() };
            let (deny, allow) = (UriFilter::new(&deny).unwrap(), UriFilter::new(&allow).unwrap());
            prop_assert!(!deny.reaches(None, &uri), "{} past {}", uri, pattern);
            prop_assert!(!deny.lists(None, &uri), "{} past {}", uri, pattern);
            prop_assert!(allow.reaches(None, &uri), "{} not by {}", uri, pattern);
            let elsewhere = format!("{uri}x");
            prop_assert!(deny.reaches(None, &elsewhere) && !allow.reaches(None, &elsewhere));
        }
    }
}

#[test]
fn what_has_too_many_backends_before_it_cannot_be_judged() {
    let wrapped = |count: usize| format!("{}file:///a", "weir+a:".repeat(count));
    assert!(normal_form(&wrapped(8)).is_some() && normal_form(&wrapped(9)).is_none());
    assert!(normal_form(&wrapped(500_000)).is_none());
    let filter = weir_config::Filter { allow: Vec::new(), deny: vec!["secret*".to_owned()] };
    let filter = UriFilter::new(&filter).unwrap();
    assert!(filter.lists(None, &wrapped(8)) && !filter.lists(None, &wrapped(9)));
    assert!(!filter.reaches(None, &wrapped(500_000)));
}

#[test]
fn patterns_with_a_backend_are_normal_within() {
    assert_eq!(normal_pattern("WEIR+files:FILE:/a/*"), "weir+files:file:///a/*");
    for (pattern, expected) in
        [("http://H:80", "http://h/"), ("http://h*", "http://h*"), ("http://h/a", "http://h/a")]
    {
        assert_eq!(normal_pattern(pattern), expected);
    }
}
