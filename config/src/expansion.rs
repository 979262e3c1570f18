//! References: `${NAME}` inside text, and `{env: NAME}` or `{file: PATH}` in the place of text.

use crate::environment::Environment;
use crate::report::quote;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Largest file that a reference may name, in bytes.
const LARGEST_FILE: u64 = 1 << 20;

/// Which references a file may hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Dialect {
    /// weir's own file: `${NAME}`.
    Weir,
    /// A client's `mcpServers` file: `${env:NAME}` too.
    McpServers,
}

/// A reference that cannot be resolved; it names what is referred to, never a value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unresolved {
    /// How many characters stand before the reference.
    pub(crate) offset: usize,
    pub(crate) message: String,
    pub(crate) advice: Option<String>,
}

impl Unresolved {
    fn new(message: String, advice: impl Into<Option<String>>) -> Self {
        Self { offset: 0, message, advice: advice.into() }
    }
}

/// Resolves references.
pub(crate) struct Expander<'e> {
    pub(crate) environment: &'e dyn Environment,
    /// What relative paths are relative to.
    pub(crate) folder: PathBuf,
    pub(crate) dialect: Dialect,
    /// The files that were read.
    pub(crate) files: Vec<PathBuf>,
}

impl Expander<'_> {
    /// The text with every `${…}` replaced and every `$${` turned into `${`; `None` when it holds neither.
    pub(crate) fn expand(&self, text: &str) -> Result<Option<String>, Vec<Unresolved>> {
        if !text.contains("${") {
            return Ok(None);
        }
        let mut expanded = String::with_capacity(text.len());
        let mut problems = Vec::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let (before, from) = rest.split_at(at);
            let offset = text.len() - from.len();
            let reference = from.get(2..).unwrap_or_default();
            if let Some(before) = before.strip_suffix('$') {
                expanded.push_str(before);
                expanded.push_str("${");
                rest = reference;
                continue;
            }
            expanded.push_str(before);
            let resolved = match reference.split_once('}') {
                Some((inner, after)) => {
                    rest = after;
                    self.reference(inner)
                }
                None => {
                    rest = "";
                    let advice = "write `$${` for a literal `${`".to_owned();
                    Err(Unresolved::new("`${` without a closing `}`".to_owned(), advice))
                }
            };
            match resolved {
                Ok(value) => expanded.push_str(&value),
                Err(problem) => {
                    let offset = text.get(..offset).unwrap_or_default().chars().count();
                    problems.push(Unresolved { offset, ..problem });
                }
            }
        }
        expanded.push_str(rest);
        if problems.is_empty() { Ok(Some(expanded)) } else { Err(problems) }
    }

    /// What stands between `${` and `}`.
    fn reference(&self, inner: &str) -> Result<String, Unresolved> {
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        let name = match (self.dialect, name.split_once(':')) {
            (Dialect::McpServers, Some(("env", name))) => name,
            (Dialect::McpServers, Some(("input", name))) => {
                let message = format!(
                    "{} asks the user for a value, which a gateway cannot",
                    quote(&format!("${{input:{name}}}"))
                );
                return Err(Unresolved::new(message, "name an environment variable: `${NAME}`".to_owned()));
            }
            _ => name,
        };
        if !is_variable(name) {
            // The text may be a secret that happens to hold `${`: it is not repeated.
            let advice = "write `${NAME}` or `${NAME:-default}`, and `$${` for a literal `${`".to_owned();
            return Err(Unresolved::new("not a reference to an environment variable".to_owned(), advice));
        }
        match (self.environment.variable(name), default) {
            (Some(value), None) => Ok(value),
            (Some(value), Some(_)) if !value.is_empty() => Ok(value),
            (_, Some(default)) => Ok(default.to_owned()),
            (None, None) => Err(unset(name, &format!("set it, or give a default: `${{{name}:-…}}`"))),
        }
    }

    /// The value of `{env: NAME}`.
    pub(crate) fn variable(&self, name: &str) -> Result<String, Unresolved> {
        if !is_variable(name) {
            return Err(Unresolved::new("not the name of an environment variable".to_owned(), None));
        }
        self.environment.variable(name).ok_or_else(|| unset(name, "set it before weir starts"))
    }

    /// The content of `{file: PATH}` without its last line end.
    pub(crate) fn file(&mut self, path: &str) -> Result<String, Unresolved> {
        let path = resolve(&self.folder, path);
        let shown = quote(&path.display().to_string());
        let content = read(&path, LARGEST_FILE)
            .map_err(|problem| Unresolved::new(format!("cannot read the file {shown}: {problem}"), None))?;
        self.files.push(path);
        let text = content.strip_suffix('\n').unwrap_or(&content);
        Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
    }
}

/// A path of the file, relative ones beside the file.
pub(crate) fn resolve(folder: &Path, path: &str) -> PathBuf {
    folder.join(path)
}

/// A text file of bounded size; the error says in words what is wrong.
pub(crate) fn read(path: &Path, largest: u64) -> Result<String, String> {
    let mut content = Vec::new();
    let file = std::fs::File::open(path).map_err(|error| reason(&error))?;
    file.take(largest + 1).read_to_end(&mut content).map_err(|error| reason(&error))?;
    if u64::try_from(content.len()).is_ok_and(|length| length > largest) {
        return Err(format!("it is larger than {} KiB", largest >> 10));
    }
    String::from_utf8(content).map_err(|_| "it is not UTF-8 text".to_owned())
}

/// An operating system's error in words, without its number.
pub(crate) fn reason(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "it does not exist".to_owned(),
        ErrorKind::PermissionDenied => "permission denied".to_owned(),
        ErrorKind::IsADirectory => "it is a folder".to_owned(),
        _ => error.to_string(),
    }
}

fn unset(name: &str, advice: &str) -> Unresolved {
    Unresolved::new(format!("the environment variable {} is not set", quote(name)), advice.to_owned())
}

pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn expand(dialect: Dialect, text: &str) -> Result<String, Vec<String>> {
        let environment = |name: &str| match name {
            "USER" => Some("ada".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let expander =
            Expander { environment: &environment, folder: PathBuf::new(), dialect, files: Vec::new() };
        match expander.expand(text) {
            Ok(expanded) => Ok(expanded.unwrap_or_else(|| text.to_owned())),
            Err(problems) => {
                Err(problems.into_iter().map(|p| format!("{}: {}", p.offset, p.message)).collect())
            }
        }
    }

    #[test]
    fn references_are_replaced() {
        for (text, expected) in [
            ("plain $ $$ $x", "plain $ $$ $x"),
            ("${USER}", "ada"),
            ("<${USER}|${USER}>", "<ada|ada>"),
            ("${NONE:-x y}", "x y"),
            ("${NONE:-}", ""),
            ("${EMPTY:-x}", "x"),
            ("${EMPTY}", ""),
            ("$${USER}", "${USER}"),
            ("$$${USER}", "$${USER}"),
            ("$${USER} ${USER}", "${USER} ada"),
        ] {
            assert_eq!(expand(Dialect::Weir, text).as_deref(), Ok(expected), "{text}");
        }
        assert_eq!(expand(Dialect::McpServers, "${env:USER}").as_deref(), Ok("ada"));
    }

    #[test]
    fn what_cannot_be_replaced_is_named_with_its_offset() {
        for (text, expected) in [
            (
                "é${NONE}-${NOPE}",
                "1: the environment variable `NONE` is not set; 9: the environment variable `NOPE` is not set",
            ),
            ("a${USER", "1: `${` without a closing `}`"),
            ("${1}", "0: not a reference to an environment variable"),
            ("${env:USER}", "0: not a reference to an environment variable"),
        ] {
            assert_eq!(expand(Dialect::Weir, text).unwrap_err().join("; "), expected);
        }
        let input = expand(Dialect::McpServers, "${input:key}").unwrap_err().join("; ");
        assert_eq!(input, "0: `${input:key}` asks the user for a value, which a gateway cannot");
    }
}
