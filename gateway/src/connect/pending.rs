//! What browsers are in the middle of: kept by weir, taken up once.

use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;
use weir_backends::{Departure, Outline};
use weir_policies::Principal;

/// How long a user has for one step.
const TIME: Duration = Duration::from_secs(600);
/// The most steps under way, of all users and of one; beyond that the oldest are forgotten, first those of whoever has many.
const MOST: usize = 10_000;
const OWN: usize = 16;

/// A step that a browser has to finish.
#[derive(Debug)]
pub(super) enum Pending {
    /// It was asked whether to go on.
    Consent(Purchase<Outline>),
    /// It was sent to an authorization server.
    Away(Purchase<Departure>),
}

impl Pending {
    /// Whose it is.
    fn user(&self) -> &Principal {
        match self {
            Self::Consent(purchase) => &purchase.principal,
            Self::Away(purchase) => &purchase.principal,
        }
    }
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
    /// With the times at which they end; later ones have, but for a little, greater numbers.
    kept: BTreeMap<u64, (u64, Pending)>,
    /// The numbers of each user's, the oldest first.
    users: HashMap<Principal, VecDeque<u64>>,
}

impl Entries {
    fn remove(&mut self, number: u64) -> Option<(u64, Pending)> {
        let removed = self.kept.remove(&number)?;
        let user = removed.1.user();
        if let Some(own) = self.users.get_mut(user) {
            own.retain(|other| *other != number);
            if own.is_empty() {
                self.users.remove(user);
            }
        }
        Some(removed)
    }
}

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
        let own = entries.users.get(pending.user()).filter(|own| own.len() >= OWN);
        if let Some(oldest) = own.and_then(|own| own.front().copied()) {
            entries.remove(oldest);
        }
        while let Some((oldest, (until, _))) = entries.kept.first_key_value()
            && (*until <= now || entries.kept.len() >= MOST)
        {
            let oldest = *oldest;
            entries.remove(oldest);
        }
        entries.users.entry(pending.user().clone()).or_default().push_back(number);
        let time = u64::try_from(TIME.as_millis()).unwrap_or(u64::MAX);
        entries.kept.insert(number, (now.saturating_add(time), pending));
    }

    /// Takes a step up, once.
    pub(super) fn take(&self, now: u64, number: u64) -> Option<Pending> {
        let (until, pending) = self.0.lock().remove(number)?;
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

    fn consent() -> Pending {
        consent_of(Principal::anonymous())
    }

    fn consent_of(principal: Principal) -> Pending {
        let stage = Outline { authority: authority(), resource: String::new(), scopes: Vec::new() };
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
        let user = |number: usize| Principal::of("https://a", &number.to_string());
        let first = steps.keep(0, consent());
        (0..MOST).for_each(|number| {
            steps.keep(0, consent_of(user(number)));
        });
        assert!(steps.take(0, first).is_none(), "the oldest went");
        assert_eq!(steps.0.lock().kept.len(), MOST);
        steps.keep(u64::MAX, consent());
        let entries = steps.0.lock();
        assert_eq!((entries.kept.len(), entries.users.len()), (1, 1), "what is over went");
    }

    #[test]
    fn one_user_pushes_out_nobody_else() {
        let steps = Steps::default();
        let asked = steps.keep(0, consent_of(Principal::of("https://a", "ada")));
        let first = steps.keep(0, consent());
        (0..2 * MOST).for_each(|_| {
            steps.keep(0, consent());
        });
        assert!(steps.take(0, first).is_none(), "the oldest of their own went");
        assert_eq!(steps.0.lock().kept.len(), OWN + 1);
        assert!(steps.take(0, asked).is_some());
        assert_eq!(steps.0.lock().users.len(), 1);
    }
}
