//! YAML, and with it JSON, to a tree.

mod cursor;

use super::{Entries, Extent, Key, Node, Path, Place, Value, lines};
use crate::report::{Finding, Report, quote};
use cursor::Cursor;
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, ScanError, Span, StrInput};

/// Deepest nesting of a file.
const DEEPEST: usize = 64;

/// The file's one document; `None` when it is empty or cannot be read on, which is reported.
pub(crate) fn parse(text: &str, report: &mut Report) -> Option<Node> {
    documents(text, 1, report).pop()
}

/// All documents of a file; none when it is empty or cannot be read on, which is reported.
pub(crate) fn parse_all(text: &str, report: &mut Report) -> Vec<Node> {
    documents(text, usize::MAX, report)
}

fn documents(text: &str, most: usize, report: &mut Report) -> Vec<Node> {
    let mut builder = Builder { parser: Parser::new_from_str(text), cursor: Cursor::new(text), report };
    match builder.documents(most) {
        Ok(documents) => documents,
        Err(stopped) => {
            report.error(match stopped {
                Stopped::At(finding) => finding,
                Stopped::Scan(error) => explain(&error, text),
            });
            Vec::new()
        }
    }
}

/// Why reading ended early.
enum Stopped {
    Scan(ScanError),
    At(Finding),
}

impl From<ScanError> for Stopped {
    fn from(error: ScanError) -> Self {
        Self::Scan(error)
    }
}

struct Builder<'a, 'r> {
    parser: Parser<'a, StrInput<'a>>,
    /// At the quoted scalar that was read last.
    cursor: Cursor<'a>,
    report: &'r mut Report,
}

impl<'a> Builder<'a, '_> {
    fn next(&mut self) -> Result<(Event<'a>, Span), Stopped> {
        match self.parser.next_event() {
            Some(event) => Ok(event?),
            None => Ok((Event::StreamEnd, Span::default())),
        }
    }

    fn documents(&mut self, most: usize) -> Result<Vec<Node>, Stopped> {
        let mut documents = Vec::new();
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::DocumentStart(_) if documents.len() == most => {
                    return Err(stop(span, "a second YAML document begins here; a file holds one"));
                }
                Event::DocumentStart(_) => {
                    let (event, span) = self.next()?;
                    documents.push(self.node(event, span, &Path::default(), 0)?);
                }
                _ => {}
            }
        }
        if documents.is_empty() {
            self.report.error(Finding::new(Place::START, &Path::default(), "the file is empty"));
        }
        Ok(documents)
    }

    fn node(&mut self, event: Event<'a>, span: Span, path: &Path, depth: usize) -> Result<Node, Stopped> {
        if depth > DEEPEST {
            return Err(stop(span, format!("nested deeper than {DEEPEST} levels")));
        }
        let extent = self.extent(&event, span);
        self.refuse_features(&event, extent, path);
        let (value, end) = match event {
            Event::Scalar(text, style, ..) => {
                let plain = style == ScalarStyle::Plain;
                (Value::Scalar { text: text.into_owned(), plain }, extent.end)
            }
            Event::SequenceStart(..) => self.list(path, depth)?,
            Event::MappingStart(..) => self.table(path, depth)?,
            // An alias was reported; it stands for nothing.
            _ => (Value::Scalar { text: String::new(), plain: true }, extent.end),
        };
        Ok(Node { value, extent: Extent { start: extent.start, end } })
    }

    fn list(&mut self, path: &Path, depth: usize) -> Result<(Value, Place), Stopped> {
        let mut items = Vec::new();
        loop {
            let (event, span) = self.next()?;
            if event == Event::SequenceEnd {
                return Ok((Value::List(items), place(span.end)));
            }
            let item = self.node(event, span, &path.index(items.len()), depth + 1)?;
            items.push(item);
        }
    }

    fn table(&mut self, path: &Path, depth: usize) -> Result<(Value, Place), Stopped> {
        let mut entries = Entries::default();
        loop {
            let (event, span) = self.next()?;
            if event == Event::MappingEnd {
                return Ok((Value::Table(entries), place(span.end)));
            }
            let extent = self.extent(&event, span);
            self.refuse_features(&event, extent, path);
            let Event::Scalar(text, ..) = event else {
                return Err(stop(span, "a key must be a plain name"));
            };
            let here = path.key(&text);
            let (event, span) = self.next()?;
            let node = self.node(event, span, &here, depth + 1)?;
            match entries.get(&text) {
                Some((Key { extent: earlier, .. }, _)) => {
                    let message = format!("{} is already set in line {}", quote(&text), earlier.start.line);
                    self.report.error(Finding::new(extent.start, &here, message));
                    self.report.hide(node.extent);
                }
                None => entries.push(Key { text: text.into_owned(), extent }, node),
            }
        }
    }

    /// Where an event stands. The parser counts blanks and a comment behind a quoted scalar as part of it.
    fn extent(&mut self, event: &Event<'_>, span: Span) -> Extent {
        let extent = Extent { start: place(span.start), end: place(span.end) };
        let quote = match event {
            Event::Scalar(_, ScalarStyle::DoubleQuoted, ..) => '"',
            Event::Scalar(_, ScalarStyle::SingleQuoted, ..) => '\'',
            _ => return extent,
        };
        self.cursor.seek(extent.start);
        let end = self.cursor.closing(quote).filter(|end| *end < extent.end);
        Extent { end: end.unwrap_or(extent.end), ..extent }
    }

    /// YAML features that make a file say something else than it seems to.
    fn refuse_features(&mut self, event: &Event<'_>, extent: Extent, path: &Path) {
        let (anchor, tag) = match event {
            Event::Alias(_) => (1, false),
            Event::Scalar(_, _, anchor, tag) => (*anchor, tag.is_some()),
            Event::SequenceStart(anchor, tag) | Event::MappingStart(anchor, tag) => (*anchor, tag.is_some()),
            _ => return,
        };
        if anchor > 0 {
            let finding = Finding::new(extent.start, path, "YAML anchors and aliases are not supported");
            self.report
                .error(finding.help("repeat the value, or use `defaults` for what all backends share"));
        }
        if tag {
            let finding = Finding::new(extent.start, path, "YAML tags are not supported");
            self.report.error(finding.help("remove it; put text in quotes to make it a string"));
        }
    }
}

/// A scan error with the advice that its usual cause needs.
fn explain(error: &ScanError, text: &str) -> Finding {
    let place = place(*error.marker());
    let message = format!("not valid YAML: {}", error.info());
    let finding = Finding::new(place, &Path::default(), message);
    let line = lines(text).nth(place.line.saturating_sub(1)).unwrap_or_default();
    if line.contains("${") && (line.contains('{') || line.contains('[')) {
        finding.help("inside `{…}` and `[…]` write references in quotes: \"${NAME}\"")
    } else if error.info().contains("tab") {
        finding.help("indent with spaces")
    } else {
        finding
    }
}

fn stop(span: Span, message: impl Into<String>) -> Stopped {
    Stopped::At(Finding::new(place(span.start), &Path::default(), message))
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line(), column: marker.col() + 1 }
}
