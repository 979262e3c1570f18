//! A child process whose output is collected and which never outlives the test.

use crate::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use parking_lot::Mutex;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// A running child process.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdout: Capture,
    stderr: Capture,
}

/// What a process left behind.
#[derive(Debug)]
pub struct Exit {
    /// How it ended.
    pub status: ExitStatus,
    /// Everything it wrote to standard output.
    pub stdout: String,
    /// Everything it wrote to standard error.
    pub stderr: String,
}

impl Process {
    /// Starts `command` with both outputs collected and `stdin` written and closed.
    pub fn start(command: &mut Command, stdin: &str) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let mut input = child.stdin.take().expect("stdin is piped");
        // A child that exits without reading its input is no failure of the harness.
        let _ = input.write_all(stdin.as_bytes());
        drop(input);
        let stdout = Capture::of(child.stdout.take().expect("stdout is piped"));
        let stderr = Capture::of(child.stderr.take().expect("stderr is piped"));
        Self { child, stdout, stderr }
    }

    /// Runs `command` to its end, within the deadline.
    pub fn run(command: &mut Command, stdin: &str) -> Exit {
        Self::start(command, stdin).finish()
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a process id fits"))
    }

    /// What it wrote to standard output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// What it wrote to standard error so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the process can be signalled");
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for its end and collects what it wrote.
    pub fn finish(self) -> Exit {
        self.finish_within(wait::DEADLINE)
    }

    /// The same where it may take longer.
    pub fn finish_within(mut self, limit: Duration) -> Exit {
        let status = wait::poll(limit, &mut || self.ended()).unwrap_or_else(|| {
            panic!("the process did not end\nstdout: {}\nstderr: {}", self.stdout(), self.stderr())
        });
        Exit { status, stdout: self.stdout.finish(), stderr: self.stderr.finish() }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_some()) {
            return;
        }
        // SIGTERM first, so that a server that has children of its own can end them.
        let _ = kill(self.pid(), Signal::SIGTERM);
        let grace = Duration::from_secs(5);
        if wait::poll(grace, &mut || self.child.try_wait().ok().flatten()).is_none() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Whether a process with this id runs (a zombie does not).
pub fn is_running(pid: i32) -> bool {
    let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else {
        return false;
    };
    // The state follows the command's name, which is in parentheses and may itself hold any character.
    stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with(['Z', 'X']))
}

/// The ids of the children of a process.
pub fn children(pid: i32) -> Vec<i32> {
    let listed = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    listed
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|ids| ids.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>())
        .collect()
}

/// One output of a process, read line by line by a thread of its own.
#[derive(Debug)]
struct Capture {
    text: Arc<Mutex<String>>,
    reader: JoinHandle<()>,
}

impl Capture {
    fn of(output: impl Read + Send + 'static) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let sink = Arc::clone(&text);
        let reader = std::thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                sink.lock().push_str(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Self { text, reader }
    }

    fn text(&self) -> String {
        self.text.lock().clone()
    }

    /// All of it, once the process has ended. A grandchild may hold the pipe open; what came until now has to do then.
    fn finish(&self) -> String {
        wait::poll(Duration::from_secs(2), &mut || self.reader.is_finished().then_some(()));
        self.text()
    }
}
