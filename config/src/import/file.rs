//! What kind of file is at hand, and its text in a form that the YAML parser reads.

use super::Origin;
use super::part::Part;
use crate::load::join_surrogates;
use crate::report::Finding;
use crate::tree::{Path, Value};
use std::borrow::Cow;

/// Keys that only ToolHive's configuration has at its root.
const TOOLHIVE: [&str; 6] =
    ["aggregation", "groupRef", "incomingAuth", "outgoingAuth", "compositeTools", "operational"];

/// The text as YAML with every character at its place: clients write JSON with comments and tabs.
pub(super) fn as_yaml(text: &str) -> Cow<'_, str> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if !begins_as_json(text) {
        return Cow::Borrowed(text);
    }
    let plain = without_comments(text);
    Cow::Owned(join_surrogates(&plain).into_owned())
}

/// Whether the first thing beside comments is an object.
fn begins_as_json(text: &str) -> bool {
    let lines = text.lines().map(str::trim_start);
    lines.clone().any(|line| line.starts_with('{'))
        && lines.take_while(|line| !line.starts_with('{')).all(|line| {
            line.is_empty() || line.starts_with("//") || line.starts_with("/*") || line.starts_with('*')
        })
}

/// JSON with `//` and `/* */` comments, and tabs outside of strings, turned into blanks.
fn without_comments(text: &str) -> String {
    #[derive(PartialEq)]
    enum Within {
        Nothing,
        String,
        Line,
        Block,
    }
    let mut plain = String::with_capacity(text.len());
    let mut within = Within::Nothing;
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match (&within, character, next) {
            (Within::String, '\\', Some(escaped)) => {
                plain.push(character);
                plain.push(escaped);
                characters.next();
                continue;
            }
            (Within::String, '"', _) => within = Within::Nothing,
            (Within::Nothing, '"', _) => within = Within::String,
            (Within::Nothing, '/', Some('/')) => within = Within::Line,
            (Within::Nothing, '/', Some('*')) => within = Within::Block,
            (Within::Line, '\n', _) => within = Within::Nothing,
            (Within::Block, '*', Some('/')) => {
                plain.push_str("  ");
                characters.next();
                within = Within::Nothing;
                continue;
            }
            _ => {}
        }
        let blank = match within {
            Within::Line | Within::Block => !matches!(character, '\n' | '\r'),
            Within::Nothing => character == '\t',
            Within::String => false,
        };
        plain.push(if blank { ' ' } else { character });
    }
    plain
}

/// What a document says that it is.
pub(super) fn origin(root: &Part<'_>) -> Option<Origin> {
    let manifest = root.get("apiVersion").and_then(|version| version.text());
    let listed = root.get("backends").is_some_and(|backends| matches!(backends.node.value, Value::List(_)));
    if manifest.is_some_and(|version| version.starts_with("toolhive.")) || listed {
        return Some(Origin::ToolHive);
    }
    if !super::clients::sections(root).is_empty() {
        return Some(Origin::McpServers);
    }
    TOOLHIVE.iter().any(|key| root.get(key).is_some()).then_some(Origin::ToolHive)
}

/// What to say of a file of no known kind.
pub(super) fn unknown(root: &Part<'_>) -> Finding {
    let own = root.get("backends").is_some_and(|backends| matches!(backends.node.value, Value::Table(_)));
    let (message, help) = if own {
        ("this is weir's own configuration already", "serve it: `weir serve FILE`")
    } else {
        (
            "this is no file that weir can import",
            "it needs `mcpServers` (or VS Code's `servers`), or a configuration of ToolHive's `vmcp`",
        )
    };
    Finding::new(root.at, &Path::default(), message).help(help)
}
