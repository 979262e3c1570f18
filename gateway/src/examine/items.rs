//! Items beside the catalog that was made of them: what is hidden, by what, and which rules match nothing.

use super::schema;
use super::{Finding, HiddenBy, Judged, Settled};
use crate::catalog::{Catalog, ItemFilter, List, Stock, UriFilter, exposed_name};
use std::collections::{BTreeMap, HashMap, HashSet};
use weir_config::{Endpoint, Filter, nearest};
use weir_protocol::item::Item;

/// Longest name, in characters, that all common clients take.
const LONGEST_NAME: usize = 64;

/// Tools or prompts of an endpoint.
pub(super) struct Names<'a> {
    pub(super) spec: &'a Endpoint,
    pub(super) stocks: &'a [Stock],
    pub(super) catalog: &'a Catalog,
    pub(super) list: List,
}

/// Resources and templates of an endpoint.
pub(super) struct Uris<'a> {
    pub(super) spec: &'a Endpoint,
    pub(super) stocks: &'a [Stock],
    pub(super) catalog: &'a Catalog,
}

/// A pattern that was compiled alone.
struct Pattern<'a, F> {
    rule: &'static str,
    text: &'a str,
    filter: F,
    used: bool,
}

/// An item as it would be shown if no pattern hid it.
struct Candidate {
    backend: String,
    original: String,
    exposed: String,
}

impl Names<'_> {
    /// Adds what is to be said of the list.
    pub(super) fn examine(&self, findings: &mut Vec<Judged>) {
        let list = self.list.key();
        let (filter, overrides) = match self.list {
            List::Tools => (&self.spec.tools, &self.spec.tool_overrides),
            _ => (&self.spec.prompts, &self.spec.prompt_overrides),
        };
        let mut patterns = patterns(filter, |filter| ItemFilter::new(filter).ok());
        let shown: HashMap<(usize, &str), &str> = self
            .catalog
            .shelf(self.list)
            .entries
            .iter()
            .map(|entry| ((entry.backend, &*entry.original), &*entry.exposed))
            .collect();
        let mut candidates: Vec<Candidate> = Vec::new();
        for (index, stock) in self.stocks.iter().enumerate() {
            let Some(inventory) = &stock.inventory else { continue };
            let backend = || stock.name.clone();
            let left_out =
                |name, reason| Judged::warning(Finding::LeftOut { list, backend: backend(), name, reason });
            let items = if self.list == List::Tools { &inventory.tools } else { &inventory.prompts };
            let changes = overrides.get(&stock.name);
            let (mut seen, mut taken) = (HashSet::new(), HashSet::new());
            for item in items {
                let Some(original) = item.name().filter(|name| !name.is_empty()) else {
                    findings.push(left_out(None, "it has no name"));
                    continue;
                };
                if !seen.insert(original.clone()) {
                    findings.push(left_out(Some(original), "its backend lists the name twice"));
                    continue;
                }
                let change = changes.and_then(|changes| changes.get(&original));
                let exposed = exposed_name(self.spec, &stock.name, &original, change);
                let hidden = if change.is_some_and(|change| change.hide) {
                    Some(HiddenBy::Override)
                } else {
                    candidates.push(Candidate {
                        backend: backend(),
                        original: original.clone(),
                        exposed: exposed.clone(),
                    });
                    judged_by(&mut patterns, |filter| filter.allows(&exposed))
                };
                match (shown.get(&(index, original.as_str())), hidden) {
                    (_, Some(by)) => {
                        findings.push(Judged::note(Finding::Hidden {
                            list,
                            backend: backend(),
                            name: original,
                            by,
                        }));
                    }
                    (Some(name), None) => self.examine_shown(&stock.name, name, item, findings),
                    (None, None) if !taken.insert(exposed) => {
                        findings.push(left_out(Some(original), "another of its backend has the same name"));
                    }
                    // What other backends offer too was told as a conflict.
                    (None, None) => {}
                }
            }
            if let Some(changes) = changes {
                let known = |name: &str| seen.contains(name);
                unknown_overrides(
                    list,
                    &stock.name,
                    changes.keys().filter(|name| !known(name)),
                    &candidates,
                    findings,
                );
            }
        }
        self.unused(patterns, &candidates, findings);
    }

    /// A name and a schema that clients see.
    fn examine_shown(&self, backend: &str, exposed: &str, item: &Item, findings: &mut Vec<Judged>) {
        let (name, backend, list) = (exposed.to_owned(), backend.to_owned(), self.list.key());
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "_.-".contains(letter);
        let problem = if exposed.chars().count() > LONGEST_NAME {
            Some("it has more than 64 characters, which some clients refuse")
        } else if !exposed.chars().all(plain) {
            Some(
                "it holds other characters than letters, digits, `_`, `.` and `-`, which some clients refuse",
            )
        } else {
            None
        };
        if let Some(problem) = problem {
            let (name, backend) = (name.clone(), backend.clone());
            findings.push(Judged::warning(Finding::Name { list, backend, name, problem }));
        }
        if let Some(problem) = schema::problem(&item.raw).filter(|_| self.list == List::Tools) {
            findings.push(Judged::warning(Finding::Schema { backend, name, problem }));
        }
    }

    /// Patterns that match nothing, which can be said only when every backend has answered.
    fn unused(
        &self,
        patterns: Vec<Pattern<'_, ItemFilter>>,
        candidates: &[Candidate],
        findings: &mut Vec<Judged>,
    ) {
        if self.stocks.iter().any(|stock| stock.inventory.is_none()) {
            return;
        }
        for Pattern { rule, text, filter, .. } in patterns.into_iter().filter(|pattern| !pattern.used) {
            // The most common mistake: the tool's own name in the place of the one that clients see.
            let matched = |name: &str| filter.allows(name) == (rule == ALLOW);
            let own = candidates.iter().find(|candidate| matched(&candidate.original));
            let near = || nearest(text, candidates.iter().map(|candidate| candidate.exposed.as_str()));
            let nearest = own.map(|candidate| candidate.exposed.as_str()).or_else(near).map(str::to_owned);
            let pattern = text.to_owned();
            findings.push(Judged::warning(Finding::UnusedPattern {
                list: self.list.key(),
                rule,
                pattern,
                nearest,
            }));
        }
    }
}

/// Overrides of what the backend does not list.
fn unknown_overrides<'n>(
    list: &'static str,
    backend: &str,
    unknown: impl Iterator<Item = &'n String>,
    candidates: &[Candidate],
    findings: &mut Vec<Judged>,
) {
    let own: BTreeMap<&str, &str> = candidates
        .iter()
        .filter(|candidate| candidate.backend == backend)
        .map(|candidate| (candidate.exposed.as_str(), candidate.original.as_str()))
        .collect();
    for name in unknown {
        let near = own.get(name.as_str()).copied().or_else(|| nearest(name, own.values().copied()));
        findings.push(Judged::warning(Finding::UnknownOverride {
            list,
            backend: backend.to_owned(),
            name: name.clone(),
            nearest: near.map(str::to_owned),
        }));
    }
}

const ALLOW: &str = "allow";
const DENY: &str = "deny";

/// Every pattern of a filter alone, so that it can be told which one it was.
fn patterns<F>(filter: &Filter, compile: impl Fn(&Filter) -> Option<F>) -> Vec<Pattern<'_, F>> {
    let alone = |rule, text: &'_ String| {
        let patterns = vec![text.clone()];
        match rule {
            ALLOW => Filter { allow: patterns, deny: Vec::new() },
            _ => Filter { allow: Vec::new(), deny: patterns },
        }
    };
    let all = [(ALLOW, &filter.allow), (DENY, &filter.deny)];
    all.into_iter()
        .flat_map(|(rule, texts)| texts.iter().map(move |text| (rule, text)))
        .filter_map(|(rule, text)| {
            let filter = compile(&alone(rule, text))?;
            Some(Pattern { rule, text: text.as_str(), filter, used: false })
        })
        .collect()
}

/// What the patterns say of one name; those that match it are used. `passes` asks one of them.
fn judged_by<F>(patterns: &mut [Pattern<'_, F>], passes: impl Fn(&F) -> bool) -> Option<HiddenBy> {
    let (mut denied, mut allowed, mut must_be_allowed) = (None, false, false);
    for pattern in patterns {
        let passes = passes(&pattern.filter);
        match pattern.rule {
            ALLOW => {
                must_be_allowed = true;
                allowed |= passes;
                pattern.used |= passes;
            }
            _ if !passes => {
                pattern.used = true;
                denied.get_or_insert_with(|| pattern.text.to_owned());
            }
            _ => {}
        }
    }
    match denied {
        Some(pattern) => Some(HiddenBy::Deny { pattern }),
        None => (must_be_allowed && !allowed).then_some(HiddenBy::Allow),
    }
}

impl Uris<'_> {
    /// Adds what is to be said of resources and templates.
    pub(super) fn examine(&self, findings: &mut Vec<Judged>) {
        let mut patterns = patterns(&self.spec.resources, |filter| UriFilter::new(filter).ok());
        for list in [List::Resources, List::Templates] {
            self.examine_list(list, &mut patterns, findings);
        }
        let all_answered = self.stocks.iter().all(|stock| stock.inventory.is_some());
        for Pattern { rule, text, used, .. } in patterns {
            // Patterns also judge URIs that nobody lists: one that matches no listed URI does something where there
            // are templates.
            let bare = self.catalog.shelf(List::Templates).entries.is_empty();
            if !used && bare && all_answered {
                let (list, pattern, nearest) = (List::Resources.key(), text.to_owned(), None);
                findings.push(Judged::warning(Finding::UnusedPattern { list, rule, pattern, nearest }));
            }
        }
    }

    fn examine_list(&self, list: List, patterns: &mut [Pattern<'_, UriFilter>], findings: &mut Vec<Judged>) {
        let key = list.key();
        let entries = &self.catalog.shelf(list).entries;
        let shown: HashSet<(usize, &str)> =
            entries.iter().map(|entry| (entry.backend, &*entry.original)).collect();
        let mut owners: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, stock) in self.stocks.iter().enumerate() {
            let Some(inventory) = &stock.inventory else { continue };
            let backend = || stock.name.clone();
            let prefix = self.catalog.uri_prefix(index).map(|prefix| &**prefix);
            let items = if list == List::Resources { &inventory.resources } else { &inventory.templates };
            for item in items {
                let uri = if list == List::Resources { item.uri() } else { item.uri_template() };
                let Some(uri) = uri else {
                    let (name, reason) = (None, "it has no URI");
                    findings.push(Judged::warning(Finding::LeftOut {
                        list: key,
                        backend: backend(),
                        name,
                        reason,
                    }));
                    continue;
                };
                if let Some(by) = judged_by(patterns, |filter| filter.lists(prefix, &uri)) {
                    let (list, backend, name) = (key, backend(), uri);
                    findings.push(Judged::note(Finding::Hidden { list, backend, name, by }));
                } else {
                    let owners = owners.entry(uri).or_default();
                    if owners.last() != Some(&index) {
                        owners.push(index);
                    }
                }
            }
        }
        let name_of = |index: &usize| self.stocks.get(*index).map(|stock| stock.name.clone());
        for (uri, owners) in owners {
            let is_shown = |index: &&usize| shown.contains(&(**index, uri.as_str()));
            // Where all of them are shown, each under a URI of its own, there is no conflict.
            let Some(backend) = owners.iter().find(is_shown).and_then(name_of) else { continue };
            if owners.iter().all(|index| is_shown(&index)) {
                continue;
            }
            let backends = owners.iter().filter_map(name_of).collect();
            let settled = Settled::First { backend };
            findings.push(Judged::note(Finding::Conflict { list: key, name: uri, backends, settled }));
        }
    }
}
