//! The decision over one set of policies.
//!
//! What does not depend on the context is decided once for each class of callers, action and item, and kept. What does is
//! evaluated for each call, alone, with entities that are kept too. An error in any policy that has to do with the call
//! denies it: Cedar would pass over such a policy, and over what it forbids.

use super::class::{self, Class};
use super::entities::{Types, Unfit, circumstances};
use super::index::{Ids, Index};
use super::kind::Record;
use super::learning::{Judgements, Tools};
use super::load::Rule;
use super::possible::{in_every_context, without_arguments};
use super::reads::Reads;
use super::templates::Templates;
use super::verdict::{Failure, MOST_NAMED, Verdict};
use super::wanted::Wanted;
use crate::{Action, Context, Hints, Item, ItemKind, Principal};
use cedar_policy::{
    Authorizer, Context as Circumstances, Decision, Entities, EntityUid, Policy, PolicySet, Request,
};
use moka::sync::Cache;
use parking_lot::{Mutex, RwLock};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};
use weir_config::ClaimKind;

/// What is kept of decisions, in bytes, roughly.
const KEPT: u64 = 64 << 20;
/// Longest key that something is kept under: a URI may be as long as a caller likes.
pub(super) const LONGEST_KEY: usize = 8 << 10;
/// Most slices of policies that are kept ready.
const SLICES: u64 = 4096;

/// What does not depend on the context, of one class of callers, action and item.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) fixed: Verdict,
    pub(super) contextual: Option<Box<Contextual>>,
}

/// The policies that have to be evaluated for each call, and what for.
#[derive(Debug)]
pub(super) struct Contextual {
    slice: Arc<Slice>,
    entities: Entities,
    client: EntityUid,
    item: EntityUid,
    /// Whether it could be allowed in some context.
    possible: OnceLock<bool>,
}

/// Policies that are evaluated together.
#[derive(Debug)]
struct Slice {
    numbers: Box<[u32]>,
    set: PolicySet,
    wanted: Option<Wanted>,
    circumstances: BTreeSet<String>,
    /// The same whatever the arguments are; `None` where it cannot be made.
    unargued: OnceLock<Option<PolicySet>>,
}

/// One set of policies, ready to decide.
#[derive(Debug)]
pub(crate) struct Decider {
    pub(super) rules: Vec<Rule>,
    pub(super) reads: Reads,
    pub(super) claims: BTreeMap<String, ClaimKind>,
    pub(super) types: Types,
    pub(super) tools: RwLock<Arc<Tools>>,
    pub(super) judged: Mutex<Judgements>,
    index: Index,
    authorizer: Authorizer,
    prepared: Cache<Box<[u8]>, Arc<Prepared>>,
    slices: Cache<Box<[u32]>, Arc<Slice>>,
    pub(super) templates: Templates,
}

impl Decider {
    pub(crate) fn new(rules: Vec<Rule>, claims: BTreeMap<String, ClaimKind>, types: Types) -> Self {
        let (mut index, mut reads) = (Index::default(), Reads::default());
        for (number, rule) in (0..).zip(&rules) {
            if let Some(scope) = &rule.scope {
                index.add(scope, number);
                reads.join(&rule.reads);
            }
        }
        Self {
            prepared: Cache::<Box<[u8]>, Arc<Prepared>>::builder()
                .max_capacity(KEPT)
                .weigher(|key, prepared| weigh(key, prepared))
                .build(),
            slices: Cache::new(SLICES),
            templates: Templates::of(rules.len()),
            authorizer: Authorizer::new(),
            tools: RwLock::default(),
            judged: Mutex::default(),
            rules,
            reads,
            claims,
            types,
            index,
        }
    }

    pub(crate) fn class<'p>(&'p self, principal: &'p Principal) -> Class<'p> {
        Class::of(&self.reads, &self.claims, principal)
    }

    pub(super) fn rule(&self, number: u32) -> Option<&Rule> {
        self.rules.get(number as usize)
    }

    /// The policies that are about a caller, an action and an item.
    pub(super) fn slice(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> Vec<u32> {
        self.slice_of(class, action, item, Ids::Is(item.name))
    }

    /// The same for an item of which this is known.
    pub(super) fn slice_of(
        &self,
        class: &Class<'_>,
        action: Action,
        item: &Item<'_>,
        ids: Ids<'_>,
    ) -> Vec<u32> {
        let mut numbers = self.index.slice(&class.id, class.groups.iter().copied(), item, ids);
        let fits = |number: u32| {
            let scope = self.rule(number).and_then(|rule| rule.scope.as_ref());
            scope.is_some_and(|scope| scope.fits(action, item.kind))
        };
        numbers.retain(|number| fits(*number));
        numbers
    }

    /// Decides one call.
    pub(crate) fn decide(
        &self,
        class: &Class<'_>,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Verdict {
        let prepared = self.prepare(class, action, item);
        let mut verdict = prepared.fixed.clone();
        if let Some(contextual) = prepared.contextual.as_ref().filter(|_| !verdict.denies()) {
            self.evaluate(contextual, action, item, context, &mut verdict);
        }
        verdict
    }

    /// Whether a call could be allowed, whatever the context is.
    pub(crate) fn may(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> bool {
        let prepared = self.prepare(class, action, item);
        if prepared.fixed.denies() {
            return false;
        }
        let Some(contextual) = &prepared.contextual else {
            return prepared.fixed.allows();
        };
        *contextual.possible.get_or_init(|| {
            let rules = contextual.slice.numbers.iter().filter_map(|number| self.rule(*number));
            let mut verdict = prepared.fixed.clone();
            match PolicySet::from_policies(rules.filter_map(|rule| rule.possible.clone())) {
                Ok(set) => {
                    let request = self.request(contextual, action, Circumstances::empty());
                    self.authorize(&request, &set, &contextual.entities, &mut verdict);
                    self.may_hold(&verdict)
                }
                Err(_) => false,
            }
        })
    }

    /// Whether every call is allowed, whatever the context is. For operators: nothing of it is kept.
    pub(crate) fn always(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> bool {
        let prepared = self.prepare(class, action, item);
        let Some(contextual) = &prepared.contextual else {
            return prepared.fixed.allows();
        };
        // Arguments that are not what the tool takes are denied wherever arguments are read.
        if prepared.fixed.denies() || contextual.slice.wanted.is_some() {
            return false;
        }
        let turned = |rule: &Rule| {
            let json = in_every_context(&rule.policy.to_json().ok()?);
            Policy::from_json(Some(rule.policy.id().clone()), json).ok()
        };
        let rules = contextual.slice.numbers.iter().map(|number| self.rule(*number).and_then(turned));
        let Some(Ok(set)) = rules.collect::<Option<Vec<Policy>>>().map(PolicySet::from_policies) else {
            return false;
        };
        let mut verdict = prepared.fixed.clone();
        let request = self.request(contextual, action, Circumstances::empty());
        self.authorize(&request, &set, &contextual.entities, &mut verdict);
        verdict.allows()
    }

    /// Decides about what belongs to a call that was allowed already, whatever its arguments were.
    pub(crate) fn decide_again(
        &self,
        class: &Class<'_>,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Verdict {
        let prepared = self.prepare(class, action, item);
        let mut verdict = prepared.fixed.clone();
        if let Some(contextual) = prepared.contextual.as_ref().filter(|_| !verdict.denies()) {
            let slice = &contextual.slice;
            let set = match slice.wanted {
                None => Some(&slice.set),
                Some(_) => slice.unargued.get_or_init(|| self.unargued(slice)).as_ref(),
            };
            let pairs = circumstances(context, &slice.circumstances);
            let context = set.and_then(|_| Circumstances::from_pairs(pairs).ok());
            let request = context.and_then(|context| self.request(contextual, action, context));
            self.authorize(&request, set.unwrap_or(&slice.set), &contextual.entities, &mut verdict);
        }
        verdict
    }

    /// Policies whatever the arguments are.
    fn unargued(&self, slice: &Slice) -> Option<PolicySet> {
        let mut set = PolicySet::new();
        for rule in slice.numbers.iter().filter_map(|number| self.rule(*number)) {
            let policy = match rule.reads.arguments {
                None => rule.policy.clone(),
                Some(_) => {
                    let json = without_arguments(&rule.policy.to_json().ok()?);
                    Policy::from_json(Some(rule.policy.id().clone()), json).ok()?
                }
            };
            set.add(policy).ok()?;
        }
        Some(set)
    }

    /// Whether a verdict over what is not known of a call leaves it possible. An error may come of what is not known; what it
    /// means shows at the call.
    pub(super) fn may_hold(&self, verdict: &Verdict) -> bool {
        let mut failed = verdict.failed.iter().filter_map(|(number, _)| self.rule(*number));
        verdict.forbids.is_empty() && (!verdict.permits.is_empty() || failed.any(|rule| rule.permits))
    }

    pub(super) fn prepare(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> Arc<Prepared> {
        let key = key(class, action, item);
        if key.len() > LONGEST_KEY {
            return Arc::new(self.make(class, action, item));
        }
        if let Some(found) = self.prepared.get(key.as_slice()) {
            return found;
        }
        let made = Arc::new(self.make(class, action, item));
        self.prepared.insert(key.into(), made.clone());
        made
    }

    fn make(&self, class: &Class<'_>, action: Action, item: &Item<'_>) -> Prepared {
        let mut fixed = Verdict::default();
        let (mut plain, mut contextual) = (Vec::new(), Vec::new());
        for number in self.slice(class, action, item) {
            match self.rule(number) {
                // Its scope is all there is to it, and its scope fits.
                Some(rule) if rule.unconditional => fixed.add(number, rule),
                Some(rule) if rule.possible.is_some() => contextual.push(number),
                _ => plain.push(number),
            }
        }
        if plain.is_empty() && contextual.is_empty() {
            return Prepared { fixed, contextual: None };
        }
        let failing = |failure: Failure, mut fixed: Verdict, numbers: &[u32]| {
            fixed.failed = numbers.iter().take(MOST_NAMED).map(|number| (*number, failure.clone())).collect();
            Prepared { fixed, contextual: None }
        };
        let all: Vec<u32> = plain.iter().chain(&contextual).copied().collect();
        let (client, entity) = match (self.types.client(class), self.types.item(item)) {
            (Ok(client), Ok(entity)) => (client, entity),
            (Err(Unfit::Claim(name)), _) => {
                // Only the policies that read the claim fail of it, and one is enough.
                let reading: Vec<u32> = all
                    .iter()
                    .copied()
                    .filter(|number| self.rule(*number).is_some_and(|rule| rule.reads.claims.matters(&name)))
                    .collect();
                if reading.is_empty() {
                    let mut others = class.clone();
                    others.claims.retain(|(known, ..)| *known != name);
                    return self.make(&others, action, item);
                }
                return failing(Failure::Claim(name), fixed, &reading);
            }
            _ => return failing(Failure::Evaluation, fixed, &all),
        };
        let (client_uid, item_uid) = (client.uid(), entity.uid());
        let Ok(entities) = Entities::from_entities([client, entity], None) else {
            return failing(Failure::Evaluation, fixed, &all);
        };
        let action_uid = self.types.action(action);
        if !plain.is_empty() {
            let Some(slice) = self.ready(&plain) else {
                return failing(Failure::Evaluation, fixed, &all);
            };
            let request =
                Request::new(client_uid.clone(), action_uid, item_uid.clone(), Circumstances::empty(), None)
                    .ok();
            self.authorize(&request, &slice.set, &entities, &mut fixed);
        }
        if contextual.is_empty() || fixed.denies() {
            return Prepared { fixed, contextual: None };
        }
        match self.ready(&contextual) {
            Some(slice) => {
                let (client, item) = (client_uid, item_uid);
                let contextual = Contextual { slice, entities, client, item, possible: OnceLock::new() };
                Prepared { fixed, contextual: Some(Box::new(contextual)) }
            }
            None => failing(Failure::Evaluation, fixed, &contextual),
        }
    }

    /// Policies as a set.
    fn ready(&self, numbers: &[u32]) -> Option<Arc<Slice>> {
        if let Some(found) = self.slices.get(numbers) {
            return Some(found);
        }
        let rules = || numbers.iter().filter_map(|number| self.rule(*number));
        let set = PolicySet::from_policies(rules().map(|rule| -> Policy { rule.policy.clone() })).ok()?;
        let mut reads = Reads::default();
        rules().for_each(|rule| reads.join(&rule.reads));
        let slice = Arc::new(Slice {
            numbers: numbers.into(),
            set,
            wanted: reads.arguments,
            circumstances: reads.circumstances,
            unargued: OnceLock::new(),
        });
        self.slices.insert(numbers.into(), slice.clone());
        Some(slice)
    }

    fn request(&self, contextual: &Contextual, action: Action, context: Circumstances) -> Option<Request> {
        let (client, item) = (contextual.client.clone(), contextual.item.clone());
        Request::new(client, self.types.action(action), item, context, None).ok()
    }

    fn evaluate(
        &self,
        contextual: &Contextual,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
        verdict: &mut Verdict,
    ) {
        let given = self.context_of(contextual, action, item, context);
        self.judge(contextual, action, given, verdict);
    }

    /// The context as Cedar's; `None` where it cannot be made.
    pub(super) fn context_of(
        &self,
        contextual: &Contextual,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Result<Option<Circumstances>, Failure> {
        let slice = &contextual.slice;
        let mut pairs = circumstances(context, &slice.circumstances);
        if let Some(wanted) = &slice.wanted {
            pairs.push(("arguments".to_owned(), self.arguments(action, item, context, wanted)?));
        }
        Ok(Circumstances::from_pairs(pairs).ok())
    }

    /// Evaluates what depends on a context.
    pub(super) fn judge(
        &self,
        contextual: &Contextual,
        action: Action,
        given: Result<Option<Circumstances>, Failure>,
        verdict: &mut Verdict,
    ) {
        let slice = &contextual.slice;
        match given {
            Ok(context) => {
                let request = context.and_then(|context| self.request(contextual, action, context));
                self.authorize(&request, &slice.set, &contextual.entities, verdict);
            }
            Err(failure) => {
                let reading =
                    |number: &&u32| self.rule(**number).is_some_and(|rule| rule.reads.arguments.is_some());
                let failed = slice.numbers.iter().filter(reading).take(MOST_NAMED);
                verdict.failed.extend(failed.map(|number| (*number, failure.clone())));
            }
        }
    }

    /// The arguments that policies read, as Cedar's values.
    fn arguments(
        &self,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
        wanted: &Wanted,
    ) -> Result<cedar_policy::RestrictedExpression, Failure> {
        let prompt;
        let tools;
        let record: &Record = match action {
            Action::CallTool => {
                tools = self.tools.read().clone();
                tools.arguments(item).ok_or(Failure::UnknownTool)?
            }
            _ => {
                prompt = Record::of_prompt();
                &prompt
            }
        };
        let text = context.arguments.unwrap_or("{}");
        let pairs = record.values(text, wanted, "").map_err(|misfit| Failure::Argument(misfit.0));
        cedar_policy::RestrictedExpression::new_record(pairs?).map_err(|_| Failure::Evaluation)
    }

    /// Lets Cedar decide, and adds what it says.
    pub(super) fn authorize(
        &self,
        request: &Option<Request>,
        set: &PolicySet,
        entities: &Entities,
        verdict: &mut Verdict,
    ) {
        let number = |id: &cedar_policy::PolicyId| AsRef::<str>::as_ref(id).parse::<u32>().ok();
        let Some(request) = request else {
            let all = set.policies().filter_map(|policy| number(policy.id())).take(MOST_NAMED);
            verdict.failed.extend(all.map(|number| (number, Failure::Evaluation)));
            return;
        };
        let response = self.authorizer.is_authorized(request, set, entities);
        let reasons = response.diagnostics().reason().filter_map(number).take(MOST_NAMED);
        let list = match response.decision() {
            Decision::Allow => &mut verdict.permits,
            Decision::Deny => &mut verdict.forbids,
        };
        list.extend(reasons);
        list.sort_unstable();
        for error in response.diagnostics().errors() {
            let cedar_policy::AuthorizationError::PolicyEvaluationError(error) = error;
            // An error that cannot be told from another is one still.
            let number = number(error.policy_id()).unwrap_or(u32::MAX);
            verdict.failed.push((number, Failure::Evaluation));
        }
        verdict.failed.sort_by_key(|(number, _)| *number);
        verdict.failed.truncate(MOST_NAMED);
    }
}

/// What keeping it costs, in bytes, roughly.
fn weigh(key: &[u8], prepared: &Prepared) -> u32 {
    let entities = if prepared.contextual.is_some() { 8 << 10 } else { 256 };
    u32::try_from(key.len() + entities).unwrap_or(u32::MAX)
}

/// What a decision is kept under: everything that an entity is made of.
pub(super) fn key(class: &Class<'_>, action: Action, item: &Item<'_>) -> Vec<u8> {
    let mut key = class.key();
    let kind = match item.kind {
        ItemKind::Tool => 0,
        ItemKind::Prompt => 1,
        ItemKind::Resource => 2,
    };
    let hint = |hint: Option<bool>| hint.map_or(0, |hint| 1 + u8::from(hint));
    let Hints { read_only, destructive, idempotent, open_world } = item.hints;
    key.extend([action as u8, kind, hint(read_only), hint(destructive), hint(idempotent), hint(open_world)]);
    for text in [item.name, item.original, item.backend, item.uri.unwrap_or(item.name)] {
        class::put(&mut key, text);
    }
    class::count(&mut key, item.tags.len());
    item.tags.iter().for_each(|tag| class::put(&mut key, tag));
    key
}
