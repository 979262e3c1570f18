//! Small readings of raw JSON that need no tree.

use bytes::Bytes;
use std::borrow::Cow;

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let mut done = 0;
    for (at, byte) in text.bytes().enumerate() {
        if byte >= 0x20 && byte != b'"' && byte != b'\\' {
            continue;
        }
        out.extend_from_slice(text.as_bytes().get(done..at).unwrap_or_default());
        done = at + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            other => out.extend_from_slice(format!("\\u{other:04x}").as_bytes()),
        }
    }
    out.extend_from_slice(text.as_bytes().get(done..).unwrap_or_default());
    out.push(b'"');
}

/// `text` as a JSON string, quotes included.
pub fn string(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    write_string(&mut out, text);
    out
}

/// The text of a raw JSON string; `None` where `raw` is no JSON string.
pub fn as_str(raw: &[u8]) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if memchr::memchr(b'\\', inner).is_none() {
        return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
    }
    serde_json::from_slice::<String>(raw).ok().map(Cow::Owned)
}

/// Whether `json` nests deeper than `max` objects and arrays. `json` must be valid JSON.
pub fn deeper_than(json: &[u8], max: usize) -> bool {
    // Most messages do not even hold `max` brackets, and counting them is far cheaper than following them.
    if memchr::memchr2_iter(b'{', b'[', json).take(max + 1).count() <= max {
        return false;
    }
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for &byte in json {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

/// The message without line breaks. In valid JSON a raw line break can only stand between tokens, so a space may take
/// its place; stdio and event streams need messages of one line.
pub fn single_line(json: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &json).is_none() {
        return json;
    }
    let spaced: Vec<u8> =
        json.iter().map(|&byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }).collect();
    spaced.into()
}

/// Appends JSON text as one line. Its line breaks become spaces, which in JSON changes nothing.
pub fn write_flat(out: &mut Vec<u8>, text: &[u8]) {
    let start = out.len();
    out.extend_from_slice(text);
    if memchr::memchr2(b'\n', b'\r', text).is_some() {
        for byte in out.iter_mut().skip(start).filter(|byte| matches!(byte, b'\n' | b'\r')) {
            *byte = b' ';
        }
    }
}

/// A letter as readers without regard to case take it, who know ASCII and the four letters beyond it that common foldings make
/// ASCII ones of.
pub fn folded(letter: char) -> char {
    match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        '\u{130}' | '\u{131}' => 'i',
        letter => letter.to_ascii_lowercase(),
    }
}

/// Whether a key that is not `known`, which is ASCII, is the same to readers without regard to case.
pub fn is_guise(key: &str, known: &str) -> bool {
    key != known && key.chars().map(folded).eq(known.chars().map(|letter| letter.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_survive_writing_and_reading() {
        for text in ["", "plain", "q\"b\\s/", "tab\tnl\nnul\0", "ünï 世界 🦀"] {
            assert_eq!(as_str(&string(text)).as_deref(), Some(text));
            assert_eq!(serde_json::from_slice::<String>(&string(text)).unwrap(), text);
        }
        assert_eq!(as_str(b"12"), None);
        assert_eq!(as_str(br#""\ud800""#), None, "a lone surrogate is no text");
    }

    #[test]
    fn depth_counts_nesting_not_brackets() {
        assert!(!deeper_than(br#"{"a":[1,2],"b":[],"c":{"d":"[[[[[["}}"#, 2));
        assert!(deeper_than(br#"{"a":{"b":[1]}}"#, 2));
        assert!(!deeper_than(br#"{"a":{"b":[1]}}"#, 3));
        assert!(!deeper_than(br#""\"[[[[""#, 1));
    }

    #[test]
    fn one_line_means_the_same() {
        let pretty = Bytes::from_static(b"{\n  \"a\": \"x\\ny\"\r\n}");
        let line = single_line(pretty.clone());
        let read = |json: &[u8]| serde_json::from_slice::<serde_json::Value>(json).unwrap();
        assert_eq!(read(&line), read(&pretty));
        assert!(!line.contains(&b'\n') && !line.contains(&b'\r'));
    }
}
