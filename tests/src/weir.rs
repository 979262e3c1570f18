//! The real binary, started with a configuration of the test's.

use crate::http::Endpoint;
use crate::process::{Exit, Process};
use crate::wait;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

const FILE: &str = "weir.yaml";

/// A running `weir serve`.
#[derive(Debug)]
pub struct Weir {
    process: Process,
    endpoint: Endpoint,
    directory: TempDir,
}

impl Weir {
    /// Serves a configuration on a free port and waits until it answers. The configuration is JSON, which is YAML too;
    /// a listener that it does not name is `127.0.0.1:0`, and backends may take as long as anything may to start and to list.
    pub fn serve(config: Value) -> Self {
        Self::serve_with(config, &[])
    }

    /// As [`serve`](Self::serve), with these arguments beside.
    pub fn serve_with(config: Value, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let file = write_config(directory.path(), &complete(config).to_string());
        Self::start(command().arg("serve").arg("--config").arg(&file).args(arguments), directory)
    }

    /// As [`serve`](Self::serve), with this level of the log.
    pub fn serve_logging(config: Value, level: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let file = write_config(directory.path(), &complete(config).to_string());
        Self::start(command().arg("serve").arg("--config").arg(&file).env("WEIR_LOG", level), directory)
    }

    /// Serves a configuration that lies in a file of the test's.
    pub fn serve_file(file: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        Self::start(command().arg("serve").arg(file), directory)
    }

    /// Serves the configuration in `file`, and sends SIGTERM once `started` has seen enough of the process of this id.
    pub fn stop_at_start(file: &Path, started: impl FnOnce(i32)) -> Exit {
        let process = Process::start(command().arg("serve").arg(file), "");
        started(process.pid().as_raw());
        process.signal(Signal::SIGTERM);
        process.finish()
    }

    /// Puts another configuration in the place of the one that it serves, as [`serve`](Self::serve) would write it.
    pub fn reconfigure(&self, config: Value) {
        self.rewrite(&complete(config).to_string());
    }

    /// Puts another text in the place of its configuration, at one stroke.
    pub fn rewrite(&self, text: &str) {
        replace_config(self.directory.path(), text);
    }

    /// Sends it SIGHUP.
    pub fn hang_up(&self) {
        self.process.signal(Signal::SIGHUP);
    }

    /// Serves a file as it stands; its listener must be on a free port.
    pub fn of_file(file: &Path) -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        Self::start(command().arg("serve").arg("--config").arg(file), directory)
    }

    /// Serves the built-in demo on a free port, as `weir serve` does without a configuration.
    pub fn demo() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let mut command = command();
        command.args(["serve", "--address", "127.0.0.1:0"]).current_dir(directory.path());
        Self::start(&mut command, directory)
    }

    fn start(command: &mut Command, directory: TempDir) -> Self {
        let mut process = Process::start(command, "");
        let url = wait::until("weir prints its URL", || {
            if let Some(status) = process.ended() {
                panic!("weir ended with {status}\n{}\n{}", process.stdout(), process.stderr());
            }
            first_url(&process.stdout())
        });
        Self { process, endpoint: Endpoint::parse(&url), directory }
    }

    /// Serves one endpoint, `/mcp`, over these backends, whose names are left as they are.
    pub fn over(backends: Value) -> Self {
        Self::serve(config(backends, json!({"conflicts": "none"})))
    }

    /// The first endpoint.
    pub fn endpoint(&self) -> Endpoint {
        self.endpoint.clone()
    }

    /// The first endpoint's URL.
    pub fn url(&self) -> String {
        self.endpoint.url()
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.process.pid().as_raw()
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.process.stderr()
    }

    /// Sends it SIGTERM.
    pub fn terminate(&self) {
        self.process.signal(Signal::SIGTERM);
    }

    /// Sends it SIGKILL.
    pub fn kill(&self) {
        self.process.signal(Signal::SIGKILL);
    }

    /// Waits for its end.
    pub fn finish(self) -> Exit {
        self.process.finish()
    }
}

/// A configuration with one endpoint, `/mcp`, over all of `backends`; `endpoint` adds members to the endpoint.
pub fn config(backends: Value, mut endpoint: Value) -> Value {
    if endpoint["backends"].is_null() {
        let names = backends.as_object().expect("backends are an object").keys().collect::<Vec<_>>();
        endpoint["backends"] = json!(names);
    }
    endpoint["path"] = json!("/mcp");
    json!({"backends": backends, "endpoints": {"main": endpoint}})
}

/// The configuration as [`Weir::serve`] writes it.
pub fn complete(mut config: Value) -> Value {
    let patience = json!(format!("{}s", wait::DEADLINE.as_secs()));
    let start = &mut config["timeouts"]["start"];
    if start.is_null() {
        *start = patience.clone();
    }
    let list = &mut config["defaults"]["timeouts"]["list"];
    if list.is_null() {
        *list = patience;
    }
    let address = &mut config["listener"]["address"];
    if address.is_null() {
        *address = json!("127.0.0.1:0");
    }
    config
}

/// Runs `weir` with these arguments to its end.
pub fn run(arguments: &[&str]) -> Exit {
    Process::run(command().args(arguments), "")
}

/// Writes a configuration text into a directory and returns the file's path.
pub fn write_config(directory: &Path, text: &str) -> PathBuf {
    let file = directory.join(FILE);
    std::fs::write(&file, text).expect("the configuration can be written");
    file
}

/// Puts another configuration text in the place of that in a directory, at one stroke.
pub(crate) fn replace_config(directory: &Path, text: &str) {
    let new = directory.join("new.yaml");
    std::fs::write(&new, text).expect("the configuration can be written");
    std::fs::rename(new, directory.join(FILE)).expect("the configuration can be replaced");
}

pub(crate) fn command() -> Command {
    Command::new(binary())
}

/// The binary: `WEIR_BIN`, else the one built beside this test.
pub fn binary() -> PathBuf {
    let given = std::env::var_os("WEIR_BIN").map(PathBuf::from);
    let binary = given.unwrap_or_else(|| {
        let test = std::env::current_exe().expect("a test knows its own path");
        test.parent().and_then(Path::parent).expect("a test lies in target/debug/deps").join("weir")
    });
    assert!(binary.is_file(), "there is no {}: run `make test`, or set WEIR_BIN", binary.display());
    binary
}

/// The first URL of a text, once the line that holds it is whole.
fn first_url(text: &str) -> Option<String> {
    let start = text.find("http://").or_else(|| text.find("https://"))?;
    let line = text[start..].split_once('\n')?.0;
    let end = line.find(|c: char| c.is_whitespace() || c == '"' || c == ',').unwrap_or(line.len());
    Some(line[..end].to_owned())
}
