//! Programs under measurement: started on a chosen processor, accounted from `/proc`, ended with SIGTERM.

use crate::error::BenchError;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

/// What `/proc/PID/stat` counts in: Linux shows user space hundredths of a second on every architecture but two old ones.
const TICK: Duration = Duration::from_millis(10);
/// How long a program may take to end after SIGTERM.
const STOP: Duration = Duration::from_secs(10);

/// How programs share the processors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Placement {
    /// The hop on processor 0, the client and the echo server on processor 1.
    Apart,
    /// All on processor 0: no processor sleeps between a request's steps, so that latency shows the work alone.
    Together,
    /// Wherever the system puts them.
    Free,
}

/// Which processors programs are bound to; `None` where binding is not possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pins {
    /// For the hop under test.
    pub hop: Option<u32>,
    /// For the client and the echo server.
    pub peers: Option<u32>,
}

impl Pins {
    /// The processors of this placement, if they can be used through `taskset`.
    pub fn detect(placement: Placement) -> Self {
        let usable = |cpu: &str| {
            let probe = std::process::Command::new("taskset")
                .args(["-c", cpu, "true"])
                .stderr(Stdio::null())
                .status();
            probe.is_ok_and(|status| status.success())
        };
        let (hop, peers) = match placement {
            Placement::Apart if usable("0") && usable("1") => (Some(0), Some(1)),
            Placement::Together if usable("0") => (Some(0), Some(0)),
            _ => (None, None),
        };
        Self { hop, peers }
    }

    /// A sentence about what is bound where.
    pub fn describe(self) -> String {
        match (self.hop, self.peers) {
            (Some(hop), Some(peers)) if hop == peers => {
                format!("The hop, the client and the echo server are all pinned to processor {hop}.")
            }
            (Some(hop), Some(peers)) => {
                format!(
                    "The hop is pinned to processor {hop}, the client and the echo server to processor {peers}."
                )
            }
            _ => "Nothing is pinned.".to_owned(),
        }
    }
}

/// A running program; it is sent SIGTERM when this is dropped.
#[derive(Debug)]
pub struct Program {
    name: String,
    child: Child,
    pid: u32,
    input: Option<ChildStdin>,
    output: Option<BufReader<ChildStdout>>,
}

impl Program {
    /// Starts a program bound to a processor; what it writes goes to the file `log`, or without one to this
    /// program's standard error, and its standard output to [`Program::line`].
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(
        program: &Path,
        args: &[OsString],
        cpu: Option<u32>,
        log: Option<&Path>,
    ) -> Result<Self, BenchError> {
        let name = program.display().to_string();
        let mut command = match cpu {
            Some(cpu) => {
                // `taskset` becomes the program, so its process id is the program's.
                let mut command = Command::new("taskset");
                command.args(["-c", &cpu.to_string()]).arg(program);
                command
            }
            None => Command::new(program),
        };
        match log {
            Some(log) => {
                let log = File::options().create(true).append(true).open(log);
                let log = log.map_err(BenchError::io("open a log file"))?;
                let twin = log.try_clone().map_err(BenchError::io("open a log file"))?;
                command.stdout(twin).stderr(log);
            }
            None => {
                command.stdout(Stdio::piped());
            }
        }
        command.args(args).stdin(Stdio::piped());
        let mut child = command.spawn().map_err(BenchError::io(format!("start {name}")))?;
        let Some(pid) = child.id() else {
            return Err(BenchError::Failed(format!("{name} ended at once")));
        };
        let (input, output) = (child.stdin.take(), child.stdout.take().map(BufReader::new));
        Ok(Self { name, child, pid, input, output })
    }

    /// The next line of its standard output.
    ///
    /// # Errors
    /// When it ends first or takes longer than `limit`.
    pub async fn line(&mut self, limit: Duration) -> Result<String, BenchError> {
        let failed = |what: &str| Err(BenchError::Failed(format!("{} {what}", self.name)));
        let Some(output) = &mut self.output else {
            return failed("writes to its log");
        };
        let mut line = String::new();
        let read = tokio::time::timeout(limit, output.read_line(&mut line)).await;
        match read {
            Err(_) => failed("said nothing in time"),
            Ok(Err(source)) => Err(BenchError::Io { action: format!("read from {}", self.name), source }),
            Ok(Ok(0)) => failed("ended early"),
            Ok(Ok(_)) => Ok(line.trim_end().to_owned()),
        }
    }

    /// Writes an empty line to its standard input.
    ///
    /// # Errors
    /// When it has ended.
    pub async fn go_on(&mut self) -> Result<(), BenchError> {
        let Some(input) = &mut self.input else {
            return Err(BenchError::Failed(format!("{} takes no input", self.name)));
        };
        input.write_all(b"\n").await.map_err(BenchError::io(format!("write to {}", self.name)))
    }

    /// What it and its descendants have used so far.
    ///
    /// # Errors
    /// When it has ended.
    pub fn usage(&self) -> Result<Usage, BenchError> {
        let processes = stats()?;
        if !processes.contains_key(&self.pid) {
            return Err(BenchError::Failed(format!("{} has ended", self.name)));
        }
        let mut usage = Usage::default();
        for (pid, stat) in &processes {
            if descends(&processes, *pid, self.pid) {
                usage.cpu += TICK * stat.ticks;
                usage.memory += memory(*pid);
            }
        }
        Ok(usage)
    }

    /// Tells it to end and waits until it has; kills it when it does not.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub async fn stop(mut self) -> Result<(), BenchError> {
        self.terminate();
        if tokio::time::timeout(STOP, self.child.wait()).await.is_err() {
            self.child.kill().await.map_err(BenchError::io(format!("kill {}", self.name)))?;
        }
        Ok(())
    }

    fn terminate(&self) {
        // `id` is `None` once it was waited for, so that no other process of the same number is hit.
        if let Some(pid) = self.child.id().and_then(|pid| i32::try_from(pid).ok()) {
            let _gone = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.terminate();
    }
}

/// What a program and its descendants have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Processor time, user and system.
    pub cpu: Duration,
    /// Resident memory, in bytes; a page that two of its processes share counts twice.
    pub memory: u64,
}

/// The part of `/proc/PID/stat` that is of interest.
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    parent: u32,
    /// Processor time, that of ended and waited-for children included.
    ticks: u32,
}

fn stats() -> Result<HashMap<u32, Stat>, BenchError> {
    let entries = fs::read_dir("/proc").map_err(BenchError::io("read /proc"))?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // A process may end between the listing and the reading.
    Ok(pids
        .filter_map(|pid| Some((pid, parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect())
}

fn parse(stat: &str) -> Option<Stat> {
    // The second field is the program's name in parentheses, which may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let parent = fields.nth(1)?.parse().ok()?;
    let times = fields.skip(9).take(4).map(str::parse::<u32>);
    Some(Stat { parent, ticks: times.sum::<Result<u32, _>>().ok()? })
}

fn descends(processes: &HashMap<u32, Stat>, pid: u32, ancestor: u32) -> bool {
    // Bounded, as a number could be taken anew between two readings.
    std::iter::successors(Some(pid), |pid| processes.get(pid).map(|stat| stat.parent))
        .take(32)
        .any(|pid| pid == ancestor)
}

fn memory(pid: u32) -> u64 {
    // Unlike `status`, `smaps_rollup` does not lag behind.
    let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = rollup.lines().find_map(|line| line.strip_prefix("Rss:"));
    let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "7 (a) b) S 3 7 7 0 -1 4194560 100 0 0 0 11 22 33 44 20 0 1 0 100 1 1 1";
        assert_eq!(parse(line), Some(Stat { parent: 3, ticks: 110 }));
        assert_eq!(parse("nonsense"), None);
    }

    #[tokio::test]
    async fn a_program_is_accounted_with_its_children_and_ends() {
        let script = "sleep 60 & echo up; wait";
        let args = ["-c".into(), script.into()];
        let mut program = Program::start(Path::new("/bin/sh"), &args, None, None).unwrap();
        assert_eq!(program.line(STOP).await.unwrap(), "up");
        assert!(program.usage().unwrap().memory > 0);
        program.stop().await.unwrap();
    }
}
