//! Who calls, and what they may do: the only place where a [`Permit`] is made.

mod permit;
mod principal;

pub use permit::{Action, Denied, Permit, Policies};
pub use principal::Principal;
