//! Reading the members of one JSON object by visitor: the shared ground of every message reader.

use crate::{Span, json};
use serde::Deserializer;
use serde::de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::fmt;

/// A key: its text, and where its opening quote stands unless the key is written with escapes.
pub(crate) struct Key<'de> {
    pub(crate) text: std::borrow::Cow<'de, str>,
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = Key<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

/// Reads a [`Key`], borrowed where it can be.
pub(crate) struct KeySeed;

impl<'de> Visitor<'de> for KeySeed {
    type Value = Key<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Key { text: text.into() })
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Key { text: text.to_owned().into() })
    }
}

/// Takes the next value as a span of `source` and stores it in `slot`; a filled slot is a duplicate key.
pub(crate) fn take<'de, A: MapAccess<'de>>(
    map: &mut A,
    source: &str,
    slot: &mut Option<Span>,
    key: &str,
) -> Result<(), A::Error> {
    let value: &RawValue = map.next_value()?;
    fill(slot, Span::within(source, value.get()), key)
}

/// Stores `value` in `slot`; a filled slot is a duplicate key.
pub(crate) fn fill<T, E: serde::de::Error>(slot: &mut Option<T>, value: T, key: &str) -> Result<(), E> {
    if slot.is_some() {
        return Err(E::custom(format_args!("duplicate key `{key}`")));
    }
    *slot = Some(value);
    Ok(())
}

/// Skips the next value.
pub(crate) fn skip<'de, A: MapAccess<'de>>(map: &mut A) -> Result<(), A::Error> {
    map.next_value::<IgnoredAny>().map(|_| ())
}

/// Skips the value of a key that weir does not know, unless a reader without regard to case takes it for one of `known`: the
/// server would then act on what weir has not looked at.
pub(crate) fn pass<'de, A: MapAccess<'de>>(
    map: &mut A,
    key: &Key<'_>,
    known: &[&str],
) -> Result<(), A::Error> {
    match known.iter().find(|known| json::is_guise(&key.text, known)) {
        Some(known) => Err(serde::de::Error::custom(format_args!(
            "key `{}` differs from `{known}` in case alone",
            key.text.escape_debug()
        ))),
        None => skip(map),
    }
}

/// The place right behind the `{` of the object that follows `key`, found in the text after the key. The key must be
/// borrowed from `source` and its value must be an object.
pub(crate) fn object_start(source: &str, key: &Key<'_>) -> Option<usize> {
    let std::borrow::Cow::Borrowed(text) = key.text else {
        return None;
    };
    let after = Span::within(source, text).end();
    let rest = source.as_bytes().get(after..)?;
    let brace = memchr::memchr(b'{', rest)?;
    Some(after + brace + 1)
}

/// The place that [`object_start`] found. Where weir splices into an object, its key must be written plainly.
pub(crate) fn plain<E: serde::de::Error>(start: Option<usize>, key: &str) -> Result<usize, E> {
    start.ok_or_else(|| E::custom(format_args!("the key `{key}` must be written plainly")))
}
