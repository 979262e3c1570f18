//! What an idle legacy session costs weir in memory.

use crate::bench::{Bench, WARM_UP_LIMIT};
use crate::client::Connection;
use crate::drive::{READY, wait_to_go_on};
use crate::error::BenchError;
use crate::message::{Era, FIRST_ID, Target};
use crate::process::Program;
use crate::report::{Goal, Section, Table, median, number};
use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

/// Sessions that are opened before memory is first read, so that what all sessions share is not counted.
const WARM_UP: usize = 500;
const SESSIONS: usize = 10_000;
const CONNECTIONS: usize = 16;
const BACKENDS: usize = 3;
const TOOLS: usize = 60;
/// Memory per idle session, in bytes.
const GOAL: f64 = 4096.0;
/// Memory has settled when it has not changed by more than this between two readings.
const SETTLED: u64 = 64 * 1024;
const READING: Duration = Duration::from_millis(500);
const READINGS: usize = 20;

/// Opens `count` sessions on `target` and leaves them, after some to warm up: says [`READY`], waits for a line on
/// standard input, opens the sessions, says [`READY`] again.
///
/// # Errors
/// When a session cannot be opened.
pub async fn open(target: &Target, count: usize, out: &mut impl Write) -> Result<(), BenchError> {
    let mut connections = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        connections.push(Connection::open(target).await?);
    }
    open_each(target, &mut connections, WARM_UP).await?;
    wait_to_go_on(out)?;
    open_each(target, &mut connections, count).await?;
    // The connections stay open until memory was read.
    wait_to_go_on(out)
}

async fn open_each(target: &Target, connections: &mut [Connection], count: usize) -> Result<(), BenchError> {
    let mut left = count;
    while left > 0 {
        for connection in connections.iter_mut().take(left) {
            connection.open_session(target, FIRST_ID).await?;
            left -= 1;
        }
    }
    Ok(())
}

/// Measures a fresh weir in every round.
///
/// # Errors
/// When a program fails.
pub async fn measure(bench: &Bench) -> Result<Section, BenchError> {
    let mut section = Section { title: "Memory of idle legacy sessions".to_owned(), ..Section::default() };
    if bench.weir.is_none() || !bench.eras.contains(&Era::Legacy) {
        section.text = "Left out: no weir, or not the legacy era.\n".to_owned();
        return Ok(section);
    }
    let mut table = Table::new(["round", "sessions", "RSS before MiB", "RSS after MiB", "bytes/session"]);
    let mut costs = Vec::new();
    for round in 1..=bench.rounds {
        (bench.progress)(&format!("sessions, round {round}"));
        let (before, after) = measure_once(bench).await?;
        let cost = (after as f64 - before as f64) / SESSIONS as f64;
        let mebibytes = |bytes: u64| number(bytes as f64 / 1024.0 / 1024.0, 1);
        table.row([
            round.to_string(),
            SESSIONS.to_string(),
            mebibytes(before),
            mebibytes(after),
            number(cost, 0),
        ]);
        costs.push(cost);
    }
    section.text = table.render();
    section.goals.push(Goal {
        figure: "RSS per idle legacy session, in bytes".to_owned(),
        value: median(costs),
        limit: Some(GOAL),
    });
    Ok(section)
}

async fn measure_once(bench: &Bench) -> Result<(u64, u64), BenchError> {
    let echo = bench.start_echo(Era::Legacy, TOOLS).await?;
    let Some(weir) = bench.start_weir(echo.port, Era::Legacy, BACKENDS).await? else {
        return Err(BenchError::Failed("there is no weir".to_owned()));
    };
    let Target { port, path, .. } = &weir.target;
    let (port, count) = (port.to_string(), SESSIONS.to_string());
    let args = ["sessions", "--port", &port, "--path", path, "--count", &count].map(OsString::from);
    let mut client = bench.start(&args)?;
    let mut memory = Vec::new();
    for _ in 0..2 {
        let line = client.line(WARM_UP_LIMIT).await?;
        if line != READY {
            return Err(BenchError::Failed(format!("the client said {line:?}")));
        }
        memory.push(settled_memory(&weir.program).await?);
        client.go_on().await?;
    }
    for program in [client, weir.program, echo.program] {
        program.stop().await?;
    }
    match memory.as_slice() {
        [before, after] => Ok((*before, *after)),
        _ => Err(BenchError::Failed("memory was not read twice".to_owned())),
    }
}

/// The program's memory once two readings agree, or the last of a bounded number of readings.
async fn settled_memory(program: &Program) -> Result<u64, BenchError> {
    let mut last = program.usage()?.memory;
    for _ in 0..READINGS {
        tokio::time::sleep(READING).await;
        let now = program.usage()?.memory;
        if now.abs_diff(last) <= SETTLED {
            return Ok(now);
        }
        last = now;
    }
    Ok(last)
}
