//! Calls of modern clients that legacy backends have a question about: kept until the client comes back with the answer.
//!
//! A modern client gets the question as the result of its request, and answers with another request. Meanwhile a keeper
//! holds the call and goes on reading it, so that pings are answered and its end is noticed. One request takes it out; a
//! second one with the same ticket finds nothing.

use super::{Running, Terms, questions};
use crate::client::{Client, Gone};
use crate::drain::{Phase, reached};
use crate::gateway::Core;
use crate::pulse;
use crate::rescue::Fault;
use crate::ticket::{Next, Ticket, refused};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use weir_protocol::{ClientCapabilities, code};
use weir_telemetry::Kind;

/// All parked calls.
#[derive(Debug, Default)]
pub(crate) struct Parking {
    slots: Mutex<HashMap<u64, Slot>>,
    last: AtomicU64,
    places: Arc<AtomicUsize>,
}

/// A parked call as those who look for it see it. Dropped, it ends the call.
#[derive(Debug)]
struct Slot {
    /// What was asked.
    keys: Arc<[String]>,
    /// Tells the keeper to whom the call is to be given.
    claim: oneshot::Sender<oneshot::Sender<Running>>,
}

/// A place among the calls that may be parked at once.
#[derive(Debug)]
pub(super) struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Parking {
    /// A place for one more call; `None` where there are `limit` already.
    pub(super) fn place(&self, limit: usize) -> Option<Place> {
        // The count goes up before the look; a place that is not given is taken back by being dropped.
        let before = self.places.fetch_add(1, Ordering::AcqRel);
        let place = Place(self.places.clone());
        (before < limit).then_some(place)
    }

    fn insert(&self, slot: Slot) -> u64 {
        let number = self.last.fetch_add(1, Ordering::Relaxed);
        self.slots.lock().insert(number, slot);
        number
    }

    /// Ends the parked call of this number, if it is there.
    pub(crate) fn remove(&self, number: u64) {
        let slot = self.slots.lock().remove(&number);
        drop(slot);
    }

    /// Takes a call out, which nobody can do twice; `responses` are the raw `inputResponses` for it.
    pub(crate) async fn claim(&self, number: u64, responses: Option<&[u8]>) -> Result<Running, Fault> {
        let gone =
            || refused("was used before, or its call has ended; the request may be made anew without it");
        // Responses may be long: they are not read under the lock that all parked calls share.
        let keys = self.slots.lock().get(&number).map(|slot| slot.keys.clone()).ok_or_else(gone)?;
        if let Some(wrong) = responses.and_then(|responses| questions::fault_of(responses, &keys)) {
            return Err(Fault::new(400, code::INVALID_PARAMS, wrong));
        }
        let slot = self.slots.lock().remove(&number);
        let (give, given) = oneshot::channel();
        slot.and_then(|slot| slot.claim.send(give).ok()).ok_or_else(gone)?;
        given.await.map_err(|_| gone())
    }
}

/// Asks the client what its call's backend wants to know, and keeps the call until it comes back.
pub(super) async fn park(
    client: &mut Client<'_>,
    mut running: Running,
    terms: &Terms<'_>,
) -> Result<(), Gone> {
    match question(&mut running, terms) {
        Ok(round) => {
            // A program that has one process serves nobody else meanwhile: whoever wonders finds this line.
            tracing::info!(backend = running.backend.name(), "a call waits for what its client is asked");
            let core = &terms.post.core;
            tokio::spawn(keep(
                core.clone(),
                running,
                round.number,
                round.claimed,
                round.end,
                terms.manner.capabilities,
            ));
            let answered = client.answer(200, &[round.body]).await;
            if answered.is_err() {
                core.parking.remove(round.number);
            }
            answered
        }
        Err(fault) => {
            // Before the client hears of it, so that the backend hears of it too.
            drop(running);
            let answer = terms.asker.fault(&fault);
            client.answer(answer.status, &[answer.body]).await
        }
    }
}

/// One round of questions.
struct Round {
    number: u64,
    claimed: oneshot::Receiver<oneshot::Sender<Running>>,
    end: Instant,
    body: bytes::Bytes,
}

fn question(running: &mut Running, terms: &Terms<'_>) -> Result<Round, Fault> {
    let (post, name) = (terms.post, running.backend.name().to_owned());
    let fault = |kind, why: String| {
        tracing::warn!(backend = name, why, "a call that asks its client is given up");
        Fault { kind, ..Fault::new(200, code::INTERNAL_ERROR, format!("backend `{name}` {why}")) }
    };
    let config = &post.snapshot.config;
    let Some(questions) = &mut running.questions else {
        return Err(fault(Kind::Gateway, "asks nothing".to_owned()));
    };
    let now = Instant::now();
    let left = config.timeouts.inputs.saturating_sub(questions.waited);
    let end = (*questions.end.get_or_insert(now + config.timeouts.input)).min(now + left);
    if questions.rounds >= config.limits.rounds {
        let why = format!("asks the client more than {} times", config.limits.rounds);
        return Err(fault(Kind::Limited, why));
    }
    if !left.is_zero() && end <= now {
        let input = config.timeouts.input.as_secs_f64();
        return Err(fault(Kind::Limited, format!("asked its client, which gave no answer within {input} s")));
    }
    if end <= now {
        let why = format!("asks the client for longer than {} s", config.timeouts.inputs.as_secs_f64());
        return Err(fault(Kind::Limited, why));
    }
    questions.rounds += 1;
    questions.parked = Some(now);
    let (claim, claimed) = oneshot::channel();
    let number = post.core.parking.insert(Slot { keys: questions.keys().into(), claim });
    let ticket = Ticket::new(post, &running.backend, Next::Parked(number), end - now);
    match ticket.seal(&post.core.seal, &post.principal) {
        Ok(state) => Ok(Round {
            number,
            claimed,
            end,
            body: questions.ask(&terms.asker.id, &state, &post.endpoint, &name),
        }),
        Err(error) => {
            post.core.parking.remove(number);
            Err(fault(Kind::Gateway, format!("cannot be answered: {error}")))
        }
    }
}

/// Keeps a parked call until it is claimed, or its time is over, or its backend or weir ends.
async fn keep(
    core: Arc<Core>,
    mut running: Running,
    number: u64,
    mut claimed: oneshot::Receiver<oneshot::Sender<Running>>,
    end: Instant,
    capabilities: ClientCapabilities,
) {
    let (pulse, mut drain) = (pulse::here(), core.drain.watch());
    let mut late = pin!(sleep_until(end));
    // Once weir takes no requests any more, nobody can come back.
    let mut draining = pin!(reached(&mut drain, Phase::Draining));
    loop {
        tokio::select! {
            biased;
            claim = &mut claimed => {
                if let Ok(give) = claim {
                    if let Some(questions) = &mut running.questions {
                        questions.resume();
                    }
                    // Where the other side has gone, the call comes back and is dropped.
                    let _ = give.send(running);
                }
                return;
            }
            () = &mut draining => break,
            () = &mut late => {
                tracing::info!(backend = running.backend.name(), "a client never answered what it was asked: its call is cancelled");
                break;
            }
            () = pulse.notified() => {
                if running.backend.is_given_up() {
                    break;
                }
            }
            event = running.next(), if !running.ended => running.keep(event, capabilities),
        }
    }
    core.parking.remove(number);
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    fn slot() -> (Slot, oneshot::Receiver<oneshot::Sender<Running>>) {
        let (claim, claimed) = oneshot::channel();
        (Slot { keys: vec!["roots-1".to_owned()].into(), claim }, claimed)
    }

    #[test]
    fn places_are_bounded_and_come_back() {
        let parking = Parking::default();
        let first = parking.place(2).unwrap();
        let second = parking.place(2).unwrap();
        assert!(parking.place(2).is_none());
        drop(first);
        let third = parking.place(2).unwrap();
        assert!(parking.place(2).is_none());
        drop((second, third));
        assert_eq!(parking.places.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_call_is_claimed_once() {
        let parking = Parking::default();
        let (own, mut claimed) = slot();
        let number = parking.insert(own);
        // What cannot be used costs nothing: it may be put right.
        let wrong = parking.claim(number, Some(br#"{"roots-1":7}"#)).now_or_never();
        assert!(matches!(wrong, Some(Err(fault)) if fault.message.contains("roots-1")));
        assert!(claimed.try_recv().is_err());
        let mut first = Box::pin(parking.claim(number, None));
        assert!(first.as_mut().now_or_never().is_none(), "the keeper is asked");
        let second = parking.claim(number, None).now_or_never();
        assert!(matches!(second, Some(Err(_))), "it is taken");
        drop(claimed.try_recv().unwrap());
        assert!(matches!(first.now_or_never(), Some(Err(_))), "the keeper has ended");
        assert!(parking.slots.lock().is_empty());
    }

    #[test]
    fn what_is_removed_ends_its_keeper() {
        let parking = Parking::default();
        let (own, mut claimed) = slot();
        let number = parking.insert(own);
        parking.remove(number);
        parking.remove(number);
        assert!(matches!(claimed.try_recv(), Err(oneshot::error::TryRecvError::Closed)));
        assert!(matches!(parking.claim(number, None).now_or_never(), Some(Err(_))));
    }
}
