//! Why a backend failed, told apart by who may read it.

use std::borrow::Cow;
use std::fmt;

/// A cause with two faces: [`Display`](fmt::Display) shows what a caller may read; the detail, which may name
/// addresses, directories and programs, is for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    public: Cow<'static, str>,
    detail: Option<String>,
}

impl Cause {
    /// A cause that anybody may read.
    pub fn public(text: impl Into<Cow<'static, str>>) -> Self {
        Self { public: text.into(), detail: None }
    }

    /// A cause of which callers read `text` only.
    pub fn private(text: &'static str, detail: impl fmt::Display) -> Self {
        Self { public: Cow::Borrowed(text), detail: Some(detail.to_string()) }
    }

    /// What only the log may say.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.public)
    }
}

/// An error with all its sources, as one line for the log.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
