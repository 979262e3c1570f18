//! `endpoints`.

use super::{Checker, MOST_MEMBERS, auth, is_name_character, names, parameter, policies, prefix, repeated};
use crate::file::{self, Overrides, Strategy};
use crate::model::{Conflicts, Endpoint, Filter, Listener, Override};
use crate::report::quote;
use crate::tree::{self, Path};
use globset::Glob;
use std::collections::{BTreeMap, HashMap};

/// Longest tool or prompt name that MCP recommends, in characters.
const LONGEST_EXPOSED: usize = 128;

pub(super) fn endpoints(
    checker: &mut Checker<'_>,
    mut written: BTreeMap<String, file::Endpoint>,
    backends: &[String],
    listener: &Listener,
) -> Vec<Endpoint> {
    let here = Path::root("endpoints");
    let names = super::members(checker, &here, "endpoints");
    if names.is_empty() {
        let finding = checker.at_key(&here, "no endpoint is configured");
        checker.error(finding.help("name at least one, or leave out `endpoints` for one at `/mcp`"));
    }
    let mut endpoints: Vec<Endpoint> = Vec::with_capacity(names.len());
    for name in names {
        let here = here.key(&name);
        names::check(checker, &here, &name, "an endpoint");
        let Some(written) = written.remove(&name) else {
            continue;
        };
        let earlier = endpoints.iter().find(|endpoint| endpoint.path == written.path);
        if let Some(earlier) = earlier {
            let message = format!("the endpoint {} has this path already", quote(&earlier.name));
            checker.error(checker.at(&here.key("path"), message));
        }
        endpoints.push(endpoint(checker, &here, name, written, backends, listener));
    }
    for taken in endpoints.iter().filter(|endpoint| endpoint.sse) {
        let doors = taken.sse_paths();
        let inside = endpoints.iter().filter(|endpoint| doors.contains(&endpoint.path));
        for endpoint in inside {
            let message = format!("clients of HTTP+SSE reach the endpoint {} here", quote(&taken.name));
            let finding = checker.at(&here.key(&endpoint.name).key("path"), message);
            checker.error(finding.help("choose another path, or give that endpoint `sse: false`"));
        }
    }
    for unused in
        backends.iter().filter(|name| !endpoints.iter().any(|endpoint| endpoint.backends.contains(name)))
    {
        let here = Path::root("backends").key(unused);
        checker.warning(checker.at_key(&here, format!("no endpoint uses the backend {}", quote(unused))));
    }
    endpoints
}

fn endpoint(
    checker: &mut Checker<'_>,
    here: &Path,
    name: String,
    written: file::Endpoint,
    known: &[String],
    listener: &Listener,
) -> Endpoint {
    path(checker, &here.key("path"), &written.path);
    let listed = written.backends;
    let backends = match &listed {
        Some(listed) => {
            let here = here.key("backends");
            if listed.is_empty() {
                let finding = checker.at_key(&here, "the endpoint has no backend");
                checker.error(finding.help("name at least one, or leave out `backends` for all"));
            }
            members(checker, &here, listed, known, "backend");
            // What is wrong in the list is said; it is not to be said again by every other rule.
            let mut sound: Vec<String> = Vec::with_capacity(listed.len());
            for name in listed {
                if known.contains(name) && !sound.contains(name) {
                    sound.push(name.clone());
                }
            }
            sound
        }
        None => known.to_vec(),
    };
    let conflicts = conflicts(checker, &here.key("conflicts"), written.conflicts);
    if let Conflicts::Prefix(format) = &conflicts {
        let place = |name: &str| match listed.iter().flatten().position(|listed| listed == name) {
            Some(index) => here.key("backends").index(index),
            None => here.clone(),
        };
        prefix::check(checker, format, &backends, place);
    }
    let auth = auth::auth(checker, &here.key("auth"), written.auth, listener, &written.path);
    let tools = written.tools.unwrap_or_default();
    let prompts = written.prompts.unwrap_or_default();
    let resources = written.resources.unwrap_or_default();
    let at = |kind: &str| here.key(kind);
    let resource_order = order(checker, &at("resources").key("order"), resources.order, &backends);
    Endpoint {
        auth,
        tools: filter(checker, &at("tools"), tools.allow, tools.deny),
        prompts: filter(checker, &at("prompts"), prompts.allow, prompts.deny),
        resources: filter(checker, &at("resources"), resources.allow, resources.deny),
        tool_overrides: overrides(checker, &at("tools").key("overrides"), tools.overrides, &backends),
        prompt_overrides: overrides(checker, &at("prompts").key("overrides"), prompts.overrides, &backends),
        resource_order,
        resource_uris: resources.uris.unwrap_or_default(),
        icons: written.icons.unwrap_or_default(),
        conflicts,
        page_size: written.page_size.unwrap_or(Endpoint::PAGE_SIZE),
        sse: written.sse.unwrap_or(Endpoint::SSE),
        policies: written.policies.map(|written| policies::policies(checker, &at("policies"), written)),
        instructions: written.instructions,
        ..Endpoint::over(name, written.path, backends)
    }
}

fn path(checker: &mut Checker<'_>, here: &Path, text: &str) {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()*+,;=:@/".contains(c);
    let segments = || text.split('/').skip(1);
    let finding = if !text.starts_with('/') {
        checker.at(here, "the path must begin with `/`").help("write it like `/mcp`")
    } else if !text.chars().all(plain) {
        checker.at(here, "the path may hold letters, digits and `-._~!$&'()*+,;=:@/`")
    } else if segments().next() == Some(".well-known") {
        checker.at(here, "paths under `/.well-known/` are weir's own")
    } else if segments().next() == Some("connect") {
        checker.at(here, "`/connect` and paths under it are weir's own")
    } else if text != "/" && segments().any(|segment| matches!(segment, "" | "." | "..")) {
        checker.at(here, "the path must not hold empty, `.` or `..` segments, nor end with `/`")
    } else {
        return;
    };
    checker.error(finding);
}

/// Reports names that are not among the known ones, and names that stand twice. Of a longer list than there
/// are known names the beginning already holds one of either.
fn members(checker: &mut Checker<'_>, here: &Path, listed: &[String], known: &[String], what: &str) {
    let listed = listed.get(..=MOST_MEMBERS).unwrap_or(listed);
    for (index, name) in listed.iter().enumerate().filter(|(_, name)| !known.contains(name)) {
        unknown(checker, &here.index(index), name, known, &format!("unknown {what}"));
    }
    for index in repeated(listed) {
        let message = format!("the {what} stands in the list already");
        checker.error(checker.at(&here.index(index), message));
    }
}

/// Reports a name that is not known. The message repeats what is written, not what a reference in it stands
/// for.
fn unknown(checker: &mut Checker<'_>, here: &Path, name: &str, known: &[String], what: &str) {
    let literal = match checker.root.find(here).map(|node| &node.value) {
        Some(tree::Value::Scalar { text, .. }) => text == name,
        // The name is a key.
        Some(_) => true,
        None => false,
    };
    let names = || known.iter().map(String::as_str);
    let help = format!("known are {}", crate::report::quote_all(names()));
    let finding = if literal {
        checker.at(here, format!("{what} {}", quote(name))).help(help).guess(name, names())
    } else {
        checker.at(here, what).help(help)
    };
    checker.error(finding);
}

fn conflicts(checker: &mut Checker<'_>, here: &Path, written: Option<file::Conflicts>) -> Conflicts {
    let (strategy, format) = match written {
        None => (None, None),
        Some(file::Conflicts::Strategy(strategy)) => (Some(strategy), None),
        Some(file::Conflicts::Table(table)) => (table.strategy, table.format),
    };
    let here = here.key("format");
    let strategy = strategy.unwrap_or_default();
    if strategy != Strategy::Prefix && format.is_some() {
        checker.error(checker.at_key(&here, "`format` fits the strategy `prefix`"));
    }
    match strategy {
        Strategy::Priority => Conflicts::Priority,
        Strategy::Manual => Conflicts::Manual,
        Strategy::None => Conflicts::None,
        Strategy::Prefix => {
            let Some(format) = format else {
                return Conflicts::default();
            };
            if let Err(problem) = prefix::Format::parse(&format) {
                let finding = checker.at(&here, problem);
                checker.error(finding.help("write it like `{backend}_` or `{backend}.{name}`"));
            }
            Conflicts::Prefix(format)
        }
    }
}

fn filter(
    checker: &mut Checker<'_>,
    here: &Path,
    allow: Option<Vec<String>>,
    deny: Option<Vec<String>>,
) -> Filter {
    if allow.as_ref().is_some_and(Vec::is_empty) {
        let finding = checker.at_key(&here.key("allow"), "an empty `allow` offers everything");
        checker.warning(
            finding.help("to offer nothing write `deny: [\"*\"]`; to offer everything leave it out"),
        );
    }
    let filter = Filter { allow: allow.unwrap_or_default(), deny: deny.unwrap_or_default() };
    for (key, patterns) in [("allow", &filter.allow), ("deny", &filter.deny)] {
        for (index, pattern) in patterns.iter().enumerate() {
            if let Err(error) = Glob::new(pattern) {
                let here = here.key(key).index(index);
                checker.error(checker.at(&here, format!("not a pattern: {}", error.kind())));
            }
        }
    }
    filter
}

fn overrides<T: file::Override>(
    checker: &mut Checker<'_>,
    here: &Path,
    written: Option<Overrides<T>>,
    backends: &[String],
) -> BTreeMap<String, BTreeMap<String, Override>> {
    let mut all = BTreeMap::new();
    let mut taken: HashMap<String, Path> = HashMap::new();
    for (backend, items) in written.unwrap_or_default() {
        let here = here.key(&backend);
        if !backends.contains(&backend) {
            unknown(checker, &here, &backend, backends, "the endpoint has no backend");
        }
        let mut changes = BTreeMap::new();
        for (item, change) in items {
            let here = here.key(&item);
            let change = change.into_model();
            parameter::check(checker, &here.key(T::PARAMETERS), &change.parameters);
            let here = here.key("name");
            if let Some(name) = change.name.as_ref() {
                exposed_name(checker, &here, name);
                if let Some(earlier) = taken.insert(name.clone(), here.clone()) {
                    checker.error(checker.at(&here, format!("`{earlier}` sets the same name")));
                }
            }
            changes.insert(item, change);
        }
        all.insert(backend, changes);
    }
    all
}

/// A name that clients see, exactly as it is written.
fn exposed_name(checker: &mut Checker<'_>, here: &Path, name: &str) {
    if name.is_empty() || name.chars().count() > LONGEST_EXPOSED || !name.chars().all(is_name_character) {
        let message = format!("a name has 1 to {LONGEST_EXPOSED} letters, digits, `_`, `.` and `-`");
        checker.error(checker.at(here, message));
    }
}

/// The order that is written, then the other backends in their own order.
fn order(
    checker: &mut Checker<'_>,
    here: &Path,
    written: Option<Vec<String>>,
    backends: &[String],
) -> Vec<String> {
    let mut order = written.unwrap_or_default();
    members(checker, here, &order, backends, "backend");
    let rest: Vec<_> = backends.iter().filter(|name| !order.contains(name)).cloned().collect();
    order.extend(rest);
    order
}
