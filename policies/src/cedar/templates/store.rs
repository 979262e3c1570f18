//! What is kept of templates.

use super::super::load::Rule;
use cedar_policy::{Policy, PolicySet};
use moka::sync::Cache;
use serde_json::Value;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// Most answers about templates that are kept.
const ANSWERS: u64 = 16_384;
/// What is kept of what policies say of templates, in bytes, roughly: of single ones, of all that are about somebody, and of
/// the policies that are written over for it, alone and together. Of many policies it is more.
const KEPT: u64 = 32 << 20;
/// For how many beginnings there is room for what each policy says of them.
const BEGINNINGS: usize = 32;
/// For how many sets of all policies there is room.
const SETS: usize = 4;
/// What a policy takes, and what else an entry takes, in bytes, roughly.
const POLICY: usize = 4096;
const ENTRY: usize = 256;

/// Policies by their numbers, and how begins what a template leads to.
type Together = (Box<[u32]>, Arc<[u8]>);

/// A policy by its number, and how begins what a template leads to.
type Single = (u32, Arc<[u8]>);

/// What is kept of templates. What policies say of one is kept by how the URIs begin; the policies written over are kept
/// by what is left of them, which is the same for most beginnings.
#[derive(Debug)]
pub(crate) struct Templates {
    /// Whether they lead somewhere, by class.
    pub(super) answers: Cache<Box<[u8]>, bool>,
    /// What a policy says of what begins so.
    pub(super) leading: Cache<Single, Leading<Weak<Rewritten>>>,
    /// What several say of it together.
    pub(super) led: Cache<Together, Led<Weak<PolicySet>>>,
    /// Policies written over, by their numbers and what is left of them.
    rewritten: Cache<(u32, Box<str>), Arc<Rewritten>>,
    /// The same together, by what tells them apart.
    sets: Cache<Box<[u64]>, Arc<PolicySet>>,
    /// How many were written over.
    made: AtomicU64,
}

impl Templates {
    /// For so many policies.
    pub(crate) fn of(rules: usize) -> Self {
        let size = |size: usize| u32::try_from(size + ENTRY).unwrap_or(u32::MAX);
        let room = |each: usize| KEPT.max(u64::try_from(rules.saturating_mul(each)).unwrap_or(KEPT));
        Self {
            answers: Cache::new(ANSWERS),
            leading: Cache::<Single, _>::builder()
                .max_capacity(room(BEGINNINGS * ENTRY))
                .weigher(move |(_, key), _| size(key.len()))
                .build(),
            led: Cache::<Together, _>::builder()
                .max_capacity(KEPT)
                .weigher(move |(numbers, key), _| size(size_of_val::<[u32]>(numbers) + key.len()))
                .build(),
            rewritten: Cache::<(u32, Box<str>), _>::builder()
                .max_capacity(room(SETS * POLICY))
                .weigher(move |(_, left), _| size(left.len() + POLICY))
                .build(),
            sets: Cache::<Box<[u64]>, _>::builder()
                .max_capacity(room(SETS * POLICY))
                .weigher(move |which, _| size(which.len() * POLICY))
                .build(),
            made: AtomicU64::new(0),
        }
    }

    /// A policy as it is left.
    pub(super) fn rewritten(&self, number: u32, rule: &Rule, left: Value) -> Option<Arc<Rewritten>> {
        let key = (number, left.to_string().into_boxed_str());
        if let Some(known) = self.rewritten.get(&key) {
            return Some(known);
        }
        let policy = match rule.json.as_ref() == Some(&key.1) {
            true => rule.policy.clone(),
            false => Policy::from_json(Some(rule.policy.id().clone()), left).ok()?,
        };
        let rewritten = Arc::new(Rewritten { which: self.made.fetch_add(1, Ordering::Relaxed), policy });
        self.rewritten.insert(key, rewritten.clone());
        Some(rewritten)
    }

    /// Several of them as a set.
    pub(super) fn set(&self, policies: &[Arc<Rewritten>]) -> Option<Arc<PolicySet>> {
        let key: Box<[u64]> = policies.iter().map(|policy| policy.which).collect();
        if let Some(known) = self.sets.get(&key) {
            return Some(known);
        }
        let set = PolicySet::from_policies(policies.iter().map(|rewritten| rewritten.policy.clone()));
        let set = Arc::new(set.ok()?);
        self.sets.insert(key, set.clone());
        Some(set)
    }
}

#[cfg(test)]
impl Templates {
    /// How much is kept of single policies, and of several together.
    pub(crate) fn known(&self) -> (u64, u64) {
        self.leading.run_pending_tasks();
        self.led.run_pending_tasks();
        (self.leading.entry_count(), self.led.entry_count())
    }

    /// How many policies were written over.
    pub(crate) fn made(&self) -> u64 {
        self.made.load(Ordering::Relaxed)
    }
}

/// A policy as it is left where something is not known.
#[derive(Debug)]
pub(super) struct Rewritten {
    /// Tells it from all others.
    which: u64,
    policy: Policy,
}

/// What a policy says of the resources that a template leads to, of a caller whom it is about.
#[derive(Debug, Clone)]
pub(super) enum Leading<P> {
    /// It applies to none of them, or need not.
    Never,
    /// It applies, or could.
    Always,
    /// It depends on the caller, by what is left of it.
    Asked(P),
    /// It cannot be told, so that nothing is shown.
    Unclear,
}

impl<P> Leading<P> {
    /// The same with another thing left; `None` where there is none.
    pub(super) fn map<Q>(self, left: impl FnOnce(P) -> Option<Q>) -> Option<Leading<Q>> {
        Some(match self {
            Self::Never => Leading::Never,
            Self::Always => Leading::Always,
            Self::Asked(policy) => Leading::Asked(left(policy)?),
            Self::Unclear => Leading::Unclear,
        })
    }
}

/// What several policies say of them together.
#[derive(Debug, Clone)]
pub(super) struct Led<S> {
    pub(super) permits: bool,
    pub(super) forbids: bool,
    pub(super) set: S,
}
