//! What runs a server for weir: child processes that never outlive it.

mod backoff;
mod error;
mod group;
mod guard;
mod instance;
mod process;
mod stderr;

pub use backoff::Backoff;
pub use error::RuntimeError;
pub use group::Group;
pub use guard::{Guardian, run_guardian};
pub use process::{Process, ProcessSpec};
