//! How weir ends: gently on SIGTERM, and without leaving processes behind however it ends.

use serde_json::{Value, json};
use std::path::Path;
use weir_tests::process::{children, is_running};
use weir_tests::weir::config;
use weir_tests::{Legacy, Modern, Speak, Weir, peers, wait};

fn slow(folder: &Path) -> Value {
    peers::fixture("slow.py", &[folder.to_str().expect("a path"), "legacy"])
}

/// Starts a call that waits until it is released, and returns its open connection once the server has it.
fn begin_waiting(weir: &Weir, folder: &Path) -> std::net::TcpStream {
    let (request, _) =
        Modern::new(weir.endpoint()).prepare("tools/call", json!({"name": "wait", "arguments": {}}));
    let connection = request.begin(&weir.endpoint());
    wait::until_true("the call has started", || folder.join("started").exists());
    connection
}

fn until_gone(pids: &[i32]) {
    for pid in pids {
        wait::until_true(&format!("process {pid} is gone"), || !is_running(*pid));
    }
}

/// Every process below `pid`, to any depth.
fn descendants(pid: i32) -> Vec<i32> {
    children(pid).into_iter().flat_map(|child| [vec![child], descendants(child)].concat()).collect()
}

#[test]
fn an_idle_weir_ends_at_once_and_well() {
    let weir = Weir::over(json!({"echo": peers::fixture("echo.py", &["legacy"])}));
    let below = descendants(weir.pid());
    assert!(!below.is_empty(), "the backend runs below weir");
    weir.terminate();
    let exit = weir.finish();
    assert_eq!(exit.status.code(), Some(0), "{}", exit.stderr);
    until_gone(&below);
}

#[test]
fn a_running_call_is_answered_before_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let weir = Weir::over(json!({"slow": slow(folder.path())}));
    let (request, id) =
        Modern::new(weir.endpoint()).prepare("tools/call", json!({"name": "wait", "arguments": {}}));
    let endpoint = weir.endpoint();
    let caller = std::thread::spawn(move || request.send(&endpoint));
    wait::until_true("the call has started", || folder.path().join("started").exists());
    weir.terminate();
    std::fs::write(folder.path().join("release"), "").expect("a file can be written");
    let response = caller.join().expect("the caller is answered");
    assert_eq!(weir_tests::Answer::of(&response, &id).text(), "released");
    assert_eq!(weir.finish().status.code(), Some(0));
}

#[test]
fn a_call_that_never_ends_does_not_keep_weir() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = config(json!({"slow": slow(folder.path())}), json!({"conflicts": "none"}));
    config["timeouts"]["drain"] = json!("200ms");
    let weir = Weir::serve(config);
    let below = descendants(weir.pid());
    let _waiting = begin_waiting(&weir, folder.path());
    weir.terminate();
    weir.finish();
    until_gone(&below);
}

#[test]
fn open_streams_do_not_keep_weir() {
    let mut config =
        config(json!({"changing": peers::fixture("changing.py", &["legacy"])}), json!({"conflicts": "none"}));
    config["timeouts"]["drain"] = json!("10m");
    let weir = Weir::serve(config);
    let legacy = Legacy::new(weir.endpoint());
    let legacy_stream = legacy.listen();
    let modern = Modern::new(weir.endpoint());
    let listen = json!({"notifications": {"toolsListChanged": true}});
    let mut modern_stream = modern.prepare("subscriptions/listen", listen).0.open(&weir.endpoint()).events();
    modern_stream.message();
    weir.terminate();
    assert_eq!(weir.finish().status.code(), Some(0));
    assert_eq!(legacy_stream.map(|event| event.data).collect::<String>(), "");
    // The last that a listener hears, if anything, is the result that ends it.
    assert!(modern_stream.all(|event| event.json()["result"]["resultType"] == "complete"));
}

#[test]
fn a_killed_weir_leaves_no_process_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let parent = ["parent", folder.path().to_str().expect("a path")];
    let weir = Weir::over(json!({
        "echo": peers::fixture("echo.py", &["legacy"]),
        "parent": peers::fixture("misbehaving.py", &parent),
        "everything": peers::everything_stdio(),
    }));
    assert!(Modern::new(weir.endpoint()).tool_names().contains(&"quick".to_owned()));
    let mut below = descendants(weir.pid());
    below.push(grandchild(folder.path()));
    weir.kill();
    weir.finish();
    until_gone(&below);
}

#[test]
fn a_stubborn_grandchild_ends_with_weir() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut backend = peers::fixture("misbehaving.py", &["parent", folder.path().to_str().expect("a path")]);
    backend["timeouts"]["stop"] = json!("200ms");
    let weir = Weir::over(json!({"parent": backend}));
    assert_eq!(Modern::new(weir.endpoint()).call("quick", json!({})).text(), "done");
    let grandchild = grandchild(folder.path());
    assert!(is_running(grandchild));
    weir.terminate();
    assert_eq!(weir.finish().status.code(), Some(0));
    until_gone(&[grandchild]);
}

fn grandchild(folder: &Path) -> i32 {
    wait::until("the grandchild has started", || {
        std::fs::read_to_string(folder.join("grandchild")).ok()?.parse().ok()
    })
}
