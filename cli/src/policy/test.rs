//! `weir policy test`: calls, and what is to come of them.

use super::explain::{notes, verdict};
use super::ground::{Answer, Ground, nowhere};
use super::subject::{self, Subject, caller};
use super::toolbox::Toolbox;
use super::{endpoint, tried};
use crate::args::Test;
use crate::line::shown;
use crate::{USAGE, check, say, say_error};
use serde_json::Value;
use std::process::ExitCode;
use std::sync::Arc;
use weir_config::{Endpoint, Loaded, PolicyCase, ProcessEnvironment};
use weir_gateway::Nowhere;
use weir_policies::{Explained, Outcome, Principal};

/// Tries the calls of a file.
pub(super) fn run(test: &Test) -> anyhow::Result<ExitCode> {
    let file = test.file.as_path();
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
    let policies = match tried(spec) {
        Ok(policies) => Arc::new(policies),
        Err(code) => return Ok(code),
    };
    let ground = match test.connect {
        true => Ground::servers(&config, spec, &test.log)?,
        false => {
            let toolbox = cases.tools.as_deref().map(Toolbox::read).transpose()?;
            Ground::Supposed { spec, policies, toolbox }
        }
    };
    // Policies may be tried before the endpoint asks who its callers are, if that is not forgotten.
    let supposing = cases.cases.iter().find(|case| spec.auth.is_anonymous() && case.claims.is_some());
    for note in supposing.map(|case| notes(spec, case.claims.as_ref())).unwrap_or_default() {
        say_error(&format!("note: {note}"));
    }
    let mut wrong = 0;
    for case in &cases.cases {
        let place = || format!("{}:{}: {}", file.display(), case.line, shown(&case.name));
        let differences =
            differences(spec, &ground, case).unwrap_or_else(|error| vec![format!("    {error:#}")]);
        if differences.is_empty() {
            continue;
        }
        wrong += 1;
        say(&place());
        differences.iter().for_each(|line| say(line));
    }
    let count = cases.cases.len();
    say(&format!("{}: {} of {count} as expected", file.display(), count - wrong));
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What came of a case, as far as one may expect something of it.
struct Found {
    allowed: bool,
    by: Vec<String>,
    visible: bool,
    /// Why it is not otherwise.
    why: String,
    /// Nothing of it can be believed.
    wrong: bool,
}

impl Found {
    fn of(answer: &Answer, subject: &Subject<'_>, spec: &Endpoint, principal: &Principal) -> Self {
        let tried = match &answer.tried {
            Ok(tried) => tried,
            Err(found) => {
                let why = nowhere(subject::noun(subject.kind), subject.name, found);
                // A name that was misspelt would be denied for ever, whatever policies say.
                let wrong = matches!(found, Nowhere::Unknown { .. });
                return Self { wrong, ..Self::denied(why) };
            }
        };
        let (allowed, mut why) = verdict(tried, spec, principal);
        if let (true, Some(found)) = (allowed, &tried.explanation) {
            let applies = |policy: &&Explained| policy.permits && policy.outcome == Outcome::Applies;
            let permits: Vec<String> =
                found.policies.iter().filter(applies).map(|policy| shown(&policy.id)).collect();
            why = format!("{why} by [{}]", permits.join(", "));
        }
        if let Some(lacks) = answer.lacks {
            why = format!("{lacks}: name a list with `tools`, or use --connect");
        }
        let by = tried.decided.as_ref().err().map(|denied| denied.by.clone()).unwrap_or_default();
        Self { allowed, by, visible: tried.visible, why, wrong: answer.lacks.is_some() }
    }

    fn denied(why: String) -> Self {
        Self { allowed: false, by: Vec::new(), visible: false, why, wrong: false }
    }
}

/// What is other than expected, as lines of a difference.
fn differences(spec: &Endpoint, ground: &Ground<'_>, case: &PolicyCase) -> anyhow::Result<Vec<String>> {
    let arguments = case.arguments.as_ref().map(Value::to_string);
    let subject = Subject::of_case(case, arguments.as_deref())?;
    let found = match caller(spec, case.claims.clone()) {
        Ok(principal) => Found::of(&ground.attempt(&principal, &subject)?, &subject, spec, &principal),
        Err(outside) => Found::denied(outside.to_string()),
    };
    let mut differences = Vec::new();
    let mut compare = |expected: String, found: String| {
        if expected != found {
            differences.extend([format!("  - expected {expected}"), format!("  + found    {found}")]);
        }
    };
    let word = |allowed: bool| if allowed { "allow" } else { "deny" }.to_owned();
    compare(word(case.allowed), word(found.allowed));
    if let Some(expected) = &case.by {
        let sorted = |ids: &[String]| {
            let mut ids: Vec<String> = ids.iter().map(|id| shown(id)).collect();
            ids.sort();
            format!("by [{}]", ids.join(", "))
        };
        compare(sorted(expected), sorted(&found.by));
    }
    if let Some(expected) = case.visible {
        compare(format!("visible: {expected}"), format!("visible: {}", found.visible));
    }
    if found.wrong || !differences.is_empty() {
        differences.push(format!("    {}", found.why));
    }
    // Where tokens of theirs are refused, a denial is to be expected.
    if case.allowed && !spec.auth.is_anonymous() {
        let notes = notes(spec, case.claims.as_ref());
        differences.extend(notes.into_iter().map(|note| format!("    {note}")));
    }
    Ok(differences)
}
