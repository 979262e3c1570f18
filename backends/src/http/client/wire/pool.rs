//! Unused connections, kept for the next request.

use super::Connection;
use crate::http::client::{IDLE, IDLE_CONNECTIONS};
use parking_lot::Mutex;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::time::Instant;

type Idle = Arc<Mutex<IdleConnections>>;

#[derive(Debug, Default)]
struct IdleConnections {
    /// Of each client, by number, the longest unused first.
    of: HashMap<u64, Vec<(Instant, Connection)>>,
    /// Someone is closing those that are unused too long.
    tended: bool,
}

thread_local! {
    /// A connection goes back to the thread whose runtime watches it, so that it is woken there and nowhere else.
    static IDLE_HERE: RefCell<Idle> = RefCell::default();
}

static NEXT_NUMBER: AtomicU64 = AtomicU64::new(0);

/// The unused connections of one client, on whichever thread it is used.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pool {
    number: u64,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self { number: NEXT_NUMBER.fetch_add(1, Ordering::Relaxed) }
    }

    /// The connection used last that is still open.
    pub(super) fn take(&self) -> Option<Connection> {
        IDLE_HERE.with_borrow(|idle| {
            let mut idle = idle.lock();
            let connections = idle.of.get_mut(&self.number)?;
            while let Some((since, connection)) = connections.pop() {
                if since.elapsed() < IDLE && connection.is_quiet() {
                    return Some(connection);
                }
            }
            None
        })
    }

    /// Closes all of them that are on this thread.
    pub(super) fn clear(&self) {
        IDLE_HERE.with_borrow(|idle| drop(idle.lock().of.remove(&self.number)));
    }

    /// Takes a connection back.
    pub(super) fn put(&self, connection: Connection) {
        IDLE_HERE.with_borrow(|shared| {
            let mut idle = shared.lock();
            let connections = idle.of.entry(self.number).or_default();
            if connections.len() < IDLE_CONNECTIONS {
                connections.push((Instant::now(), connection));
            }
            if !idle.tended {
                idle.tended = true;
                tokio::spawn(tend(shared.clone()));
            }
        });
    }
}

/// Closes what is unused too long, until nothing is left.
async fn tend(shared: Idle) {
    loop {
        tokio::time::sleep(IDLE / 3).await;
        let mut idle = shared.lock();
        for connections in idle.of.values_mut() {
            connections.retain(|(since, connection)| since.elapsed() < IDLE && connection.is_quiet());
        }
        idle.of.retain(|_, connections| !connections.is_empty());
        if idle.of.is_empty() {
            idle.tended = false;
            return;
        }
    }
}

impl Connection {
    /// Whether the server has neither closed the connection nor sent anything unasked. Costs no system call while
    /// nothing has happened on it.
    fn is_quiet(&self) -> bool {
        let mut byte = [0u8; 1];
        matches!(self.stream.try_read(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}
