//! Who calls, and what they may do: the only place where a [`Permit`] is made.

mod authenticator;
mod cedar;
mod clock;
mod evidence;
mod fetch;
mod identity;
mod permit;
mod person;
mod principal;
mod rejection;
mod supposed;

pub use authenticator::{Authenticator, AuthenticatorError, Challenge, Due, Turn};
pub use cedar::{Explained, Explanation, Outcome};
pub use clock::{Clock, SystemClock};
pub use evidence::{CertificateName, ClientCertificate, Evidence};
pub use fetch::{Fetch, FetchError, Reach};
pub use identity::api_keys::{NoRandomness, new_api_key};
pub use identity::signing::{SigningError, SigningKey};
pub use identity::token::{Token, TokenError};
pub use permit::{
    Action, ClassKey, Context, Denied, Hints, Item, ItemKind, Mentions, Permit, Policies, PolicyProblem, Tool,
};
pub use person::person;
pub use principal::{Principal, Profile};
pub use rejection::{Rejection, RejectionKind};
pub use supposed::supposed;
