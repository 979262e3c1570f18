//! Who calls, and what they may do: the only place where a [`Permit`] is made.

mod permit;
mod principal;

pub use permit::{
    Action, ClassKey, Context, Denied, Hints, Item, ItemKind, Permit, Policies, PolicyProblem, Tool,
};
pub use principal::Principal;
