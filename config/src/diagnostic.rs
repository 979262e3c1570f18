//! What is wrong with a file, and where.

use std::fmt;
use std::path::PathBuf;

/// One finding: its place in the file, what is wrong, and what would be right.
///
/// `Display` writes `weir.yaml:7:5: message`, the source line and a caret below the place; values that may be
/// secret are left out of the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// The file, as it was named to [`load`](crate::load()).
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The place as a path of keys, such as `backends.time.command` or `backends.time.args[0]`; empty for the
    /// whole file.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// The line's text with `…` in the place of values that may be secret.
    pub snippet: String,
    /// The column, from 1, of the place in `snippet`; differs from `column` where something before it was
    /// left out.
    pub caret: usize,
    /// What to write instead.
    pub suggestion: Option<String>,
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)?;
        // A guess reads as part of the sentence; advice stands below the line.
        let guess = self.suggestion.as_deref().filter(|text| text.starts_with("did you mean"));
        if let Some(guess) = guess {
            write!(f, ", {guess}")?;
        }
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        if !self.snippet.is_empty() {
            write!(
                f,
                "\n{number} | {}\n{margin} | {}^",
                self.snippet,
                " ".repeat(self.caret.saturating_sub(1))
            )?;
        }
        match &self.suggestion {
            Some(advice) if guess.is_none() => write!(f, "\n{margin} = help: {advice}"),
            _ => Ok(()),
        }
    }
}

/// Everything that is wrong with a file, in the order of the file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigErrors(pub(crate) Vec<Diagnostic>);

impl ConfigErrors {
    /// The findings, in the order of the file.
    pub fn diagnostics(&self) -> &[Diagnostic] {
        &self.0
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            write!(f, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
