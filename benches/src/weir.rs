//! weir, with a generated configuration in front of the echo server.

use crate::bench::free_port;
use crate::client::{Connection, wait_for_port};
use crate::error::BenchError;
use crate::message::{Era, FIRST_ID, Target, Template};
use crate::process::{Pins, Program};
use crate::token::{AUDIENCE, ISSUER, KEYS};
use memchr::memmem;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const START: Duration = Duration::from_secs(90);

/// What callers of a weir must show, and what they may do then.
#[derive(Debug)]
pub struct Guard {
    /// The token of the caller.
    pub token: String,
    /// The policies.
    pub policies: String,
}

/// A running weir with one worker.
#[derive(Debug)]
pub struct Weir {
    /// The process.
    pub program: Program,
    /// Its endpoint.
    pub target: Target,
    /// Its backends are `b0`, `b1`, ….
    backends: usize,
    /// Its configuration and log.
    directory: TempDir,
}

impl Weir {
    /// Starts weir with `backends` backends of this era, all on the port `upstream`, and waits until it lists the tools
    /// of every one.
    ///
    /// # Errors
    /// When it cannot be started or does not list the tools in time.
    pub async fn start(
        weir: &Path,
        pins: Pins,
        upstream: u16,
        era: Era,
        backends: usize,
        guard: Option<&Guard>,
    ) -> Result<Self, BenchError> {
        let directory = tempfile::tempdir().map_err(BenchError::io("create a directory"))?;
        let port = free_port()?;
        let config = directory.path().join("weir.yaml");
        let written = configuration(port, upstream, era, backends, guard.is_some());
        fs::write(&config, written).map_err(BenchError::io("write a file"))?;
        if let Some(guard) = guard {
            let policies = directory.path().join("bench.cedar");
            fs::write(policies, &guard.policies).map_err(BenchError::io("write a file"))?;
        }
        let args = ["serve".into(), "--config".into(), config.into()];
        let program = Program::start(weir, &args, pins.hop, Some(&directory.path().join("weir.log")))?;
        let token = guard.map(|guard| guard.token.clone());
        let target = Target { token, ..Target::new(port, "/mcp") };
        let this = Self { program, target, backends, directory };
        match this.wait(era).await {
            Ok(()) => Ok(this),
            Err(error) => {
                let log = fs::read_to_string(this.directory.path().join("weir.log")).unwrap_or_default();
                let tail: Vec<&str> = log.lines().rev().take(20).collect();
                let tail = tail.into_iter().rev().collect::<Vec<_>>().join("\n");
                Err(BenchError::Failed(format!("weir is not ready: {error}\n{tail}")))
            }
        }
    }

    /// The name under which clients see the tool `echo` of every backend.
    pub fn tools(&self) -> Vec<String> {
        (0..self.backends).map(|index| format!("b{index}_echo")).collect()
    }

    async fn wait(&self, era: Era) -> Result<(), BenchError> {
        let deadline = Instant::now() + START;
        wait_for_port(&self.target, START).await?;
        loop {
            let missing = match list(&self.target, era).await {
                Ok(body) => self
                    .tools()
                    .into_iter()
                    .find(|tool| memmem::find(&body, format!("\"{tool}\"").as_bytes()).is_none()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => Some("everything".to_owned()),
            };
            match missing {
                None => return Ok(()),
                Some(tool) if Instant::now() > deadline => {
                    return Err(BenchError::Failed(format!("its list lacks {tool}")));
                }
                Some(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// The body of one answer to `tools/list`.
///
/// # Errors
/// When there is no such answer.
pub async fn list(target: &Target, era: Era) -> Result<Vec<u8>, BenchError> {
    let mut connection = Connection::open(target).await?;
    let session = match era {
        Era::Legacy => Some(connection.open_session(target, FIRST_ID).await?),
        Era::Modern => None,
    };
    let mut request = Template::list(target, session.as_deref());
    let answer = connection.exchange(request.with_id(FIRST_ID)).await?;
    answer.check_result(FIRST_ID)?;
    Ok(answer.body.to_vec())
}

fn configuration(port: u16, upstream: u16, era: Era, backends: usize, guarded: bool) -> String {
    let era = era.name();
    let mut config = format!("listener: {{address: \"127.0.0.1:{port}\", workers: 1}}\nbackends:\n");
    for index in 0..backends {
        // Writing to a `String` cannot fail.
        let _infallible =
            writeln!(config, "  b{index}: {{url: \"http://127.0.0.1:{upstream}/b{index}/mcp\", era: {era}}}");
    }
    config.push_str("endpoints:\n  bench:\n    path: /mcp\n");
    if guarded {
        let _infallible = write!(
            config,
            "    auth:\n      resource: {AUDIENCE}\n      issuers:\n        - issuer: {ISSUER}\n          \
             algorithms: [ES256]\n          jwks: http://127.0.0.1:{upstream}{KEYS}\n          private: true\n    \
             policies: {{files: [bench.cedar]}}\n"
        );
    }
    config
}
