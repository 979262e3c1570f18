//! Bounds at the front.

use std::time::Duration;

/// Bounds on sizes and counts at the front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Largest request body, in bytes. Default 4 MiB.
    pub body: usize,
    /// Largest request head, in bytes. Default 64 KiB.
    pub headers: usize,
    /// Deepest nesting of a JSON body. Default 64.
    pub depth: usize,
    /// Requests under way at once over all endpoints, open streams included. Default 8192.
    pub requests: usize,
    /// Client sessions at once over all endpoints. Default 65536.
    pub sessions: usize,
    /// Bytes of one event stream that are remembered for a client that takes it up again. Default 1 MiB.
    pub replay: usize,
    /// Bytes of all event streams that are remembered. Default 256 MiB.
    pub replays: usize,
    /// Messages in one batch. Default 100.
    pub batch: usize,
    /// Resources that one client session, or one `subscriptions/listen` request, may be subscribed to. Default 256.
    pub subscriptions: usize,
    /// How often one call may be made again with the answers of its client. Default 8.
    pub rounds: usize,
    /// Calls of modern clients at once that have asked them something and are kept for their answers. Default 1024.
    pub parked: usize,
    /// Bytes of all cached reads of resources. Default 64 MiB; zero caches none.
    pub cache: usize,
    /// Bytes of one cached read. Default 1 MiB.
    pub cached: usize,
}

/// Bounds on time at the front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timeouts {
    /// To read a request's head and body. Default 30 s.
    pub read: Duration,
    /// For one write to a client to be taken. Default 30 s.
    pub write: Duration,
    /// An idle connection is kept open. Default 75 s.
    pub connection: Duration,
    /// A session without a request or an open stream is kept. Default 30 min.
    pub session: Duration,
    /// Silence on an event stream before a comment is sent. Default 15 s.
    pub keep_alive: Duration,
    /// A stream that ended or broke off is remembered. Default 60 s; zero remembers none.
    pub replay: Duration,
    /// A read of a resource is cached at most. Default 1 h.
    pub cache: Duration,
    /// The first lists of the backends are waited for at start. Default 10 s.
    pub start: Duration,
    /// A client may take to answer a round of questions. Default 10 min.
    pub input: Duration,
    /// One call may wait for answers of its client in all. Default 30 min.
    pub inputs: Duration,
    /// Running calls may take after SIGTERM. Default 30 s.
    pub drain: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body: 4 << 20,
            headers: 64 << 10,
            depth: 64,
            requests: 8192,
            sessions: 65_536,
            replay: 1 << 20,
            replays: 256 << 20,
            batch: 100,
            subscriptions: 256,
            rounds: 8,
            parked: 1024,
            cache: 64 << 20,
            cached: 1 << 20,
        }
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            read: Duration::from_secs(30),
            write: Duration::from_secs(30),
            connection: Duration::from_secs(75),
            session: Duration::from_secs(30 * 60),
            keep_alive: Duration::from_secs(15),
            replay: Duration::from_secs(60),
            cache: Duration::from_secs(60 * 60),
            start: Duration::from_secs(10),
            input: Duration::from_secs(10 * 60),
            inputs: Duration::from_secs(30 * 60),
            drain: Duration::from_secs(30),
        }
    }
}
