//! One token: fetched when first needed, once for all who wait, and anew before it ends.

use super::CredentialError;
use super::token::{Fresh, Token};
use crate::BackendError;
use crate::flight::{Flight, launch};
use async_trait::async_trait;
use parking_lot::Mutex;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::time::Instant;
use weir_runtime::Backoff;

/// Pauses after failures.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A backend that refuses a new token at once is not the reason for another one within so much time.
const RENEWALS: Duration = Duration::from_secs(5);

/// Where tokens come from.
#[async_trait]
pub(crate) trait Source: Send + Sync + Debug {
    /// Asks for one.
    async fn obtain(&self) -> Result<Fresh, CredentialError>;
}

/// A place for one token.
#[derive(Debug)]
pub(crate) struct Slot {
    backend: String,
    source: Box<dyn Source>,
    handle: Handle,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    token: Option<Token>,
    fetching: Option<Flight<Token>>,
    /// The last attempt failed; until then no other one is made.
    failed: Option<(Instant, BackendError)>,
    backoff: Backoff,
    /// When a backend's refusal was last the reason for a new token.
    refused: Option<Instant>,
    /// Counts the attempts.
    attempts: u64,
}

impl Slot {
    /// An empty place, filled from `source`; `backend` is what the log calls it.
    pub(crate) fn new(backend: String, source: Box<dyn Source>, handle: Handle) -> Self {
        let state = State {
            token: None,
            fetching: None,
            failed: None,
            backoff: Backoff::new(FIRST_PAUSE, LONGEST_PAUSE),
            refused: None,
            attempts: 0,
        };
        Self { backend, source, handle, state: Mutex::new(state) }
    }

    /// The token. However many wait for it, one request is made. One that ends soon is fetched anew beside the calls, which
    /// go on with what there is.
    pub(crate) async fn token(self: &Arc<Self>) -> Result<Token, BackendError> {
        let fetching = {
            let mut state = self.state.lock();
            let now = Instant::now();
            let may_try = state.failed.as_ref().is_none_or(|(until, _)| *until <= now);
            if let Some(token) = state.token.as_ref().filter(|token| now < token.end).cloned() {
                if now >= token.renewal && state.fetching.is_none() && may_try {
                    drop(self.begin(&mut state));
                }
                return Ok(token);
            }
            match (&state.fetching, &state.failed) {
                (Some(fetching), _) => fetching.clone(),
                (None, Some((_, error))) if !may_try => return Err(error.clone()),
                (None, _) => self.begin(&mut state),
            }
        };
        fetching.await
    }

    /// The backend refused the token with this `number`: it is dropped, and another one fetched. `None` where that was done
    /// a moment ago and did not help.
    pub(crate) async fn renew(self: &Arc<Self>, number: u64) -> Result<Option<Token>, BackendError> {
        {
            let mut state = self.state.lock();
            // Another call may have been here with the same token.
            if state.token.as_ref().is_some_and(|token| token.number == number) {
                if state.refused.is_some_and(|at| at.elapsed() < RENEWALS) {
                    return Ok(None);
                }
                state.refused = Some(Instant::now());
                state.token = None;
            }
        }
        self.token().await.map(Some)
    }

    fn begin(self: &Arc<Self>, state: &mut State) -> Flight<Token> {
        state.attempts += 1;
        let (number, own) = (state.attempts, self.clone());
        let fetching = launch(&self.handle, async move {
            let asked = Instant::now();
            let fresh = own.source.obtain().await;
            let token = fresh.and_then(|fresh| Token::new(&fresh, number, asked));
            own.settle(token)
        });
        state.fetching = Some(fetching.clone());
        fetching
    }

    fn settle(&self, found: Result<Token, CredentialError>) -> Result<Token, BackendError> {
        let mut state = self.state.lock();
        state.fetching = None;
        match found {
            Ok(token) => {
                state.failed = None;
                state.backoff.reset();
                state.token = Some(token.clone());
                Ok(token)
            }
            Err(error) => {
                let (backend, detail) = (&self.backend, error.detail());
                tracing::warn!(backend, %error, detail, "no credential could be had");
                let pause = state.backoff.next();
                let error = BackendError::Credential(error);
                state.failed = Some((Instant::now() + pause, error.clone()));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests;
