//! Names of backends and endpoints.

use super::Checker;
use crate::report::quote;
use crate::tree::Path;

/// Longest name of a backend or endpoint, in characters.
const LONGEST_NAME: usize = 64;

/// Whether a name may hold a character; the same set that MCP recommends for tool names.
pub(crate) fn is_name_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_.-".contains(character)
}

/// A name with every character replaced that a name may not hold; empty where nothing is written.
pub(crate) fn as_name(written: &str) -> String {
    let replaced = |character| {
        if is_name_character(character) { character } else { '-' }
    };
    written.trim().chars().take(LONGEST_NAME).map(replaced).collect()
}

/// Reports a name, the last key of the path, that is not 1 to 64 allowed characters.
pub(super) fn check(checker: &mut Checker<'_>, here: &Path, name: &str, whose: &str) {
    if name.is_empty() || name.chars().count() > LONGEST_NAME || !name.chars().all(is_name_character) {
        let message = format!("{} is not a name for {whose}", quote(name));
        let finding = checker.at_key(here, message);
        checker.error(finding.help("use 1 to 64 letters, digits, `_`, `.` and `-`"));
    }
}
