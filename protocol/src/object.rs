//! One object or array of a larger document, with the places of what it holds, so that it can be changed by splicing.

use crate::members::{self, Member};
use crate::scan::KeySeed;
use crate::{Span, Splice};
use serde::Deserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

/// An object, read one level deep. All places are places in the whole document.
#[derive(Debug)]
pub struct Object<'a> {
    /// Right behind the `{`.
    start: usize,
    fields: Vec<Field<'a>>,
}

/// A member of an object.
#[derive(Debug)]
pub struct Field<'a> {
    /// Its key as text.
    pub name: Cow<'a, str>,
    /// Its key as it is written, quotes included.
    pub key: Span,
    member: Member,
}

impl Field<'_> {
    /// Its value.
    pub fn value(&self) -> Span {
        self.member.value
    }
}

impl<'a> Object<'a> {
    /// Reads the value at `span` of `source`.
    ///
    /// # Errors
    /// It is no object, or repeats a key.
    pub fn read(source: &'a str, span: Span) -> Result<Self, serde_json::Error> {
        let visitor = ObjectVisitor { source, start: span.start() };
        serde_json::Deserializer::from_str(span.text(source.as_bytes())).deserialize_map(visitor)
    }

    /// Its members, in their order.
    pub fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Field<'a>> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// Sets members to raw JSON values, where there are any: those that are there in their place, others in front.
    pub(crate) fn set<const N: usize>(
        &self,
        splice: &mut Splice<'_>,
        source: &str,
        members: [(&str, Option<Vec<u8>>); N],
    ) {
        let mut added = Vec::new();
        for (key, value) in members.into_iter().filter_map(|(key, value)| Some((key, value?))) {
            match self.get(key) {
                Some(field) => {
                    splice.replace(field.value(), value);
                }
                None => {
                    crate::json::write_string(&mut added, key);
                    added.push(b':');
                    added.extend_from_slice(&value);
                    added.push(b',');
                }
            }
        }
        self.change(splice, source, |_| false, added);
    }

    /// Puts `added` behind all members: members as JSON, each with a comma before it, but for the first of an empty object.
    pub(crate) fn append(&self, splice: &mut Splice<'_>, added: Vec<u8>) {
        if !added.is_empty() {
            splice.insert(self.fields.last().map_or(self.start, |last| last.value().end()), added);
        }
    }

    /// Leaves out the members that `gone` names and puts in `added`: members as JSON, each with a comma behind it.
    pub fn change(
        &self,
        splice: &mut Splice<'_>,
        source: &str,
        gone: impl Fn(&str) -> bool,
        mut added: Vec<u8>,
    ) {
        let mut deleted: Vec<Member> =
            self.fields.iter().filter(|field| gone(&field.name)).map(|field| field.member).collect();
        if deleted.len() == self.fields.len() {
            added.pop();
        }
        members::delete(splice, source.as_bytes(), self.start, &mut deleted);
        if !added.is_empty() {
            splice.insert(self.start, added);
        }
    }
}

/// The elements of the array at `span` of `source`.
///
/// # Errors
/// It is no array.
pub fn elements(source: &str, span: Span) -> Result<Vec<Span>, serde_json::Error> {
    let raw: Vec<&RawValue> = serde_json::from_str(span.text(source.as_bytes()))?;
    Ok(raw.into_iter().map(|raw| Span::within(source, raw.get())).collect())
}

/// Leaves those of the `elements` of the array at `span` out that `gone` names by their place among them.
pub(crate) fn delete_elements(
    splice: &mut Splice<'_>,
    source: &str,
    span: Span,
    elements: &[Span],
    gone: impl Fn(usize) -> bool,
) {
    let start = span.start() + 1;
    let mut after = start;
    let mut deleted = Vec::new();
    for (at, element) in elements.iter().enumerate() {
        if gone(at) {
            deleted.push(Member::new(after, *element));
        }
        after = element.end();
    }
    members::delete(splice, source.as_bytes(), start, &mut deleted);
}

struct ObjectVisitor<'a> {
    source: &'a str,
    start: usize,
}

impl<'a> Visitor<'a> for ObjectVisitor<'a> {
    type Value = Object<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let bytes = self.source.as_bytes();
        let find = |byte: u8, from: usize| {
            bytes.get(from..).and_then(|rest| memchr::memchr(byte, rest)).map_or(bytes.len(), |at| from + at)
        };
        let start = find(b'{', self.start) + 1;
        let mut after = start;
        let (mut fields, mut seen) = (Vec::new(), HashSet::new());
        while let Some(key) = map.next_key_seed(KeySeed)? {
            let raw: &RawValue = map.next_value()?;
            let value = Span::within(self.source, raw.get());
            // Between a member and the next key stand white space and a comma, between a key and its value white space
            // and a colon.
            let written = bytes.get(..value.start()).unwrap_or_default();
            let end = written.iter().rposition(|&byte| byte == b'"').map_or(value.start(), |at| at + 1);
            let name = key.text;
            if !seen.insert(name.clone()) {
                return Err(A::Error::custom(format_args!("duplicate key `{name:.100}`")));
            }
            let key = Span::new(find(b'"', after), end);
            fields.push(Field { name, key, member: Member::new(after, value) });
            after = value.end();
        }
        Ok(Object { start, fields })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_document() {
        let source = r#"[0, { "a" : 1 ,"\u0062\"": [ 2,{} , "x"] } ]"#;
        let all = elements(source, Span::new(0, source.len())).unwrap();
        let object = Object::read(source, all[1]).unwrap();
        let written: Vec<(&str, &str, &str)> = object
            .fields()
            .iter()
            .map(|field| {
                (&*field.name, field.key.text(source.as_bytes()), field.value().text(source.as_bytes()))
            })
            .collect();
        assert_eq!(
            written,
            [("a", "\"a\"", "1"), ("b\"", r#""\u0062\"""#, r#"[ 2,{} , "x"]"#)],
            "keys are read, places are of what is written"
        );
        assert!(Object::read(r#"{"a":1,"\u0061":2}"#, Span::new(0, 18)).is_err(), "one key, twice");
        assert!(Object::read("[]", Span::new(0, 2)).is_err());
        let list = object.get("b\"").unwrap().value();
        let mut splice = Splice::new(source.as_bytes());
        delete_elements(&mut splice, source, list, &elements(source, list).unwrap(), |at| at != 1);
        object.change(&mut splice, source, |name| name == "a", b"\"c\":3,".to_vec());
        let changed: serde_json::Value = serde_json::from_slice(&splice.finish()).unwrap();
        assert_eq!(changed, serde_json::json!([0, {"c": 3, "b\"": [{}]}]));
    }
}
