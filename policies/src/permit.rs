//! The decision, and the proof of it that a backend asks for.

use crate::Principal;
use std::sync::Arc;

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

/// A call was not allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not allowed")]
pub struct Denied;

/// The rules of one endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policies {
    rule: Rule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Rule {
    AnonymousOnly,
}

impl Policies {
    /// The rules of an endpoint without authentication: the anonymous principal may call what the endpoint lists, nobody
    /// else may do anything.
    pub fn anonymous() -> Self {
        Self { rule: Rule::AnonymousOnly }
    }

    /// Whether everybody who reaches the endpoint sees the same lists; where not, no list may be kept for anybody else.
    pub fn show_all_the_same(&self) -> bool {
        match self.rule {
            Rule::AnonymousOnly => true,
        }
    }

    /// Decides one call on `item`, the exposed name or URI.
    pub fn permit(&self, principal: &Arc<Principal>, action: Action, item: &str) -> Result<Permit, Denied> {
        match self.rule {
            Rule::AnonymousOnly if principal.issuer().is_empty() && !item.is_empty() => {
                Ok(Permit { principal: principal.clone(), action })
            }
            Rule::AnonymousOnly => Err(Denied),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_anonymous_principal_may_call_what_is_listed() {
        let who = Arc::new(Principal::anonymous());
        let permit = Policies::anonymous().permit(&who, Action::CallTool, "echo").unwrap();
        assert_eq!((permit.action(), permit.principal().subject()), (Action::CallTool, "anonymous"));
        assert!(Policies::anonymous().permit(&who, Action::CallTool, "").is_err());
    }
}
