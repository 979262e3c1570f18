//! A proxy that cuts a connection in the middle of an answer.

use crate::http::Endpoint;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A proxy before an endpoint. It cuts the first connection on which the endpoint says a certain text, right behind it.
#[derive(Debug)]
pub struct Cutter {
    address: SocketAddr,
    path: String,
    cuts: Arc<AtomicUsize>,
}

impl Cutter {
    /// Starts the proxy; it ends with the test's process.
    pub fn before(endpoint: &Endpoint, text: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        let cuts = Arc::new(AtomicUsize::new(0));
        let (to, counter) = (endpoint.address, cuts.clone());
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(to).expect("the endpoint listens");
                let counter = counter.clone();
                let (from, onwards) =
                    (client.try_clone().expect("a socket"), server.try_clone().expect("a socket"));
                std::thread::spawn(move || copy(from, onwards, None));
                std::thread::spawn(move || copy(server, client, Some((text, counter))));
            }
        });
        Self { address, path: endpoint.path.clone(), cuts }
    }

    /// The URL of the endpoint through the proxy.
    pub fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path)
    }

    /// How many connections were cut.
    pub fn cuts(&self) -> usize {
        self.cuts.load(Ordering::SeqCst)
    }
}

fn copy(mut from: TcpStream, mut to: TcpStream, cut: Option<(&str, Arc<AtomicUsize>)>) {
    let mut buffer = [0; 4096];
    let mut said = String::new();
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
        if let Some((text, cuts)) = &cut {
            said.push_str(&String::from_utf8_lossy(&buffer[..count]));
            if said.contains(text) && cuts.fetch_update(Ordering::SeqCst, Ordering::SeqCst, first).is_ok() {
                break;
            }
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}

fn first(cuts: usize) -> Option<usize> {
    (cuts == 0).then_some(1)
}
