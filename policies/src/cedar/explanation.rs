//! Why a call is allowed or denied, for operators.

use super::class::Class;
use super::decider::Decider;
use super::entities::circumstances;
use super::kind::Record;
use super::reads::Reads;
use super::verdict::Failure;
use super::wanted::Wanted;
use crate::{Action, Context, Item, Principal};
use cedar_policy::{Authorizer, Context as Circumstances, Decision, Entities, PolicySet, Request};
use serde_json::Value;

/// Why a call is allowed or denied.
#[derive(Debug, Clone)]
pub struct Explanation {
    /// Whether it is allowed.
    pub allowed: bool,
    /// The scopes with which it would be allowed.
    pub missing_scopes: Vec<String>,
    /// The policies that are about this caller, action and item, in their order.
    pub policies: Vec<Explained>,
    /// How many other policies there are.
    pub others: usize,
    /// A policy reads arguments, and what the tool takes is not known: nothing of them can be judged.
    pub lacks_tool: bool,
    /// What the policies were given: the principal, the resource and the context, as Cedar writes entities in JSON.
    pub saw: Value,
}

/// One policy's part in it.
#[derive(Debug, Clone)]
pub struct Explained {
    /// Its id.
    pub id: String,
    /// Where it stands: file and line.
    pub place: String,
    /// Whether it permits; else it forbids.
    pub permits: bool,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of one policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It applies.
    Applies,
    /// Its conditions do not hold.
    DoesNotApply,
    /// It could not be evaluated, which denies the call; why.
    Failed(String),
}

impl Decider {
    /// Decides once more, slowly, and keeps what every policy says. It may repeat values of the call.
    pub(super) fn explain(
        &self,
        principal: &Principal,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Explanation {
        let class = self.class(principal);
        let verdict = self.decide(&class, action, item, context);
        let scopes = match verdict.allows() || !verdict.failed.is_empty() {
            true => Vec::new(),
            false => self.missing_scopes(&class, principal.scopes(), action, item, context),
        };
        let numbers = self.slice(&class, action, item);
        let (given, saw) = self.given(principal, action, item, context);
        let explained = numbers.iter().filter_map(|number| {
            let rule = self.rule(*number)?;
            let known = verdict
                .failed
                .iter()
                .find(|(failed, failure)| failed == number && *failure != Failure::Evaluation);
            let outcome = match (known, &given) {
                (Some((_, failure)), _) => Outcome::Failed(failure.to_string()),
                (None, None) if rule.unconditional => Outcome::Applies,
                (None, None) => Outcome::Failed("its evaluation failed".to_owned()),
                (None, Some((request, entities))) => alone(&rule.named, request, entities),
            };
            Some(Explained {
                id: rule.id.to_string(),
                place: rule.place.id(),
                permits: rule.permits,
                outcome,
            })
        });
        let policies: Vec<Explained> = explained.collect();
        Explanation {
            allowed: verdict.allows(),
            missing_scopes: scopes,
            lacks_tool: verdict.failed.iter().any(|(_, failure)| *failure == Failure::UnknownTool),
            others: self.rules.len() - policies.len(),
            policies,
            saw,
        }
    }

    /// What Cedar is given, and the same to be read.
    fn given(
        &self,
        principal: &Principal,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> (Option<(Request, Entities)>, Value) {
        let class = self.class(principal);
        let mut pairs = circumstances(context, &self.reads.circumstances);
        let wanted = self.slice(&class, action, item).into_iter().filter_map(|number| self.rule(number));
        let wanted = wanted.filter_map(|rule| rule.reads.arguments.as_ref()).fold(None, |all, wanted| {
            let mut all: Wanted = all.unwrap_or_default();
            all.join(wanted);
            Some(all)
        });
        let tools = self.tools.read().clone();
        if let Some(wanted) = wanted {
            let prompt = Record::of_prompt();
            let record = if action == Action::CallTool { tools.arguments(item) } else { Some(&prompt) };
            let text = context.arguments.unwrap_or("{}");
            let values = record.and_then(|record| record.values(text, &wanted, "").ok());
            let values =
                values.and_then(|values| cedar_policy::RestrictedExpression::new_record(values).ok());
            pairs.extend(values.map(|values| ("arguments".to_owned(), values)));
        }
        // People want to see the caller, and not what makes one like others.
        let whole = Class::of(&Reads::whole_caller(), &self.claims, principal);
        let (Ok(client), Ok(entity)) = (self.types.client(&whole), self.types.item(item)) else {
            return (None, Value::Null);
        };
        let (client_uid, item_uid) = (client.uid(), entity.uid());
        let (Ok(entities), Ok(context)) =
            (Entities::from_entities([client, entity], None), Circumstances::from_pairs(pairs))
        else {
            return (None, Value::Null);
        };
        let shown = context.clone().to_json_value().unwrap_or_default();
        let saw =
            serde_json::json!({ "entities": entities.to_json_value().unwrap_or_default(), "context": shown });
        let request = Request::new(client_uid, self.types.action(action), item_uid, context, None);
        (request.ok().map(|request| (request, entities)), saw)
    }
}

/// What one policy says by itself.
fn alone(policy: &cedar_policy::Policy, request: &Request, entities: &Entities) -> Outcome {
    let Ok(set) = PolicySet::from_policies([policy.clone()]) else {
        return Outcome::Failed("its evaluation failed".to_owned());
    };
    let response = Authorizer::new().is_authorized(request, &set, entities);
    if let Some(error) = response.diagnostics().errors().next() {
        return Outcome::Failed(error.to_string());
    }
    let reason = response.diagnostics().reason().next().is_some();
    debug_assert!(response.decision() == Decision::Deny || reason);
    if reason { Outcome::Applies } else { Outcome::DoesNotApply }
}
