//! Many strangers at once: they keep nobody out who is known, and fill no log.

use crate::{Bench, RESOURCE, auth, config, echo, ping};
use parking_lot::Mutex;
use serde_json::json;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;
use weir_tests::{Modern, Provider, Speak, Weir, wait};

/// Where somebody may ask who never gets an answer. All who ask are kept waiting.
struct Silence {
    url: String,
    kept: Arc<Mutex<Vec<TcpStream>>>,
}

impl Silence {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        let url = format!("http://{}/ask", listener.local_addr().expect("an address"));
        let kept = Arc::<Mutex<Vec<TcpStream>>>::default();
        let keeping = kept.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                keeping.lock().push(stream);
            }
        });
        Self { url, kept }
    }
}

#[test]
fn strangers_who_wait_for_an_issuer_take_nobodys_place() {
    let (provider, silence) = (Provider::start(), Silence::start());
    let introspection =
        json!({"url": silence.url, "client_id": "service", "client_secret": Provider::secret("service")});
    let mut config =
        config(json!({"echo": echo()}), auth(&provider, json!({"introspection": introspection})));
    config["limits"]["requests"] = json!(4);
    let weir = Weir::serve(config);
    let known = weir.endpoint().bearing(&provider.token("alice", RESOURCE));
    assert_eq!(Modern::new(known.clone()).tool_names().len(), 5);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for number in 0..16 {
            let stranger = weir.endpoint().bearing(&format!("made-up-{number}"));
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    assert_eq!(ping().send(&stranger).status, 503);
                }
            });
        }
        wait::until_true("strangers wait", || silence.kept.lock().len() >= 16);
        let one_more = weir.endpoint().bearing("made-up");
        wait::until_true("no more of them may wait", || {
            let refused = ping().send(&one_more);
            assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
            refused.text().contains("callers who are not known yet")
        });
        assert_eq!(Modern::new(known).tool_names().len(), 5, "who is known comes in");
        // Whoever weir itself can tell to be nobody hears so at once.
        assert_eq!(ping().send(&weir.endpoint()).status, 401);
        done.store(true, Ordering::SeqCst);
        silence.kept.lock().clear();
    });
}

#[test]
fn bad_tokens_fill_no_log() {
    let bench = Bench::start();
    let refuse = |number: usize| {
        let stranger = bench.weir.endpoint().bearing(&format!("made-up-{number}"));
        assert_eq!(ping().send(&stranger).status, 401);
    };
    let begun = Instant::now();
    (0..200).for_each(refuse);
    let most = begun.elapsed().as_secs() + 2;
    let log = bench.weir.log();
    let lines = log.lines().filter(|line| line.contains("not let in")).count();
    assert!(lines >= 1 && lines as u64 <= most, "{lines} lines in {most} seconds:\n{log}");
    // What was left out is counted.
    wait::until_true("a line says so", || {
        refuse(0);
        bench.weir.log().lines().any(|line| line.contains("not let in") && line.contains("left_out"))
    });
}
