//! Legacy clients' sessions: a bounded store in memory.
//!
//! S: MCP 2025-11-25 `basic/transports` "Session Management".

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its number, 128 random bits; in hexadecimal it is the `Mcp-Session-Id`.
    pub(crate) number: u128,
    /// Index of its endpoint.
    pub(crate) endpoint: usize,
    /// Milliseconds since the store was made.
    last_used: AtomicU64,
    /// Requests and streams under way.
    open: AtomicU32,
    /// Calls under way that the client may cancel.
    calls: Mutex<Vec<OpenCall>>,
    /// The stream that carries notifications, where one is open.
    stream: Mutex<Option<Arc<Notify>>>,
}

/// A call that the client may cancel.
#[derive(Debug)]
struct OpenCall {
    /// The client's raw id.
    id: Box<[u8]>,
    cancelled: Arc<Notify>,
}

/// Keeps a session from being idle while a request or stream is open.
#[derive(Debug)]
pub(crate) struct Visit {
    pub(crate) session: Arc<Session>,
    epoch: Instant,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.session.last_used.store(millis(self.epoch), Ordering::Relaxed);
        self.session.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call that `notifications/cancelled` reaches as long as this lives.
#[derive(Debug)]
pub(crate) struct Cancellable {
    session: Arc<Session>,
    pub(crate) cancelled: Arc<Notify>,
}

impl Drop for Cancellable {
    fn drop(&mut self) {
        self.session.calls.lock().retain(|call| !Arc::ptr_eq(&call.cancelled, &self.cancelled));
    }
}

impl Session {
    /// The id that stands on the wire.
    pub(crate) fn id(&self) -> String {
        format!("{:032x}", self.number)
    }

    /// Makes the call with this raw id cancellable.
    pub(crate) fn cancellable(self: &Arc<Self>, id: &[u8]) -> Cancellable {
        let cancelled = Arc::new(Notify::new());
        self.calls.lock().push(OpenCall { id: id.into(), cancelled: cancelled.clone() });
        Cancellable { session: self.clone(), cancelled }
    }

    /// Cancels the calls with this raw id.
    pub(crate) fn cancel(&self, id: &[u8]) {
        for call in self.calls.lock().iter().filter(|call| *call.id == *id) {
            call.cancelled.notify_one();
        }
    }

    /// Opens the stream of notifications. An older one ends: a client that reconnects must not wait until weir has found
    /// out that its old connection is dead, and each message goes to one stream only.
    pub(crate) fn take_stream(&self) -> Arc<Notify> {
        let ended = Arc::new(Notify::new());
        if let Some(older) = self.stream.lock().replace(ended.clone()) {
            older.notify_one();
        }
        ended
    }
}

/// A session's number is random, so its low bits are as good as any hash of it.
#[derive(Debug, Default, Clone, Copy)]
struct Random(u64);

impl Hasher for Random {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, number: u128) {
        // The shard already tells the lowest bits apart.
        self.0 = (number >> 64) as u64;
    }
}

type Shard = Mutex<HashMap<u128, Arc<Session>, BuildHasherDefault<Random>>>;

/// How many places the sessions are spread over, so that threads seldom wait for each other.
const SHARDS: usize = 16;

/// All sessions of a gateway.
#[derive(Debug)]
pub(crate) struct Sessions {
    shards: [Shard; SHARDS],
    count: AtomicUsize,
    limit: usize,
    idle: Duration,
    epoch: Instant,
}

impl Sessions {
    /// A store of at most `limit` sessions; one that is idle for `idle` ends.
    pub(crate) fn new(limit: usize, idle: Duration) -> Self {
        Self { shards: Default::default(), count: AtomicUsize::new(0), limit, idle, epoch: Instant::now() }
    }

    fn shard(&self, number: u128) -> &Shard {
        let [first, ..] = &self.shards;
        self.shards.get((number % SHARDS as u128) as usize).unwrap_or(first)
    }

    /// Opens a session; `None` where there are as many as allowed.
    pub(crate) fn open(&self, endpoint: usize) -> Result<Option<Visit>, getrandom::Error> {
        let taken = self.count.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| {
            (count < self.limit).then_some(count + 1)
        });
        if taken.is_err() {
            return Ok(None);
        }
        let mut random = [0u8; 16];
        if let Err(error) = getrandom::fill(&mut random) {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return Err(error);
        }
        let session = Arc::new(Session {
            number: u128::from_be_bytes(random),
            endpoint,
            last_used: AtomicU64::new(millis(self.epoch)),
            open: AtomicU32::new(1),
            calls: Mutex::default(),
            stream: Mutex::default(),
        });
        self.shard(session.number).lock().insert(session.number, session.clone());
        Ok(Some(Visit { session, epoch: self.epoch }))
    }

    /// The session with this id on this endpoint.
    pub(crate) fn visit(&self, endpoint: usize, id: &str) -> Option<Visit> {
        let number = number_of(id)?;
        let shard = self.shard(number).lock();
        let session = shard.get(&number).filter(|session| session.endpoint == endpoint)?;
        session.open.fetch_add(1, Ordering::Relaxed);
        Some(Visit { session: session.clone(), epoch: self.epoch })
    }

    /// Ends a session; its stream ends too.
    pub(crate) fn end(&self, number: u128) -> Option<Arc<Session>> {
        let session = self.shard(number).lock().remove(&number)?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(stream) = session.stream.lock().take() {
            stream.notify_one();
        }
        Some(session)
    }

    /// Ends the sessions that have been idle too long, and answers them.
    pub(crate) fn sweep(&self) -> Vec<Arc<Session>> {
        let idle = u64::try_from(self.idle.as_millis()).unwrap_or(u64::MAX);
        let oldest = millis(self.epoch).saturating_sub(idle);
        let mut ended = Vec::new();
        for shard in &self.shards {
            shard.lock().retain(|_, session| {
                let stays = session.open.load(Ordering::Relaxed) > 0
                    || session.last_used.load(Ordering::Relaxed) >= oldest;
                if !stays {
                    ended.push(session.clone());
                }
                stays
            });
        }
        self.count.fetch_sub(ended.len(), Ordering::Relaxed);
        ended
    }
}

/// The number that an id writes: 32 hexadecimal digits, read in halves because that is much faster.
fn number_of(id: &str) -> Option<u128> {
    let digits = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (high, low) = id.split_at_checked(16).filter(|_| digits)?;
    let half = |text| u64::from_str_radix(text, 16).ok().map(u128::from);
    Some(half(high)? << 64 | half(low)?)
}

fn millis(epoch: Instant) -> u64 {
    u64::try_from(epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn sessions_are_bounded_and_end_when_idle() {
        let sessions = Sessions::new(2, Duration::from_secs(10));
        let first = sessions.open(0).unwrap().unwrap();
        let second = sessions.open(1).unwrap().unwrap();
        assert!(sessions.open(0).unwrap().is_none());
        let id = first.session.id();
        assert!(sessions.visit(0, &id).is_some());
        assert!(sessions.visit(1, &id).is_none(), "a session belongs to its endpoint");
        for id in ["nonsense", "", &"+".repeat(32), &"é".repeat(16)] {
            assert!(sessions.visit(0, id).is_none(), "{id}");
        }
        drop(second);
        tokio::time::advance(Duration::from_secs(11)).await;
        let ended = sessions.sweep();
        assert_eq!(ended.len(), 1, "the first is still in use");
        assert_eq!(ended[0].endpoint, 1);
        assert!(sessions.end(first.session.number).is_some());
        assert!(sessions.visit(0, &id).is_none());
        assert!(sessions.open(0).unwrap().is_some());
    }

    #[test]
    fn cancellation_reaches_the_call_of_that_id_only() {
        let sessions = Sessions::new(1, Duration::from_secs(10));
        let visit = sessions.open(0).unwrap().unwrap();
        let (one, two) = (visit.session.cancellable(b"1"), visit.session.cancellable(b"\"1\""));
        visit.session.cancel(b"1");
        let notified = |call: &Cancellable| {
            let mut waits = std::pin::pin!(call.cancelled.notified());
            waits.as_mut().enable()
        };
        assert!(notified(&one));
        assert!(!notified(&two));
        drop((one, two));
        assert!(visit.session.calls.lock().is_empty());
    }
}
