//! A prompt's `arguments` as clients see them.

use super::{Fitted, Misfit, ParameterChange, Parameters, Supply};
use crate::object::{self, Object};
use crate::{Span, Splice, json};

pub(super) fn fit(changes: &[ParameterChange], arguments: Option<&str>) -> Fitted {
    let source = arguments.unwrap_or("[]");
    let whole = Span::new(0, source.len());
    let elements = object::elements(source, whole).unwrap_or_default();
    let read = |span: &Span| Object::read(source, *span).ok();
    let declared: Vec<Option<Object<'_>>> = elements.iter().map(read).collect();
    let raw = |argument: &Object<'_>, key: &str| {
        Some(argument.get(key)?.value().text(source.as_bytes()).to_owned())
    };
    let name = |argument: &Object<'_>| {
        raw(argument, "name").and_then(|raw| json::as_str(raw.as_bytes()).map(|name| name.into_owned()))
    };
    let find = |parameter: &str| {
        declared.iter().flatten().find(|argument| name(argument).as_deref() == Some(parameter))
    };
    let (mut misfits, mut fitting) = (Vec::new(), Vec::new());
    for change in changes {
        let change = ParameterChange { name: None, ..change.clone() };
        match find(&change.parameter) {
            None => {
                misfits.push(Misfit::Unknown(change.parameter.clone()));
                // What clients must not set they cannot set, declared or not.
                if change.supply.is_withheld() {
                    fitting.push(ParameterChange { supply: Supply::Nobody, ..change });
                }
            }
            Some(argument) => {
                let required = raw(argument, "required").as_deref() == Some("true");
                if change.supply == Supply::Nobody && required {
                    misfits.push(Misfit::Required(change.parameter.clone()));
                }
                fitting.push(change);
            }
        }
    }
    let mut splice = Splice::new(source.as_bytes());
    let change_of = |argument: &Object<'_>| {
        let name = name(argument)?;
        fitting.iter().find(|change| change.parameter == name)
    };
    let withheld = |at: usize| {
        let change = declared.get(at).and_then(Option::as_ref).and_then(change_of);
        change.is_some_and(|change| change.supply.is_withheld())
    };
    object::delete_elements(&mut splice, source, whole, &elements, withheld);
    for (argument, change) in
        declared.iter().flatten().filter_map(|argument| Some((argument, change_of(argument)?)))
    {
        if change.supply.is_withheld() {
            continue;
        }
        let optional = matches!(change.supply, Supply::Default(_)).then(|| b"false".to_vec());
        let description = change.description.as_deref().map(json::string);
        argument.set(&mut splice, source, [("description", description), ("required", optional)]);
    }
    let schema = (!splice.is_untouched()).then(|| splice.finish());
    let names: Vec<String> = declared.iter().flatten().filter_map(name).collect();
    Fitted { schema, parameters: Parameters::new(fitting, names.iter().map(String::as_str)), misfits }
}
