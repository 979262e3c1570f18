//! The values of mirrored parameters, read out of a call's arguments in one pass.

use super::Mirror;
use crate::json;
use crate::scan::{Key, KeySeed, fill, skip};
use serde::Deserializer;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// The value of each of `mirrors` as text; `None` where the call has none, `null`, or one that no header can carry.
pub(super) fn read<'a>(
    mirrors: &[Mirror],
    arguments: Option<&'a [u8]>,
) -> Result<Vec<Option<Cow<'a, str>>>, serde_json::Error> {
    let mut values = vec![None; mirrors.len()];
    if let Some(arguments) = arguments {
        let wanted: Vec<usize> = (0..mirrors.len()).collect();
        read_object(mirrors, &wanted, 0, arguments, &mut values)?;
    }
    Ok(values)
}

/// Reads of one object what the mirrors `wanted` name at `depth`. What is no object has no members.
fn read_object<'a>(
    mirrors: &[Mirror],
    wanted: &[usize],
    depth: usize,
    object: &'a [u8],
    values: &mut [Option<Cow<'a, str>>],
) -> Result<(), serde_json::Error> {
    if !object.trim_ascii_start().starts_with(b"{") {
        return Ok(());
    }
    let visitor = MembersVisitor { mirrors, wanted, depth };
    for (raw, wanted) in serde_json::Deserializer::from_slice(object).deserialize_map(visitor)? {
        let is_leaf = |at: &&usize| mirrors.get(**at).is_some_and(|mirror| mirror.path.len() == depth + 1);
        for &at in wanted.iter().filter(is_leaf) {
            if let Some(value) = values.get_mut(at) {
                *value = text(raw);
            }
        }
        let inner: Vec<usize> = wanted.iter().filter(|at| !is_leaf(at)).copied().collect();
        if !inner.is_empty() {
            read_object(mirrors, &inner, depth + 1, raw.get().as_bytes(), values)?;
        }
    }
    Ok(())
}

/// A primitive value as a header says it.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    let raw = raw.get();
    match raw.as_bytes().first()? {
        b'"' => json::as_str(raw.as_bytes()),
        b'{' | b'[' | b'n' => None,
        _ => Some(raw.into()),
    }
}

/// Finds the members on the way to mirrored parameters. One that is there twice could be read differently by the next
/// reader, so it is an error.
struct MembersVisitor<'m> {
    mirrors: &'m [Mirror],
    wanted: &'m [usize],
    depth: usize,
}

impl MembersVisitor<'_> {
    fn named(&self, key: &Key<'_>) -> Vec<usize> {
        let is_on_path = |at: &&usize| {
            let mirror = self.mirrors.get(**at);
            mirror.and_then(|mirror| mirror.path.get(self.depth)).is_some_and(|step| *step == *key.text)
        };
        self.wanted.iter().filter(is_on_path).copied().collect()
    }
}

impl<'de> Visitor<'de> for MembersVisitor<'_> {
    type Value = Vec<(&'de RawValue, Vec<usize>)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found: Vec<(&'de RawValue, Vec<usize>)> = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let named = self.named(&key);
            if named.is_empty() {
                skip(&mut map)?;
                continue;
            }
            let mut slot = found.iter().any(|(_, earlier)| *earlier == named).then_some(());
            fill(&mut slot, (), &key.text)?;
            found.push((map.next_value()?, named));
        }
        Ok(found)
    }
}
