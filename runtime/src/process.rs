//! A server as a child process in a process group of its own.

use crate::instance::VARIABLE;
use crate::stderr::log_lines;
use crate::{Group, Guardian, RuntimeError};
use nix::sys::signal::Signal;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

/// How a server's process is started.
#[derive(Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// The backend's configured name, for logs and errors.
    pub name: String,
    /// The program: a path, or a name that is looked up in `PATH`.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables set beside the inherited ones; `WEIR_INSTANCE` is always weir's own. Their values may be secret.
    pub env: Vec<(String, String)>,
    /// Its working directory; absent means weir's own.
    pub cwd: Option<PathBuf>,
}

impl fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSpec")
            .field("name", &self.name)
            .field("command", &self.command)
            .field("args", &self.args)
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .finish()
    }
}

/// A running server: the leader of a process group that ends with it. [`Process::stop`] ends it in good order;
/// dropping it kills the whole group at once.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    pid: u32,
    /// `None` once the group has been killed.
    group: Option<Group>,
    guardian: Guardian,
    stderr: Option<JoinHandle<()>>,
}

impl Process {
    /// Starts the program in a new process group that `guardian` knows of, with the guardian's mark in its
    /// environment, so that not even a descendant that leaves the group outlives weir. Standard input and output are
    /// piped; standard error is logged line by line under the target `backend`. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The program or the working directory is missing or may not be used, or the system refuses.
    pub fn spawn(spec: &ProcessSpec, guardian: &Guardian) -> Result<Self, RuntimeError> {
        let mut command = Command::new(&spec.command);
        command
            .args(&spec.args)
            .envs(spec.env.iter().map(|(name, value)| (name, value)))
            .env(VARIABLE, guardian.instance().as_str());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        if let Some(cwd) = &spec.cwd {
            command.current_dir(cwd);
        }
        let mut child = command.spawn().map_err(|source| refusal(spec, source))?;
        // tokio forgets the id only once the exit status was collected, which nobody has asked for yet.
        let pid = child.id().unwrap_or_default();
        let group = Group::of(pid);
        if let Some(group) = group {
            guardian.register(group);
        }
        let stderr = child.stderr.take().map(|stderr| {
            let name = spec.name.clone();
            tokio::spawn(async move { log_lines(&name, BufReader::new(stderr)).await })
        });
        tracing::debug!(backend = spec.name, pid, command = spec.command, "process started");
        Ok(Self { name: spec.name.clone(), child, pid, group, guardian: guardian.clone(), stderr })
    }

    /// The writing end of its standard input; `None` when it was taken before. Whoever takes it drops it before
    /// [`Process::stop`], since its end is what asks the server to leave.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The reading end of its standard output; `None` when it was taken before.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// The process id of the group's leader.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the leader has ended, then kills what is left of its group. Dropping the future loses nothing.
    /// Closes standard input if nobody took it. Should the system not tell the status, it is exit code 255.
    pub async fn wait(&mut self) -> ExitStatus {
        let status = self.child.wait().await.unwrap_or_else(|error| {
            tracing::warn!(backend = self.name, pid = self.pid, %error, "the exit status is unknown");
            ExitStatus::from_raw(255 << 8)
        });
        self.end_group();
        status
    }

    /// Ends the server in good order: its standard input is closed; after `grace` the group gets SIGTERM; after
    /// `grace` once more, or as soon as the leader has ended, SIGKILL. Takes at most three times `grace`, the last
    /// of it only when a process cannot even be killed.
    pub async fn stop(mut self, grace: Duration) {
        drop(self.take_stdin());
        if tokio::time::timeout(grace, self.wait()).await.is_err() {
            self.signal(Signal::SIGTERM);
            if tokio::time::timeout(grace, self.wait()).await.is_err() {
                tracing::warn!(backend = self.name, pid = self.pid, "ignored SIGTERM; killing it");
                self.end_group();
                if tokio::time::timeout(grace, self.wait()).await.is_err() {
                    tracing::error!(backend = self.name, pid = self.pid, "does not end although killed");
                }
            }
        }
        // Its last words are often the ones that explain it. A process that left the group may hold the pipe open.
        if let Some(stderr) = self.stderr.take() {
            let abort = stderr.abort_handle();
            if tokio::time::timeout(grace, stderr).await.is_err() {
                abort.abort();
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.group {
            group.signal(signal);
        }
    }

    /// Kills what is left of the group and takes it off the guardian's list. While the leader has not been waited
    /// for, or right after, its number cannot be another group's yet.
    fn end_group(&mut self) {
        if let Some(group) = self.group.take() {
            group.signal(Signal::SIGKILL);
            self.guardian.release(group);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end_group();
    }
}

/// Says what to do about a program that did not start.
fn refusal(spec: &ProcessSpec, source: io::Error) -> RuntimeError {
    let backend = spec.name.clone();
    let command = spec.command.clone();
    if let Some(cwd) =
        spec.cwd.as_ref().filter(|cwd| source.kind() != io::ErrorKind::PermissionDenied && !cwd.is_dir())
    {
        return RuntimeError::MissingDirectory { backend, cwd: cwd.clone() };
    }
    match source.kind() {
        io::ErrorKind::NotFound => RuntimeError::NotFound { backend, command, hint: search_hint(spec) },
        io::ErrorKind::PermissionDenied => RuntimeError::PermissionDenied { backend, command },
        _ => RuntimeError::Spawn { backend, command, source },
    }
}

fn search_hint(spec: &ProcessSpec) -> String {
    if spec.command.contains('/') {
        let path = spec.cwd.as_deref().unwrap_or(Path::new("")).join(&spec.command);
        return if path.exists() {
            "the file is there, but the interpreter that its first line names is not".into()
        } else {
            "no such file; correct `command`".into()
        };
    }
    let own = spec.env.iter().find(|(name, _)| name == "PATH").map(|(_, path)| OsString::from(path));
    match own.or_else(|| std::env::var_os("PATH")) {
        Some(path) => format!(
            "it is in no directory of PATH ({}); install it, or give its full path as `command`",
            path.to_string_lossy()
        ),
        None => "PATH is not set; give its full path as `command`".into(),
    }
}

#[cfg(test)]
mod tests;
