//! A tool's `inputSchema` as clients see it.

use super::{Fitted, Misfit, ParameterChange, Parameters, Supply};
use crate::object::{self, Object};
use crate::{Span, Splice, json};
use std::borrow::Cow;
use std::collections::HashSet;

pub(super) fn fit(changes: &[ParameterChange], schema: Option<&str>) -> Fitted {
    let source = schema.unwrap_or("{}");
    let root = Object::read(source, Span::new(0, source.len())).ok();
    let properties = root
        .as_ref()
        .and_then(|root| root.get("properties"))
        .and_then(|field| Object::read(source, field.value()).ok());
    let known: HashSet<&str> = properties.iter().flat_map(Object::fields).map(|field| &*field.name).collect();
    let required = root.as_ref().map(|root| names(source, root, "required")).unwrap_or_default();
    let mut misfits = Vec::new();
    let mut fitting = Vec::new();
    for change in changes {
        if known.contains(&*change.parameter) {
            if change.supply == Supply::Nobody && required.iter().any(|(name, _)| *name == change.parameter) {
                misfits.push(Misfit::Required(change.parameter.clone()));
            }
            fitting.push(change.clone());
            continue;
        }
        misfits.push(Misfit::Unknown(change.parameter.clone()));
        // The tool may take what it does not declare. What clients must not set they cannot set, fitting or not.
        if change.supply.is_withheld() {
            fitting.push(ParameterChange { supply: Supply::Nobody, ..change.clone() });
        }
    }
    keep_names_apart(&mut fitting, &known, &mut misfits);
    let mut splice = Splice::new(source.as_bytes());
    if let (Some(root), Some(properties)) = (&root, &properties) {
        let rewrite = Rewrite { source, changes: &fitting };
        rewrite.properties(&mut splice, properties);
        rewrite.required(&mut splice, root, &required);
    }
    let schema = (!splice.is_untouched()).then(|| splice.finish());
    Fitted { schema, parameters: Parameters::new(fitting, known.into_iter()), misfits }
}

/// Takes new names back until no two parameters that clients see have the same one. Own names are unique, so there is an
/// end to it.
fn keep_names_apart(changes: &mut [ParameterChange], known: &HashSet<&str>, misfits: &mut Vec<Misfit>) {
    let changed: HashSet<String> = changes.iter().map(|change| change.parameter.clone()).collect();
    loop {
        let visible = |change: &&ParameterChange| !change.supply.is_withheld();
        let count = |name: &str| {
            let exposed = changes.iter().filter(visible);
            let exposed =
                exposed.filter(|change| change.name.as_deref().unwrap_or(&change.parameter) == name);
            exposed.count() + usize::from(known.contains(name) && !changed.contains(name))
        };
        let clash =
            changes.iter().position(|change| change.name.as_deref().is_some_and(|name| count(name) > 1));
        let Some(change) = clash.and_then(|at| changes.get_mut(at)) else {
            return;
        };
        let name = change.name.take().unwrap_or_default();
        misfits.push(Misfit::Taken { parameter: change.parameter.clone(), name });
    }
}

/// The strings of the array `key`, and their places; nothing where there is no such array.
fn names<'a>(source: &'a str, object: &Object<'_>, key: &str) -> Vec<(Cow<'a, str>, Span)> {
    object.get(key).map(|field| strings(source, field.value())).unwrap_or_default()
}

fn strings(source: &str, span: Span) -> Vec<(Cow<'_, str>, Span)> {
    let elements = object::elements(source, span).unwrap_or_default();
    let read = |span: Span| Some((json::as_str(span.of(source.as_bytes()))?, span));
    elements.into_iter().map(read).collect::<Option<_>>().unwrap_or_default()
}

struct Rewrite<'a> {
    source: &'a str,
    changes: &'a [ParameterChange],
}

impl Rewrite<'_> {
    fn of(&self, parameter: &str) -> Option<&ParameterChange> {
        self.changes.iter().find(|change| change.parameter == parameter)
    }

    fn is_withheld(&self, parameter: &str) -> bool {
        self.of(parameter).is_some_and(|change| change.supply.is_withheld())
    }

    fn is_certain(&self, parameter: &str) -> bool {
        self.of(parameter).is_some_and(|change| change.supply.is_certain())
    }

    /// The client need not send it: it may not, or weir fills it in.
    fn is_spared(&self, parameter: &str) -> bool {
        self.is_withheld(parameter) || self.is_certain(parameter)
    }

    fn exposed<'n>(&'n self, parameter: &'n str) -> &'n str {
        self.of(parameter).and_then(|change| change.name.as_deref()).unwrap_or(parameter)
    }

    fn properties(&self, splice: &mut Splice<'_>, properties: &Object<'_>) {
        properties.change(splice, self.source, |name| self.is_withheld(name), Vec::new());
        for field in properties.fields() {
            let Some(change) = self.of(&field.name).filter(|change| !change.supply.is_withheld()) else {
                continue;
            };
            if let Some(name) = &change.name {
                splice.replace(field.key, json::string(name));
            }
            let description = change.description.as_deref().map(json::string);
            let default = match &change.supply {
                Supply::Default(value) => Some(value.0.to_vec()),
                _ => None,
            };
            let members = [("description", description), ("default", default)];
            let place = field.value();
            match Object::read(self.source, place) {
                Ok(property) => property.set(splice, self.source, members),
                // A property may also say just yes, which is an object without demands.
                Err(_) if place.text(self.source.as_bytes()) == "true" => {
                    let yes = Object::read("{}", Span::new(0, 2));
                    let mut inner = Splice::new(b"{}");
                    if let Ok(yes) = yes {
                        yes.set(&mut inner, "{}", members);
                    }
                    if !inner.is_untouched() {
                        splice.replace(place, inner.finish().to_vec());
                    }
                }
                Err(_) => {}
            }
        }
    }

    /// What clients must send. What weir always sends makes, by `dependentRequired`, others required always.
    fn required(&self, splice: &mut Splice<'_>, root: &Object<'_>, required: &[(Cow<'_, str>, Span)]) {
        let mut forced: Vec<Cow<'_, str>> = Vec::new();
        if let Some(field) = root.get("dependentRequired")
            && let Ok(dependents) = Object::read(self.source, field.value())
        {
            dependents.change(splice, self.source, |name| self.is_withheld(name), Vec::new());
            for field in dependents.fields() {
                let needed = strings(self.source, field.value());
                if self.is_certain(&field.name) {
                    let new = needed.iter().map(|(name, _)| name).filter(|name| !self.is_spared(name));
                    forced.extend(new.cloned());
                }
                if self.is_withheld(&field.name) {
                    continue;
                }
                if let Some(name) = self.of(&field.name).and_then(|change| change.name.as_deref()) {
                    splice.replace(field.key, json::string(name));
                }
                self.list(splice, field.value(), &needed);
            }
        }
        forced.sort();
        forced.dedup();
        forced.retain(|name| !required.iter().any(|(known, _)| known == name));
        let mut added: Vec<u8> = Vec::new();
        for name in &forced {
            json::write_string(&mut added, self.exposed(name));
            added.push(b',');
        }
        match root.get("required") {
            // What is no list of names is left alone.
            Some(field) if required.is_empty() && field.value().text(self.source.as_bytes()) != "[]" => {}
            Some(field) => {
                self.list(splice, field.value(), required);
                if required.iter().all(|(name, _)| self.is_spared(name)) {
                    added.pop();
                }
                if !added.is_empty() {
                    splice.insert(field.value().start() + 1, added);
                }
            }
            None if !added.is_empty() => {
                added.pop();
                let member = [b"\"required\":[", &added[..], b"],"].concat();
                root.change(splice, self.source, |_| false, member);
            }
            None => {}
        }
    }

    /// An array of names: without those that the client need not send, the others as the client knows them.
    fn list(&self, splice: &mut Splice<'_>, array: Span, names: &[(Cow<'_, str>, Span)]) {
        let spans: Vec<Span> = names.iter().map(|(_, span)| *span).collect();
        let gone = |at: usize| names.get(at).is_some_and(|(name, _)| self.is_spared(name));
        object::delete_elements(splice, self.source, array, &spans, gone);
        for (name, span) in names.iter().filter(|(name, _)| !self.is_spared(name)) {
            if let Some(new) = self.of(name).and_then(|change| change.name.as_deref()) {
                splice.replace(*span, json::string(new));
            }
        }
    }
}
