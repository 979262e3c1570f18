//! A server's text as part of a line: it cannot write lines of its own or steer the terminal.

/// Longest piece of a server's text in a line, in characters.
const LONGEST: usize = 1000;

/// The text with everything escaped that is not to be seen.
pub(crate) fn shown(text: &str) -> String {
    let mut shown = String::new();
    for letter in text.chars().take(LONGEST) {
        match letter {
            '"' | '\'' | '\\' => shown.push(letter),
            letter => shown.extend(letter.escape_debug()),
        }
    }
    if text.chars().count() > LONGEST {
        shown.push('…');
    }
    shown
}
