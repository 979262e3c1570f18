//! The closed-loop client: connections with one request outstanding each, which runs as a process of its own.

use crate::client::Connection;
use crate::error::BenchError;
use crate::message::{Era, FIRST_ID, Target, Template};
use crate::token::Signer;
use serde::{Deserialize, Serialize};
use std::io::Write;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// The line by which the client says that it is warm and waits to be told to go on.
pub const READY: &str = "ready";

/// Requests are sent at least this long before they count.
const WARM_UP: Duration = Duration::from_millis(500);
/// How much longer than asked a phase may take.
const GRACE: Duration = Duration::from_secs(60);

/// What is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Load {
    /// `tools/call` of these tools in turn.
    Call(Vec<String>),
    /// `tools/call` of this tool, each time with another token of the key [`Signer::text`].
    Strangers(String, String),
    /// `tools/list`.
    List,
    /// A plain `GET` of the path, for a file that nginx serves.
    Get,
}

/// A closed-loop run; its JSON is the argument of the client's process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Drive {
    /// Where requests go.
    pub target: Target,
    /// The client's era.
    pub era: Era,
    /// What is sent.
    pub load: Load,
    /// How many connections.
    pub connections: usize,
    /// How long requests count.
    pub seconds: f64,
}

/// What a closed-loop run found; one line of JSON from the client's process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Requests answered as they must be.
    pub calls: u64,
    /// Connections that ended with an error.
    pub errors: u64,
    /// The first such error.
    pub error: Option<String>,
    /// How long the requests took all together, in seconds.
    pub seconds: f64,
    /// Half of the requests took at most this, in microseconds.
    pub p50: f64,
    /// Ninety-nine of a hundred requests took at most this, in microseconds.
    pub p99: f64,
}

impl Drive {
    /// Opens the connections, warms up, says [`READY`] on `out`, waits for a line on standard input, and sends requests
    /// for the asked time. Wrong answers are in the outcome; one during the warm-up ends the run before [`READY`].
    ///
    /// # Errors
    /// When standard input or output is gone, or an answer does not come in time.
    pub async fn run(&self, out: &mut impl Write) -> Result<Outcome, BenchError> {
        let mut lanes = Vec::with_capacity(self.connections);
        for index in 0..self.connections {
            match Lane::open(self, index).await {
                Ok(lane) => lanes.push(lane),
                Err(error) => {
                    return Ok(Outcome { errors: 1, error: Some(error.to_string()), ..Outcome::default() });
                }
            }
        }
        let (lanes, warm) = self.phase(lanes, WARM_UP).await?;
        if warm.errors > 0 {
            return Ok(warm);
        }
        wait_to_go_on(out)?;
        Ok(self.phase(lanes, Duration::from_secs_f64(self.seconds)).await?.1)
    }

    async fn phase(&self, lanes: Vec<Lane>, length: Duration) -> Result<(Vec<Lane>, Outcome), BenchError> {
        let start = Instant::now();
        let mut running = JoinSet::new();
        for mut lane in lanes {
            running.spawn(async move {
                let (latencies, error) = lane.run(start + length).await;
                (lane, latencies, error)
            });
        }
        let collected = tokio::time::timeout(length + GRACE, running.join_all()).await;
        let collected =
            collected.map_err(|_| BenchError::Failed("an answer did not come in time".to_owned()))?;
        let seconds = start.elapsed().as_secs_f64();
        let mut lanes = Vec::with_capacity(self.connections);
        let mut outcome = Outcome { seconds, ..Outcome::default() };
        let mut all = Vec::new();
        for (lane, latencies, error) in collected {
            lanes.push(lane);
            all.extend(latencies);
            if let Some(error) = error {
                outcome.errors += 1;
                outcome.error.get_or_insert(error.to_string());
            }
        }
        all.sort_unstable();
        outcome.calls = all.len() as u64;
        outcome.p50 = percentile(&all, 50);
        outcome.p99 = percentile(&all, 99);
        Ok((lanes, outcome))
    }
}

/// Says [`READY`] and waits for a line on standard input.
///
/// # Errors
/// When standard input or output is gone.
pub fn wait_to_go_on(out: &mut impl Write) -> Result<(), BenchError> {
    writeln!(out, "{READY}")
        .and_then(|()| out.flush())
        .map_err(BenchError::io("say that the client is ready"))?;
    // This blocks the thread, which is well: nothing is under way.
    let read =
        std::io::stdin().read_line(&mut String::new()).map_err(BenchError::io("read standard input"))?;
    if read == 0 {
        return Err(BenchError::Failed(
            "standard input was closed before the client was told to go on".to_owned(),
        ));
    }
    Ok(())
}

/// One connection and its requests.
struct Lane {
    connection: Connection,
    requests: Vec<Template>,
    /// The request that is sent next.
    turn: usize,
    /// The next id.
    id: u64,
    /// Whether an answer must be a JSON-RPC result.
    results: bool,
    stranger: Option<Stranger>,
}

/// Somebody whom weir has never seen, each time; in the modern era alone, for a session is its opener's.
struct Stranger {
    signer: Signer,
    tool: String,
    target: Target,
    /// The number of the lane.
    index: usize,
}

impl Stranger {
    /// A request with a token of its own.
    fn request(&self, id: u64) -> Result<Template, BenchError> {
        let token = Some(self.signer.token(&format!("stranger-{}-{id}", self.index))?);
        Ok(Template::call(&Target { token, ..self.target.clone() }, None, &self.tool))
    }
}

impl Lane {
    async fn open(drive: &Drive, index: usize) -> Result<Self, BenchError> {
        let Drive { target, load, .. } = drive;
        let mut connection = Connection::open(target).await?;
        let session = match (drive.era, load) {
            (Era::Modern, _) | (_, Load::Get) => None,
            (Era::Legacy, _) => Some(connection.open_session(target, FIRST_ID).await?),
        };
        let session = session.as_deref();
        let requests = match load {
            Load::Call(tools) => tools.iter().map(|tool| Template::call(target, session, tool)).collect(),
            Load::Strangers(tool, _) => vec![Template::call(target, session, tool)],
            Load::List => vec![Template::list(target, session)],
            Load::Get => vec![Template::get(target)],
        };
        let stranger = match load {
            Load::Strangers(tool, key) => Some(Stranger {
                signer: Signer::read(key)?,
                tool: tool.clone(),
                target: target.clone(),
                index,
            }),
            _ => None,
        };
        let results = *load != Load::Get;
        let mut lane = Self { connection, requests, turn: index, id: FIRST_ID + 1, results, stranger };
        // Every request once, so that what is built on first use is built before the measurement.
        for _ in 0..lane.requests.len() {
            lane.exchange().await?;
        }
        Ok(lane)
    }

    /// Sends requests until `end` and returns how long each took in nanoseconds, and the error that stopped it.
    async fn run(&mut self, end: Instant) -> (Vec<u32>, Option<BenchError>) {
        let mut latencies = Vec::with_capacity(1 << 16);
        let mut before = Instant::now();
        while before < end {
            if let Err(error) = self.exchange().await {
                return (latencies, Some(error));
            }
            let after = Instant::now();
            latencies.push(u32::try_from((after - before).as_nanos()).unwrap_or(u32::MAX));
            before = after;
        }
        (latencies, None)
    }

    async fn exchange(&mut self) -> Result<(), BenchError> {
        let turn = self.turn % self.requests.len().max(1);
        self.turn = turn + 1;
        self.id += 1;
        if let (Some(stranger), Some(request)) = (&self.stranger, self.requests.first_mut()) {
            *request = stranger.request(self.id)?;
        }
        let Some(request) = self.requests.get_mut(turn) else {
            return Err(BenchError::Failed("no tool is named to call".to_owned()));
        };
        let answer = self.connection.exchange(request.with_id(self.id)).await?;
        match self.results {
            true => answer.check_result(self.id),
            false if answer.status == 200 && !answer.body.is_empty() => Ok(()),
            false => Err(answer.unexpected("a file was not served")),
        }
    }
}

/// The value, in microseconds, that `percent` of the sorted nanosecond values do not exceed.
fn percentile(sorted: &[u32], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    f64::from(sorted.get(rank).copied().unwrap_or(0)) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::echo::Echo;
    use tokio::net::TcpListener;

    async fn echo(era: Option<Era>) -> Target {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(Echo::new(era, 60).serve(listener));
        Target::new(port, "/b0/mcp")
    }

    fn drive(target: Target, era: Era, load: Load) -> Drive {
        Drive { target, era, load, connections: 2, seconds: 0.0 }
    }

    #[tokio::test]
    async fn both_eras_are_answered_and_checked() {
        for server in [None, Some(Era::Legacy), Some(Era::Modern)] {
            let target = echo(server).await;
            for era in [Era::Legacy, Era::Modern] {
                for load in [Load::List, Load::Call(vec!["echo".to_owned()])] {
                    let opened = Lane::open(&drive(target.clone(), era, load), 0).await;
                    assert_eq!(
                        opened.is_ok(),
                        server.is_none_or(|server| server == era),
                        "{server:?} {era:?}"
                    );
                }
            }
        }
    }

    #[tokio::test]
    async fn an_unknown_tool_is_an_error() {
        let target = echo(None).await;
        let opened = Lane::open(&drive(target, Era::Legacy, Load::Call(vec!["nothing".to_owned()])), 0).await;
        assert!(opened.err().unwrap().to_string().contains("Unknown tool"));
    }

    #[test]
    fn percentiles_are_ranks() {
        let values: Vec<u32> = (1..=100).map(|value| value * 1000).collect();
        assert!((percentile(&values, 50) - 50.0).abs() < 1e-9);
        assert!((percentile(&values, 99) - 99.0).abs() < 1e-9);
        assert!(percentile(&[], 50).abs() < 1e-9);
    }
}
