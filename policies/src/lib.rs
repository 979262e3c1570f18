//! Who calls, and what they may do: the only place where a [`Permit`] is made.

mod authenticator;
mod clock;
mod evidence;
mod fetch;
mod permit;
mod principal;
mod rejection;

pub use authenticator::{Authenticator, AuthenticatorError, Challenge};
pub use clock::{Clock, SystemClock};
pub use evidence::{CertificateName, ClientCertificate, Evidence};
pub use fetch::{Fetch, FetchError, Reach};
pub use permit::{
    Action, ClassKey, Context, Denied, Hints, Item, ItemKind, Permit, Policies, PolicyProblem, Tool,
};
pub use principal::{Principal, Profile};
pub use rejection::{Rejection, RejectionKind};
