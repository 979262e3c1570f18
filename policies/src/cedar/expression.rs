//! Conditions of policies, as Cedar writes them in JSON: looking into them.

use serde_json::Value;

/// The operator of an expression, and what it is applied to.
pub(crate) fn operation(expression: &Value) -> Option<(&str, &Value)> {
    let (name, operands) = expression.as_object().filter(|table| table.len() == 1)?.iter().next()?;
    Some((name, operands))
}

/// An operand by its name.
pub(crate) fn operand<'e>(operands: &'e Value, name: &str) -> &'e Value {
    operands.get(name).unwrap_or(&Value::Null)
}

/// Every expression directly within one.
pub(crate) fn children(expression: &Value) -> Vec<&Value> {
    match operation(expression) {
        None | Some(("Value" | "Var" | "Slot" | "Unknown", _)) => Vec::new(),
        Some(("like" | "." | "has", operands)) => vec![operand(operands, "left")],
        Some((_, Value::Object(operands))) => operands.values().collect(),
        Some((_, Value::Array(operands))) => operands.iter().collect(),
        Some(_) => Vec::new(),
    }
}

/// A chain of attributes: the variable that it begins with, and the names.
pub(crate) fn path(expression: &Value) -> Option<(&str, Vec<&str>)> {
    match operation(expression)? {
        ("Var", Value::String(variable)) => Some((variable, Vec::new())),
        (".", operands) => {
            let (variable, mut names) = path(operand(operands, "left"))?;
            names.push(operand(operands, "attr").as_str()?);
            Some((variable, names))
        }
        _ => None,
    }
}

/// The names in `has NAME` or `has NAME.NAME`.
pub(crate) fn attributes(operands: &Value) -> Vec<&str> {
    match operand(operands, "attr") {
        Value::String(name) => vec![name],
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

/// A variable by itself.
pub(crate) fn is_variable(expression: &Value, name: &str) -> bool {
    path(expression).is_some_and(|(variable, names)| variable == name && names.is_empty())
}

/// A string that is written out.
pub(crate) fn string(expression: &Value) -> Option<&str> {
    match operation(expression)? {
        ("Value", value) => value.as_str(),
        _ => None,
    }
}

/// Strings that are written out: `["a", "b"]`.
pub(crate) fn strings(expression: &Value) -> Option<Vec<&str>> {
    match operation(expression)? {
        ("Set", Value::Array(items)) => items.iter().map(string).collect(),
        ("Value", Value::Array(items)) => items.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Entities that are written out, one or a set: type and id of each.
pub(crate) fn entities(expression: &Value) -> Option<Vec<(&str, &str)>> {
    match operation(expression)? {
        ("Value", Value::Array(items)) => items.iter().map(entity_of).collect(),
        ("Value", value) => Some(vec![entity_of(value)?]),
        ("Set", Value::Array(items)) => items
            .iter()
            .map(|item| match operation(item)? {
                ("Value", value) => entity_of(value),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

fn entity_of(value: &Value) -> Option<(&str, &str)> {
    let entity = value.get("__entity")?;
    Some((entity.get("type")?.as_str()?, entity.get("id")?.as_str()?))
}

/// Whether it reads the arguments of a call, or the context as a whole, which holds them.
pub(crate) fn reads_arguments(expression: &Value) -> bool {
    let whole = |names: &[&str]| names.first().is_none_or(|first| *first == "arguments");
    if let Some((variable, names)) = path(expression) {
        return variable == "context" && whole(&names);
    }
    if let Some(("has", operands)) = operation(expression)
        && let Some(("context", mut names)) = path(operand(operands, "left"))
    {
        names.extend(attributes(operands));
        return whole(&names);
    }
    children(expression).into_iter().any(reads_arguments)
}

/// Whether it reads the context.
pub(crate) fn reads_context(expression: &Value) -> bool {
    is_variable(expression, "context") || children(expression).into_iter().any(reads_context)
}
