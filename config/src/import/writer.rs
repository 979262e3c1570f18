//! A draft as the text of a YAML file, one value a line.

use super::draft::{Draft, Value};
use crate::tree::describe_plain;

/// Longest line of a comment, in characters.
const WIDTH: usize = 110;

/// The text of a draft, and for each line the way of positions to the value that stands there.
pub(super) struct Written {
    pub(super) text: String,
    pub(super) lines: Vec<Vec<usize>>,
}

/// Writes a draft below the lines of `head`.
pub(super) fn write(draft: &Draft, head: &[String]) -> Written {
    let mut written = Written { text: String::new(), lines: Vec::new() };
    for line in head {
        written.comment(0, line);
    }
    let mut way = Vec::new();
    written.members(draft, 0, &mut way);
    written
}

impl Written {
    fn line(&mut self, text: &str, way: &[usize]) {
        self.text.push_str(text.trim_end());
        self.text.push('\n');
        self.lines.push(way.to_vec());
    }

    fn comment(&mut self, indent: usize, text: &str) {
        let margin = " ".repeat(indent);
        // What comes from the source must not end the comment and begin something else.
        let clean = |letter: char| if letter.is_control() { ' ' } else { letter };
        let text: String = text.chars().map(clean).collect();
        let mut rest = text.as_str();
        loop {
            let room = WIDTH.saturating_sub(indent + 2).max(40);
            let line = if rest.chars().count() <= room {
                rest
            } else {
                let end = rest.char_indices().nth(room).map_or(rest.len(), |(at, _)| at);
                let fits = rest.get(..end).unwrap_or(rest);
                fits.rsplit_once(' ').map_or(fits, |(line, _)| line)
            };
            self.line(&format!("{margin}# {line}"), &[]);
            rest = rest.get(line.len()..).unwrap_or_default().trim_start();
            if rest.is_empty() {
                return;
            }
        }
    }

    /// The members of a mapping or list, each on lines of its own.
    fn members(&mut self, draft: &Draft, indent: usize, way: &mut Vec<usize>) {
        let mut at = 0;
        while let Some((key, member)) = draft.member(at) {
            way.push(at);
            at += 1;
            if indent == 0 {
                self.line("", &[]);
            }
            for comment in &member.comments {
                self.comment(indent, comment);
            }
            let margin = " ".repeat(indent);
            let head = key.map_or_else(|| "-".to_owned(), |key| format!("{}:", scalar(key)));
            match &member.value {
                Value::Text(text) => self.line(&format!("{margin}{head} {}", scalar(text)), way),
                Value::Bare(text) => self.line(&format!("{margin}{head} {text}"), way),
                Value::List(items) if items.is_empty() => self.line(&format!("{margin}{head} []"), way),
                Value::Table(entries) if entries.is_empty() => {
                    self.line(&format!("{margin}{head} {{}}"), way)
                }
                Value::List(_) | Value::Table(_) => {
                    self.line(&format!("{margin}{head}"), way);
                    self.members(member, indent + 2, way);
                }
            }
            way.pop();
        }
    }
}

/// Text as a YAML scalar on one line: without quotes where it reads back as the same text.
pub(super) fn scalar(text: &str) -> String {
    let begins = |c: char| c.is_ascii_alphanumeric() || "_/.$(".contains(c);
    let inner = |c: char| c.is_ascii_alphanumeric() || "_/.$(){}+=,-~?&%@:; ".contains(c);
    let flag = text.trim_start_matches('-');
    let plain = (text.starts_with(begins) || (flag.len() + 2 >= text.len() && flag.starts_with(begins)))
        && text.chars().all(inner)
        && !text.contains(": ")
        && !text.ends_with([':', ' '])
        && describe_plain(text) == "a string"
        && !["y", "n", "yes", "no", "on", "off"].contains(&text.to_ascii_lowercase().as_str());
    if plain {
        return text.to_owned();
    }
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            hidden if hidden.is_control() || matches!(hidden, '\u{2028}' | '\u{2029}' | '\u{feff}') => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(hidden)));
            }
            plain => quoted.push(plain),
        }
    }
    quoted.push('"');
    quoted
}
