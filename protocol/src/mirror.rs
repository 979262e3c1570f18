//! Parameters of tools that are mirrored in `Mcp-Param-*` headers: reading the annotations of a schema, the values of a
//! call, and the headers that came with one.
//!
//! S: MCP 2026-07-28 `basic/transports/streamable-http` "Custom Headers from Tool Parameters", `server/tools`.

mod schema;
mod values;

use crate::headers;
use memchr::memmem::Finder;
use std::borrow::Cow;
use std::sync::LazyLock;

pub use schema::AnnotationError;

/// What the name of every header begins with, in lower case.
const PREFIX: &str = "mcp-param-";
/// The largest integer that every reader of JSON keeps exactly: 2⁵³ − 1.
const LARGEST: i64 = (1 << 53) - 1;

/// The mirrored parameters of one tool; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors(Vec<Mirror>);

/// One mirrored parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mirror {
    /// The whole name of its header, in lower case.
    header: String,
    /// The keys that lead to it from the arguments.
    path: Vec<String>,
    /// Its values are integers, which are compared as numbers.
    integer: bool,
}

/// Why the headers of a call do not agree with its arguments.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// A value has no header, or several.
    #[error("header `{0}` must be sent exactly once")]
    NotOnce(String),
    /// There is a header, but no value.
    #[error("header `{0}` mirrors no argument of the call")]
    Surplus(String),
    /// It holds characters that no header may have, or base64 that does not decode to text.
    #[error("header `{0}` is not readable")]
    Unreadable(String),
    /// It says something else than the arguments.
    #[error("header `{0}` differs from the body")]
    Differs(String),
    /// The arguments cannot be read, or name a mirrored parameter twice.
    #[error("the arguments that headers mirror cannot be read: {0}")]
    Arguments(String),
}

impl Mirrors {
    /// The annotations of an `inputSchema`; `None` where it has none.
    ///
    /// # Errors
    /// An annotation breaks a rule: such a tool must not be shown.
    pub fn of_schema(schema: &[u8]) -> Result<Option<Self>, AnnotationError> {
        static WORDS: LazyLock<[Finder<'static>; 2]> =
            LazyLock::new(|| [schema::KEYWORD, "\\u00"].map(Finder::new));
        // Few schemas have any, and looking for the word is far cheaper than reading them. It may be written in escapes.
        if WORDS.iter().all(|word| word.find(schema).is_none()) {
            return Ok(None);
        }
        let mirrors = schema::read(schema)?;
        Ok((!mirrors.is_empty()).then_some(Self(mirrors)))
    }

    /// The headers of a call with these `arguments`, if it has any: names in lower case, values encoded.
    ///
    /// # Errors
    /// [`Mismatch::Arguments`].
    pub fn headers(&self, arguments: Option<&[u8]>) -> Result<Vec<(&str, String)>, Mismatch> {
        let values = self.values(arguments)?;
        let headers = self.0.iter().zip(values).filter_map(|(mirror, value)| {
            let value = value?;
            let canonical = mirror.integer.then(|| integer(&value)).flatten();
            let value = canonical.map_or(value, |number| number.to_string().into());
            Some((mirror.header.as_str(), headers::encode(&value).into_owned()))
        });
        Ok(headers.collect())
    }

    /// Checks the headers of a call against its `arguments`. `sent` yields the values of the header of a name, `None` in
    /// place of one that is no text.
    ///
    /// # Errors
    /// They do not agree.
    pub fn check<'h, I>(&self, arguments: Option<&[u8]>, sent: impl Fn(&str) -> I) -> Result<(), Mismatch>
    where
        I: Iterator<Item = Option<&'h str>>,
    {
        let values = self.values(arguments)?;
        for (mirror, value) in self.0.iter().zip(values) {
            let name = || mirror.header.clone();
            let mut sent = sent(&mirror.header);
            let (header, value) = match (sent.next(), sent.next(), value) {
                (None, _, None) => continue,
                (Some(_), _, None) => return Err(Mismatch::Surplus(name())),
                (Some(header), None, Some(value)) => (header, value),
                _ => return Err(Mismatch::NotOnce(name())),
            };
            let header = header.map(str::trim).and_then(headers::decode);
            let header = header.ok_or_else(|| Mismatch::Unreadable(name()))?;
            let equal = header == value
                || (mirror.integer && integer(&value).is_some_and(|number| integer(&header) == Some(number)));
            if !equal {
                return Err(Mismatch::Differs(name()));
            }
        }
        Ok(())
    }

    fn values<'a>(&self, arguments: Option<&'a [u8]>) -> Result<Vec<Option<Cow<'a, str>>>, Mismatch> {
        values::read(&self.0, arguments).map_err(|error| Mismatch::Arguments(error.to_string()))
    }
}

/// The integer that a JSON number in `text` stands for, however it is written: `42`, `42.0` and `4.2e1` are one.
fn integer(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let number = if plain {
        text.parse::<i64>().ok()?
    } else {
        let number: f64 = serde_json::from_str(text).ok()?;
        if number.fract() != 0.0 || number.abs() > LARGEST as f64 {
            return None;
        }
        number as i64
    };
    (number.unsigned_abs() <= LARGEST.unsigned_abs()).then_some(number)
}

#[cfg(test)]
mod tests;
