//! `weir check --connect`: what an examination found, in lines for people or as JSON.

use crate::args::Connect;
use crate::line::shown;
use crate::{check, say};
use anyhow::Context;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use weir_config::Loaded;
use weir_gateway::{
    Examination, ExaminedBackend, ExaminedEndpoint, Finding, HiddenBy, Judged, Settled, Severity, examine,
};
use weir_runtime::Guardian;

/// Most names that one line lists.
const MOST_NAMES: usize = 20;

/// Checks the file, then tries everything that it configures.
pub(crate) fn run(file: &Path, connect: &Connect) -> anyhow::Result<ExitCode> {
    weir_telemetry::init(&connect.log, false)?;
    let Some(Loaded { config, .. }) = check::load(file).filter(|loaded| check::store(&loaded.config)) else {
        return Ok(ExitCode::FAILURE);
    };
    let program = std::env::current_exe().context("cannot find weir's own program file")?;
    let guardian =
        Guardian::start(&program, &["guard"]).context("cannot start the guardian of child processes")?;
    let found = examine(&config, &guardian)?;
    let (errors, warnings) = (found.count(Severity::Error), found.count(Severity::Warning));
    let fine = errors == 0 && (warnings == 0 || !connect.strict);
    if connect.json {
        let mut value = serde_json::to_value(&found)?;
        if let Value::Object(members) = &mut value {
            members.insert("ok".to_owned(), json!(fine));
        }
        say(&serde_json::to_string_pretty(&value)?);
    } else {
        lines(&found).iter().for_each(|line| say(line));
        let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        say(&format!("{}: {}, {}", file.display(), count(errors, "error"), count(warnings, "warning")));
    }
    Ok(if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn lines(found: &Examination) -> Vec<String> {
    let mut lines = Vec::new();
    for backend in &found.backends {
        lines.push(of_backend(backend));
        lines.extend(backend.problems.iter().map(line));
    }
    for endpoint in &found.endpoints {
        let ExaminedEndpoint { name, path, tools, prompts, resources, templates, findings } = endpoint;
        lines.push(String::new());
        let counts = counts([*tools, *prompts, *resources, *templates]);
        lines.push(format!("endpoint {name} at {path}: {counts}"));
        let (hidden, others): (Vec<&Judged>, Vec<&Judged>) =
            findings.iter().partition(|judged| matches!(judged.finding, Finding::Hidden { .. }));
        for severity in [Severity::Error, Severity::Warning, Severity::Note] {
            lines.extend(
                others.iter().filter(|judged| judged.severity == severity).map(|judged| line(judged)),
            );
        }
        lines.extend(of_hidden(&hidden));
    }
    lines.push(String::new());
    lines
}

fn of_backend(backend: &ExaminedBackend) -> String {
    let ExaminedBackend { name, transport, offer, .. } = backend;
    let Some(offer) = offer else {
        return format!("backend {name}: {transport}, no answer");
    };
    let counts = counts([offer.tools, offer.prompts, offer.resources, offer.templates]);
    let server = offer.server.as_deref().map(|server| format!(", {}", shown(server))).unwrap_or_default();
    let instructions = if offer.instructions { "instructions" } else { "no instructions" };
    format!("backend {name}: {transport}, {} {}{server}: {counts}, {instructions}", offer.era, offer.revision)
}

fn counts([tools, prompts, resources, templates]: [usize; 4]) -> String {
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    [
        count(tools, "tool"),
        count(prompts, "prompt"),
        count(resources, "resource"),
        count(templates, "template"),
    ]
    .join(", ")
}

/// Hidden items, those of one owner and one reason in one line.
fn of_hidden(hidden: &[&Judged]) -> Vec<String> {
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    let mut positions: BTreeMap<String, usize> = BTreeMap::new();
    for judged in hidden {
        let Finding::Hidden { list, backend, name, by } = &judged.finding else { continue };
        let by = match by {
            HiddenBy::Override => "an override".to_owned(),
            HiddenBy::Deny { pattern } => format!("`deny` {}", quoted(pattern)),
            HiddenBy::Allow => "`allow`, of which no pattern matches".to_owned(),
        };
        let title = format!("  note: {} of {backend} hidden by {by}: ", words(list));
        let position = *positions.entry(title.clone()).or_insert_with(|| {
            groups.push((title, Vec::new()));
            groups.len() - 1
        });
        if let Some((_, names)) = groups.get_mut(position) {
            names.push(name);
        }
    }
    groups.into_iter().map(|(title, names)| title + &listed(&names)).collect()
}

/// One finding as a line.
fn line(judged: &Judged) -> String {
    let word = match judged.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    format!("  {word}: {}", text(&judged.finding))
}

fn text(finding: &Finding) -> String {
    let guess =
        |nearest: &Option<String>| nearest.as_ref().map(|name| format!(", did you mean {}?", quoted(name)));
    match finding {
        Finding::Unreachable { text } => shown(text),
        Finding::ListFailed { list, text } => format!("the list of {} failed: {}", words(list), shown(text)),
        Finding::ItemsInvalid { list, text } => format!("{}: {}", words(list), shown(text)),
        Finding::Pattern { text } => format!("a pattern cannot be used: {}", shown(text)),
        Finding::Conflict { list, name, backends, settled } => {
            let end = match settled {
                Settled::First { backend } => format!("that of {backend} is shown"),
                Settled::Refused => "none is shown, and calls are refused".to_owned(),
                Settled::Unresolved => "weir does not start before an override makes it unique".to_owned(),
            };
            format!("{} {} is offered by {}: {end}", word(list), quoted(name), backends.join(", "))
        }
        Finding::Hidden { list, backend, name, .. } => {
            format!("{} {} of {backend} is hidden", word(list), quoted(name))
        }
        Finding::LeftOut { list, backend, name: Some(name), reason } => {
            format!("{} {} of {backend} is left out: {reason}", word(list), quoted(name))
        }
        Finding::LeftOut { list, backend, name: None, reason } => {
            format!("a {} of {backend} is left out: {reason}", word(list))
        }
        Finding::Name { list, backend, name, problem } => {
            format!("the name of the {} {} of {backend}: {problem}", word(list), quoted(name))
        }
        Finding::Schema { backend, name, problem } => {
            format!("tool {} of {backend}: {problem}", quoted(name))
        }
        Finding::UnknownOverride { list, backend, name, nearest } => {
            let guess = guess(nearest).unwrap_or_default();
            format!(
                "an override is for {} of {backend}, which has no such {}{guess}",
                quoted(name),
                word(list)
            )
        }
        Finding::UnusedPattern { list, rule, pattern, nearest } => {
            let guess = guess(nearest).unwrap_or_default();
            format!("the pattern {} of `{rule}` matches none of the {}{guess}", quoted(pattern), words(list))
        }
    }
}

/// Names in a line; of very many, the first.
fn listed(names: &[&str]) -> String {
    let mut text = names.iter().take(MOST_NAMES).map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(MOST_NAMES) {
        0 => {}
        more => text.push_str(&format!(" and {more} more")),
    }
    text
}

/// What a list holds, in words.
fn words(list: &str) -> &str {
    if list == "resourceTemplates" { "templates" } else { list }
}

/// One of what a list holds.
fn word(list: &str) -> &str {
    words(list).trim_end_matches('s')
}

/// A name of a server's, which cannot write lines of its own or steer the terminal.
fn quoted(name: &str) -> String {
    format!("`{}`", shown(name))
}
