//! `weir policy test`: calls, and what is to come of them.

use super::subject::{Subject, caller};
use super::toolbox::{Toolbox, hints};
use super::{endpoint, of_endpoint};
use crate::line::shown;
use crate::{USAGE, check, say, say_error};
use anyhow::anyhow;
use serde_json::Value;
use std::path::Path;
use std::process::ExitCode;
use weir_config::{Endpoint, Loaded, PolicyCase, ProcessEnvironment};
use weir_policies::{Context, Denied, Policies};
use weir_protocol::Era;

/// Tries the calls of a file.
pub(super) fn run(file: &Path) -> anyhow::Result<ExitCode> {
    let cases = match weir_config::policy_cases(file, &ProcessEnvironment) {
        Ok(cases) => cases,
        Err(errors) => {
            say_error(&errors.to_string());
            return Ok(ExitCode::from(USAGE));
        }
    };
    let Some(Loaded { config, .. }) = check::read(&cases.config) else {
        return Ok(ExitCode::from(USAGE));
    };
    let spec = endpoint(&config, cases.endpoint.as_deref())?;
    let toolbox = cases.tools.as_deref().map(Toolbox::read).transpose()?.unwrap_or_default();
    let policies = match of_endpoint(spec, &toolbox) {
        Some(Ok(policies)) => policies,
        Some(Err(problems)) => {
            problems.iter().for_each(|problem| say_error(&problem.diagnostic.to_string()));
            return Ok(ExitCode::from(USAGE));
        }
        None if spec.auth.is_anonymous() => Policies::anonymous(),
        None => Policies::nobody(),
    };
    let mut wrong = 0;
    for case in &cases.cases {
        let differences = tried(spec, &toolbox, &policies, case)
            .map_err(|error| anyhow!("{}:{}: {}: {error}", file.display(), case.line, shown(&case.name)))?;
        if differences.is_empty() {
            continue;
        }
        wrong += 1;
        say(&format!("{}:{}: {}", file.display(), case.line, shown(&case.name)));
        differences.iter().for_each(|line| say(line));
    }
    let count = cases.cases.len();
    say(&format!("{}: {} of {count} as expected", file.display(), count - wrong));
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What is other than expected, as lines of a difference.
fn tried(
    endpoint: &Endpoint,
    toolbox: &Toolbox,
    policies: &Policies,
    case: &PolicyCase,
) -> anyhow::Result<Vec<String>> {
    let backend = case.backend.as_deref();
    let subject = Subject::new(endpoint, toolbox, &case.item, case.action.as_deref(), backend)?;
    let mut subject = subject.known_as(case.original.clone());
    if !case.annotations.is_empty() {
        subject.hints = hints(&case.annotations);
    }
    if !case.tags.is_empty() {
        subject.tags.clone_from(&case.tags);
    }
    let principal = caller(&endpoint.auth, case.claims.clone())?;
    let arguments = case.arguments.as_ref().map(Value::to_string);
    let context =
        Context { arguments: arguments.as_deref(), address: case.address, ..Context::now(Era::Modern) };
    let decided = policies.permit(&principal, subject.action, &subject.item(), &context);
    let mut differences = Vec::new();
    let mut compare = |expected: String, found: String| {
        if expected != found {
            differences.extend([format!("  - expected {expected}"), format!("  + found    {found}")]);
        }
    };
    let word = |allowed: bool| if allowed { "allow" } else { "deny" }.to_owned();
    let by = match &decided {
        Ok(_) => Vec::new(),
        Err(Denied { by, .. }) => by.clone(),
    };
    compare(word(case.allowed), word(decided.is_ok()));
    if let Some(expected) = &case.by {
        let sorted = |ids: &[String]| {
            let mut ids: Vec<String> = ids.iter().map(|id| shown(id)).collect();
            ids.sort();
            format!("by [{}]", ids.join(", "))
        };
        compare(sorted(expected), sorted(&by));
    }
    if let Some(expected) = case.visible {
        let visible = policies.may(&principal, subject.action, &subject.item());
        compare(format!("visible: {expected}"), format!("visible: {visible}"));
    }
    Ok(differences)
}
