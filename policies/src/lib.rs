//! Who calls, and what they may do: the only place where a [`Permit`] is made.

mod fetch;
mod permit;
mod principal;

pub use fetch::{Fetch, FetchError, Reach};
pub use permit::{Action, Denied, Permit, Policies};
pub use principal::Principal;
