//! What a server writes to its standard error, as log lines.

use std::fmt::Write;
use tokio::io::{AsyncBufRead, AsyncBufReadExt};

/// Longest line kept, in bytes; what follows up to the line feed is dropped.
const LONGEST_LINE: usize = 8 * 1024;

/// Logs every line of `stderr` under the target `backend` until it ends or fails.
pub(crate) async fn log_lines(backend: &str, mut stderr: impl AsyncBufRead + Unpin) {
    let mut line = Line::default();
    loop {
        match stderr.fill_buf().await {
            Ok([]) | Err(_) => break,
            Ok(bytes) => {
                let (text, ended) = match bytes.iter().position(|byte| *byte == b'\n') {
                    Some(end) => (bytes.get(..end).unwrap_or_default(), true),
                    None => (bytes, false),
                };
                line.push(text);
                let used = text.len() + usize::from(ended);
                stderr.consume(used);
                if ended {
                    log(backend, &std::mem::take(&mut line));
                }
            }
        }
    }
    if !line.bytes.is_empty() {
        log(backend, &line);
    }
}

fn log(backend: &str, line: &Line) {
    tracing::info!(target: "backend", backend, "{}", line.text());
}

/// A line under construction, never longer than [`LONGEST_LINE`].
#[derive(Default)]
struct Line {
    bytes: Vec<u8>,
    cut: bool,
}

impl Line {
    fn push(&mut self, text: &[u8]) {
        let room = LONGEST_LINE - self.bytes.len();
        self.cut |= text.len() > room;
        self.bytes.extend_from_slice(text.get(..room).unwrap_or(text));
    }

    /// The line as it may stand in a log: everything that a terminal or a log reader would take as more than text is
    /// escaped, so that a server cannot forge lines, colour them or reverse their order.
    fn text(&self) -> String {
        let bytes = self.bytes.strip_suffix(b"\r").unwrap_or(&self.bytes);
        let mut text = String::with_capacity(bytes.len());
        for c in String::from_utf8_lossy(bytes).chars() {
            if c != '\t' && (c.is_control() || reorders(c)) {
                // Writing to a String does not fail.
                let _ = write!(text, "{}", c.escape_default());
            } else {
                text.push(c);
            }
        }
        if self.cut {
            text.push('…');
        }
        text
    }
}

/// Line and paragraph separators, and the characters that override the direction of text.
fn reorders(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_LINE, Line};

    fn text(bytes: &[u8]) -> String {
        let mut line = Line::default();
        for chunk in bytes.chunks(1000) {
            line.push(chunk);
        }
        line.text()
    }

    #[test]
    fn text_passes_as_it_is() {
        assert_eq!(text("a\tb \\ \"ü\" 漢字 🦀\r".as_bytes()), "a\tb \\ \"ü\" 漢字 🦀");
    }

    #[test]
    fn what_is_more_than_text_is_escaped() {
        assert_eq!(text(b"a\x1b[31mred\x07\rb\x00"), "a\\u{1b}[31mred\\u{7}\\rb\\u{0}");
        assert_eq!(text("a\u{202e}b\u{2028}c\u{85}d".as_bytes()), "a\\u{202e}b\\u{2028}c\\u{85}d");
        assert_eq!(text(b"a\xffb"), "a\u{fffd}b");
    }

    #[test]
    fn a_long_line_is_cut() {
        assert_eq!(text(&[b'x'; LONGEST_LINE]), "x".repeat(LONGEST_LINE));
        assert_eq!(text(&[b'x'; 3 * LONGEST_LINE]), "x".repeat(LONGEST_LINE) + "…");
        assert_eq!(text("ü".repeat(LONGEST_LINE).as_bytes()), "ü".repeat(LONGEST_LINE / 2) + "…");
    }
}
