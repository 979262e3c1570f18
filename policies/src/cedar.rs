//! What callers may do, in the policy language Cedar. The only place that knows Cedar.

mod class;
mod decider;
mod entities;
mod explanation;
mod expression;
mod index;
mod inference;
mod kind;
mod learning;
mod load;
mod missing;
mod persons;
mod possible;
mod reads;
mod schema;
mod shadow;
mod source;
mod templates;
mod verdict;
mod wanted;

pub use explanation::{Explained, Explanation, Outcome};

use crate::{Action, Context, Denied, Item, ItemKind, Mentions, PolicyProblem, Principal, Tool};
use decider::Decider;
use entities::Types;
use kind::Record;
use moka::sync::Cache;
use parking_lot::Mutex;
use persons::Persons;
use shadow::Shadow;
use std::collections::HashSet;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use verdict::{Failure, Verdict};

/// How much of a name is shown, in characters.
const LONGEST_SHOWN: usize = 128;
/// Most findings about tools that are remembered, so that each is told once.
const MOST_TOLD: usize = 10_000;
/// The same failure of a policy is logged again only after this: whoever calls can make policies fail.
const QUIET: Duration = Duration::from_secs(60);
/// Most failures that are told apart within that time; beyond, some are logged more often.
const MOST_FAILURES: u64 = 10_000;

/// The configured policies of one endpoint.
#[derive(Debug)]
pub(crate) struct Cedar {
    endpoint: String,
    generation: u64,
    decider: Decider,
    /// The same for persons, made when somebody asks for them.
    persons: OnceLock<Option<Persons>>,
    shadow: Option<Shadow>,
    warnings: Vec<PolicyProblem>,
    /// What was told already of policies and tools.
    told: Mutex<HashSet<String>>,
    /// How often policies could not be evaluated.
    failures: AtomicU64,
    /// Which of these were logged of late: the policy, the action and the item's backend.
    logged: Cache<(u32, Action, String), ()>,
}

impl Cedar {
    /// Reads and checks the policies.
    pub(crate) fn new(
        policies: &weir_config::Policies,
        endpoint: &str,
        tools: &[Tool<'_>],
    ) -> Result<Self, Vec<PolicyProblem>> {
        static GENERATIONS: AtomicU64 = AtomicU64::new(1);
        let loaded = load::load(&policies.sources, &policies.claims, endpoint);
        let shadow = policies.shadow.as_ref().map(|shadow| load::load(shadow, &policies.claims, endpoint));
        let (loaded, shadow) = match (loaded, shadow.transpose()) {
            (Ok(loaded), Ok(shadow)) => (loaded, shadow),
            (loaded, shadow) => {
                return Err(loaded.err().into_iter().chain(shadow.err()).flatten().collect());
            }
        };
        // The types' names are weir's own and always in order.
        let types = Types::new(endpoint).map_err(|_| Vec::new())?;
        let (rules, mut warnings) = loaded;
        let decider = Decider::new(rules, policies.claims.clone(), types.clone());
        let shadow = shadow.map(|(rules, odd)| {
            warnings.extend(odd);
            Shadow::new(endpoint, Decider::new(rules, policies.claims.clone(), types))
        });
        let generation = GENERATIONS.fetch_add(1, Ordering::Relaxed);
        let cedar = Self {
            endpoint: endpoint.to_owned(),
            generation,
            decider,
            persons: OnceLock::new(),
            shadow,
            warnings,
            told: Mutex::default(),
            failures: AtomicU64::new(0),
            logged: Cache::builder().max_capacity(MOST_FAILURES).time_to_live(QUIET).build(),
        };
        let odd = cedar.learn(tools);
        Ok(Self { warnings: cedar.warnings.iter().cloned().chain(odd).collect(), ..cedar })
    }

    pub(crate) fn warnings(&self) -> &[PolicyProblem] {
        &self.warnings
    }

    pub(crate) fn count(&self) -> usize {
        self.decider.rules.len()
    }

    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) fn learn(&self, tools: &[Tool<'_>]) -> Vec<PolicyProblem> {
        let mut problems = self.decider.learn(tools);
        problems.extend(self.shadow.iter().flat_map(|shadow| shadow.decider.learn(tools)));
        let mut told = self.told.lock();
        if told.len() > MOST_TOLD {
            told.clear();
        }
        problems.retain(|problem| told.insert(problem.to_string()));
        problems
    }

    pub(crate) fn decide(
        &self,
        principal: &Principal,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Result<(), Denied> {
        let class = self.decider.class(principal);
        let verdict = self.decider.decide(&class, action, item, context);
        if let Some(shadow) = &self.shadow {
            shadow.compare(principal, action, item, context, verdict.allows());
        }
        if verdict.allows() {
            return Ok(());
        }
        self.report(&verdict, action, item);
        let hopeless = !verdict.failed.is_empty() || self.decider.reads.scopes == reads::Names::default();
        let missing_scopes = match hopeless {
            true => Vec::new(),
            false => self.decider.missing_scopes(&class, principal.scopes(), action, item, context),
        };
        Err(Denied { missing_scopes, by: self.blamed(&verdict) })
    }

    /// Decides about what belongs to a call that was allowed already, whatever its arguments were.
    pub(crate) fn decide_again(
        &self,
        principal: &Principal,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Result<(), Denied> {
        let verdict = self.decider.decide_again(&self.decider.class(principal), action, item, context);
        if verdict.allows() {
            return Ok(());
        }
        self.report(&verdict, action, item);
        Err(Denied { missing_scopes: Vec::new(), by: self.blamed(&verdict) })
    }

    /// The policies that a denial is due to.
    fn blamed(&self, verdict: &Verdict) -> Vec<String> {
        let failed = verdict.failed.iter().map(|(number, _)| number);
        let by = verdict.forbids.iter().chain(failed);
        by.filter_map(|number| Some(self.decider.rule(*number)?.id.to_string())).collect()
    }

    /// Says which policies could not be evaluated: never their text, nor what they read.
    fn report(&self, verdict: &Verdict, action: Action, item: &Item<'_>) {
        for (number, failure) in self.unsaid(verdict, action, item) {
            let failures = self.failures.load(Ordering::Relaxed);
            let policy = self.decider.rule(*number).map_or("?", |rule| &rule.id);
            tracing::warn!(
                endpoint = self.endpoint,
                policy,
                action = action.name(),
                item = brief(item.name),
                failures,
                "a policy cannot be evaluated, so the call is denied: {failure}"
            );
        }
    }

    /// The failures that were not logged of late.
    fn unsaid<'v>(&self, verdict: &'v Verdict, action: Action, item: &Item<'_>) -> Vec<&'v (u32, Failure)> {
        let unsaid = |(number, _): &&(u32, Failure)| {
            self.failures.fetch_add(1, Ordering::Relaxed);
            // The backend, and not the item: a URI may be the caller's own invention.
            let key = (*number, action, item.backend.to_owned());
            let unsaid = !self.logged.contains_key(&key);
            if unsaid {
                self.logged.insert(key, ());
            }
            unsaid
        };
        verdict.failed.iter().filter(unsaid).collect()
    }

    pub(crate) fn may(&self, principal: &Principal, action: Action, item: &Item<'_>) -> bool {
        let class = self.decider.class(principal);
        match item.template {
            true => self.decider.may_lead(&class, action, item),
            false => self.decider.may(&class, action, item),
        }
    }

    fn persons(&self) -> Option<&Persons> {
        self.persons.get_or_init(|| Persons::of(&self.decider)).as_ref()
    }

    pub(crate) fn may_with_some_token(&self, person: &Principal, action: Action, item: &Item<'_>) -> bool {
        self.persons().is_some_and(|persons| persons.may(person, action, item))
    }

    pub(crate) fn may_something(&self, person: &Principal, kind: ItemKind, backend: &str) -> bool {
        self.persons().is_some_and(|persons| persons.may_something(person, kind, backend))
    }

    pub(crate) fn class_of_person(&self, person: &Principal) -> Vec<u8> {
        self.persons().map(|persons| persons.class(person).key()).unwrap_or_default()
    }

    pub(crate) fn always(&self, principal: &Principal, action: Action, item: &Item<'_>) -> bool {
        self.decider.always(&self.decider.class(principal), action, item)
    }

    pub(crate) fn mentions(&self) -> Mentions {
        let reads = &self.decider.reads;
        let named = |names: &reads::Names| match names {
            reads::Names::Some(names) => names.iter().cloned().collect(),
            reads::Names::All => Vec::new(),
        };
        let mut others: Vec<String> = reads.attributes.iter().cloned().collect();
        others.extend(match &reads.claims {
            reads::Names::Some(names) => names.iter().map(|name| format!("claims.{name}")).collect(),
            reads::Names::All => vec!["claims".to_owned()],
        });
        for (names, attribute) in
            [(&reads.groups, "groups"), (&reads.roles, "roles"), (&reads.scopes, "scopes")]
        {
            others.extend((*names == reads::Names::All).then(|| attribute.to_owned()));
        }
        Mentions {
            groups: named(&reads.groups),
            roles: named(&reads.roles),
            scopes: named(&reads.scopes),
            clients: named(&reads.subjects),
            others,
        }
    }

    pub(crate) fn class(&self, principal: &Principal) -> Vec<u8> {
        self.decider.class(principal).key()
    }

    /// Whether no policy reads anything of the caller.
    pub(crate) fn treats_all_alike(&self) -> bool {
        let reads = &self.decider.reads;
        let none = reads::Names::default();
        [&reads.groups, &reads.roles, &reads.scopes, &reads.subjects, &reads.claims]
            .into_iter()
            .all(|names| *names == none)
            && reads.attributes.is_empty()
    }

    pub(crate) fn shadow_differences(&self) -> u64 {
        self.shadow.as_ref().map_or(0, Shadow::differences)
    }

    pub(crate) fn explain(
        &self,
        principal: &Principal,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Explanation {
        self.decider.explain(principal, action, item, context)
    }
}

/// A name in the log: a URI may be as long as a caller likes, and hold anything.
fn brief(name: &str) -> String {
    name.chars().take(LONGEST_SHOWN).flat_map(char::escape_debug).collect()
}

/// The schema of an endpoint's policies, as text.
pub(crate) fn schema(claims: &std::collections::BTreeMap<String, weir_config::ClaimKind>) -> String {
    schema::text(claims, &Record::default(), &Record::default())
}

#[cfg(test)]
mod tests;
