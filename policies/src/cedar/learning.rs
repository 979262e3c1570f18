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
pub(super) type Judgements = HashMap<(Arc<str>, Arc<str>), Vec<PolicyProblem>>;

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

/// Tools that are alike to policies: most have nothing of what is read.
#[derive(Debug)]
struct Alike<'t> {
    record: Arc<Record>,
    tools: Vec<&'t Tool<'t>>,
}

/// What policies that read the same see of tools that are alike, by the place of these: a type, and the same as text.
#[derive(Debug, Default)]
struct Narrowed<'r>(HashMap<&'r Wanted, HashMap<usize, Narrow>>);

type Narrow = (Arc<str>, Arc<Record>);

impl<'r> Narrowed<'r> {
    fn of(&mut self, wanted: &'r Wanted, at: usize, record: &Record) -> Narrow {
        let narrow = || {
            let narrow = record.narrowed(wanted);
            (narrow.cedar().into(), Arc::new(narrow))
        };
        self.0.entry(wanted).or_default().entry(at).or_insert_with(narrow).clone()
    }
}

impl Decider {
    /// Takes in the tools, and tells what is odd about the policies in the light of them.
    pub(crate) fn learn(&self, tools: &[Tool<'_>]) -> Vec<PolicyProblem> {
        let mut problems = self.unknown_items(tools);
        let Some(wanted) = &self.reads.arguments else {
            return problems;
        };
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut alike: Vec<Alike<'_>> = Vec::new();
        for tool in tools {
            let record = Record::of_schema(tool.input_schema, wanted);
            let place = *places.entry(format!("{record:?}")).or_insert(alike.len());
            if place == alike.len() {
                alike.push(Alike { record: Arc::new(record), tools: Vec::new() });
            }
            if let Some(alike) = alike.get_mut(place) {
                alike.tools.push(tool);
            }
        }
        let mut narrowed = Narrowed::default();
        for rule in &self.rules {
            problems.extend(self.misunderstood(rule, &alike, &mut narrowed));
        }
        let known = alike.iter().flat_map(|Alike { record, tools }| {
            let known =
                |tool: &&Tool<'_>| Known { backend: tool.backend.to_owned(), arguments: record.clone() };
            tools.iter().map(move |tool| (tool.name.to_owned(), known(tool)))
        });
        *self.tools.write() = Arc::new(Tools { known: known.collect() });
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
    fn misunderstood<'r>(
        &self,
        rule: &'r Rule,
        alike: &[Alike<'_>],
        narrowed: &mut Narrowed<'r>,
    ) -> Vec<PolicyProblem> {
        let (Some(scope), Some(wanted)) = (&rule.scope, &rule.reads.arguments) else {
            return Vec::new();
        };
        if !scope.fits(Action::CallTool, ItemKind::Tool) {
            return Vec::new();
        }
        let is_about = |tool: &&&Tool<'_>| scope.is_about(ItemKind::Tool, tool.name, tool.backend);
        let about = alike.iter().enumerate().map(|(at, Alike { record, tools })| {
            (at, &**record, tools.iter().filter(is_about).map(|tool| tool.name).collect())
        });
        let about: Vec<(usize, &Record, Vec<&str>)> =
            about.filter(|(.., names): &(_, _, Vec<&str>)| !names.is_empty()).collect();
        let mut problems = self.nowhere(rule, &about, wanted.fields.keys());
        let mut by_record: BTreeMap<Arc<str>, (Arc<Record>, Vec<&str>)> = BTreeMap::new();
        for (at, record, names) in &about {
            let (text, record) = narrowed.of(wanted, *at, record);
            by_record.entry(text).or_insert_with(|| (record, Vec::new())).1.extend(names);
        }
        let mut told: BTreeMap<(usize, usize, String), (PolicyProblem, Vec<&str>)> = BTreeMap::new();
        for (text, (record, names)) in &by_record {
            for problem in self.judged(rule, wanted, (text, record)) {
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
    fn judged(
        &self,
        rule: &Rule,
        wanted: &Wanted,
        (text, record): (&Arc<str>, &Record),
    ) -> Vec<PolicyProblem> {
        let key = (rule.id.clone(), text.clone());
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
        about: &[(usize, &Record, Vec<&str>)],
        names: impl Iterator<Item = &'n String>,
    ) -> Vec<PolicyProblem> {
        let missing = |name: &&String| {
            let has =
                |record: &Record| record.fields.get(*name).is_some_and(|field| field.kind != Kind::Opaque);
            !about.is_empty() && !about.iter().any(|(_, record, _)| has(record))
        };
        let tell = |name: &String| {
            let names: Vec<&str> = about.iter().flat_map(|(.., names)| names.iter().copied()).collect();
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
