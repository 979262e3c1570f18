//! The link that takes a user from a call to the page on which its backend is connected.

use crate::seal::{Purpose, Seal, identity};
use serde::{Deserialize, Serialize};
use std::io;
use std::time::Duration;
use weir_policies::Principal;

/// How long a link holds.
const HOLDS: Duration = Duration::from_secs(3600);

/// What a link is for. It opens for the user alone whom it was made for, and is no credential: whoever has it still has to
/// log in as that user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Link {
    /// Number of the endpoint.
    #[serde(rename = "e")]
    pub(crate) endpoint: usize,
    /// Number of the backend.
    #[serde(rename = "b")]
    pub(crate) backend: usize,
    /// The number of the policies that let the call be made for which the link is.
    #[serde(rename = "p")]
    pub(crate) policies: u64,
    /// The session whose client is told when it is done, and by which name it knows the link.
    #[serde(rename = "s")]
    pub(crate) told: Option<(u128, String)>,
    /// When it ends, by the clock of the seal.
    #[serde(rename = "u")]
    until: u64,
}

impl Link {
    /// A link to connect this backend, for somebody whom these policies let use it.
    pub(crate) fn new(
        seal: &Seal,
        (endpoint, backend): (usize, usize),
        policies: u64,
        told: Option<(u128, String)>,
    ) -> Self {
        let holds = u64::try_from(HOLDS.as_millis()).unwrap_or(u64::MAX);
        Self { endpoint, backend, policies, told, until: seal.now().saturating_add(holds) }
    }

    /// The link as text, for this user.
    ///
    /// # Errors
    /// The system gives no random bytes.
    pub(crate) fn seal(&self, seal: &Seal, principal: &Principal) -> io::Result<String> {
        seal.seal(Purpose::Link, &serde_json::to_vec(self)?, &identity(principal))
    }

    /// The link that was made for this user; `None` for one that is another's, forged, or over.
    pub(crate) fn open(seal: &Seal, principal: &Principal, text: &str) -> Option<Self> {
        let plain = seal.open(Purpose::Link, text.as_bytes(), &identity(principal))?;
        let link: Self = serde_json::from_slice(&plain).ok()?;
        (link.until > seal.now()).then_some(link)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_its_users_own() {
        let seal = Seal::new().unwrap();
        let (ada, eve) = (Principal::of("https://a", "ada"), Principal::of("https://a", "eve"));
        let link = Link::new(&seal, (1, 2), 3, Some((u128::MAX, "c-1".to_owned())));
        let text = link.seal(&seal, &ada).unwrap();
        assert!(text.len() < 200, "{} characters", text.len());
        assert_eq!(Link::open(&seal, &ada, &text), Some(link.clone()));
        for other in [eve, Principal::of("https://aa", "da"), Principal::anonymous()] {
            assert_eq!(Link::open(&seal, &other, &text), None);
        }
        assert_eq!(Link::open(&Seal::new().unwrap(), &ada, &text), None);
        let over = Link { until: 0, ..link };
        assert_eq!(Link::open(&seal, &ada, &over.seal(&seal, &ada).unwrap()), None);
    }
}
