//! What every measurement needs: how long, how often, with which programs.

use crate::drive::{Drive, Outcome, READY};
use crate::error::BenchError;
use crate::message::{Era, Target};
use crate::nginx::Nginx;
use crate::process::{Pins, Program};
use crate::weir::{Guard, Weir};
use std::ffi::OsString;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

/// How long a client may take to open its connections or sessions and warm up.
pub const WARM_UP_LIMIT: Duration = Duration::from_secs(120);
/// How much longer than asked a client may take to report.
const GRACE: Duration = Duration::from_secs(90);

/// A measurement's circumstances.
#[derive(Debug)]
pub struct Bench {
    /// This harness's own binary, which is started again as echo server and as client.
    pub load: PathBuf,
    /// The nginx binary.
    pub nginx: PathBuf,
    /// The weir binary; without it, weir's figures are left out.
    pub weir: Option<PathBuf>,
    /// The eras that are measured.
    pub eras: Vec<Era>,
    /// How long each run lasts, in seconds.
    pub seconds: f64,
    /// How many runs of each variant the medians are of.
    pub rounds: usize,
    /// What runs on which processor.
    pub pins: Pins,
    /// Is told what is about to be measured.
    pub progress: fn(&str),
}

/// One run of one variant.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sample {
    /// What the client found.
    pub outcome: Outcome,
    /// Processor time of the hop per request, in microseconds; `None` where there is no hop.
    pub cpu: Option<f64>,
    /// How much of the run's time the hop's processor was busy with it, from 0 to 1.
    pub busy: Option<f64>,
    /// Resident memory of the hop at the end, in bytes.
    pub memory: Option<u64>,
}

/// A running echo server.
#[derive(Debug)]
pub struct EchoServer {
    /// Its process.
    pub program: Program,
    /// The port that it listens on.
    pub port: u16,
}

impl Bench {
    /// Starts the echo server as a process of its own.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_echo(&self, era: Era, tools: usize) -> Result<EchoServer, BenchError> {
        self.start_issuer(era, tools, "{}").await
    }

    /// The same of one that also shows the keys of an issuer.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_issuer(&self, era: Era, tools: usize, keys: &str) -> Result<EchoServer, BenchError> {
        let tools = tools.to_string();
        let args = ["echo", "--era", era.name(), "--tools", &tools, "--keys", keys].map(OsString::from);
        let mut program = self.start(&args)?;
        let line = program.line(Duration::from_secs(10)).await?;
        match line.parse() {
            Ok(port) => Ok(EchoServer { program, port }),
            Err(_) => Err(BenchError::Failed(format!("the echo server named no port but {line:?}"))),
        }
    }

    /// Starts nginx in front of the server on `upstream`; `list` is the file that it serves.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_nginx(&self, upstream: u16, list: &[u8]) -> Result<Nginx, BenchError> {
        Nginx::start(&self.nginx, self.pins, upstream, list).await
    }

    /// Starts weir with this many backends on the port `upstream`, if there is a weir.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_weir(
        &self,
        upstream: u16,
        era: Era,
        backends: usize,
    ) -> Result<Option<Weir>, BenchError> {
        match &self.weir {
            Some(weir) => Ok(Some(Weir::start(weir, self.pins, upstream, era, backends, None).await?)),
            None => Ok(None),
        }
    }

    /// The same of a weir whose callers log in.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn start_guarded_weir(
        &self,
        upstream: u16,
        era: Era,
        backends: usize,
        guard: &Guard,
    ) -> Result<Option<Weir>, BenchError> {
        match &self.weir {
            Some(weir) => Ok(Some(Weir::start(weir, self.pins, upstream, era, backends, Some(guard)).await?)),
            None => Ok(None),
        }
    }

    /// Starts this binary again, next to the echo server.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, args: &[OsString]) -> Result<Program, BenchError> {
        Program::start(&self.load, args, self.pins.peers, None)
    }

    /// Runs the closed-loop client once and accounts for the hop.
    ///
    /// # Errors
    /// When a process fails. Wrong answers are in the sample.
    pub async fn measure(&self, drive: &Drive, hop: Option<&Program>) -> Result<Sample, BenchError> {
        let argument = serde_json::to_string(drive).map_err(|error| BenchError::Failed(error.to_string()))?;
        let mut client = self.start(&["drive".into(), argument.into()])?;
        let line = client.line(WARM_UP_LIMIT).await?;
        if line != READY {
            return Ok(Sample { outcome: outcome(&line)?, ..Sample::default() });
        }
        let before = hop.map(Program::usage).transpose()?;
        client.go_on().await?;
        let line = client.line(Duration::from_secs_f64(self.seconds) + GRACE).await?;
        let after = hop.map(Program::usage).transpose()?;
        client.stop().await?;
        let outcome = outcome(&line)?;
        let used =
            before.zip(after).map(|(before, after)| (after.cpu.saturating_sub(before.cpu)).as_secs_f64());
        Ok(Sample {
            cpu: used.map(|used| used * 1e6 / outcome.calls.max(1) as f64),
            busy: used.map(|used| used / outcome.seconds),
            memory: after.map(|after| after.memory),
            outcome,
        })
    }

    /// A closed-loop run of the asked length.
    pub fn drive(&self, target: Target, era: Era, load: crate::drive::Load, connections: usize) -> Drive {
        Drive { target, era, load, connections, seconds: self.seconds }
    }
}

/// Reads what the client prints at its end.
fn outcome(line: &str) -> Result<Outcome, BenchError> {
    serde_json::from_str(line)
        .map_err(|error| BenchError::Failed(format!("the client said {line:?}: {error}")))
}

/// A port that was free a moment ago.
///
/// # Errors
/// When there is none.
pub fn free_port() -> Result<u16, BenchError> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(BenchError::io("find a free port"))?;
    Ok(listener.local_addr().map_err(BenchError::io("find a free port"))?.port())
}
