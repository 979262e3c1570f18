//! Legacy clients' sessions: a bounded store in memory.
//!
//! S: MCP 2025-11-25 `basic/transports` "Session Management".

use crate::client::Outbox;
use crate::endpoint::Endpoint;
use crate::inbox::Inbox;
use crate::inquiry::Questions;
use crate::replay::{Allowance, Replays};
use crate::tasks::TaskWatches;
use crate::watchers::Watches;
use arc_swap::ArcSwap;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use weir_config::Config;
use weir_policies::Principal;
use weir_protocol::{ClientCapabilities, Level, Logs, Revision};

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Its number, 128 random bits; in hexadecimal it is the `Mcp-Session-Id`.
    pub(crate) number: u128,
    /// Number of its endpoint.
    pub(crate) endpoint: usize,
    /// Who opened it, as the newest token says. For others it does not exist.
    principal: ArcSwap<Principal>,
    /// What `initialize` agreed on: the revision, and what the client can be asked.
    agreement: OnceLock<(Revision, ClientCapabilities)>,
    /// The connection that this session is, where one connection carries all its messages.
    connection: Option<Box<Connection>>,
    /// What its streams said lately.
    pub(crate) replays: Replays,
    /// Milliseconds since the store was made.
    last_used: AtomicU64,
    /// Requests and streams under way.
    open: AtomicU32,
    /// The log messages that the client wants.
    logs: Mutex<Logs>,
    /// Calls under way that the client may cancel.
    calls: Mutex<Vec<OpenCall>>,
    /// What the client is asked.
    pub(crate) questions: Questions,
    /// The resources that the client watches, by the URI that it knows.
    pub(crate) watches: Watches,
    /// The tasks that the client began, as far as it is told of them.
    pub(crate) tasks: TaskWatches,
    /// What waits for its stream.
    pub(crate) inbox: Arc<Inbox>,
    /// The stream that carries notifications, where one is open.
    stream: Mutex<Option<Arc<Notify>>>,
}

/// A connection that carries all messages of one client, so that it is a session by itself.
#[derive(Debug)]
struct Connection {
    outbox: Outbox,
    /// A revision was agreed on.
    agreed: Notify,
    /// No message is being answered any more.
    idle: Notify,
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
        let before = self.session.open.fetch_sub(1, Ordering::Relaxed);
        if let Some(connection) = self.session.connection.as_ref().filter(|_| before == 2) {
            connection.idle.notify_one();
        }
    }
}

/// A call that `notifications/cancelled` reaches as long as this lives.
#[derive(Debug)]
pub(crate) struct Cancellable {
    pub(crate) session: Arc<Session>,
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

    /// Agrees on a revision with a client of these capabilities; `false` where one was agreed on before.
    pub(crate) fn agree(&self, revision: Revision, capabilities: ClientCapabilities) -> bool {
        let first = self.agreement.set((revision, capabilities)).is_ok();
        if let Some(connection) = &self.connection {
            connection.agreed.notify_one();
        }
        first
    }

    /// The revision that was agreed on.
    pub(crate) fn revision(&self) -> Option<Revision> {
        self.agreement.get().map(|(revision, _)| *revision)
    }

    /// Whether its revision has tasks that clients begin (2025-11-25 `basic/utilities/tasks`).
    pub(crate) fn has_tasks(&self) -> bool {
        self.revision() == Some(Revision::V2025_11_25)
    }

    /// What the client said that it can be asked.
    pub(crate) fn capabilities(&self) -> ClientCapabilities {
        self.agreement.get().map(|(_, capabilities)| *capabilities).unwrap_or_default()
    }

    /// Who opened it, as the newest token says.
    pub(crate) fn principal(&self) -> Arc<Principal> {
        self.principal.load_full()
    }

    /// Takes what a newer token of its principal says. What a former one said of the caller's groups counts no more, for what is
    /// watched at `endpoint` either.
    pub(crate) fn renew(&self, endpoint: &Endpoint, principal: &Arc<Principal>) {
        let newer = |known: &Arc<Principal>| !Arc::ptr_eq(known, principal) && principal.is_newer_than(known);
        if newer(&self.principal.load()) {
            // Another request may bring one that is newer still.
            self.principal.rcu(|known| if newer(known) { principal.clone() } else { known.clone() });
            self.rejudge(endpoint);
        }
    }

    /// Judges what is watched by what is known of the principal now.
    pub(crate) fn rejudge(&self, endpoint: &Endpoint) {
        let principal = self.principal();
        self.watches.renew(endpoint, &principal);
        self.tasks.renew(endpoint, &principal);
    }

    /// Whether the session is a connection, and known by no header.
    pub(crate) fn is_connection(&self) -> bool {
        self.connection.is_some()
    }

    /// Where messages to the client go, if this session is a connection.
    pub(crate) fn outbox(&self) -> Option<Outbox> {
        self.connection.as_ref().map(|connection| connection.outbox.clone())
    }

    /// Waits until a revision is agreed on over a connection; for one waiter. Cancel-safe.
    pub(crate) async fn agreed(&self) {
        while let (Some(connection), None) = (&self.connection, self.revision()) {
            connection.agreed.notified().await;
        }
    }

    /// Waits until a connection has nothing under way but the visit that keeps it; for one waiter. Cancel-safe.
    pub(crate) async fn idle(&self) {
        while let (Some(connection), true) = (&self.connection, self.open.load(Ordering::Relaxed) > 1) {
            connection.idle.notified().await;
        }
    }

    /// Cancels every call: nobody is left who could take an answer.
    pub(crate) fn cancel_all(&self) {
        for call in self.calls.lock().iter() {
            call.cancelled.notify_one();
        }
    }

    /// The client wants log messages of this level and graver ones.
    pub(crate) fn set_level(&self, level: Level) {
        *self.logs.lock() = Logs::From(level);
    }

    /// The log messages that the client wants.
    pub(crate) fn logs(&self) -> Logs {
        *self.logs.lock()
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

/// What the streams of sessions may be remembered of.
pub(crate) fn allowance(config: &Config) -> Allowance {
    Allowance::new(config.limits.replay, config.limits.replays, config.timeouts.replay)
}

/// All sessions of a gateway.
#[derive(Debug)]
pub(crate) struct Sessions {
    shards: [Shard; SHARDS],
    count: AtomicUsize,
    epoch: Instant,
    allowance: ArcSwap<Allowance>,
}

impl Sessions {
    /// No sessions yet. `allowance` says what their streams may be remembered of.
    pub(crate) fn new(allowance: Arc<Allowance>) -> Self {
        let (count, allowance) = (AtomicUsize::new(0), ArcSwap::new(allowance));
        Self { shards: Default::default(), count, epoch: Instant::now(), allowance }
    }

    /// Sessions that are opened from now on may be remembered so much of; others keep what they have.
    pub(crate) fn allow(&self, allowance: Allowance) {
        let known = self.allowance.load();
        let same =
            (known.stream, known.total, known.time) == (allowance.stream, allowance.total, allowance.time);
        if !same {
            self.allowance.store(Arc::new(allowance));
        }
    }

    fn shard(&self, number: u128) -> &Shard {
        let [first, ..] = &self.shards;
        self.shards.get((number % SHARDS as u128) as usize).unwrap_or(first)
    }

    /// The session with this number.
    pub(crate) fn find(&self, number: u128) -> Option<Arc<Session>> {
        self.shard(number).lock().get(&number).cloned()
    }

    /// Opens a session of `principal`, which is a connection where there is an outbox; `None` where there are `limit` already.
    pub(crate) fn open(
        &self,
        endpoint: usize,
        principal: &Arc<Principal>,
        outbox: Option<Outbox>,
        limit: usize,
    ) -> Result<Option<Visit>, getrandom::Error> {
        let taken = self
            .count
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < limit).then_some(count + 1));
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
            principal: ArcSwap::new(principal.clone()),
            agreement: OnceLock::new(),
            connection: outbox
                .map(|outbox| Box::new(Connection { outbox, agreed: Notify::new(), idle: Notify::new() })),
            replays: Replays::new(self.allowance.load_full()),
            last_used: AtomicU64::new(millis(self.epoch)),
            open: AtomicU32::new(1),
            logs: Mutex::new(Logs::Unsaid),
            questions: Questions::default(),
            watches: Watches::default(),
            tasks: TaskWatches::default(),
            inbox: Arc::default(),
            calls: Mutex::default(),
            stream: Mutex::default(),
        });
        self.shard(session.number).lock().insert(session.number, session.clone());
        Ok(Some(Visit { session, epoch: self.epoch }))
    }

    /// Another visit to a session that is known already.
    pub(crate) fn enter(&self, session: &Arc<Session>) -> Visit {
        session.open.fetch_add(1, Ordering::Relaxed);
        Visit { session: session.clone(), epoch: self.epoch }
    }

    /// The session with this id on this endpoint, if `principal` opened it.
    pub(crate) fn visit(&self, endpoint: usize, principal: &Principal, id: &str) -> Option<Visit> {
        let number = number_of(id)?;
        let shard = self.shard(number).lock();
        let own = |session: &&Arc<Session>| {
            session.endpoint == endpoint && **session.principal.load() == *principal
        };
        shard.get(&number).filter(own).map(|session| self.enter(session))
    }

    /// Ends a session; its stream ends too.
    pub(crate) fn end(&self, number: u128) -> Option<Arc<Session>> {
        let session = self.shard(number).lock().remove(&number)?;
        self.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(stream) = session.stream.lock().take() {
            stream.notify_one();
        }
        session.watches.clear();
        session.tasks.clear();
        session.questions.end();
        Some(session)
    }

    /// Ends the sessions that have been idle for `idle`, and answers them.
    pub(crate) fn sweep(&self, idle: Duration) -> Vec<Arc<Session>> {
        let idle = u64::try_from(idle.as_millis()).unwrap_or(u64::MAX);
        let oldest = millis(self.epoch).saturating_sub(idle);
        self.end_unless(|session| {
            session.replays.forget();
            session.open.load(Ordering::Relaxed) > 0 || session.last_used.load(Ordering::Relaxed) >= oldest
        })
    }

    /// Ends the sessions that do not stay, and answers them.
    pub(crate) fn end_unless(&self, stays: impl Fn(&Session) -> bool) -> Vec<Arc<Session>> {
        let mut ended = Vec::new();
        for shard in &self.shards {
            shard.lock().retain(|_, session| {
                let stays = stays(session);
                if !stays {
                    ended.push(session.clone());
                }
                stays
            });
        }
        self.count.fetch_sub(ended.len(), Ordering::Relaxed);
        for session in &ended {
            if let Some(stream) = session.stream.lock().take() {
                stream.notify_one();
            }
            session.watches.clear();
            session.tasks.clear();
            session.questions.end();
        }
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
mod tests;
