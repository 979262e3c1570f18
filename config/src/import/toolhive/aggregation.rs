//! `aggregation`: conflicts, filters and overrides.

use super::super::draft::Draft;
use super::super::endpoint::{Choice, Selection, exposed};
use super::super::notes::{Notes, Spot};
use super::super::part::Part;
use super::super::workloads::{Member, named};
use crate::model::Conflicts;
use crate::report::quote;

/// How names that several workloads offer are told apart.
pub(super) enum Strategy<'t> {
    /// By a format in weir's words, and where it stands.
    Prefix(String, Option<Spot>),
    Priority(Vec<Part<'t>>),
    Manual,
}

/// What is said of the tools of all workloads.
pub(super) struct Aggregation<'t> {
    pub(super) strategy: Strategy<'t>,
    tools: Vec<Part<'t>>,
    nothing: bool,
    /// Workloads of which nothing is said show nothing.
    hidden: Option<Spot>,
}

impl<'t> Aggregation<'t> {
    /// Reads it; where it is absent, everything is as by default.
    pub(super) fn read(part: Option<&Part<'t>>, notes: &mut Notes) -> Self {
        let mut aggregation = Self {
            strategy: Strategy::Prefix(Conflicts::FORMAT.to_owned(), None),
            tools: Vec::new(),
            nothing: false,
            hidden: None,
        };
        let Some(part) = part else { return aggregation };
        let options = part.get("conflictResolutionConfig");
        let option = |key: &str| options.as_ref().and_then(|options| options.get(key));
        for (key, value) in part.entries() {
            match key.as_str() {
                "conflictResolution" => match value.text().unwrap_or_default() {
                    "prefix" => {}
                    "priority" => {
                        let order =
                            option("priorityOrder").map(|order| order.one_or_more()).unwrap_or_default();
                        aggregation.strategy = Strategy::Priority(order);
                    }
                    "manual" => aggregation.strategy = Strategy::Manual,
                    other => {
                        let message = format!("unknown conflict resolution {}", quote(other));
                        notes.remark(&value, message, "names are prefixed now");
                    }
                },
                "conflictResolutionConfig" => {}
                "tools" => aggregation.tools = value.items(),
                "excludeAllTools" => aggregation.nothing = value.is_true(),
                "defaultToolVisibility" => {
                    aggregation.hidden = (value.text() == Some("deny")).then(|| (&value).into());
                }
                _ => notes.remark(
                    &value,
                    format!("{} was left out: weir does not know it", quote(&key)),
                    "leave it out",
                ),
            }
        }
        if let (Strategy::Prefix(format, place), Some(written)) =
            (&mut aggregation.strategy, option("prefixFormat"))
        {
            *format = written.text().unwrap_or_default().replace("{workload}", "{backend}");
            *place = Some((&written).into());
        }
        aggregation
    }

    /// The choices for each backend, in the order of `members`.
    pub(super) fn selection(&self, members: &[Member], notes: &mut Notes) -> Selection {
        let format = match &self.strategy {
            Strategy::Prefix(format, _) => Some(format.clone()),
            Strategy::Priority(_) | Strategy::Manual => None,
        };
        let workload = |part: &Part<'t>| part.get("workload").and_then(|name| name.text());
        for part in &self.tools {
            let name = workload(part).unwrap_or_default();
            if named(members, name).is_none() {
                super::unknown(name, part, members, notes);
            }
        }
        let mut of = Vec::with_capacity(members.len());
        for member in members {
            // Two workloads of one name are both meant.
            let same = |part: &&Part<'t>| workload(part) == Some(&member.written);
            let alike = |part: &&Part<'t>| workload(part).is_some_and(|name| member.is_like(name));
            let said = self.tools.iter().find(same).or_else(|| self.tools.iter().find(alike));
            let choice = match said {
                Some(part) => choice(part, &member.name, format.as_deref(), notes),
                None => {
                    Choice { none: self.hidden.is_some(), spot: self.hidden.clone(), ..Choice::default() }
                }
            };
            of.push((member.name.clone(), choice));
        }
        Selection { format, nothing: self.nothing, of }
    }
}

/// What is said of one workload's tools.
fn choice(part: &Part<'_>, backend: &str, format: Option<&str>, notes: &mut Notes) -> Choice {
    let mut choice = Choice { spot: Some(part.into()), ..Choice::default() };
    let mut renamed: Vec<(&str, &str)> = Vec::new();
    let overrides = part.get("overrides");
    for (tool, change) in overrides.iter().flat_map(Part::named) {
        if let Some(name) = change.get("name").and_then(|name| name.text()).filter(|name| !name.is_empty()) {
            renamed.push((tool, name));
        }
        choice.overrides.push((tool.to_owned(), override_of(&change, backend, format, notes)));
    }
    for (key, value) in part.entries() {
        match key.as_str() {
            "workload" | "overrides" => {}
            "excludeAll" => choice.none = value.is_true(),
            "filter" if value.is_empty() => {}
            "filter" => {
                choice.spot = Some((&value).into());
                for item in value.one_or_more() {
                    let name = item.text().unwrap_or_default();
                    if let Some((_, new)) = renamed.iter().find(|(old, new)| *old == name && *new != name) {
                        notes.remark(
                            &item,
                            format!(
                                "the tool {} is called {} by its override, and filters compare that name: it is hidden",
                                quote(name),
                                quote(new)
                            ),
                            format!("if it is to be shown, allow {} instead", quote(new)),
                        );
                    }
                }
                choice.only = Some(value.texts().into_iter().map(str::to_owned).collect());
            }
            "toolConfigRef" => notes.remark(
                &value,
                "`toolConfigRef` was left out: what it refers to is another resource",
                "write its filter and its overrides into `tools` of the endpoint",
            ),
            _ => notes.remark(
                &value,
                format!("{} was left out: weir does not know it", quote(&key)),
                "leave it out",
            ),
        }
    }
    choice
}

/// One override in weir's words.
fn override_of(change: &Part<'_>, backend: &str, format: Option<&str>, notes: &mut Notes) -> Draft {
    let mut written = Draft::table().from(change);
    for (key, value) in change.entries() {
        let text = value.text().unwrap_or_default();
        match key.as_str() {
            "name" | "description" if text.is_empty() => {}
            // weir writes such a name as it stands, ToolHive put the prefix before it.
            "name" => {
                let name = format.map_or_else(|| text.to_owned(), |format| exposed(format, backend, text));
                written.set("name", Draft::literal(&name).from(&value));
            }
            "description" => written.set("description", Draft::literal(text).from(&value)),
            "annotations" => {
                for (hint, value) in value.entries() {
                    let set = match hint.as_str() {
                        _ if value.is_true() => Draft::bare(true),
                        _ if value.is_false() => Draft::bare(false),
                        _ => Draft::literal(value.text().unwrap_or_default()),
                    };
                    written.set_in(&["annotations", &hint], set.from(&value));
                }
            }
            _ => notes.remark(
                &value,
                format!("{} was left out: weir does not know it", quote(&key)),
                "leave it out",
            ),
        }
    }
    written
}
