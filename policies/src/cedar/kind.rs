//! What an argument is: from a tool's input schema to a type of Cedar, and from a call's JSON to a value of it.

use super::wanted::Wanted;
use cedar_policy::RestrictedExpression;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use weir_protocol::object::{self, Object};
use weir_protocol::{Span, json};

/// How deep types are read.
const DEEPEST: usize = 8;
/// Most elements of a list that a policy reads.
const MOST_ELEMENTS: usize = 10_000;
/// Most members of an object that a policy reads as a whole.
const MOST_MEMBERS: usize = 256;
/// Most that is read of an input schema: with `$ref` a short one may describe a type without end.
const MOST_READ: usize = 4096;
/// How much of a name is read at the cost of one member.
const NAME: usize = 64;
/// Longest `$ref`, in bytes.
const LONGEST_REFERENCE: usize = 1024;

/// A type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string.
    String,
    /// A whole number of 64 bits.
    Long,
    /// True or false.
    Bool,
    /// A number with at most four digits behind the point.
    Decimal,
    /// A point in time; no argument is one.
    Datetime,
    /// A span of time; no argument is one.
    Duration,
    /// An address; no argument is one.
    Ip,
    /// A list, as a set.
    Set(Box<Kind>),
    /// An object.
    Record(Record),
    /// Something that policies cannot read.
    Opaque,
}

/// An object's type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Record {
    pub(crate) fields: BTreeMap<String, Field>,
    /// What members are that are not described; `None`: nobody knows.
    pub(crate) rest: Option<Box<Kind>>,
}

/// A member's type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) kind: Kind,
    pub(crate) optional: bool,
    /// `null` is the same as leaving it out.
    pub(crate) nullable: bool,
}

/// An argument that is not what its tool says it is, by its path, which is a policy's word and not the caller's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Misfit(pub(crate) String);

impl Kind {
    /// The type in the language of Cedar's schemas.
    pub(crate) fn cedar(&self) -> String {
        match self {
            Self::String | Self::Opaque => "String".to_owned(),
            Self::Long => "Long".to_owned(),
            Self::Bool => "Bool".to_owned(),
            Self::Decimal => "decimal".to_owned(),
            Self::Datetime => "datetime".to_owned(),
            Self::Duration => "duration".to_owned(),
            Self::Ip => "ipaddr".to_owned(),
            Self::Set(kind) => format!("Set<{}>", kind.cedar()),
            Self::Record(record) => record.cedar(),
        }
    }

    fn value(&self, raw: &str, wanted: &Wanted, path: &str) -> Result<RestrictedExpression, Misfit> {
        let misfit = || Misfit(path.to_owned());
        Ok(match self {
            Self::String => RestrictedExpression::new_string(
                json::as_str(raw.as_bytes()).ok_or_else(misfit)?.into_owned(),
            ),
            Self::Long => RestrictedExpression::new_long(raw.parse().map_err(|_| misfit())?),
            Self::Bool => RestrictedExpression::new_bool(raw.parse().map_err(|_| misfit())?),
            Self::Decimal => RestrictedExpression::new_decimal(decimal(raw).ok_or_else(misfit)?),
            Self::Set(kind) => {
                let elements = object::elements(raw, Span::new(0, raw.len())).map_err(|_| misfit())?;
                if elements.len() > MOST_ELEMENTS {
                    return Err(misfit());
                }
                let value = |span: &Span| kind.value(span.text(raw.as_bytes()), &Wanted::everything(), path);
                let values: Vec<_> = elements.iter().map(value).collect::<Result<_, _>>()?;
                RestrictedExpression::new_set(values)
            }
            Self::Record(record) => {
                let pairs = record.values(raw, wanted, path)?;
                RestrictedExpression::new_record(pairs).map_err(|_| misfit())?
            }
            Self::Datetime | Self::Duration | Self::Ip | Self::Opaque => return Err(misfit()),
        })
    }
}

impl Record {
    /// What is wanted of the arguments of a tool with this input schema. Nothing else of the schema is read, and what is
    /// too much of it is `Opaque`.
    pub(crate) fn of_schema(schema: &str, wanted: &Wanted) -> Self {
        match serde_json::from_str::<Value>(schema) {
            Ok(root) => Reader { root: &root, left: Cell::new(MOST_READ) }.record(&root, wanted, 0),
            Err(_) => Self::default(),
        }
    }

    /// The arguments of a prompt: the protocol knows strings only.
    pub(crate) fn of_prompt() -> Self {
        Self { fields: BTreeMap::new(), rest: Some(Box::new(Kind::String)) }
    }

    /// The type of a member, and whether `null` is the same as leaving it out.
    fn member(&self, name: &str) -> Option<(&Kind, bool)> {
        match self.fields.get(name) {
            Some(field) => Some((&field.kind, field.nullable)),
            None => Some((self.rest.as_ref()?, false)),
        }
    }

    /// The same, to keep.
    fn field(&self, name: &str) -> Option<Field> {
        let known = self.fields.get(name).cloned();
        known.or_else(|| {
            Some(Field { kind: (**self.rest.as_ref()?).clone(), optional: true, nullable: false })
        })
    }

    /// Only what is wanted of it.
    pub(crate) fn narrowed(&self, wanted: &Wanted) -> Self {
        let mut narrow = Self { fields: BTreeMap::new(), rest: self.rest.clone().filter(|_| wanted.whole) };
        let named = wanted.fields.keys().cloned();
        let all = self.fields.keys().filter(|_| wanted.whole).cloned();
        for name in named.chain(all) {
            let Some(mut field) = self.field(&name) else { continue };
            if let (Kind::Record(record), Some(below)) = (&field.kind, wanted.fields.get(&name))
                && !wanted.whole
            {
                field.kind = Kind::Record(record.narrowed(below));
            }
            narrow.fields.insert(name, field);
        }
        narrow
    }

    /// The type in the language of Cedar's schemas. What policies cannot read is left out.
    pub(crate) fn cedar(&self) -> String {
        let field = |(name, field): (&String, &Field)| {
            let mark = if field.optional { "?" } else { "" };
            format!("{}{mark}: {}", quoted(name), field.kind.cedar())
        };
        let readable = self.fields.iter().filter(|(_, field)| field.kind != Kind::Opaque);
        format!("{{ {} }}", readable.map(field).collect::<Vec<_>>().join(", "))
    }

    /// What is wanted of an object, as pairs.
    ///
    /// # Errors
    /// A member that is wanted is there and is not what this says, is not described at all, or stands there in another case
    /// too, by which some servers would take it.
    pub(crate) fn values(
        &self,
        raw: &str,
        wanted: &Wanted,
        path: &str,
    ) -> Result<Vec<(String, RestrictedExpression)>, Misfit> {
        let below = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        let object = Object::read(raw, Span::new(0, raw.len())).map_err(|_| Misfit(path.to_owned()))?;
        if wanted.whole && object.fields().len() > MOST_MEMBERS {
            return Err(Misfit(path.to_owned()));
        }
        let all = object.fields().iter().filter(|_| wanted.whole).map(|field| &*field.name);
        // Of what is described, only what some reader would take a member for: an object may be one of very many.
        let mut members: Vec<_> = object.fields().iter().map(|member| folded(&member.name)).collect();
        members.sort_unstable();
        let described = self.fields.keys().filter(|_| wanted.whole);
        let described = described.filter(|name| members.binary_search(&folded(name)).is_ok());
        let named = wanted.fields.keys().filter(|_| !wanted.whole);
        let names = all.chain(described.chain(named).map(String::as_str));
        // In one pass, since an object may have very many members.
        let mut names: Vec<_> = names.map(|name| (folded(name), name, None)).collect();
        names.sort_unstable_by(|(a, one, _), (b, other, _)| (a, one).cmp(&(b, other)));
        names.dedup_by_key(|(_, name, _)| *name);
        // Of what nobody describes, only the place may be told: its name is the caller's.
        let known = |name: &str| !wanted.whole || self.fields.contains_key(name);
        let place = |name: &str| if known(name) { below(name) } else { path.to_owned() };
        for member in object.fields() {
            let folded = folded(&member.name);
            let from = names.partition_point(|(other, ..)| *other < folded);
            let alike = names.iter_mut().skip(from).take_while(|(other, ..)| *other == folded);
            for (_, name, value) in alike {
                if **name != *member.name {
                    return Err(Misfit(place(name)));
                }
                *value = Some(member.value());
            }
        }
        let mut pairs = Vec::new();
        for (_, name, value) in names {
            let Some(value) = value else { continue };
            let Some((kind, nullable)) = self.member(name) else { return Err(Misfit(place(name))) };
            let value = value.text(raw.as_bytes());
            if nullable && value == "null" {
                continue;
            }
            let everything = Wanted::everything();
            let inner = wanted.fields.get(name).filter(|_| !wanted.whole).unwrap_or(&everything);
            pairs.push((name.to_owned(), kind.value(value, inner, &place(name))?));
        }
        Ok(pairs)
    }
}

/// Reads an input schema.
struct Reader<'s> {
    root: &'s Value,
    /// How much may still be read of it.
    left: Cell<usize>,
}

impl Reader<'_> {
    /// Whether so much more may be read.
    fn spend(&self, cost: usize) -> bool {
        let left = self.left.get().checked_sub(cost);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// What is wanted of an object.
    fn record(&self, schema: &Value, wanted: &Wanted, depth: usize) -> Record {
        let required =
            schema.get("required").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let properties = schema.get("properties").and_then(Value::as_object);
        let whole = properties.filter(|_| wanted.whole);
        // Members are paid for before any is read. Of part of them `rest` would say what the others are.
        let names = |members: &Map<String, Value>| members.keys().map(|name| name.len() / NAME).sum();
        if !self.spend(required.len() + whole.map_or(0, Map::len)) || !self.spend(whole.map_or(0, names)) {
            return Record::default();
        }
        let required: BTreeSet<&str> = required.iter().filter_map(Value::as_str).collect();
        let everything = Wanted::everything();
        let mut record = Record::default();
        if wanted.whole {
            record.rest = self.rest(schema, &everything, depth).map(Box::new);
        }
        let all = whole.into_iter().flatten().map(|(name, _)| name);
        for name in wanted.fields.keys().chain(all) {
            let below = wanted.fields.get(name).filter(|_| !wanted.whole).unwrap_or(&everything);
            let field = match properties.and_then(|properties| properties.get(name)) {
                Some(schema) => {
                    let (kind, nullable) = self.kind(schema, below, depth + 1);
                    let optional = nullable || !required.contains(name.as_str());
                    Some(Field { kind, optional, nullable })
                }
                None => self.rest(schema, below, depth).map(|kind| Field {
                    kind,
                    optional: true,
                    nullable: false,
                }),
            };
            record.fields.extend(field.map(|field| (name.clone(), field)));
        }
        record
    }

    /// What members of an object are that it does not describe.
    fn rest(&self, schema: &Value, wanted: &Wanted, depth: usize) -> Option<Kind> {
        let rest = schema.get("additionalProperties").filter(|rest| rest.is_object())?;
        let (kind, nullable) = self.kind(rest, wanted, depth + 1);
        (!nullable && kind != Kind::Opaque).then_some(kind)
    }

    /// The type that a JSON Schema describes, and whether `null` is allowed beside.
    fn kind(&self, schema: &Value, wanted: &Wanted, depth: usize) -> (Kind, bool) {
        const OPAQUE: (Kind, bool) = (Kind::Opaque, false);
        let Some(table) = schema.as_object().filter(|_| depth < DEEPEST && self.spend(1)) else {
            return OPAQUE;
        };
        if let Some(reference) = table.get("$ref").and_then(Value::as_str) {
            let pointer = reference.strip_prefix('#').filter(|pointer| pointer.len() <= LONGEST_REFERENCE);
            let found = pointer.and_then(|pointer| self.root.pointer(pointer));
            return found.map_or(OPAQUE, |found| self.kind(found, wanted, depth + 1));
        }
        match table.get("type") {
            Some(Value::String(name)) => (self.named(name, schema, wanted, depth), false),
            Some(Value::Array(names)) if self.spend(names.len()) => {
                let others: Vec<&str> =
                    names.iter().filter_map(Value::as_str).filter(|name| *name != "null").collect();
                let kind = match others.as_slice() {
                    [name] => self.named(name, schema, wanted, depth),
                    _ => Kind::Opaque,
                };
                (kind, others.len() < names.len())
            }
            Some(_) => OPAQUE,
            None => self.untyped(table, wanted, depth),
        }
    }

    fn named(&self, name: &str, schema: &Value, wanted: &Wanted, depth: usize) -> Kind {
        match name {
            "string" => Kind::String,
            "integer" => Kind::Long,
            "boolean" => Kind::Bool,
            "number" => Kind::Decimal,
            // Of a list, policies read the elements whole.
            "array" => {
                match schema.get("items").map(|items| self.kind(items, &Wanted::everything(), depth + 1)) {
                    Some((kind, false)) if kind != Kind::Opaque => Kind::Set(Box::new(kind)),
                    _ => Kind::Opaque,
                }
            }
            "object" => {
                let properties = schema.get("properties").and_then(Value::as_object);
                let described = properties.is_some_and(|properties| !properties.is_empty())
                    || self.rest(schema, &Wanted::default(), depth).is_some();
                if described { Kind::Record(self.record(schema, wanted, depth)) } else { Kind::Opaque }
            }
            _ => Kind::Opaque,
        }
    }

    /// The type of a schema that does not name one: of its alternatives or of its values, where they agree.
    fn untyped(&self, table: &Map<String, Value>, wanted: &Wanted, depth: usize) -> (Kind, bool) {
        let alternatives = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|key| table.get(key)?.as_array());
        let kinds: Vec<(Kind, bool)> = match alternatives {
            Some(alternatives) if !self.spend(alternatives.len()) => return (Kind::Opaque, false),
            Some(alternatives) => alternatives
                .iter()
                .map(|schema| match schema.get("type").and_then(Value::as_str) {
                    Some("null") => (Kind::Opaque, true),
                    _ => self.kind(schema, wanted, depth + 1),
                })
                .collect(),
            None => {
                let values = table.get("enum").and_then(Value::as_array).map(Vec::as_slice);
                let values =
                    values.or_else(|| table.get("const").map(std::slice::from_ref)).unwrap_or_default();
                if !self.spend(values.len()) {
                    return (Kind::Opaque, false);
                }
                let kind = |value: &Value| match value {
                    Value::String(_) => (Kind::String, false),
                    Value::Bool(_) => (Kind::Bool, false),
                    Value::Null => (Kind::Opaque, true),
                    Value::Number(number) if number.is_i64() => (Kind::Long, false),
                    _ => (Kind::Opaque, false),
                };
                values.iter().map(kind).collect()
            }
        };
        let nullable = kinds.iter().any(|(_, nullable)| *nullable);
        let mut kinds = kinds.into_iter().filter(|kind| *kind != (Kind::Opaque, true)).map(|(kind, _)| kind);
        let first = kinds.next().unwrap_or(Kind::Opaque);
        let agreed = kinds.all(|kind| kind == first);
        (if agreed { first } else { Kind::Opaque }, nullable)
    }
}

/// A JSON number as Cedar writes decimals; `None` where it needs an exponent or more than four digits behind the point.
fn decimal(raw: &str) -> Option<String> {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (whole, part) = raw.split_once('.').unwrap_or((raw, "0"));
    let fits = digits(whole.strip_prefix('-').unwrap_or(whole)) && digits(part) && part.len() <= 4;
    fits.then(|| format!("{whole}.{part}"))
}

/// A key as readers without regard to case take it.
fn folded(key: &str) -> Cow<'_, str> {
    if key.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return key.into();
    }
    // Some keep the dot of the letter that they write in lower case.
    key.chars().map(json::folded).collect::<String>().to_lowercase().replace('\u{307}', "").into()
}

/// A string as Cedar writes it.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_ascii_graphic() || letter == ' ' => quoted.push(letter),
            letter => quoted.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests;
