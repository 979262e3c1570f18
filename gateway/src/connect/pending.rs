//! What browsers are in the middle of: kept by weir, taken up once.

use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::time::Duration;
use weir_backends::{Departure, Outline};
use weir_policies::Principal;

/// How long a user has for one step.
const TIME: Duration = Duration::from_secs(600);
/// The most logins under way, and the most of all other steps; beyond that the oldest are forgotten. Anybody can begin to log
/// in, and so must not push out those who have.
const MOST: usize = 10_000;

/// A step that a browser has to finish.
#[derive(Debug)]
pub(super) enum Pending {
    /// It was sent to the issuer to log in.
    Login {
        endpoint: usize,
        departure: Departure,
        nonce: String,
        /// The query of the page that it wanted.
        then: String,
    },
    /// It was asked whether to go on.
    Consent(Purchase<Outline>),
    /// It was sent to an authorization server.
    Away(Purchase<Departure>),
}

/// A user on the way to connect a backend.
#[derive(Debug)]
pub(super) struct Purchase<T> {
    pub(super) endpoint: usize,
    pub(super) backend: usize,
    pub(super) principal: Principal,
    /// The number of the policies that let the user use the backend.
    pub(super) policies: u64,
    pub(super) told: Option<(u128, String)>,
    pub(super) stage: T,
}

/// All steps under way.
#[derive(Debug, Default)]
pub(super) struct Steps(Mutex<Entries>);

#[derive(Debug, Default)]
struct Entries {
    next: u64,
    logins: Kept,
    others: Kept,
}

/// Steps with the times at which they end; later ones have, but for a little, greater numbers.
type Kept = BTreeMap<u64, (u64, Pending)>;

impl Steps {
    /// Keeps a step that begins at `now` (milliseconds); answers its number.
    pub(super) fn keep(&self, now: u64, pending: Pending) -> u64 {
        let number = self.reserve();
        self.fill(now, number, pending);
        number
    }

    /// The number of a step that is still to be filled.
    pub(super) fn reserve(&self) -> u64 {
        let mut entries = self.0.lock();
        entries.next += 1;
        entries.next
    }

    /// Keeps the step of this number.
    pub(super) fn fill(&self, now: u64, number: u64, pending: Pending) {
        let mut entries = self.0.lock();
        let kept = match pending {
            Pending::Login { .. } => &mut entries.logins,
            Pending::Consent(_) | Pending::Away(_) => &mut entries.others,
        };
        while kept.first_key_value().is_some_and(|(_, (until, _))| *until <= now) || kept.len() >= MOST {
            kept.pop_first();
        }
        let time = u64::try_from(TIME.as_millis()).unwrap_or(u64::MAX);
        kept.insert(number, (now.saturating_add(time), pending));
    }

    /// Takes a step up, once.
    pub(super) fn take(&self, now: u64, number: u64) -> Option<Pending> {
        let mut entries = self.0.lock();
        let (until, pending) = entries.logins.remove(&number).or_else(|| entries.others.remove(&number))?;
        (until > now).then_some(pending)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn authority() -> weir_backends::Authority {
        weir_backends::Authority {
            issuer: String::new(),
            authorization_endpoint: "https://as.example/".parse().ok(),
            token_endpoint: "https://as.example/".parse().unwrap(),
            registration_endpoint: None,
            revocation_endpoint: None,
            scopes: Vec::new(),
            methods: Vec::new(),
            proves_codes: true,
            names_itself: false,
            reads_documents: false,
        }
    }

    fn login() -> Pending {
        let spec = weir_config::Login {
            issuer: String::new(),
            client_id: "weir".to_owned(),
            client_secret: None,
            scopes: Vec::new(),
        };
        let reach = weir_policies::Reach { private: false, ca: None, deadline: TIME };
        let fetch = weir_backends::Outbound::new();
        let login = weir_backends::Login { spec: &spec, fetch: &fetch, reach: &reach };
        let (_, departure) = login.depart(authority(), "https://weir.example/", "st", "n").unwrap();
        Pending::Login { endpoint: 0, departure, nonce: String::new(), then: String::new() }
    }

    fn consent() -> Pending {
        let stage = Outline { authority: authority(), resource: String::new(), scopes: Vec::new() };
        let principal = Principal::anonymous();
        Pending::Consent(Purchase { endpoint: 0, backend: 0, principal, policies: 0, told: None, stage })
    }

    #[test]
    fn a_step_is_taken_once_and_in_time() {
        let steps = Steps::default();
        let number = steps.keep(0, consent());
        assert!(steps.take(5, number).is_some());
        assert!(steps.take(5, number).is_none());
        let number = steps.keep(0, consent());
        assert!(steps.take(600_000, number).is_none(), "it is too late");
    }

    #[test]
    fn steps_are_bounded() {
        let steps = Steps::default();
        let first = steps.keep(0, consent());
        (0..MOST).for_each(|_| {
            steps.keep(0, consent());
        });
        assert!(steps.take(0, first).is_none(), "the oldest went");
        assert_eq!(steps.0.lock().others.len(), MOST);
        steps.keep(u64::MAX, consent());
        assert_eq!(steps.0.lock().others.len(), 1, "what is over went");
    }
    #[test]
    fn strangers_push_out_nobody_who_has_logged_in() {
        let steps = Steps::default();
        let asked = steps.keep(0, consent());
        let first = steps.keep(0, login());
        (0..MOST).for_each(|_| {
            steps.keep(0, login());
        });
        assert!(steps.take(0, first).is_none(), "the oldest login went");
        assert!(steps.take(0, asked).is_some());
    }
}
