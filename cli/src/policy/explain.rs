//! `weir policy explain`: why a call is allowed or denied.

use super::subject::{Subject, caller, claims};
use super::toolbox::Toolbox;
use super::{endpoint, of_endpoint};
use crate::args::Explain;
use crate::line::shown;
use crate::{USAGE, check, say, say_error};
use serde_json::{Value, json};
use std::process::ExitCode;
use weir_config::{Loaded, PolicyCaseItem};
use weir_policies::{Context, Explained, Explanation, Outcome};
use weir_protocol::Era;

/// Explains one call.
pub(super) fn run(explain: Explain) -> anyhow::Result<ExitCode> {
    let Some(Loaded { config, .. }) = check::read(&explain.config.file()) else {
        return Ok(ExitCode::from(USAGE));
    };
    let spec = endpoint(&config, explain.endpoint.as_deref())?;
    let toolbox = explain.tools.as_deref().map(Toolbox::read).transpose()?.unwrap_or_default();
    let policies = match of_endpoint(spec, &toolbox) {
        Some(Ok(policies)) => policies,
        Some(Err(problems)) => {
            problems.iter().for_each(|problem| say_error(&problem.diagnostic.to_string()));
            return Ok(ExitCode::from(USAGE));
        }
        None if spec.auth.is_anonymous() => {
            say("allowed: the endpoint has neither authentication nor policies");
            return Ok(ExitCode::SUCCESS);
        }
        None => {
            say("denied: the endpoint has no policies, so nobody may do anything");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let principal = caller(&spec.auth, claims(&explain.caller)?)?;
    let wanted = explain.wanted;
    let item = wanted.tool.map(PolicyCaseItem::Tool).or(wanted.prompt.map(PolicyCaseItem::Prompt));
    let item = item.unwrap_or_else(|| PolicyCaseItem::Resource(wanted.resource.unwrap_or_default()));
    let subject = Subject::new(spec, &toolbox, &item, explain.action.as_deref(), explain.backend.as_deref())?;
    let arguments = Value::Object(explain.arguments.0).to_string();
    let context =
        Context { arguments: Some(&arguments), address: explain.address, ..Context::now(Era::Modern) };
    let found = policies.explain(&principal, subject.action, &subject.item(), &context);
    if let Some(found) = found {
        match explain.json {
            true => say(&serde_json::to_string_pretty(&as_json(&found))?),
            false => lines(&found).iter().for_each(|line| say(line)),
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn word(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applies => "applies".to_owned(),
        Outcome::DoesNotApply => "does not apply".to_owned(),
        Outcome::Failed(reason) => format!("FAILED, which denies: {}", shown(reason)),
    }
}

fn effect(policy: &Explained) -> &'static str {
    if policy.permits { "permit" } else { "forbid" }
}

fn lines(found: &Explanation) -> Vec<String> {
    let applies = |permits: bool| {
        found.policies.iter().any(|policy| policy.permits == permits && policy.outcome == Outcome::Applies)
    };
    let failed = found.policies.iter().any(|policy| matches!(policy.outcome, Outcome::Failed(_)));
    let mut lines = vec![match (found.allowed, failed, applies(false)) {
        (true, ..) => "allowed".to_owned(),
        (false, true, _) => "denied: a policy could not be evaluated".to_owned(),
        (false, false, true) => "denied: a policy forbids it".to_owned(),
        (false, false, false) => "denied: no policy permits it".to_owned(),
    }];
    let width =
        found.policies.iter().map(|policy| policy.id.chars().count()).max().unwrap_or_default().min(60);
    for policy in &found.policies {
        let place = if policy.id == policy.place { String::new() } else { format!(" ({})", policy.place) };
        let (id, outcome) = (shown(&policy.id), word(&policy.outcome));
        lines.push(format!("  {} {id:width$}  {outcome}{place}", effect(policy)));
    }
    let count = found.others;
    lines.push(format!(
        "  {count} other polic{} not about this call",
        if count == 1 { "y is" } else { "ies are" }
    ));
    if !found.missing_scopes.is_empty() {
        lines.push(format!("it would be allowed with these scopes too: {}", found.missing_scopes.join(" ")));
    }
    lines.push(format!("lists {} it", if found.visible { "show" } else { "do not show" }));
    lines.push("the policies were given:".to_owned());
    lines.push(serde_json::to_string_pretty(&found.saw).unwrap_or_default());
    lines
}

fn as_json(found: &Explanation) -> Value {
    let policy = |policy: &Explained| {
        let (outcome, reason) = match &policy.outcome {
            Outcome::Applies => ("applies", None),
            Outcome::DoesNotApply => ("does not apply", None),
            Outcome::Failed(reason) => ("failed", Some(reason)),
        };
        json!({
            "id": policy.id, "place": policy.place, "effect": effect(policy), "outcome": outcome, "reason": reason,
        })
    };
    json!({
        "allowed": found.allowed,
        "visible": found.visible,
        "missing_scopes": found.missing_scopes,
        "policies": found.policies.iter().map(policy).collect::<Vec<_>>(),
        "others": found.others,
        "saw": found.saw,
    })
}
