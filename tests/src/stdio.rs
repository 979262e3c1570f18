//! The real binary as a program that a client starts: `weir stdio`, spoken to line by line.

use crate::wait::DEADLINE;
use crate::weir::{command, complete, replace_config, write_config};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio as Pipes};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;
use tempfile::TempDir;

/// A running `weir stdio`.
#[derive(Debug)]
pub struct Stdio {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    last_id: u64,
    directory: TempDir,
}

/// The command line of `weir stdio` for a configuration, and the directory in which the configuration lies.
pub fn command_line(config: Value) -> (TempDir, Vec<String>) {
    let directory = tempfile::tempdir().expect("a directory can be made");
    let file = write_config(directory.path(), &complete(config).to_string());
    let program = command();
    let words = [program.get_program(), "stdio".as_ref(), file.as_os_str()];
    let words = words.map(|word| word.to_str().expect("the path is UTF-8").to_owned());
    (directory, words.to_vec())
}

impl Stdio {
    /// Starts it with a configuration.
    pub fn serve(config: Value) -> Self {
        let mut weir = Self::unread(config);
        let (sender, lines) = channel();
        let output = weir.child.stdout.take().expect("stdout is piped");
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        weir.lines = lines;
        weir
    }

    /// Starts it with a configuration and does not read what it writes.
    pub fn unread(config: Value) -> Self {
        let (directory, words) = command_line(config);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).stdin(Pipes::piped()).stdout(Pipes::piped()).stderr(Pipes::piped());
        let mut child = command.spawn().expect("weir can be started");
        let input = child.stdin.take();
        let (_, lines) = channel();
        Self { child, input, lines, last_id: 0, directory }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a process id fits")
    }

    /// Puts another configuration in the place of the one that it serves.
    pub fn reconfigure(&self, config: Value) {
        replace_config(self.directory.path(), &complete(config).to_string());
    }

    /// Writes a line.
    pub fn send(&mut self, line: &str) {
        let input = self.input.as_mut().expect("standard input is open");
        input.write_all(format!("{line}\n").as_bytes()).expect("the line can be written");
    }

    /// Writes a legacy request and answers its id.
    pub fn request(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let id = json!(self.last_id);
        self.send(&json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string());
        id
    }

    /// Writes a modern request and answers its id.
    pub fn modern(&mut self, method: &str, mut params: Value) -> Value {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2026-07-28");
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        self.request(method, params)
    }

    /// Opens the legacy session and answers the result of `initialize`.
    pub fn initialize(&mut self, version: &str) -> Value {
        let client = json!({"name": "weir-tests", "version": "1"});
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": client});
        let id = self.request("initialize", params);
        let welcome = self.answer(&id)["result"].take();
        self.send(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
        welcome
    }

    /// The next message; `None` when there are no more. Panics when none comes.
    pub fn message(&self) -> Option<Value> {
        match self.lines.recv_timeout(DEADLINE) {
            Ok(line) => Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))),
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("waited {DEADLINE:?} in vain for a message"),
        }
    }

    /// The next message, if one comes within `limit`.
    pub fn message_within(&self, limit: Duration) -> Option<Value> {
        let line = self.lines.recv_timeout(limit).ok()?;
        Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}")))
    }

    /// The answer to the request with this id; messages before it are skipped.
    pub fn answer(&self, id: &Value) -> Value {
        self.message_where(|message| message["id"] == *id)
    }

    /// The next message for which `wanted` holds, others skipped.
    pub fn message_where(&self, wanted: impl Fn(&Value) -> bool) -> Value {
        loop {
            let message = self.message().expect("weir goes on");
            if wanted(&message) {
                return message;
            }
        }
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends it SIGTERM.
    pub fn terminate(&self) {
        kill(Pid::from_raw(self.pid()), Signal::SIGTERM).expect("weir can be signalled");
    }

    /// Waits for its end; answers how it ended, what it still said, and its log.
    pub fn finish(&mut self) -> (ExitStatus, Vec<Value>, String) {
        let status =
            crate::wait::until("weir ends", || self.child.try_wait().expect("weir can be waited for"));
        let mut log = String::new();
        let errors = self.child.stderr.as_mut().expect("stderr is piped");
        errors.read_to_string(&mut log).expect("the log is text");
        (status, std::iter::from_fn(|| self.message()).collect(), log)
    }
}

impl Drop for Stdio {
    fn drop(&mut self) {
        self.input = None;
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
