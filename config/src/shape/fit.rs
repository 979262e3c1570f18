//! Fits a tree into a shape: finds everything that does not fit, and turns the rest into plain JSON.

use super::{Shape, Table};
use crate::expansion::{Expander, Unresolved};
use crate::quantity::{Size, TimeSpan};
use crate::report::{Finding, Report, quote, quote_all};
use crate::tree::{self, Node, Path, Place, describe_plain};
use serde_json::{Map, Value};

/// The tree as JSON with every reference resolved; what does not fit is reported and left out.
pub(crate) fn fit(
    root: &Node,
    shape: &Shape,
    expander: &mut Expander<'_>,
    report: &mut Report,
) -> Option<Value> {
    Fit { expander, report }.value(root, shape, &Path::default(), root.extent.start)
}

struct Fit<'a, 'e> {
    expander: &'a mut Expander<'e>,
    report: &'a mut Report,
}

/// Text after its references were resolved.
struct Resolved {
    text: String,
    /// It was written without quotes, or comes from a reference, and may stand for a number or a boolean.
    loose: bool,
    /// It was written as it is.
    literal: bool,
}

impl Fit<'_, '_> {
    /// `at` is where to point when something is missing: the key, or the value where there is none.
    fn value(&mut self, node: &Node, shape: &Shape, path: &Path, at: Place) -> Option<Value> {
        match shape {
            Shape::Any | Shape::Json => self.any(node, shape, path),
            Shape::Either(shapes) => {
                let mapping = matches!(node.value, tree::Value::Table(_));
                let suits = |shape: &&Shape| matches!(shape, Shape::Table(_) | Shape::Map(_)) == mapping;
                match shapes.iter().find(suits) {
                    Some(shape) => self.value(node, shape, path, at),
                    None => self.mismatch(node, shape, path),
                }
            }
            Shape::List(items) => match &node.value {
                tree::Value::List(nodes) => self.list(nodes, items, path),
                _ => self.mismatch(node, shape, path),
            },
            Shape::Map(values) => match &node.value {
                tree::Value::Table(_) => self.map(node, values, path),
                _ => self.mismatch(node, shape, path),
            },
            Shape::Table(table) => match &node.value {
                tree::Value::Table(_) => self.table(node, table, path, at),
                _ => self.mismatch(node, shape, path),
            },
            Shape::Text
            | Shape::Secret
            | Shape::Duration
            | Shape::Size
            | Shape::Boolean
            | Shape::Integer { .. }
            | Shape::Choice(_) => self.scalar(node, shape, path),
        }
    }

    fn list(&mut self, nodes: &[Node], items: &Shape, path: &Path) -> Option<Value> {
        let mut values = Vec::with_capacity(nodes.len());
        for (index, node) in nodes.iter().enumerate() {
            values.extend(self.value(node, items, &path.index(index), node.extent.start));
        }
        Some(Value::Array(values))
    }

    fn map(&mut self, node: &Node, values: &Shape, path: &Path) -> Option<Value> {
        let mut map = Map::new();
        for (key, node) in entries(node) {
            let here = path.key(&key.text);
            if let Some(value) = self.value(node, values, &here, key.extent.start) {
                map.insert(key.text.clone(), value);
            }
        }
        Some(Value::Object(map))
    }

    fn table(&mut self, node: &Node, table: &Table, path: &Path, at: Place) -> Option<Value> {
        let mut map = Map::new();
        for (key, value) in entries(node) {
            let here = path.key(&key.text);
            match table.fields.get(&key.text) {
                // A key without a value, as when all below it is commented out, says nothing.
                Some(_) if value.is_null() => {}
                Some(shape) => {
                    if let Some(value) = self.value(value, shape, &here, key.extent.start) {
                        map.insert(key.text.clone(), value);
                    }
                }
                None => {
                    // A field that is already there is not what was meant.
                    let free = |name: &&String| node.get(name).is_none();
                    let known = table.fields.keys().filter(free).map(String::as_str);
                    let message = format!("unknown field {}", quote(&key.text));
                    let finding = Finding::new(key.extent.start, &here, message);
                    if table.closed {
                        self.report.error(finding.help(fields(table)).guess(&key.text, known));
                    } else {
                        self.report.warning(finding.help("it is ignored"));
                    }
                }
            }
        }
        for name in &table.required {
            if node.get(name).is_none_or(|(_, node)| node.is_null()) {
                self.report.error(Finding::new(at, path, format!("missing field {}", quote(name))));
            }
        }
        Some(Value::Object(map))
    }

    fn scalar(&mut self, node: &Node, shape: &Shape, path: &Path) -> Option<Value> {
        let resolved = match &node.value {
            tree::Value::List(_) => return self.mismatch(node, shape, path),
            tree::Value::Table(_) => self.reference(node, shape, path)?,
            tree::Value::Scalar { .. } if node.is_null() => return self.mismatch(node, shape, path),
            tree::Value::Scalar { text, plain } => {
                if *shape != Shape::Secret {
                    self.report.show(node.extent.start);
                }
                self.expand(text, *plain, node, path)?
            }
        };
        let Resolved { text, loose, literal } = resolved;
        // A text that came from elsewhere may be a secret in the wrong place: it is not repeated.
        let named = |what: &str| {
            if literal { format!("{} {what}", quote(&text)) } else { format!("the value {what}") }
        };
        let problem = match shape {
            Shape::Text if literal && loose && describe_plain(&text) != "a string" => {
                let message = format!("expected a string, found {}", describe_plain(&text));
                Finding::new(node.extent.start, path, message).help("put it in quotes")
            }
            Shape::Duration => match text.parse::<TimeSpan>() {
                Ok(_) => return Some(Value::String(text)),
                Err(message) => Finding::new(node.extent.start, path, message),
            },
            Shape::Size => match text.parse::<Size>() {
                Ok(_) => return Some(Value::String(text)),
                Err(message) => Finding::new(node.extent.start, path, message),
            },
            Shape::Boolean => match text.as_str() {
                "true" | "True" | "TRUE" if loose => return Some(Value::Bool(true)),
                "false" | "False" | "FALSE" if loose => return Some(Value::Bool(false)),
                _ => return self.mismatch(node, shape, path),
            },
            Shape::Integer { min, max } => match text.parse::<u64>() {
                Ok(number) if loose && (*min..=*max).contains(&number) => return Some(number.into()),
                Ok(_) if loose => {
                    Finding::new(node.extent.start, path, named(&format!("is not between {min} and {max}")))
                }
                _ => return self.mismatch(node, shape, path),
            },
            Shape::Choice(words) if !words.contains(&text) => {
                let words = || words.iter().map(String::as_str);
                let message = named(&format!("is not one of {}", quote_all(words())));
                let finding = Finding::new(node.extent.start, path, message);
                if literal { finding.guess(&text, words()) } else { finding }
            }
            _ => return Some(Value::String(text)),
        };
        self.report.error(problem);
        None
    }

    /// `{env: NAME}` or `{file: PATH}`.
    fn reference(&mut self, node: &Node, shape: &Shape, path: &Path) -> Option<Resolved> {
        let (key, source) = match entries(node).collect::<Vec<_>>().as_slice() {
            [(key, source)] if matches!(key.text.as_str(), "env" | "file") => (key.text.clone(), *source),
            _ => {
                let message = format!("expected {}, found a mapping", shape.describe());
                let finding = Finding::new(node.extent.start, path, message);
                self.report.error(finding.help("to refer to a value write `{env: NAME}` or `{file: PATH}`"));
                return None;
            }
        };
        let here = path.key(&key);
        let Value::String(name) = self.scalar(source, &Shape::Text, &here)? else {
            return None;
        };
        let resolved = if key == "env" { self.expander.variable(&name) } else { self.expander.file(&name) };
        match resolved {
            Ok(text) => Some(Resolved { text, loose: true, literal: false }),
            Err(problem) => {
                self.unresolved(problem, source.extent.start, &here);
                None
            }
        }
    }

    fn expand(&mut self, text: &str, plain: bool, node: &Node, path: &Path) -> Option<Resolved> {
        match self.expander.expand(text) {
            Ok(None) => Some(Resolved { text: text.to_owned(), loose: plain, literal: true }),
            Ok(Some(text)) => Some(Resolved { text, loose: true, literal: false }),
            Err(problems) => {
                let Place { line, column } = node.extent.start;
                for problem in problems {
                    // In unquoted text on one line, what was read is what was written.
                    let offset = if plain && node.extent.end.line == line { problem.offset } else { 0 };
                    self.unresolved(problem, Place { line, column: column + offset }, path);
                }
                None
            }
        }
    }

    fn unresolved(&mut self, problem: Unresolved, at: Place, path: &Path) {
        let finding = Finding::new(at, path, problem.message);
        self.report.error(match problem.advice {
            Some(advice) => finding.help(advice),
            None => finding,
        });
    }

    /// A value of no known shape, as it is written.
    fn any(&mut self, node: &Node, shape: &Shape, path: &Path) -> Option<Value> {
        match &node.value {
            tree::Value::List(nodes) => self.list(nodes, shape, path),
            tree::Value::Table(_) => self.map(node, shape, path),
            tree::Value::Scalar { .. } if node.is_null() => Some(Value::Null),
            tree::Value::Scalar { text, plain } => {
                if *shape != Shape::Json {
                    self.report.show(node.extent.start);
                }
                let Resolved { text, loose, .. } = self.expand(text, *plain, node, path)?;
                // In quotes a secret of digits alone is still text.
                let loose = loose && (*plain || *shape != Shape::Json);
                let typed = || match describe_plain(&text) {
                    "a string" => None,
                    _ => serde_json::from_str(&text.to_lowercase()).ok(),
                };
                Some(loose.then(typed).flatten().unwrap_or(Value::String(text)))
            }
        }
    }

    fn mismatch(&mut self, node: &Node, shape: &Shape, path: &Path) -> Option<Value> {
        let message = format!("expected {}, found {}", shape.describe(), node.describe());
        let finding = Finding::new(node.extent.start, path, message);
        let quoted = matches!(&node.value, tree::Value::Scalar { text, plain: false }
            if matches!(shape, Shape::Boolean | Shape::Integer { .. }) && describe_plain(text) != "a string");
        self.report.error(if quoted { finding.help("write it without quotes") } else { finding });
        None
    }
}

/// The entries of a mapping.
fn entries(node: &Node) -> impl Iterator<Item = (&tree::Key, &Node)> {
    let entries = match &node.value {
        tree::Value::Table(entries) => Some(entries),
        _ => None,
    };
    entries.into_iter().flat_map(tree::Entries::iter).map(|(key, node)| (key, node))
}

/// The keys that a mapping may have, as advice.
fn fields(table: &Table) -> String {
    format!("known fields are {}", quote_all(table.fields.keys().map(String::as_str)))
}
