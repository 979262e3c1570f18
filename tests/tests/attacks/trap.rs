//! A listener that waits for whoever is led to it.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A listener on all addresses of this machine, which says nothing and counts who connects.
#[derive(Debug)]
pub struct Trap {
    pub port: u16,
    count: Arc<AtomicUsize>,
}

impl Trap {
    pub fn new() -> Self {
        let listener = TcpListener::bind("0.0.0.0:0").expect("a port can be bound");
        let port = listener.local_addr().expect("an address").port();
        let count = Arc::new(AtomicUsize::new(0));
        let counted = count.clone();
        std::thread::spawn(move || {
            for _ in listener.incoming().flatten() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { port, count }
    }

    /// How many connections there were.
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }
}
