//! `weir policy who-can` and `what-can`: who may use what, over what the backends offer right now.

use super::ground::{look, nowhere};
use super::subject::{caller, claims, noun, wanted};
use crate::args::{WhatCan, WhoCan};
use crate::line::shown;
use crate::{USAGE, check, say, say_error};
use serde_json::{Value, json};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use weir_config::{Config, Endpoint, Loaded};
use weir_gateway::{Leave, Offered, Surveyed};
use weir_policies::{Mentions, Principal, Profile};

/// Whom the answer is about who shows who they are, and of whom nothing else is known.
const SOMEBODY: &str = "somebody";

/// The endpoints of a configuration that are asked about, with what they offer; `None` where the configuration is wrong,
/// which has been told.
fn survey(file: &Path, only: Option<&str>, log: &str) -> anyhow::Result<Option<(Config, Vec<Surveyed>)>> {
    let Some(Loaded { config, .. }) = check::load(file) else {
        return Ok(None);
    };
    let surveyed = look(&config, only, log)?;
    Ok(Some((config, surveyed)))
}

fn spec<'c>(config: &'c Config, endpoint: &Surveyed) -> anyhow::Result<&'c Endpoint> {
    super::endpoint(config, Some(endpoint.name()))
}

fn word(leave: Leave) -> &'static str {
    match leave {
        Leave::Yes => "yes",
        Leave::Sometimes => "sometimes",
        Leave::No => "no",
    }
}

/// `weir policy what-can`.
pub(super) fn what_can(what: WhatCan) -> anyhow::Result<ExitCode> {
    let Some((config, surveyed)) = survey(&what.config.file(), what.endpoint.as_deref(), &what.log)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let mut all = Vec::new();
    for endpoint in &surveyed {
        let principal = caller(spec(&config, endpoint)?, claims(&what.caller)?)?;
        let found: Vec<(Offered<'_>, Leave)> = endpoint
            .offers()
            .map(|offered| (offered, endpoint.leave(&principal, &offered)))
            .filter(|(_, leave)| *leave != Leave::No)
            .collect();
        if what.json {
            let items = found.iter().map(|(offered, leave)| {
                let (kind, name, backend) = (offered.kind(), offered.name(), offered.backend());
                json!({ "kind": kind, "name": name, "backend": backend, "may": word(*leave) })
            });
            all.push(json!({ "endpoint": endpoint.name(), "items": items.collect::<Vec<Value>>() }));
            continue;
        }
        say(&format!("endpoint {}: {} of {} items", endpoint.name(), found.len(), endpoint.offers().count()));
        for (offered, leave) in found {
            let depends = match (leave, offered.kind()) {
                (Leave::Sometimes, "template") => " (some of what it leads to)",
                (Leave::Sometimes, _) => " (depends on the arguments or the circumstances)",
                _ => "",
            };
            say(&format!("  {:8} {}{depends}", offered.kind(), shown(offered.name())));
        }
    }
    if what.json {
        say(&serde_json::to_string_pretty(&all)?);
    }
    Ok(ExitCode::SUCCESS)
}

/// Somebody of whom it is asked, and how they are called.
type Candidate = (String, Arc<Principal>);

fn candidates(endpoint: &Surveyed, mentions: &Mentions) -> Vec<Candidate> {
    let with = |profile: Profile| Arc::new(Principal::with(SOMEBODY, SOMEBODY, profile));
    let anybody = match endpoint.asks() {
        true => ("anybody who shows who they are".to_owned(), with(Profile::default())),
        false => ("anybody".to_owned(), Arc::new(Principal::anonymous())),
    };
    let mut all = vec![anybody];
    let one = |name: &String| vec![name.clone()];
    let (groups, roles, scopes) = (&mentions.groups, &mentions.roles, &mentions.scopes);
    all.extend(
        groups
            .iter()
            .map(|name| (format!("group {name}"), with(Profile { groups: one(name), ..Profile::default() }))),
    );
    all.extend(
        roles
            .iter()
            .map(|name| (format!("role {name}"), with(Profile { roles: one(name), ..Profile::default() }))),
    );
    all.extend(
        scopes
            .iter()
            .map(|name| (format!("scope {name}"), with(Profile { scopes: one(name), ..Profile::default() }))),
    );
    all.extend(mentions.clients.iter().map(|id| (format!("client {id}"), Arc::new(client(id)))));
    all
}

/// The caller of this id in policies.
fn client(id: &str) -> Principal {
    match id.rsplit_once('#') {
        Some((issuer, subject)) => Principal::of(&issuer.replace("%23", "#").replace("%25", "%"), subject),
        None => Principal::anonymous(),
    }
}

/// `weir policy who-can`. An item that no endpoint offers is an error.
pub(super) fn who_can(who: WhoCan) -> anyhow::Result<ExitCode> {
    let Some((config, surveyed)) = survey(&who.config.file(), who.endpoint.as_deref(), &who.log)? else {
        return Ok(ExitCode::from(USAGE));
    };
    let (kind, name) = wanted(&who.wanted)?;
    let mut all = Vec::new();
    let mut missing = Vec::new();
    for endpoint in &surveyed {
        let offered = match endpoint.find(kind, name) {
            Ok(offered) => offered,
            Err(found) => {
                missing.push((endpoint.name(), found));
                continue;
            }
        };
        let mentions = endpoint.mentions();
        let mut candidates = candidates(endpoint, &mentions);
        for written in &who.callers {
            let principal = caller(spec(&config, endpoint)?, claims(written)?)?;
            // A token or the claims themselves are not repeated.
            let called = if Path::new(written).is_file() { written } else { principal.subject() };
            candidates.push((format!("caller {called}"), principal));
        }
        let answers: Vec<(String, Leave)> = candidates
            .into_iter()
            .map(|(called, principal)| (called, endpoint.leave(&principal, &offered)))
            .collect();
        if who.json {
            let may = answers.iter().map(|(called, leave)| json!({ "who": called, "may": word(*leave) }));
            all.push(json!({
                "endpoint": endpoint.name(), "kind": offered.kind(), "name": offered.name(), "backend": offered.backend(),
                "who": may.collect::<Vec<Value>>(), "also_read": mentions.others,
            }));
            continue;
        }
        all.push(Value::Null);
        say(&format!(
            "endpoint {}: {} {} of backend {}",
            endpoint.name(),
            offered.kind(),
            shown(offered.name()),
            offered.backend()
        ));
        let width = answers.iter().map(|(called, _)| called.chars().count()).max().unwrap_or(0).min(60);
        for (called, leave) in &answers {
            say(&format!("  {:width$}  {}", shown(called), word(*leave)));
        }
        say(
            "  Each line is about a caller who is or has nothing but this; who has several things may be allowed more, or less.",
        );
        if !mentions.others.is_empty() {
            let others = mentions.others.join(", ");
            say(&format!("  The policies also read {}: name such callers with --as.", shown(&others)));
        }
    }
    if all.is_empty() {
        say_error(&format!("no endpoint offers the {} `{}`", noun(kind), shown(name)));
        for (endpoint, found) in missing {
            say_error(&format!("  endpoint {endpoint}: {}", nowhere(noun(kind), name, &found)));
        }
        return Ok(ExitCode::FAILURE);
    }
    if who.json {
        say(&serde_json::to_string_pretty(&all)?);
    }
    Ok(ExitCode::SUCCESS)
}
