//! Patterns of the names in certificates.

use crate::model::CertificateSubject;
use globset::{GlobBuilder, GlobMatcher};

/// A pattern of names. Names have parts, and nothing but `**`, which is a part of its own, stands for more than one: whoever may
/// choose one part of a name cannot write others into it.
#[derive(Debug, Clone)]
pub struct NamePattern {
    subject: CertificateSubject,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    One(GlobMatcher),
    /// At least one part; the first begins like this.
    Many(String),
}

impl NamePattern {
    /// Reads a pattern of names of one kind.
    ///
    /// # Errors
    /// It is no pattern; why, in words.
    pub fn new(subject: CertificateSubject, text: &str) -> Result<Self, String> {
        let part = |text: &str| match text.strip_suffix("**") {
            Some(before) if before.chars().all(|letter| separates(subject, letter)) => {
                Ok(Part::Many(before.to_owned()))
            }
            _ => {
                let mut builder = GlobBuilder::new(text);
                // In a distinguished name it is the name's own (RFC 4514 section 2.4).
                builder.backslash_escape(subject != CertificateSubject::Name);
                let glob = builder.build().map_err(|error| error.kind().to_string())?;
                Ok(Part::One(glob.compile_matcher()))
            }
        };
        let parts = in_pattern(subject, text)?.into_iter().map(part).collect::<Result<_, String>>()?;
        Ok(Self { subject, parts })
    }

    /// Whether a name is one of these.
    pub fn fits(&self, name: &str) -> bool {
        let name = in_name(self.subject, name);
        let (mut own, mut at) = (0, 0);
        // Where the last `**` may go on: it takes as little as it can.
        let mut again = None;
        while let Some(part) = name.get(at) {
            let fits = match self.parts.get(own) {
                Some(Part::One(glob)) => glob.is_match(part),
                Some(Part::Many(before)) if part.starts_with(before.as_str()) => {
                    again = Some((own + 1, at + 1));
                    true
                }
                _ => false,
            };
            if fits {
                (own, at) = (own + 1, at + 1);
            } else if let Some((after, taken)) = again {
                again = Some((after, taken + 1));
                (own, at) = (after, taken + 1);
            } else {
                return false;
            }
        }
        own == self.parts.len()
    }
}

/// Whether a letter stands between the parts of a name.
fn separates(subject: CertificateSubject, letter: char) -> bool {
    match subject {
        CertificateSubject::Name => matches!(letter, ',' | '+'),
        CertificateSubject::Dns => letter == '.',
        CertificateSubject::Uri => letter == '/',
        CertificateSubject::Email => letter == '@',
    }
}

/// The parts of a name; each but the first begins with what separates it from the one before.
fn in_name(subject: CertificateSubject, name: &str) -> Vec<&str> {
    let mut escaped = false;
    let begins = name.char_indices().filter(|(_, letter)| {
        let plain = !std::mem::take(&mut escaped);
        escaped = plain && *letter == '\\' && subject == CertificateSubject::Name;
        plain && separates(subject, *letter)
    });
    cut(name, begins.map(|(at, _)| at))
}

/// The parts of a pattern, in the same way.
fn in_pattern(subject: CertificateSubject, pattern: &str) -> Result<Vec<&str>, String> {
    let of_name = subject == CertificateSubject::Name;
    let (mut escaped, mut braces, mut begins) = (false, 0_u32, Vec::new());
    // How many letters of a class were there already.
    let mut class = None;
    for (at, letter) in pattern.char_indices() {
        let separator = separates(subject, letter);
        if std::mem::take(&mut escaped) && (separator || letter == '\\' || !of_name) {
            // In a distinguished name it is a part of a value.
            if separator && !of_name {
                return Err(misplaced(letter));
            }
            continue;
        }
        match (letter, class) {
            (']', Some(1..)) => class = None,
            ('!' | '^', Some(0)) => {}
            (_, Some(_)) if separator => return Err(misplaced(letter)),
            (_, Some(before)) => class = Some(before + 1),
            ('\\', None) => escaped = true,
            ('[', None) => class = Some(0_usize),
            ('{', None) => braces += 1,
            ('}', None) => braces = braces.saturating_sub(1),
            (',', None) if braces > 0 => {}
            (_, None) if separator && braces > 0 => return Err(misplaced(letter)),
            (_, None) if separator => begins.push(at),
            _ => {}
        }
    }
    Ok(cut(pattern, begins.into_iter()))
}

fn misplaced(letter: char) -> String {
    format!(
        "a `{letter}` separates parts of a name, and stands neither in brackets or braces nor behind `\\`"
    )
}

/// A text cut before each of these places.
fn cut(text: &str, begins: impl Iterator<Item = usize>) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut from = 0;
    for at in begins.chain([text.len()]) {
        parts.extend(text.get(from..at));
        from = at;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use CertificateSubject::{Dns, Email, Name, Uri};

    #[test]
    fn a_star_stands_for_one_part_of_a_name() {
        for (subject, pattern, name, expected) in [
            (Name, "CN=*,O=Agents", "CN=x,O=Agents", true),
            (Name, "CN=*,O=Agents", "CN=x,OU=Guests,O=Agents", false),
            (Name, "CN=*,O=Agents", "CN=x+UID=7,O=Agents", false),
            (Name, "CN=*,O=Agents", "CN=x\\,O\\=Guests,O=Agents", true),
            (Name, "CN=*,O=Agents", "CN=x\\,O=Agents", false),
            (Name, "CN=*,O=Agents", "CN=x\\\\,O=Agents", true),
            (Name, "CN=*,O=Agents", "CN=x,O=Agents,C=CH", false),
            (Name, "CN=[!a],O=Agents", "CN=,,O=Agents", false),
            (Name, "CN={a,b},O=Agents\\, Inc", "CN=b,O=Agents\\, Inc", true),
            (Name, "CN=a+OU=b", "CN=a,OU=b", false),
            (Name, "CN=a,**", "CN=a,OU=b,O=c", true),
            (Name, "CN=*", "CN=a/b", true),
            (Dns, "*.agents.test", "a.agents.test", true),
            (Dns, "*.agents.test", "a.b.agents.test", false),
            (Dns, "**.agents.test", "a.b.agents.test", true),
            (Dns, "**.agents.test", "agents.test", false),
            (Dns, "?.agents.test", "..agents.test", false),
            (Dns, "*", "a.test", false),
            (Dns, "**", "a.b.test", true),
            (Uri, "spiffe://example.com/ns/*/sa/agent", "spiffe://example.com/ns/a/sa/agent", true),
            (Uri, "spiffe://example.com/ns/*/sa/agent", "spiffe://example.com/ns/b/sa/x/sa/agent", false),
            (Uri, "spiffe://example.com/ns/**/sa/agent", "spiffe://example.com/ns/b/sa/x/sa/agent", true),
            (Uri, "spiffe://example.com/**/a/**/b", "spiffe://example.com/x/a/y/a/z/b", true),
            (Uri, "spiffe://example.com/**/a/**/b", "spiffe://example.com/x/a/b", false),
            (Uri, "spiffe://example.com/**", "spiffe://example.com", false),
            (Uri, "spiffe://example.com/**", "spiffe://example.com/a/b", true),
            (Uri, "spiffe://*/a", "spiffe://example.com/b/a", false),
            (Uri, "spiffe://example.com/a**", "spiffe://example.com/a/b", false),
            (Uri, "spiffe://example.com/[]a]", "spiffe://example.com/]", true),
            (Email, "*@example.com", "ada@example.com", true),
            (Email, "*@example.com", "ada@evil@example.com", false),
        ] {
            let fits = NamePattern::new(subject, pattern).unwrap().fits(name);
            assert_eq!(fits, expected, "{pattern} {name}");
        }
    }

    #[test]
    fn what_would_fit_nothing_is_no_pattern() {
        for (subject, pattern) in [
            (Uri, "spiffe://example.com/["),
            (Uri, "{spiffe://a.test/x,spiffe://b.test/x}"),
            (Uri, "spiffe://example.com[/]x"),
            (Dns, "a\\.test"),
            (Dns, "{a.b,c}.test"),
            (Name, "CN=[,],O=x"),
            (Name, "{CN=a+UID=b,CN=c}"),
            (Name, "CN={a"),
        ] {
            assert!(NamePattern::new(subject, pattern).is_err(), "{pattern}");
        }
    }
}
