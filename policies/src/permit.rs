//! The decision, and the proof of it that a backend asks for.

use crate::Principal;
use crate::cedar::{self, Cedar, Explanation};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;
use weir_protocol::Era;

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// `tools/call`.
    CallTool,
    /// `prompts/get`.
    GetPrompt,
    /// `resources/read`.
    ReadResource,
    /// `resources/subscribe`, and the same by `subscriptions/listen`.
    SubscribeResource,
    /// `completion/complete`.
    Complete,
}

impl Action {
    /// Every one.
    pub const ALL: [Self; 5] =
        [Self::CallTool, Self::GetPrompt, Self::ReadResource, Self::SubscribeResource, Self::Complete];

    /// Its name in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallTool => "call_tool",
            Self::GetPrompt => "get_prompt",
            Self::ReadResource => "read_resource",
            Self::SubscribeResource => "subscribe",
            Self::Complete => "complete",
        }
    }
}

/// What kind of thing an item is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ItemKind {
    /// A tool.
    Tool,
    /// A prompt.
    Prompt,
    /// A resource, or a template of resources.
    Resource,
}

impl ItemKind {
    /// Its entity type in policies.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tool => "Tool",
            Self::Prompt => "Prompt",
            Self::Resource => "Resource",
        }
    }
}

/// What a tool says of itself; `None` where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Hints {
    /// It changes nothing.
    pub read_only: Option<bool>,
    /// It may destroy something.
    pub destructive: Option<bool>,
    /// Calling it twice with the same arguments changes no more than calling it once.
    pub idempotent: Option<bool>,
    /// It reaches out into the world.
    pub open_world: Option<bool>,
}

/// What somebody wants to use: an entry of the catalog, never what a caller wrote. Whatever spelling led to the entry, the
/// item is the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// What it is.
    pub kind: ItemKind,
    /// The name, URI or URI template that clients see; of a URI that nobody lists, its normal form.
    pub name: &'a str,
    /// The one that its backend knows.
    pub original: &'a str,
    /// Its backend, by its configured name.
    pub backend: &'a str,
    /// Of a tool: what it says of itself.
    pub hints: Hints,
    /// Tags, in any order.
    pub tags: &'a [String],
    /// Of a resource: its URI in the form by which policies judge it. Default: its name.
    pub uri: Option<&'a str>,
    /// It is a template, and stands for every resource that this may lead to; its URI is the template's.
    pub template: bool,
}

impl<'a> Item<'a> {
    /// An item that says nothing of itself.
    pub const fn of(kind: ItemKind, name: &'a str, original: &'a str, backend: &'a str) -> Self {
        let hints = Hints { read_only: None, destructive: None, idempotent: None, open_world: None };
        Self { kind, name, original, backend, hints, tags: &[], uri: None, template: false }
    }
}

/// Under which circumstances.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The arguments as the client sent them: the text of a JSON object. Read only where a policy does. `None` where the
    /// call has none.
    pub arguments: Option<&'a str>,
    /// Where the client connects from.
    pub address: Option<IpAddr>,
    /// The client's era.
    pub era: Era,
    /// Now.
    pub time: SystemTime,
    /// Whether the call is made again with what was asked for.
    pub retry: bool,
}

impl Context<'_> {
    /// That of a request of this era, now, of which nothing else is known.
    pub fn now(era: Era) -> Self {
        Self { arguments: None, address: None, era, time: SystemTime::now(), retry: false }
    }
}

/// A tool as its endpoint lists it; what policies may read of its arguments depends on it.
#[derive(Debug, Clone, Copy)]
pub struct Tool<'a> {
    /// The name that clients see.
    pub name: &'a str,
    /// Its backend, by its configured name.
    pub backend: &'a str,
    /// Its `inputSchema` as clients see it: the text of a JSON object.
    pub input_schema: &'a str,
}

/// The proof that one call was allowed. Backends take it by value, so that no call goes out undecided.
#[derive(Debug)]
pub struct Permit {
    principal: Arc<Principal>,
    action: Action,
}

impl Permit {
    /// Who was allowed.
    pub fn principal(&self) -> &Arc<Principal> {
        &self.principal
    }

    /// What was allowed.
    pub fn action(&self) -> Action {
        self.action
    }
}

/// A call was not allowed. What it holds is for the log and for scopes that a client may ask for; its text says nothing.
#[derive(Debug, Clone, PartialEq, Eq, Default, thiserror::Error)]
#[error("not allowed")]
pub struct Denied {
    /// The scopes with which the call would be allowed; empty where scopes would not help.
    pub missing_scopes: Vec<String>,
    /// Ids of the policies that forbid it or that could not be evaluated; empty where no policy permits it.
    pub by: Vec<String>,
}

/// What the policies can tell apart of a caller: equal for callers whom they treat alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ClassKey(Arc<[u8]>);

/// Something wrong, or odd, about a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{}:{}: {}", diagnostic.file.display(), diagnostic.line, diagnostic.column, diagnostic.message)]
pub struct PolicyProblem {
    /// The policy's id, where it is about one.
    pub id: Option<String>,
    /// What and where; its own text shows the line of the policy, this one's does not, so that it may be logged.
    pub diagnostic: weir_config::Diagnostic,
}

/// Whom policies speak of, by what they name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mentions {
    /// Groups.
    pub groups: Vec<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// Scopes.
    pub scopes: Vec<String>,
    /// Single callers, by their id in policies.
    pub clients: Vec<String>,
    /// What else of a caller they read, whose values are not to be listed.
    pub others: Vec<String>,
}

/// The policies of one endpoint.
#[derive(Debug)]
pub struct Policies {
    rule: Rule,
}

#[derive(Debug)]
enum Rule {
    AnonymousOnly,
    Nobody,
    Cedar(Box<Cedar>),
}

impl Policies {
    /// The policies as they are configured, all of them or none.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(
        policies: &weir_config::Policies,
        endpoint: &str,
        tools: &[Tool<'_>],
    ) -> Result<Self, Vec<PolicyProblem>> {
        Ok(Self { rule: Rule::Cedar(Box::new(Cedar::new(policies, endpoint, tools)?)) })
    }

    /// Those of an endpoint without authentication and without policies: the anonymous principal may do everything, nobody
    /// else anything.
    pub fn anonymous() -> Self {
        Self { rule: Rule::AnonymousOnly }
    }

    /// Those of an endpoint with authentication and without policies: nobody may do anything.
    pub fn nobody() -> Self {
        Self { rule: Rule::Nobody }
    }

    /// The schema that the policies of an endpoint are checked against, in Cedar's own language.
    pub fn schema(policies: &weir_config::Policies) -> String {
        cedar::schema(&policies.claims)
    }

    /// How many there are, the shadow ones left out.
    pub fn count(&self) -> usize {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.count(),
            Rule::AnonymousOnly | Rule::Nobody => 0,
        }
    }

    /// What is odd about the policies without being wrong.
    pub fn warnings(&self) -> &[PolicyProblem] {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.warnings(),
            Rule::AnonymousOnly | Rule::Nobody => &[],
        }
    }

    /// Takes in which tools the endpoint lists from now on, with their arguments; a call of another tool is denied where a
    /// policy reads arguments. Answers what is odd about the policies in the light of them; what was answered before
    /// already is left out.
    pub fn learn(&self, tools: &[Tool<'_>]) -> Vec<PolicyProblem> {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.learn(tools),
            Rule::AnonymousOnly | Rule::Nobody => Vec::new(),
        }
    }

    /// Decides one call.
    ///
    /// # Errors
    /// It is not allowed.
    pub fn permit(
        &self,
        principal: &Arc<Principal>,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Result<Permit, Denied> {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.decide(principal, action, item, context)?,
            Rule::AnonymousOnly if is_anonymous(principal) && !item.name.is_empty() => {}
            Rule::AnonymousOnly | Rule::Nobody => return Err(Denied::default()),
        }
        Ok(Permit { principal: principal.clone(), action })
    }

    /// Decides about what belongs to a call that was allowed already, such as its task, where the arguments are not at hand:
    /// it is allowed where the call would be now, in this context, with some arguments. Those of the context are not read.
    ///
    /// # Errors
    /// It is not allowed.
    pub fn permit_again(
        &self,
        principal: &Arc<Principal>,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Result<Permit, Denied> {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.decide_again(principal, action, item, context)?,
            _ if self.may(principal, action, item) => {}
            _ => return Err(Denied::default()),
        }
        Ok(Permit { principal: principal.clone(), action })
    }

    /// Whether there is a context in which the caller may do this, and for a template one of its resources: what lists show.
    /// Where it says no, every call is denied; where it says yes, a call may still be.
    pub fn may(&self, principal: &Principal, action: Action, item: &Item<'_>) -> bool {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.may(principal, action, item),
            Rule::AnonymousOnly => is_anonymous(principal) && !item.name.is_empty(),
            Rule::Nobody => false,
        }
    }

    /// Whether a person of whom nothing is known but what a login says could do this, with whichever token and in whichever
    /// context. Where it says no, no call of theirs is allowed, unless by a token that says more of them than the login.
    pub fn may_with_some_token(&self, person: &Principal, action: Action, item: &Item<'_>) -> bool {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.may_with_some_token(person, action, item),
            Rule::AnonymousOnly | Rule::Nobody => self.may(person, action, item),
        }
    }

    /// The same for using anything of this kind of a backend, of whose items nothing is known yet.
    pub fn may_something(&self, person: &Principal, kind: ItemKind, backend: &str) -> bool {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.may_something(person, kind, backend),
            Rule::AnonymousOnly => is_anonymous(person),
            Rule::Nobody => false,
        }
    }

    /// Whether the caller may do this in every context. For operators; it costs more than a decision.
    pub fn always(&self, principal: &Principal, action: Action, item: &Item<'_>) -> bool {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.always(principal, action, item),
            Rule::AnonymousOnly | Rule::Nobody => self.may(principal, action, item),
        }
    }

    /// The caller's class: [`may`](Self::may) is the same for all callers of one.
    pub fn class(&self, principal: &Principal) -> ClassKey {
        ClassKey(match &self.rule {
            Rule::Cedar(cedar) => cedar.class(principal).into(),
            Rule::AnonymousOnly | Rule::Nobody => Arc::new([u8::from(is_anonymous(principal))]),
        })
    }

    /// The person's class: [`may_with_some_token`](Self::may_with_some_token) and [`may_something`](Self::may_something) are
    /// the same for all persons of one. Asked for the first time it takes long, of very many policies.
    pub fn class_of_person(&self, person: &Principal) -> ClassKey {
        match &self.rule {
            Rule::Cedar(cedar) => ClassKey(cedar.class_of_person(person).into()),
            Rule::AnonymousOnly | Rule::Nobody => self.class(person),
        }
    }

    /// Tells these policies from all others, also from those of the same text before a reload. Those that are not
    /// configured never differ.
    pub fn generation(&self) -> u64 {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.generation(),
            Rule::AnonymousOnly | Rule::Nobody => 0,
        }
    }

    /// Whether nothing is decided at all: whoever reaches the endpoint may do everything.
    pub fn are_open(&self) -> bool {
        matches!(self.rule, Rule::AnonymousOnly)
    }

    /// Whether everybody who reaches the endpoint sees the same lists; where not, no list may be kept for anybody else.
    pub fn show_all_the_same(&self) -> bool {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.treats_all_alike(),
            Rule::AnonymousOnly | Rule::Nobody => true,
        }
    }

    /// Whom the policies speak of.
    pub fn mentions(&self) -> Mentions {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.mentions(),
            Rule::AnonymousOnly | Rule::Nobody => Mentions::default(),
        }
    }

    /// Why a call is allowed or denied; `None` where no policies are configured. It may hold what the caller sent.
    pub fn explain(
        &self,
        principal: &Principal,
        action: Action,
        item: &Item<'_>,
        context: &Context<'_>,
    ) -> Option<Explanation> {
        match &self.rule {
            Rule::Cedar(cedar) => Some(cedar.explain(principal, action, item, context)),
            Rule::AnonymousOnly | Rule::Nobody => None,
        }
    }

    /// How many calls the shadow policies would have decided otherwise.
    pub fn shadow_differences(&self) -> u64 {
        match &self.rule {
            Rule::Cedar(cedar) => cedar.shadow_differences(),
            Rule::AnonymousOnly | Rule::Nobody => 0,
        }
    }
}

fn is_anonymous(principal: &Principal) -> bool {
    principal.issuer().is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anonymous_principal_may_call_what_is_listed() {
        let who = Arc::new(Principal::anonymous());
        let call = |item: &Item<'_>| {
            Policies::anonymous().permit(&who, Action::CallTool, item, &Context::now(Era::Modern))
        };
        let permit = call(&Item::of(ItemKind::Tool, "echo", "echo", "b")).unwrap();
        assert_eq!((permit.action(), permit.principal().subject()), (Action::CallTool, "anonymous"));
        assert!(call(&Item::of(ItemKind::Tool, "", "", "b")).is_err());
    }
}
