//! What the tools of an endpoint take: known only once their servers have said so, and new whenever they say so again.

use super::decider::Decider;
use super::kind::{Kind, Record};
use super::load::{Rule, findings, named_resource};
use super::schema;
use super::wanted::Wanted;
use crate::{Action, Item, ItemKind, PolicyProblem, Tool};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// Most tools that a finding names.
const MOST_NAMED: usize = 3;
/// Most judgements that are kept.
const MOST_JUDGED: usize = 20_000;

/// What was found about a policy, by its id, and arguments of some types.
pub(super) type Judgements = HashMap<(Arc<str>, String), Vec<PolicyProblem>>;

/// The tools, by the names that clients see.
#[derive(Debug, Default)]
pub(crate) struct Tools {
    known: HashMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    backend: String,
    arguments: Arc<Record>,
}

impl Tools {
    /// What a tool takes.
    pub(crate) fn arguments(&self, item: &Item<'_>) -> Option<&Record> {
        let known = self.known.get(item.name).filter(|known| known.backend == item.backend)?;
        Some(&known.arguments)
    }
}

impl Decider {
    /// Takes in the tools, and tells what is odd about the policies in the light of them.
    pub(crate) fn learn(&self, tools: &[Tool<'_>]) -> Vec<PolicyProblem> {
        let mut problems = self.unknown_items(tools);
        let Some(wanted) = &self.reads.arguments else {
            return problems;
        };
        // Most tools have nothing of what policies read, and so are all alike.
        let mut alike: HashMap<String, Arc<Record>> = HashMap::new();
        let mut known = HashMap::new();
        for tool in tools {
            let record = Record::of_schema(tool.input_schema, wanted);
            let text = format!("{record:?}");
            let arguments = alike.entry(text).or_insert_with(|| Arc::new(record)).clone();
            known.insert(tool.name.to_owned(), Known { backend: tool.backend.to_owned(), arguments });
        }
        for rule in &self.rules {
            problems.extend(self.misunderstood(rule, tools, &known));
        }
        *self.tools.write() = Arc::new(Tools { known });
        problems
    }

    /// Policies about tools that are not there.
    fn unknown_items(&self, tools: &[Tool<'_>]) -> Vec<PolicyProblem> {
        let names: BTreeSet<&str> = tools.iter().map(|tool| tool.name).collect();
        let named = |rule: &Rule| {
            let (kind, id) = named_resource(&rule.named)?;
            if kind != ItemKind::Tool.name() || names.contains(id.as_str()) || names.is_empty() {
                return None;
            }
            let near = weir_config::nearest(&id, names.iter().copied());
            let advice = near.map(|near| format!("did you mean `{near}`?"));
            let message = format!("there is no tool `{id}` at this endpoint now");
            Some(rule.place.problem(Some(&rule.id), 0, message, advice))
        };
        self.rules.iter().filter_map(named).collect()
    }

    /// What a policy reads of arguments that the tools do not have, or have otherwise.
    fn misunderstood(
        &self,
        rule: &Rule,
        tools: &[Tool<'_>],
        known: &HashMap<String, Known>,
    ) -> Vec<PolicyProblem> {
        let (Some(scope), Some(wanted)) = (&rule.scope, &rule.reads.arguments) else {
            return Vec::new();
        };
        if !scope.fits(Action::CallTool, ItemKind::Tool) {
            return Vec::new();
        }
        let about: Vec<(&str, &Record)> = tools
            .iter()
            .filter(|tool| scope.is_about(ItemKind::Tool, tool.name, tool.backend))
            .filter_map(|tool| Some((tool.name, &*known.get(tool.name)?.arguments)))
            .collect();
        let mut problems = self.nowhere(rule, &about, wanted.fields.keys());
        let mut by_record: BTreeMap<String, (Record, Vec<&str>)> = BTreeMap::new();
        for (name, record) in about {
            let record = record.narrowed(wanted);
            by_record.entry(record.cedar()).or_insert_with(|| (record, Vec::new())).1.push(name);
        }
        let mut told: BTreeMap<(usize, usize, String), (PolicyProblem, Vec<&str>)> = BTreeMap::new();
        for (record, names) in by_record.into_values() {
            for problem in self.judged(rule, wanted, &record) {
                let found = &problem.diagnostic;
                let key = (found.line, found.column, found.message.clone());
                told.entry(key).or_insert_with(|| (problem, Vec::new())).1.extend(names.iter().copied());
            }
        }
        problems.extend(told.into_values().map(|(mut problem, names)| {
            let message = &mut problem.diagnostic.message;
            *message = format!("calls of {} will be denied: {message}", listed(&names));
            problem
        }));
        problems
    }

    /// What Cedar says of a policy and arguments of these types. Lists are fetched again and again, and rarely say anything
    /// new, so it is kept.
    fn judged(&self, rule: &Rule, wanted: &Wanted, record: &Record) -> Vec<PolicyProblem> {
        let key = (rule.id.clone(), record.cedar());
        if let Some(known) = self.judged.lock().get(&key) {
            return known.clone();
        }
        let schema = schema::read(&self.claims, record, &Record::of_prompt().narrowed(wanted));
        let found = schema.map(|schema| findings(schema, &[rule]).0).unwrap_or_default();
        let mut judged = self.judged.lock();
        if judged.len() >= MOST_JUDGED {
            judged.clear();
        }
        judged.insert(key, found.clone());
        found
    }

    /// Arguments that none of the tools has which the policy is about.
    fn nowhere<'n>(
        &self,
        rule: &Rule,
        about: &[(&str, &Record)],
        names: impl Iterator<Item = &'n String>,
    ) -> Vec<PolicyProblem> {
        let missing = |name: &&String| {
            let has =
                |record: &Record| record.fields.get(*name).is_some_and(|field| field.kind != Kind::Opaque);
            !about.is_empty() && !about.iter().any(|(_, record)| has(record))
        };
        let tell = |name: &String| {
            let names: Vec<&str> = about.iter().map(|(name, _)| *name).collect();
            let message = format!("{} has no argument `{name}` that policies can read", listed(&names));
            rule.place.problem(Some(&rule.id), rule.place.find(name), message, None)
        };
        names.filter(missing).map(tell).collect()
    }
}

/// Names of tools; of many, the first.
fn listed(names: &[&str]) -> String {
    let first: Vec<String> = names.iter().take(MOST_NAMED).map(|name| format!("`{name}`")).collect();
    match names.len().saturating_sub(MOST_NAMED) {
        0 => first.join(", "),
        more => format!("{} and {more} more", first.join(", ")),
    }
}
