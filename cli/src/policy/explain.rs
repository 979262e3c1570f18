//! `weir policy explain`: why a call is allowed or denied.

use super::ground::{Ground, nowhere};
use super::subject::{self, Subject, caller, claims};
use super::toolbox::Toolbox;
use super::{endpoint, tried};
use crate::args::Explain;
use crate::line::shown;
use crate::{USAGE, check, say, say_error};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::sync::Arc;
use weir_config::{Endpoint, Loaded};
use weir_gateway::{Nowhere, Tried};
use weir_policies::{Explained, Explanation, Outcome, Principal};

/// Explains one call.
pub(super) fn run(explain: &Explain) -> anyhow::Result<ExitCode> {
    let Some(Loaded { config, .. }) = check::read(&explain.config.file()) else {
        return Ok(ExitCode::from(USAGE));
    };
    let spec = endpoint(&config, explain.endpoint.as_deref())?;
    let policies = match tried(spec) {
        Ok(policies) => Arc::new(policies),
        Err(code) => return Ok(code),
    };
    let arguments = Value::Object(explain.arguments.0.clone()).to_string();
    let subject = Subject::of_command(explain, &arguments)?;
    let claims = claims(&explain.caller)?;
    for note in notes(spec, claims.as_ref()) {
        say_error(&format!("note: {note}"));
    }
    let principal = match caller(spec, claims) {
        Ok(principal) => principal,
        Err(outside) => {
            denied(explain, &outside.to_string())?;
            say_error(
                "to see what policies would say, write the claims as JSON without what is wrong of them",
            );
            return Ok(ExitCode::SUCCESS);
        }
    };
    let ground = match explain.connect {
        true => Ground::servers(&config, spec, &explain.log)?,
        false => {
            let toolbox = explain.tools.as_deref().map(Toolbox::read).transpose()?;
            Ground::Supposed { spec, policies, toolbox }
        }
    };
    let answer = ground.attempt(&principal, &subject)?;
    let tried = match answer.tried {
        Ok(tried) => tried,
        Err(found) => {
            let text = nowhere(subject::noun(subject.kind), subject.name, &found);
            if let Nowhere::Unknown { .. } = found {
                say_error(&text);
                return Ok(ExitCode::FAILURE);
            }
            denied(explain, &text)?;
            return Ok(ExitCode::SUCCESS);
        }
    };
    match explain.json {
        true => say(&serde_json::to_string_pretty(&as_json(&tried, spec, &principal))?),
        false => lines(&tried, spec, &principal).iter().for_each(|line| say(line)),
    }
    if let Some(lacks) = answer.lacks {
        say_error(&format!(
            "{lacks}: ask the servers with --connect, or give the list that `weir tools --json` prints with --tools FILE"
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Says that a call is denied of which policies are not asked.
fn denied(explain: &Explain, why: &str) -> anyhow::Result<()> {
    let reason = format!("denied: {why}");
    match explain.json {
        true => say(&serde_json::to_string_pretty(&json!({ "allowed": false, "reason": reason }))?),
        false => say(&reason),
    }
    Ok(())
}

/// What is to be known of claims at an endpoint where nobody has them.
pub(super) fn notes(spec: &Endpoint, claims: Option<&serde_json::Map<String, Value>>) -> Vec<String> {
    let Some(claims) = claims else {
        return Vec::new();
    };
    let issuer = claims.get("iss").and_then(Value::as_str);
    let issuers: Vec<&str> = spec.auth.issuers.iter().map(|issuer| issuer.issuer.as_str()).collect();
    match issuer {
        _ if spec.auth.is_anonymous() => {
            let name = &spec.name;
            vec![format!("the endpoint {name} asks nobody who they are: there, every caller is `anonymous`")]
        }
        Some(Principal::API_KEYS | Principal::CERTIFICATES) => Vec::new(),
        Some(issuer) if !issuers.contains(&issuer) => {
            let known = match issuers.as_slice() {
                [] => "no issuer".to_owned(),
                issuers => format!("only {}", issuers.join(", ")),
            };
            let issuer = shown(issuer);
            vec![format!("the endpoint trusts {known}: a token of {issuer} is refused there")]
        }
        _ => Vec::new(),
    }
}

/// Whether a call is answered, and why or why not.
pub(super) fn verdict(tried: &Tried, spec: &Endpoint, principal: &Principal) -> (bool, String) {
    let denied = |why: &str| (false, format!("denied: {why}"));
    let kind = tried.kind;
    if !spec.auth.is_anonymous() && principal.issuer().is_empty() {
        return denied("the endpoint lets in nobody who does not show who they are");
    }
    match (&tried.decided, &tried.refused, &tried.explanation) {
        (Ok(()), Some(refused), _) => (false, format!("refused, whatever policies say: {refused}")),
        (Err(_), Some(_), None) => denied("whatever the arguments are"),
        (Ok(()), None, None) => {
            (true, "allowed: the endpoint has neither authentication nor policies".to_owned())
        }
        (Err(_), None, None) => denied("the endpoint has no policies, so nobody may do anything"),
        (Err(_), _, Some(_)) if tried.unseen => {
            denied(&format!("the caller does not see the {kind}, whose arguments are to be completed"))
        }
        (_, _, Some(found)) => of_policies(found),
    }
}

fn of_policies(found: &Explanation) -> (bool, String) {
    let applies = |permits: bool| {
        found.policies.iter().any(|policy| policy.permits == permits && policy.outcome == Outcome::Applies)
    };
    let failed = found.policies.iter().any(|policy| matches!(policy.outcome, Outcome::Failed(_)));
    let none = found.policies.is_empty() && found.others == 0;
    let why = match (found.allowed, failed, applies(false)) {
        (true, ..) => "allowed",
        (false, true, _) => "denied: a policy could not be evaluated",
        (false, false, true) => "denied: a policy forbids it",
        (false, false, false) if none => "denied: there is no policy, so nobody may do anything",
        (false, false, false) => "denied: no policy permits it",
    };
    (found.allowed, why.to_owned())
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

fn lines(tried: &Tried, spec: &Endpoint, principal: &Principal) -> Vec<String> {
    let Tried { kind, name, backend, original, visible, unlisted, .. } = tried;
    let mut lines = vec![verdict(tried, spec, principal).1];
    let own = if name == original { String::new() } else { format!(", there `{}`", shown(original)) };
    lines.push(format!("  it is the {kind} `{}` of backend {backend}{own}", shown(name)));
    let Some(found) = &tried.explanation else {
        return lines;
    };
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
    lines.push(match (visible, unlisted) {
        (_, true) => "no list has it; a template or its scheme leads there".to_owned(),
        (true, false) => "lists show it".to_owned(),
        (false, false) => "lists do not show it".to_owned(),
    });
    if *kind == "template" {
        lines.push(
            "a template is shown where one of its resources could be read; name one to be told of it"
                .to_owned(),
        );
    }
    lines.push("the policies were given:".to_owned());
    lines.push(serde_json::to_string_pretty(&found.saw).unwrap_or_default());
    lines
}

fn as_json(tried: &Tried, spec: &Endpoint, principal: &Principal) -> Value {
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
    let Tried { kind, name, backend, original, visible, explanation, .. } = tried;
    let (allowed, reason) = verdict(tried, spec, principal);
    let found = explanation.as_ref();
    let policies = found.map(|found| found.policies.iter().map(policy).collect::<Vec<_>>());
    json!({
        "allowed": allowed,
        "reason": reason,
        "item": { "kind": kind, "name": name, "backend": backend, "original": original },
        "visible": visible,
        "missing_scopes": found.map(|found| &found.missing_scopes),
        "policies": policies.unwrap_or_default(),
        "others": found.map(|found| found.others),
        "saw": found.map(|found| &found.saw),
    })
}
