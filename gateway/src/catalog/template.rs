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
    use super::Template;

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
}
