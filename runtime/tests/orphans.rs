//! No process that weir started, nor any that those started, survives it, not even when weir is killed by SIGKILL.
//!
//! This program plays all parts, each by its first argument: `weir FIFO` starts a guardian and a server and waits,
//! `unreported FIFO` does so without the guardian hearing of the server, `outer FIFO` has `weir FIFO` for a server,
//! `guard` is the guardian, and without a part it is the test.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test without a test harness")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use weir_runtime::{Group, Guardian, Process, ProcessSpec, run_guardian};

/// The leader, a child of its and one in a session of its own all ignore what they can and hold the named pipe open.
/// They say their numbers only when they have been told that weir has registered the group.
const SERVER: &str = r#"
    trap '' TERM HUP
    trap 'echo alive >&3' USR1
    exec 3>"$0"
    read registered
    (while :; do sleep 3600; done) &
    setsid sh -c 'echo detached $$ >&3; while :; do sleep 3600; done' &
    echo leader $$ >&3
    while :; do wait; done
"#;

fn main() {
    let args = std::env::args().collect::<Vec<_>>();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[1..] {
        ["guard"] => run_guardian().unwrap(),
        ["weir", fifo] => play_weir("sh", ["-c", SERVER, fifo], true),
        ["unreported", fifo] => play_weir("sh", ["-c", SERVER, fifo], false),
        ["outer", fifo] => {
            play_weir(std::env::current_exe().unwrap().to_str().unwrap(), ["weir", fifo], true)
        }
        // Anything else comes from the test runner.
        _ => {
            no_process_survives_a_kill("weir", &[]);
            no_process_survives_a_kill("weir", &["TERM", "INT", "HUP"]);
            no_process_survives_a_kill("unreported", &[]);
            no_process_survives_a_kill("outer", &[]);
        }
    }
}

fn play_weir<const N: usize>(command: &str, args: [&str; N], reported: bool) {
    let program = std::env::current_exe().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let guardian = Guardian::start(&program, &["guard"]).unwrap();
        let spec = ProcessSpec {
            name: "demo".into(),
            command: command.into(),
            args: args.map(String::from).to_vec(),
            env: vec![],
            cwd: None,
        };
        let mut process = Process::spawn(&spec, &guardian).unwrap();
        if !reported {
            guardian.release(Group::of(process.pid()).unwrap());
        }
        let mut stdin = process.take_stdin().unwrap();
        stdin.write_all(b"registered\n").await.unwrap();
        std::future::pending::<()>().await;
    });
}

/// A running weir with a server.
struct Weir {
    child: Child,
    /// The reading end of the named pipe that the server's processes hold open.
    held: BufReader<File>,
    leader: String,
    detached: String,
    _folder: TempDir,
}

impl Weir {
    fn start(part: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("held");
        run(Command::new("mkfifo").arg(&fifo));
        let child = Command::new(std::env::current_exe().unwrap())
            .args([part.as_ref(), fifo.as_os_str()])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let mut held = BufReader::new(File::open(&fifo).unwrap());
        let mut said = [line(&mut held), line(&mut held)];
        said.sort();
        let [detached, leader] = said;
        let weir = Self {
            child,
            held,
            leader: leader.strip_prefix("leader ").unwrap().to_owned(),
            detached: detached.strip_prefix("detached ").unwrap().to_owned(),
            _folder: folder,
        };
        assert_eq!(session(&weir.detached), weir.detached, "it left the group");
        assert_ne!(session(&weir.leader), weir.detached);
        weir
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    fn guardian(&self) -> String {
        let pid = self.child.id();
        let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let program = std::env::current_exe().unwrap();
        let is_guardian = |child: &&str| {
            let line = std::fs::read(format!("/proc/{child}/cmdline")).unwrap();
            line == format!("{}\0guard\0", program.display()).as_bytes()
        };
        children.split_whitespace().find(is_guardian).unwrap().to_owned()
    }

    /// Returns when the named pipe has ended, which is when its last holder is dead.
    fn all_gone(mut self) {
        let mut rest = String::new();
        self.held.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

/// The guardian gets `signals` before weir is killed, as from a supervisor that signals every process of a service.
fn no_process_survives_a_kill(part: &str, signals: &[&str]) {
    let mut bystander = Weir::start("weir");
    let mut weir = Weir::start(part);
    let guardian = weir.guardian();
    while !ignores_termination(&guardian) {
        std::thread::yield_now();
    }
    if !signals.is_empty() {
        // A weir that stands still cannot replace a guardian that dies of this.
        run(Command::new("kill").args(["-STOP", &weir.child.id().to_string()]));
        for signal in signals {
            run(Command::new("kill").args([&format!("-{signal}"), &guardian]));
        }
    }
    weir.kill();
    weir.all_gone();
    while is_running(&guardian) {
        std::thread::yield_now();
    }

    run(Command::new("kill").args(["-USR1", &bystander.leader]));
    assert_eq!(line(&mut bystander.held), "alive");
    assert!(is_running(&bystander.detached) && is_running(&bystander.guardian()));
    bystander.kill();
    bystander.all_gone();
}

fn line(held: &mut impl BufRead) -> String {
    let mut line = String::new();
    held.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// The fields of `/proc/PID/stat` behind the program's name, from the state on; `None` when there is no such process.
fn stat(pid: &str) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    Some(fields.split(' ').map(String::from).collect())
}

/// Whether the process is there and not merely waiting to be reaped.
fn is_running(pid: &str) -> bool {
    stat(pid).is_some_and(|fields| !matches!(&*fields[0], "Z" | "X"))
}

fn session(pid: &str) -> String {
    stat(pid).unwrap()[3].clone()
}

/// Whether the process has come so far that it handles SIGHUP (1), SIGINT (2) and SIGTERM (15).
fn ignores_termination(pid: &str) -> bool {
    const HANDLED: u64 = 0b100_0000_0000_0011;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
    u64::from_str_radix(mask.trim(), 16).unwrap() & HANDLED == HANDLED
}

fn run(command: &mut Command) {
    assert!(command.status().unwrap().success(), "{command:?}");
}
