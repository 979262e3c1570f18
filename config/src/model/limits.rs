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
    /// The first lists of the backends are waited for at start. Default 10 s.
    pub start: Duration,
    /// Running calls may take after SIGTERM. Default 30 s.
    pub drain: Duration,
}
