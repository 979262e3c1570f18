//! Many strangers at once: they keep nobody out who is known, and fill no log.

use crate::{Bench, RESOURCE, auth, config, echo, ping};
use parking_lot::Mutex;
use serde_json::json;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;
use weir_tests::{Modern, Provider, Scripted, Speak, Weir, wait};

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
fn whoever_is_to_be_found_out_again_finds_a_place_beside_strangers() {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let good = json!({"active": true, "token_type": "Bearer", "aud": RESOURCE, "sub": "alice"});
    let server = Scripted::start(move |request, reply| {
        if request.text().contains("token=known") {
            count.fetch_add(1, Ordering::SeqCst);
            reply.json(good.to_string());
        } else {
            reply.wait_for_close();
        }
    });
    let introspection =
        json!({"url": server.url(), "client_id": "weir", "client_secret": "secret", "cache": "1s"});
    let issuer = json!({"issuer": "http://127.0.0.1", "private": true, "introspection": introspection});
    let mut config = config(json!({"echo": echo()}), json!({"resource": RESOURCE, "issuers": [issuer]}));
    config["limits"]["requests"] = json!(4);
    let weir = Weir::serve(config);
    let to = weir.endpoint().bearing("known");
    let known = Modern::new(to.clone());
    let list = || known.prepare("tools/list", json!({})).0.send(&to).status;
    assert_eq!(list(), 200);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            // One token is enough, since all who bring it wait for one answer.
            let stranger = weir.endpoint().bearing("made-up");
            let done = &done;
            scope.spawn(move || {
                while !done.load(Ordering::SeqCst) {
                    assert_eq!(ping().send(&stranger).status, 503);
                }
            });
        }
        let one_more = weir.endpoint().bearing("made-up-too");
        wait::until_true("no more of them may wait", || {
            ping().send(&one_more).text().contains("callers who are not known yet")
        });
        let before = asked.load(Ordering::SeqCst);
        let mut statuses = Vec::new();
        wait::until_true("it was found out again", || {
            statuses.push(list());
            asked.load(Ordering::SeqCst) >= before + 3
        });
        done.store(true, Ordering::SeqCst);
        assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
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
