//! How many browsers are answered at once.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Browsers that are answered at once: anybody can come, and what they wait for must not take the places of calls.
const PLACES: usize = 64;
/// How many of them may come from one address.
const SHARE: usize = 32;

/// The places of browsers.
#[derive(Debug)]
pub(super) struct Places {
    all: Semaphore,
    taken: Mutex<HashMap<IpAddr, usize>>,
}

/// A place, until it is dropped.
#[derive(Debug)]
pub(super) struct Place<'p> {
    _place: SemaphorePermit<'p>,
    of: Option<(&'p Places, IpAddr)>,
}

impl Default for Places {
    fn default() -> Self {
        Self { all: Semaphore::new(PLACES), taken: Mutex::default() }
    }
}

impl Places {
    /// A place for a browser that comes from there; `None` where all are taken, or those of its address.
    pub(super) fn enter(&self, address: Option<IpAddr>) -> Option<Place<'_>> {
        let place = self.all.try_acquire().ok()?;
        let Some(network) = address.and_then(network) else {
            return Some(Place { _place: place, of: None });
        };
        let mut taken = self.taken.lock();
        let own = taken.entry(network).or_default();
        if *own >= SHARE {
            return None;
        }
        *own += 1;
        Some(Place { _place: place, of: Some((self, network)) })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let Some((places, network)) = self.of else { return };
        let mut taken = places.taken.lock();
        if let Some(own) = taken.get_mut(&network) {
            *own -= 1;
            if *own == 0 {
                taken.remove(&network);
            }
        }
    }
}

/// Whose an address is: with IPv6 one customer has a whole network. `None` for this machine, which may be a proxy for all.
fn network(address: IpAddr) -> Option<IpAddr> {
    let network = match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) if address.is_loopback() => IpAddr::V6(address),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
    };
    (!network.is_loopback()).then_some(network)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill<'p>(places: &'p Places, address: &str) -> Vec<Place<'p>> {
        (0..2 * PLACES).map_while(|_| places.enter(address.parse().ok())).collect()
    }

    #[test]
    fn browsers_leave_the_places_of_calls() {
        let places = Places::default();
        let taken = fill(&places, "127.0.0.1");
        assert_eq!(taken.len(), PLACES);
        assert!(places.enter(None).is_none());
        drop(taken);
        assert!(places.enter(None).is_some());
    }

    #[test]
    fn one_address_leaves_places_to_others() {
        for (own, same, other) in [
            ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8:0:0:ffff::2", "2001:db8:0:1::1"),
        ] {
            let places = Places::default();
            let taken = fill(&places, own);
            assert_eq!(taken.len(), SHARE);
            assert!(places.enter(same.parse().ok()).is_none());
            assert!(places.enter(other.parse().ok()).is_some());
            drop(taken);
            assert!(places.enter(same.parse().ok()).is_some());
            assert!(places.taken.lock().is_empty(), "nothing is kept of those who left");
        }
    }
}
