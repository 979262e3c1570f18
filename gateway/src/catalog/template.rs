//! Telling whether a URI may be an expansion of a URI template.
//!
//! S: RFC 6570. Matching is generous: a template decides only who is asked, not what the URI means.

/// A compiled URI template.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// These bytes.
    Literal(String),
    /// A value without `/`, `?` and `#`: a simple expression. At least one byte.
    Segment,
    /// Anything, also nothing: a reserved, exploded, path, query or fragment expression.
    Anything,
}

/// A URI longer than this is matched by no template.
const LONGEST: usize = 2048;

impl Template {
    /// Compiles `template`; an unclosed brace counts as text.
    pub(crate) fn new(template: &str) -> Self {
        let mut parts = Vec::new();
        let mut rest = template;
        while let Some((literal, after)) = rest.split_once('{') {
            let Some((expression, behind)) = after.split_once('}') else {
                break;
            };
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            }
            let simple = expression
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'%'));
            parts.push(if simple { Part::Segment } else { Part::Anything });
            rest = behind;
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Self { parts }
    }

    /// Whether `uri` may be an expansion. Takes time in proportion to the URI's length times the template's parts.
    pub(crate) fn matches(&self, uri: &str) -> bool {
        let uri = uri.as_bytes();
        // Most templates of an endpoint are told apart by how they begin.
        if let Some(Part::Literal(literal)) = self.parts.first()
            && !uri.starts_with(literal.as_bytes())
        {
            return false;
        }
        if uri.len() > LONGEST {
            return false;
        }
        // `reached[i]`: the parts so far can have used up exactly the first `i` bytes.
        let mut reached = vec![false; uri.len() + 1];
        if let Some(first) = reached.first_mut() {
            *first = true;
        }
        for part in &self.parts {
            reached = step(part, uri, &reached);
        }
        reached.last() == Some(&true)
    }
}

fn step(part: &Part, uri: &[u8], reached: &[bool]) -> Vec<bool> {
    let mut next = vec![false; reached.len()];
    match part {
        Part::Literal(literal) => {
            let starts = reached.iter().enumerate().filter(|&(_, &is)| is).map(|(at, _)| at);
            for at in starts {
                if uri.get(at..).is_some_and(|rest| rest.starts_with(literal.as_bytes()))
                    && let Some(slot) = next.get_mut(at + literal.len())
                {
                    *slot = true;
                }
            }
        }
        Part::Anything => {
            let first = reached.iter().position(|&is| is).unwrap_or(reached.len());
            next.iter_mut().skip(first).for_each(|slot| *slot = true);
        }
        Part::Segment => {
            let mut inside = false;
            for ((&byte, &begins), slot) in uri.iter().zip(reached).zip(next.iter_mut().skip(1)) {
                inside = (inside || begins) && !matches!(byte, b'/' | b'?' | b'#');
                *slot = inside;
            }
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::{Part, Template};
    use proptest::prelude::*;

    #[test]
    fn templates_match_their_expansions() {
        let table = [
            ("test://template/{id}/data", "test://template/7/data", true),
            ("test://template/{id}/data", "test://template//data", false),
            ("test://template/{id}/data", "test://template/a/b/data", false),
            ("file:///{+path}", "file:///a/b?c", true),
            ("repo://{owner}/{name}{/rest*}", "repo://me/it/x/y", true),
            ("repo://{owner}/{name}{/rest*}", "repo://me", false),
            ("q://s{?a,b}", "q://s?a=1", true),
            ("q://s{?a,b}", "q://s", true),
            ("a://{x}{y}", "a://zz", true),
            ("a://b", "a://b", true),
            ("a://{open", "a://{open", true),
        ];
        for (template, uri, expected) in table {
            assert_eq!(Template::new(template).matches(uri), expected, "{template} {uri}");
        }
    }

    #[test]
    fn long_uris_take_no_time() {
        let template = Template::new(&"{a}-{+b}".repeat(50));
        assert!(!template.matches(&format!("{}/", "-".repeat(2000))) || !template.matches(&"-".repeat(9000)));
    }

    /// A piece of a template and one expansion of it.
    fn piece() -> impl Strategy<Value = (String, String)> {
        let simple = "[A-Za-z0-9._~%-]{1,5}";
        let several = || prop::collection::vec(simple, 1..4);
        prop_oneof![
            "[a-z:/.?=&-]{1,5}".prop_map(|text| (text.clone(), text)),
            simple.prop_map(|value| ("{id}".to_owned(), value)),
            simple.prop_map(|value| ("{x:3}".to_owned(), value.chars().take(3).collect())),
            (simple, simple).prop_map(|(x, y)| ("{x,y}".to_owned(), format!("{x},{y}"))),
            "[a-z/?#:,!é]{0,6}".prop_map(|value| ("{+path}".to_owned(), value)),
            "[a-z/?:]{0,6}".prop_map(|value| ("{#part}".to_owned(), format!("#{value}"))),
            several().prop_map(|values| ("{/rest*}".to_owned(), format!("/{}", values.join("/")))),
            several().prop_map(|values| ("{.ext*}".to_owned(), format!(".{}", values.join(".")))),
            (simple, simple).prop_map(|(a, b)| ("{?a,b}".to_owned(), format!("?a={a}&b={b}"))),
            Just(("{?a,b}".to_owned(), String::new())),
            simple.prop_map(|a| ("{&a}".to_owned(), format!("&a={a}"))),
            several().prop_map(|values| ("{;v}".to_owned(), format!(";v={}", values.join(",")))),
        ]
    }

    /// Matching as it is described, by trying every way.
    fn fits(parts: &[Part], uri: &str) -> bool {
        let Some((part, rest)) = parts.split_first() else {
            return uri.is_empty();
        };
        let mut ends = (0..=uri.len()).filter(|&end| uri.is_char_boundary(end));
        ends.any(|end| {
            let (taken, after) = uri.split_at(end);
            let is_part = match part {
                Part::Literal(literal) => taken == literal,
                Part::Segment => !taken.is_empty() && !taken.contains(['/', '?', '#']),
                Part::Anything => true,
            };
            is_part && fits(rest, after)
        })
    }

    proptest! {
        #[test]
        fn every_expansion_matches(pieces in prop::collection::vec(piece(), 0..6)) {
            let (template, uri): (String, String) = pieces.into_iter().unzip();
            prop_assert!(Template::new(&template).matches(&uri), "{} {}", template, uri);
        }

        #[test]
        fn matching_is_as_described(template in "([ab/?]|\\{x\\}|\\{\\+y\\}|\\{|\\}){0,6}", uri in "[ab/?#{}é]{0,7}") {
            let template = Template::new(&template);
            prop_assert_eq!(template.matches(&uri), fits(&template.parts, &uri), "{:?} {}", template, uri);
        }
    }
}
