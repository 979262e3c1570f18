//! The guardian: a second process that kills weir's children when weir itself dies, however it dies.
//!
//! weir holds the only writing end of the guardian's standard input and reports on it: first `=INSTANCE`, the mark that
//! the environment of each of its children carries, then each process group, `+GROUP` when it was started and `-GROUP`
//! when it is gone. The pipe ends when weir ends, also by SIGKILL, but not before a child that is just being started
//! runs its program, since until then that child holds the pipe as well. The guardian then SIGKILLs every group still
//! on its list and, on Linux, every process with the mark: a child whose start weir did not live to report, and a
//! process that made a session of its own (`setsid`).
//!
//! What escapes it: a process outside its group that also took `WEIR_INSTANCE` out of its environment, wrote over
//! it, or became another user's; elsewhere than on Linux, every process outside a registered group; and everything,
//! when guardian and weir are killed together, before weir has started another guardian.

use crate::instance::{DIGITS, Instance, VARIABLE};
use crate::{Backoff, Group};
use nix::sys::signal::Signal;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};
use tokio::signal::unix::{SignalKind, signal};

/// A line holds a sign, a mark or a process id, and a line feed; what is longer is no report.
const LONGEST_REPORT: u64 = DIGITS as u64 + 2;

/// The handle on a running guardian process; clones share it. When the last one goes, the guardian kills what is
/// still registered or carries its mark, and ends.
#[derive(Debug, Clone)]
pub struct Guardian {
    post: Arc<Post>,
}

/// What the handles and the thread that watches the guardian share.
#[derive(Debug)]
struct Post {
    program: PathBuf,
    args: Vec<OsString>,
    instance: Instance,
    watch: Mutex<Watch>,
}

#[derive(Debug)]
struct Watch {
    groups: BTreeSet<Group>,
    pipe: ChildStdin,
}

impl Guardian {
    /// Starts `program args` as the guardian, in a process group of its own; it must call [`run_guardian`]. When the
    /// guardian dies it is started again and told of every group.
    ///
    /// # Errors
    ///
    /// The system gives no random bytes, the program cannot be started, or no thread to watch it.
    pub fn start(program: &Path, args: &[&str]) -> io::Result<Self> {
        let args = args.iter().map(OsString::from).collect::<Vec<_>>();
        let instance = Instance::random()?;
        let (child, pipe) = start(program, &args, &instance)?;
        let watch = Mutex::new(Watch { groups: BTreeSet::new(), pipe });
        let post = Arc::new(Post { program: program.to_owned(), args, instance, watch });
        let weak = Arc::downgrade(&post);
        std::thread::Builder::new().name("guardian".into()).spawn(move || keep_alive(child, &weak))?;
        Ok(Self { post })
    }

    /// The mark that each child must carry in its environment.
    pub(crate) fn instance(&self) -> &Instance {
        &self.post.instance
    }

    /// Puts a process group on the list of those that may not outlive weir.
    pub fn register(&self, group: Group) {
        let mut watch = self.post.watch.lock();
        watch.groups.insert(group);
        report(&mut watch.pipe, '+', &group);
    }

    /// Takes a process group off the list: it is gone, and its number may soon be another's.
    pub fn release(&self, group: Group) {
        let mut watch = self.post.watch.lock();
        if watch.groups.remove(&group) {
            report(&mut watch.pipe, '-', &group);
        }
    }
}

/// Tells the guardian. A failure means that it just died: the watching thread sees that too and tells its successor
/// everything.
fn report(pipe: &mut ChildStdin, sign: char, subject: &impl fmt::Display) {
    if let Err(error) = writeln!(pipe, "{sign}{subject}") {
        tracing::debug!(%error, "the guardian did not take a report");
    }
}

/// Starts a guardian and tells it the mark.
fn start(program: &Path, args: &[OsString], instance: &Instance) -> io::Result<(Child, ChildStdin)> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        // Ctrl-C in weir's terminal must not reach it.
        .process_group(0)
        // A weir that is another weir's server has that one's mark. Its guardian must live to kill what it started.
        .env_remove(VARIABLE)
        .spawn()?;
    let mut pipe =
        child.stdin.take().ok_or_else(|| io::Error::other("the guardian has no standard input"))?;
    report(&mut pipe, '=', instance);
    Ok((child, pipe))
}

/// Reaps the guardian, and starts another one for as long as somebody holds a handle.
fn keep_alive(mut child: Child, post: &Weak<Post>) {
    let mut backoff = Backoff::new(Duration::from_millis(10), Duration::from_secs(30));
    loop {
        let started = Instant::now();
        let ended = child.wait();
        let mut healthy = started.elapsed();
        child = loop {
            if post.strong_count() == 0 {
                return;
            }
            tracing::warn!(?ended, "the guardian ended; starting another one");
            std::thread::sleep(backoff.next_after(healthy));
            let Some(post) = post.upgrade() else { return };
            match post.restart() {
                Ok(child) => break child,
                Err(error) => tracing::error!(%error, program = ?post.program, "the guardian does not start"),
            }
            healthy = Duration::ZERO;
        };
    }
}

impl Post {
    fn restart(&self) -> io::Result<Child> {
        let mut watch = self.watch.lock();
        let (child, pipe) = start(&self.program, &self.args, &self.instance)?;
        watch.pipe = pipe;
        let Watch { groups, pipe } = &mut *watch;
        for group in groups.iter() {
            report(pipe, '+', group);
        }
        Ok(child)
    }
}

/// The guardian's whole life: reads reports from standard input until it ends, then SIGKILLs every group still
/// registered and every process with weir's mark. SIGINT, SIGTERM and SIGHUP do nothing to it, since a supervisor that
/// stops weir often signals every process of the service, and the guardian must be the last one to leave.
///
/// # Errors
///
/// The signal handlers cannot be installed, or reading fails; in the second case it kills as well.
pub fn run_guardian() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let _entered = runtime.enter();
    // Listening is enough: once there is a handler, the default action, to die, is gone for good.
    let _deaf =
        [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?];
    let mut wards = Wards::default();
    let read = read_reports(&mut io::stdin().lock(), &mut wards);
    for group in wards.groups {
        group.signal(Signal::SIGKILL);
    }
    if let Some(instance) = wards.instance {
        instance.kill_all();
    }
    read
}

/// Whom the guardian kills.
#[derive(Debug, Default)]
struct Wards {
    instance: Option<Instance>,
    groups: BTreeSet<Group>,
}

/// Follows the reports until their end; `wards` then holds what is still registered. Lines that are no report are
/// passed over.
fn read_reports(reports: &mut impl BufRead, wards: &mut Wards) -> io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        if reports.by_ref().take(LONGEST_REPORT).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        // A line cut off in the middle holds a number that is cut off as well, which would be another's.
        let Some(report) = line.strip_suffix(b"\n").and_then(|line| str::from_utf8(line).ok()) else {
            continue;
        };
        if let Some(group) = report.strip_prefix('+').and_then(group) {
            wards.groups.insert(group);
        } else if let Some(group) = report.strip_prefix('-').and_then(group) {
            wards.groups.remove(&group);
        } else if let Some(instance) = report.strip_prefix('=').and_then(Instance::parse) {
            wards.instance = Some(instance);
        }
    }
}

fn group(digits: &str) -> Option<Group> {
    digits.parse().ok().and_then(Group::of)
}

#[cfg(test)]
mod tests;
