//! ToolHive's `vmcp`: its configuration, and the manifests that hold one.

mod aggregation;
mod lost;

use super::draft::Draft;
use super::endpoint::{self, exposed};
use super::manifests;
use super::notes::Notes;
use super::part::Part;
use super::workloads::{self, Member, Workloads, duration, named};
use crate::check::{Format, as_name};
use crate::model::{Conflicts, Endpoint};
use crate::report::{nearest, quote};
use aggregation::{Aggregation, Strategy};

/// One virtual MCP server.
pub(super) struct Gateway<'t> {
    pub(super) name: String,
    /// The file, or the part of a manifest that has the same form.
    pub(super) config: Option<Part<'t>>,
    /// The rest of a manifest.
    pub(super) spec: Option<Part<'t>>,
    pub(super) place: Part<'t>,
}

impl Gateway<'_> {
    /// The group of workloads that it is made of.
    fn group(&self) -> Option<String> {
        let group = |part: &Part<'_>| {
            let group = part.get("groupRef").or_else(|| part.get("group"))?;
            let name = group.get("name").and_then(|name| name.text());
            name.or_else(|| group.text()).map(str::to_owned)
        };
        self.spec.as_ref().and_then(group).or_else(|| self.config.as_ref().and_then(group))
    }
}

/// The documents as weir's configuration; `None` where they name no workload.
pub(super) fn read(roots: &[Part<'_>], notes: &mut Notes) -> Option<Draft> {
    let mut workloads = Workloads::default();
    let gateways = manifests::read(roots, &mut workloads, notes);
    let mut endpoints = Draft::table();
    for gateway in &gateways {
        let members = workloads::of_gateway(gateway, gateway.group().as_deref(), &mut workloads, notes);
        if members.is_empty() {
            let message = format!("the backends of {} are not in this file", quote(&gateway.name));
            let group = gateway.group().unwrap_or_default();
            let help = format!(
                "`thv list --group {group}` shows them; write each with `name` and `url` under `backends`"
            );
            notes.remark(&gateway.place, message, help);
            continue;
        }
        let name = as_name(&gateway.name);
        let path = if gateways.len() == 1 {
            Endpoint::PATH.to_owned()
        } else {
            format!("/{name}{}", Endpoint::PATH)
        };
        let endpoint = self::endpoint(gateway, &path, members, notes);
        endpoints.set(&name, endpoint);
        lost::report(gateway, notes);
    }
    if workloads.backends.is_empty() {
        return None;
    }
    let mut file = Draft::table();
    if let Some(defaults) = defaults(&gateways, notes) {
        file.set("defaults", defaults);
    }
    file.set("backends", workloads.backends);
    if !endpoints.is_empty() {
        file.set("endpoints", endpoints);
    }
    Some(file)
}

/// The endpoint that takes a virtual server's place.
fn endpoint(gateway: &Gateway<'_>, path: &str, mut members: Vec<Member>, notes: &mut Notes) -> Draft {
    let mut endpoint = Draft::table().from(&gateway.place);
    endpoint.set("path", Draft::literal(path).from(&gateway.place));
    let aggregation = gateway.config.as_ref().and_then(|config| config.get("aggregation"));
    let mut aggregation = Aggregation::read(aggregation.as_ref(), notes);
    let all = members.clone();
    if let Strategy::Priority(order) = &aggregation.strategy {
        order_by(&mut members, order, gateway, notes);
    }
    let names: Vec<String> = members.iter().map(|member| member.name.clone()).collect();
    let conflicts = conflicts(&mut aggregation, &names, gateway, notes);
    let mut selection = aggregation.selection(&members, notes);
    let unshown = selection.take_unshown();
    if unshown.len() == members.len() {
        selection.nothing = true;
        let place = unshown.iter().find_map(|(_, choice)| choice.spot.clone());
        notes.remark(
            place.unwrap_or_else(|| (&gateway.place).into()),
            "no tool of any backend is to be shown: `tools` denies all of them",
            "take `*` out of `tools.deny`, and allow what is to be shown",
        );
    } else {
        endpoint::leave_out(&unshown, notes);
        members.retain(|member| !unshown.iter().any(|(name, _)| *name == member.name));
    }
    // Without a list, an endpoint has the backends of the others too.
    if members != all || gateway.spec.is_some() || path != Endpoint::PATH {
        endpoint.set("backends", Draft::list(members.iter().map(|member| Draft::literal(&member.name))));
    }
    conflicts.into_iter().for_each(|conflicts| endpoint.set("conflicts", conflicts));
    let tools = selection.tools(notes);
    tools.into_iter().for_each(|tools| endpoint.set("tools", tools));
    endpoint
}

/// Puts the backends into the order of precedence.
fn order_by(members: &mut Vec<Member>, order: &[Part<'_>], gateway: &Gateway<'_>, notes: &mut Notes) {
    let mut ordered: Vec<Member> = Vec::with_capacity(members.len());
    for part in order {
        let name = part.text().unwrap_or_default();
        match named(members, name) {
            Some(member) if !ordered.contains(member) => ordered.push(member.clone()),
            Some(_) => {}
            None => unknown(name, part, members, notes),
        }
    }
    let rest: Vec<Member> = members.iter().filter(|member| !ordered.contains(member)).cloned().collect();
    if rest.len() > 1 {
        let place = order.first().unwrap_or(&gateway.place);
        notes.remark(
            place,
            "a name that only backends without a place in the order offer is the earlier one's in weir; ToolHive \
             prefixed it",
            "bring `backends` of the endpoint into the order that you want",
        );
    }
    ordered.extend(rest);
    *members = ordered;
}

/// Says that a workload is not there.
fn unknown(name: &str, part: &Part<'_>, members: &[Member], notes: &mut Notes) {
    let guess = nearest(name, members.iter().map(|member| member.written.as_str()));
    let help = match guess {
        Some(guess) => format!("did you mean {}?", quote(guess)),
        None => "leave it out, or add the workload under `backends`".to_owned(),
    };
    notes.remark(part, format!("no backend is called {}: this was left out", quote(name)), help);
}

/// `conflicts` of the endpoint; `None` for weir's default.
fn conflicts(
    aggregation: &mut Aggregation<'_>,
    members: &[String],
    gateway: &Gateway<'_>,
    notes: &mut Notes,
) -> Option<Draft> {
    let Strategy::Prefix(format, place) = &mut aggregation.strategy else {
        let word = if matches!(aggregation.strategy, Strategy::Manual) { "manual" } else { "priority" };
        return Some(Draft::literal(word));
    };
    let spot = place.clone().unwrap_or_else(|| (&gateway.place).into());
    if let Err(problem) = Format::parse(format) {
        let message = format!("weir cannot write names like that: {problem}");
        notes.remark(&spot, message, format!("names are written as `{}` now", Conflicts::FORMAT));
        *format = Conflicts::FORMAT.to_owned();
    }
    if Format::parse(format).is_ok_and(|parsed| parsed.clash(members).is_some())
        && let Some(other) = Format::unambiguous(members)
    {
        let (a, b) = (exposed(format, "BACKEND", "TOOL"), exposed(other, "BACKEND", "TOOL"));
        let message = format!("names written as {} would not tell all backends apart", quote(&a));
        notes.remark(&spot, message, format!("they are written as {} now", quote(&b)));
        *format = other.to_owned();
    }
    (format != Conflicts::FORMAT).then(|| {
        let mut conflicts = Draft::table().from(&spot);
        conflicts.set("strategy", Draft::literal("prefix"));
        conflicts.set("format", Draft::literal(format));
        conflicts
    })
}

/// `defaults` of the file: what holds for all backends. Of several virtual servers the first counts.
fn defaults(gateways: &[Gateway<'_>], notes: &mut Notes) -> Option<Draft> {
    let mut found: Option<(Draft, String)> = None;
    for gateway in gateways {
        let Some(config) = &gateway.config else { continue };
        let Some(part) = config.find(&["operational", "timeouts", "default"]) else { continue };
        let Some(call) = duration(&part, notes) else { continue };
        match &found {
            Some((_, first)) if *first != call => {
                let message =
                    "virtual servers with different time limits: the first one's holds for all backends";
                notes.remark(&part, message, "write `timeouts` under single backends");
            }
            Some(_) => {}
            None => {
                let mut defaults = Draft::table();
                defaults.set_in(&["timeouts", "call"], Draft::bare(&call).from(&part));
                found = Some((defaults, call));
            }
        }
    }
    found.map(|(defaults, _)| defaults)
}
