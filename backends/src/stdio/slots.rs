//! Where children belong: a place for each, filled when first needed.

use super::child::Child;
use crate::departed::Departed;
use crate::{BackendError, SessionKey};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use weir_runtime::Backoff;

#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) of: HashMap<Key, Arc<Slot>>,
    pub(super) departed: Departed,
    pub(super) closed: bool,
}

/// Whom a child serves, and its number among those that serve the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) client: SessionKey,
    pub(super) instance: usize,
}

impl Key {
    /// The child of weir's own requests: lists and subscriptions.
    pub(super) const OWN: Self = Self::first(SessionKey::Shared);

    pub(super) const fn first(client: SessionKey) -> Self {
        Self { client, instance: 0 }
    }
}

/// The place of one child, which is filled when first needed and again after the child ended.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) key: Key,
    /// Nothing is started here any more. Beside the lock, so that a start under way ends at once.
    pub(super) closed: watch::Sender<bool>,
    pub(super) state: tokio::sync::Mutex<SlotState>,
}

#[derive(Debug)]
pub(super) struct SlotState {
    pub(super) child: Option<Arc<Child>>,
    pub(super) started: Instant,
    pub(super) backoff: Backoff,
    pub(super) not_before: Instant,
}

impl Slot {
    pub(super) fn new(key: Key) -> Self {
        let now = Instant::now();
        let backoff = Backoff::new(Duration::from_millis(250), Duration::from_secs(30));
        let state = SlotState { child: None, started: now, backoff, not_before: now };
        Self { key, closed: watch::Sender::new(false), state: tokio::sync::Mutex::new(state) }
    }

    /// Stops the child, also one that is just being started, for good.
    pub(super) async fn stop(&self) {
        self.closed.send_replace(true);
        let child = self.state.lock().await.child.take();
        if let Some(child) = child {
            child.stop().await;
        }
    }
}

impl Slots {
    pub(super) fn get(&mut self, key: Key) -> Result<Arc<Slot>, BackendError> {
        if self.closed {
            return Err(BackendError::Stopping);
        }
        if self.departed.contains(key.client) {
            return Err(BackendError::SessionEnded);
        }
        Ok(self.of.entry(key).or_insert_with(|| Arc::new(Slot::new(key))).clone())
    }
}
