//! The mark that every process of one weir carries, by which those that left their group are found.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
use std::time::Duration;

/// The environment variable that holds the mark; descendants inherit it.
pub(crate) const VARIABLE: &str = "WEIR_INSTANCE";

/// The hexadecimal digits of a mark: 128 bits, so that no two instances ever share one.
pub(crate) const DIGITS: usize = 32;

/// Longer than the kernel lets arguments and environment be together (6 MiB).
const LONGEST_ENVIRONMENT: u64 = 8 << 20;

/// Scans at most; only processes that start others faster than they are found, or that even SIGKILL does not end,
/// come this far.
const MOST_SCANS: u32 = 100;

/// Between two scans. A process that the last one killed is gone then, and one that just replaced its program shows
/// its environment again, which the kernel hides for a moment.
const PAUSE: Duration = Duration::from_millis(20);

/// The mark of one guardian's processes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Instance(String);

impl Instance {
    /// A mark that nobody has.
    pub(crate) fn random() -> io::Result<Self> {
        let mut bytes = [0; DIGITS / 2];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        Ok(Self(format!("{:032x}", u128::from_ne_bytes(bytes))))
    }

    /// `None` for what is no mark.
    pub(crate) fn parse(digits: &str) -> Option<Self> {
        let is_mark = digits.len() == DIGITS && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        is_mark.then(|| Self(digits.to_owned()))
    }

    /// The value of [`VARIABLE`].
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// SIGKILLs every process that was started with this mark, its own caller aside, until two scans in a row find
    /// none. Sees the processes that `/proc` shows and lets the caller read; without a Linux `/proc`, none.
    pub(crate) fn kill_all(&self) {
        let entry = format!("{VARIABLE}={self}").into_bytes();
        let mut clean = 0;
        for _ in 0..MOST_SCANS {
            if kill_marked(&entry) {
                clean = 0;
            } else {
                clean += 1;
                if clean == 2 {
                    return;
                }
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl fmt::Display for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One scan; whether it found a process with this `entry` in its environment that could be killed.
fn kill_marked(entry: &[u8]) -> bool {
    let Ok(processes) = fs::read_dir("/proc") else {
        return false;
    };
    let mut environment = Vec::new();
    let mut found = false;
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(other_process) else {
            continue;
        };
        environment.clear();
        let read = File::open(process.path().join("environ"))
            .and_then(|file| file.take(LONGEST_ENVIRONMENT).read_to_end(&mut environment));
        // It ended meanwhile, or it is another user's. One that was killed before and not reaped shows nothing.
        if read.is_err() || !environment.split(|&byte| byte == 0).any(|own| own == entry) {
            continue;
        }
        // Its number cannot be another's yet: the kernel goes through all the others first.
        match kill(pid, Signal::SIGKILL) {
            Ok(()) => found = true,
            Err(Errno::ESRCH) => {}
            Err(error) => tracing::warn!(%pid, %error, "a process could not be killed"),
        }
    }
    found
}

/// The process that a name in `/proc` stands for; `None` for anything else, the first process and the caller.
fn other_process(name: &str) -> Option<Pid> {
    let pid = name.parse().ok().filter(|pid| *pid > 1).map(Pid::from_raw)?;
    (pid != Pid::this()).then_some(pid)
}

#[cfg(test)]
mod tests;
