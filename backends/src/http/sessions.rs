//! Which sessions with a legacy backend there are, and which are being opened.

use super::Shared;
use super::post::Attempt;
use super::session::{self, ENDING, IDLE, Key, UpstreamSession};
use crate::credentials::{Mark, Party};
use crate::departed::Departed;
use crate::flight::{Flight, launch};
use crate::oauth::Lender;
use crate::{BackendError, SessionKey};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::time::{Instant, timeout};

/// Most sessions of one backend where each caller has some.
const MOST: usize = 10_000;

/// The sessions of one backend.
#[derive(Debug, Default)]
pub(crate) struct Sessions(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    places: HashMap<Key, Place>,
    /// The session of a server that keeps none; it serves everybody.
    stateless: Option<Arc<UpstreamSession>>,
    departed: Departed,
    /// Counts the handshakes, so that each knows its own place again.
    handshakes: u64,
    closed: bool,
}

#[derive(Debug)]
enum Place {
    /// The handshake with this number is under way.
    Opening(u64, Flight<Arc<UpstreamSession>>),
    Open(Arc<UpstreamSession>),
}

/// Whether a session is of another lender than `now`, or of none.
fn is_of_another(session: &Party, now: &Party) -> bool {
    match (session, now) {
        (Party::Lender(session), Party::Lender(now)) => session.number < now.number,
        (Party::Lender(_), Party::Weir) | (Party::Weir, Party::Lender(_)) => true,
        _ => false,
    }
}

impl Sessions {
    /// The session of weir's own requests. One that was opened with a grant of somebody else than it would be now is left.
    pub(crate) async fn own(&self, shared: &Arc<Shared>) -> Result<Arc<UpstreamSession>, BackendError> {
        let party = shared.credentials.own_party().await;
        let session = self.open(shared, Key::OWN, &party).await?;
        if !is_of_another(&session.party(), &party) {
            return Ok(session);
        }
        self.forget(Key::OWN, &session);
        session.abandon();
        self.open(shared, Key::OWN, &party).await
    }

    /// The session for `key`, opened on behalf of `party` where there is none. However many wait for it, one handshake is made; whoever
    /// leaves meanwhile does not stop it.
    pub(crate) async fn open(
        &self,
        shared: &Arc<Shared>,
        key: Key,
        party: &Party,
    ) -> Result<Arc<UpstreamSession>, BackendError> {
        let opening = {
            let mut state = self.0.lock();
            if state.closed {
                return Err(BackendError::Stopping);
            }
            // One caller's is nobody else's, even where the server tells no sessions apart.
            if let Some(session) = state.stateless.as_ref().filter(|_| key.mark.is_none()) {
                return Ok(session.clone());
            }
            match state.places.get(&key) {
                Some(Place::Open(session)) if !session.has_ended() => {
                    *session.used.lock() = Instant::now();
                    return Ok(session.clone());
                }
                Some(Place::Opening(_, opening)) => opening.clone(),
                _ if state.departed.contains(key.client) => return Err(BackendError::SessionEnded),
                _ if key.mark.is_some() && state.places.len() >= MOST => {
                    return Err(BackendError::Busy { limit: MOST, what: "sessions of its callers are open" });
                }
                _ => {
                    state.handshakes += 1;
                    let number = state.handshakes;
                    let opening =
                        launch(&shared.handle, session::open(shared.clone(), key, party.clone(), number));
                    state.places.insert(key, Place::Opening(number, opening.clone()));
                    opening
                }
            }
        };
        opening.await
    }

    /// Takes in what the handshake `number` ended with; `false` where nobody wants the session any more.
    pub(super) fn settle(&self, key: Key, number: u64, session: Option<&Arc<UpstreamSession>>) -> bool {
        let mut state = self.0.lock();
        let ours = matches!(state.places.get(&key), Some(Place::Opening(present, _)) if *present == number);
        if ours {
            state.places.remove(&key);
        }
        match session {
            Some(session) if session.is_stateless() && key.mark.is_none() && !state.closed => {
                state.stateless = Some(session.clone());
                true
            }
            Some(session) if ours => {
                state.places.insert(key, Place::Open(session.clone()));
                true
            }
            _ => false,
        }
    }

    /// The server no longer knows `lost`; the next call opens another.
    pub(crate) fn forget(&self, key: Key, lost: &Arc<UpstreamSession>) {
        let mut state = self.0.lock();
        if state.stateless.as_ref().is_some_and(|session| Arc::ptr_eq(session, lost)) {
            state.stateless = None;
        }
        if matches!(state.places.get(&key), Some(Place::Open(session)) if Arc::ptr_eq(session, lost)) {
            state.places.remove(&key);
        }
    }

    /// As [`Sessions::forget`], wherever the session is.
    pub(crate) fn forget_everywhere(&self, lost: &Arc<UpstreamSession>) {
        let key = {
            let state = self.0.lock();
            let is_it = |place: &Place| matches!(place, Place::Open(session) if Arc::ptr_eq(session, lost));
            state.places.iter().find(|(_, place)| is_it(place)).map(|(key, _)| *key)
        };
        self.forget(key.unwrap_or(Key::OWN), lost);
    }

    /// As [`Sessions::forget`], where what was `sent` in `session` says so. Answers whether it does. Where that is but a
    /// guess, the session is ended once no request runs in it any more.
    pub(crate) fn forget_if_lost(
        &self,
        key: Key,
        session: &Arc<UpstreamSession>,
        sent: &Result<Attempt, BackendError>,
    ) -> bool {
        match sent {
            Err(BackendError::SessionLost) => {}
            Ok(Attempt::Unplaced(_)) => session.abandon(),
            _ => return false,
        }
        self.forget(key, session);
        true
    }

    /// Takes the sessions of `client` out. A handshake under way ends what it opens.
    pub(crate) fn take(&self, client: SessionKey) -> Vec<Arc<UpstreamSession>> {
        let taken = self.0.lock().places.extract_if(|key, _| key.client == client).collect::<Vec<_>>();
        let open = |place| match place {
            Place::Open(session) => Some(session),
            Place::Opening(..) => None,
        };
        taken.into_iter().filter_map(|(_, place)| open(place)).collect()
    }

    /// Takes one session out, where it is open.
    pub(crate) fn take_one(&self, key: Key) -> Option<Arc<UpstreamSession>> {
        match self.0.lock().places.remove(&key)? {
            Place::Open(session) => Some(session),
            Place::Opening(..) => None,
        }
    }

    /// Takes `session` out where nobody uses it and has not for [`IDLE`].
    pub(super) fn take_idle(&self, key: Key, session: &Arc<UpstreamSession>) -> bool {
        let mut state = self.0.lock();
        let present =
            matches!(state.places.get(&key), Some(Place::Open(present)) if Arc::ptr_eq(present, session));
        // One is held here and one by its place.
        let is_idle = Arc::strong_count(session) <= 2 && session.used.lock().elapsed() >= IDLE;
        present && is_idle && state.places.remove(&key).is_some()
    }

    /// As [`Sessions::take`], for good: a late call of the same client opens nothing any more.
    pub(crate) fn take_for_good(&self, client: SessionKey) -> Vec<Arc<UpstreamSession>> {
        self.0.lock().departed.add(client);
        self.take(client)
    }

    /// Takes out what is everybody's, since whatever answers at this address next may be another program. Requests that
    /// run in it go on.
    pub(crate) fn abandon_shared(&self) {
        self.0.lock().stateless = None;
        for session in self.take(SessionKey::Shared) {
            session.abandon();
        }
    }

    /// Takes out the session of weir's own requests where its lender is `over`. Requests that run in it go on.
    pub(crate) fn abandon_lent(&self, over: impl Fn(&Lender) -> bool) {
        let is_over =
            |session: &UpstreamSession| matches!(session.party(), Party::Lender(lender) if over(&lender));
        let taken = {
            let mut state = self.0.lock();
            let own = matches!(state.places.get(&Key::OWN), Some(Place::Open(session)) if is_over(session));
            let own = if own { state.places.remove(&Key::OWN) } else { None };
            (state.stateless.take_if(|session| is_over(session)), own)
        };
        if let (_, Some(Place::Open(session))) = taken {
            session.abandon();
        }
    }

    /// Takes out the sessions of callers that are `over`. Requests that run in them go on.
    pub(crate) fn abandon_marked(&self, over: impl Fn(Mark) -> bool) {
        let taken = {
            let mut state = self.0.lock();
            state.places.extract_if(|key, _| key.mark.is_some_and(&over)).collect::<Vec<_>>()
        };
        for (_, place) in taken {
            if let Place::Open(session) = place {
                session.abandon();
            }
        }
    }

    /// Ends everything, for good.
    pub(crate) async fn close(&self, shared: &Shared) {
        let places = {
            let mut state = self.0.lock();
            state.closed = true;
            state.stateless = None;
            std::mem::take(&mut state.places)
        };
        let ended = places.into_values().map(|place| async move {
            match place {
                Place::Open(session) => session::end(shared, &session).await,
                // Finding its place gone, it ends what it opened.
                Place::Opening(_, opening) => drop(opening.await),
            }
        });
        let _ = timeout(2 * ENDING, futures_util::future::join_all(ended)).await;
    }
}
