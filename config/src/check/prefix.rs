//! Formats of names, and whether the backend can be told from a name.

use super::{Checker, is_name_character};
use crate::report::quote;
use crate::tree::Path;

const BACKEND: &str = "{backend}";
const NAME: &str = "{name}";
/// Formats that are tried for a suggestion.
const CANDIDATES: [&str; 3] = ["{backend}__", "{backend}-", "{backend}."];

/// A format such as `{backend}_{name}`: text before the backend, and text after it.
#[derive(Debug, PartialEq)]
pub(crate) struct Format<'f> {
    before: &'f str,
    after: &'f str,
    /// The item's own name comes first: `{name}.{backend}`.
    name_first: bool,
}

impl<'f> Format<'f> {
    /// Reads a format; the error says what is wrong with it.
    pub(crate) fn parse(format: &'f str) -> Result<Self, String> {
        let Some((head, tail)) = format.split_once(BACKEND) else {
            return Err(format!("the format must hold `{BACKEND}`"));
        };
        let (before, after, name_first) = match (head.split_once(NAME), tail.split_once(NAME)) {
            (None, None) => (head, tail, false),
            (None, Some((between, _))) => (head, between, false),
            (Some((_, between)), None) => (between, tail, true),
            (Some(_), Some(_)) => return Err(format!("the format may hold `{NAME}` once")),
        };
        let literal = format.replacen(BACKEND, "", 1).replacen(NAME, "", 1);
        if literal.contains(BACKEND) || literal.contains(NAME) {
            return Err(format!("the format may hold `{BACKEND}` and `{NAME}` once each"));
        }
        match literal.chars().find(|character| !is_name_character(*character)) {
            Some('{' | '}') => Err(format!("the format knows `{BACKEND}` and `{NAME}` only")),
            Some(character) => {
                Err(format!("{} is not allowed in names", quote(character.encode_utf8(&mut [0; 4]))))
            }
            None => Ok(Self { before, after, name_first }),
        }
    }

    /// What every name of a backend begins (or ends) with, up to the item's own name.
    fn render(&self, backend: &str) -> String {
        format!("{}{backend}{}", self.before, self.after)
    }

    /// Two backends, by position, of which one name may belong to either: the fixed part of one can be read
    /// as the fixed part of the other and a piece of the item's own name.
    pub(crate) fn clash(&self, backends: &[String]) -> Option<(usize, usize)> {
        let fixed = |(index, backend): (usize, &String)| {
            let fixed = self.render(backend);
            (if self.name_first { fixed.chars().rev().collect() } else { fixed }, index)
        };
        let mut fixed: Vec<(String, usize)> = backends.iter().enumerate().map(fixed).collect();
        // What begins with a text follows it directly in sorted order.
        fixed.sort();
        fixed.iter().zip(fixed.iter().skip(1)).find_map(|((a, first), (b, second))| {
            b.starts_with(a.as_str()).then(|| (*first.min(second), *first.max(second)))
        })
    }

    /// A usual format under which all backends can be told apart.
    pub(crate) fn unambiguous(backends: &[String]) -> Option<&'static str> {
        let clear =
            |format: &&str| Format::parse(format).is_ok_and(|format| format.clash(backends).is_none());
        CANDIDATES.into_iter().find(clear)
    }
}

/// Reports a valid format under which two of an endpoint's backends cannot be told apart; `place` says where
/// a backend is named.
pub(super) fn check(
    checker: &mut Checker<'_>,
    format: &str,
    backends: &[String],
    place: impl Fn(&str) -> Path,
) {
    let Ok(parsed) = Format::parse(format) else { return };
    let Some((first, second)) = parsed.clash(backends) else {
        return;
    };
    let (Some(a), Some(b)) = (backends.get(first), backends.get(second)) else {
        return;
    };
    let (fixed_a, fixed_b) = (parsed.render(a), parsed.render(b));
    let shared = if fixed_a.len() > fixed_b.len() { fixed_a } else { fixed_b };
    let verb = if parsed.name_first { "ends" } else { "begins" };
    let message = format!(
        "the backends {} and {} cannot be told apart: with the format {}, a name that {verb} with {} may belong to either",
        quote(a),
        quote(b),
        quote(format),
        quote(&shared),
    );
    let help = match Format::unambiguous(backends) {
        Some(format) => {
            format!(
                "rename one, or set on the endpoint `conflicts: {{strategy: prefix, format: \"{format}\"}}`"
            )
        }
        None => "rename one".to_owned(),
    };
    let finding = checker.at(&place(b), message);
    checker.error(finding.help(help));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clash(format: &str, backends: &[&str]) -> Option<(usize, usize)> {
        let backends: Vec<_> = backends.iter().map(|name| (*name).to_owned()).collect();
        Format::parse(format).unwrap().clash(&backends)
    }

    #[test]
    fn backends_that_cannot_be_told_apart_are_found() {
        for (format, backends, expected) in [
            ("{backend}_", ["a", "b"], None),
            ("{backend}_", ["a", "a_b"], Some((0, 1))),
            ("{backend}_", ["a_b", "a"], Some((0, 1))),
            ("{backend}_", ["a", "ab"], None),
            ("{backend}", ["a", "ab"], Some((0, 1))),
            ("{backend}", ["a", "b"], None),
            ("{backend}__", ["a", "a_b"], None),
            ("{backend}__", ["a", "a__b"], Some((0, 1))),
            ("{backend}_{name}_x", ["a", "a_b"], Some((0, 1))),
            ("x_{backend}_{name}", ["a", "a_b"], Some((0, 1))),
            ("{name}_{backend}", ["a", "b_a"], Some((0, 1))),
            ("{name}_{backend}", ["a", "a_b"], None),
        ] {
            assert_eq!(clash(format, &backends), expected, "{format} {backends:?}");
        }
    }

    #[test]
    fn broken_formats_are_refused() {
        for (format, expected) in [
            ("", "the format must hold `{backend}`"),
            ("{name}", "the format must hold `{backend}`"),
            ("{backend}{backend}", "the format may hold `{backend}` and `{name}` once each"),
            ("{backend}{name}{name}", "the format may hold `{backend}` and `{name}` once each"),
            ("{name}{backend}{name}", "the format may hold `{name}` once"),
            ("{backend}_{tool}", "the format knows `{backend}` and `{name}` only"),
            ("{backend}/", "`/` is not allowed in names"),
        ] {
            assert_eq!(Format::parse(format).unwrap_err(), expected, "{format}");
        }
    }
}
