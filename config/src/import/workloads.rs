//! ToolHive's workloads as backends.

use super::clients;
use super::draft::Draft;
use super::inputs::Inputs;
use super::notes::{Notes, upper};
use super::part::Part;
use super::secrets::looks_secret;
use super::server::Reader;
use super::toolhive::Gateway;
use crate::check::as_name;
use crate::quantity::TimeSpan;
use crate::report::quote;
use std::time::Duration;

/// The backends of all documents.
pub(super) struct Workloads {
    pub(super) backends: Draft,
    known: Vec<Workload>,
}

/// A workload that became a backend.
struct Workload {
    member: Member,
    group: Option<String>,
    /// Everything that the source says of it, to compare.
    content: String,
}

/// A backend of an endpoint.
#[derive(Clone, PartialEq)]
pub(super) struct Member {
    /// What the source calls it.
    pub(super) written: String,
    /// What weir calls it.
    pub(super) name: String,
}

impl Member {
    /// Whether a name becomes the same one in weir.
    pub(super) fn is_like(&self, written: &str) -> bool {
        as_name(&self.written) == as_name(written)
    }
}

/// The backend that the source means by a name.
pub(super) fn named<'m>(members: &'m [Member], written: &str) -> Option<&'m Member> {
    let exact = members.iter().find(|member| member.written == written);
    exact.or_else(|| members.iter().find(|member| member.is_like(written)))
}

impl Default for Workloads {
    fn default() -> Self {
        Self { backends: Draft::table(), known: Vec::new() }
    }
}

impl Workloads {
    /// Adds a backend, unless the same one is there; another of the same name gets a number.
    pub(super) fn add(
        &mut self,
        written: &str,
        group: Option<&str>,
        content: String,
        backend: Draft,
        notes: &mut Notes,
    ) -> Member {
        let wanted = as_name(written);
        let same = |known: &&Workload| known.member.is_like(written) && known.content == content;
        if let Some(same) = self.known.iter().find(same) {
            return Member { written: written.to_owned(), name: same.member.name.clone() };
        }
        let mut name = wanted.clone();
        let mut number = 1;
        while self.backends.get(&name).is_some() {
            number += 1;
            name = as_name(&format!("{}-{number}", wanted.chars().take(60).collect::<String>()));
        }
        if name != wanted
            && let Some(spot) = &backend.spot
        {
            let message = format!(
                "there is another backend {}: this one is called {} now",
                quote(&wanted),
                quote(&name)
            );
            notes.remark(spot, message, "rename one of the two");
        }
        self.backends.set(&name, backend);
        let member = Member { written: written.to_owned(), name };
        self.known.push(Workload { member: member.clone(), group: group.map(str::to_owned), content });
        member
    }

    /// The backends of a group; all where none is named.
    fn of(&self, group: Option<&str>) -> Vec<Member> {
        let belongs =
            |own: &Option<String>| group.is_none() || own.as_deref().is_none_or(|own| Some(own) == group);
        self.known.iter().filter(|known| belongs(&known.group)).map(|known| known.member.clone()).collect()
    }
}

/// A server at an address.
pub(super) fn at(name: &str, url: &Part<'_>, place: &Part<'_>, notes: &mut Notes) -> Draft {
    let mut backend = Draft::table().from(place);
    let mut headers = Draft::table();
    let mut reader = Reader { notes, inputs: Inputs::default() };
    let address = reader.url(name, url.text().unwrap_or_default(), url, &mut headers);
    backend.set("url", Draft::text(address).from(url));
    if !headers.is_empty() {
        backend.set("headers", headers);
    }
    backend
}

/// The backends of one virtual server: those in its own list, else those of its group, else those that it speaks of.
pub(super) fn of_gateway(
    gateway: &Gateway<'_>,
    group: Option<&str>,
    workloads: &mut Workloads,
    notes: &mut Notes,
) -> Vec<Member> {
    let Some(config) = &gateway.config else { return workloads.of(group) };
    let authentication =
        [config.get("outgoingAuth"), gateway.spec.as_ref().and_then(|spec| spec.get("outgoingAuth"))];
    let authentication: Vec<Part<'_>> = authentication.into_iter().flatten().collect();
    let limits = config.find(&["operational", "timeouts", "perWorkload"]);
    // What is said elsewhere becomes part of the backend: two that differ there are not the same.
    let content = |name: &str, own: String| {
        let all = authentication.iter().filter_map(|part| part.get("default"));
        let tables = authentication.iter().filter_map(|part| part.get("backends")).chain(limits.clone());
        let said = tables.flat_map(|table| table.named()).filter(|(key, _)| as_name(key) == as_name(name));
        said.map(|(_, part)| part)
            .chain(all)
            .map(|part| clients::content(&part))
            .fold(own, |all, one| all + "\n" + &one)
    };
    let mut members: Vec<Member> = Vec::new();
    for part in config.get("backends").iter().flat_map(Part::items) {
        let (Some(name), Some(url)) = (part.get("name"), part.get("url")) else {
            notes.remark(&part, "a backend without `name` or `url` was left out", "write both");
            continue;
        };
        let written = name.text().unwrap_or_default();
        let name = as_name(written);
        let mut backend = at(&name, &url, &part, notes);
        if let Some(ca) = part.get("caBundlePath").filter(|ca| !ca.is_empty()) {
            backend.set("ca", Draft::literal(ca.text().unwrap_or_default()).from(&ca));
        }
        let described = part.get("metadata");
        for (key, value) in described.iter().flat_map(Part::named) {
            let text = value.text().unwrap_or_default();
            if !looks_secret(key, text) {
                backend.comment(format!("{key}: {text}"));
            }
        }
        let content = content(written, clients::content(&part));
        let member = workloads.add(written, group, content, backend, notes);
        if !members.contains(&member) {
            members.push(member);
        }
    }
    if members.is_empty() {
        members = workloads.of(group);
    }
    if members.is_empty() {
        let names = spoken_of(config);
        for name in &names {
            let variable = format!("{}_URL", upper(name));
            notes.refer(
                &variable,
                &format!("the address of the workload {}: `thv list` shows it", quote(name)),
                false,
            );
            let mut backend = Draft::table().from(&gateway.place);
            backend.comment("The file that was imported did not hold its address.");
            backend.set("url", Draft::text(format!("${{{variable}}}")).from(&gateway.place));
            members.push(workloads.add(name, group, content(name, variable), backend, notes));
        }
        if !members.is_empty() {
            notes.remark(
                &gateway.place,
                format!(
                    "the addresses of {} are not in the file: ToolHive finds them by their group",
                    crate::report::quote_all(names.iter().map(String::as_str))
                ),
                "set the variables that stand for them, or write the addresses; `thv list` shows them",
            );
        }
    }
    for part in &authentication {
        outgoing(part, &members, workloads, notes);
    }
    for (name, part) in limits.iter().flat_map(Part::named) {
        if let Some(member) = named(&members, name)
            && let Some(call) = duration(&part, notes)
        {
            workloads.backends.set_in(&[&member.name, "timeouts", "call"], Draft::bare(call).from(&part));
        }
    }
    members
}

/// The workloads that a configuration speaks of, in the order of the file.
fn spoken_of(config: &Part<'_>) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        let name = as_name(name);
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    };
    let order = config.find(&["aggregation", "conflictResolutionConfig", "priorityOrder"]);
    order.iter().flat_map(Part::texts).for_each(&mut add);
    for part in config.find(&["aggregation", "tools"]).iter().flat_map(Part::items) {
        part.get("workload").and_then(|name| name.text()).into_iter().for_each(&mut add);
    }
    for way in [["outgoingAuth", "backends"].as_slice(), &["operational", "timeouts", "perWorkload"]] {
        config.find(way).iter().flat_map(Part::named).for_each(|(name, _)| add(name));
    }
    names
}

/// How weir is to authenticate to backends: fixed headers are carried over, everything else is not.
fn outgoing(part: &Part<'_>, members: &[Member], workloads: &mut Workloads, notes: &mut Notes) {
    let own = part.get("backends");
    let own = own.iter().flat_map(Part::named).collect::<Vec<_>>();
    for (name, strategy) in &own {
        match named(members, name) {
            Some(member) => strategy_of(strategy, &member.name, workloads, notes),
            None => notes.remark(strategy, format!("no backend is called {}", quote(name)), "leave it out"),
        }
    }
    if let Some(default) = part.get("default") {
        let is_own = |member: &Member| own.iter().any(|(name, _)| named(members, name) == Some(member));
        let rest = members.iter().filter(|member| !is_own(member));
        if default.get("headerInjection").is_some() {
            rest.for_each(|member| strategy_of(&default, &member.name, workloads, notes));
        } else {
            strategy_of(&default, "", workloads, notes);
        }
    }
}

fn strategy_of(part: &Part<'_>, backend: &str, workloads: &mut Workloads, notes: &mut Notes) {
    let kind = part.get("type").and_then(|kind| kind.text()).unwrap_or_default();
    if matches!(kind, "" | "unauthenticated" | "discovered") {
        return;
    }
    let injection = part.get("headerInjection");
    let name = injection.as_ref().and_then(|injection| injection.get("headerName")?.text());
    if let (Some(injection), Some(header)) = (&injection, name) {
        let value = match (injection.get("headerValueEnv"), injection.get("headerValue")) {
            (Some(variable), _) => {
                let variable = variable.text().unwrap_or_default();
                let purpose = format!("the header {} of the server {}", quote(header), quote(backend));
                notes.refer(variable, &purpose, false);
                Some(format!("${{{variable}}}"))
            }
            (None, Some(value)) => {
                Some(Reader { notes, inputs: Inputs::default() }.header(backend, header, &value))
            }
            (None, None) => None,
        };
        if let Some(value) = value {
            workloads.backends.set_in(&[backend, "headers", header], Draft::text(value).from(injection));
            return;
        }
    }
    let whose =
        if backend.is_empty() { "the default".to_owned() } else { format!("that of {}", quote(backend)) };
    notes.remark(
        part,
        format!(
            "the outgoing authentication {} ({whose}) was left out: weir obtains no credentials",
            quote(kind)
        ),
        "send a fixed token: `headers: {Authorization: Bearer ${NAME}}` of the backend",
    );
}

/// A duration such as `1m30s` in weir's words.
pub(super) fn duration(part: &Part<'_>, notes: &mut Notes) -> Option<String> {
    let parsed = part.text().and_then(go_duration).filter(|span| !span.is_zero());
    if parsed.is_none() {
        notes.remark(
            part,
            "not a duration that weir knows: it was left out",
            "write it like `30s` under `timeouts`",
        );
    }
    parsed.map(|span| TimeSpan(span).to_string())
}

/// Go's form of a duration: numbers with units, one after the other.
fn go_duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut whole = Duration::ZERO;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, unit) = rest.split_at_checked(end)?;
        let next = unit.find(|c: char| c.is_ascii_digit()).unwrap_or(unit.len());
        let (unit, after) = unit.split_at_checked(next)?;
        let seconds = match unit {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 0.001,
            "us" | "µs" | "ns" => 0.0,
            _ => return None,
        };
        let part = number.parse::<f64>().ok()? * seconds;
        whole = whole.checked_add(Duration::try_from_secs_f64(part).ok()?)?;
        rest = after;
    }
    // Nothing finer than a millisecond can be written.
    u64::try_from(whole.as_micros().div_ceil(1000)).ok().map(Duration::from_millis)
}
