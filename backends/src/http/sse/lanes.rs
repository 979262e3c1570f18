//! Which stream a call gets whose client can be asked, among those that clients share.
//!
//! A request of the server on such a stream does not say which call it belongs to. So the call has the stream to itself.

use crate::credentials::Mark;
use crate::exchange::Held;
use parking_lot::Mutex;
use std::sync::Arc;
use weir_protocol::ClientCapabilities;

/// The streams of one backend, by number.
#[derive(Debug, Default)]
pub(crate) struct Lanes(Mutex<Vec<Lane>>);

#[derive(Debug)]
struct Lane {
    busy: bool,
    /// What the server was told when the stream was opened, and with whose credential.
    told: Told,
}

/// What a stream was opened with.
pub(crate) type Told = (ClientCapabilities, Option<Mark>);

/// The right to a stream, until it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    lanes: Arc<Lanes>,
    /// The stream's number, from 1.
    pub(crate) lane: usize,
    /// What the server was told before, where that differs: that stream is of no use any more.
    pub(crate) before: Option<Told>,
}

impl Held for Taken {}

impl Drop for Taken {
    fn drop(&mut self) {
        if let Some(lane) = self.lanes.0.lock().get_mut(self.lane - 1) {
            lane.busy = false;
        }
    }
}

impl Lanes {
    /// A stream for a call whose client is `told` of: one like it, else a new one, else another. There are `limit` of
    /// them; as many calls may be under way, so that one is always free.
    pub(crate) fn take(self: &Arc<Self>, told: Told, limit: usize) -> Option<Taken> {
        let mut lanes = self.0.lock();
        let alike = lanes.iter().position(|lane| !lane.busy && lane.told == told);
        let index = match alike {
            Some(index) => index,
            None if lanes.len() < limit => {
                lanes.push(Lane { busy: false, told });
                lanes.len() - 1
            }
            None => lanes.iter().position(|lane| !lane.busy)?,
        };
        let lane = lanes.get_mut(index)?;
        lane.busy = true;
        let before = std::mem::replace(&mut lane.told, told);
        Some(Taken { lanes: self.clone(), lane: index + 1, before: (before != told).then_some(before) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credentials::Party;
    use ClientCapabilities as C;
    use weir_policies::Principal;

    #[test]
    fn streams_are_used_again() {
        let lanes = Arc::new(Lanes::default());
        let take = |capabilities| lanes.take((capabilities, None), 2);
        let first = take(C::FORM).unwrap();
        let second = take(C::FORM).unwrap();
        assert_eq!((first.lane, second.lane), (1, 2));
        assert!(take(C::FORM).is_none());
        drop(first);
        assert_eq!(take(C::FORM).unwrap().lane, 1);
        let other = take(C::ROOTS).unwrap();
        assert_eq!((other.lane, other.before), (1, Some((C::FORM, None))));
        drop(other);
        let caller = Party::Caller(std::sync::Arc::new(Principal::of("i", "ada"))).mark();
        let hers = lanes.take((C::ROOTS, caller), 2).unwrap();
        assert_eq!(
            (hers.lane, hers.before),
            (1, Some((C::ROOTS, None))),
            "no caller gets the stream of another"
        );
    }
}
