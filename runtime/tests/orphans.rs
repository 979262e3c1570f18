//! No child survives weir, not even when weir is killed by SIGKILL.
//!
//! This program plays all parts, each by its first argument: `weir FIFO` starts a guardian and a server and waits,
//! `guard` is the guardian, and without a part it is the test.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test without a test harness"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Command, Stdio};
use tokio::io::AsyncWriteExt;
use weir_runtime::{Guardian, Process, ProcessSpec, run_guardian};

fn main() {
    let args = std::env::args().collect::<Vec<_>>();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["guard"] => run_guardian().unwrap(),
        ["weir", fifo] => play_weir(fifo),
        // Anything else comes from the test runner.
        _ => {
            no_child_survives_a_kill(&[]);
            no_child_survives_a_kill(&["TERM", "INT", "HUP"]);
        }
    }
}

/// Starts a server whose leader and grandchild both ignore what they can, and both hold `fifo` open.
fn play_weir(fifo: &str) {
    let program = std::env::current_exe().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let guardian = Guardian::start(&program, &["guard"]).unwrap();
        // It says its number only when it has been told that weir has registered it.
        let script = "trap '' TERM HUP; exec 3>\"$0\"; read registered; \
                      (while :; do sleep 3600; done) & echo $$ >&3; wait; wait";
        let args = ["-c", script, fifo].map(String::from).to_vec();
        let spec = ProcessSpec {
            name: "demo".into(),
            command: "sh".into(),
            args,
            env: vec![],
            cwd: None,
        };
        let mut process = Process::spawn(&spec, &guardian).unwrap();
        let mut stdin = process.take_stdin().unwrap();
        stdin.write_all(b"registered\n").await.unwrap();
        std::future::pending::<()>().await;
    });
}

/// The guardian gets `signals` before weir is killed, as from a supervisor that signals every process of a service.
fn no_child_survives_a_kill(signals: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let fifo = folder.path().join("held");
    run(Command::new("mkfifo").arg(&fifo));
    let mut weir = Command::new(std::env::current_exe().unwrap())
        .args(["weir".as_ref(), fifo.as_os_str()])
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let mut held = BufReader::new(File::open(&fifo).unwrap());
    let mut leader = String::new();
    held.read_line(&mut leader).unwrap();
    assert!(Path::new("/proc").join(leader.trim()).exists());

    if !signals.is_empty() {
        let guardian = children(weir.id())
            .into_iter()
            .find(|pid| pid != leader.trim())
            .unwrap();
        while !ignores_termination(&guardian) {
            std::thread::yield_now();
        }
        // A weir that stands still cannot replace a guardian that dies of this.
        run(Command::new("kill").args(["-STOP", &weir.id().to_string()]));
        for signal in signals {
            run(Command::new("kill").args([&format!("-{signal}"), &guardian]));
        }
    }
    weir.kill().unwrap();
    weir.wait().unwrap();
    // The named pipe ends when its last holder is dead.
    let mut rest = String::new();
    held.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "");
}

fn children(pid: u32) -> Vec<String> {
    let list = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    list.split_whitespace().map(String::from).collect()
}

/// Whether the process has come so far that it handles SIGHUP (1), SIGINT (2) and SIGTERM (15).
fn ignores_termination(pid: &str) -> bool {
    const HANDLED: u64 = 0b100_0000_0000_0011;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigCgt:"))
        .unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & HANDLED == HANDLED
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
