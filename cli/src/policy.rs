//! `weir policy`: what callers may do, checked, explained and tried.

mod access;
mod explain;
mod ground;
mod subject;
mod test;
mod toolbox;

use crate::args::{Policy, RequiredConfig};
use crate::line::shown;
use crate::{USAGE, check, say, say_error};
use anyhow::anyhow;
use std::path::Path;
use std::process::ExitCode;
pub(crate) use toolbox::Toolbox;
use weir_config::{Config, Endpoint, Loaded};
use weir_policies::{Policies, PolicyProblem};

/// Runs what the command names.
pub(crate) fn run(command: Policy) -> anyhow::Result<ExitCode> {
    match command {
        Policy::Check { config, tools, endpoint } => {
            check(&config.file(), tools.as_deref(), endpoint.as_deref())
        }
        Policy::Schema { config, endpoint } => schema(config, endpoint.as_deref()),
        Policy::Explain(explain) => explain::run(&explain),
        Policy::Test(test) => test::run(&test),
        Policy::WhoCan(who) => access::who_can(who),
        Policy::WhatCan(what) => access::what_can(what),
    }
}

/// The policies of an endpoint; `None` where none are configured.
///
/// # Errors
/// Everything that is wrong with them.
pub(crate) fn of_endpoint(
    endpoint: &Endpoint,
    toolbox: &Toolbox,
) -> Option<Result<Policies, Vec<PolicyProblem>>> {
    let policies = endpoint.policies.as_ref()?;
    let (tools, unclear) = toolbox.tools(endpoint);
    if !unclear.is_empty() {
        let (count, first) = (unclear.len(), unclear.iter().take(3).map(|name| shown(name)));
        let first = first.collect::<Vec<_>>().join(", ");
        say_error(&format!(
            "warning: {count} tools of the list are left out, since the configuration does not tell whose they are: {first}"
        ));
    }
    Some(Policies::new(policies, &endpoint.name, &tools))
}

/// The policies by which calls at an endpoint are tried out: those that it has, or what holds without.
///
/// # Errors
/// The exit code, where they are wrong; that has been told.
fn tried(endpoint: &Endpoint) -> Result<Policies, ExitCode> {
    match of_endpoint(endpoint, &Toolbox::default()) {
        Some(Ok(policies)) => Ok(policies),
        Some(Err(problems)) => {
            problems.iter().for_each(|problem| say_error(&problem.diagnostic.to_string()));
            Err(ExitCode::from(USAGE))
        }
        None if endpoint.auth.is_anonymous() => Ok(Policies::anonymous()),
        None => Ok(Policies::nobody()),
    }
}

/// What is wrong with the policies of a configuration, and what is odd: tells both, and whether something is wrong.
pub(crate) fn report(config: &Config, toolbox: &Toolbox, only: Option<&str>) -> Option<usize> {
    let mut count = 0;
    let none = Toolbox::default();
    for endpoint in &config.endpoints {
        let toolbox = if only.is_none_or(|name| name == endpoint.name) { toolbox } else { &none };
        match of_endpoint(endpoint, toolbox) {
            None => {}
            Some(Ok(policies)) => {
                policies.warnings().iter().for_each(|odd| say_error(&format!("warning: {}", odd.diagnostic)));
                count += policies.count();
            }
            Some(Err(problems)) => {
                problems.iter().for_each(|problem| say_error(&problem.diagnostic.to_string()));
                let plural = if problems.len() == 1 { "" } else { "s" };
                say_error(&format!(
                    "endpoint {}: {} error{plural} in policies",
                    endpoint.name,
                    problems.len()
                ));
                return None;
            }
        }
    }
    Some(count)
}

fn check(file: &Path, tools: Option<&Path>, endpoint: Option<&str>) -> anyhow::Result<ExitCode> {
    let Some(Loaded { config, .. }) = check::read(file) else {
        return Ok(ExitCode::from(USAGE));
    };
    let toolbox = tools.map(Toolbox::read).transpose()?.unwrap_or_default();
    let only = tools.map(|_| self::endpoint(&config, endpoint)).transpose()?.map(|own| own.name.as_str());
    let Some(count) = report(&config, &toolbox, only) else {
        return Ok(ExitCode::from(USAGE));
    };
    let plural = if count == 1 { "y" } else { "ies" };
    say(&format!("{}: in order ({count} polic{plural})", file.display()));
    Ok(ExitCode::SUCCESS)
}

fn schema(config: RequiredConfig, endpoint: Option<&str>) -> anyhow::Result<ExitCode> {
    let Some(Loaded { config, .. }) = check::read(&config.file()) else {
        return Ok(ExitCode::from(USAGE));
    };
    let policies = self::endpoint(&config, endpoint)?.policies.clone().unwrap_or_default();
    say(Policies::schema(&policies).trim_end());
    Ok(ExitCode::SUCCESS)
}

/// The endpoint of a name, or the only one.
pub(crate) fn endpoint<'c>(config: &'c Config, name: Option<&str>) -> anyhow::Result<&'c Endpoint> {
    let names = || config.endpoints.iter().map(|own| own.name.as_str()).collect::<Vec<_>>().join(", ");
    match (name, config.endpoints.as_slice()) {
        (None, [sole]) => Ok(sole),
        (None, _) => Err(anyhow!("name one of the endpoints with --endpoint: {}", names())),
        (Some(name), all) => all
            .iter()
            .find(|own| own.name == name)
            .ok_or_else(|| anyhow!("there is no endpoint `{name}`; there are {}", names())),
    }
}
