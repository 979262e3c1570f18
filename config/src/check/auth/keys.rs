//! `endpoints.*.auth.api_keys`.

use super::{Checker, scopes};
use crate::file;
use crate::model::ApiKey;
use crate::moment;
use crate::tree::Path;
use std::collections::HashSet;

/// Longest name of a key, in characters.
const LONGEST_NAME: usize = 128;

pub(super) fn api_keys(checker: &mut Checker<'_>, here: &Path, written: Vec<file::ApiKey>) -> Vec<ApiKey> {
    let mut names = HashSet::new();
    let mut digests = HashSet::new();
    let mut keys = Vec::with_capacity(written.len());
    for (index, written) in written.into_iter().enumerate() {
        let here = here.index(index);
        let file::ApiKey { name, sha256, groups, roles, scopes: written_scopes, expires } = written;
        let length = name.chars().count();
        if length == 0 || length > LONGEST_NAME || name.trim() != name || name.chars().any(char::is_control) {
            let message = format!("a key's name has 1 to {LONGEST_NAME} characters and no blanks around it");
            checker.error(checker.at(&here.key("name"), message));
        }
        let digest = digest(sha256.0.expose());
        if digest.is_none() {
            let finding = checker.at(&here.key("sha256"), "expected 64 hexadecimal digits");
            checker.error(finding.help("`weir key` prints the line; the key itself does not belong here"));
        }
        if !names.insert(name.clone()) {
            checker.error(checker.at(&here.key("name"), "another key has this name already"));
        }
        if digest.is_some_and(|digest| !digests.insert(digest)) {
            checker.error(checker.at(&here.key("sha256"), "another entry has the same key already"));
        }
        if let Some(written) = &written_scopes {
            scopes(checker, &here.key("scopes"), written);
        }
        let ends = expires.as_deref().map(moment::parse);
        if ends == Some(None) {
            let finding = checker.at(&here.key("expires"), "expected a day or a time in UTC");
            checker.error(finding.help("write it like `2027-01-31` or `2027-01-31T12:00:00Z`"));
        }
        keys.push(ApiKey {
            name,
            sha256: digest.unwrap_or_default(),
            groups: groups.unwrap_or_default(),
            roles: roles.unwrap_or_default(),
            scopes: written_scopes.unwrap_or_default(),
            expires: ends.flatten(),
        });
    }
    keys
}

/// A digest in hexadecimal digits.
fn digest(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut digest = [0; 32];
    for (index, byte) in digest.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(digest)
}
