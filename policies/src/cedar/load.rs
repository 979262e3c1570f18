//! From texts to policies that can be decided by: all of them, or everything that is wrong.

use super::index::Scope;
use super::inference::Inference;
use super::kind::Record;
use super::missing::Asked;
use super::possible::without_context;
use super::reads::{Names, Reads};
use super::source::{Piece, Place, parse_problems};
use super::{expression, schema};
use crate::{Action, ItemKind, PolicyProblem};
use cedar_policy::{
    Effect, Policy, PolicyId, PolicySet, PrincipalConstraint, ResourceConstraint, Schema, Template,
    ValidationMode, Validator,
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use weir_config::{ClaimKind, PolicySource};

/// Most policies of one endpoint.
const MOST_POLICIES: usize = 20_000;
/// Longest id of a policy, in characters.
const LONGEST_ID: usize = 200;
/// Most findings that are told at once.
const MOST_PROBLEMS: usize = 100;

/// One policy.
#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) id: Arc<str>,
    pub(crate) permits: bool,
    pub(crate) place: Place,
    /// The policy, by its number.
    pub(crate) policy: Policy,
    /// The policy, by its own id.
    pub(crate) named: Policy,
    /// Where it reads the context: the same, whatever the context may be.
    pub(crate) possible: Option<Policy>,
    /// `None` where it fits no request.
    pub(crate) scope: Option<Scope>,
    /// There is nothing to it but its scope.
    pub(crate) unconditional: bool,
    pub(crate) reads: Reads,
    /// The scopes that it asks for.
    pub(crate) scopes: Asked,
    /// Its JSON, where it has conditions and may be about resources.
    pub(crate) json: Option<Box<str>>,
}

/// Policies that are in order, and what is odd about them.
pub(crate) type Loaded = (Vec<Rule>, Vec<PolicyProblem>);

/// Reads policies and checks them against the schema, as strictly as Cedar can.
///
/// # Errors
/// Everything that is wrong with them, in their order.
pub(crate) fn load(
    sources: &[PolicySource],
    claims: &BTreeMap<String, ClaimKind>,
    endpoint: &str,
) -> Result<Loaded, Vec<PolicyProblem>> {
    let mut problems = Vec::new();
    let mut rules: Vec<Rule> = Vec::new();
    let mut ids: HashMap<Arc<str>, usize> = HashMap::new();
    let mut inferred: Vec<(usize, Record)> = Vec::new();
    for piece in sources.iter().flat_map(Piece::all) {
        if rules.len() >= MOST_POLICIES {
            problems.push(piece.place().problem(
                None,
                0,
                format!("there are more than {MOST_POLICIES} policies"),
                None,
            ));
            break;
        }
        let (rule, json) = match rule(&piece, endpoint, rules.len(), |id| ids.contains_key(id)) {
            Ok(read) => read,
            Err(found) => {
                problems.extend(found);
                continue;
            }
        };
        if let Some(earlier) = ids.insert(rule.id.clone(), rules.len()).and_then(|at| rules.get(at)) {
            let message = format!("the policy at {} has this id already", earlier.place.id());
            problems.push(rule.place.problem(
                Some(&rule.id),
                0,
                message,
                Some("give each an `@id` of its own".to_owned()),
            ));
        }
        if matches!(&rule.reads.subjects, Names::Some(names) if names.contains("")) {
            // Callers whom no policy names go by no id.
            problems.push(rule.place.problem(Some(&rule.id), 0, "no caller has an empty id", None));
        }
        if rule.reads.arguments.is_some() {
            let mut inference = Inference::new(claims);
            bodies(&json).for_each(|body| inference.learn(body));
            inferred.push((rules.len(), inference.record()));
        }
        rules.push(rule);
    }
    let mut warnings = Vec::new();
    match validate(&rules, claims, &inferred) {
        Ok((errors, odd)) => {
            problems.extend(errors);
            warnings.extend(odd);
        }
        Err(error) => {
            // Names of claims and of arguments are quoted, so this is a fault of weir's.
            let place = rules.first().map(|rule| rule.place.clone());
            problems.extend(
                place.map(|place| {
                    place.problem(None, 0, format!("the schema is not in order: {error}"), None)
                }),
            );
        }
    }
    for rule in rules.iter().filter(|rule| rule.scope.is_none()) {
        let message = "this policy fits no request of this endpoint";
        let advice = format!(
            "it is about another endpoint than `{endpoint}`, or about something that nobody can ask for"
        );
        warnings.push(rule.place.problem(Some(&rule.id), 0, message, Some(advice)));
    }
    let order = |problem: &PolicyProblem| {
        (problem.diagnostic.file.clone(), problem.diagnostic.line, problem.diagnostic.column)
    };
    for found in [&mut problems, &mut warnings] {
        found.sort_by_key(order);
        found.dedup();
        found.truncate(MOST_PROBLEMS);
    }
    if problems.is_empty() { Ok((rules, warnings)) } else { Err(problems) }
}

/// The conditions of a policy.
fn bodies(json: &Value) -> impl Iterator<Item = &Value> {
    let conditions = json.get("conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.filter_map(|condition| condition.get("body"))
}

fn rule(
    piece: &Piece<'_>,
    endpoint: &str,
    number: usize,
    taken: impl Fn(&str) -> bool,
) -> Result<(Rule, Value), Vec<PolicyProblem>> {
    let place = piece.place();
    let read = Policy::parse(None, piece.text).map_err(|errors| {
        // What is a template is in order, and still not wanted: nothing here would fill it in.
        match Template::parse(None, piece.text).is_ok_and(|template| template.slots().next().is_some()) {
            true => {
                let advice = "write the entity in the place of `?principal` or `?resource`".to_owned();
                vec![place.problem(None, 0, "templates are not supported", Some(advice))]
            }
            false => parse_problems(&place, &errors),
        }
    })?;
    let id = read.annotation("id").map(str::to_owned);
    let id =
        id.unwrap_or_else(|| Some(place.id()).filter(|id| !taken(id)).unwrap_or_else(|| place.exact_id()));
    if id.is_empty() || id.chars().count() > LONGEST_ID || id.chars().any(char::is_control) {
        let message = format!("an id has 1 to {LONGEST_ID} characters, and no control characters");
        return Err(vec![place.problem(None, 0, message, None)]);
    }
    let unreadable = |error: &dyn std::fmt::Display| {
        vec![place.problem(Some(&id), 0, format!("it cannot be read: {error}"), None)]
    };
    let json = read.to_json().map_err(|error| unreadable(&error))?;
    let mut reads = Reads::default();
    scope_reads(&read, &mut reads);
    bodies(&json).for_each(|body| reads.of(body));
    let numbered = PolicyId::new(number.to_string());
    let possible = match bodies(&json).any(expression::reads_context) {
        true => Some(
            Policy::from_json(Some(numbered.clone()), without_context(&json))
                .map_err(|error| unreadable(&error))?,
        ),
        false => None,
    };
    let scope = Scope::of(&read, endpoint);
    let unconditional = !read.has_non_scope_constraint();
    let of_resources =
        |scope: &Scope| Action::ALL.iter().any(|action| scope.fits(*action, ItemKind::Resource));
    let kept = !unconditional && scope.as_ref().is_some_and(of_resources);
    let rule = Rule {
        permits: read.effect() == Effect::Permit,
        policy: read.new_id(numbered),
        named: read.new_id(PolicyId::new(&id)),
        scope,
        unconditional,
        scopes: Asked::of(&json),
        json: kept.then(|| json.to_string().into()),
        id: id.into(),
        place,
        possible,
        reads,
    };
    Ok((rule, json))
}

/// Callers and groups in the scope.
fn scope_reads(policy: &Policy, reads: &mut Reads) {
    if let PrincipalConstraint::Eq(uid) | PrincipalConstraint::In(uid) | PrincipalConstraint::IsIn(_, uid) =
        policy.principal_constraint()
    {
        reads.named(&[(uid.type_name().basename(), uid.id().unescaped())]);
    }
}

type Findings = (Vec<PolicyProblem>, Vec<PolicyProblem>);

fn validate(
    rules: &[Rule],
    claims: &BTreeMap<String, ClaimKind>,
    inferred: &[(usize, Record)],
) -> Result<Findings, Box<cedar_policy::CedarSchemaError>> {
    let plain = Record::default();
    let mut groups: HashMap<String, (Record, Vec<&Rule>)> = HashMap::new();
    for (number, rule) in rules.iter().enumerate() {
        let own = inferred.binary_search_by_key(&number, |(number, _)| *number).ok();
        let record = own.and_then(|at| inferred.get(at)).map_or(&plain, |(_, record)| record);
        groups.entry(record.cedar()).or_insert_with(|| (record.clone(), Vec::new())).1.push(rule);
    }
    let (mut errors, mut warnings) = Findings::default();
    for (record, rules) in groups.values() {
        let schema = schema::read(claims, record, record)?;
        let (wrong, odd) = findings(schema, rules);
        errors.extend(wrong);
        warnings.extend(odd);
    }
    Ok((errors, warnings))
}

/// What Cedar finds about policies under a schema: errors and warnings.
pub(crate) fn findings(schema: Schema, rules: &[&Rule]) -> Findings {
    let mut set = PolicySet::new();
    let mut known: HashMap<&PolicyId, &Rule> = HashMap::new();
    for rule in rules {
        // Of those with one id only the first is looked at; that there are two is told already.
        if set.add(rule.named.clone()).is_ok() {
            known.insert(rule.named.id(), rule);
        }
    }
    let result = Validator::new(schema).validate(&set, ValidationMode::Strict);
    let told = |id: &PolicyId, found: &dyn miette::Diagnostic| {
        let rule = known.get(id)?;
        let mut problem = rule.place.found(Some(&rule.id), found);
        let message = &mut problem.diagnostic.message;
        if let Some(rest) = message.strip_prefix(&format!("for policy `{}`, ", rule.id)) {
            *message = rest.to_owned();
        }
        Some(problem)
    };
    let errors = result.validation_errors().filter_map(|error| told(error.policy_id(), error)).collect();
    let warnings =
        result.validation_warnings().filter_map(|warning| told(warning.policy_id(), warning)).collect();
    (errors, warnings)
}

/// The item or backend in a policy's scope, where it names one that is no endpoint: for findings.
pub(crate) fn named_resource(policy: &Policy) -> Option<(String, String)> {
    match policy.resource_constraint() {
        ResourceConstraint::Eq(uid) | ResourceConstraint::In(uid) | ResourceConstraint::IsIn(_, uid) => {
            Some((uid.type_name().basename().to_owned(), uid.id().unescaped().to_owned()))
        }
        _ => None,
    }
}
