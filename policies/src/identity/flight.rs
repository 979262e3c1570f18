//! Work that is done once for all who wait for it, and to its end even when they leave.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use tokio::sync::watch;

/// The work under way, by what it is about.
pub(crate) struct Flights<K, T> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>,
    most: usize,
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Grounded {
    /// As much is under way as may be.
    #[error("too much is asked at once")]
    Full,
    /// The work ended without one.
    #[error("the work was given up")]
    Lost,
}

impl<K: Clone + Eq + Hash + Send + 'static, T: Clone + Send + Sync + 'static> Flights<K, T> {
    /// At most so many at once.
    pub(crate) fn new(most: usize) -> Self {
        Self { running: Arc::default(), most }
    }

    /// What the work about `key` ends with: that which is under way, or that which `begin` makes. It runs as a task of its own
    /// in the runtime of whoever came first.
    pub(crate) async fn join<F>(&self, key: K, begin: impl FnOnce() -> F) -> Result<T, Grounded>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut outcome = self.receiver(key, begin)?;
        let result = outcome.wait_for(Option::is_some).await.map_err(|_| Grounded::Lost)?.clone();
        result.ok_or(Grounded::Lost)
    }

    /// Begins the work about `key` where none is under way, without waiting for it.
    pub(crate) fn launch<F>(&self, key: K, begin: impl FnOnce() -> F)
    where
        F: Future<Output = T> + Send + 'static,
    {
        // Where as much as may be is under way, the next who needs it begins it.
        let _ = self.receiver(key, begin);
    }

    fn receiver<F>(&self, key: K, begin: impl FnOnce() -> F) -> Result<watch::Receiver<Option<T>>, Grounded>
    where
        F: Future<Output = T> + Send + 'static,
    {
        let mut running = self.running.lock();
        if let Some(outcome) = running.get(&key) {
            return Ok(outcome.clone());
        }
        if running.len() >= self.most {
            return Err(Grounded::Full);
        }
        let (sender, outcome) = watch::channel(None);
        running.insert(key.clone(), outcome.clone());
        drop(running);
        // Taken off the list even where the work ends early, as with its runtime.
        let landing = Landing { running: self.running.clone(), key };
        let work = begin();
        tokio::spawn(async move {
            let result = work.await;
            drop(landing);
            let _ = sender.send(Some(result));
        });
        Ok(outcome)
    }
}

struct Landing<K: Eq + Hash, T> {
    running: Arc<Mutex<HashMap<K, watch::Receiver<Option<T>>>>>,
    key: K,
}

impl<K: Eq + Hash, T> Drop for Landing<K, T> {
    fn drop(&mut self) {
        self.running.lock().remove(&self.key);
    }
}

impl<K, T> fmt::Debug for Flights<K, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("running", &self.running.lock().len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn those_who_wait_share_one_and_leaving_does_not_end_it() {
        let flights = Flights::<u8, usize>::new(1);
        let begun = Arc::new(AtomicUsize::new(0));
        let (release, gate) = watch::channel(false);
        let begin = || {
            let (begun, mut gate) = (begun.clone(), gate.clone());
            async move {
                let count = begun.fetch_add(1, Ordering::SeqCst) + 1;
                let _ = gate.wait_for(|open| *open).await;
                count
            }
        };
        // The first one leaves before there is a result.
        let first = flights.join(1, begin);
        tokio::select! {
            biased;
            _ = first => panic!("it cannot have ended"),
            () = tokio::task::yield_now() => {}
        }
        assert_eq!(flights.join(2, begin).await, Err(Grounded::Full));
        let (second, third) = (flights.join(1, begin), flights.join(1, begin));
        release.send_replace(true);
        assert_eq!(tokio::join!(second, third), (Ok(1), Ok(1)));
        assert_eq!(flights.join(2, begin).await, Ok(2));
        assert_eq!(begun.load(Ordering::SeqCst), 2);
    }
}
